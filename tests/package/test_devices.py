"""Where models compute: names, errors, and that a CUDA device gives what the CPU gives."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets
from recbook.errors import NotFittedError
from recbook.keras import _backend as backend
from recbook.keras._model import resolve_device as keras_device
from recbook.shared.neighbors import SIMILARITIES
from recbook.tools import twins
from recbook.torch._model import resolve_device as torch_device
from tests.helpers.small_data import data_for, fitted, shared

BOTH = pytest.mark.parametrize("resolve", [torch_device, keras_device], ids=["torch", "keras"])
WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
NAMES = sorted({pair.name for pair in twins.pairs()})


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(backend, "has_gpu", lambda: False)


@pytest.fixture
def with_cuda(monkeypatch):
    """A machine that says it has one; nothing is computed there."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(backend, "has_gpu", lambda: True)


def test_names_without_cuda(no_cuda):
    assert torch_device("auto") == torch_device("cpu") == torch.device("cpu")
    assert keras_device("auto") == keras_device("cpu") == "cpu:0"


def test_names_with_cuda(with_cuda):
    assert torch_device("auto") == torch_device("cuda") == torch.device("cuda")
    assert keras_device("auto") == keras_device("cuda") == "gpu:0"
    assert torch_device("cpu") == torch.device("cpu") and keras_device("cpu") == "cpu:0"


@BOTH
@pytest.mark.parametrize("name", ["gpu", "cuda:1", "CPU", "", None, 0])
def test_other_names_are_refused(resolve, name):
    with pytest.raises(ValueError, match=r"`device` is .*; choose one of \('auto', 'cpu', 'cuda', 'mps'\)"):
        resolve(name)


@BOTH
def test_a_missing_cuda_is_said_with_the_remedy(resolve, no_cuda):
    with pytest.raises(
        RuntimeError, match=r"`device='cuda'`.*sees no such device; use device='auto' or 'cpu'"
    ):
        resolve("cuda")


def test_mps_is_torchs_alone(monkeypatch):
    with pytest.raises(RuntimeError, match="`device='mps'` is for PyTorch alone.*device='auto' or 'cpu'"):
        keras_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(RuntimeError, match="`device='mps'`.*sees no such device"):
        torch_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert torch_device("mps") == torch.device("mps")
    assert torch_device("auto").type != "mps"  # only where it is asked for


@pytest.mark.parametrize("name", ["UserKNN", "ItemKNN", "SlopeOne"])
def test_neighbours_refuse_mps_which_has_no_float64(monkeypatch, name):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(RuntimeError, match=f"`device='mps'` has no float64, which {name} needs.*use 'cpu'"):
        getattr(rt, name)(device="mps").fit(data_for(getattr(rt, name)))
    with pytest.raises(RuntimeError, match="`device='mps'` is for PyTorch alone"):
        getattr(rk, name)(device="mps").fit(data_for(getattr(rk, name)))


@WINGS
@pytest.mark.parametrize("name", NAMES)
def test_a_device_that_cannot_be_had_leaves_the_model_as_it_was(wing, name, no_cuda):
    model = getattr(wing, name)(device="cuda")
    with pytest.raises(RuntimeError, match="`device='cuda'`"):
        model.fit(data_for(type(model)))
    with pytest.raises(NotFittedError):
        model.recommend()


@WINGS
@pytest.mark.parametrize("name", NAMES)
def test_a_file_does_not_tie_a_model_to_the_device_that_wrote_it(wing, name, no_cuda, tmp_path):
    path = tmp_path / "model.npz"
    model = shared(getattr(wing, name))
    model.save(path)
    with np.load(path) as archive:
        assert "device" not in json.loads(archive["head"].item())["hyper_parameters"]
    assert type(model).load(path).device == wing.load(path).device == "auto"
    assert type(model).load(path, device="cpu").device == wing.load(path, device="cpu").device == "cpu"
    for load in (type(model).load, wing.load):
        with pytest.raises(RuntimeError, match="`device='cuda'`.*use device='auto' or 'cpu'"):
            load(path, device="cuda")


class Asked(Exception):
    """Somebody asked where to compute."""


@WINGS
@pytest.mark.parametrize("name", NAMES)
def test_every_model_asks_where_to_compute_with_its_own_device(wing, name, monkeypatch):
    """What "auto" is where there is a CUDA device, and where there is none, the first tests say."""

    def resolve(device):
        raise Asked(device)

    monkeypatch.setattr(f"{wing.__name__}._model.resolve_device", resolve)
    for device in ("auto", "cuda"):
        model = getattr(wing, name)(device=device)
        with pytest.raises(Asked, match=f"^{device}$"):
            model.fit(data_for(type(model)), progress=False)


# ---------------------------------------------------------------- on a CUDA device

CASES = [(name, {"similarity": s}) for name in ("UserKNN", "ItemKNN") for s in SIMILARITIES] + [
    ("SlopeOne", {})
]


@pytest.mark.gpu
@WINGS
@pytest.mark.parametrize("name, parameters", CASES, ids=str)
def test_cuda_gives_what_the_cpu_gives(wing, name, parameters, tmp_path):
    if wing is rk and not backend.has_gpu():
        pytest.skip(f"gpu: Keras' {backend.name()} backend sees no CUDA device here")
    x = datasets.make_ratings(300, 200, 12_000)
    cls = getattr(wing, name)
    cpu = cls(**parameters, device="cpu").fit(x)
    cuda = cls(**parameters, device="cuda").fit(x)
    np.testing.assert_allclose(cuda.score_matrix(), cpu.score_matrix(), rtol=0, atol=1e-5)
    cuda.save(tmp_path / "model.npz")
    again = cls.load(tmp_path / "model.npz", device="cuda")
    np.testing.assert_array_equal(again.score_matrix(), cuda.score_matrix())


@pytest.mark.gpu
@WINGS
@pytest.mark.parametrize("name", NAMES)
def test_every_model_learns_on_a_cuda_device_what_it_learns_on_the_cpu(wing, name):
    if wing is rk and not backend.has_gpu():
        pytest.skip(f"gpu: Keras' {backend.name()} backend sees no CUDA device here")
    cls = getattr(wing, name)
    cpu, cuda = (fitted(cls, device=device) for device in ("cpu", "cuda"))
    expected, found = cpu.score_matrix(), cuda.score_matrix()
    # A step or two of training on sums in another order.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3 * max(1, np.abs(expected).max()))
    if "similar_items" in cls.supports:
        assert len(cuda.similar_items(cuda.item_ids_[:2], k=3)) == 6


@pytest.mark.gpu
def test_torch_computes_where_it_says():
    model = rt.UserKNN(device="cuda").fit(data_for(rt.UserKNN))
    assert model.device_.type == "cuda" and model._similarity.device.type == "cuda"

"""Files that earlier versions wrote are read, in either wing, and answer what they answered then.

tests/saved/format_1 was written by the first edition, format_2 by the version before the rooms were built anew: each
model after a short fit on `data_for`, and in scores.npz what it predicted for its first six users and five items.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path

import numpy as np
import pytest

import recbook.keras as rk
import recbook.torch as rt

SAVED = Path(__file__).resolve().parents[1] / "saved"
WITHOUT_FRAMEWORK = {
    name: importlib.import_module(module)
    for module, names in {
        "recbook.numpy.introduction": ("GlobalMean", "BiasOnly", "Popularity", "Random"),
        "recbook.numpy.sequences": ("MarkovChain", "CascadeModel"),
    }.items()
    for name in names
}
FILES = [path for path in sorted(SAVED.glob("format_*/*.npz")) if path.stem != "scores"]


@functools.cache
def scores_of(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "scores.npz", allow_pickle=False) as archive:
        return dict(archive)


def test_there_is_a_file_of_every_model_of_each_format():
    for folder in sorted(SAVED.iterdir()):
        names = {path.stem for path in FILES if path.parent == folder}
        assert names == scores_of(folder).keys() and len(names) == 35


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.stem}-{path.parent.name}")
@pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
def test_an_earlier_file_answers_as_it_did(wing, path):
    if path.stem in WITHOUT_FRAMEWORK:
        model = getattr(WITHOUT_FRAMEWORK[path.stem], path.stem).load(path)
    else:
        model = wing.load(path, device="cpu")
    users, items = model.user_ids_[:6], model.item_ids_[:5]
    found = model.predict(np.repeat(users, len(items)), np.tile(items, len(users)))
    told = scores_of(path.parent)[path.stem]
    np.testing.assert_allclose(found, told, rtol=0, atol=1e-5 * max(1, np.abs(told).max()))

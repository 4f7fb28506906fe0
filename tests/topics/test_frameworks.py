"""Where PyTorch and Keras differ, and that the package's two wings do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from keras import ops
from torch import nn

from recbook.checks import frameworks as exercises
from recbook.keras import optimizers
from recbook.shared._training import OPTIMIZERS
from recbook.torch.optimizers import make_optimizer
from tests.helpers.known_mistakes import each_gives_its_own_hint

UPSTREAM = Path(__file__).parents[1] / "upstream"
IDS = np.array([0, 0, 1])
GRADIENTS = np.array([1.0, 2.0, 1.0], "float32")


def rows_in_keras(optimizer, batches) -> np.ndarray:
    """An embedding of 4 rows after a step of `optimizer` for each batch (ids, gradients)."""
    table = keras.layers.Embedding(4, 1, embeddings_initializer="zeros")
    model = keras.Sequential([table, keras.layers.Reshape(())])
    model.compile(optimizer, loss=lambda gradient, row: ops.sum(gradient * row))
    for ids, gradients in batches:
        model.fit(ids, gradients, batch_size=len(ids), epochs=1, shuffle=False, verbose=0)
    return table.get_weights()[0].ravel()


def rows_in_torch(name: str, learning_rate: float, batches) -> np.ndarray:
    table = nn.Embedding.from_pretrained(torch.zeros(4, 1), freeze=False)
    optimizer = make_optimizer(name, table.parameters(), learning_rate)
    for ids, gradients in batches:
        optimizer.zero_grad()
        (table(torch.tensor(ids))[:, 0] * torch.tensor(gradients)).sum().backward()
        optimizer.step()
    return table.weight.detach().numpy().ravel()


def repeated_batches(n: int = 5):
    """Batches in which ids repeat, rows are left out, and gradients are of very different size."""
    rng = np.random.default_rng(0)
    for _ in range(n):
        yield rng.integers(0, 4, 6), (rng.normal(size=6) * 10.0 ** rng.integers(-6, 2, 6)).astype("float32")


@pytest.mark.backends
def test_keras_own_adam_squares_slices_on_tensorflow_alone():
    found = rows_in_keras(keras.optimizers.Adam(0.1), [(IDS, GRADIENTS)])
    first = -0.1 * 3 / np.sqrt(5) if keras.backend.backend() == "tensorflow" else -0.1
    np.testing.assert_allclose(found[:2], [first, -0.1], atol=1e-4)


@pytest.mark.parametrize("name", ["AdamW", "RMSprop", "Adagrad", "Nadam"])
def test_other_optimizers_of_keras_square_slices_too(name):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("slices are TensorFlow's")

    class Dense(getattr(keras.optimizers, name)):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient + ops.zeros(variable.shape), variable, learning_rate)

    as_it_is = rows_in_keras(getattr(keras.optimizers, name)(0.1), [(IDS, GRADIENTS)])
    right = rows_in_keras(Dense(0.1), [(IDS, GRADIENTS)])
    assert abs(as_it_is[0] / right[0] - 1) > 0.1
    np.testing.assert_allclose(as_it_is[1], right[1], rtol=1e-5)


@pytest.mark.backends
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_wings_optimizers_take_the_same_steps(name):
    ours = rows_in_keras(optimizers.make_optimizer(name, 0.05), repeated_batches())
    theirs = rows_in_torch(name, 0.05, repeated_batches())
    assert np.abs(theirs).max() > 0.01
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=1e-8)


def test_epsilon_stands_elsewhere_in_keras_own_adam():
    """A gradient of 1e-6: the paper's first step is η g / (g + ε), Keras' η √(1-β₂) g / (√(1-β₂) g + ε)."""
    tiny = [(np.array([0]), np.array([1e-6], "float32"))]
    shrunk = np.sqrt(0.001) * 1e-6
    stock = rows_in_keras(keras.optimizers.Adam(0.1, epsilon=1e-8), tiny)[0]
    np.testing.assert_allclose(stock, -0.1 * shrunk / (shrunk + 1e-8), rtol=1e-3)
    np.testing.assert_allclose(
        rows_in_keras(optimizers.Adam(0.1), tiny)[0], -0.1 * 1e-6 / (1e-6 + 1e-8), rtol=1e-3
    )
    np.testing.assert_allclose(rows_in_torch("adam", 0.1, tiny)[0], -0.1 * 1e-6 / (1e-6 + 1e-8), rtol=1e-3)


def test_an_unknown_optimizer_is_refused():
    for make in (
        lambda: optimizers.make_optimizer("adama", 0.1),
        lambda: make_optimizer("adama", [nn.Parameter(torch.zeros(1))], 0.1),
    ):
        with pytest.raises(
            ValueError, match="`optimizer` is 'adama'; see recbook.shared._training.OPTIMIZERS"
        ):
            make()


@pytest.mark.parametrize(("backend", "rows"), [("tensorflow", "[-0.1342 -0.1"), ("jax", "[-0.1 -0.1]")])
def test_the_program_to_report_shows_the_fault(backend, rows):
    """When this fails on tensorflow, Keras has mended it: say so in the chapter."""
    pytest.importorskip(backend)
    environment = os.environ | {
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }
    done = subprocess.run(
        [sys.executable, str(UPSTREAM / "adam_repeated_ids.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert done.stdout.strip().splitlines()[-1].startswith(f"{backend} {rows}")


@pytest.mark.parametrize("name", ["dense_gradient", "momentum", "swap_gates"])
def test_exercises_give_hints(name, monkeypatch, capsys):
    each_gives_its_own_hint(exercises, getattr(exercises, name), monkeypatch, capsys)

"""The one file of the Keras wing that knows its backends: tensorflow, torch and jax."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BACKENDS = ("tensorflow", "torch", "jax")


def choose_backend() -> None:
    """Where the chosen backend is not installed, or none was chosen, takes the first that is, and logs which.

    Keras itself takes tensorflow, and fails where it is absent. KERAS_BACKEND is left as it is: who sets
    it means it.
    """
    if importlib.util.find_spec("keras") is None:
        raise ImportError(
            "recbook.keras needs Keras, which is not installed: pip install recbook[tensorflow]; the same models "
            "are in recbook.torch, and those that need no framework in recbook.numpy"
        )
    if "KERAS_BACKEND" in os.environ:
        return
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if not installed:
        raise ImportError(
            f"Keras needs a backend, and none of {BACKENDS} is installed; pip install tensorflow"
        )
    # Keras writes keras.json itself at its first import, so a file is no proof that somebody chose.
    if _configured() not in installed:
        os.environ["KERAS_BACKEND"] = installed[0]
        logging.getLogger("recbook").info("KERAS_BACKEND is not set; Keras computes with %s", installed[0])


def _configured() -> str | None:
    """The backend that keras.json names, or None."""
    try:
        path = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
        return json.loads(path.read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        return None


choose_backend()

import keras  # noqa: E402  (the backend is chosen before Keras is imported)


def name() -> str:
    """The backend in use."""
    return keras.backend.backend()


def has_gpu() -> bool:
    """Whether the backend sees a CUDA device."""
    if name() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU"))
    if name() == "torch":
        import torch

        return torch.cuda.is_available()
    import jax

    return any(device.platform == "gpu" for device in jax.devices())


def device_name(device: str) -> str:
    """What `keras.device` calls "cpu" or "cuda"."""
    if name() == "torch":
        return device  # moved from "cpu" to "cpu:0", a parameter would be a copy that gets no gradient
    return {"cpu": "cpu:0", "cuda": "gpu:0"}[device]


@contextlib.contextmanager
def float64():
    """Lets float64 be float64: jax turns it into float32 unless told otherwise."""
    if name() != "jax":
        yield
        return
    import jax

    if hasattr(jax, "enable_x64"):
        enable_x64 = jax.enable_x64
    else:  # before jax 0.8
        from jax.experimental import enable_x64  # pyright: ignore[reportAttributeAccessIssue]  # the pin is newer
    with enable_x64(True):
        yield


def steps_at_once(steps: int) -> int:
    """How many of an epoch's steps one call of the compiled function should take: `steps_per_execution`.

    A divisor: jax goes on into the next epoch where it does not come out even.
    """
    most = {"tensorflow": steps, "jax": 8, "torch": 1}[name()]
    return next(n for n in range(most, 0, -1) if steps % n == 0)


def fetch_variables(network: keras.Model) -> None:
    """Brings a model's variables up to date inside a callback: jax keeps them to itself during `fit`."""
    if name() == "jax":
        network.jax_state_sync()


def compiles() -> bool:
    """Whether `fit` is to be compiled by XLA: jax needs it; on tensorflow it takes longer than it saves here."""
    return name() == "jax"


def peek(tensor) -> np.ndarray | None:
    """A tensor's values where they can be had at once: it lies on the CPU, and is no placeholder of a graph."""
    if name() == "tensorflow":
        import tensorflow as tf

        at_hand = tf.executing_eagerly() and hasattr(tensor, "numpy") and "CPU" in tensor.device.upper()
    elif name() == "torch":
        at_hand = tensor.device.type == "cpu"
    else:
        import jax.core

        at_hand = not isinstance(tensor, jax.core.Tracer)
        at_hand = at_hand and all(device.platform == "cpu" for device in tensor.devices())
    return np.asarray(keras.ops.convert_to_numpy(tensor)) if at_hand else None


def compiled(function: Callable) -> Callable[..., Any]:
    """`function` as one compiled graph for each shape of its arguments, which must be tensors and numbers.

    What loops over many small blocks is several times faster so on tensorflow and jax; torch runs as it is.
    """
    if name() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, reduce_retracing=True)
    if name() == "jax":
        import jax

        return jax.jit(function)
    return function


def not_positive_definite() -> tuple[type[Exception], ...]:
    """What `ops.cholesky` raises where a matrix is not positive definite; jax answers with NaN instead."""
    if name() == "tensorflow":
        import tensorflow as tf

        return (
            tf.errors.InvalidArgumentError,
            ValueError,
        )  # the latter is Keras' own, where nothing is compiled
    if name() == "torch":
        return (ValueError,)  # Keras' own, made of PyTorch's
    return ()


def sums_of_rows(table, rows, places, n: int, by_row=None):
    """Sums of a table's rows, (n, columns): row `rows[j]` is added to sum `places[j]`; `places` does not fall.

    by_row : the order that sorts `rows`; with it TensorFlow takes a third of the time for the gradient

    TensorFlow adds while it reads, there and back; `take` and `segment_sum` would write a copy of every row first,
    which takes more than twice as long.
    """
    if name() != "tensorflow":
        return keras.ops.segment_sum(keras.ops.take(table, rows, axis=0), places, n)
    import tensorflow as tf

    @tf.custom_gradient
    def sums(values):
        def gradient(upstream):
            theirs, own = tf.gather(places, by_row), tf.gather(rows, by_row)
            return tf.sparse.segment_sum(upstream, theirs, own, num_segments=values.shape[0])

        return tf.sparse.segment_sum(values, rows, places, num_segments=n), gradient

    table = tf.convert_to_tensor(table)
    return tf.sparse.segment_sum(table, rows, places, num_segments=n) if by_row is None else sums(table)


def segment_sum(values, segments, n: int):
    """Sums of the rows of `values` that have the same number in `segments`, (n, …), in the type of `values`.

    On torch `keras.ops.segment_sum` adds up in float32 whatever it is given.
    """
    if name() == "torch":
        return values.new_zeros(n, *values.shape[1:]).index_add_(0, segments, values)
    return keras.ops.segment_sum(values, segments, num_segments=n)


def sums_by_place(values, places, n: int):
    """Sums of the values of each place 0..n-1, (n, …): `places` does not fall, and none of them is empty.

    TensorFlow is faster where it knows that they do not fall, and then takes no n; jax needs it.
    """
    if name() == "tensorflow":
        return keras.ops.segment_sum(values, places, sorted=True)
    return keras.ops.segment_sum(values, places, n)

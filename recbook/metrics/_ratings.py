"""Measures of ratings: how far predictions are off."""

from __future__ import annotations

import numpy as np


def mse(ratings: np.ndarray, predictions: np.ndarray) -> float:
    """Mean squared error, Σ (r - r̂)² / n, over n pairs; in squared units of the ratings.

    ratings, predictions : (n,) each

    Raises ValueError for different shapes, no pairs, NaN or infinity.
    """
    ratings, predictions = _check_pairs(ratings, predictions)
    return float(np.mean((ratings - predictions) ** 2))


def rmse(ratings: np.ndarray, predictions: np.ndarray) -> float:
    """Root mean squared error, √(Σ (r - r̂)² / n), over n pairs; in units of the ratings.

    The mean is over all pairs at once: a user with many ratings weighs more than one with few.

    ratings, predictions : (n,) each

    Raises ValueError for different shapes, no pairs, NaN or infinity.
    """
    return mse(ratings, predictions) ** 0.5


def mae(ratings: np.ndarray, predictions: np.ndarray) -> float:
    """Mean absolute error, Σ |r - r̂| / n, over n pairs; in units of the ratings.

    ratings, predictions : (n,) each

    Raises ValueError for different shapes, no pairs, NaN or infinity.
    """
    ratings, predictions = _check_pairs(ratings, predictions)
    return float(np.mean(np.abs(ratings - predictions)))


def _check_pairs(ratings, predictions) -> tuple[np.ndarray, np.ndarray]:
    ratings, predictions = np.asarray(ratings, np.float64), np.asarray(predictions, np.float64)
    # NumPy would broadcast (n,) against (n, 1) to n × n pairs, and average those in silence.
    if ratings.shape != predictions.shape or ratings.ndim != 1:
        raise ValueError(
            f"`ratings` has shape {ratings.shape} and `predictions` {predictions.shape}; give one list "
            "of each, of equal length: array.ravel() flattens a column"
        )
    if not len(ratings):
        raise ValueError("`ratings` is empty; an error needs at least one pair")
    for name, values in (("ratings", ratings), ("predictions", predictions)):
        if (bad := ~np.isfinite(values)).any():
            raise ValueError(
                f"`{name}`, row {bad.argmax()}: {values[bad.argmax()]} is no number, and has no error; "
                "leave such pairs out of both lists, and say how many"
            )
    return ratings, predictions

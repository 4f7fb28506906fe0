"""Measures of labels: what a threshold gets right."""

from __future__ import annotations

import numpy as np


def accuracy(labels: np.ndarray, predictions: np.ndarray, threshold: float | None = None) -> float:
    """Share of pairs that are judged rightly: (TP + TN) / n. Says little where one class is rare.

    labels : (n,) bool, or 0 and 1: what is relevant
    predictions : (n,) bool; or numbers, with `threshold`: what reaches it is predicted to be relevant

    Raises ValueError for different shapes, no pairs, NaN, or numbers without a threshold.
    """
    true_positive, false_positive, false_negative, n = _confusion(labels, predictions, threshold)
    return 1 - (false_positive + false_negative) / n


def precision(labels: np.ndarray, predictions: np.ndarray, threshold: float | None = None) -> float:
    """Share of what is predicted to be relevant that is so: TP / (TP + FP).

    labels, predictions, threshold : as in `accuracy`

    Raises ValueError as `accuracy`, and where nothing is predicted to be relevant: 0 / 0.
    """
    true_positive, false_positive, _, n = _confusion(labels, predictions, threshold)
    if not true_positive + false_positive:
        raise ValueError(
            f"none of the {n} `predictions` is positive, so precision is 0 / 0; lower the threshold, or "
            "take f1, which is 0 here"
        )
    return true_positive / (true_positive + false_positive)


def recall(labels: np.ndarray, predictions: np.ndarray, threshold: float | None = None) -> float:
    """Share of what is relevant that is predicted to be so: TP / (TP + FN).

    labels, predictions, threshold : as in `accuracy`

    Raises ValueError as `accuracy`, and where nothing is relevant: 0 / 0.
    """
    true_positive, _, false_negative, _ = _confusion(labels, predictions, threshold)
    if not true_positive + false_negative:
        raise ValueError("`labels` has nothing relevant, so the measure is 0 / 0; bring pairs that are")
    return true_positive / (true_positive + false_negative)


def f1(labels: np.ndarray, predictions: np.ndarray, threshold: float | None = None) -> float:
    """Harmonic mean of precision and recall, 2 P R / (P + R) = 2 TP / (2 TP + FP + FN).

    The second form holds where nothing is predicted to be relevant, too: 0.

    labels, predictions, threshold : as in `accuracy`

    Raises ValueError as `accuracy`, and where nothing is relevant: 0 / 0.
    """
    true_positive, false_positive, false_negative, _ = _confusion(labels, predictions, threshold)
    if not true_positive + false_negative:
        raise ValueError("`labels` has nothing relevant, so the measure is 0 / 0; bring pairs that are")
    return 2 * true_positive / (2 * true_positive + false_positive + false_negative)


def _confusion(labels, predictions, threshold: float | None) -> tuple[int, int, int, int]:
    """True positives, false positives, false negatives, pairs."""
    predictions = np.asarray(predictions)
    if threshold is None:
        labels, predictions = check_labels(labels, predictions)
        predictions = _truth(predictions, "predictions", "or give a `threshold`")
    else:
        if isinstance(threshold, bool) or not np.isscalar(threshold) or not np.isfinite(threshold):
            raise ValueError(f"`threshold` is {threshold!r}; give the lowest prediction that counts")
        labels, predictions = check_labels(labels, predictions)
        predictions = predictions >= threshold
    true_positive = int((labels & predictions).sum())
    return (
        true_positive,
        int(predictions.sum()) - true_positive,
        int(labels.sum()) - true_positive,
        len(labels),
    )


def check_labels(labels, predictions, name: str = "predictions") -> tuple[np.ndarray, np.ndarray]:
    """Labels as bool and finite predictions, one of each a pair."""
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape or labels.ndim != 1:
        raise ValueError(
            f"`labels` has shape {labels.shape} and `{name}` {predictions.shape}; give one list "
            "of each, of equal length: array.ravel() flattens a column"
        )
    if not len(labels):
        raise ValueError("`labels` is empty; at least one pair is needed")
    if predictions.dtype.kind not in "biuf":
        raise ValueError(f"`{name}` holds {predictions.dtype}, not numbers")
    predictions = predictions.astype(np.float64)
    if (bad := ~np.isfinite(predictions)).any():
        raise ValueError(
            f"`{name}`, row {bad.argmax()}: {predictions[bad.argmax()]} is no number; leave such pairs out, "
            "and say how many"
        )
    return _truth(labels, "labels", "say what counts: ratings >= 4"), predictions


def _truth(values: np.ndarray, name: str, remedy: str) -> np.ndarray:
    if values.dtype.kind not in "biuf" or not np.isin(values, (0, 1)).all():
        raise ValueError(f"`{name}` holds more than truth values (False and True, or 0 and 1); {remedy}")
    return values.astype(bool)

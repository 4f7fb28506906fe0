"""Is one model better than another, or was it luck? A paired bootstrap over users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recbook.core.blocks import blocks
from recbook.evaluation import CATALOGUE, LOWER_IS_BETTER, Report, parse_metric

# Measures of pairs whose figure is a mean over pairs: the mean within a user, to be weighted by the user's pairs.
MEANS = {
    "mse": "squared_error",
    "rmse": "squared_error",
    "mae": "absolute_error",
    "accuracy": "accuracy",
    "log_loss": "log_loss",
    "gauc": "gauc",
}
# What both reports must have in common. Counts of what a model does not know may differ.
OF_ALL = ("n_pairs", "n_users", "unknown")
OF_PAIRS = ("clip", "labels", "context")
OF_LISTS = ("relevant", "candidates", "ties")


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    difference : the figure of a minus that of b;  low, high : the interval that holds a share `level` of the resampled
        differences
    share_a_better : share of the resamples in which a is better; an equal figure counts half
    """

    metric: str
    a: str
    b: str
    difference: float
    low: float
    high: float
    share_a_better: float
    n_users: int
    n: int
    seed: int
    level: float

    @property
    def winner(self) -> str | None:
        """ "a" or "b" where the interval excludes 0; None where the data do not tell the two apart."""
        if self.low <= 0 <= self.high:
            return None
        return "a" if (self.difference > 0) != _lower_is_better(self.metric) else "b"

    def __repr__(self) -> str:
        verdict = {"a": "a is better", "b": "b is better", None: "not told apart"}[self.winner]
        return (
            f"{self.metric}, a = {self.a}, b = {self.b}: a - b = {self.difference:+.4f} "
            f"[{self.low:+.4f}, {self.high:+.4f}] ({self.level:.0%}), a better in {self.share_a_better:.1%} of "
            f"{self.n:,} resamples of {self.n_users:,} users: {verdict}"
        )


def compare(
    a: Report, b: Report, metric: str, n: int = 2000, seed: int = 0, *, level: float = 0.95
) -> Comparison:
    """Compares two reports on the same test data, by a paired bootstrap over users (Efron and Tibshirani 1993).

    Users are drawn anew, as many as there are, with replacement, n times; each time both figures are computed
    over the same draw. The interval runs between the (1 - level) / 2 and (1 + level) / 2 quantiles of their
    difference. It tells how far the difference hangs on which users were asked; not how far it hangs on
    the split or the model's seed: repeat it for several of these.

    metric : one of both reports. A mean over users ("ndcg@10"), or over their pairs ("rmse": the user's pairs
        are drawn together).
    n : resamples

    Raises
    ------
    ValueError
        where the reports are of different protocols or users, or the measure is no mean over users or pairs.
    KeyError
        where a report does not have the metric.
    TypeError
    """
    for name, report in (("a", a), ("b", b)):
        if not isinstance(report, Report):
            raise TypeError(f"`{name}` is a {type(report).__name__}; give what evaluate(...) returned")
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise ValueError(f"`n` is {n!r}; give a whole number of resamples, at least 1")
    if not 0 < level < 1:
        raise ValueError(f"`level` is {level!r}; give a share between 0 and 1, such as 0.95")
    difference = a[metric] - b[metric]
    column, of_pairs = _column(metric)
    _check_alike(a, b, column, of_pairs)
    values = np.column_stack([a.per_user[column], b.per_user[column]])
    used = ~np.isnan(values).any(1)
    values = values[used]
    weights = a.per_user["n_measured"].to_numpy(np.float64)[used] if of_pairs else np.ones(len(values))
    differences = _resampled(values, weights, n, np.random.default_rng(seed), metric == "rmse")
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    better = -differences if _lower_is_better(metric) else differences
    return Comparison(
        metric,
        str(a.protocol.get("model", "a")),
        str(b.protocol.get("model", "b")),
        float(difference),
        float(low),
        float(high),
        float(np.mean((better > 0) + (better == 0) / 2)),
        len(values),
        int(n),
        seed,
        level,
    )


def _lower_is_better(metric: str) -> bool:
    return metric.partition("@")[0] in LOWER_IS_BETTER


def _column(metric: str) -> tuple[str, bool]:
    """The column of `per_user` that the measure is a mean of, and whether users weigh by their pairs."""
    measure, k = parse_metric(metric)
    if k is None and measure in MEANS:
        return MEANS[measure], True
    if k is None or measure in CATALOGUE:
        raise ValueError(
            f"{metric} is no mean over users or pairs, so users cannot be drawn anew for it; compare "
            f"{', '.join(MEANS)}, or a measure of lists other than {', '.join(CATALOGUE)}"
        )
    return metric, False


def _check_alike(a: Report, b: Report, column: str, of_pairs: bool) -> None:
    for name in OF_ALL + (OF_PAIRS if of_pairs else OF_LISTS):
        mine, other = a.protocol.get(name), b.protocol.get(name)
        if mine != other:
            raise ValueError(
                f"the reports differ in `{name}`: {mine!r} and {other!r}; evaluate both models in the same way, "
                "on the same test data"
            )
    same = a.per_user.index.equals(b.per_user.index) and a.per_user.n_pairs.equals(b.per_user.n_pairs)
    if not same or not a.per_user[column].isna().equals(b.per_user[column].isna()):
        raise ValueError(
            "the reports measure different users or pairs; evaluate both models on the same test data"
        )
    if of_pairs and not a.per_user.n_measured.equals(b.per_user.n_measured):
        raise ValueError(
            "the reports measure different pairs, for the models do not know the same ids; evaluate both with "
            "unknown='fallback'"
        )


def _resampled(
    values: np.ndarray, weights: np.ndarray, n: int, rng: np.random.Generator, root: bool
) -> np.ndarray:
    """(n,) differences of the weighted means of the two columns of `values`, (n_users, 2)."""
    n_users = len(values)
    table = np.column_stack([values * weights[:, None], weights])
    found = []
    for block in blocks(n, n_users):
        size = min(block.stop, n) - block.start
        drawn = rng.integers(n_users, size=(size, n_users)) + n_users * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * n_users).reshape(size, n_users)
        sums = times @ table
        means = sums[:, :2] / sums[:, 2:]
        means = np.sqrt(means) if root else means
        found.append(means[:, 0] - means[:, 1])
    return np.concatenate(found)

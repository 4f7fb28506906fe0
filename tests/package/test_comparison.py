"""`compare`: planted differences, an interval that holds as often as it says, and what cannot be compared."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from recbook import splits, worlds
from recbook.comparison import Comparison, compare
from recbook.evaluation import Report, evaluate
from recbook.numpy.introduction import BiasOnly, GlobalMean, Popularity, Random
from tests.helpers.bad_inputs import refuses


def report(values, name: str = "ndcg@10", **protocol) -> Report:
    values = np.asarray(values, float)
    table = pd.DataFrame({"n_pairs": np.ones(len(values), int), name: values})
    table.index.name = "user"
    return Report({name: float(np.nanmean(values))}, table, {"model": "M()", **protocol})


def errors(squared, n_pairs) -> Report:
    """Of ratings: each user's mean squared error, over n_pairs pairs."""
    table = pd.DataFrame({"n_pairs": n_pairs, "n_measured": n_pairs, "squared_error": squared})
    mse = float(np.average(squared, weights=n_pairs))
    return Report({"mse": mse, "rmse": mse**0.5}, table, {"model": "M()"})


def test_a_planted_difference_is_found_and_its_side():
    rng = np.random.default_rng(0)
    users = rng.random(500)
    noise = rng.normal(0, 0.1, 500)
    better, worse = report(users + 0.02 + noise), report(users)
    found = compare(better, worse, "ndcg@10")
    assert found.difference == pytest.approx(better["ndcg@10"] - worse["ndcg@10"])
    assert found.low < found.difference < found.high and found.low > 0
    assert found.winner == "a" and found.share_a_better > 0.975 and found.n_users == 500
    swapped = compare(worse, better, "ndcg@10")
    assert swapped.winner == "b" and swapped.share_a_better == pytest.approx(1 - found.share_a_better)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))


def test_pairing_is_what_finds_it():
    """Users differ far more than models do; drawn apart, the same two would not be told apart."""
    rng = np.random.default_rng(0)
    users = rng.random(500)
    a, b = users + 0.01 + rng.normal(0, 0.05, 500), users
    assert compare(report(a), report(b), "ndcg@10").winner == "a"
    assert compare(report(rng.permutation(a)), report(b), "ndcg@10").winner is None


def test_no_difference_is_not_told_apart():
    values = np.random.default_rng(0).random(50)
    found = compare(report(values), report(values), "ndcg@10")
    assert (found.difference, found.low, found.high, found.share_a_better) == (0, 0, 0, 0.5)
    assert found.winner is None


@pytest.mark.parametrize("draw", ["normal", "skewed"])
def test_the_interval_holds_the_truth_as_often_as_it_says(draw):
    """400 worlds of 120 users whose true mean difference is known: 95 % ± 2.2 % (two standard errors)."""
    rng = np.random.default_rng(1)
    held = 0
    for world in range(400):
        difference = rng.normal(0.03, 0.1, 120) if draw == "normal" else 0.1 * rng.exponential(1, 120) - 0.07
        users = rng.random(120)
        found = compare(report(users + difference), report(users), "ndcg@10", n=500, seed=world)
        held += found.low <= 0.03 <= found.high
    assert 0.91 < held / 400 < 0.98


def test_level_widens_the_interval_as_theory_has_it():
    rng = np.random.default_rng(0)
    a, b = report(rng.normal(0, 1, 400)), report(np.zeros(400))
    width = {
        level: np.subtract(*(lambda c: (c.high, c.low))(compare(a, b, "ndcg@10", n=4000, level=level)))
        for level in (0.68, 0.95)
    }
    assert width[0.95] / width[0.68] == pytest.approx(1.96 / 0.994, rel=0.08)
    se = np.std(a.per_user["ndcg@10"]) / 20
    assert width[0.95] == pytest.approx(2 * 1.96 * se, rel=0.08)


def test_lower_is_better_for_errors_and_users_weigh_by_their_pairs():
    # One user of 98 pairs for whom a is worse; two of one pair for whom a is far better.
    a, b = errors([1.1, 0.0, 0.0], [98, 1, 1]), errors([1.0, 4.0, 4.0], [98, 1, 1])
    found = compare(a, b, "mse", n=4000)
    assert found.difference == pytest.approx(0.98 * 1.1 - (0.98 + 0.08))
    rng = np.random.default_rng(0)
    n_pairs, base = rng.integers(1, 50, 300), rng.random(300)
    good, bad = errors(base, n_pairs), errors(base + 0.05, n_pairs)
    for metric in ("mse", "rmse"):
        found = compare(good, bad, metric)
        assert found.winner == "a" and found.high < 0 and found.share_a_better == 1
    # A resample's rmse is that of its pairs: by hand for draws of the same generator.
    draws = np.random.default_rng(0).integers(300, size=(20, 300))
    by_hand = [
        np.sqrt(np.average(base[d], weights=n_pairs[d]))
        - np.sqrt(np.average(base[d] + 0.05, weights=n_pairs[d]))
        for d in draws
    ]
    found = compare(good, bad, "rmse", n=20, seed=0)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])))


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    a, b = report(rng.random(40)), report(rng.random(40))
    whole = compare(a, b, "ndcg@10", n=300)
    others = compare(a, b, "ndcg@10", n=300, seed=1)
    monkeypatch.setattr("recbook.core.blocks.CELLS", 400)
    in_blocks = compare(a, b, "ndcg@10", n=300)
    # A product of matrices adds in an order that hangs on its size: equal but for rounding.
    figures = ("difference", "low", "high", "share_a_better")
    for name in figures:
        assert getattr(in_blocks, name) == pytest.approx(getattr(whole, name), rel=1e-12)
    assert replace(in_blocks, **{name: getattr(whole, name) for name in figures}) == whole
    assert abs(others.low - whole.low) > 1e-6


def test_real_reports():
    world = worlds.make_biases(n_users=150, n_items=80, density=0.4, seed=0)
    train, test = splits.random_split(world.data, 0.2, seed=0)
    names = ["rmse", "mae", "ndcg@5", "mrr@5", "accuracy", "gauc", "coverage@5"]
    a, b = (evaluate(c().fit(train), test, names, relevant=3.5) for c in (BiasOnly, GlobalMean))
    for metric in names[:-1]:
        found = compare(a, b, metric)
        assert found.winner == "a", found
        assert found.difference == pytest.approx(a[metric] - b[metric])
    assert "BiasOnly()" in repr(found) and "a is better" in repr(found)
    # A model of ratings and one of lists have lists in common.
    c = evaluate(Popularity().fit(train), test, ["ndcg@5"], relevant=3.5)
    assert isinstance(compare(a, c, "ndcg@5"), Comparison)
    with pytest.raises(ValueError, match="coverage@5 is no mean over users.*rmse"):
        compare(a, b, "coverage@5")
    with pytest.raises(KeyError, match="'mae' was not measured"):
        compare(c, b, "mae")
    # Another split, other candidates, another rule for ties, another threshold: no comparison.
    other = splits.random_split(world.data, 0.2, seed=1)[1]
    chance = Random().fit(train)
    for change, word in (
        ({"ties": "first"}, "`ties`"),
        ({"relevant": 3}, "`relevant`"),
        ({"candidates": train.interactions.item_ids[:50]}, "`candidates`"),
    ):
        with pytest.raises(ValueError, match=word):
            compare(c, evaluate(chance, test, ["ndcg@5"], **{"relevant": 3.5} | change), "ndcg@5")
    with pytest.raises(ValueError, match="differ in|different users"):
        compare(c, evaluate(chance, other, ["ndcg@5"], relevant=3.5), "ndcg@5")
    with pytest.raises(ValueError, match="`clip`"):
        compare(a, evaluate(GlobalMean().fit(train), test, ["rmse"], clip=None), "rmse")


R = report([0.1, 0.2])
BAD = {
    "no report": (lambda: compare(0.3, R, "ndcg@10"), TypeError, ("`a`", "float", "evaluate")),
    "n": (lambda: compare(R, R, "ndcg@10", n=0), ValueError, ("`n`", "at least 1")),
    "level": (lambda: compare(R, R, "ndcg@10", level=95), ValueError, ("`level`", "0.95")),
    "users": (lambda: compare(R, report([0.1, np.nan]), "ndcg@10"), ValueError, ("different users",)),
    "pairs": (
        lambda: compare(errors([1, 1], [2, 3]), errors([1, 1], [3, 2]), "mse"),
        ValueError,
        ("different users or pairs",),
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses(name):
    refuses(*BAD[name])

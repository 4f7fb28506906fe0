"""Negatives are never positives, come by the stated chances, and repeat by seed; batches lose no row."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recbook import worlds
from recbook.interactions import Interactions
from recbook.sampling import NegativeSampler, batches
from tests.helpers.work import work_of

# Users 0…3 of five items; user 2 has met all but item 4, user 3 nothing; item 0 is met most.
USERS = np.array([0, 0, 1, 2, 2, 2, 2, 0])
ITEMS = np.array([0, 1, 0, 0, 1, 2, 3, 0])
MET = {0: {0, 1}, 1: {0}, 2: {0, 1, 2, 3}, 3: set()}


def sampler(**options) -> NegativeSampler:
    return NegativeSampler(USERS, ITEMS, 4, 5, **options)


# ---------------------------------------------------------------- batches


@given(n=st.integers(1, 50), size=st.integers(1, 60), seed=st.integers(0, 99))
def test_batches_hold_every_row_once(n, size, seed):
    found = list(batches(n, size, seed))
    assert sorted(np.concatenate(found).tolist()) == list(range(n))
    assert [len(rows) for rows in found[:-1]] == [size] * (len(found) - 1) and 1 <= len(found[-1]) <= size
    np.testing.assert_array_equal(np.concatenate(found), np.random.default_rng(seed).permutation(n))
    assert np.concatenate(list(batches(n, size, seed, shuffle=False))).tolist() == list(range(n))
    if size <= n:
        assert [len(rows) for rows in batches(n, size, seed, drop_last=True)] == [size] * (n // size)


def test_a_generator_shuffles_each_epoch_anew():
    epochs = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        epochs.append([np.concatenate(list(batches(30, 7, rng))).tolist() for _ in range(3)])
    assert epochs[0] == epochs[1] and epochs[0][0] != epochs[0][1] != epochs[0][2]


# ---------------------------------------------------------------- negatives


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
@given(data=st.data())
def test_never_a_positive(distribution, data):
    n_users, n_items = data.draw(st.integers(1, 6)), data.draw(st.integers(2, 8))
    cells = st.tuples(st.integers(0, n_users - 1), st.integers(0, n_items - 1))
    pairs = data.draw(st.lists(cells, min_size=1, max_size=40))
    users, items = np.array(pairs).T
    one = NegativeSampler(users, items, n_users, n_items, distribution)
    drawable = set(range(n_items)) if distribution == "uniform" else set(items.tolist())
    free = [u for u in range(n_users) if drawable - {i for v, i in pairs if v == u}]
    for u in set(range(n_users)) - set(free):
        with pytest.raises(ValueError, match=f"user with code {u} has met every item"):
            one.draw([u], 1, 0)
    if free:
        drawn = one.draw(free, 9, data.draw(st.integers(0, 9)))
        assert drawn.shape == (len(free), 9) and drawn.dtype == np.int64
        for u, row in zip(free, drawn.tolist(), strict=True):
            assert set(row) <= drawable - {i for v, i in pairs if v == u}


@pytest.mark.parametrize(
    "options, weights",
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"distribution": "popularity", "alpha": 1}, [4, 2, 1, 1, 0]),
        ({"distribution": "popularity", "alpha": 0.5}, [2, 2**0.5, 1, 1, 0]),
        ({"distribution": "popularity", "alpha": 0}, [1, 1, 1, 1, 0]),
    ],
    ids=str,
)
@pytest.mark.parametrize("user", [0, 1, 3])
@pytest.mark.parametrize("rounds", [0, 12])
def test_chances_are_the_weights_of_what_is_not_met(monkeypatch, options, weights, user, rounds):
    """By chi-square; with no rounds of rejection every hit is drawn from the user's own table."""
    monkeypatch.setattr("recbook.sampling.ROUNDS", rounds)
    chance = np.array([0.0 if i in MET[user] else weights[i] for i in range(5)])
    drawn = sampler(**options).draw(np.full(5000, user), 4, seed=7)
    counts = np.bincount(drawn.ravel(), minlength=5)
    possible = chance > 0
    assert not counts[~possible].any()
    expected = 20_000 * chance[possible] / chance.sum()
    assert stats.chisquare(counts[possible], expected).pvalue > 1e-4


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
@pytest.mark.parametrize("cells", [600, 2_000_000])
def test_people_who_have_met_nearly_everything(monkeypatch, distribution, cells):
    """One unmet item of 300 for each: rejection alone would draw for ever. In blocks of two users, and in one."""
    monkeypatch.setattr("recbook.core.blocks.CELLS", cells)
    users, items = np.divmod(np.arange(50 * 300), 300)
    unmet = np.arange(50) * 6
    kept = items != unmet[users]
    one = NegativeSampler(users[kept], items[kept], 50, 300, distribution)
    people = np.random.default_rng(0).integers(0, 50, 400)
    np.testing.assert_array_equal(one.draw(people, 3, 0), np.repeat(unmet[people][:, None], 3, axis=1))


def test_a_seed_repeats_and_a_generator_goes_on():
    one = sampler()
    people = np.array([0, 1, 2, 3] * 20)
    first, again, other = (one.draw(people, 3, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(one.draw(people, 3, rng), first)
    assert (one.draw(people, 3, rng) != first).any()


def test_of_interactions_speaks_its_codes_and_names_its_ids():
    x = Interactions.from_frame(pd.DataFrame({"user": ["Ann", "Ann", "Bob"], "item": [7, 5, 7]}))
    one = NegativeSampler.of(x)
    assert one.draw([1, 1], 2, 0).tolist() == [[1, 1], [1, 1]]  # Bob has not met item 5, whose code is 1
    with pytest.raises(ValueError, match=r"user 'Ann' has met every item.*2 of them.*leave such users out"):
        one.draw([1, 0], 1, 0)


def test_is_positive():
    found = sampler().is_positive(np.arange(4)[:, None], np.arange(5))
    assert [set(np.flatnonzero(row).tolist()) for row in found] == list(MET.values())


def test_in_batch():
    users, items = np.array([0, 1, 2, 0]), np.array([1, 0, 3, 0])
    negative = sampler().in_batch(users, items)
    assert negative.tolist() == [[items[c] not in MET[users[r]] for c in range(4)] for r in range(4)]
    assert not negative.diagonal().any()
    assert negative[0].tolist() == [False, False, True, False]


@pytest.mark.parametrize("distribution", ["uniform", "popularity"])
def test_a_million_pairs_with_four_negatives_each(distribution):
    """No step for each pair or user, no table of users by items: that would be 22 million cells."""
    x = worlds.make_ratings().interactions
    made = work_of(lambda: NegativeSampler.of(x, distribution))
    drawn = work_of(lambda: made.result.draw(x.user_codes, 4, 0))
    assert not made.result.is_positive(x.user_codes[:, None], drawn.result).any()
    assert made.calls < 1000 and drawn.calls < 1000
    # A handful of numbers of eight bytes for each pair, and for each negative.
    assert made.peak < 8 * 10 * len(x) and drawn.peak < 8 * 8 * drawn.result.size


BAD = {
    "distribution": (lambda: sampler(distribution="zipf"), ["`distribution`", "'zipf'", "'popularity'"]),
    "alpha": (lambda: sampler(alpha=-1), ["`alpha` is -1"]),
    "alpha NaN": (lambda: sampler(alpha=float("nan")), ["`alpha` is nan"]),
    "lengths": (lambda: NegativeSampler([0], [0, 1], 1, 2), ["1 codes", "`items` 2"]),
    "ids for codes": (lambda: NegativeSampler([0, 9], [0, 0], 2, 2), ["`users`, row 1", "9", "0 to 1"]),
    "negative code": (lambda: NegativeSampler([0], [-1], 2, 2), ["`items`, row 0", "-1"]),
    "text": (lambda: NegativeSampler(["a"], [0], 1, 1), ["`users`", "codes"]),
    "unknown user": (lambda: sampler().draw([4], 1, 0), ["`users`, row 0", "4", "0 to 3"]),
    "no negatives": (lambda: sampler().draw([0], 0, 0), ["`n` is 0"]),
    "batch of none": (lambda: batches(5, 0, 0), ["`batch_size` is 0"]),
    "no rows": (lambda: batches(0, 5, 0), ["`n` is 0"]),
    "no full batch": (lambda: batches(3, 5, 0, drop_last=True), ["3 rows", "batch of 5", "drop_last=False"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    call, parts = BAD[case]
    with pytest.raises(ValueError) as caught:
        call()
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not in: {caught.value}"

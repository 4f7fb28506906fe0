"""Lists of different lengths as rectangles, and the k highest with their rule for ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbook.core.ragged import Ragged, blocks_by_length, top_k

KEYS = st.lists(st.integers(0, 6), max_size=30).map(lambda keys: np.array(keys, np.int64))


def test_group_by_hand():
    grouped = Ragged.group(np.array([2, 0, 2, 3, 0]), 5)
    assert grouped.lengths.tolist() == [2, 0, 2, 1, 0]
    rows, real = grouped.padded(np.array([2, 1, 3, 2]))
    assert real.tolist() == [[True, True], [False, False], [True, False], [True, True]]
    assert rows[real].tolist() == [0, 2, 3, 0, 2]


@given(keys=KEYS, asked=st.lists(st.integers(0, 6), max_size=12))
@settings(max_examples=100, deadline=None)
def test_padded_holds_each_keys_rows_in_order(keys, asked):
    grouped = Ragged.group(keys, 7)
    assert grouped.lengths.sum() == len(keys)
    rows, real = grouped.padded(np.array(asked, np.int64))
    lists = [np.flatnonzero(keys == key).tolist() for key in asked]
    assert rows.shape == real.shape == (len(asked), max(map(len, lists), default=0))
    for row, mask, expected in zip(rows, real, lists, strict=True):
        assert row[mask].tolist() == expected
        assert not mask[len(expected) :].any()  # padded at the end
    assert len(keys) == 0 or ((rows >= 0) & (rows < len(keys))).all()  # padding is a row that exists


@pytest.mark.parametrize("max_cells", [1, 50, 1000, 10**9])
@given(lengths=st.lists(st.integers(0, 500), max_size=60).map(lambda n: np.array(n, np.int64)))
@settings(max_examples=60, deadline=None)
def test_blocks_hold_everything_once_and_keep_their_limits(max_cells, lengths):
    blocks = list(blocks_by_length(lengths, max_cells))
    everything = np.concatenate(blocks) if blocks else np.zeros(0, int)
    assert sorted(everything.tolist()) == list(range(len(lengths)))
    assert (np.diff(lengths[everything]) <= 0).all()  # longest first
    for block in blocks:
        longest = max(lengths[block].max(), 1)
        assert len(block) == 1 or len(block) * longest <= max_cells
        if longest > 64:
            assert (2 * lengths[block] < longest - 1).sum() <= len(block) / 2


def test_short_lists_share_one_block():
    assert len(list(blocks_by_length(np.arange(60), 10**6))) == 1
    assert len(list(blocks_by_length(np.array([1000] * 5 + [1] * 100), 10**6))) == 2


@given(
    scores=st.integers(1, 5).flatmap(
        lambda n: st.lists(
            st.lists(st.sampled_from([-np.inf, 0.0, 0.5, 1.0, 2.0]), min_size=8, max_size=8),
            min_size=n,
            max_size=n,
        )
    ),
    k=st.integers(1, 10),
)
@settings(max_examples=150, deadline=None)
def test_top_k_is_the_head_of_a_stable_sort(scores, k):
    scores = np.array(scores)
    rows, columns = top_k(scores, k)
    for r, row in enumerate(scores):
        order = np.argsort(-row, kind="stable")
        assert columns[rows == r].tolist() == [c for c in order if row[c] > -np.inf][:k]
    assert (np.diff(rows) >= 0).all()


def test_top_k_of_nothing():
    assert [part.size for part in top_k(np.zeros((3, 0)), 5)] == [0, 0]
    assert [part.size for part in top_k(np.zeros((0, 4)), 5)] == [0, 0]
    assert [part.tolist() for part in top_k(np.full((2, 3), -np.inf), 2)] == [[], []]

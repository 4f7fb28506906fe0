"""Cleaning, choosing and weighing of rows; attributes as numbers, fitted on train alone."""

import copy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import preprocessing as sk

from recbook import preprocessing as pre
from recbook.errors import NotFittedError, UnknownIdError
from recbook.interactions import Dataset, Interactions


def events(rows, names=("user", "item", "event", "timestamp")) -> Interactions:
    return Interactions.from_frame(pd.DataFrame(rows, columns=list(names)), on_duplicate="keep")


def pairs_of(rows) -> Interactions:
    return Interactions.from_frame(pd.DataFrame(rows, columns=["user", "item"]), on_duplicate="keep")


RATED = Interactions.from_frame(
    pd.DataFrame({"user": ["b", "a", "b"], "item": [7, 7, 5], "rating": [0.0, 4.0, 3.0]})
)
PAIRS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=60)

# ---------------------------------------------------------------- clean

DIRTY = pd.DataFrame(
    {
        "user": ["a", None, "a", "b", "b", "c", "a", "c"],
        "item": [1, 1, 2, 1, 3, 1, 1, np.nan],
        "rating": [5.0, 4.0, 11.0, np.nan, 0.5, np.inf, 5.0, 99.0],
    },
    index=list("stuvwxyz"),
)


def test_clean_says_what_was_dropped_and_why():
    kept, dropped = pre.clean(DIRTY, ranges={"rating": (0.5, 5)})
    assert kept.index.tolist() == ["s", "w"]
    # Ids that were real numbers because one was missing are whole again.
    pd.testing.assert_frame_equal(kept, DIRTY.loc[["s", "w"]].astype({"item": np.int64}))
    assert dropped["reason"].to_dict() == {
        "t": "user missing",
        "u": "rating above 5",
        "v": "rating missing",
        "x": "rating infinite",
        "y": "repeats an earlier row",
        "z": "item missing",  # the first reason, not the rating
    }
    pd.testing.assert_frame_equal(dropped.drop(columns="reason"), DIRTY.loc[list("tuvxyz")])


def test_clean_guesses_no_outliers_and_fills_nothing():
    kept, dropped = pre.clean(DIRTY)
    assert kept.index.tolist() == ["s", "u", "w"] and not kept["rating"].isna().any()
    assert len(kept) + len(dropped) == len(DIRTY)
    assert pre.clean(DIRTY, duplicates=False)[0].index.tolist() == ["s", "u", "w", "y"]
    assert pre.clean(DIRTY, required=["user"])[0].index.tolist() == ["s", "u", "v", "w", "x", "z"]
    second_opinion = pd.DataFrame({"user": [1, 1], "item": [1, 1], "rating": [2.0, 3.0]})
    assert len(pre.clean(second_opinion)[0]) == 2
    with pytest.raises(TypeError):
        pre.clean(DIRTY, fill=3.0)


def test_clean_knows_dates():
    df = pd.DataFrame({"user": [1, 2, 3], "timestamp": pd.to_datetime(["2020-01-01", "1970-01-01", None])})
    kept, dropped = pre.clean(
        df,
        required=["user", "timestamp"],
        ranges={"timestamp": (pd.Timestamp("2019-01-01"), pd.Timestamp("2021-01-01"))},
    )
    assert kept["user"].tolist() == [1]
    assert dropped["reason"].tolist() == ["timestamp below 2019-01-01 00:00:00", "timestamp missing"]


FOREIGN = pd.DataFrame(
    {
        "customer": [" 17", "18", "", None, "19 ", "20", "21", "22"],
        "film": [7.0, 8.0, 9.0, 7.0, 8.0, np.nan, 9.0, 7.0],
        "stars": ["4,5", "11", "3", "2", "good", "5", "1,234", "NA"],
        "when": [
            *("2024-01-31 18:30", "2024-01-31", "2024-01-31", "2024-01-31", "2024-01-31"),
            *("2024-01-31", "31/01/24", "2024-01-31"),
        ],
        "note": list("abcdefgh"),
    },
    index=range(100, 108),
)
COLUMNS = {"user": "customer", "item": "film", "rating": "stars", "timestamp": "when"}


def test_clean_reads_a_table_with_names_of_its_own():
    cleaned = pre.clean(FOREIGN, **COLUMNS, scale=(1, 5))
    kept, dropped = cleaned
    assert dropped.reason.to_dict() == {
        101: "stars above 5",
        102: "customer missing",
        103: "customer missing",
        104: "stars is no number",
        105: "film missing",
        106: "stars is no number",  # the first reason; its time could be read in two ways, too
        107: "stars missing",
    }
    pd.testing.assert_frame_equal(dropped.drop(columns="reason"), FOREIGN.loc[101:])  # as they came
    assert kept.to_dict("records") == [
        {"customer": "17", "film": 7, "stars": 4.5, "when": pd.Timestamp("2024-01-31 18:30"), "note": "a"}
    ]
    assert kept.film.dtype == np.int64
    x = Interactions.from_frame(kept, **COLUMNS, scale=(1, 5))
    assert x.timestamps.tolist() == [1706725800] and list(x.extra) == ["note"]


def test_what_was_done_is_printed():
    text = repr(pre.clean(FOREIGN, **COLUMNS, scale=(1, 5)))
    assert text.splitlines()[0] == "1 of 8 rows kept, 7 dropped"
    for line in (
        "  1 × stars above 5: labels 101",
        "  2 × customer missing: labels 102, 103",
        "`customer`: blanks taken off 3 ids",
        "`stars`: 5 texts read as numbers, 1 of them with a decimal comma",
        "`when`: 7 texts read as times",
        "`film`: real numbers read as whole ones",
    ):
        assert line in text.splitlines(), text
    many = pd.DataFrame({"user": [1] + [None] * 9, "item": [1] * 10})
    assert "  9 × user missing: labels 1, 2, 3, 4, 5, …" in repr(pre.clean(many))
    again = copy.copy(pre.clean(many))
    assert len(again.kept) == 1 and len(again.dropped) == 9 and again.read == pre.clean(many).read


def test_clean_leaves_alone_what_needs_no_reading():
    table = RATED.to_frame().assign(timestamp=[3, 1, 2], note=[" a", "", "4,5"])
    cleaned = pre.clean(table)
    pd.testing.assert_frame_equal(cleaned.kept, table)
    assert not cleaned.read and not len(cleaned.dropped)
    assert table.note.tolist() == [" a", "", "4,5"]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("4", 4.0), ("4.5", 4.5), ("4,5", 4.5), (" 4,25 ", 4.25), ("-1,5", -1.5), ("1e1", 10.0), (3, 3.0),
        ("1,234", "is no number"), ("1.234,5", "is no number"), ("4/5", "is no number"), ("four", "is no number"),
        ("", "missing"), ("NA", "missing"), ("inf", "infinite"),
    ],
)  # fmt: skip
def test_ratings_as_text(text, expected):
    table = pd.DataFrame({"user": [1, 2], "item": [1, 1], "rating": pd.Series([text, "2"], dtype=object)})
    kept, dropped = pre.clean(table)
    if isinstance(expected, str):
        assert dropped.reason.tolist() == [f"rating {expected}"] and kept.rating.tolist() == [2.0]
    else:
        assert kept.rating.tolist() == [expected, 2.0]


@pytest.mark.parametrize(
    "texts, seconds",
    [
        (["1970-01-02", "1970-01-01T00:00:10"], [86400, 10]),
        (["1970-01-01T01:00:00+01:00", "1970-01-01 00:00:05Z"], [0, 5]),
        (["1970-01-01T01:00:00+01:00", "1970-01-01 00:00:05"], [0, 5]),
        (["1970-01-01 00:00:00.5", "1970-01-02"], [0.5, 86400]),
        (["100", "20"], [100, 20]),
        (["1.5", "20"], [1.5, 20]),
        (["01/02/1970", "1970-01-02"], [None, 86400]),
        (["1970-13-02", "1970-01-02"], [None, 86400]),
        (["yesterday", "1970-01-02"], [None, 86400]),
        (["86400", "1970-01-02"], [None, 86400]),
    ],
)
def test_times_as_text(texts, seconds):
    kept, dropped = pre.clean(pd.DataFrame({"user": [1, 2], "item": [1, 1], "timestamp": texts}))
    assert Interactions.from_frame(kept).timestamps.tolist() == [s for s in seconds if s is not None]
    assert dropped.reason.tolist() == ["timestamp is no time that is certain"] * seconds.count(None)


def test_times_without_a_zone_beside_some_with_one_are_said_to_be_utc():
    texts = ["1970-01-01T01:00:00+01:00", "1970-01-01 00:00:05"]
    read = pre.clean(pd.DataFrame({"user": [1, 2], "item": [1, 1], "timestamp": texts})).read
    assert read == ["`timestamp`: 2 texts read as times, the 1 without a zone as UTC"]


def test_rows_that_are_the_same_once_they_are_read_are_repeats():
    table = pd.DataFrame({"user": ["a", "a "], "item": [1, 1], "rating": ["4,5", "4.5"]})
    assert pre.clean(table).dropped.reason.tolist() == ["repeats an earlier row"]


def test_columns_that_are_not_there_are_named_together():
    with pytest.raises(ValueError, match="2 faults") as caught:
        pre.clean(FOREIGN)
    assert "no column `user`" in str(caught.value) and "clean(df, item=...)" in str(caught.value)
    with pytest.raises(ValueError, match="2 faults") as caught:
        pre.clean(FOREIGN, user="client", item="film", rating="points")
    assert "`user='client'`" in str(caught.value) and "`rating='points'`" in str(caught.value)


# ---------------------------------------------------------------- rows


def test_deduplicate():
    x = Interactions.from_frame(
        pd.DataFrame(
            {"user": [1, 1, 2], "item": [5, 5, 5], "rating": [2.0, 4.0, 1.0], "timestamp": [9, 3, 1]}
        ),
        on_duplicate="keep",
    )
    assert pre.deduplicate(x).ratings.tolist() == [2, 1]
    assert pre.deduplicate(x, "mean").ratings.tolist() == [3, 1]
    data = Dataset(x, name="d")
    assert pre.deduplicate(data).interactions.ratings.tolist() == [2, 1] and pre.deduplicate(data).name == "d"


def slow_core(pairs, user, item):
    while True:
        keep = [
            (u, i)
            for u, i in pairs
            if len({b for a, b in pairs if a == u}) >= user and len({a for a, b in pairs if b == i}) >= item
        ]
        if keep == pairs:
            return keep
        pairs = keep


@given(pairs=PAIRS, user=st.integers(0, 4), item=st.integers(0, 4))
def test_k_core_is_the_fixed_point(pairs, user, item):
    expected = slow_core(pairs, user, item)
    if not expected:
        with pytest.raises(ValueError, match=f"user={user}, item={item}.*ask for less"):
            pre.k_core(pairs_of(pairs), user, item)
        return
    core = pre.k_core(pairs_of(pairs), user, item)
    assert list(zip(core.users.tolist(), core.items.tolist(), strict=True)) == expected


def test_k_core_by_hand():
    # To drop item 9 leaves user 3 with one item; to drop user 3 leaves the others in the core.
    square = [(1, 1), (1, 2), (2, 1), (2, 2)]
    core = pre.k_core(pairs_of([*square, (3, 1), (3, 9)]), user=2, item=2)
    assert list(zip(core.users, core.items, strict=True)) == square
    # Somebody who clicks on one thing five times has met one thing.
    assert 4 not in pre.k_core(pairs_of([*square, *[(4, 1)] * 5]), user=2, item=2).users
    data = Dataset(pairs_of([*square, (3, 9)]), name="d")
    assert len(pre.k_core(data, 2, 2)) == 4 and pre.k_core(data, 2, 2).name == "d"


def test_implicit_from_explicit():
    liked = pre.implicit_from_explicit(RATED, 3)
    assert liked.ratings is None and liked.users.tolist() == ["a", "b"] and liked.items.tolist() == [7, 5]
    assert pre.implicit_from_explicit(Dataset(RATED, name="d"), 4).name == "d"


def test_events_become_weights():
    x = events(
        [(2, 8, "browse", 5), (1, 7, "browse", 1), (1, 7, "click", 9), (1, 7, "browse", 3), (2, 7, "buy", 4)]
    )
    summed = pre.weigh_events(x)
    assert list(summed.to_frame()) == ["user", "item", "timestamp", "weight"]
    assert summed.to_frame().to_numpy().tolist() == [[2, 8, 5, 1], [1, 7, 9, 4], [2, 7, 4, 5]]
    assert pre.weigh_events(x, aggregate="max").extra["weight"].tolist() == [1, 2, 5]
    own = pre.weigh_events(x, {"browse": 0, "click": 0.5, "buy": 1})
    assert own.extra["weight"].tolist() == [0, 0.5, 1]
    assert pre.EVENT_WEIGHTS == {"browse": 1, "click": 2, "cart": 3, "buy": 5}
    timeless = events([(1, 1, "buy"), (1, 1, "buy")], ["user", "item", "event"])
    assert pre.weigh_events(timeless).timestamps is None
    assert pre.weigh_events(Dataset(x, name="d")).name == "d"


# ---------------------------------------------------------------- the matrix


def test_matrix_by_hand_and_zero_is_not_unknown():
    X, known = pre.interaction_matrix(RATED)
    assert X.toarray().tolist() == [[0, 3], [4, 0]]  # rows b, a; columns 7, 5
    assert known.toarray().tolist() == [[True, True], [True, False]]
    assert X.nnz == 3 and known.dtype == bool and X.dtype == np.float64
    np.testing.assert_array_equal(X.indices, known.indices)
    aligned, _ = pre.interaction_matrix(RATED, users=["a", "c", "b"], items=[5, 7])
    assert aligned.toarray().tolist() == [[0, 4], [0, 0], [3, 0]]
    ones, _ = pre.interaction_matrix(RATED, "one")
    assert ones.toarray().tolist() == [[1, 1], [1, 0]]
    weighed = pre.weigh_events(events([(1, 1, "buy", 0), (1, 1, "click", 0)]))
    assert pre.interaction_matrix(weighed)[0].toarray().tolist() == [[7]]
    assert pre.interaction_matrix(weighed, "weight")[0].toarray().tolist() == [[7]]


@given(PAIRS.map(lambda pairs: list(dict.fromkeys(pairs))))
def test_matrix_holds_each_row_once(pairs):
    x = pairs_of(pairs)
    X, known = pre.interaction_matrix(x)
    assert X.shape == (x.n_users, x.n_items) and X.nnz == known.nnz == len(x) == X.sum()
    assert known.has_sorted_indices and known[x.user_codes, x.item_codes].all()


# ---------------------------------------------------------------- scalers

NUMBERS = st.lists(st.floats(-1e6, 1e6).map(lambda v: round(v, 3)), min_size=1, max_size=20)


@pytest.mark.parametrize(
    "ours, theirs", [("MinMaxScaler", sk.MinMaxScaler), ("StandardScaler", sk.StandardScaler)]
)
@given(train=NUMBERS, test=NUMBERS)
def test_scalers_are_scikit_learns(ours, theirs, train, test):
    mine = getattr(pre, ours)().fit(train)
    other = theirs().fit(np.array(train)[:, None])
    for values in (train, test):
        found = mine.transform(values)
        assert found.shape == (len(values),)
        np.testing.assert_allclose(
            found, other.transform(np.array(values)[:, None])[:, 0], rtol=1e-6, atol=1e-6
        )
        np.testing.assert_allclose(mine.inverse_transform(found), values, rtol=1e-9, atol=1e-4)


def test_min_max_is_trains():
    scaler = pre.MinMaxScaler().fit([10, 20, 15])
    assert scaler.transform([10, 20, 12.5, 30, 0]).tolist() == [0, 1, 0.25, 2, -1]  # not clipped
    assert pre.MinMaxScaler(clip=True).fit([10, 20]).transform([30, 0, 15]).tolist() == [1, 0, 0.5]
    constant = pre.MinMaxScaler().fit([3, 3])
    assert constant.transform([3, 4]).tolist() == [0, 1]
    table = pre.MinMaxScaler().fit(pd.DataFrame({"a": [0, 2], "b": [5, 5]})).transform([[1, 5], [4, 6]])
    assert table.tolist() == [[0.5, 0], [2, 1]]


def test_standard_scaler():
    scaler = pre.StandardScaler().fit([1, 3])
    assert scaler.transform([1, 3, 5]).tolist() == [-1, 1, 3]
    assert pre.StandardScaler().fit([0.1, 0.1, 0.1]).transform([0.1]).tolist() == [0]


def test_missing_numbers():
    keep = pre.MinMaxScaler(missing="keep").fit([0, np.nan, 10])
    np.testing.assert_array_equal(keep.transform([5, np.nan]), [0.5, np.nan])
    mean = pre.MinMaxScaler(missing="mean").fit([0, np.nan, 4, 8])
    assert mean.transform([np.nan, 8]).tolist() == [0.5, 1]
    assert pre.StandardScaler(missing="mean").fit([0.0, None, 4.0]).transform(
        pd.array([None, 4], "Int64")
    ).tolist() == [0, 1]


# ---------------------------------------------------------------- encoders


def test_one_hot():
    encoder = pre.OneHot().fit(["F", "M", "F"])
    assert encoder.names("sex") == ["sex=F", "sex=M"]
    assert encoder.transform(["M", "F"]).tolist() == [[0, 1], [1, 0]]
    zero = pre.OneHot(unknown="zero").fit(["F", "M", None])
    assert zero.transform(["X", "F", None]).tolist() == [[0, 0], [1, 0], [0, 0]]
    own = pre.OneHot(unknown="own").fit(["F", "M"])
    assert own.names("sex") == ["sex=F", "sex=M", "sex=(unknown)"]
    assert own.transform(["X", "F", np.nan]).tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    assert pre.OneHot(categories=["M", "F"]).fit(["F"]).transform(["F"]).tolist() == [[0, 1]]
    assert pre.OneHot().fit([30, 4]).names("year") == ["year=4", "year=30"]


def test_multi_hot():
    encoder = pre.MultiHot().fit(["Comedy|War", "", "Drama"])
    assert encoder.names("genres") == ["genres=Comedy", "genres=Drama", "genres=War"]
    assert encoder.transform(["War|Comedy", "", "Drama|Drama"]).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    own = pre.MultiHot(", ", unknown="own").fit(["a, b"])
    assert own.transform(["b, x", "y, z", None]).tolist() == [[0, 1, 1], [0, 0, 1], [0, 0, 1]]
    assert pre.MultiHot(unknown="zero").fit(["a"]).transform(["a|x", None]).tolist() == [[1], [0]]
    dotted = pre.MultiHot(".").fit(["a.b"])  # a separator is no regular expression
    assert dotted.names("c") == ["c=a", "c=b"]


def test_ordinal():
    encoder = pre.Ordinal().fit(["b", "a", "b"])
    assert encoder.transform(["b", "a"]).tolist() == [1, 0] and encoder.names("x") == ["x"]
    ranks = pre.Ordinal(categories=["small", "large"], unknown="own").fit(["large"])
    assert ranks.transform(["large", "small", "huge", None]).tolist() == [1, 0, 2, 2]


@given(st.lists(st.sampled_from("abcde"), min_size=1), st.lists(st.sampled_from("abcdefg")))
def test_encoders_are_scikit_learns(train, test):
    column = np.array(train, object)[:, None]
    theirs = sk.OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(column)
    mine = pre.OneHot(unknown="zero").fit(train)
    many = pre.MultiHot(unknown="zero").fit(train)
    if test:
        expected = theirs.transform(np.array(test, object)[:, None])
        np.testing.assert_array_equal(mine.transform(test), expected)
        np.testing.assert_array_equal(many.transform(test), expected)
    codes = sk.OrdinalEncoder().fit_transform(column)[:, 0]
    np.testing.assert_array_equal(pre.Ordinal().fit(train).transform(train), codes)


# ---------------------------------------------------------------- tables of features

FILMS = pd.DataFrame(
    {"year": [1970, 1990, 1980, 2020], "genres": ["A|B", "B", "A", "C"]},
    index=pd.Index([11, 12, 13, 14], name="item"),
)


def films(**encoders) -> pre.FeatureTable:
    return pre.FeatureTable(encoders or {"year": pre.MinMaxScaler(), "genres": pre.MultiHot(unknown="zero")})


def test_feature_table_is_named_aligned_and_trains_alone():
    features = films().fit(FILMS, ids=[12, 11, 11, 13])
    X = features.transform(FILMS, ids=[14, 11, 14])
    assert list(X) == ["year", "genres=A", "genres=B"] and X.index.tolist() == [14, 11, 14]
    assert X.to_numpy().tolist() == [[2.5, 0, 0], [0, 1, 1], [2.5, 0, 0]]  # 2020 and C were not in train
    assert X.dtypes.unique().tolist() == [np.float64]
    assert films().fit(FILMS).transform(FILMS).index.equals(FILMS.index)
    mixed = films(genres=pre.Ordinal(), year=pre.StandardScaler()).fit(FILMS).transform(FILMS)
    assert list(mixed) == ["genres", "year"] and mixed["genres"].tolist() == [1, 2, 0, 3]


# ---------------------------------------------------------------- bad input

TWICE = pairs_of([(1, 1), (1, 1)])
BAD = {
    "clean: a list": (lambda: pre.clean([1]), TypeError, ["list", "DataFrame"]),
    "clean: column": (lambda: pre.clean(DIRTY, required=["stars"]), ValueError, ["`stars`", "rating"]),
    "clean: range": (lambda: pre.clean(DIRTY, ranges={"rating": (5, 1)}), ValueError, ["rating", "(5, 1)"]),
    "clean: text": (lambda: pre.clean(DIRTY, ranges={"user": (1, 5)}), ValueError, ["`user`", "to_numeric"]),
    "clean: reason": (lambda: pre.clean(DIRTY.assign(reason=1)), ValueError, ["`reason`", "rename"]),
    "clean: nothing left": (
        lambda: pre.clean(DIRTY, ranges={"rating": (60, 70)}),
        ValueError,
        ["nothing is left", "rating below 60"],
    ),
    "clean: scale": (lambda: pre.clean(DIRTY, scale=(5, 1)), ValueError, ["`scale`", "(5, 1)", "(1, 5)"]),
    "clean: scale of nothing": (
        lambda: pre.clean(DIRTY[["user", "item"]], scale=(1, 5)),
        ValueError,
        ["`scale=(1, 5)`", "no column", "rating="],
    ),
    "clean: a name twice": (
        lambda: pre.clean(pd.concat([DIRTY, DIRTY[["user"]]], axis=1)),
        ValueError,
        ["`user`", "more than once"],
    ),
    "clean: empty": (lambda: pre.clean(DIRTY[:0]), ValueError, ["the table is empty"]),
    "deduplicate": (lambda: pre.deduplicate(TWICE, "first"), ValueError, ["`keep`", "'first'", "'last'"]),
    "deduplicate an array": (lambda: pre.deduplicate(DIRTY.to_numpy()), TypeError, ["ndarray", "from_frame"]),
    "k_core: negative": (lambda: pre.k_core(RATED, user=-1), ValueError, ["`user` is -1"]),
    "k_core: half": (lambda: pre.k_core(RATED, item=1.5), ValueError, ["`item` is 1.5"]),
    "k_core: nothing": (
        lambda: pre.k_core(RATED, 3, 1),
        ValueError,
        ["user=3", "at most 2 items", "2 users"],
    ),
    "implicit: no ratings": (
        lambda: pre.implicit_from_explicit(TWICE, 3),
        ValueError,
        ["ratings", "rating="],
    ),
    "implicit: too high": (lambda: pre.implicit_from_explicit(RATED, 5), ValueError, ["5", "4.0", "lower"]),
    "implicit: NaN": (lambda: pre.implicit_from_explicit(RATED, np.nan), ValueError, ["nan"]),
    "weigh: no events": (lambda: pre.weigh_events(RATED), ValueError, ["`event`", "'keep'"]),
    "weigh: unknown event": (
        lambda: pre.weigh_events(events([(1, 1, "buy", 0), (1, 1, "gift", 0)])),
        ValueError,
        ["row 1", "'gift'", "'buy'"],
    ),
    "weigh: weight": (
        lambda: pre.weigh_events(events([(1, 1, "buy", 0)]), {"buy": np.inf}),
        ValueError,
        ["'buy'", "inf"],
    ),
    "weigh: aggregate": (
        lambda: pre.weigh_events(events([(1, 1, "buy", 0)]), aggregate="mean"),
        ValueError,
        ["`aggregate`", "'mean'", "'max'"],
    ),
    "matrix: twice": (
        lambda: pre.interaction_matrix(TWICE),
        ValueError,
        ["row 1", "deduplicate", "weigh_events"],
    ),
    "matrix: column": (lambda: pre.interaction_matrix(RATED, "weight"), ValueError, ["'weight'", "'one'"]),
    "matrix: no ratings": (lambda: pre.interaction_matrix(TWICE, "rating"), ValueError, ["ratings"]),
    "matrix: text": (
        lambda: pre.interaction_matrix(events([(1, 1, "buy", 0)]), "event"),
        ValueError,
        ["'event'", "numbers"],
    ),
    "matrix: unknown": (
        lambda: pre.interaction_matrix(RATED, users=["b"]),
        UnknownIdError,
        ["user 'a'", "`users`"],
    ),
    "scaler: text": (
        lambda: pre.MinMaxScaler().fit(["a"]),
        ValueError,
        ["MinMaxScaler", "no column of numbers"],
    ),
    "scaler: NaN": (lambda: pre.MinMaxScaler().fit([1, np.nan]), ValueError, ["row 1", "missing='mean'"]),
    "scaler: NaN in test": (
        lambda: pre.StandardScaler().fit([1, 2]).transform([np.nan]),
        ValueError,
        ["StandardScaler", "row 0", "'keep'"],
    ),
    "scaler: infinite": (
        lambda: pre.MinMaxScaler(missing="keep").fit([1, -np.inf]),
        ValueError,
        ["row 1 is infinite"],
    ),
    "scaler: nothing": (lambda: pre.MinMaxScaler(missing="mean").fit([np.nan]), ValueError, ["column 0"]),
    "scaler: empty": (lambda: pre.MinMaxScaler().fit(np.zeros(0)), ValueError, ["holds no number"]),
    "scaler: width": (
        lambda: pre.MinMaxScaler().fit([[1, 2]]).transform([1]),
        ValueError,
        ["fitted on 2 columns", "given 1"],
    ),
    "scaler: missing": (
        lambda: pre.MinMaxScaler(missing="zero"),
        ValueError,
        ["`missing`", "'zero'", "'mean'"],
    ),
    "scaler: unfitted": (lambda: pre.MinMaxScaler().transform([1]), NotFittedError, ["MinMaxScaler", ".fit"]),
    "encoder: unfitted": (lambda: pre.OneHot().transform(["a"]), NotFittedError, ["OneHot", ".fit"]),
    "one-hot: unknown": (
        lambda: pre.OneHot().fit(["a"]).transform(["a", "b"]),
        ValueError,
        ["row 1", "'b' is unknown", "'zero' or 'own'"],
    ),
    "one-hot: missing": (lambda: pre.OneHot().fit(["a", None]), ValueError, ["row 1", "is missing"]),
    "one-hot: kinds": (lambda: pre.OneHot().fit(["a", 1]), ValueError, ["several kinds", "astype(str)"]),
    "one-hot: empty": (lambda: pre.OneHot(unknown="zero").fit([None]), ValueError, ["no category"]),
    "one-hot: option": (lambda: pre.OneHot(unknown="nan"), ValueError, ["`unknown`", "'nan'"]),
    "one-hot: categories": (lambda: pre.OneHot(["a", "a"]), ValueError, ["`categories`", "different"]),
    "one-hot: a table": (lambda: pre.OneHot().fit(DIRTY), ValueError, ["one column", "2 dimensions"]),
    "multi-hot: number": (lambda: pre.MultiHot().fit(["a", 3]), ValueError, ["row 1", "3", "Comedy|War"]),
    "multi-hot: unknown": (
        lambda: pre.MultiHot().fit(["a|b"]).transform(["b", "a|x"]),
        ValueError,
        ["row 1", "'x' is unknown"],
    ),
    "ordinal: zero": (lambda: pre.Ordinal(unknown="zero"), ValueError, ["'zero'", "'own'"]),
    "ordinal: unknown": (
        lambda: pre.Ordinal().fit(["a"]).transform(["b"]),
        ValueError,
        ["'b'", "unknown='own'"],
    ),
    "features: none": (lambda: pre.FeatureTable({}), TypeError, ["column → encoder"]),
    "features: class": (lambda: pre.FeatureTable({"a": pre.OneHot}), TypeError, ["columns['a']", "OneHot()"]),
    "features: column": (lambda: films(age=pre.OneHot()).fit(FILMS), ValueError, ["`age`", "year"]),
    "features: value": (
        lambda: films(genres=pre.OneHot()).fit(FILMS, [11]).transform(FILMS),
        ValueError,
        ["column `genres`", "row 1", "'B'"],
    ),
    "features: id": (lambda: films().fit(FILMS).transform(FILMS, [11, 99]), UnknownIdError, ["99", "no row"]),
    "features: train's id": (lambda: films().fit(FILMS, [99]), UnknownIdError, ["99"]),
    "features: unfitted": (lambda: films().transform(FILMS), NotFittedError, ["FeatureTable"]),
    "features: repeats": (lambda: films().fit(FILMS.iloc[[0, 0]]), ValueError, ["id 11", "more than once"]),
    "features: array": (lambda: films().fit(FILMS.to_numpy()), TypeError, ["ndarray", "indexed by id"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    call, error, parts = BAD[case]
    with pytest.raises(error) as caught:
        call()
    assert caught.type is error
    for part in parts:
        assert part in str(caught.value), f"{part!r} is not in: {caught.value}"

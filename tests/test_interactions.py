"""The containers: what comes in is checked at the door, what goes out is in the caller's own ids."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbook.interactions import Dataset, IdIndex, Interactions, as_interactions
from tests.bad_inputs import refuses

TABLE = pd.DataFrame(
    {
        "user": ["Ann", "Bob", "Ann", "Cem"],
        "item": [30, 10, 10, 20],
        "rating": [5.0, 3.0, 4.0, 1.0],
        "timestamp": [40, 10, 20, 30],
    }
)


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({"user": [1, 2], "item": [1, 2], **columns})


# ---------------------------------------------------------------- in and out


def test_columns_come_in_and_go_out_in_order():
    mixed = TABLE.assign(event="click", weight=2.0)[
        ["weight", "timestamp", "item", "event", "rating", "user"]
    ]
    x = Interactions.from_frame(mixed)
    assert len(x) == 4 and (x.n_users, x.n_items) == (3, 3)
    assert list(x.to_frame()) == ["user", "item", "rating", "timestamp", "weight", "event"]
    pd.testing.assert_frame_equal(x.to_frame()[list(TABLE)], TABLE)
    assert x.user_ids.tolist() == ["Ann", "Bob", "Cem"] and x.item_ids.tolist() == [30, 10, 20]
    assert x.user_codes.tolist() == [0, 1, 0, 2] and x.item_codes.tolist() == [0, 1, 1, 2]
    assert x.users.dtype == object and x.items.dtype == np.int64
    assert x.ratings.dtype == np.float64 and x.timestamps.dtype == np.int64
    assert repr(x) == "4 interactions of 3 users and 3 items, with ratings, timestamps, weight, event"


def test_names_of_columns_are_the_callers():
    renamed = TABLE.rename(columns={"user": "who", "item": "what", "rating": "stars", "timestamp": "when"})
    x = Interactions.from_frame(renamed, user="who", item="what", rating="stars", timestamp="when")
    pd.testing.assert_frame_equal(x.to_frame(), TABLE)


def test_ratings_and_times_may_be_absent_or_declined():
    bare = Interactions.from_frame(TABLE[["user", "item"]])
    assert bare.ratings is None and bare.timestamps is None and list(bare.to_frame()) == ["user", "item"]
    declined = Interactions.from_frame(TABLE, rating=None)
    assert declined.ratings is None and declined.extra["rating"].tolist() == TABLE.rating.tolist()


@pytest.mark.parametrize(
    "ids, dtype",
    [
        ([3, 1], np.int64),
        (np.array([3, 1], np.uint8), np.int64),
        (np.array([3, 1], np.int32), np.int64),
        (pd.array([3, 1], "Int64"), np.int64),
        (pd.Series([3, 1], dtype=object), np.int64),
        (["b", "a"], str),
        (pd.Series(["b", "a"], dtype=object), str),
        (pd.Categorical(["b", "a"]), str),
        (pd.Categorical([3, 1]), np.int64),
        (["é", "数据"], str),
    ],
)
def test_kinds_of_ids(ids, dtype):
    x = Interactions.from_frame(pd.DataFrame({"user": ids, "item": [1, 2]}))
    assert x.user_ids.dtype == (object if dtype is str else dtype)
    assert all(type(one) is (str if dtype is str else int) for one in x.user_ids.tolist())
    assert x.user_ids.tolist() == list(ids)


def test_the_index_of_the_table_does_not_matter():
    odd = TABLE.set_axis([7, 7, 0, -1])
    pd.testing.assert_frame_equal(Interactions.from_frame(odd).to_frame(), TABLE)


def test_an_integer_is_never_a_string():
    index = IdIndex(np.array([50, 181]))
    assert index.codes([181, 50, 7]).tolist() == [1, 0, -1]
    assert index.codes(["50", "181"]).tolist() == [-1, -1]
    assert index.codes([]).tolist() == [] and index.codes([[50], [7]]).tolist() == [[0], [-1]]
    assert IdIndex(np.array(["50"])).codes([50]).tolist() == [-1]


@pytest.mark.parametrize(
    "times, expected",
    [
        (pd.to_datetime(["1970-01-02", "1970-01-01"]), [86400, 0]),
        (pd.to_datetime(["1970-01-01 01:00+01:00", "1970-01-01 00:00+00:00"], utc=True), [0, 0]),
        (pd.to_datetime(["1970-01-01 02:00", "1970-01-01 01:00"]).tz_localize("Europe/Berlin"), [3600, 0]),
        ([2.0, 1.0], [2, 1]),
        ([2**60 + 1, 2**60], [2**60 + 1, 2**60]),
    ],
)
def test_times(times, expected):
    assert Interactions.from_frame(frame(timestamp=times)).timestamps.tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, unique=True))
def test_codes_point_at_ids_and_ids_stand_in_order_of_first_appearance(pairs):
    x = Interactions.from_frame(pd.DataFrame(pairs, columns=["user", "item"]))
    assert list(zip(x.users.tolist(), x.items.tolist(), strict=True)) == pairs
    assert x.user_ids[x.user_codes].tolist() == x.users.tolist()
    assert x.item_ids[x.item_codes].tolist() == x.items.tolist()
    assert x.user_ids.tolist() == list(dict.fromkeys(u for u, _ in pairs))
    assert x.item_index.codes(x.items).tolist() == x.item_codes.tolist()


# ---------------------------------------------------------------- rows


def test_take_keeps_the_order_asked_for_and_recodes():
    x = Interactions.from_frame(TABLE.assign(event=list("abcd")))
    part = x.take([3, 0])
    assert part.users.tolist() == ["Cem", "Ann"] and part.user_ids.tolist() == ["Cem", "Ann"]
    assert part.ratings.tolist() == [1, 5] and part.extra["event"].tolist() == ["d", "a"]
    assert x.take(x.ratings > 3).items.tolist() == [30, 10]
    assert len(x.take(np.zeros(4, bool))) == 0
    assert x.take([0]).take([0]).timestamps.tolist() == [40]


def test_duplicates():
    table = pd.DataFrame(
        {
            "user": [1, 1, 2, 1],
            "item": [5, 5, 5, 6],
            "rating": [2.0, 4.0, 1.0, 3.0],
            "timestamp": [9, 3, 1, 1],
        }
    )
    with pytest.raises(
        ValueError, match=r"row 1: user 1 and item 5.*1 such rows.*on_duplicate='last' or 'mean'"
    ):
        Interactions.from_frame(table)
    last = Interactions.from_frame(table, on_duplicate="last")
    assert last.ratings.tolist() == [2, 1, 3]  # the latest by the clock is row 0
    by_row = Interactions.from_frame(table.drop(columns="timestamp"), on_duplicate="last")
    assert by_row.ratings.tolist() == [4, 1, 3]
    mean = Interactions.from_frame(table, on_duplicate="mean")
    assert mean.ratings.tolist() == [3, 1, 3] and mean.timestamps.tolist() == [9, 1, 1]
    kept = Interactions.from_frame(table, on_duplicate="keep")  # events: every row is one
    pd.testing.assert_frame_equal(kept.to_frame(), table, check_dtype=False)
    unrated = Interactions.from_frame(table[["user", "item"]], on_duplicate="mean")
    assert len(unrated) == 3 and unrated.ratings is None


# ---------------------------------------------------------------- Dataset


def test_a_dataset_keeps_its_tables_when_rows_are_taken():
    x = Interactions.from_frame(TABLE)
    items = pd.DataFrame({"title": ["Ten", "Twenty"]}, index=[10, 20])
    data = Dataset(x, items=items, content={"vector": np.zeros((2, 3))}, name="small", source="here")
    part = data.take([0, 2])
    assert part.interactions.users.tolist() == ["Ann", "Ann"] and part.items is data.items
    assert part.name == "small" and part.content["vector"].shape == (2, 3)
    assert len(part) == 2 and len(data) == 4
    assert repr(part) == f"small: {part.interactions!r}"
    assert as_interactions(data) is x and as_interactions(x) is x


# ---------------------------------------------------------------- what is refused

X = Interactions.from_frame(TABLE)

BAD = {
    "no table": (lambda: Interactions.from_frame([(1, 2)]), TypeError, ("`df`", "list", "pd.DataFrame")),
    "empty": (lambda: Interactions.from_frame(TABLE[:0]), ValueError, ("empty", "at least one")),
    "no user": (
        lambda: Interactions.from_frame(TABLE.drop(columns="user")),
        ValueError,
        ("`user='user'`", "no column", "'item', 'rating'"),
    ),
    "no item of that name": (
        lambda: Interactions.from_frame(TABLE, item="film"),
        ValueError,
        ("`item='film'`",),
    ),
    "user None": (
        lambda: Interactions.from_frame(TABLE, user=None),
        ValueError,
        ("`user=None`", "no column"),
    ),
    "no rating of that name": (
        lambda: Interactions.from_frame(TABLE, rating="stars"),
        ValueError,
        ("`rating='stars'`", "no column"),
    ),
    "option": (
        lambda: Interactions.from_frame(TABLE, on_duplicate="first"),
        ValueError,
        ("`on_duplicate`", "'first'", "'last', 'mean'"),
    ),
    "missing id": (
        lambda: Interactions.from_frame(frame(user=["a", None])),
        ValueError,
        ("column `user`", "row 1", "missing", "dropna"),
    ),
    "NaN id": (
        lambda: Interactions.from_frame(frame(item=[np.nan, 1])),
        ValueError,
        ("column `item`", "row 0"),
    ),
    "real id": (
        lambda: Interactions.from_frame(frame(item=[1.5, 2])),
        ValueError,
        ("`item`", "1.5", "astype(int)"),
    ),
    "truth id": (
        lambda: Interactions.from_frame(frame(user=[True, False])),
        ValueError,
        ("`user`", "true/false"),
    ),
    "mixed ids": (
        lambda: Interactions.from_frame(frame(user=[1, "a"])),
        ValueError,
        ("`user`", "row 1", "'a'", "str", "int", "astype(str)"),
    ),
    "object id": (
        lambda: Interactions.from_frame(frame(user=[1, (2, 3)])),
        ValueError,
        ("`user`", "row 1", "tuple"),
    ),
    "huge id": (
        lambda: Interactions.from_frame(frame(user=np.array([1, 2**64 - 1], np.uint64))),
        ValueError,
        ("`user`", "row 1", "2**63", "strings"),
    ),
    "huge id as an object": (
        lambda: Interactions.from_frame(frame(user=pd.Series([1, 2**70], dtype=object))),
        ValueError,
        ("`user`", "row 1", "2**63", "strings"),
    ),
    "NaN rating": (
        lambda: Interactions.from_frame(frame(rating=[1, np.nan])),
        ValueError,
        ("`rating`", "row 1", "nan", "drop"),
    ),
    "missing rating": (
        lambda: Interactions.from_frame(frame(rating=pd.array([1, None], "Int64"))),
        ValueError,
        ("`rating`", "row 1", "no rating"),
    ),
    "infinite rating": (
        lambda: Interactions.from_frame(frame(rating=[-np.inf, 1])),
        ValueError,
        ("`rating`", "row 0", "infinite"),
    ),
    "text rating": (
        lambda: Interactions.from_frame(frame(rating=["5", "4"])),
        ValueError,
        ("`rating`", "not numbers", "pd.to_numeric"),
    ),
    "text time": (
        lambda: Interactions.from_frame(frame(timestamp=["1970", "1971"])),
        ValueError,
        ("`timestamp`", "not times", "pd.to_datetime"),
    ),
    "no time": (
        lambda: Interactions.from_frame(frame(timestamp=[pd.NaT, pd.Timestamp(0)])),
        ValueError,
        ("`timestamp`", "row 0", "timestamp=None"),
    ),
    "infinite time": (
        lambda: Interactions.from_frame(frame(timestamp=[1.0, np.inf])),
        ValueError,
        ("`timestamp`", "row 1", "no time"),
    ),
    "two columns of a name": (
        lambda: Interactions.from_frame(pd.concat([TABLE, TABLE.user], axis=1)),
        ValueError,
        ("`user`", "more than once"),
    ),
    "dataset of a table": (lambda: Dataset(TABLE), TypeError, ("`interactions`", "DataFrame", "from_frame")),
    "double row in a table": (
        lambda: Dataset(X, items=pd.DataFrame({"a": [1, 2]}, index=[10, 10])),
        ValueError,
        ("table `items`", "id 10", "more than once"),
    ),
    "content without items": (
        lambda: Dataset(X, content={"text": ["a"]}),
        ValueError,
        ("content `text`", "no `items` table"),
    ),
    "content of another length": (
        lambda: Dataset(X, items=pd.DataFrame(index=[10, 20]), content={"text": ["a"]}),
        ValueError,
        ("content `text`", "1 entries", "2 rows"),
    ),
    "neither": (lambda: as_interactions({"user": [1]}), TypeError, ("dict", "Interactions.from_frame")),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses(name):
    refuses(*BAD[name])

"""The containers: what comes in is checked at the door, what goes out is in the caller's own ids."""

import copy
import datetime
import pickle
import tracemalloc
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recbook import splits
from recbook.interactions import Dataset, IdIndex, Interactions, as_interactions, join_times
from tests.helpers.bad_inputs import refuses

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


# ---------------------------------------------------------------- all that is wrong with a table


def dirty() -> pd.DataFrame:
    """As it stands after `dropna` and `concat`: labels that are no row numbers, and a fault of each kind."""
    columns = {
        "customer": ["a", "b", None, "a", "c"],
        "film": [1, 2, 3, 1, 2],
        "stars": [5.0, 11.0, 3.0, np.nan, np.inf],
        "when": ["2024-01-05"] * 5,
    }
    return pd.DataFrame(columns, index=[10, 20, 30, 70, 80])


NAMED = {"user": "customer", "item": "film", "rating": "stars", "timestamp": "when"}


def test_all_that_is_wrong_with_a_table_is_said_together():
    with pytest.raises(ValueError) as caught:
        Interactions.from_frame(dirty(), **NAMED, scale=(1, 5))
    first, *lines = str(caught.value).splitlines()
    assert first == "the table has 6 faults:"
    expected = [
        ("`customer`", "row 2 (label 30): the id is missing", "dropna(subset=['customer'])"),
        ("`stars`", "row 3 (label 70)", "is no rating"),
        ("`stars`", "row 4 (label 80)", "is infinite"),
        ("`stars`", "row 1 (label 20): 11.0", "scale from 1 to 5", "clean"),
        ("`when`", "not times", "pd.to_datetime(df['when'])"),
        ("row 3 (label 70): user 'a' and item 1 stand together", "on_duplicate"),
    ]
    assert len(lines) == len(expected)
    for number, (line, words) in enumerate(zip(lines, expected, strict=True), start=1):
        assert line.startswith(f"  {number}. ") and all(word in line for word in words), line


def test_columns_that_are_not_there_are_said_with_what_is_wrong_in_the_others():
    with pytest.raises(ValueError, match="2 faults") as caught:
        Interactions.from_frame(dirty(), user="client", item="customer", rating=None, timestamp=None)
    assert "user='client'" in str(caught.value) and "row 2 (label 30)" in str(caught.value)


def test_one_fault_is_its_own_message_and_a_plain_index_has_no_labels():
    with pytest.raises(ValueError, match=r"^column `stars`, row 1: 11\.0 is outside the scale"):
        good = dirty().iloc[:2].reset_index(drop=True)
        Interactions.from_frame(good, **(NAMED | {"timestamp": None}), scale=(1, 5))


def test_rows_are_named_by_their_labels():
    """Where rows were taken out before, their numbers say little."""
    table = pd.DataFrame({"user": range(100), "item": [7] * 100, "rating": 3.0})
    table.loc[70, "rating"] = np.nan
    left = table.drop(index=[0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"row 66 \(label 70\): nan is no rating"):
        Interactions.from_frame(left)
    left.index = left.index.astype(str)
    left.loc["90", "rating"] = np.nan
    with pytest.raises(ValueError, match=r"row 66 \(label '70'\) and 1 more: nan is no rating"):
        Interactions.from_frame(left)
    left["user"] = left.user.astype(object).where(left.index != "50", 1.5)
    with pytest.raises(ValueError, match=r"row 46 \(label '50'\): 1\.5 is a float"):
        Interactions.from_frame(left.drop(columns="rating"))


def test_behind_a_missing_id_or_time_the_rest_is_checked_under_its_own_number():
    ids = pd.Series([None, "a", 7, "b"], index=[9, 8, 7, 6], dtype=object)
    table = pd.DataFrame({"user": ids, "item": [1, 2, 3, 4], "timestamp": [np.nan, 1.0, 2.0, np.inf]})
    with pytest.raises(ValueError, match="4 faults") as caught:
        Interactions.from_frame(table)
    for words in (
        "row 0 (label 9): the id is missing",
        "row 2 (label 7): 7 is a int, row 1 (label 8) is a str",
        "row 0 (label 9): nan is no time",
        "row 3 (label 6): inf is no time",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize("scale", [(5, 1), (1, 1), (1,), 5, "15", (1, np.inf), (np.nan, 5), (True, 5)])
def test_a_scale_is_two_numbers(scale):
    refuses(lambda: Interactions.from_frame(TABLE, scale=scale), ValueError, ("`scale`", "(1, 5)"))


def test_a_scale_is_held_to_and_needs_ratings():
    x = Interactions.from_frame(TABLE, scale=(1, 5))
    pd.testing.assert_frame_equal(x.to_frame(), Interactions.from_frame(TABLE).to_frame())
    refuses(lambda: Interactions.from_frame(TABLE, scale=(2, 5)), ValueError, ("1.0 is outside", "2 to 5"))
    bare = TABLE[["user", "item"]]
    refuses(lambda: Interactions.from_frame(bare, scale=(1, 5)), ValueError, ("`scale=(1, 5)`", "no column"))


def test_the_constructor_says_all_together_too():
    users, items = pd.Series(["a", None], index=["x", "y"]), [1.5, 2.5]
    with pytest.raises(ValueError, match="2 faults") as caught:
        Interactions(users, items)
    assert "`users`, row 1 (label 'y')" in str(caught.value) and "`items`" in str(caught.value)


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


# ---------------------------------------------------------------- times keep what they came with

T = pd.Timestamp("2024-01-01")
EARLIER = [900, 100, 500]  # of each unit, in the order of the rows
SHUFFLED = [1, 2, 0]


def at(unit: str, dtype: str | None = None) -> pd.Series:
    return pd.Series([T.as_unit("ns") + pd.Timedelta(n, unit) for n in EARLIER], dtype=dtype)


TIMES = {
    "seconds": at("s"),
    "milliseconds": at("ms"),
    "microseconds": at("us"),
    "nanoseconds": at("ns"),
    "milliseconds in their own unit": at("ms", "datetime64[ms]"),
    "microseconds in their own unit": at("us", "datetime64[us]"),
    "with a time zone": at("us").dt.tz_localize("Asia/Tokyo"),
    "Python's own": pd.Series(
        [T.to_pydatetime() + datetime.timedelta(microseconds=n) for n in EARLIER], dtype=object
    ),
    "Python's own with a time zone": pd.Series(
        [datetime.datetime(2024, 1, 1, microsecond=n, tzinfo=datetime.UTC) for n in EARLIER],
        dtype=object,
    ),
    "days": pd.Series([datetime.date(2024, 1, n) for n in (9, 1, 5)], dtype=object),
    "real numbers": pd.Series([1704067200.9, 1704067200.1, 1704067200.5]),
    "small real numbers": pd.Series([0.9, 0.1, 0.5], dtype="float32"),
    "NumPy's other order of bytes": pd.Series(np.array([0.9, 0.1, 0.5], ">f8")),
    "nullable": pd.Series([0.9, 0.1, 0.5], dtype="Float64"),
    "large whole numbers": pd.Series([2**62 + 9, 2**62 + 1, 2**62 + 5]),
    "whole numbers without sign": pd.Series([9, 1, 5], dtype="uint64"),
    "Python's whole numbers": pd.Series([2**62 + 9, 2**62 + 1, 2**62 + 5], dtype=object),
}


@pytest.mark.parametrize("name", TIMES)
def test_times_keep_their_order_and_their_precision(name):
    given = TIMES[name]
    table = pd.DataFrame({"user": 1, "item": [7, 8, 9], "rating": [1.0, 2.0, 3.0], "timestamp": given})
    x = Interactions.from_frame(table)
    assert np.argsort(x.timestamps).tolist() == SHUFFLED and len(np.unique(x.timestamps)) == 3
    assert splits.leave_last_out(x)[1].items.tolist() == [7]
    assert splits.temporal_split(x, test_size=0.3)[1].items.tolist() == [7]
    again = Interactions.from_frame(x.to_frame())
    assert again.timestamps.dtype == x.timestamps.dtype
    assert again.timestamps.tolist() == x.take([0, 1, 2]).timestamps.tolist() == x.timestamps.tolist()
    same = Interactions.from_frame(table.assign(item=7), on_duplicate="last")
    assert same.ratings.tolist() == [1.0]
    direct = Interactions(x.users, x.items, timestamps=given)
    assert direct.timestamps.tolist() == x.timestamps.tolist()


def test_times_are_numbers_of_seconds_wherever_these_say_it():
    def kept(times) -> np.ndarray:
        return Interactions.from_frame(frame(timestamp=times)).timestamps

    first = T.timestamp()
    assert kept([T, T + pd.Timedelta(1500, "ms")]).tolist() == [first, first + 1.5]
    assert kept([T, T + pd.Timedelta(3, "us")]).dtype == np.float64
    assert kept([T, T + pd.Timedelta(3, "s")]).dtype == np.int64
    assert kept([T, T + pd.Timedelta(1, "ns")]).dtype == "datetime64[ns]"
    assert kept([1.5, 1.2]).tolist() == [1.5, 1.2] and kept([2.0**53, 1.0]).tolist() == [2**53, 1]
    before = pd.Timestamp("1969-12-31 23:59:59.25")
    assert kept([before, T]).tolist() == [-0.75, first]


@pytest.mark.parametrize(
    "times, parts",
    [
        (np.array([1, 2**63], np.uint64), ("row 1", "2**63 - 1")),
        (pd.Series([1, 2**70], dtype=object), ("row 1", "2**63 - 1")),
        (pd.period_range("2024-01", periods=2, freq="M"), ("period[M]", "to_timestamp()")),
        (pd.to_timedelta([1, 2], "s"), ("timedelta", "total_seconds()")),
        ([True, False], ("bool",)),
        ([1j, 2j], ("complex",)),
        (["2024-01-01", "2024-01-02"], ("not times", "pd.to_datetime")),
        ([datetime.date(2024, 1, 1), 7], ("object", "pd.to_datetime")),
        (
            pd.Series([datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)]),
            ("row 1", "has a time zone", "utc=True"),
        ),
        (pd.Series([T, pd.NaT]), ("row 1", "is no time")),
    ],
)
def test_what_is_no_time_is_named(times, parts):
    refuses(lambda: Interactions.from_frame(frame(timestamp=times)), ValueError, ("`timestamp`", *parts))


def test_times_of_two_kinds_are_joined_in_their_order():
    fine = Interactions.from_frame(frame(timestamp=[T, T + pd.Timedelta(1, "ns")])).timestamps
    coarse = Interactions.from_frame(frame(timestamp=[T, T + pd.Timedelta(1500, "ms")])).timestamps
    assert (fine.dtype.kind, coarse.dtype.kind) == ("M", "f")
    for parts in ((fine, coarse), (coarse, fine)):
        joined = join_times(*parts)
        assert len(joined) == 4
        assert (joined.max() - joined.min()) == np.timedelta64(1500, "ms")
    assert join_times(coarse, coarse).dtype == np.float64
    assert join_times(None, fine) is None and join_times(fine, None) is None


# ---------------------------------------------------------------- a further column is called as it likes

NAMES = [
    "ratings",
    "timestamps",
    "users",
    "items",
    "extra",
    "self",
    "rows",
    7,
    ("a", "b"),
    1.5,
    "1",
    1,
    "user_1",
]


def named_alike() -> pd.DataFrame:
    table = TABLE.rename(columns={"user": "uid", "item": "iid", "rating": "stars", "timestamp": "when"})
    further = {name: [10 * n + row for row in range(4)] for n, name in enumerate([*NAMES, *TABLE])}
    return pd.concat([table, pd.DataFrame(further)], axis=1)


def test_a_further_column_is_called_as_it_likes():
    x = Interactions.from_frame(named_alike(), user="uid", item="iid", rating="stars", timestamp="when")
    assert list(x.extra) == [*NAMES, *TABLE]
    for side in (x, *splits.random_split(x, 0.25), x.take([3, 0]), pickle.loads(pickle.dumps(x))):
        out = side.to_frame()
        assert out.columns.is_unique and len(out.columns) == 4 + len(NAMES) + 4
        row = [TABLE.timestamp.tolist().index(time) for time in side.timestamps]
        assert out[list(TABLE)].to_dict("list") == TABLE.iloc[row].to_dict("list")
        for n, name in enumerate([*NAMES, *TABLE]):
            expected = [10 * n + one for one in row]
            assert side.extra[name].tolist() == expected
            shown = "user_2" if name == "user" else f"{name}_1" if name in list(TABLE) else name
            assert out[shown].tolist() == expected


def test_names_that_are_alike_as_text_are_two():
    x = Interactions.from_frame(frame(**{"1": [3, 4]}).assign(**{"x": 0}).rename(columns={"x": 1}))
    assert x.extra["1"].tolist() == [3, 4] and x.extra[1].tolist() == [0, 0]
    assert repr(x).endswith("with 1, 1")


# ---------------------------------------------------------------- nothing is shared


def arrays_of(x: Interactions) -> dict[str, np.ndarray]:
    mine = {name: getattr(x, name) for name in ("users", "items", "ratings", "timestamps")}
    mine |= {name: getattr(x, name) for name in ("user_ids", "item_ids", "user_codes", "item_codes")}
    return mine | dict(x.extra)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("by", ["frame", "constructor"])
def test_what_was_given_may_be_changed_afterwards(by, text):
    given = {
        "users": np.array([1, 1, 2]),
        "items": np.array([4, 5, 4]),
        "ratings": np.array([1.0, 2.0, 3.0]),
        "timestamps": np.array([7, 8, 9]),
        "extra": np.array([0.1, 0.2, 0.3]),
    }
    if text:
        given["users"] = np.array(["a", "a", "b"], object)
    *columns, further = given.values()
    if by == "frame":
        df = pd.DataFrame(dict(zip(TABLE, columns, strict=True)) | {"weight": further}, copy=False)
        x = Interactions.from_frame(df)
    else:
        x = Interactions(*columns, extra={"weight": further})
    before = {name: column.tolist() for name, column in arrays_of(x).items()}
    if by == "frame":
        for name in df:
            df.loc[:, name] = df[name].iloc[0]
    for column in given.values():
        column[:] = column[0]
    assert {name: column.tolist() for name, column in arrays_of(x).items()} == before
    assert x.user_ids[x.user_codes].tolist() == x.users.tolist()


@pytest.mark.parametrize(
    "way",
    [
        lambda x: x,
        lambda x: x.take([0, 1]),
        copy.copy,
        copy.deepcopy,
        lambda x: pickle.loads(pickle.dumps(x)),
    ],
)
def test_what_is_given_out_cannot_be_changed(way):
    x = way(Interactions.from_frame(TABLE.assign(event="click")))
    for name, column in arrays_of(x).items():
        with pytest.raises(ValueError, match="read-only"):
            column[0] = column[1]
        assert not column.flags.writeable, name
    with pytest.raises(ValueError, match="read-only"):
        x.item_ids.sort()
    with pytest.raises(TypeError):
        x.extra["event"] = None
    out = x.to_frame()
    out.loc[0, ["user", "rating"]] = ["Zoe", 9.0]
    assert x.users[0] == "Ann" and x.ratings[0] == 5


def test_tables_and_contents_of_a_dataset_are_its_own():
    items = pd.DataFrame({"title": ["Ten", "Twenty", "Thirty"]}, index=[10, 20, 30])
    users = pd.DataFrame({"age": [1, 2, 3]}, index=["Ann", "Bob", "Cem"])
    edges = pd.DataFrame({"from": ["Ann"], "to": ["Bob"]})
    vectors, contents, links = np.zeros((3, 2)), {}, {"friends": edges}
    contents["vector"] = vectors
    data = Dataset(Interactions.from_frame(TABLE), users=users, items=items, content=contents, links=links)
    items.loc[10, "title"], users.loc["Ann", "age"], edges.loc[0, "to"] = "?", 99, "?"
    contents.clear(), links.clear()
    assert data.items.title[10] == "Ten" and data.users.age["Ann"] == 1
    assert data.links["friends"].to[0] == "Bob"
    assert np.shares_memory(data.content["vector"], vectors), "large contents are not copied"
    with pytest.raises(ValueError, match="read-only"):
        data.content["vector"][0] = 1
    with pytest.raises(TypeError, match="expected Interactions"):
        data.with_interactions(TABLE.to_numpy())


def test_the_constructor_checks_what_a_table_is_checked_for():
    x = Interactions(["a", "b"], [1, 2], [1, 2], [T, T], {"event": ["x", "y"]})
    assert x.ratings.dtype == np.float64 and x.timestamps.tolist() == [T.timestamp()] * 2
    assert x.extra["event"].tolist() == ["x", "y"] and x.n_users == 2
    assert len(Interactions([], [])) == 0
    bad = [
        (([1, 2], [1]), ("`items`", "(1,)", "there are 2")),
        (([1, 2], [1, 2], [1.0]), ("`ratings`", "(1,)")),
        (([1, 2], [1, 2], [1.0, np.nan]), ("`ratings`", "row 1", "no rating")),
        (([1, 2], [1, 2], None, [1, 2, 3]), ("`timestamps`", "(3,)")),
        (([1, 2], [1, 2], None, None, {"event": [1]}), ("`event`", "(1,)")),
        (([1, None], [1, 2]), ("`users`", "row 1", "missing")),
        (([1.5, 2], [1, 2]), ("`users`", "real numbers")),
        ((np.eye(2, dtype=int), [1, 2]), ("`users`", "2 dimensions")),
        (([1, 2], [1, 2], np.eye(2)), ("`ratings`", "2 dimensions")),
    ]
    for arguments, parts in bad:
        refuses(lambda arguments=arguments: Interactions(*arguments), ValueError, parts)


def test_the_first_repeat():
    assert Interactions([1, 2, 1], [1, 1, 2]).first_repeat is None
    assert Interactions([1, 2, 1, 2], [1, 1, 1, 1]).first_repeat == 2


# ---------------------------------------------------------------- ids


def test_one_long_id_costs_no_more_than_itself():
    users = np.array([f"user{i % 20_000}" for i in range(200_000)], dtype=object)
    users[0] = "x" * 2000
    table = pd.DataFrame({"user": users, "item": np.arange(200_000) % 1000})
    tracemalloc.start()
    try:
        x = Interactions.from_frame(table, on_duplicate="keep")
        splits.random_split(x)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert x.users[0] == "x" * 2000


def test_ids_that_differ_by_a_nul_are_two():
    ids = ["a", "a\0", "", "\0", "a"]
    x = Interactions.from_frame(
        pd.DataFrame({"user": ids, "item": ids[::-1], "row": range(5)}), on_duplicate="keep"
    )
    assert x.user_ids.tolist() == ids[:4] and x.user_codes.tolist() == [0, 1, 2, 3, 0]
    assert x.user_index.codes(ids).tolist() == x.user_codes.tolist()
    assert x.user_index.codes(np.array(ids, object)).tolist() == x.user_codes.tolist()
    part = x.take([1, 4, 3])
    assert part.user_ids.tolist() == ["a\0", "a", "\0"] and part.to_frame().user.tolist() == [
        "a\0",
        "a",
        "\0",
    ]
    assert x.user_index.extended(np.array(["b\0", "a"], object), "user").ids.tolist() == [*ids[:4], "b\0"]


class Word(str):
    pass


@pytest.mark.parametrize(
    "ids, expected",
    [
        (np.array([3, 1], ">i8"), [3, 1]),
        (np.array([3, 0, 1, 0])[::2], [3, 1]),
        (np.array([3, 1], ">u2"), [3, 1]),
        (pd.array([3, 1], "UInt32"), [3, 1]),
        (pd.Series([np.int8(3), 1], dtype=object), [3, 1]),
        (range(3, 5), [3, 4]),
        (pd.array(["b", "a"], "string"), ["b", "a"]),
        (pd.Categorical([30, 10], categories=[10, 20, 30]), [30, 10]),
        (pd.Series([Word("b"), np.str_("a")], dtype=object), ["b", "a"]),
        (np.array(["b", "a"]), ["b", "a"]),
        (np.array(["b", "a"], ">U1"), ["b", "a"]),
    ],
)
def test_further_kinds_of_ids(ids, expected):
    for x in (
        Interactions.from_frame(pd.DataFrame({"user": ids, "item": [1, 2]})),
        Interactions(ids, [1, 2]),
    ):
        assert x.user_ids.tolist() == expected
        assert [type(one) for one in x.user_ids.tolist()] == [type(one) for one in expected]


@pytest.mark.parametrize(
    "ids, parts",
    [
        ([b"a", b"b"], ("row 0", "b'a'", "bytes", "decode")),
        (np.array([b"a", b"b"]), ("row 0", "bytes", "decode")),
        ([uuid.UUID(int=1), uuid.UUID(int=2)], ("row 0", "UUID", "astype(str)")),
        ([(1, 2), (3, 4)], ("row 0", "(1, 2)", "tuple", "astype(str)")),
        (["a", (3, 4)], ("row 1", "(3, 4)", "tuple", "astype(str)")),
        (["a", 1.5], ("row 1", "1.5", "float")),
        ([True, 1], ("row 0", "True", "bool")),
        ([1, "a"], ("row 1", "'a' is a str", "row 0 is a int", "astype(str)")),
        ([1, 2**70], ("row 1", "2**63 - 1", "strings")),
        ([-(2**63) - 1, 1], ("row 0", "2**63 - 1", "strings")),
        (pd.array([1, None], "Int64"), ("row 1", "missing")),
        (pd.Categorical([1.5, 2.5]), ("real numbers",)),
        (pd.to_datetime(["2024-01-01", "2024-01-02"]), ("row 0", "Timestamp", "astype(str)")),
        ([1j, 2j], ("row 0", "complex", "astype(str)")),
    ],
)
def test_what_is_no_id_is_named(ids, parts):
    ids = pd.Series(ids)  # a list of tuples is no table
    refuses(
        lambda: Interactions.from_frame(pd.DataFrame({"user": ids, "item": [1, 2]})),
        ValueError,
        ("`user`", *parts),
    )


@pytest.mark.parametrize(
    "ratings, expected",
    [
        ([True, False], [1, 0]),
        (np.array([1.5, 2], np.float16), [1.5, 2]),
        (np.array([1.5, 2], ">f4"), [1.5, 2]),
        (np.array([1.5, 0, 2, 0])[::2], [1.5, 2]),
        (pd.array([1, 2], "Int64"), [1, 2]),
        (pd.array([1.5, 2], "Float32"), [1.5, 2]),
        (pd.array([True, False], "boolean"), [1, 0]),
        (pd.arrays.SparseArray([1.5, 2]), [1.5, 2]),
        (np.array([1, 2], np.uint64), [1, 2]),
    ],
)
def test_kinds_of_ratings(ratings, expected):
    for x in (Interactions.from_frame(frame(rating=ratings)), Interactions([1, 2], [1, 2], ratings)):
        assert x.ratings.dtype == np.float64 and x.ratings.tolist() == expected


@pytest.mark.parametrize(
    "ratings, parts",
    [
        ([Decimal(1), Decimal(2)], ("object", "pd.to_numeric")),
        ([1j, 2j], ("complex",)),
        (["1", "2"], ("pd.to_numeric",)),
        (pd.Categorical([1, 2]), ("category",)),
        (pd.array([1, None], "Int64"), ("row 1", "no rating")),
    ],
)
def test_what_is_no_rating_is_named(ratings, parts):
    refuses(lambda: Interactions.from_frame(frame(rating=ratings)), ValueError, ("`rating`", *parts))

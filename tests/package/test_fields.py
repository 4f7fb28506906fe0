"""Pairs as sparse rows: against a slow dense construction, by hand, and with bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recbook import fields as module
from recbook.fields import Fields, parse_spec
from recbook.interactions import Dataset, Interactions

USERS = pd.DataFrame(
    {"age": [20, 30, 40, 77], "gender": ["F", "M", "F", "X"], "member": [True, False, True, True]},
    index=["ann", "bob", "cy", "dee"],
)
ITEMS = pd.DataFrame(
    {
        "genres": ["Comedy|War", "War", "", "Comedy|Horror|War", "Horror", "War|War"],
        "year": pd.array([1990, 2000, None, 1980, 1970, 1990], "Int64"),
        "maker": ["Ufa", None, "Ufa", "Arc", "Arc", "Arc"],
    },
    index=[10, 20, 30, 40, 50, 60],
)
ROWS = pd.DataFrame(
    {
        "user": ["bob", "ann", "ann", "cy", "bob"],
        "item": [20, 10, 20, 30, 60],
        "position": [2, 1, 7, 1, 2],
        "price": [1.0, 2.0, 3.0, 4.0, 5.0],
        "place": ["top", "side", "top", "top", "side"],
        "seen": [True, False, True, True, True],
    }
)
DATA = Dataset(Interactions.from_frame(ROWS), users=USERS, items=ITEMS)


def dense(fields: Fields, users, items, context=None) -> pd.DataFrame:
    """The rows as a table with a column a feature."""
    index, value = fields.rows(users, items, context)
    assert index.dtype == np.int32 and value.dtype == np.float32
    assert index.shape == value.shape == (len(users), fields.width)
    assert ((index >= 0) & (index < fields.n_features)).all()
    table = np.zeros((len(users), fields.n_features))
    np.add.at(table, (np.arange(len(users))[:, None], index), value)
    return pd.DataFrame(table, columns=fields.labels)


def nonzero(fields: Fields, user, item, **context) -> dict[str, float]:
    row = dense(fields, [user], [item], {name: [value] for name, value in context.items()} or None).iloc[0]
    return row[row != 0].round(6).to_dict()


# ---------------------------------------------------------------- what each kind of field gives


def test_ids_are_one_hot_and_a_new_one_is_no_feature():
    fields = Fields.fit(("user", "item"), DATA)
    assert fields.n_features == 3 + 4 and fields.width == 2
    assert fields.labels.tolist() == [
        *("user=bob", "user=ann", "user=cy"),
        *("item=20", "item=10", "item=30", "item=60"),
    ]
    assert nonzero(fields, "ann", 30) == {"user=ann": 1, "item=30": 1}
    assert nonzero(fields, "dee", 30) == {"item=30": 1}  # in the table, and not in train
    assert nonzero(fields, "zoe", 99) == {}  # nowhere
    assert fields.user_ids.tolist() == ["bob", "ann", "cy", "dee"]
    assert fields.item_ids.tolist() == [20, 10, 30, 60, 40, 50]


def test_lists_of_categories_share_a_weight_of_one():
    fields = Fields.fit(["items.genres"], DATA)
    assert fields.labels.tolist() == ["items.genres=Comedy", "items.genres=War"]
    assert nonzero(fields, "ann", 10) == {"items.genres=Comedy": 0.5, "items.genres=War": 0.5}
    assert nonzero(fields, "ann", 60) == {"items.genres=War": 1}  # named twice, counted once
    assert nonzero(fields, "ann", 30) == {}
    # Horror is in no film of train: the weight is shared by what is known.
    assert nonzero(fields, "ann", 40) == {"items.genres=Comedy": 0.5, "items.genres=War": 0.5}
    assert nonzero(fields, "ann", 50) == {}


def test_other_text_and_truth_values_are_one_hot():
    fields = Fields.fit(["items.maker", "users.member"], DATA)
    assert nonzero(fields, "ann", 60) == {"items.maker=Arc": 1, "users.member=True": 1}
    assert nonzero(fields, "bob", 20) == {"users.member=False": 1}  # nobody knows who made 20


def test_numbers_are_standardised_by_train():
    fields = Fields.fit(["users.age", "items.year"], DATA)
    deviation = np.std([20, 30, 40])  # of ann, bob and cy; dee is not in train, however old
    found = dense(fields, ["ann", "bob", "dee"], [20, 20, 30])
    np.testing.assert_allclose(found["users.age"], [-10 / deviation, 0, 47 / deviation], rtol=1e-6)
    years = np.array([2000, 1990, 1990])  # 30 has none: value 0
    np.testing.assert_allclose(found["items.year"][0], (2000 - years.mean()) / years.std(), rtol=1e-6)
    assert found["items.year"][2] == 0


def test_context_comes_with_each_row():
    fields = Fields.fit(["position", "price", "place", "seen"], DATA)
    assert fields.context == ["position", "price", "place", "seen"]
    assert fields.labels.tolist() == [
        *("position=1", "position=2", "position=7", "price", "place=side", "place=top"),
        *("seen=False", "seen=True"),
    ]
    here = {"position": 7, "price": 4.0, "place": "top", "seen": True}
    scaled = round(1 / np.std([1, 2, 3, 4, 5]), 6)
    assert nonzero(fields, "ann", 10, **here) == {
        "position=7": 1, "price": scaled, "place=top": 1, "seen=True": 1,
    }  # fmt: skip
    new = {"position": 8, "price": np.nan, "place": "below", "seen": False}
    assert nonzero(fields, "ann", 10, **new) == {"seen=False": 1}
    table = pd.DataFrame([here, new], index=[5, 5])  # whatever the index
    assert (
        dense(fields, ["ann", "ann"], [10, 10], table).sum(axis=1).round(4) == [round(3 + scaled, 4), 1]
    ).all()


def test_a_cross_is_the_product_of_two_fields():
    fields = Fields.fit(["users.gender*items.genres", "users.age*position"], DATA)
    assert fields.labels.tolist()[:4] == [
        f"users.gender={gender}*items.genres={genre}" for gender in "FM" for genre in ("Comedy", "War")
    ]
    found = nonzero(fields, "ann", 10, position=7)
    age = round(-10 / np.std([20, 30, 40]), 6)
    assert found == {
        "users.gender=F*items.genres=Comedy": 0.5,
        "users.gender=F*items.genres=War": 0.5,
        "users.age*position=7": age,
    }
    # dee's gender is not in train: the cross says nothing, as does the genre of 50.
    assert set(nonzero(fields, "dee", 10, position=1)) == {"users.age*position=1"}
    assert set(nonzero(fields, "bob", 50, position=9)) == set()


SIMPLE = ("user", "item", "users.age", "users.gender", "items.genres", "items.year", "position", "price")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rows_are_those_of_the_dense_construction(draw):
    names = draw.draw(st.lists(st.sampled_from(SIMPLE), min_size=1, max_size=4, unique=True))
    pairs = [(a, b) for a in names for b in SIMPLE if a < b]
    crosses = draw.draw(st.lists(st.sampled_from(pairs), max_size=3, unique=True)) if pairs else []
    spec = [*names, *(f"{a}*{b}" for a, b in crosses)]
    fields = Fields.fit(spec, DATA)
    x = DATA.interactions
    found = dense(fields, x.users, x.items, x.extra)
    # Each single field by itself, dense; a cross as the table of products of their columns.
    alone = {name: dense(Fields.fit([name], DATA), x.users, x.items, x.extra) for name in SIMPLE}
    expected = []
    for name in spec:
        first, *second = [alone[part] for part in name.split("*")]
        if second:
            first = pd.concat({f"{a}*{b}": first[a] * second[0][b] for a in first for b in second[0]}, axis=1)
        expected.append(first)
    expected = pd.concat(expected, axis=1)
    assert found.columns.tolist() == expected.columns.tolist() == fields.labels.tolist()
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    sizes = pd.Series(fields.field_names).value_counts()
    assert sizes.sum() == fields.n_features and set(sizes.index) == set(spec)
    # In a file and back.
    again = Fields.from_arrays(spec, fields.to_arrays())
    pd.testing.assert_frame_equal(dense(again, x.users, x.items, x.extra), found)


def test_codes_of_the_unknown_and_no_context_are_nothing():
    fields = Fields.fit(("user", "items.genres", "position"), DATA)
    index, value = fields.coded_rows(np.array([-1, 1]), np.array([0, -1]))
    assert value.sum(1).tolist() == [1, 1]  # War of item 20; user ann
    assert fields.labels[index[0][value[0] > 0]].tolist() == ["items.genres=War"]
    assert fields.labels[index[1][value[1] > 0]].tolist() == ["user=ann"]


def test_interactions_alone_will_do_for_ids_and_context():
    fields = Fields.fit(("user", "place"), DATA.interactions)
    assert nonzero(fields, "ann", 10, place="top") == {"user=ann": 1, "place=top": 1}


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "spec, error, words",
    [
        ("user", TypeError, "give names such as"),
        ([1], TypeError, "give names such as"),
        ([], ValueError, "`fields` is empty"),
        (["user", "user"], ValueError, "'user' stands more than once"),
        (["user*item*position"], ValueError, "a cross has two fields"),
        (["user*"], ValueError, "a cross has two fields"),
        (["user*user"], ValueError, "crosses a field with itself"),
        (["colour"], ValueError, "'colour' is none: .*further columns .*'position'"),
        (["rating"], ValueError, "'rating' is none"),
        (["users.hair"], ValueError, r"'users.hair': the table `users` has the columns \['age'"),
        (["item*items.hair"], ValueError, "'items.hair': the table `items` has the columns"),
    ],
    ids=lambda value: str(value) if isinstance(value, list | str) else "",
)
def test_bad_specs_are_refused(spec, error, words):
    with pytest.raises(error, match=words):
        Fields.fit(spec, DATA)


def test_a_table_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="'items.genres' needs the table `items`; fit on a Dataset"):
        Fields.fit(["items.genres"], DATA.interactions)


def test_features_missing_for_an_item():
    cut = Dataset(DATA.interactions, items=ITEMS.drop(index=[20, 60]))
    with pytest.raises(ValueError, match="features missing for item 20 and 1 more: .*`items` has no row"):
        Fields.fit(["item", "items.genres"], cut)
    Fields.fit(["item"], cut)  # no field needs the table
    fields = Fields.fit(["items.genres", "users.age"], DATA)
    with pytest.raises(ValueError, match="features missing for item 99: .*'items.genres' needs one; add it"):
        fields.rows(["ann", "ann"], [10, 99])
    with pytest.raises(ValueError, match="features missing for user 'zoe'"):
        fields.rows(["zoe"], [10])


def test_a_table_with_ids_of_another_kind_has_no_rows_for_them():
    text = Dataset(DATA.interactions, items=ITEMS.set_axis(ITEMS.index.astype(str)))
    with pytest.raises(ValueError, match="ids are integers so far, and '10' is strings"):
        Fields.fit(["items.genres"], text)


def test_columns_that_cannot_be_read_are_named():
    mixed = Dataset(DATA.interactions, users=USERS.assign(odd=["a", 1, "b", 2]))
    with pytest.raises(ValueError, match="column `odd`: the categories are of several kinds"):
        Fields.fit(["users.odd"], mixed)
    empty = Dataset(DATA.interactions, users=USERS.assign(none=np.nan))
    with pytest.raises(ValueError, match="column `none`: .*holds no number"):
        Fields.fit(["users.none"], empty)
    dates = ROWS.assign(when=pd.Timestamp("2024-01-01"))
    with pytest.raises(ValueError, match="'when' holds datetime64.*make it numbers or text"):
        Fields.fit(["when"], Interactions.from_frame(dates))


def test_context_is_asked_for():
    fields = Fields.fit(["user", "position", "price"], DATA)
    for context in (None, {"position": [1]}):
        with pytest.raises(ValueError, match=r"pass `context`, .*\['position', 'price'\]"):
            fields.rows(["ann"], [10], context)
    with pytest.raises(ValueError, match="`context` has 1 rows for 2 pairs"):
        fields.rows(["ann", "bob"], [10, 10], {"position": [1], "price": [2.0]})
    with pytest.raises(ValueError, match="`users` has 2 ids and `items` 1"):
        fields.rows(["ann", "bob"], [10], {"position": [1], "price": [2.0]})
    with pytest.raises(ValueError, match="column `price` of the context: .*infinite"):
        fields.rows(["ann"], [10], {"position": [1], "price": [np.inf]})


def test_too_many_features_are_refused_before_memory_is(monkeypatch):
    monkeypatch.setattr(module, "MAX_FEATURES", 20)
    with pytest.raises(ValueError, match=r"22 features, 12 of them of 'user\*item'; the limit is 20"):
        Fields.fit(["user", "item", "user*item", "position"], DATA)


# ---------------------------------------------------------------- files


SPEC = ("user", "items.genres", "position", "price", "users.gender*items.genres")


def test_names_of_arrays_are_known_from_the_spec_alone():
    arrays = written()
    assert set(arrays) == Fields.array_names(SPEC)
    assert all(values.dtype.kind in "biufO" for values in arrays.values())


def written() -> dict[str, np.ndarray]:
    return Fields.fit(SPEC, DATA).to_arrays()


def nan_in(values):
    return np.where(np.arange(values.size).reshape(values.shape) == 0, np.nan, values)


@pytest.mark.parametrize(
    "culprit, change",
    [
        ("user_ids", lambda a: a[[0, 0, 1, 2]]),
        ("user_ids", lambda a: a.astype("U")[:, None]),
        ("item_ids", lambda a: a.astype(float)),
        ("item_ids", lambda a: a[:-1]),
        ("users.gender.labels", lambda a: np.arange(len(a))),
        ("users.gender.labels", lambda a: a[:0]),
        ("users.gender.index", lambda a: a + 7),
        ("users.gender.index", lambda a: a - 1),
        ("users.gender.index", lambda a: a[:-1]),
        ("users.gender.index", lambda a: a[:, :0]),
        ("users.gender.index", lambda a: a.astype(float)),
        ("users.gender.value", lambda a: a[:, :0]),
        ("users.gender.value", nan_in),
        ("position.encoder", lambda a: a[[0, 0]]),
        ("position.encoder", lambda a: a[:0]),
        ("price.encoder", lambda a: a[:1]),
        ("price.encoder", nan_in),
        ("price.encoder", lambda a: a * 0),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nonsense_in_a_file_is_refused(culprit, change):
    arrays = written()
    Fields.from_arrays(SPEC, arrays)
    # An array of rows too few for the ids shows which of the two is wrong by neither; the rows are named.
    named = culprit if culprit != "item_ids" else "(item_ids|items.genres.index)"
    with pytest.raises(ValueError, match=f"`{named}`"):
        Fields.from_arrays(SPEC, arrays | {culprit: change(arrays[culprit])})


def test_arrays_too_many_or_too_few_are_named():
    arrays = written()
    with pytest.raises(ValueError, match="`colour` is of no field"):
        Fields.from_arrays(SPEC, arrays | {"colour": arrays["user_ids"]})
    del arrays["position.encoder"]
    with pytest.raises(ValueError, match="`position.encoder` is missing"):
        Fields.from_arrays(SPEC, arrays)


def test_a_parsed_spec_is_itself():
    assert parse_spec(list(SPEC)) == SPEC

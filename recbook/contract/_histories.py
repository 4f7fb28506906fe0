"""What a model says of people it never saw, by their histories. These checks only read."""

from __future__ import annotations

import warnings
from collections import OrderedDict, deque
from types import MappingProxyType

import numpy as np
import pandas as pd

from recbook.contract._answers import can
from recbook.contract._core import Subject, check, each, good_table, near, same_table
from recbook.errors import UnknownIdError
from recbook.interactions import Interactions

SAME = {
    "tuple": tuple,
    "generator": lambda items: (i for i in items),
    "map": lambda items: map(lambda i: i, items),
    "iterator": iter,
    "array": np.array,
    "array of objects": lambda items: np.array(items, object),
    "NumPy's numbers": lambda items: list(np.array(items)),
    "small dtype": lambda items: np.array(items, np.int16) if isinstance(items[0], int) else np.array(items),
    "big-endian": lambda items: np.array(items).astype(np.array(items).dtype.newbyteorder(">")),
    "read-only": lambda items: np.broadcast_to(np.array(items), (1, len(items)))[0],
    "every second": lambda items: np.repeat(np.array(items), 2)[::2],
    "Series": pd.Series,
    "Series with an index of its own": lambda items: pd.Series(items, index=range(9, 9 + len(items))),
    "Index": pd.Index,
    "Series of categories": lambda items: pd.Series(items).astype("category"),
    "pandas' own dtype": lambda items: pd.Series(items).convert_dtypes(),
    "deque": deque,
    "keys of a dict": lambda items: dict.fromkeys(items).keys(),
}
takes_histories = can("histories")


@check(SAME, when=takes_histories)
def check_forms_of_histories(s: Subject, form) -> None:
    """A history is any ordered iterable, and is read once, for all that is computed with it."""
    items = s.items[1:5]
    expected = s.fitted.recommend(histories={"new": items, "newer": items[:2]}, k=99)
    found = s.fitted.recommend(histories={"new": form(items), "newer": form(items[:2])}, k=99)
    same_table(found, expected)
    good_table(s.fitted, found, 99, {"new": items, "newer": items[:2]})
    near(
        s.fitted.predict("new", s.items, histories={"new": form(items)}),
        s.fitted.predict("new", s.items, histories={"new": items}),
    )
    near(
        s.fitted.score_matrix(histories={"new": form(items)}), s.fitted.score_matrix(histories={"new": items})
    )


@check(
    {
        "OrderedDict": OrderedDict,
        "a view of a dict": MappingProxyType,
        "one more person": lambda h: h | {"third": h["new"][:1]},
        "the other order": lambda h: dict(reversed(h.items())),
    },
    when=takes_histories,
)
def check_everybody_alone(s: Subject, form) -> None:
    """What is said of one person does not hang on who else is asked about, or in which order."""
    people = {"new": s.items[1:5], "newer": s.items[:2]}
    table = s.fitted.recommend(histories=form(dict(people)), k=4)
    for name, items in people.items():
        alone = s.fitted.recommend(histories={name: items}, k=4)
        same_table(table[table.user == name].reset_index(drop=True), alone)
        one = s.fitted.recommend(name, histories=form(dict(people)), k=4)
        same_table(one, alone)


@check(
    {"set": set, "frozenset": frozenset, "keys of a set": lambda items: set(items) | set()},
    when=takes_histories,
)
def check_sets_as_histories(s: Subject, form) -> None:
    """A set has no order: a model of order refuses it, any other reads it like a list."""
    items = s.items[1:5]
    if s.task == "next_item":
        s.refused(lambda: s.fitted.recommend(histories={"new": form(items)}), TypeError, ValueError)
        return
    found = s.answer(lambda: s.fitted.recommend(histories={"new": form(items)}, k=99))
    if found is not None:
        expected = s.fitted.recommend(histories={"new": items}, k=99)
        assert set(found.item) == set(expected.item)
        near(found.sort_values("item").score, expected.sort_values("item").score)


@check({"best": 5.0, "worst": 1.0, "whole": 3, "NumPy's": np.float32(4)}, when=takes_histories)
def check_ratings_in_histories(s: Subject, rating) -> None:
    """{item: rating} is used as ratings, by a model that computes with them, or refused; its values never vanish."""
    ratings = {item: rating for item in s.items[1:5]}
    found = s.answer(lambda: s.fitted.recommend(histories={"new": ratings}, k=99))
    if found is not None and s.task == "rating":
        rows = pd.DataFrame({"user": "new", "item": list(ratings), "rating": float(rating)})
        same_table(found, s.fitted.recommend(histories=Interactions.from_frame(rows), k=99))


@check(
    {
        "a string": "101",
        "a number": 101,
        "None": None,
        "bytes": b"abc",
        "a list of lists": [[1, 2]],
        "None in it": [None],
        "NaN in it": [float("nan")],
        "real numbers": [1.5],
        "true": [True],
        "mixed": [1, "a"],
        "two dimensions": np.ones((2, 2), int),
        "pairs": [(1, 5.0)],
    },
    when=takes_histories,
)
def check_what_is_no_history(s: Subject, bad) -> None:
    """What cannot be a list of ids is refused, by one of the errors that name the culprit."""
    s.refused(lambda: s.fitted.recommend(histories={"new": bad}), TypeError, ValueError, UnknownIdError)
    s.refused(
        lambda: s.fitted.predict("new", s.items[0], histories={"new": bad}),
        TypeError,
        ValueError,
        UnknownIdError,
    )


@check(
    {
        "nobody": {},
        "a list": [1, 2],
        "a list of lists": [[1], [2]],
        "a table": pd.DataFrame({"user": ["a"], "item": [1]}),
        "a number": 3,
        "a string": "new",
        "a generator": (i for i in [1, 2]),
        "no name": {None: [1]},
        "a name that is no id": {1.5: [1]},
        "a tuple for a name": {("a", 1): [1]},
        "names of two kinds": {"a": [1], 2: [1]},
    },
    when=takes_histories,
)
def check_what_are_no_histories(s: Subject, bad) -> None:
    s.refused(lambda: s.fitted.recommend(histories=bad), TypeError, ValueError, UnknownIdError)
    s.refused(lambda: s.fitted.score_matrix(histories=bad), TypeError, ValueError, UnknownIdError)


@check({"alone": 1, "among others": 2}, when=takes_histories)
def check_empty_history(s: Subject, people) -> None:
    """Somebody without a history gets finite scores and a whole list, or a clear refusal; others theirs as always."""
    histories = {"new": [], "newer": s.items[1:4]} if people == 2 else {"new": []}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that nothing is known of somebody may be said
        table = s.answer(lambda: s.fitted.recommend(histories=histories, k=4))
        if table is not None:
            good_table(s.fitted, table, 4, histories)
            assert (table.user == "new").sum() == 4, "somebody without a history gets no list"
            assert np.isfinite(s.fitted.predict("new", s.items, histories=histories)).all()
            if people == 2:
                alone = s.fitted.recommend(histories={"newer": s.items[1:4]}, k=4)
                same_table(table[table.user == "newer"].reset_index(drop=True), alone)


def _reads_histories(s: Subject) -> bool:
    return takes_histories(s) and s.model._reads_histories


@check(each("recommend", "predict", "score_matrix"), when=_reads_histories)
def check_who_has_met_nothing(s: Subject, method) -> None:
    """Whoever has met nothing is named in one warning, and is not offered the items in their order in train.

    A model that without a history scores all items alike sets `_blank_without_history`, and gives what is popular;
    one whose scores hang on no history sets `_reads_histories` to False.
    """
    histories = {"newer": s.items[1:4], "new": [], "newest": []}
    asked = {
        "recommend": lambda: s.fitted.recommend(histories=histories, k=99),
        "predict": lambda: s.fitted.predict("new", s.items, histories=histories),
        "score_matrix": lambda: s.fitted.score_matrix(["new"], histories=histories, candidates=s.items)[0],
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = asked[method]()
    said = [str(one.message) for one in caught if one.category is UserWarning]
    assert len(said) == 1, f"{len(said)} warnings: {said}"
    assert "2 of 3 people" in said[0] and "'new'" in said[0] and type(s.fitted).__name__ in said[0], said[0]
    assert caught[0].filename == __file__, f"it points at {caught[0].filename}, not at the caller"
    if method == "recommend":
        table = found[found.user == "new"].set_index("item")
        found = table.score.reindex(s.items).to_numpy()
        assert len(table) == len(s.fitted.item_ids_)
    # What one item is to be ahead of another for, none is known to be.
    assert np.ptp(found) > 1e-6, "all items score alike: the list is the order of train"
    if s.fitted._blank_without_history and s.task != "rating":
        counts = s.data.interactions.to_frame().item.value_counts().reindex(s.items).to_numpy()
        ahead = counts[:, None] > counts
        assert (found[:, None] > found)[ahead].all(), f"not by popularity: {found} where counts are {counts}"


@check(each("in a list", "in Interactions", "alone"), when=takes_histories)
def check_unknown_items_in_histories(s: Subject, where) -> None:
    """An item that the model has never seen is refused by name, not passed over."""
    stranger = -77 if isinstance(s.items[0], int) else "no such item"
    items = [stranger] if where == "alone" else [*s.items[:2], stranger]
    histories = {"new": items}
    if where == "in Interactions":
        rows = pd.DataFrame({"user": "new", "item": items, "rating": 1.0})
        histories = Interactions.from_frame(rows)
    s.refused(lambda: s.fitted.recommend(histories=histories), UnknownIdError, words=(str(stranger),))
    s.refused(lambda: s.fitted.predict("new", s.items[0], histories=histories), UnknownIdError)


@check(each("a list", "a mapping", "Interactions", "times backwards", "nothing else"), when=takes_histories)
def check_unknown_items_ignored(s: Subject, form) -> None:
    """With unknown="ignore" a history with an item that the model has never seen is the history without it."""
    stranger = -77 if isinstance(s.items[0], int) else "no such item"
    items = s.items[1:4]
    mixed = [items[0], stranger, *items[1:]]
    histories, known = {"new": mixed}, {"new": items}
    if form == "a mapping":
        histories, known = ({"new": dict.fromkeys(some, 1.0)} for some in (mixed, items))
    elif form == "nothing else":
        histories, known = {"new": [stranger], "newer": mixed}, {"new": [], "newer": items}
    elif form != "a list":
        rows = pd.DataFrame({"user": "new", "item": mixed, "rating": 1.0, "timestamp": range(4)})
        rows = rows.iloc[::-1] if form == "times backwards" else rows
        histories, known = (Interactions.from_frame(r) for r in (rows, rows[rows.item != stranger]))
    for ask in (
        lambda h, **more: s.fitted.score_matrix(histories=h, **more),
        lambda h, **more: s.fitted.predict("new", s.items, histories=h, **more),
    ):
        near(ask(histories, unknown="ignore"), ask(known))
    same_table(
        s.fitted.recommend(histories=histories, k=99, unknown="ignore"),
        s.fitted.recommend(histories=known, k=99),
    )
    other = ["17"] if isinstance(s.items[0], int) else [17]
    for unknown, error in (("ignore", ValueError), ("raise", UnknownIdError), ("fallback", ValueError)):
        s.refused(
            lambda unknown=unknown: s.fitted.recommend(histories={"new": other}, unknown=unknown), error
        )


@check({"side by side": [0, 0, 1], "apart": [0, 1, 0], "all alike": [2, 2, 2]}, when=takes_histories)
def check_repeated_items_in_histories(s: Subject, at) -> None:
    """An item that stands twice is refused by models of ratings; others read events, and stay finite."""
    items = [s.items[i] for i in at]
    if s.task == "rating":
        s.refused(
            lambda: s.fitted.recommend(histories={"new": items}), ValueError, words=(str(s.items[at[0]]),)
        )
        return
    table = s.answer(lambda: s.fitted.recommend(histories={"new": items}, k=4))
    if table is not None:
        good_table(s.fitted, table, 4, {"new": items})


@check(each("the other order", "times backwards", "as a Dataset", "index of its own"), when=takes_histories)
def check_interactions_as_histories(s: Subject, form) -> None:
    """Rows with times are read in the order of time, wherever they stand."""
    rows = pd.DataFrame({"user": "new", "item": s.items[1:6], "timestamp": range(5)})
    if "rating" in s.frame:
        rows["rating"] = s.frame.rating.to_numpy()[:5]
    expected = s.fitted.recommend(histories=Interactions.from_frame(rows), k=99)
    good_table(s.fitted, expected, 99, {"new": s.items[1:6]})
    if form == "the other order":
        rows = rows.iloc[[3, 0, 4, 1, 2]]
    elif form == "times backwards":
        rows = rows.iloc[::-1]
    elif form == "index of its own":
        rows.index = [5, 5, 1, 1, 0]
    histories = Interactions.from_frame(rows)
    if form == "as a Dataset":
        histories = s.dataset(histories)
    near(
        s.fitted.predict("new", s.items, histories=histories),
        s.fitted.predict("new", s.items, histories=Interactions.from_frame(rows.sort_values("timestamp"))),
    )
    same_table(s.fitted.recommend(histories=histories, k=99), expected)


@check(when=lambda s: takes_histories(s) and s.task in ("rating", "ranking"))
def check_order_of_histories(s: Subject, _) -> None:
    """Where the order is not what is learnt, it changes nothing."""
    items = s.items[1:6]
    near(
        s.fitted.score_matrix(histories={"new": items}),
        s.fitted.score_matrix(histories={"new": items[::-1]}),
    )


@check(when=lambda s: takes_histories(s) and s.task == "rating")
def check_histories_without_ratings(s: Subject, _) -> None:
    """Interactions without ratings tell a model of ratings nothing, and it says so."""
    histories = Interactions.from_frame(pd.DataFrame({"user": "new", "item": s.items[:3]}))
    s.refused(lambda: s.fitted.recommend(histories=histories), ValueError, words=("rating",))


@check(
    {
        "as somebody known": lambda s: s.users[0],
        "a number": lambda s: 7,
        "2,000 characters": lambda s: "x" * 2000,
        "the empty string": lambda s: "",
        "a sign": lambda s: "🎬",
        "a NUL at the end": lambda s: "new\x00",
    },
    when=takes_histories,
)
def check_names_in_histories(s: Subject, choose) -> None:
    """Whatever somebody is called, the history is what counts, and the table has the name."""
    name, items = choose(s), s.items[1:5]
    table = s.fitted.recommend(histories={name: items}, k=99)
    expected = s.fitted.recommend(histories={"new": items}, k=99)
    assert table.user.tolist() == [name] * len(expected)
    same_table(table.drop(columns="user"), expected.drop(columns="user"))


@check(each("recommend", "predict", "score_matrix"), when=takes_histories)
def check_people_outside_the_histories(s: Subject, method) -> None:
    """With histories, people of train are strangers, too: their names may be somebody else's here."""
    ask = getattr(s.fitted, method)
    arguments = (s.users[0], s.items[0]) if method == "predict" else ([s.users[0]],)
    s.refused(lambda: ask(*arguments, histories={"new": s.items[:2]}), UnknownIdError)


@check(each("list", "Interactions"), when=takes_histories)
def check_histories_stay_as_they_were(s: Subject, form) -> None:
    """What the caller hands over is read, not written."""
    histories = {"new": s.items[1:5]}
    if form == "list":
        s.fitted.recommend(histories=histories, k=3)
        assert histories == {"new": s.items[1:5]}
        return
    rows = s.rows.iloc[:6].assign(user="new").drop_duplicates("item")
    x = Interactions.from_frame(rows)
    s.fitted.recommend(histories=x, k=3)
    pd.testing.assert_frame_equal(x.to_frame(), Interactions.from_frame(rows).to_frame())


@check(when=takes_histories)
def check_a_history_of_everything(s: Subject, _) -> None:
    """Who has met all has nothing left: an empty table of the right form, and finite scores."""
    histories = {"new": s.fitted.item_ids_.tolist()}
    table = s.fitted.recommend(histories=histories, k=3)
    assert table.columns.tolist() == ["user", "item", "score", "rank"] and not len(table)
    assert np.isfinite(s.fitted.score_matrix(histories=histories)).all()
    assert len(s.fitted.recommend(histories=histories, k=3, exclude_seen=False)) == 3

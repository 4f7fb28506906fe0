"""What a fitted model answers: scores, tables, likenesses. These checks only read; each is quick."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import uuid
import warnings
from typing import Any, cast

import numpy as np
import pandas as pd

from recbook.contract._core import WARM, Subject, check, each, good_table, near, same_table
from recbook.errors import NotSupportedError, UnknownIdError
from recbook.recommender import CAPABILITIES, TASKS


def can(capability: str):
    return lambda s: capability in s.supports


def cannot(capability: str):
    return lambda s: capability not in s.supports


# ---------------------------------------------------------------- declarations


@check()
def check_declarations(s: Subject, _) -> None:
    """`task`, `supports` and `needs` say something that the contract knows, and there is a docstring."""
    assert s.task in TASKS, f"`task` is {s.task!r}, none of {TASKS}"
    assert s.supports <= set(CAPABILITIES), f"`supports` has unknown {sorted(s.supports - set(CAPABILITIES))}"
    assert set(s.model.needs) <= {"users", "items"}, f"`needs` names {sorted(s.model.needs)}"
    assert (s.cls.__doc__ or "").strip(), "the class has no docstring"


# ---------------------------------------------------------------- scores


@check(
    {
        "all pairs": lambda s, m: (np.repeat(s.users, len(s.items)), np.tile(s.items, len(s.users))),
        "all pairs, backwards": lambda s, m: (
            np.repeat(s.users, len(s.items))[::-1],
            np.tile(s.items, len(s.users))[::-1],
        ),
        "one pair": lambda s, m: (s.users[3], s.items[2]),
        "one pair in lists": lambda s, m: ([s.users[3]], [s.items[2]]),
        "one user, many items": lambda s, m: (s.users[1], s.items),
        "many users, one item": lambda s, m: (s.users, s.items[1]),
        "a pair 50 times": lambda s, m: ([s.users[0]] * 50, [s.items[0]] * 50),
        "no pair": lambda s, m: ([], []),
    }
)
def check_predict_is_score_matrix(s: Subject, ask) -> None:
    """A pair has one score, however it is asked for: float32, finite, not hanging on its neighbours."""
    users, items = ask(s, s.fitted)
    found = s.fitted.predict(users, items)
    assert found.dtype == np.float32, f"scores are {found.dtype}"
    table = pd.DataFrame(s.fitted.score_matrix(), s.fitted.user_ids_.tolist(), s.fitted.item_ids_.tolist())
    pairs = np.broadcast_arrays(np.atleast_1d(users), np.atleast_1d(items))
    expected = [table.at[u, i] for u, i in zip(pairs[0].tolist(), pairs[1].tolist(), strict=True)]
    near(found, np.array(expected, np.float32).reshape(found.shape))


@check(
    {
        "all": (slice(None), slice(None)),
        "some": ([5, 1], [4, 0, 2]),
        "one": ([2], [3]),
        "repeated": ([1, 1, 0], [2, 2]),
        "no user": ([], [1, 2]),
        "no item": ([1, 2], []),
    }
)
def check_score_matrix_of_some(s: Subject, at) -> None:
    """A row or a column asked for alone is what it is among all."""
    rows, columns = (np.arange(n)[i] for n, i in zip(s.scores.shape, at, strict=True))
    users, items = s.fitted.user_ids_[rows.astype(int)], s.fitted.item_ids_[columns.astype(int)]
    found = s.fitted.score_matrix(users, candidates=items)
    assert found.dtype == np.float32
    near(found, s.scores[rows.astype(int)][:, columns.astype(int)])


@check(each("score_matrix", "user_ids_", "item_ids_", "get_parameters", "predict", "history_", "get_params"))
def check_answers_are_the_callers(s: Subject, name) -> None:
    """Whatever is done to an answer, the model stays what it was."""
    model = s.fitted
    before, ids = np.array(model.score_matrix()), (model.user_ids_.tolist(), model.item_ids_.tolist())
    answer = getattr(model, name)
    if name == "predict":
        answer = answer(s.users, s.items[0])
    elif callable(answer):
        answer = cast(Any, answer())
    if name == "history_":
        answer = [dict(one) for one in answer]  # the record of training is the caller's to read
    arrays = [
        v for v in (answer.values() if isinstance(answer, dict) else [answer]) if isinstance(v, np.ndarray)
    ]
    kept = [np.array(values) for values in arrays]
    try:
        for values in arrays:
            with contextlib.suppress(ValueError):  # frozen: as good as a copy
                values[...] = np.flip(values).copy()
        assert (model.user_ids_.tolist(), model.item_ids_.tolist()) == ids, (
            f"`{name}` gives the model's own ids"
        )
        near(model.score_matrix(), before)
    finally:  # other checks read the same model
        for values, old in zip(arrays, kept, strict=True):
            with contextlib.suppress(ValueError):
                values[...] = old


# ---------------------------------------------------------------- who is asked about

FORMS = {
    "list": list,
    "tuple": tuple,
    "array": np.array,
    "array of objects": lambda ids: np.array(ids, object),
    "Series": pd.Series,
    "Series with an index of its own": lambda ids: pd.Series(ids, index=range(50, 50 + len(ids))),
    "Series with one index for all": lambda ids: pd.Series(ids, index=[0] * len(ids)),
    "Index": pd.Index,
    "Categorical": pd.Categorical,
    "Series of categories": lambda ids: pd.Series(ids).astype("category"),
    "pandas' own dtype": lambda ids: pd.Series(ids).convert_dtypes(),
    "read-only": lambda ids: _frozen(np.array(ids)),
    "every second": lambda ids: np.repeat(np.array(ids), 2)[::2],
    "backwards": lambda ids: np.array(ids[::-1])[::-1],
    "big-endian": lambda ids: np.array(ids).astype(np.array(ids).dtype.newbyteorder(">")),
    "generator": lambda ids: (i for i in ids),
    "map": lambda ids: map(lambda i: i, ids),
    "keys of a dict": lambda ids: dict.fromkeys(ids).keys(),
}


def _frozen(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flags.writeable = False
    return values


@check(FORMS)
def check_forms_of_ids(s: Subject, form) -> None:
    """Users, items and candidates may stand in any sequence, and are read once."""
    users, items = s.users[:4], s.items[:4]
    near(s.fitted.predict(form(users), form(items)), s.fitted.predict(users, items))
    same_table(
        s.fitted.recommend(form(users), k=2, candidates=form(items)),
        s.fitted.recommend(users, k=2, candidates=items),
    )


@check(
    {"set": set, "frozenset": frozenset, "dict": dict.fromkeys, "string": lambda ids: "".join(map(str, ids))}
)
def check_ids_without_order(s: Subject, form) -> None:
    """What has no order is refused, or answered in an order that the answer itself shows."""
    users = form(s.users[:4])
    table = s.answer(lambda: s.fitted.recommend(users, k=1, exclude_seen=False))
    assert table is None or sorted(table.user.tolist()) == sorted(s.users[:4])
    table = s.answer(
        lambda: s.fitted.recommend(s.users[0], k=9, exclude_seen=False, candidates=form(s.items[:4]))
    )
    assert table is None or set(table.item.tolist()) == set(s.items[:4])


BAD_IDS = {
    "None": None,
    "NaN": float("nan"),
    "NaT": pd.NaT,
    "NA": pd.NA,
    "a real number": 1.5,
    "true": True,
    "bytes": b"u1",
    "a tuple": [("u1", 1)],
    "a UUID": uuid.UUID(int=1),
    "a day": datetime.date(2020, 1, 1),
    "a Timestamp": pd.Timestamp("2020-01-01"),
    "a Decimal": decimal.Decimal(1),
    "an object": object(),
    "a complex number": 1j,
    "an integer beyond 64 bits": 2**70,
    "mixed": ["u1", 1],
    "a list in a list": [["u1"]],
    "a table of two dimensions": np.array([[1, 2], [3, 4]]),
    "a missing one among others": ["u1", None],
}


@check(BAD_IDS)
def check_what_is_no_id(s: Subject, bad) -> None:
    """What cannot be an id is refused wherever an id is asked for, and never matches one."""
    s.refused(lambda: s.fitted.predict(bad, s.items[0]), ValueError, TypeError, UnknownIdError)
    s.refused(lambda: s.fitted.predict(s.users[0], bad), ValueError, TypeError, UnknownIdError)
    s.refused(
        lambda: s.fitted.score_matrix(bad), ValueError, TypeError, UnknownIdError
    ) if bad is not None else None
    if bad is not None:  # None means all
        s.refused(lambda: s.fitted.recommend(bad, k=1), ValueError, TypeError, UnknownIdError)
        s.refused(
            lambda: s.fitted.recommend(s.users, k=1, candidates=bad), ValueError, TypeError, UnknownIdError
        )


UNKNOWN = {
    "nobody": lambda ids: "nobody",
    "the empty string": lambda ids: "",
    "a far number": lambda ids: -(2**62),
    "zero": lambda ids: 0,
    "the same with a NUL": lambda ids: f"{ids[0]}\x00",
    "the same with a space": lambda ids: f"{ids[0]} ",
    "the same in the other kind": lambda ids: int(ids[0]) if str(ids[0]).isdigit() else -1,
    "the same as a string": lambda ids: str(ids[0]) if isinstance(ids[0], int) else ids[0].upper() + "!",
    "the beginning of one": lambda ids: str(ids[0])[:1],
    "2,000 characters": lambda ids: "x" * 2000,
}


@check(UNKNOWN)
def check_unknown_ids(s: Subject, name) -> None:
    """A stranger is refused by name, or gets a finite prior, or NaN: as `unknown` says; others keep their score."""
    user, item = name(s.users), name(s.items)
    model = s.fitted
    if user in s.users or item in s.items:
        return
    known = model.predict(s.users[0], s.items[0])
    for users, items in (([user], [s.items[0]]), ([s.users[0]], [item]), ([user], [item])):
        s.refused(lambda users=users, items=items: model.predict(users, items), UnknownIdError)
        assert np.isnan(model.predict(users, items, unknown="nan")).all(), "unknown='nan' gives a number"
        prior = model.predict(users, items, unknown="fallback")
        assert prior.dtype == np.float32 and np.isfinite(prior).all(), f"the prior is {prior}"
    if isinstance(user, str) == isinstance(s.users[0], str):
        for unknown in ("fallback", "nan"):
            mixed = model.predict([s.users[0], user], [s.items[0]] * 2, unknown=unknown)
            near(mixed[:1], known)
    s.refused(lambda: model.recommend([user]), UnknownIdError)
    s.refused(lambda: model.recommend(s.users[0], candidates=[item]), UnknownIdError)
    s.refused(lambda: model.score_matrix([user]), UnknownIdError)


@check(each("", "Raise", "skip", 0, None, True))
def check_other_values_of_unknown(s: Subject, value) -> None:
    """`unknown` has four values; any other is refused, even where every id is known."""
    s.refused(lambda: s.fitted.predict(s.users[0], s.items[0], unknown=value), ValueError, words=("unknown",))


@check({"2 and 3": (2, 3), "3 and 2": (3, 2), "0 and 2": (0, 2), "5 and 0": (5, 0)})
def check_pairs_of_two_lengths(s: Subject, lengths) -> None:
    """As many users as items, or one of either."""
    n, m = lengths
    s.refused(lambda: s.fitted.predict(s.users[:n], s.items[:m]), ValueError, words=(str(n), str(m)))


# ---------------------------------------------------------------- recommend


@check(
    {
        "1": 1,
        "2": 2,
        "as many as items": None,
        "a million": 10**6,
        "NumPy's 3": np.int64(3),
        "NumPy's 2": np.uint8(2),
    }
)
def check_recommend(s: Subject, k) -> None:
    """The k best of what was not seen, with ranks from 1, each score the one that `predict` gives."""
    model = s.fitted
    k = len(model.item_ids_) if k is None else k
    table = model.recommend(k=k)
    good_table(model, table, k, s.seen)
    assert table.user.drop_duplicates().tolist() == [
        u for u in s.users if len(s.seen[u]) < len(model.item_ids_)
    ]
    unseen = {u: len(model.item_ids_) - len(set(s.seen[u])) for u in s.users}
    found = table.groupby("user", sort=False).size().to_dict()
    assert found == {u: min(k, n) for u, n in unseen.items() if n}, (
        "a list is shorter or longer than it must be"
    )
    scores = pd.DataFrame(s.scores, s.fitted.user_ids_.tolist(), s.fitted.item_ids_.tolist())
    for user in s.users:
        rows = table[table.user == user]
        near(rows.score, scores.loc[user, rows.item.tolist()])
        left = scores.loc[user].drop([*set(s.seen[user]), *rows.item.tolist()])
        assert left.empty or left.max() <= rows.score.min() + 1e-5 * max(1, scores.abs().max().max()), (
            f"a better item is left out for {user!r}"
        )
    everything = model.recommend(k=k, exclude_seen=False)
    good_table(model, everything, k)
    assert len(everything) == len(s.users) * min(k, len(model.item_ids_))


@check(each(0, -1, 2.5, "3", None, True, float("nan"), float("inf"), [3]))
def check_bad_k(s: Subject, k) -> None:
    """k is a whole number of at least 1."""
    s.refused(lambda: s.fitted.recommend(s.users[0], k=k), ValueError, TypeError, words=("k",))
    if "similar_items" in s.supports:
        s.refused(lambda: s.fitted.similar_items(s.items[:1], k=k), ValueError, TypeError, words=("k",))


@check(
    {
        "none": lambda s: [],
        "no array": lambda s: np.array([], int),
        "no Series": lambda s: pd.Series([], dtype=object),
        "one": lambda s: s.items[:1],
        "a single id": lambda s: s.items[0],
        "all seen": lambda s: s.seen[s.users[0]],
        "all, backwards": lambda s: s.items[::-1],
        "twice": lambda s: s.items[:4] * 2,
        "all twice": lambda s: s.items + s.items[::-1],
    }
)
def check_candidates(s: Subject, choose) -> None:
    """Only candidates are recommended, each once; their order is not told, and nothing is left of none."""
    model, candidates = s.fitted, choose(s)
    allowed = set(np.atleast_1d(np.asarray(candidates, object)).tolist())
    table = model.recommend(s.users, k=99, candidates=candidates)
    good_table(model, table, 99, s.seen)
    for user in s.users:
        expected = allowed - set(s.seen[user])
        assert set(table.item[table.user == user].tolist()) == expected, (
            f"{user!r} gets other items than candidates"
        )
    whole = model.recommend(s.users, k=99)
    same_table(table, _ranked(whole[whole.item.isin(allowed)]))


def _ranked(table: pd.DataFrame) -> pd.DataFrame:
    table = table.reset_index(drop=True)
    return table.assign(rank=table.groupby("user", sort=False).cumcount() + 1)


@check(
    {
        "nobody": lambda s: [],
        "no array": lambda s: np.array([], str),
        "no Series": lambda s: pd.Series([], dtype=object),
        "one": lambda s: [s.users[4]],
        "a single id": lambda s: s.users[4],
        "backwards": lambda s: s.users[::-1],
        "twice": lambda s: [s.users[2], s.users[2]],
        "apart, twice": lambda s: [s.users[2], s.users[0], s.users[2]],
    }
)
def check_users_one_by_one(s: Subject, choose) -> None:
    """Everybody's list is the same, whoever else is asked about: blocks and batches change nothing."""
    users = choose(s)
    table = s.fitted.recommend(users, k=3)
    good_table(s.fitted, table, 3, s.seen)
    alone = [s.fitted.recommend(user, k=3) for user in np.atleast_1d(np.asarray(users, object)).tolist()]
    expected = pd.concat([s.fitted.recommend(s.users[:1], k=3)[:0], *alone], ignore_index=True)
    same_table(table, expected)
    if not len(table):  # of a table with rows pandas may hold strings in two ways
        assert table.score.dtype == np.float32 and table["rank"].dtype.kind == "i"


@check()
def check_asking_changes_nothing(s: Subject, _) -> None:
    """Questions, refused ones among them, leave a model as it was."""
    before, parameters = s.fitted.score_matrix(), s.fitted.get_parameters()
    s.fitted.recommend(k=2)
    s.answer(lambda: s.fitted.predict("nobody", s.items[0], unknown="fallback"))
    for bad in (lambda: s.fitted.predict("nobody", s.items[0]), lambda: s.fitted.recommend(k=0)):
        s.refused(bad)
    if "histories" in s.supports:
        s.fitted.recommend(histories={"new": s.items[:3]}, k=2)
    np.testing.assert_array_equal(s.fitted.score_matrix(), before)
    for name, values in s.fitted.get_parameters().items():
        np.testing.assert_array_equal(values, parameters[name])


# ---------------------------------------------------------------- similar items


@check({"1": 1, "3": 3, "a million": 10**6}, when=can("similar_items"))
def check_similar_items(s: Subject, k) -> None:
    """The k likest of each item, itself left out, best first."""
    known = s.fitted.item_ids_.tolist()
    for items in (known, known[:1], [known[1], known[1]], [], known[::-1]):
        table = s.fitted.similar_items(items, k=k)
        assert table.columns.tolist() == ["item", "similar", "score", "rank"]
        assert (table.item.to_numpy(object) != table.similar.to_numpy(object)).all(), (
            "an item is similar to itself"
        )
        assert np.isfinite(table.score).all(), "a similarity is not finite"
        assert len(table) == len(items) * min(k, len(known) - 1), f"{len(table)} rows for {len(items)} items"
        for _, rows in table.groupby((table["rank"] == 1).cumsum()):
            assert rows["rank"].tolist() == list(range(1, len(rows) + 1)) and rows.similar.is_unique
            assert (np.diff(rows.score) <= 0).all(), "likenesses are not in order"
    s.refused(lambda: s.fitted.similar_items(["no such item"], k=1), UnknownIdError, ValueError)
    s.refused(lambda: s.fitted.similar_items([None], k=1), ValueError)


# ---------------------------------------------------------------- what is not supported


@check(when=cannot("similar_items"))
def check_similar_items_is_refused(s: Subject, _) -> None:
    s.refused(lambda: s.fitted.similar_items(s.items[:1]), NotSupportedError, words=(s.cls.__name__,))


@check(
    {"a list": {"new": [1]}, "nobody": {}, "None in it": {"new": None}, "a number": 3},
    when=cannot("histories"),
)
def check_histories_are_refused(s: Subject, histories) -> None:
    s.refused(lambda: s.fitted.recommend(histories=histories), NotSupportedError, words=(s.cls.__name__,))
    s.refused(lambda: s.fitted.predict("new", s.items[0], histories=histories), NotSupportedError)
    s.refused(lambda: s.fitted.score_matrix(histories=histories), NotSupportedError)


@check(when=cannot("partial_fit"))
def check_partial_fit_is_refused(s: Subject, _) -> None:
    s.refused(lambda: s.new().partial_fit(s.data), NotSupportedError, words=(s.cls.__name__,))


@check(when=cannot("context"))
def check_context_is_refused(s: Subject, _) -> None:
    context = pd.DataFrame({"position": [1]})
    s.refused(lambda: s.fitted.predict(s.users[0], s.items[0], context=context), NotSupportedError)
    s.refused(lambda: s.fitted.score_matrix(s.users[:1], context=context), NotSupportedError)
    s.refused(lambda: s.fitted.recommend(s.users[:1], context=context), NotSupportedError)


@check({"too many rows": 3, "too few rows": 1, "none": 0}, when=can("context"))
def check_context_of_another_length(s: Subject, rows) -> None:
    context = s.frame.iloc[:rows]
    s.refused(
        lambda: s.fitted.predict(s.users[:2], s.items[:2], context=context), ValueError, words=("context",)
    )
    s.refused(lambda: s.fitted.recommend(s.users[:2], context=context), ValueError, words=("context",))


@check(
    {"a list": [1, 2], "a dict": {"position": [1, 2]}, "an array": np.ones((2, 1)), "a string": "ab"},
    when=can("context"),
)
def check_context_is_a_table(s: Subject, context) -> None:
    s.refused(lambda: s.fitted.predict(s.users[:2], s.items[:2], context=context), TypeError, ValueError)


@check(when=can("context"))
def check_context_by_row_not_by_index(s: Subject, _) -> None:
    """Row n of the context is of pair n, whatever the table's index says."""
    context = s.frame.iloc[:4]
    expected = s.fitted.predict(s.users[:4], s.items[:4], context=context)
    for index in ([7, 7, 7, 7], [3, 2, 1, 0], list("abcd")):
        near(s.fitted.predict(s.users[:4], s.items[:4], context=context.set_axis(index)), expected)


@check(when=lambda s: isinstance(s.items[0], int) and s.data.items is not None and WARM in s.data.items.index)
def check_warm_items(s: Subject, _) -> None:
    """An item of the table that nobody met is known where `warm_items` is supported, and else is not."""
    if "warm_items" in s.supports:
        assert s.fitted.item_ids_.tolist() == [*s.items, WARM], "warm items join at the end"
        assert WARM in set(s.fitted.recommend(k=99).item), "a warm item is never recommended"
    else:
        s.refused(lambda: s.fitted.predict(s.users[0], WARM), UnknownIdError)


# ---------------------------------------------------------------- evaluation


@check(each("all pairs known", "some strangers", "strangers alone", "foreign ids alone"))
def check_evaluate(s: Subject, who) -> None:
    """A report is finite, or refused; one about people and items that the model never saw warns, too."""
    from recbook.evaluation import evaluate

    metrics = ["rmse"] if s.task == "rating" else ["log_loss"] if s.task == "click" else ["recall@3"]
    test = s.rows.iloc[:8].copy()
    if s.task not in ("rating", "click"):
        unseen = [
            (u, next(i for i in s.items if i not in s.seen[u]))
            for u in s.users
            if len(s.seen[u]) < len(s.items)
        ]
        test = pd.DataFrame(unseen, columns=["user", "item"])
    if who != "all pairs known":
        change = slice(0, 2) if who == "some strangers" else slice(None)
        test.iloc[change, test.columns.get_loc("user")] = "a stranger"
        if who == "foreign ids alone":
            test["item"] = [f"a foreign item {i}" for i in range(len(test))]
        test = test.drop_duplicates(["user", "item"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = s.answer(lambda: evaluate(s.fitted, s.dataset(test), metrics=metrics))
    if who == "all pairs known":
        assert report is not None, "refused"
    if who == "foreign ids alone":
        assert report is None or caught, "a report about foreign ids alone comes without a warning"
    if report is not None:
        assert np.isfinite(report[metrics[0]]), f"{metrics[0]} is {report[metrics[0]]}"

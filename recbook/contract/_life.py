"""A model's life: arguments, fits, copies, files, more data."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import pickle
import random
import tempfile
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from recbook.contract._answers import can
from recbook.contract._core import Subject, check, each, near, same_table
from recbook.errors import NotFittedError, NotSupportedError
from recbook.interactions import Dataset, Interactions


def _same_model(a, b) -> None:
    """What two models say, and what they say of themselves."""
    assert type(a) is type(b)
    assert a.user_ids_.tolist() == b.user_ids_.tolist() and a.item_ids_.tolist() == b.item_ids_.tolist()
    assert a.rating_range_ == b.rating_range_ and a.history_ == b.history_
    near(a.score_matrix(), b.score_matrix())
    same_table(a.recommend(k=3), b.recommend(k=3))


def _data_hash(data: Dataset) -> list[bytes]:
    x = data.interactions
    columns = [x.users, x.items, x.ratings, x.timestamps, *x.extra.values(), x.user_codes, x.item_codes]
    columns += [t.reset_index().to_numpy(object) for t in (data.users, data.items) if t is not None]
    return [pickle.dumps(np.asarray(c).tolist()) for c in columns if c is not None]


# ---------------------------------------------------------------- arguments


@check()
def check_constructor_only_stores(s: Subject, _) -> None:
    """Arguments are kept as they came, unread; get_params gives the very same objects."""
    marks = {name: object() for name in s.parameters}
    model = s.cls(**marks)
    assert model.get_params() == marks, "the constructor changes an argument"
    learnt = [name for name in vars(model) if name.endswith("_") and not name.startswith("_")]
    assert not learnt, f"the constructor makes `{learnt[0]}`, which only fit may"


@check({"": {}, "deep": {"deep": True}, "not deep": {"deep": False}})
def check_get_params(s: Subject, arguments) -> None:
    """The constructor's arguments by name, as scikit-learn asks for them."""
    assert list(s.new().get_params(**arguments)) == s.parameters
    assert s.fitted.get_params(**arguments) == s.new().get_params()


@check()
def check_set_params(s: Subject, _) -> None:
    """set_params sets what there is, gives the model back, and refuses what there is not, setting nothing."""
    model = s.new()
    assert model.set_params() is model
    for name in s.parameters:
        mark = object()
        assert model.set_params(**{name: mark}) is model and model.get_params()[name] is mark
    before = model.get_params()
    changes = dict.fromkeys(s.parameters[:1], 0) | {"colour": "blue"}
    s.refused(lambda: model.set_params(**changes), ValueError, TypeError, words=("colour",))
    assert model.get_params() == before, "a refused change was made in part"


@check(each("clone", "clone of a fitted model", "scikit-learn's clone", "deepcopy", "pickle", "repr"))
def check_copies_before_fit(s: Subject, how) -> None:
    """A copy of a model that was not fitted, or a clone of one that was, is blank and has the same arguments."""
    model = s.new()
    if how == "scikit-learn's clone":
        if not importlib.util.find_spec("sklearn"):
            return
        from sklearn.base import clone

        made = clone(s.fitted)
    elif how == "repr":
        made = eval(repr(model), {s.cls.__name__: s.cls})
    else:
        made = {
            "clone": model.clone,
            "clone of a fitted model": s.fitted.clone,
            "deepcopy": lambda: copy.deepcopy(model),
            "pickle": lambda: pickle.loads(pickle.dumps(model)),
        }[how]()
    assert type(made) is s.cls and made is not model and made.get_params() == model.get_params()
    s.refused(lambda: made.predict(s.users[0], s.items[0]), NotFittedError)


@check(each("an object", "NaN", "a list of NaN", "a word that is no choice"))
def check_nonsense_for_arguments(s: Subject, what) -> None:
    """An argument that makes no sense is refused by its name when the model is fitted, before it learns."""
    value = {"an object": object(), "NaN": float("nan"), "a list of NaN": [float("nan")]}.get(
        what, "no such choice"
    )
    for name in s.parameters:
        s.refused(lambda name=name: s.fit(s.data, **{name: value}), ValueError, TypeError, words=(name,))


# ---------------------------------------------------------------- before fit

QUESTIONS = {
    "predict": lambda m, s: m.predict(s.users[0], s.items[0]),
    "predict for nobody": lambda m, s: m.predict([], []),
    "score_matrix": lambda m, s: m.score_matrix(),
    "recommend": lambda m, s: m.recommend(),
    "recommend with histories": lambda m, s: m.recommend(histories={"new": [1]}),
    "similar_items": lambda m, s: m.similar_items([1]),
    "get_parameters": lambda m, s: m.get_parameters(),
    "set_parameters": lambda m, s: m.set_parameters({}),
    "user_ids_": lambda m, s: m.user_ids_,
    "item_ids_": lambda m, s: m.item_ids_,
    "save": lambda m, s: m.save("never-written.npz"),
}


@check(QUESTIONS)
def check_before_fit(s: Subject, ask) -> None:
    """Who has learnt nothing says so."""
    s.refused(lambda: ask(s.new(), s), NotFittedError, words=(s.cls.__name__,))
    assert not Path("never-written.npz").exists()


# ---------------------------------------------------------------- copies and files


def _through_file(s: Subject, model, **options):
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder, "model.npz"), **options)
        where = {"device": model.device} if "device" in s.parameters else {}
        return s.cls.load(Path(folder, "model.npz"), **where)


def _through_joblib(s: Subject, model):
    if not importlib.util.find_spec("joblib"):
        return model
    import joblib

    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(model, Path(folder, "model.joblib"))
        return joblib.load(Path(folder, "model.joblib"))


WAYS = {
    **{f"pickle, protocol {n}": (lambda s, m, n=n: pickle.loads(pickle.dumps(m, n))) for n in (2, 4, 5)},
    "pickle twice": lambda s, m: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(m)))),
    "deepcopy": lambda s, m: copy.deepcopy(m),
    "in a list, deepcopy": lambda s, m: copy.deepcopy([m])[0],
    "joblib": _through_joblib,
    "a file": _through_file,
    "a file of a file": lambda s, m: _through_file(s, _through_file(s, m)),
    "a file of a pickle": lambda s, m: _through_file(s, pickle.loads(pickle.dumps(m))),
    "a pickle of a file": lambda s, m: pickle.loads(pickle.dumps(_through_file(s, m))),
}


@check(WAYS)
def check_travels(s: Subject, way) -> None:
    """A copy says what the model says, and is a model of its own."""
    made = way(s, s.fitted)
    if made is not s.fitted:
        assert made.get_params() == s.fitted.get_params()
        _same_model(made, s.fitted)
        if "histories" in s.supports:
            asked = {"new": s.items[1:4]}
            near(made.score_matrix(histories=asked), s.fitted.score_matrix(histories=asked))
        if "similar_items" in s.supports:
            same_table(made.similar_items(s.items[:2], k=3), s.fitted.similar_items(s.items[:2], k=3))
        unknown = (
            ["nobody", s.users[0], "nobody"],
            [s.items[0], -5 if isinstance(s.items[0], int) else "-", "-"],
        )
        pairs = list(zip(*unknown, strict=True))[:1]
        for user, item in pairs:
            near(
                made.predict(user, item, unknown="fallback"), s.fitted.predict(user, item, unknown="fallback")
            )


@check()
def check_a_copy_is_its_own(s: Subject, _) -> None:
    """What happens to a copy does not happen to the model."""
    made = copy.deepcopy(s.fitted)
    before = s.fitted.score_matrix()
    made.set_parameters(
        {n: v * v.dtype.type(0.5) if v.dtype.kind == "f" else v for n, v in made.get_parameters().items()}
    )
    near(s.fitted.score_matrix(), before)


@check()
def check_a_file_without_history(s: Subject, _) -> None:
    """Without what people have seen, the scores are the same, and exclude_seen is refused; or save is, clearly."""
    try:
        made = _through_file(s, s.fitted, include_history=False)
    except NotSupportedError as error:
        assert "history" in str(error)
        return
    s.refused(lambda: made.recommend(s.users[0]), NotSupportedError, words=("history",))
    scores = s.answer(made.score_matrix)
    if scores is None:  # it scores by what people have met, and says that it lacks it
        s.refused(made.score_matrix, NotSupportedError, words=("history",))
        return
    near(scores, s.scores)
    same_table(made.recommend(k=2, exclude_seen=False), s.fitted.recommend(k=2, exclude_seen=False))


@check()
def check_arguments_changed_after_fit(s: Subject, _) -> None:
    """What was fitted is what is asked, saved and pickled, whatever was set afterwards; or saving is refused."""
    for name, value in s.new().get_params().items():
        if name == "device" or isinstance(value, str) or value is None:
            continue
        other = {True: False, False: True}[value] if isinstance(value, bool) else _other(value)
        if other is None:
            continue
        model = copy.deepcopy(s.fitted)
        setattr(model, name, other)
        for way in (_through_file, lambda s, m: pickle.loads(pickle.dumps(m))):
            made = s.answer(lambda model=model, way=way: way(s, model))
            found = None if made is None else s.answer(made.score_matrix)
            if (
                found is not None
            ):  # as it was fitted, or, where only questions read the argument, as it is now
                now = s.answer(model.score_matrix)
                right = [s.scores] if now is None else [s.scores, now]
                off = [np.abs(found - one).max() for one in right if one.shape == found.shape]
                assert off and min(off) <= 1e-4 * max(1, np.abs(found).max()), (
                    f"after `{name}` was changed from {value} to {other}, a copy scores like neither"
                )


def _other(value):
    if isinstance(value, int | float):
        return value * 2 + 1
    if isinstance(value, tuple) and value and all(isinstance(v, int) for v in value):
        return tuple(2 * v for v in value)
    return None


@check(each("another name", "another shape", "NaN", "one missing", "themselves"))
def check_set_parameters(s: Subject, what) -> None:
    """Parameters of another form are refused; those that were got can be set, and change nothing."""
    model = copy.deepcopy(s.fitted)
    mine = model.get_parameters()
    if not mine:
        return
    first = next((n for n, v in mine.items() if v.dtype.kind == "f"), next(iter(mine)))
    if what == "themselves":
        assert model.set_parameters(mine) is model
        near(model.score_matrix(), s.fitted.score_matrix())
        return
    changes = {
        "another name": {"colour": np.zeros(3)},
        "another shape": {first: np.zeros((*mine[first].shape, 2), mine[first].dtype)},
        "NaN": {first: np.full(mine[first].shape, np.nan)},
    }
    bad = {n: v for n, v in mine.items() if n != first} if what == "one missing" else mine | changes[what]
    if what == "NaN" and not mine[first].size:
        return
    s.refused(lambda: model.set_parameters(bad), ValueError)
    near(model.score_matrix(), s.fitted.score_matrix())


# ---------------------------------------------------------------- fits


@check(fits=True)
def check_fit_again(s: Subject, _) -> None:
    """fit gives the model back, leaves its arguments alone, and starts afresh: the same from the same data."""
    model = s.new()
    before = model.get_params()
    frame = s.frame.iloc[: len(s.frame) // 2]
    assert model.fit(s.dataset(frame), progress=False) is model
    assert model.get_params() == before, "fit changes an argument"
    assert model.fit(s.data, progress=False) is model
    np.testing.assert_array_equal(model.score_matrix(), s.fitted.score_matrix())
    assert model.history_ == s.fitted.history_


@check(each("NumPy's", "Python's"), fits=True)
def check_chance_is_its_own(s: Subject, whose) -> None:
    """A fit depends on its seed alone, not on random numbers that somebody drew before."""
    state = np.random.get_state(), random.getstate()
    try:
        np.random.seed(99) if whose == "NumPy's" else random.seed(99)
        near(s.fit(s.data).score_matrix(), s.fitted.score_matrix())
    finally:
        np.random.set_state(state[0])
        random.setstate(state[1])


@check(fits=True)
def check_fit_is_silent(s: Subject, _) -> None:
    """With progress=False nothing is printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        s.fit(s.data)
    assert not out.getvalue() and not err.getvalue(), f"printed: {(out.getvalue() + err.getvalue())[:200]}"


@check(fits=True)
def check_data_stay_as_they_were(s: Subject, _) -> None:
    """fit and every question read the data, and write nothing into them."""
    data = s.dataset(s.frame)
    before = _data_hash(data)
    model = s.fit(data)
    model.recommend(k=3)
    model.predict(s.users, s.items[0])
    with contextlib.suppress(ValueError):
        model.item_ids_.sort()
    with contextlib.suppress(ValueError):
        model.user_ids_[...] = model.user_ids_[::-1].copy()
    assert _data_hash(data) == before, "the caller's data were changed"
    s.same_scores(s.fit(data))


@check(each("table", "arrays", "side tables"), fits=True)
def check_editing_data_after_fit(s: Subject, what) -> None:
    """What the caller does with the data after fit is nothing to the model."""
    frame = s.frame
    data = s.dataset(frame)
    if what == "arrays":
        columns: list[Any] = [np.array(c) if c is not None else None for c in _columns(data.interactions)]
        data = s.dataset(
            Interactions(*columns, extra={n: np.array(v) for n, v in data.interactions.extra.items()})
        )
    model = s.fit(data)
    if what == "table":
        for name in frame:
            frame[name] = frame[name].array[::-1].copy()
            frame.loc[0, name] = frame[name].iloc[5]
    elif what == "arrays":
        for column in columns:
            if column is not None:
                column[:] = column[::-1].copy()
    else:
        for table in (data.users, data.items):
            if table is not None:
                for name in [*table, "remark"]:
                    table[name] = "changed"
    s.same_scores(model)
    near(_through_file(s, model).score_matrix(), model.score_matrix())


def _columns(x: Interactions) -> list:
    return [x.users, x.items, x.ratings, x.timestamps]


@check(each("bad data", "bad validation", "an argument that makes no sense"), fits=True)
def check_failed_fit(s: Subject, what) -> None:
    """A fit that fails leaves the model as it was."""
    model = s.fit(s.data)
    if what == "an argument that makes no sense":
        if not s.parameters:
            return
        name = s.parameters[0]
        kept = getattr(model, name)
        setattr(model, name, object())
        s.refused(lambda: model.fit(s.data, progress=False))
        setattr(model, name, kept)
    elif what == "bad data":
        s.refused(lambda: model.fit(s.frame.to_numpy(), progress=False), TypeError)
    else:
        s.refused(lambda: model.fit(s.data, s.frame.to_numpy(), progress=False), TypeError)
    _same_model(model, s.fitted)
    fresh = s.new()
    s.refused(lambda: fresh.fit(cast(Any, None), progress=False), TypeError)
    s.refused(lambda: fresh.recommend(), NotFittedError)


# ---------------------------------------------------------------- validation


def _strangers(s: Subject) -> pd.DataFrame:
    return s.frame.assign(user=[f"stranger {n}" for n in range(len(s.frame))])


VALIDATION = {
    "people nobody knows": (lambda s: s.dataset(_strangers(s)), ValueError),
    "items nobody knows": (
        lambda s: s.dataset(
            s.frame.assign(
                item=-1000 - np.arange(len(s.frame))
                if isinstance(s.items[0], int)
                else [f"x{n}" for n in range(len(s.frame))]
            )
        ),
        ValueError,
    ),
    "an array": (lambda s: s.frame.to_numpy(), TypeError),
    "a list": (lambda s: [1, 2, 3], TypeError),
    "an empty list": (lambda s: [], TypeError),
    "a share": (lambda s: 0.2, TypeError),
    "true": (lambda s: True, TypeError),
}


def _refused_or_said(s: Subject, call, error: type[Exception]) -> None:
    """Refused; or, by a model that does not watch its validation data, a warning that says so."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            s.refused(call, error)
        except AssertionError:
            if not any("validation" in str(warning.message) for warning in caught):
                raise


def _patient(s: Subject) -> dict:
    return {"patience": 1} if "patience" in s.parameters else {}


@check(VALIDATION, fits=True)
def check_bad_validation(s: Subject, given) -> None:
    """Validation data that nothing can be measured on are refused, as train would be, or not watched and said so."""
    make, error = given
    if error is TypeError:
        s.refused(lambda: s.fit(s.data, make(s)), error)
        return
    _refused_or_said(s, lambda: s.fit(s.data, make(s)), error)
    if _patient(s):
        _refused_or_said(s, lambda: s.fit(s.data, make(s), **_patient(s)), error)


@check(when=lambda s: s.task in ("rating", "click"), fits=True)
def check_validation_without_ratings(s: Subject, _) -> None:
    """Who learns from ratings is watched by ratings."""
    bare = s.dataset(s.frame.drop(columns="rating"))
    _refused_or_said(s, lambda: s.fit(s.data, bare), ValueError)


@check(each("some of train", "one row", "with strangers", "all of train"), fits=True)
def check_validation(s: Subject, what) -> None:
    """Watching a fit does not change what is learnt, and what is written down of it is finite."""
    frame = s.frame
    rows = {"some of train": frame.iloc[::3], "one row": frame.iloc[:1], "all of train": frame}.get(what)
    if rows is None:
        rows = pd.concat([frame.iloc[::3], _strangers(s).iloc[:3]])
    model = s.answer(lambda: s.fit(s.data, s.dataset(rows)))
    assert model is not None or what == "one row", "good validation data are refused"
    if model is not None:
        s.same_scores(model)
        for record in model.history_:
            wrong = [k for k, v in record.items() if isinstance(v, float) and not np.isfinite(v)]
            assert not wrong, f"history_ has {wrong[0]} = {record[wrong[0]]}"


# ---------------------------------------------------------------- more data


@check(
    each("new people and new items", "old ones alone", "one row", "further columns"),
    fits=True,
    when=can("partial_fit"),
)
def check_partial_fit(s: Subject, what) -> None:
    """What comes later joins: ids at the end, what was seen stays seen, and numbers stay finite."""
    frame = s.frame
    head, tail = frame.iloc[: len(frame) // 2], frame.iloc[len(frame) // 2 :]
    if what == "old ones alone":
        tail = tail[tail.user.isin(head.user) & tail.item.isin(head.item)]
    elif what == "one row":
        tail = tail.iloc[:1]
    elif what == "new people and new items":
        tail = tail.assign(user=[f"{u}, new" for u in tail.user])
    model = s.fit(s.dataset(head))
    before = model.user_ids_.tolist()
    assert model.partial_fit(s.dataset(tail)) is model
    assert model.user_ids_.tolist()[: len(before)] == before, "old ids have moved"
    both = pd.concat([head, tail])
    assert model.user_ids_.tolist() == both.user.drop_duplicates().tolist()
    seen = both.groupby("user").item.agg(set).to_dict()
    got = model.recommend(k=99)
    assert not [1 for u, i in zip(got.user.tolist(), got.item.tolist(), strict=True) if i in seen[u]], "seen"
    s.sane(model, both if "rating" in both else None)
    s.refused(lambda: model.partial_fit(frame.to_numpy()), TypeError)
    near(_through_file(s, model).score_matrix(), model.score_matrix())


@check(fits=True, when=can("partial_fit"))
def check_first_partial_fit(s: Subject, _) -> None:
    """partial_fit of a blank model is fit."""
    s.same_scores(s.new().partial_fit(s.data))

"""The contract's checks on every public model, on a model of somebody else, and on models with one fault each."""

from __future__ import annotations

import inspect
import itertools
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import recbook.keras as rk
import recbook.torch as rt
from recbook import contract
from recbook.contract import name_of
from recbook.errors import NotFittedError
from recbook.interactions import Dataset, as_interactions
from recbook.numpy import introduction as baselines
from recbook.recommender import Recommender
from recbook.shared._training import GradientModel
from recbook.tools import twins

ROOT = Path(__file__).resolve().parents[2]

# ---------------------------------------------------------------- every public model

FAST = {"device": "cpu", "epochs": 1, "blocks": 1, "inner": 4, "factors": 4, "layers": (4,)}


def small(cls) -> Recommender:
    """With arguments that make a fit quick."""
    return cls(**{name: value for name, value in FAST.items() if name in inspect.signature(cls).parameters})


def yardsticks() -> list[type[Recommender]]:
    found = vars(baselines).values()
    return [c for c in found if inspect.isclass(c) and c.__module__ == baselines.__name__]


MODELS = [small(cls) for cls in [*yardsticks(), *twins.wing("torch").values(), *twins.wing("keras").values()]]
# How data are written matters before a model sees them: `make test` asks one model of each kind, `make test-all` all.
OF_THE_DOOR = {
    *("names_of_further_columns", "contents_of_further_columns", "forms_of_tables", "arrays", "side_tables"),
    *("dtypes_of_ids", "dtypes_of_strings", "dtypes_of_ratings", "dtypes_of_times", "names_mean_nothing"),
    *("bad_ids_in_train", "bad_ratings", "bad_times", "what_is_no_id", "forms_of_ids"),
}
ONE_OF_EACH_KIND = {"UserKNN", "MatrixFactorization", "EASE", "DeepFM", "GRU4Rec"}
# What is asked of a network of Keras in `make test-all` alone: much of it, and what it shows is the shared code's work.
OF_TORCH_FIRST = {"forms_of_histories", "travels", "arguments_changed_after_fit", "predict_is_score_matrix"}
# What a network of Keras is asked in `make test` of all that costs a fit; its torch twin is asked everything.
OF_KERAS_TOO = {
    "what_is_no_data",
    "train_without_ratings",
    "validation_without_ratings",
    "fit_again",
    "failed_fit",
}


def comes_later(model: Recommender, check: contract.BoundCheck) -> bool:
    """Whether a check of a model is left to `make test-all`."""
    wing = type(model).__module__.split(".")[1]
    if wing == "keras" and isinstance(model, GradientModel):
        return check.name in OF_THE_DOOR | OF_TORCH_FIRST or (check.fits and check.name not in OF_KERAS_TOO)
    of_a_kind = wing == "torch" and type(model).__name__ in ONE_OF_EACH_KIND
    return check.name in OF_THE_DOOR and wing != "baselines" and not of_a_kind


# By its docstring: people of `histories` are counted on from the last user of train, in the order given.
EXPECTED = {("Random", "everybody_alone"), ("Random", "empty_history")}


def cases():
    for model in MODELS:
        for check in contract.checks(model):
            marks = [pytest.mark.thorough] if comes_later(model, check) else []
            if (type(model).__name__, check.name) in EXPECTED:
                marks.append(
                    pytest.mark.xfail(raises=AssertionError, reason="scores hang on the person's number")
                )
            yield pytest.param(check, marks=marks, id=f"{check.name}-{name_of(model)}")


@pytest.fixture(scope="module", autouse=True)
def without_graphs():
    """TensorFlow compiles a graph for each new shape, a second each; what is checked here is not its compiler."""
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        yield
        return
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.mark.parametrize("check", list(cases()))
def test_contract(check):
    check()


def test_every_public_model_is_checked():
    assert len(MODELS) == 4 + 2 * len(twins.pairs()) >= 62


def test_in_each_tier_every_check_is_made():
    now = {
        check.name for model in MODELS for check in contract.checks(model) if not comes_later(model, check)
    }
    assert now == {check.name for model in MODELS for check in contract.checks(model)}


def test_at_least_300_inputs():
    """Inputs that differ, however many models are asked."""
    assert (
        len(
            {
                (check.name, name)
                for model in MODELS
                for check in contract.checks(model)
                for name in check.inputs
            }
        )
        > 500
    )
    assert all(sum(len(check.inputs) for check in contract.checks(model)) >= 300 for model in MODELS)


# ---------------------------------------------------------------- somebody's own model


def example() -> str:
    """The code that the guide for contributors shows."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text[text.index("## Your own model under the contract") :]
    return re.search(r"```python\n(.*?)```", section, re.DOTALL)[1]


exec(compile(example(), __file__, "exec"))  # defines ItemMean, and its test
ItemMean = globals()["ItemMean"]


def test_the_guides_example_is_a_test_of_each_check():
    mark = next(m for m in globals()["test_item_mean"].pytestmark if m.name == "parametrize")
    names = [case.values[1].name for case in mark.args[1] if case.values[0].shrinkage == 5.0]
    assert names == [check.name for check in contract.checks(ItemMean())] and len(names) > 50


def test_a_table_of_all_checks():
    table = contract.check_recommender(ItemMean())
    assert table.columns.tolist() == ["check", "input", "status", "error"]
    assert set(table.status) == {"passed"} and len(table) > 300
    assert not table.duplicated(["check", "input"]).any()


def test_checks_need_no_pytest():
    code = """
    import sys
    from tests.helpers.hidden import hide
    hide("pytest", "_pytest", "torch", "keras", "tensorflow")
    from recbook import contract
    from recbook.numpy.introduction import Popularity
    assert len(contract.checks(Popularity())) > 40
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_what_is_no_model_is_refused():
    for what in (ItemMean, 3, None, "ItemMean"):
        with pytest.raises(TypeError, match="give a Recommender"):
            contract.checks(what)
    with pytest.raises(ValueError, match="on_fail"):
        contract.check_recommender(ItemMean(), on_fail="warn")
    with pytest.raises(ValueError, match="no check 'colour'"):
        contract.check_recommender(ItemMean(), expected_failed_checks={"colour": "it has none"})
    with pytest.raises(ValueError, match="no check 'colour'"):
        contract.parametrize_with_checks(
            [ItemMean()], expected_failed_checks=lambda model: {"colour": "none"}
        )


def test_own_data_are_used():
    data = contract.checks(ItemMean())[0]._subject.data
    frame = data.interactions.to_frame().assign(user=lambda f: "my " + f.user)
    own = contract.Subject(ItemMean(), Dataset(type(data.interactions).from_frame(frame)))
    assert own.users[0].startswith("my ") and own.fitted.user_ids_[0].startswith("my ")
    for check in contract.checks(ItemMean(), data=own.data):
        if not check.fits:
            check()


# ---------------------------------------------------------------- planted faults


class NaNScores:
    def predict(self, *asked, **more):
        scores = super().predict(*asked, **more)
        scores[:1] = np.nan
        return scores


class BatchDependent:
    """As a network in training mode is: whoever is asked about beside others gets another score."""

    def predict(self, *asked, **more):
        scores = super().predict(*asked, **more)
        return (scores + np.float32(0.01) * len(scores)).astype(np.float32)


class Float64Scores:
    def predict(self, *asked, **more):
        return super().predict(*asked, **more).astype(np.float64)


class ClippedScores:
    """To the stars of one data set."""

    def score_matrix(self, *asked, **more):
        return np.clip(super().score_matrix(*asked, **more), 1, 5)


class UnknownIsMean:
    def predict(self, users, items, *, unknown="raise", **more):
        return super().predict(users, items, unknown="fallback" if unknown == "nan" else unknown, **more)


class RawKeyError:
    def predict(self, users, items, *, unknown="raise", **more):
        known = dict.fromkeys(self.user_ids_.tolist())
        if unknown == "raise" and more.get("histories") is None:
            [known[user] for user in np.atleast_1d(users).tolist()]
        return super().predict(users, items, unknown=unknown, **more)


class AnyUnknown:
    def predict(self, users, items, *, unknown="raise", **more):
        return super().predict(
            users, items, unknown=unknown if unknown in ("fallback", "nan") else "raise", **more
        )


class FirstOfBoth:
    """Pairs as far as they go."""

    def predict(self, users, items, **more):
        if np.ndim(users) == np.ndim(items) == 1 and 1 not in (len(users), len(items)):
            users, items = (
                zip(*zip(users, items, strict=False), strict=True) if len(users) and len(items) else ([], [])
            )
            users, items = list(users), list(items)
        return super().predict(users, items, **more)


class LiveIds:
    @property
    def item_ids_(self):
        if "_live" not in self.__dict__:
            self.__dict__["_live"] = np.array(super().item_ids_)
        return self._live


class LiveScores:
    def score_matrix(self, users=None, **more):
        if users is None and not more:
            if "_kept" not in self.__dict__:
                self.__dict__["_kept"] = super().score_matrix()
            return self._kept
        return super().score_matrix(users, **more)


class RecommendsSeen:
    def recommend(self, users=None, k=10, *, exclude_seen=True, **more):
        return super().recommend(users, k, exclude_seen=False, **more)


class WorstFirst:
    def recommend(self, *asked, **more):
        table = super().recommend(*asked, **more)
        return table.sort_values(["user", "score"], ignore_index=True)


class RanksFromZero:
    def recommend(self, *asked, **more):
        table = super().recommend(*asked, **more)
        return table.assign(rank=table["rank"] - 1)


class TopOfAll:
    """Filters what was seen after the top was taken: lists come out short."""

    def recommend(self, users=None, k=10, *, exclude_seen=True, **more):
        table = super().recommend(users, k, exclude_seen=exclude_seen, **more)
        return table[(table["rank"] < k) | (table["rank"] == 1)].reset_index(drop=True)


class AnyK:
    def recommend(self, users=None, k=10, **more):
        return super().recommend(
            users, max(1, int(float(k if k is not None else 10))) if not isinstance(k, list) else 1, **more
        )


class CandidatesTwice:
    def recommend(self, users=None, k=10, *, candidates=None, **more):
        table = super().recommend(users, k, candidates=candidates, **more)
        listed = [] if candidates is None else np.atleast_1d(np.asarray(candidates, object)).tolist()
        return pd.concat([table, table[:1]], ignore_index=True) if len(listed) > len(set(listed)) else table


class SortsUsers:
    def recommend(self, users=None, *asked, **more):
        if isinstance(users, list) and all(isinstance(user, str) for user in users):
            users = sorted(users)
        return super().recommend(users, *asked, **more)


class ForgetsFirst:
    """Each question moves the model on."""

    def recommend(self, *asked, **more):
        self.__dict__["_asked"] = self.__dict__.get("_asked", 0) + 1
        return super().recommend(*asked, **more)

    def score_matrix(self, *asked, **more):
        return super().score_matrix(*asked, **more) + np.float32(self.__dict__.get("_asked", 0))


class ReadsHistoriesTwice:
    def recommend(self, users=None, k=10, *, histories=None, **more):
        if isinstance(histories, dict):
            [list(one) for one in histories.values() if not isinstance(one, (str, int, type(None)))]
        return super().recommend(users, k, histories=histories, **more)


class AsksForTimes:
    def fit(self, *asked, **more):
        warnings.warn("rows are taken in the order of the table", UserWarning, stacklevel=2)
        return super().fit(*asked, **more)


class SilentAboutStrangers:
    def recommend(self, *asked, **more):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return super().recommend(*asked, **more)


class StrangersInFileOrder:
    def predict(self, users, items, *, histories=None, **more):
        scores = super().predict(users, items, histories=histories, **more)
        return scores if histories is None or list(histories[users]) else np.zeros_like(scores)


class CutsAtTheUnknown:
    def recommend(self, users=None, k=10, *, histories=None, unknown="raise", **more):
        if isinstance(histories, dict) and unknown == "ignore":
            known = self.item_ids_.tolist()
            histories = {
                name: list(itertools.takewhile(known.__contains__, one)) for name, one in histories.items()
            }
        return super().recommend(users, k, histories=histories, unknown=unknown, **more)


class SkipsUnknownInHistories:
    def recommend(self, users=None, k=10, *, histories=None, **more):
        if isinstance(histories, dict):
            known = set(self.item_ids_.tolist())
            histories = {
                name: [i for i in one if i in known] if isinstance(one, list) else one
                for name, one in histories.items()
            }
        return super().recommend(users, k, histories=histories, **more)


class ItselfSimilar:
    def similar_items(self, items, k=10):
        table = super().similar_items(items, k)
        return table.assign(similar=table.item)


class NaNSimilar:
    def similar_items(self, items, k=10):
        table = super().similar_items(items, k)
        return table.assign(score=np.float32(np.nan))


class DropsContext:
    def predict(self, users, items, *, context=None, **more):
        return super().predict(users, items, **more)


class RawBeforeFit:
    def recommend(self, *asked, **more):
        try:
            return super().recommend(*asked, **more)
        except NotFittedError:
            return self._never_made  # AttributeError


class NotPicklable:
    def __reduce__(self):
        raise TypeError("cannot pickle a lambda")

    def __deepcopy__(self, memo):
        raise TypeError("cannot copy a lambda")


class FileLoses:
    def _set_parameters(self, parameters):
        changed = {n: v + np.ones((), v.dtype) if v.dtype.kind == "f" else v for n, v in parameters.items()}
        super()._set_parameters(changed)


class Prints:
    def fit(self, *asked, **more):
        print("epoch 1")
        return super().fit(*asked, **more)


class GivesNothingBack:
    def fit(self, *asked, **more):
        super().fit(*asked, **more)


class IgnoresValidation:
    def fit(self, data, validation=None, **more):
        return super().fit(data, **more)


class LearnsFromValidation:
    def fit(self, data, validation=None, **more):
        watched = isinstance(validation, Dataset)
        super().fit(data, validation, **more)
        self.__dict__["_watched"] = watched
        return self

    def score_matrix(self, *asked, **more):
        return super().score_matrix(*asked, **more) + np.float32(self.__dict__.get("_watched", False))


class TakesDuplicates:
    def fit(self, data, *asked, **more):
        if isinstance(data, Dataset):
            x = data.interactions
            rows = ~pd.DataFrame({"u": x.user_codes, "i": x.item_codes}).duplicated().to_numpy()
            data = data.take(rows) if not rows.all() else data
        return super().fit(data, *asked, **more)


class WritesIntoData:
    def fit(self, data, *asked, **more):
        if isinstance(data, Dataset) and data.items is not None:
            data.items["mean"] = 0.0
        return super().fit(data, *asked, **more)


class ReadsDataLater:
    def fit(self, data, *asked, **more):
        super().fit(data, *asked, **more)
        self.__dict__["_table"] = data.users if isinstance(data, Dataset) else None
        return self

    def score_matrix(self, *asked, **more):
        table = self.__dict__.get("_table")
        found = 0 if table is None else (table == "changed").to_numpy().sum()
        return super().score_matrix(*asked, **more) + np.float32(found)


class HalfAFit:
    def fit(self, *asked, **more):
        self.__dict__["_fits"] = self.__dict__.get("_fits", 0) + 1
        return super().fit(*asked, **more)

    def score_matrix(self, *asked, **more):
        return super().score_matrix(*asked, **more) + np.float32(self._fits)


class ReadsNames:
    def fit(self, data, *asked, **more):
        super().fit(data, *asked, **more)
        self.__dict__["_length"] = len(str(self.user_ids_[0]))
        return self

    def score_matrix(self, *asked, **more):
        return super().score_matrix(*asked, **more) + np.float32(self.__dict__.get("_length", 0))


class ReadsColumns:
    """Takes whatever column has the right name for its own."""

    def fit(self, data, *asked, **more):
        super().fit(data, *asked, **more)
        self.__dict__["_shift"] = np.float32("label" in as_interactions(data).extra)
        return self

    def score_matrix(self, *asked, **more):
        return super().score_matrix(*asked, **more) + self.__dict__.get("_shift", 0)


class CountsTime:
    """In whole seconds, as if every clock ticked so."""

    def fit(self, data, *asked, **more):
        super().fit(data, *asked, **more)
        times = as_interactions(data).timestamps
        self.__dict__["_days"] = 0 if times is None else np.float32(np.ptp(np.float64(times)) / 86_400)
        return self

    def score_matrix(self, *asked, **more):
        return super().score_matrix(*asked, **more) + self.__dict__.get("_days", 0)


class GlobalChance:
    def fit(self, *asked, **more):
        super().fit(*asked, **more)
        self.__dict__["_drawn"] = np.float32(np.random.random())
        return self

    def score_matrix(self, *asked, **more):
        return super().score_matrix(*asked, **more) + self.__dict__.get("_drawn", 0)


class NaNForFew:
    """As a variance over one row is."""

    def score_matrix(self, *asked, **more):
        scores = super().score_matrix(*asked, **more)
        return scores if len(self.user_ids_) > 1 else np.full_like(scores, np.nan)


class TakesDicts:
    def fit(self, data, *asked, **more):
        if isinstance(data, dict):
            data = pd.DataFrame(data).assign(rating=1.0)
        return super().fit(data, *asked, **more)


class TakesNonsense:
    def _check_hyper_parameters(self):
        for name in self._parameter_names():
            if isinstance(getattr(self, name), float) and np.isnan(getattr(self, name)):
                return
        super()._check_hyper_parameters()


FAULTS = {
    NaNScores: "predict_is_score_matrix",
    BatchDependent: "predict_is_score_matrix",
    Float64Scores: "predict_is_score_matrix",
    ClippedScores: "units_of_ratings",
    UnknownIsMean: "unknown_ids",
    RawKeyError: "unknown_ids",
    AnyUnknown: "other_values_of_unknown",
    FirstOfBoth: "pairs_of_two_lengths",
    LiveIds: "answers_are_the_callers",
    LiveScores: "answers_are_the_callers",
    RecommendsSeen: "recommend",
    WorstFirst: "recommend",
    RanksFromZero: "recommend",
    TopOfAll: "recommend",
    AnyK: "bad_k",
    CandidatesTwice: "candidates",
    SortsUsers: "users_one_by_one",
    ForgetsFirst: "asking_changes_nothing",
    ReadsHistoriesTwice: "forms_of_histories",
    SkipsUnknownInHistories: "unknown_items_in_histories",
    CutsAtTheUnknown: "unknown_items_ignored",
    AsksForTimes: "order_without_times",
    SilentAboutStrangers: "who_has_met_nothing",
    StrangersInFileOrder: "who_has_met_nothing",
    ItselfSimilar: "similar_items",
    NaNSimilar: "similar_items",
    DropsContext: "context_is_refused",
    RawBeforeFit: "before_fit",
    NotPicklable: "travels",
    FileLoses: "travels",
    Prints: "fit_is_silent",
    GivesNothingBack: "fit_again",
    IgnoresValidation: "bad_validation",
    LearnsFromValidation: "validation",
    TakesDuplicates: "repeated_pairs",
    WritesIntoData: "data_stay_as_they_were",
    ReadsDataLater: "editing_data_after_fit",
    HalfAFit: "failed_fit",
    ReadsNames: "names_mean_nothing",
    ReadsColumns: "names_of_further_columns",
    CountsTime: "dtypes_of_times",
    GlobalChance: "chance_is_its_own",
    NaNForFew: "sizes",
    TakesDicts: "what_is_no_data",
    TakesNonsense: "nonsense_for_arguments",
}


def with_fault(fault: type, base: type[Recommender]) -> Recommender:
    cls = type(
        base.__name__,
        (fault, base),
        {"__doc__": base.__doc__, "__init__": base.__init__, "__module__": __name__},
    )
    return small(cls)


PLANTED = [
    pytest.param(fault, base, id=f"{fault.__name__}-{name_of(small(base))}")
    for fault, name in FAULTS.items()
    for base in (ItemMean, rt.ItemKNN, rk.ItemKNN)
    if name != "similar_items" or "similar_items" in base.supports
]


@pytest.mark.parametrize("fault, base", PLANTED)
def test_a_planted_fault_is_found(fault, base):
    """By the check of its kind, on a model that passes it without the fault."""
    name = FAULTS[fault]
    sound = next(check for check in contract.checks(small(base)) if check.name == name)
    sound()
    faulty = next(check for check in contract.checks(with_fault(fault, base)) if check.name == name)
    with pytest.raises(AssertionError, match=f"{base.__name__} fails {name}"):
        faulty()


def test_a_faults_report_lists_each_input(monkeypatch):
    few = [check for check in contract.REGISTRY if check.name in ("units_of_ratings", "declarations")]
    monkeypatch.setattr(contract, "REGISTRY", few)
    model = with_fault(ClippedScores, ItemMean)
    table = contract.check_recommender(
        model, on_fail=None, expected_failed_checks={"units_of_ratings": "planted"}
    )
    xfail = table[table.status == "xfail"]
    assert set(xfail.check) == {"units_of_ratings"} and "times 1e-4" in set(xfail.input)
    with pytest.raises(AssertionError, match=r"units_of_ratings\[times 1e-4\]: 1 is predicted"):
        contract.check_recommender(model)


def test_an_expected_failure_is_marked():
    marked = contract.parametrize_with_checks(
        [with_fault(ClippedScores, ItemMean)],
        expected_failed_checks=lambda model: {"units_of_ratings": "planted"},
    )
    marks = {case.values[1].name: case.marks for case in marked.args[1]}
    assert [mark.name for mark in marks["units_of_ratings"]] == ["xfail"] and not marks["sizes"]

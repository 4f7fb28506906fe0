"""`random_search` and `grid_search`: the planted best is found, on validation data cut from train alone."""

import inspect

import numpy as np
import pandas as pd
import pytest

import recbook.keras as rk
import recbook.numpy as np_wing
import recbook.torch as rt
from recbook import splits, tuning, worlds
from recbook.errors import DivergedError, NotSupportedError
from recbook.evaluation import evaluate
from recbook.interactions import Interactions
from recbook.numpy.introduction import BiasOnly, GlobalMean
from recbook.tuning import grid_search, random_search, space
from tests.helpers.bad_inputs import refuses

WORLD = worlds.make_biases(n_users=80, n_items=60, density=0.3, noise=0.3, seed=0)
TRAIN, TEST = splits.random_split(WORLD.data, 0.2, seed=0)


class Planted(GlobalMean):
    """Is told every rating; its error is |x - 3|, and from y = 10 on it diverges."""

    def __init__(self, x: float = 0.0, y: float = 0.0):
        self.x, self.y = x, y

    def _fit(self, train, validation, progress):
        super()._fit(train, validation, progress)
        if self.y >= 10:
            raise DivergedError("Planted: `w` is not finite; lower `y`")

    def _predict(self, users, items, histories, context):
        row = pd.Index(WORLD.truth["user_ids"]).get_indexer(self.user_ids_[users])
        column = pd.Index(WORLD.truth["item_ids"]).get_indexer(self.item_ids_[items])
        return WORLD.scores[row, column] + self.x - 3


def test_finds_the_planted_best():
    found = random_search(
        Planted(), {"x": (0.0, 6.0)}, TRAIN, "rmse", n_trials=40, seed=0, clip=None, progress=False
    )
    assert found.params["x"] == pytest.approx(3, abs=0.3) and found.model.x == found.params["x"]
    assert found.figure == found.trials.rmse.min() and len(found.trials) == 40
    assert (found.trials.error == "").all() and (found.trials.seconds > 0).all()
    assert found.trials.index.name == "trial" and list(found.trials) == ["x", "rmse", "seconds", "error"]
    assert "rmse" in repr(found) and "40 trials" in repr(found)


def test_higher_is_better_for_lists():
    space = {"reg_user": [0.0, 15.0], "reg_item": [0.0, 1e9]}  # 1e9 leaves no bias of items: all lists tie
    found = random_search(BiasOnly(), space, TRAIN, "ndcg@5", n_trials=9, relevant=4, progress=False)
    assert found.params["reg_item"] == 0.0 and found.figure == found.trials["ndcg@5"].max()
    assert len(found.trials) == 4  # no setting twice: the space is used up
    assert not found.trials.duplicated(["reg_user", "reg_item"]).any()


def test_what_is_measured_is_what_one_would_measure_by_hand():
    found = random_search(BiasOnly(), {"reg_user": [1.0, 40.0]}, TRAIN, "mae", 2, seed=3, progress=False)
    rest, held_out = splits.random_split(TRAIN, 0.2, seed=3)
    for row in found.trials.itertuples():
        by_hand = evaluate(BiasOnly(reg_user=row.reg_user).fit(rest), held_out, ["mae"])["mae"]
        assert row.mae == by_hand
    # The model that comes back has seen all of train.
    again = BiasOnly(**found.params).fit(TRAIN)
    np.testing.assert_array_equal(found.model.score_matrix(), again.score_matrix())
    assert found.protocol["n_rest"] + found.protocol["n_validation"] == len(TRAIN.interactions)


def test_there_is_no_place_for_test_data():
    taken = inspect.signature(random_search).parameters
    assert (
        not [name for name in taken if "test" in name] and taken["train"].kind.name == "POSITIONAL_OR_KEYWORD"
    )
    for data in (TEST, TEST.interactions, (TRAIN, TEST)):
        with pytest.raises(TypeError, match="`validation` is a .*Test data have no place"):
            random_search(BiasOnly(), {"epochs": [1, 2]}, TRAIN, "rmse", validation=data, progress=False)
    with pytest.raises(ValueError, match="rows as validation data that are not in train"):
        random_search(
            BiasOnly(), {"epochs": [1, 2]}, TRAIN, "rmse", validation=lambda x: (x, TEST), progress=False
        )
    with pytest.raises(ValueError, match="some are on both sides"):
        random_search(BiasOnly(), {"epochs": [1]}, TRAIN, "rmse", validation=lambda x: (x, x), progress=False)
    with pytest.raises(ValueError, match="left the rest empty"):
        random_search(
            BiasOnly(), {"epochs": [1]}, TRAIN, "rmse", validation=lambda x: (x.take([]), x), progress=False
        )


def test_another_way_to_cut_train():
    x = TRAIN.interactions
    timed = Interactions.from_frame(x.to_frame().assign(timestamp=np.arange(len(x))))
    found = random_search(
        BiasOnly(),
        {"epochs": [1, 5]},
        timed,
        "rmse",
        validation=splits.leave_last_out,
        progress=False,
    )
    assert found.protocol["validation"] == "leave_last_out"
    assert found.protocol["n_validation"] == x.n_users
    assert found.model.user_ids_.tolist() == x.user_ids.tolist()


def test_seeds_repeat_and_more_trials_leave_the_first_as_they_were():
    def search(n_trials, seed, space):
        found = random_search(BiasOnly(), space, TRAIN, "rmse", n_trials, seed, progress=False)
        return found.trials.drop(columns="seconds")

    space = {"reg_user": (0.1, 100.0, "log"), "epochs": (1, 6)}
    first = search(5, 0, space)
    pd.testing.assert_frame_equal(first, search(5, 0, space))
    pd.testing.assert_frame_equal(first, search(8, 0, space)[:5])
    turned = search(5, 0, dict(reversed(space.items())))
    pd.testing.assert_frame_equal(first, turned[list(first)])
    assert not first.reg_user.equals(search(5, 1, space).reg_user)


def test_spaces_are_drawn_as_they_say():
    space = {"reg_user": (0.01, 100.0, "log"), "reg_item": (2.0, 4.0), "epochs": (1, 4)}
    trials = random_search(BiasOnly(), space, TRAIN, "rmse", 300, progress=False).trials
    decades = np.log10(trials.reg_user)
    assert decades.between(-2, 2).all() and decades.mean() == pytest.approx(0, abs=0.2)
    assert np.histogram(decades, 4, (-2, 2))[0].min() > 50
    assert trials.reg_item.between(2, 4).all() and trials.reg_item.mean() == pytest.approx(3, abs=0.1)
    counts = trials.epochs.value_counts()
    assert sorted(counts.index) == [1, 2, 3, 4] and counts.min() > 50
    whole = random_search(BiasOnly(), {"epochs": (1, 8, "log")}, TRAIN, "rmse", 50, progress=False).trials
    assert sorted(whole.epochs) == list(range(1, 9)) and whole.epochs.dtype.kind == "i"


def test_divergence_is_recorded_and_not_fatal():
    space = {"x": [2.0, 3.0], "y": [0.0, 10.0]}
    found = random_search(Planted(), space, TRAIN, "rmse", 4, clip=None, progress=False)
    failed = found.trials[found.trials.y == 10]
    assert len(failed) == 2 and failed.rmse.isna().all() and failed.error.str.contains("lower `y`").all()
    assert found.params == {"x": 3.0, "y": 0.0} and "2 of which failed" in repr(found)
    with pytest.raises(DivergedError, match="each of the 2 trials diverged.*lower `y`"):
        random_search(Planted(), {"y": [10.0, 11.0]}, TRAIN, "rmse", 2, progress=False)


def test_other_errors_are_fatal():
    with pytest.raises(ValueError, match="`epochs` is 0"):
        random_search(BiasOnly(), {"epochs": [0]}, TRAIN, "rmse", progress=False)


def search(**changes):
    arguments = {
        "model": BiasOnly(),
        "space": {"epochs": [1]},
        "train": TRAIN,
        "metric": "rmse",
        "progress": False,
    }
    return lambda: random_search(**arguments | changes)


BAD = {
    "model": (search(model=BiasOnly), TypeError, ("`model`", "type")),
    "metric": (search(metric="rsme"), ValueError, ("unknown metric 'rsme'", "ndcg@k")),
    "metric of a ranker": (
        search(model=Planted(), space={"x": [1]}, metric="log_loss", relevant=4),
        NotSupportedError,
        ("log_loss",),
    ),
    "n_trials": (search(n_trials=0), ValueError, ("`n_trials`", "at least 1")),
    "space": (search(space={}), ValueError, ("`space`", "(low, high, 'log')")),
    "parameter": (search(space={"k": [1]}), ValueError, ("BiasOnly", "no parameter `k`", "epochs")),
    "values": (search(space={"epochs": []}), ValueError, ("`space['epochs']`", "empty")),
    "a single value": (search(space={"epochs": 3}), ValueError, ("`space['epochs']` is 3", "list of values")),
    "upside down": (search(space={"reg_user": (5.0, 1.0)}), ValueError, ("(5.0, 1.0)",)),
    "log of 0": (search(space={"reg_user": (0, 1.0, "log")}), ValueError, ("above 0",)),
    "other word": (search(space={"reg_user": (1, 2, "exp")}), ValueError, ("'log'",)),
    "infinite": (search(space={"reg_user": (1.0, np.inf)}), ValueError, ("inf",)),
    "validation": (search(validation=1.5), ValueError, ("1.5",)),
    "validation rows": (search(validation="rows"), TypeError, ("`validation` is a str", "0.2")),
    "three parts": (
        search(validation=lambda x: (x, x, x)),
        TypeError,
        ("`validation`", "(rest, validation)"),
    ),
    "both sides": (
        search(validation=[(TRAIN.take(range(15)), TRAIN.take(range(10, 15)))]),
        ValueError,
        ("5 pairs", "both sides"),
    ),
    "nothing to search": (
        search(model=GlobalMean(), space=None),
        ValueError,
        ("GlobalMean has nothing to search",),
    ),
    "one fold": (search(validation=1), ValueError, ("n_splits",)),
    "no pairs": (search(validation=[TRAIN]), TypeError, ("`validation` is a list",)),
    "train": (search(train="TRAIN"), TypeError, ("str",)),
}


@pytest.mark.parametrize("name", BAD)
def test_refuses(name):
    call, error, words = BAD[name]
    with pytest.raises(error) as caught:
        call()
    assert all(word in str(caught.value) for word in words), caught.value


# ---------------------------------------------------------------- a model's own space


def test_a_models_own_space_is_what_its_heads_say():
    own = space(rt.MatrixFactorization)
    assert own == space(rt.MatrixFactorization()) == space(rk.MatrixFactorization)
    assert own["factors"] == (8, 128, "log") and "device" not in own and "seed" not in own
    found = random_search(BiasOnly(), None, TRAIN, "rmse", n_trials=4, progress=False)
    low, high, _ = space(BiasOnly)["reg_user"]
    assert found.trials.reg_user.between(low, high).all() and found.trials.reg_user.nunique() == 4
    assert found.protocol["space"] == {name: list(values) for name, values in space(BiasOnly).items()}


MODELS = {name: getattr(wing, name) for wing in (rt, np_wing) for name in wing.__all__ if name != "load"}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_draw_of_its_space_is_a_model(name):
    """Every public model takes what its own space gives: hyper-parameters are checked at the start of a fit."""
    model = MODELS[name]
    for trial in range(20):
        setting = tuning._draw(space(model), np.random.default_rng([0, trial]), set()) or {}
        model(**setting)._check_hyper_parameters()


# ---------------------------------------------------------------- grids and folds


def test_a_grid_is_every_combination_in_order():
    grid = {"x": [0.0, 3.0, 6.0], "y": [0.0, 5.0]}
    found = grid_search(Planted(), grid, TRAIN, "rmse", clip=None, progress=False)
    assert found.trials[["x", "y"]].to_numpy().tolist() == [[x, y] for x in grid["x"] for y in grid["y"]]
    assert found.params == {"x": 3.0, "y": 0.0} and found.model.x == 3.0  # of equal figures the first
    one = random_search(Planted(), {"x": [3.0]}, TRAIN, "rmse", 1, clip=None, progress=False)
    assert found.figure == one.figure


def test_the_figure_of_folds_is_their_mean():
    found = grid_search(
        BiasOnly(), {"reg_user": [1.0, 40.0]}, TRAIN, "rmse", seed=2, validation=3, progress=False
    )
    for row in found.trials.itertuples():
        folds = splits.k_fold(TRAIN, 3, seed=2)
        by_hand = [evaluate(BiasOnly(reg_user=row.reg_user).fit(a), b, ["rmse"])["rmse"] for a, b in folds]
        assert row.rmse == pytest.approx(np.mean(by_hand))
    assert found.protocol["validation"] == "k_fold, 3 folds, seed 2"
    pairs = list(splits.k_fold(TRAIN, 3, seed=2))
    given = grid_search(
        BiasOnly(), {"reg_user": [1.0, 40.0]}, TRAIN, "rmse", validation=pairs, progress=False
    )
    assert given.trials.rmse.tolist() == found.trials.rmse.tolist()


@pytest.mark.parametrize(
    ("grid", "words"),
    [({}, ("`space`",)), ({"reg_user": (1.0, 2.0)}, ("a grid is made of lists",)), ({"reg": [1.0]}, ("`reg`",)),
     ({"reg_user": []}, ("empty",))],
)  # fmt: skip
def test_a_grid_of_anything_else_is_refused(grid, words):
    refuses(lambda: grid_search(BiasOnly(), grid, TRAIN, "rmse", progress=False), ValueError, words)

"""Logistic regression: formula = torch = keras = scikit-learn, stable at any logit, personal only by crosses."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression as SklearnLogisticRegression

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, metrics, splits
from recbook.checks import logistic as checks
from recbook.core import storage
from recbook.errors import DataError, DivergedError, FileFormatError, NotSupportedError
from recbook.evaluation import evaluate
from recbook.fields import Fields
from recbook.formulas import logistic as formulas
from recbook.formulas.optimizers import finite_differences
from recbook.interactions import Dataset, Interactions
from tests.helpers.bad_inputs import refuses
from tests.helpers.known_mistakes import each_gives_its_own_hint

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
BOTH = (rt, rk)
RICH = ("user", "item", "users.age", "items.genres", "position", "users.gender*items.genres")
GENRES = np.array(["Comedy", "War|Drama", "Drama", "Comedy|Romance", ""])


def make_data(n_users: int = 14, n_items: int = 10, seed: int = 0) -> Dataset:
    """Clicks that come from gender × genre, position, and whom and what one meets."""
    rng = np.random.default_rng(seed)
    users = pd.DataFrame(
        {"age": rng.integers(18, 70, n_users), "gender": rng.choice(["F", "M"], n_users)},
        index=[f"u{n}" for n in range(n_users)],
    )
    items = pd.DataFrame({"genres": GENRES[np.arange(n_items + 1) % 5]}, index=100 + np.arange(n_items + 1))
    u, i = np.nonzero(rng.random((n_users, n_items)) < 0.7)
    position = rng.integers(1, 4, len(u))
    funny = items.genres.str.contains("Comedy").to_numpy()[i]
    z = 2.0 * np.where((users.gender == "F").to_numpy()[u] == funny, 1, -1) - 0.5 * (position - 2)
    z += rng.normal(0, 1, n_users)[u] + rng.normal(0, 1, n_items)[i]
    rows = {"user": users.index[u], "item": items.index[i], "position": position}
    rows["rating"] = (rng.random(len(u)) < 1 / (1 + np.exp(-z))).astype(float)
    return Dataset(Interactions.from_frame(pd.DataFrame(rows)), users=users, items=items)


DATA = make_data()
X = DATA.interactions
CONTEXT = pd.DataFrame({"position": X.extra["position"]})
WARM = 110  # in the table and in no interaction; its genres are those of 100


def make(wing, **changes):
    arguments = {"fields": RICH, "epochs": 3, "device": "cpu"} | changes
    return wing.LogisticRegression(**arguments)


def fitted(wing, data=DATA, validation=None, **changes):
    return make(wing, **changes).fit(data, validation, progress=False)


def dense(spec=RICH, data=DATA) -> np.ndarray:
    """The design matrix, (n, n_features)."""
    fields, x = Fields.fit(spec, data), data.interactions
    index, value = fields.rows(x.users, x.items, x.extra)
    table = np.zeros((len(x), fields.n_features))
    np.add.at(table, (np.arange(len(x))[:, None], index), value)
    return table


# ---------------------------------------------------------------- equations, by hand


def test_probability_by_hand():
    """Two features, θ₀ = −1, θ = (2, 0.5), x = (1, 2): z = 2 and P = 1 / (1 + e⁻²)."""
    x = np.array([[1.0, 2.0], [0.0, 0.0], [0.5, 0.0]])
    weights = np.array([2.0, 0.5])
    assert formulas.logit(x, -1.0, weights).tolist() == [2.0, -1.0, 0.0]
    np.testing.assert_allclose(
        formulas.probability(x, -1.0, weights), [1 / (1 + np.exp(-2)), 1 / (1 + np.e), 0.5], rtol=1e-14
    )


def test_a_vector_of_features_has_a_vector_of_weights():
    """Each feature has a weight of its own: swap two of unequal weight, and the probability changes."""
    x, weights = np.array([[3.0, 1.0, 0.0]]), np.array([1.0, -1.0, 0.0])
    assert formulas.probability(x, 0.0, weights) > 0.8
    assert formulas.probability(x[:, [1, 0, 2]], 0.0, weights) < 0.2
    with pytest.raises(ValueError, match="mismatch|not aligned"):
        formulas.probability(x, 0.0, weights[:2])


def test_the_stable_loss_is_the_written_one_where_that_works():
    z = np.linspace(-30, 30, 241)
    for y in (0.0, 1.0):
        labels = np.full(len(z), y)
        stable, written = formulas.loss(labels, z), formulas.loss_as_written(labels, z)
        # The written form rounds the chance of what happened, e^-loss, by 1.1e-16 before it takes the logarithm.
        assert (np.abs(stable - written) <= 1e-14 * stable + 2.3e-16 * np.exp(stable)).all()
    by_hand = {(1, 0.0): np.log(2), (0, np.log(3)): np.log(4), (1, np.log(3)): np.log(4 / 3)}
    for (y, logit), value in by_hand.items():
        assert formulas.loss(np.array([y]), np.array([logit]))[0] == pytest.approx(value, rel=1e-14)


def test_the_written_loss_overflows_at_800_and_the_stable_one_does_not():
    y, z = np.array([0.0, 1.0, 0.0, 1.0]), np.array([800.0, 800.0, -800.0, -800.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        with pytest.raises(RuntimeWarning):
            formulas.loss_as_written(y, z)
        assert formulas.loss(y, z).tolist() == [800.0, 0.0, 0.0, 800.0]
        assert formulas.sigmoid(z).tolist() == [1.0, 1.0, 0.0, 0.0]
    with np.errstate(all="ignore"):
        assert not np.isfinite(formulas.loss_as_written(y, z)).any()
        # In truth it begins at 37, where 1 − P is rounded to 0.
        assert formulas.loss_as_written(np.zeros(1), np.array([37.0])) == np.inf
    assert formulas.loss(np.zeros(1), np.array([37.0]))[0] == 37.0


@pytest.mark.parametrize("reg", [0.0, 0.3])
def test_gradient_agrees_with_finite_differences(reg):
    """For examples of both labels, each by itself and all together."""
    rng = np.random.default_rng(0)
    table, theta = rng.normal(size=(30, 4)), rng.normal(size=5)
    y = (rng.random(30) < 0.5).astype(float)
    assert set(y) == {0, 1}
    for rows in (np.arange(30), np.flatnonzero(y == 0)[:1], np.flatnonzero(y == 1)[:1]):
        found = np.append(*formulas.gradient(table[rows], y[rows], theta[0], theta[1:], reg))
        measured = finite_differences(
            lambda at, rows=rows: formulas.objective(table[rows], y[rows], at[0], at[1:], reg), theta
        )
        np.testing.assert_allclose(found, measured, atol=1e-8)


def test_the_gradient_of_one_example_is_its_error_times_its_features():
    x, bias, weights = np.array([[2.0, -1.0, 0.0]]), 0.3, np.array([0.5, 0.2, 9.0])
    p = formulas.probability(x, bias, weights)[0]
    for y in (0.0, 1.0):
        d_bias, d_weights = formulas.gradient(x, np.array([y]), bias, weights, reg=0.0)
        assert d_bias == p - y
        np.testing.assert_allclose(d_weights, (p - y) * x[0], rtol=1e-14)


def test_descent_reaches_newtons_optimum_and_never_climbs():
    table, y = dense(("users.gender*items.genres", "users.age")), X.ratings
    bias, weights, curve = formulas.descend(table, y, reg=0.01, learning_rate=1.0, steps=3000)
    assert (np.diff(curve) <= 1e-15).all() and curve[0] == pytest.approx(np.log(2))
    best = formulas.newton(table, y, reg=0.01)
    np.testing.assert_allclose(np.append(bias, weights), np.append(*best), atol=1e-6)
    slope = np.append(*formulas.gradient(table, y, *best, reg=0.01))
    assert np.abs(slope).max() < 1e-12


def test_odds_ratio_by_hand():
    x, weights = np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([np.log(3), -0.4])
    p = formulas.probability(x, 0.2, weights)
    odds = p / (1 - p)
    assert odds[1] / odds[0] == pytest.approx(formulas.odds_ratio(weights[0])) == pytest.approx(3)


def test_net_benefit_by_hand():
    y, p = np.array([1, 1, 0, 0, 0]), np.array([0.9, 0.4, 0.6, 0.3, 0.1])
    # At .5 two are acted on, one of them rightly: (1 − 1 · 1) / 5. At .25 four: (2 − 2/3) / 5.
    assert formulas.net_benefit(y, p, 0.5) == 0
    assert formulas.net_benefit(y, p, 0.25) == pytest.approx((2 - 2 / 3) / 5)
    assert formulas.net_benefit(y, np.ones(5), 0.4) == pytest.approx(0)  # all acted on, at the base rate
    for t in (0, 1, -1, np.nan):
        with pytest.raises(ValueError, match="`threshold` is"):
            formulas.net_benefit(y, p, t)


# ---------------------------------------------------------------- formula = torch = keras = scikit-learn


@pytest.mark.backends
@WINGS
@pytest.mark.parametrize("batch_size", [None, 10**6], ids=["None", "larger than n"])
def test_full_batches_of_sgd_are_the_equations_step(wing, batch_size):
    """20 steps from the model's own start, against (lr-step) in float64."""
    model = fitted(wing, epochs=20, learning_rate=0.7, reg=0.01, optimizer="sgd", batch_size=batch_size)
    table, y = dense(), X.ratings
    positive = (y.sum() + 1) / (len(y) + 2)
    bias, weights, curve = np.log(positive / (1 - positive)), np.zeros(table.shape[1]), []
    for _ in range(20):
        curve.append(formulas.objective(table, y, bias, weights, 0.01))
        d_bias, d_weights = formulas.gradient(table, y, bias, weights, 0.01)
        bias, weights = bias - 0.7 * d_bias, weights - 0.7 * d_weights
    learnt = model.get_parameters()
    np.testing.assert_allclose([h["loss"] for h in model.history_], curve, rtol=2e-6)
    np.testing.assert_allclose(learnt["bias"], bias, atol=2e-6)
    np.testing.assert_allclose(learnt["weights"], weights, atol=2e-6)
    np.testing.assert_allclose(
        model.predict(X.users, X.items, context=CONTEXT),
        formulas.probability(table, bias, weights),
        atol=2e-6,
    )


@pytest.mark.backends
@WINGS
@pytest.mark.parametrize("spec", [("user", "item"), RICH], ids=["ids", "rich"])
def test_equal_to_scikit_learn_at_the_optimum(wing, spec):
    """Coefficients and probabilities to 1e-4: the bound asked for; 2e-6 is reached."""
    reg = 0.01
    model = fitted(
        wing, fields=spec, epochs=600, learning_rate=0.5, reg=reg, optimizer="momentum", batch_size=None
    )
    table = dense(spec)
    # scikit-learn makes C Σ loss + ½‖θ‖² small, which is ours times n C with C = 1 / (2 n λ).
    peer = SklearnLogisticRegression(C=1 / (2 * len(X) * reg), tol=1e-10, max_iter=10_000)
    peer.fit(table, X.ratings)
    learnt = model.get_parameters()
    assert np.abs(peer.coef_).max() > 0.3
    np.testing.assert_allclose(learnt["weights"], peer.coef_[0], atol=1e-4)
    np.testing.assert_allclose(learnt["bias"], peer.intercept_[0], atol=1e-4)
    context = CONTEXT if "position" in spec else None
    found = model.predict(X.users, X.items, context=context)
    np.testing.assert_allclose(found, peer.predict_proba(table)[:, 1], atol=1e-4)


@pytest.mark.backends
def test_twins_learning_curves_lie_on_each_other():
    """Mini-batches of Adam from equal starts: 1e-5, relative, over 20 epochs."""
    curves = [
        [h["loss"] for h in fitted(wing, epochs=20, batch_size=16, learning_rate=0.03).history_]
        for wing in BOTH
    ]
    assert curves[0][0] - curves[0][-1] > 0.05
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)


def test_gradients_of_the_networks_agree_with_finite_differences():
    """In float64, of the objective that each wing trains on, at |z| up to 800."""
    index = np.array([[0, 1, 3], [2, 3, 0], [1, 1, 2]], np.int32)
    value = np.array([[1, 0.5, 0], [1, -2, 3], [0.25, 0.25, 1]], np.float32)
    y = np.array([1.0, 0.0, 1.0])
    table = np.zeros((3, 4))
    np.add.at(table, (np.arange(3)[:, None], index), value)
    theta = np.array([0.3, -0.2, 0.5, 0.1, -0.7])
    for scale in (1.0, 300.0):
        at = theta * scale
        expected = np.append(*formulas.gradient(table, y, at[0], at[1:], 0.1))
        measured = finite_differences(lambda v: formulas.objective(table, y, v[0], v[1:], 0.1), at, 1e-4)
        np.testing.assert_allclose(expected, measured, rtol=1e-5, atol=1e-5)
        model = fitted(rt, fields=("item",), reg=0.1)
        network = type(model.network)(4).double()
        network.load_state_dict({"bias": torch.tensor(at[0]), "weights": torch.tensor(at[1:])})
        batch = {
            "index": torch.tensor(index),
            "value": torch.tensor(value).double(),
            "target": torch.tensor(y),
        }
        model._objective(network, batch).backward()
        found = np.append(network.bias.grad.numpy(), network.weights.grad.numpy())
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.backends
@WINGS
@pytest.mark.parametrize("z", [800.0, -800.0])
def test_probabilities_are_finite_at_any_logit(wing, z):
    model = fitted(wing, fields=("item",))
    learnt = model.get_parameters()
    model.set_parameters({"bias": np.float32(z), "weights": learnt["weights"] * 0})
    found = model.predict(X.users, X.items)
    assert (found == (1.0 if z > 0 else 0.0)).all()
    assert np.isfinite(evaluate(model, X, ["log_loss"])["log_loss"])
    assert model._validate(model._train)[1] == pytest.approx(
        formulas.loss(X.ratings, np.full(len(X), z)).mean()
    )


@pytest.mark.backends
@WINGS
def test_training_survives_logits_of_800(wing):
    """A context of ±1 000 standard deviations, with a step that sends |z| past 800: loss and weights stay finite."""
    frame = X.to_frame().assign(price=np.where(np.arange(len(X)) == 3, 1e6, 1.0))
    data = Interactions.from_frame(frame)
    model = fitted(wing, data, fields=("price",), epochs=4, learning_rate=1e5, optimizer="sgd", reg=0.0)
    learnt = model.get_parameters()
    index, value = model._rows(model._train).values()
    assert np.abs(learnt["bias"] + learnt["weights"][index] * value).max() > 800
    assert all(np.isfinite(h["loss"]) for h in model.history_)


# ---------------------------------------------------------------- each hyper-parameter matters


BASE = {"epochs": 4, "learning_rate": 0.05, "batch_size": 16, "reg": 1e-3}


@pytest.mark.torch_first
@pytest.mark.backends
@WINGS
@pytest.mark.parametrize(
    "change",
    [
        {"fields": ("user", "item")},
        {"epochs": 5},
        {"learning_rate": 0.1},
        {"reg": 0.1},
        {"batch_size": None},
        {"optimizer": "sgd"},
        {"seed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_hyper_parameter_changes_the_predictions(wing, change):
    def predictions(**arguments):
        model = fitted(wing, **(BASE | arguments))
        return model.predict(X.users, X.items, context=CONTEXT)

    np.testing.assert_array_equal(predictions(), predictions())
    assert np.abs(predictions() - predictions(**change)).max() > 1e-4


@WINGS
def test_more_reg_means_smaller_weights(wing):
    sizes = [
        np.linalg.norm(fitted(wing, epochs=50, reg=reg, batch_size=None).get_parameters()["weights"])
        for reg in (0.0, 0.01, 0.1, 1.0)
    ]
    assert sizes == sorted(sizes, reverse=True) and sizes[0] > 5 * sizes[-1]


@WINGS
def test_patience_keeps_the_best_epoch(wing):
    train, held = splits.random_split(DATA, test_size=0.4, seed=0)
    asked = {"epochs": 60, "learning_rate": 0.2, "reg": 0.0, "batch_size": 16}
    model = fitted(wing, train, held, patience=3, **asked)
    losses = [h["validation_loss"] for h in model.history_]
    best = int(np.argmin(losses))
    assert len(losses) == best + 1 + 3 < 60
    kept = fitted(wing, train, held, **(asked | {"epochs": best + 1}))
    np.testing.assert_array_equal(model.get_parameters()["weights"], kept.get_parameters()["weights"])
    x = held.interactions
    x = x.take(np.isin(x.users, model.user_ids_))  # the others are not watched
    p = model.predict(x.users, x.items, context=pd.DataFrame(dict(x.extra)))
    assert metrics.log_loss(x.ratings == 1, p) == pytest.approx(min(losses), rel=1e-5)


# ---------------------------------------------------------------- what it can and cannot learn


@WINGS
def test_it_predicts_the_probability_of_an_event_and_no_rating(wing):
    model = fitted(wing, epochs=400, learning_rate=0.5, optimizer="momentum", batch_size=None, reg=1e-3)
    assert model.task == "click"
    p = model.predict(X.users, X.items, context=CONTEXT)
    assert (0 < p).all() and (p < 1).all()
    # At the optimum the bias has no slope: predicted and observed events are equally many.
    assert p.mean() == pytest.approx(X.ratings.mean(), abs=1e-4)
    with pytest.raises(NotSupportedError, match="rmse: the scores of a LogisticRegression are for click"):
        evaluate(model, X, ["rmse"], context=CONTEXT)
    stars = Interactions.from_frame(X.to_frame().assign(rating=X.ratings * 4 + 1))
    with pytest.raises(
        ValueError, match=r"row 0: \d is no binary target; LogisticRegression needs 0 and 1.*>= 4"
    ):
        fitted(wing, stars)


def rankings(model) -> set[tuple]:
    """The distinct orders of all items, over all users."""
    scores = model.score_matrix()
    return {tuple(row) for row in np.argsort(-scores, axis=1, kind="stable").tolist()}


ADDITIVE = (
    "user",
    "item",
    "users.age",
    "users.gender",
    "items.genres",
    "user*users.gender",
    "item*items.genres",
)


@WINGS
def test_without_a_cross_of_both_sides_all_users_get_one_ranking(wing):
    """z = a(user) + b(item): the theorem, on any data and any weights."""
    model = fitted(wing, fields=ADDITIVE, epochs=10, learning_rate=0.1)
    assert len(rankings(model)) == 1
    logits = np.log(model.score_matrix().astype(float))
    assert np.ptp(logits, axis=0).max() > 0.1 and np.ptp(logits, axis=1).max() > 0.1
    crossed = fitted(wing, fields=(*ADDITIVE, "users.gender*items.genres"), epochs=10, learning_rate=0.1)
    assert len(rankings(crossed)) == DATA.users.gender.nunique() == 2


@WINGS
def test_two_taste_groups_need_the_cross(wing):
    """Groups that like opposite items: additive logits predict ½, the cross is always right."""
    users = pd.DataFrame({"group": ["a", "b"] * 6}, index=[f"u{n}" for n in range(12)])
    items = pd.DataFrame({"kind": ["x", "y"] * 5}, index=range(10))
    u, i = np.divmod(np.arange(120), 10)
    likes = ((u + i) % 2 == 0).astype(float)
    frame = pd.DataFrame({"user": users.index[u], "item": i, "rating": likes})
    data = Dataset(Interactions.from_frame(frame), users=users, items=items)
    asked = {"epochs": 150, "learning_rate": 0.5, "reg": 0.0, "batch_size": None, "optimizer": "momentum"}
    plain = fitted(wing, data, fields=("user", "item"), **asked)
    assert plain.history_[-1]["loss"] == pytest.approx(np.log(2), abs=1e-6)
    crossed = fitted(wing, data, fields=("users.group*items.kind",), **asked)
    assert crossed.history_[-1]["loss"] < 0.05
    assert ((crossed.predict(frame.user, frame.item) > 0.5) == (likes == 1)).all()


@WINGS
def test_planted_weights_are_found_again(wing):
    """60,000 clicks drawn from known weights: each estimate within four standard errors."""
    rng = np.random.default_rng(0)
    users = pd.DataFrame({"gender": ["F", "M"] * 100}, index=range(200))
    items = pd.DataFrame({"genres": ["Comedy", "War", "Drama"] * 100}, index=range(300))
    pairs = rng.choice(60_000, 60_000, replace=False)
    u, i = pairs // 300, pairs % 300
    truth = {"F*Comedy": 1.0, "F*War": -1.0, "F*Drama": 0.0, "M*Comedy": -0.5, "M*War": 0.8, "M*Drama": 0.0}
    names = users.gender.to_numpy()[u] + "*" + items.genres.to_numpy()[i]
    z = np.vectorize(truth.get)(names)
    frame = {"user": u, "item": i, "rating": (rng.random(len(z)) < formulas.sigmoid(z)).astype(float)}
    data = Dataset(Interactions.from_frame(pd.DataFrame(frame)), users=users, items=items)
    model = fitted(
        wing, data, fields=("users.gender*items.genres",), epochs=300, learning_rate=1.0, optimizer="momentum",
        batch_size=None, reg=1e-8,
    )  # fmt: skip
    table = model.odds_ratios().set_index("feature")
    bias = float(model.get_parameters()["bias"])
    for name, value in truth.items():
        gender, genre = name.split("*")
        found = bias + table.weight[f"users.gender={gender}*items.genres={genre}"]
        p = formulas.sigmoid(value)
        error = 1 / np.sqrt((names == name).sum() * p * (1 - p))
        assert abs(found - value) < 4 * error


def test_odds_ratios_are_a_table_of_all_features():
    model = fitted(rt, epochs=20)
    table = model.odds_ratios()
    assert len(table) == model.get_parameters()["weights"].size
    assert table.weight.is_monotonic_decreasing
    np.testing.assert_allclose(table.odds_ratio, np.exp(table.weight))
    assert set(table.field) == set(RICH)
    row = table[table.feature == "users.gender=F*items.genres=Comedy"].iloc[0]
    assert row.field == "users.gender*items.genres" and row.odds_ratio > 1


@WINGS
def test_a_warm_item_is_scored_by_its_features(wing):
    model = fitted(wing, fields=("items.genres", "users.gender*items.genres"), epochs=20)
    assert WARM in model.item_ids_ and WARM not in X.items
    np.testing.assert_allclose(model.predict("u0", WARM), model.predict("u0", 100), atol=1e-7)
    first = model.recommend("u0", k=20)
    assert WARM in first.item.to_numpy()


@WINGS
def test_context_decides_and_is_demanded(wing):
    model = fitted(wing, epochs=30, learning_rate=0.1)
    at = [model.predict("u0", 101, context=pd.DataFrame({"position": [p]}))[0] for p in (1, 3)]
    assert at[0] > at[1] + 0.02
    for call in (lambda: model.predict("u0", 101), lambda: model.recommend("u0")):
        refuses(call, ValueError, ("'position' is a column of the interactions", "pass `context`"))
    lists = model.recommend(["u0", "u1"], k=3, context=pd.DataFrame({"position": [1, 2]}))
    one = model.recommend("u1", k=3, context=pd.DataFrame({"position": [2]}))
    pd.testing.assert_frame_equal(lists[lists.user == "u1"].reset_index(drop=True), one)
    # Somebody whom nobody knows: what is left is the item and the moment.
    moments = pd.DataFrame({"position": [1, 3]})
    blank = model.predict("zoe", [101, 101], unknown="fallback", context=moments)
    assert blank[0] > blank[1] + 0.02


@WINGS
def test_blocks_of_predictions_are_one(wing, monkeypatch):
    model = fitted(wing)
    whole = model.predict(X.users, X.items, context=CONTEXT)
    monkeypatch.setattr("recbook.core.blocks.CELLS", 40)
    np.testing.assert_allclose(model.predict(X.users, X.items, context=CONTEXT), whole, atol=1e-7)


# ---------------------------------------------------------------- bad input, files


def _swap(column, value):
    return Interactions.from_frame(X.to_frame().assign(**{column: value}))


BAD = {
    "ratings": (_swap("rating", np.arange(len(X)) % 5 + 1.0), {}, ValueError, ("row 1: 2", "0 and 1", ">= 4")),
    "no ratings": (
        Interactions.from_frame(X.to_frame().drop(columns="rating")), {}, ValueError, ("column `rating`", "0 and 1"),
    ),
    "no item table": (X, {"fields": ("items.genres",)}, ValueError, ("table `items`", "Dataset")),
    "item without features": (
        dataclasses.replace(DATA, items=DATA.items.drop(index=[103])), {}, ValueError,
        ("features missing for item 103", "add it"),
    ),
    "no such column": (DATA, {"fields": ("users.hair",)}, ValueError, ("'users.hair'", "'age'")),
    "no such field": (DATA, {"fields": ("colour",)}, ValueError, ("'colour'", "'position'")),
    "a string": (DATA, {"fields": "user"}, TypeError, ("`fields` is 'user'", "('user', 'item'")),
    "no field": (DATA, {"fields": ()}, ValueError, ("`fields` is empty",)),
    "epochs": (DATA, {"epochs": 0}, ValueError, ("`epochs` is 0",)),
    "learning_rate": (DATA, {"learning_rate": 0}, ValueError, ("`learning_rate` is 0",)),
    "reg": (DATA, {"reg": -1}, ValueError, ("`reg` is -1",)),
    "batch_size": (DATA, {"batch_size": 0}, ValueError, ("`batch_size` is 0",)),
    "optimizer": (DATA, {"optimizer": "ftrl"}, ValueError, ("`optimizer` is 'ftrl'", "adam")),
    "patience": (DATA, {"patience": 2}, ValueError, ("`patience` needs validation data",)),
    "seed": (DATA, {"seed": -1}, ValueError, ("`seed` is -1",)),
}  # fmt: skip


@WINGS
@pytest.mark.parametrize("case", BAD)
def test_bad_input(wing, case):
    data, changes, error, words = BAD[case]
    model = make(wing, **changes)
    refuses(lambda: model.fit(data, progress=False), error, words)
    assert not model._is_fitted


@WINGS
def test_a_rate_that_diverges_is_reported(wing):
    model = make(wing, epochs=200, learning_rate=1e4, reg=1.0, optimizer="sgd")
    refuses(
        lambda: model.fit(DATA, progress=False),
        DivergedError,
        ("LogisticRegression: the loss is", "in epoch", "lower `learning_rate`"),
    )


def test_validation_without_labels_is_refused():
    blind = Interactions.from_frame(X.to_frame().drop(columns="rating"))
    words = ("`validation`: LogisticRegression needs a column `rating` of 0 and 1",)
    refuses(lambda: fitted(rt, DATA, blind), ValueError, words)


@WINGS
def test_a_saved_model_predicts_without_its_data(wing, tmp_path):
    model = fitted(wing, epochs=10)
    model.save(tmp_path / "m.npz", include_history=False)
    other = rk if wing is rt else rt
    for package in (wing, other):
        loaded = package.load(tmp_path / "m.npz", device="cpu")
        assert loaded.fields == RICH and loaded._train is None
        np.testing.assert_allclose(
            loaded.predict(X.users, X.items, context=CONTEXT),
            model.predict(X.users, X.items, context=CONTEXT),
            atol=1e-6,
        )
        pd.testing.assert_frame_equal(loaded.odds_ratios(), model.odds_ratios())
        warm = [m.predict("u0", WARM, context=CONTEXT[:1])[0] for m in (loaded, model)]
        assert warm[0] == pytest.approx(warm[1], abs=1e-6)


def _rewritten(path, name, change) -> None:
    """One array of a file changed; text is written as the first format had it, which is read as well."""
    with np.load(path) as archive:
        members = storage._decoded(path, dict(archive))
    members = {part: a.astype(str) if a.dtype == object else a for part, a in members.items()}
    members[name] = change(members[name])
    np.savez_compressed(path, **members)


@pytest.mark.parametrize(
    "name, change, words",
    [
        ("features/items.genres.index", lambda a: a + 100, "`items.genres.index`"),
        ("features/items.genres.value", lambda a: a[:, :1], "`items.genres.value`"),
        ("features/items.genres.labels", lambda a: a[:-1], "`items.genres.index`"),
        ("features/item_ids", lambda a: a[::-1], "`features/item_ids` are not the items of the model"),
        ("features/user_ids", lambda a: np.char.add(a, "x"), "`features/user_ids` are not the users"),
        ("features/position.encoder", lambda a: a[:1], "parameter `weights` has shape"),
        ("features/users.age.value", lambda a: a * np.nan, "`users.age.value`"),
        ("parameter/weights", lambda a: a[:-1], "parameter `weights` has shape"),
        ("parameter/weights", lambda a: a.astype("U8"), "parameter `weights`"),
    ],
    ids=["place", "width", "labels", "items", "users", "context", "nan", "weights", "text"],
)
def test_a_file_whose_features_do_not_fit_is_refused(name, change, words, tmp_path):
    fitted(rt).save(tmp_path / "m.npz")
    rt.load(tmp_path / "m.npz")
    _rewritten(tmp_path / "m.npz", name, change)
    with pytest.raises(FileFormatError, match=words):
        rt.load(tmp_path / "m.npz")


def test_features_of_another_model_do_not_belong_in_a_file(tmp_path):
    model = fitted(rt)
    model.save(tmp_path / "m.npz")
    with np.load(tmp_path / "m.npz") as archive:
        members = dict(archive)
    np.savez_compressed(tmp_path / "more.npz", **members, **{"features/colour.labels": np.array(["red"])})
    with pytest.raises(FileFormatError, match="features/colour.labels.*does not belong"):
        rt.load(tmp_path / "more.npz")
    del members["features/items.genres.value"]
    np.savez_compressed(tmp_path / "less.npz", **members)
    with pytest.raises(FileFormatError, match="features/items.genres.value.*missing"):
        rt.load(tmp_path / "less.npz")


# ---------------------------------------------------------------- MovieLens


@pytest.fixture(scope="module")
def likes():
    try:
        movielens = datasets.fetch_movielens("100k")
    except DataError as error:
        pytest.skip(f"MovieLens-100K is not to be had here: {error}")
    x = movielens.interactions
    liked = movielens.with_interactions(dataclasses.replace(x, ratings=(x.ratings >= 4).astype(float)))
    return splits.random_split(liked, test_size=0.2, seed=0)


@pytest.mark.slow
@WINGS
def test_on_movielens_ids_give_one_list_and_the_cross_many(wing, likes):
    """Like = rating ≥ 4, one fifth held out at random (seed 0), the classes' defaults."""
    train, test = likes
    plain = wing.LogisticRegression(device="cpu").fit(train, progress=False)
    asked = {"k": 10, "exclude_seen": False}

    def lists(model):
        return model.recommend(**asked).groupby("user").item.apply(tuple).nunique()

    assert lists(plain) == 1
    crossed = wing.LogisticRegression(fields=("user", "item", "user*items.genres"), device="cpu")
    crossed.fit(train, progress=False)
    assert lists(crossed) > 500
    reports = [
        evaluate(model, test, ["auc", "gauc", "log_loss", "calibration_error"]) for model in (plain, crossed)
    ]
    share = train.interactions.ratings.mean()
    constant = metrics.log_loss(test.interactions.ratings == 1, np.full(len(test), share))
    assert reports[1]["log_loss"] < reports[0]["log_loss"] < constant - 0.1
    assert reports[1]["auc"] > reports[0]["auc"] > 0.76 and reports[1]["gauc"] > reports[0]["gauc"] + 0.005
    assert reports[0]["calibration_error"] < 0.03


# ---------------------------------------------------------------- exercises


@pytest.mark.parametrize("exercise", [checks.loss, checks.gradient, checks.cross])
def test_checks_tell_each_mistake(exercise, monkeypatch, capsys):
    each_gives_its_own_hint(checks, exercise, monkeypatch, capsys)


# ---------------------------------------------------------------- the documents' pseudo-code

PRINTED = """
z = t_0 + t_1 * x_1 + ... + t_n * x_n
P = 1 / (1 + exp(-z))
"""


def test_the_pseudo_code_parses_by_accident_and_fails():
    """Full stops are Python's Ellipsis: the line compiles, and stops at the sum; a full-width bracket does not."""
    names = {"t_0": 0.1, "t_1": 0.2, "x_1": 1.0, "t_n": 0.3, "x_n": 2.0, "exp": np.exp}
    with pytest.raises(TypeError, match="ellipsis"):
        exec(compile(PRINTED, "printed", "exec"), dict(names))
    with pytest.raises(SyntaxError):
        compile("...（and so on for the other weights）", "printed", "exec")
    mended = PRINTED.replace("... + ", "")
    exec(compile(mended, "mended", "exec"), names)
    right = formulas.probability(np.array([[1.0, 2.0]]), 0.1, np.array([0.2, 0.3]))[0]
    assert names["P"] == pytest.approx(right, rel=1e-14) and right > 0.7

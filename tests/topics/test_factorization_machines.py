"""Factorisation machines and LightFM: the identity, gradients, formula = torch = keras, planted crosses, new items.

Users are called 900, 899, …, items 70, 69, …: later ones have smaller ids, so that a rule about order of
appearance cannot pass as one about ids.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, splits
from recbook.checks import factorization_machines as checks
from recbook.errors import DataError, DivergedError, NotSupportedError
from recbook.evaluation import evaluate
from recbook.formulas import factorization_machines as fm
from recbook.formulas import losses as ls
from recbook.interactions import Dataset, Interactions
from recbook.numpy.introduction import Popularity
from recbook.shared._pairs import most_likely
from recbook.shared.factorization_machines import side_of
from tests.helpers.bad_inputs import refuses
from tests.helpers.known_mistakes import each_gives_its_own_hint

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
HYBRID_LOSSES = pytest.mark.parametrize("loss", ["logistic", "bpr", "warp"])
SIDES = ("user", "item", "users.age", "users.town", "items.genres")
MOMENT = (*SIDES, "hour", "hour*items.genres")


# ---------------------------------------------------------------- data


def interactions(n_users=24, n_items=15, density=0.5, seed=0, targets="ratings") -> Interactions:
    rng = np.random.default_rng(seed)
    u, i = np.nonzero(rng.random((n_users, n_items)) < density)
    rows = rng.permutation(len(u))
    df = pd.DataFrame({"user": 900 - u[rows], "item": 70 - i[rows]})
    if targets is not None:
        low, high = (1, 6) if targets == "ratings" else (0, 2)
        df["rating"] = rng.integers(low, high, len(df)).astype(float)
    df["hour"] = rng.choice(["morning", "noon", "night"], len(df))
    return Interactions.from_frame(df)


def dataset(seed=0, **options) -> Dataset:
    """Every user and item has a row; item 7 has one and was never met."""
    x = interactions(seed=seed, **options)
    rng = np.random.default_rng(seed + 100)
    users = pd.DataFrame(
        {"age": rng.normal(40, 10, x.n_users), "town": rng.choice(["A", "B"], x.n_users)}, index=x.user_ids
    )
    ids = [*x.item_ids, 7]
    genres = rng.choice(["War", "Comedy|Drama", "Drama", "War|Drama"], len(ids))
    return Dataset(x, users=users, items=pd.DataFrame({"genres": genres}, index=ids))


def machine(wing, **changes):
    return wing.FactorizationMachine(
        **{"factors": 4, "epochs": 3, "batch_size": 32, "learning_rate": 0.02, "device": "cpu", **changes}
    )


def hybrid(wing, **changes):
    return wing.LightFM(
        **{"factors": 4, "epochs": 3, "batch_size": 32, "learning_rate": 0.02, "device": "cpu", **changes}
    )


def dense(model, users, items, context=None) -> np.ndarray:
    """The rows of x as the formulas take them: (n, n_features)."""
    index, value = model._fields.rows(users, items, context)
    x = np.zeros((len(index), model._fields.n_features))
    np.add.at(x, (np.arange(len(index))[:, None], index), value)
    return x


def on_the_left(model) -> np.ndarray:
    """Which features are of users, (n_features,) bool."""
    return np.array([side_of(name) == "left" for name in model._fields.field_names])


def every_pair(model) -> tuple[np.ndarray, np.ndarray]:
    users, items = model.user_ids_, model.item_ids_
    return np.repeat(users, len(items)), np.tile(items, len(users))


def close(found, expected, tolerance: float = 2e-6) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


# ---------------------------------------------------------------- the identity


def test_crosses_by_hand():
    """Three features, two factors: ⟨v1,v2⟩ x1 x2 + ⟨v1,v3⟩ x1 x3 + ⟨v2,v3⟩ x2 x3."""
    x = np.array([1.0, 2.0, 0.5])
    V = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 4.0]])
    # 1·1·2 + 8·1·.5 + (−4)·2·.5 = 2 + 4 − 4
    assert fm.pairs(x, V) == 2.0
    # Factor 1: sum 1 + 6 + 0 = 7, squares 1 + 36 + 0: (49 − 37) / 2 = 6.
    # Factor 2: sum 2 − 2 + 2 = 2, squares 4 + 4 + 4: (4 − 12) / 2 = −4.
    assert fm.pairs_at_once(x, V) == 2.0
    assert fm.machine(x, 0.5, np.array([1.0, 0.0, -2.0]), V) == 0.5 + 1 - 1 + 2


numbers = st.floats(-3, 3, allow_nan=False, width=32)


@st.composite
def rows_and_factors(draw):
    n, k = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    x = draw(st.lists(numbers, min_size=n, max_size=n))
    V = draw(st.lists(numbers, min_size=n * k, max_size=n * k))
    return np.array(x), np.array(V).reshape(n, k)


@given(rows_and_factors())
def test_the_identity_equals_the_double_loop(given_row):
    """A13."""
    x, V = given_row
    assert fm.pairs_at_once(x, V) == pytest.approx(fm.pairs(x, V), abs=1e-9 * (1 + np.abs(x).sum() ** 2 * 9))


@given(rows_and_factors(), st.data())
def test_crosses_ignore_order_and_absent_features_and_need_two(given_row, data):
    x, V = given_row
    order = data.draw(st.permutations(range(len(x))))
    here = 1e-9 * (1 + np.abs(x).sum() ** 2 * 9)
    assert fm.pairs_at_once(x[order], V[order]) == pytest.approx(fm.pairs_at_once(x, V), abs=here)
    more = fm.pairs_at_once(np.append(x, 0.0), np.vstack([V, np.full(V.shape[1], 9.0)]))
    assert more == pytest.approx(fm.pairs_at_once(x, V), abs=here)
    alone = np.zeros_like(x)
    alone[0] = x[0]
    assert fm.pairs_at_once(alone, V) == pytest.approx(0, abs=here)


@given(rows_and_factors())
def test_gradients_are_those_of_finite_differences(given_row):
    x, V = given_row
    w = np.linspace(-1, 1, len(x))
    by_constant, by_weights, by_factors = fm.machine_gradient(x, V)
    assert by_constant == 1.0
    h = 1e-4  # ŷ has no power of one parameter above the first: central differences are exact but for rounding
    for a in range(len(x)):
        step = np.zeros(len(x))
        step[a] = h
        slope = (fm.machine(x, 0, w + step, V) - fm.machine(x, 0, w - step, V)) / (2 * h)
        assert slope == pytest.approx(by_weights[a], abs=1e-6)
        for f in range(V.shape[1]):
            step = np.zeros_like(V)
            step[a, f] = h
            slope = (fm.machine(x, 0, w, V + step) - fm.machine(x, 0, w, V - step)) / (2 * h)
            assert slope == pytest.approx(by_factors[a, f], abs=1e-6)


def test_the_identity_costs_n_and_the_double_loop_n_squared():
    """Ten times the features: about ten times the time, and about a hundred. CPU time, the best of some runs."""
    rng = np.random.default_rng(0)

    def best(function, n: int, runs: int) -> float:
        x, V = rng.normal(size=n), rng.normal(size=(n, 8))
        spent = []
        for _ in range(runs):
            start = time.thread_time()
            function(x, V)
            spent.append(time.thread_time() - start)
        return min(spent)

    assert best(fm.pairs, 300, 3) / best(fm.pairs, 30, 9) > 40
    assert best(fm.pairs_at_once, 3_000, 40) / best(fm.pairs_at_once, 300, 40) < 40  # within the cache
    assert best(fm.pairs, 300, 3) / best(fm.pairs_at_once, 300, 9) > 100


# ---------------------------------------------------------------- what a machine contains


def test_lightfm_is_the_cross_term_of_a_machine():
    """A14, C63: a machine on user and item features is LightFM, and the crosses within each side on top."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        user, item = rng.normal(size=5) * (rng.random(5) < 0.6), rng.normal(size=4) * (rng.random(4) < 0.6)
        V, w, constant = rng.normal(size=(9, 3)), rng.normal(size=9), rng.normal()
        parts = fm.machine_parts(user, item, V)
        whole = fm.machine(np.concatenate([user, item]), constant, w, V)
        light = fm.hybrid(user, item, V[:5], V[5:], w[:5], w[5:])
        assert light == pytest.approx(parts["user × item"] + user @ w[:5] + item @ w[5:], abs=1e-9)
        assert whole == pytest.approx(
            constant + light + parts["within user"] + parts["within item"], abs=1e-9
        )
        assert (
            abs(parts["within user"] + parts["within item"]) > 1e-6
            or min(np.count_nonzero(user), np.count_nonzero(item))
            <= max(np.count_nonzero(user), np.count_nonzero(item))
            < 2
        )


@pytest.mark.backends
def test_the_same_parameters_in_both_models_differ_by_the_terms_within_a_side():
    """A14, C63, with the classes: the same vectors and weights in a LightFM and in a machine."""
    data = dataset()
    for wing in (rt, rk):
        light = hybrid(wing, fields=SIDES, loss="logistic", init_scale=0.7).fit(data, progress=False)
        learnt = light.get_parameters()
        full = machine(wing, fields=SIDES, factors=4).fit(data, progress=False)
        full.set_parameters(
            {"constant": np.float32(0), "weights": learnt["biases"], "factors": learnt["embeddings"]}
        )
        users, items = every_pair(full)
        x = dense(full, users, items)
        left = on_the_left(full)
        within = [
            fm.pairs_at_once(row[left], learnt["embeddings"][left])
            + fm.pairs_at_once(row[~left], learnt["embeddings"][~left])
            for row in x
        ]
        assert np.abs(within).max() > 0.05
        close(full.predict(users, items), light.predict(users, items) + within, 1e-5)
        # With one feature a side nothing is left within a side, and the two are one.
        plain = hybrid(wing).fit(data, progress=False)
        bare = machine(wing).fit(data, progress=False)
        same = plain.get_parameters()
        bare.set_parameters(
            {"constant": np.float32(0), "weights": same["biases"], "factors": same["embeddings"]}
        )
        known = plain.item_ids_ != 7
        close(bare.score_matrix()[:, known], plain.score_matrix()[:, known], 1e-5)


@pytest.mark.backends
def test_with_user_and_item_alone_it_is_biased_matrix_factorisation():
    data = interactions()
    for wing in (rt, rk):
        factorised = wing.MatrixFactorization(factors=4, epochs=2, device="cpu").fit(data, progress=False)
        p = factorised.get_parameters()
        model = machine(wing).fit(data, progress=False)
        model.set_parameters(
            {
                "constant": p["mean"],
                "weights": np.concatenate([p["user_bias"], p["item_bias"]]),
                "factors": np.vstack([p["user_factors"], p["item_factors"]]),
            }
        )
        close(model.score_matrix(), factorised.score_matrix())
        users, items = every_pair(model)
        close(model.predict(users, items), factorised.predict(users, items))


def test_svdpp_is_a_machine_with_the_history_as_features_less_the_crosses_within_the_user():
    """Rendle 2010: x holds the user, the item, and 1/√|N(u)| for each item of N(u)."""
    rng = np.random.default_rng(2)
    n_users, n_items, k = 3, 5, 2
    b_u, b_i, mean = rng.normal(size=n_users), rng.normal(size=n_items), 3.0
    P, Q, Y = (rng.normal(size=(n, k)) for n in (n_users, n_items, n_items))
    V, w = np.vstack([P, Q, Y]), np.concatenate([b_u, b_i, np.zeros(n_items)])
    met = {0: [1, 3], 1: [0], 2: [0, 2, 4]}
    for u, history in met.items():
        for i in range(n_items):
            x = np.zeros(n_users + 2 * n_items)
            x[u] = x[n_users + i] = 1
            x[[n_users + n_items + j for j in history]] = len(history) ** -0.5
            svdpp = mean + b_u[u] + b_i[i] + Q[i] @ (P[u] + len(history) ** -0.5 * Y[history].sum(0))
            left = x.copy()
            left[n_users + i] = 0
            assert fm.machine(x, mean, w, V) == pytest.approx(svdpp + fm.pairs_at_once(left, V))


# ---------------------------------------------------------------- formula = torch = keras


@pytest.mark.backends
@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("fields", [("user", "item"), MOMENT], ids=len)
def test_a_machine_scores_as_the_formula(loss, fields):
    data = dataset(targets="ratings" if loss == "squared" else "clicks")
    for wing in (rt, rk):
        model = machine(wing, loss=loss, fields=fields, init_scale=0.5).fit(data, progress=False)
        learnt = model.get_parameters()
        users, items = every_pair(model)
        context = pd.DataFrame({"hour": np.resize(["morning", "night"], len(users))})
        x = dense(model, users, items, context)
        expected = np.array(
            [fm.machine(row, learnt["constant"], learnt["weights"], learnt["factors"]) for row in x]
        )
        if loss == "logistic":
            expected = ls.sigmoid(expected)
            assert model.task == "click"
        found = model.predict(users, items, context=context)
        close(found, expected, 5e-6)
        # As a matrix, with one moment for each user.
        moment = pd.DataFrame({"hour": np.resize(["noon", "night", "dawn"], len(model.user_ids_))})
        matrix = model.score_matrix(context=moment)
        again = context.assign(hour=np.repeat(moment.hour.to_numpy(), len(model.item_ids_)))
        close(matrix.ravel(), model.predict(users, items, context=again), 5e-6)


@pytest.mark.backends
def test_a_hybrid_scores_as_the_formula():
    data = dataset()
    for wing in (rt, rk):
        model = hybrid(wing, fields=SIDES, loss="logistic", init_scale=0.5).fit(data, progress=False)
        learnt = model.get_parameters()
        V, b = learnt["embeddings"], learnt["biases"]
        users, items = every_pair(model)
        x = dense(model, users, items)
        left = on_the_left(model)
        expected = [fm.hybrid(row[left], row[~left], V[left], V[~left], b[left], b[~left]) for row in x]
        close(model.predict(users, items), expected, 5e-6)
        close(model.score_matrix().ravel(), expected, 5e-6)


@pytest.mark.backends
@HYBRID_LOSSES
def test_the_objective_of_a_hybrid_is_the_formula_and_a_step_follows_its_gradient(loss):
    """One batch, one step of plain gradient descent with rate 1, against central differences of the formula."""
    data = dataset(n_users=8, n_items=6)
    sizes = {"fields": SIDES, "loss": loss, "negatives": 2, "max_sampled": 3, "reg": 0.05, "factors": 2}
    for wing in (rt, rk):
        model = hybrid(
            wing, **sizes, epochs=1, batch_size=1000, optimizer="sgd", learning_rate=1.0, init_scale=0.6
        )
        model.fit(data, progress=False)
        rng = np.random.default_rng(model.seed)
        start = model._start(model._train, rng)
        batch = model._examples(model._train, rng)
        x = model._fields.coded_rows
        n_users, n_items = len(model.user_ids_), len(model.item_ids_)
        left, right = (np.zeros((n, model._fields.n_features)) for n in (n_users, n_items))
        for table, rows in (
            (left, x(np.arange(n_users), np.full(n_users, -1))),
            (right, x(np.full(n_items, -1), np.arange(n_items))),
        ):
            np.add.at(table, (np.arange(len(table))[:, None], rows[0]), rows[1])

        def objective(V, b):
            q, p, b_u, b_i = left @ V, right @ V, left @ b, right @ b  # noqa: B023
            u, i, j = batch["user"], batch["item"], batch["negative"]  # noqa: B023
            plus, minus = (q[u] * p[i]).sum(1) + b_i[i], np.einsum("nk,ntk->nt", q[u], p[j]) + b_i[j]
            if loss == "warp":
                values = ls.warp(plus, minus, 6, reduction="none")
            elif loss == "bpr":
                values = ls.bpr(np.broadcast_to(plus[:, None], minus.shape), minus, "none").mean(1)
            else:
                values = ls.binary_cross_entropy(np.ones(len(u)), plus + b_u[u], "none")
                values = values + ls.binary_cross_entropy(
                    np.zeros(minus.shape), minus + b_u[u, None], "none"
                ).sum(1)
            squares = (V**2).sum(1) + b**2
            l_sq, r_sq = (left != 0) @ squares, (right != 0) @ squares  # noqa: B023
            return (values + 0.05 * (l_sq[u] + r_sq[i] + r_sq[j].mean(1))).mean()

        V, b = start["embeddings"].astype(float), start["biases"].astype(float)
        assert model.history_[0]["loss"] == pytest.approx(objective(V, b), rel=1e-5)
        h = 1e-5
        for name, table in (("embeddings", V), ("biases", b)):
            slope = np.zeros_like(table)
            for place in np.ndindex(table.shape):
                kept = table[place]
                table[place] = kept + h
                up = objective(V, b)
                table[place] = kept - h
                slope[place] = (up - objective(V, b)) / (2 * h)
                table[place] = kept
            close(start[name] - model.get_parameters()[name], slope, 2e-5)


@pytest.mark.backends
@pytest.mark.parametrize("loss, negatives", [("squared", 0), ("logistic", 0), ("logistic", 2)])
def test_the_objective_of_a_machine_is_the_formula_and_a_step_follows_its_gradient(loss, negatives):
    data = dataset(n_users=8, n_items=6, targets="ratings" if loss == "squared" else "clicks")
    for wing in (rt, rk):
        model = machine(
            wing, fields=MOMENT, loss=loss, negatives=negatives, reg=0.05, factors=2, epochs=1, batch_size=1000,
            optimizer="sgd", learning_rate=1.0, init_scale=0.6,
        )  # fmt: skip
        model.fit(data, progress=False)
        rng = np.random.default_rng(model.seed)
        start = model._start(model._train, rng)
        batch = model._examples(model._train, rng)
        assert len(batch["target"]) == len(data.interactions) * (1 + negatives)
        x = np.zeros((len(batch["index"]), model._fields.n_features))
        np.add.at(x, (np.arange(len(x))[:, None], batch["index"]), batch["value"])
        c, w, V = (start[name].astype(float) for name in ("constant", "weights", "factors"))
        score = np.array([fm.machine(row, c, w, V) for row in x])
        y = batch["target"]
        value = {"squared": ls.squared, "logistic": ls.binary_cross_entropy}[loss](y, score, "none")
        slope = (2 * (score - y) if loss == "squared" else ls.sigmoid(score) - y) / len(y)
        penalty = (x != 0) @ (w**2 + (V**2).sum(1))
        assert model.history_[0]["loss"] == pytest.approx((value + 0.05 * penalty).mean(), rel=1e-5)
        gradients = [fm.machine_gradient(row, V) for row in x]
        share = (x != 0).mean(0)
        learnt = model.get_parameters()
        close(start["constant"] - learnt["constant"], slope.sum(), 1e-5)
        by_w = sum(s * g[1] for s, g in zip(slope, gradients, strict=True)) + 0.1 * share * w
        by_V = sum(s * g[2] for s, g in zip(slope, gradients, strict=True)) + 0.1 * share[:, None] * V
        close(start["weights"] - learnt["weights"], by_w, 1e-5)
        close(start["factors"] - learnt["factors"], by_V, 1e-5)


@pytest.mark.backends
@pytest.mark.parametrize("name", ["machine", "machine of clicks", "logistic", "bpr", "warp"])
def test_learning_curves_of_the_twins_lie_on_each_other(name):
    """20 epochs from equal starts with equal batches: 1e-5, relative."""
    data = dataset(
        n_users=60, n_items=30, density=0.3, targets="clicks" if name == "machine of clicks" else "ratings"
    )
    curves = []
    for wing in (rt, rk):
        more = {"epochs": 20, "batch_size": 64, "factors": 8, "learning_rate": 0.01}
        if name.startswith("machine"):
            model = machine(wing, fields=MOMENT, loss="logistic" if "clicks" in name else "squared", **more)
        else:
            model = hybrid(wing, fields=SIDES, loss=name, **more)
        curves.append([epoch["loss"] for epoch in model.fit(data, progress=False).history_])
    assert len(curves[0]) == 20 and curves[0][-1] < 0.95 * curves[0][0]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)


# ---------------------------------------------------------------- planted crosses


def planted_crosses(n=6000, groups=6, kinds=8, seed=0):
    """Clicks whose chance is σ(3 · sign of a taste), a table of groups × kinds of rank 2, balanced in both margins.

    Groups, kinds and the place on the page are known, so that no single feature tells anything. Returns the data and
    the AUC of the planted chances.
    """
    rng = np.random.default_rng(seed)
    taste = np.cos(np.arange(groups)[:, None] * 2 * np.pi / groups - np.arange(kinds) * 2 * np.pi / kinds)
    n_users, n_items = 200, 160
    u, i = np.divmod(rng.choice(n_users * n_items, n, replace=False), n_items)
    logit = 3 * taste[u % groups, i % kinds]
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(float)
    users = pd.DataFrame(
        {"group": [f"g{a}" for a in np.arange(n_users) % groups]}, index=900 - np.arange(n_users)
    )
    items = pd.DataFrame(
        {"kind": [f"k{a}" for a in np.arange(n_items) % kinds]}, index=700 - np.arange(n_items)
    )
    x = Interactions.from_frame(pd.DataFrame({"user": 900 - u, "item": 700 - i, "rating": y}))
    order = np.argsort(logit)
    rank = np.empty(n)
    rank[order] = np.arange(1, n + 1)
    best = (rank[y == 1].sum() - y.sum() * (y.sum() + 1) / 2) / (y.sum() * (n - y.sum()))
    return Dataset(x, users=users, items=items), best


@WINGS
def test_a_machine_finds_planted_crosses_and_logistic_regression_cannot(wing):
    data, best = planted_crosses()
    train, test = splits.random_split(data, 0.25, seed=0)
    fields = ("users.group", "items.kind")
    linear = wing.LogisticRegression(fields=fields, device="cpu").fit(train, progress=False)
    model = wing.FactorizationMachine(
        fields=fields, loss="logistic", factors=4, reg=1e-4, learning_rate=0.02, device="cpu"
    ).fit(train, progress=False)
    found = {m: evaluate(m, test, ["auc"])["auc"] for m in (linear, model)}
    assert 0.88 < best < 0.95
    assert abs(found[linear] - 0.5) < 0.06
    assert found[model] > best - 0.03
    # Its predictions are probabilities, and right on the average.
    chance = model.predict(test.interactions.users, test.interactions.items)
    assert 0 <= chance.min() and chance.max() <= 1
    assert abs(chance.mean() - test.interactions.ratings.mean()) < 0.03


@WINGS
def test_a_factorised_cross_knows_pairs_that_train_never_showed(wing):
    """One cell of groups × kinds withheld: a weight a cross has nothing to say there, the vectors do."""
    data, _ = planted_crosses()
    x = data.interactions
    # Group 1 (60°) and kind 1 (45°): a taste of cos 15°, nearly the strongest.
    hidden = ((900 - x.users) % 6 == 1) & ((700 - x.items) % 8 == 1)
    assert hidden.sum() > 50 and x.ratings[hidden].mean() > 0.85
    train = data.take(~hidden)
    fields = ("users.group", "items.kind")
    weights = wing.LogisticRegression(fields=(*fields, "users.group*items.kind"), reg=1e-4, device="cpu").fit(
        train, progress=False
    )
    vectors = wing.FactorizationMachine(
        fields=fields, loss="logistic", factors=4, reg=1e-4, learning_rate=0.02, device="cpu"
    ).fit(train, progress=False)
    users, items = x.users[hidden], x.items[hidden]
    assert abs(weights.predict(users, items).mean() - 0.5) < 0.2
    assert vectors.predict(users, items).mean() > 0.8


# ---------------------------------------------------------------- new items, new people


def planted_tastes(seed=0):
    """Users of 4 tastes meet items of their own kind; a fifth of the items is met by nobody."""
    world = datasets.make_taste_groups(n_users=80, n_items=60, n_groups=4, density=0.5, seed=seed)
    data = world.data
    x = data.interactions
    kinds = pd.DataFrame({"kind": [f"kind {g}" for g in world.item_groups]}, index=world.item_ids)
    liked = x.ratings > 3.5
    new = np.isin(x.items, world.item_ids[::5])
    return world, Dataset(x.take(liked & ~new), items=kinds), world.item_ids[::5]


@pytest.mark.backends
@HYBRID_LOSSES
def test_a_new_item_is_ranked_from_its_features_alone(loss):
    world, train, new = planted_tastes()
    kind = dict(zip(world.item_ids, world.item_groups, strict=True))
    for wing in (rt, rk):
        model = hybrid(
            wing, fields=("user", "item", "items.kind"), loss=loss, epochs=25, factors=8, batch_size=128
        ).fit(train, progress=False)
        assert set(new) <= set(model.item_ids_) and not np.isin(new, train.interactions.items).any()
        scores = model.score_matrix(world.user_ids, candidates=new)
        own = world.user_groups[:, None] == np.array([kind[i] for i in new])
        # Of two new items, one of each user's own kind, the other not: how often the right one is above.
        right = [np.mean(s[o][:, None] > s[~o]) for s, o in zip(scores, own, strict=True)]
        assert np.mean(right) > 0.97
        # Without the feature nothing is known of them: all new items are one.
        blind = hybrid(wing, loss=loss).fit(train, progress=False)
        assert np.ptp(blind.score_matrix(candidates=new), axis=1).max() == 0


@pytest.mark.backends
def test_a_machine_ranks_new_items_too_and_calls_them_no_negatives():
    world, train, new = planted_tastes()
    kind = dict(zip(world.item_ids, world.item_groups, strict=True))
    for wing in (rt, rk):
        model = machine(
            wing, fields=("user", "item", "items.kind"), loss="logistic", negatives=3, reg=1e-3, epochs=25
        ).fit(train, progress=False)
        drawn = model._examples(model._train, np.random.default_rng(0))
        features = model._fields.labels[drawn["index"][drawn["value"] != 0]]
        assert not set(features) & {f"item={i}" for i in new}
        scores = model.score_matrix(world.user_ids, candidates=new)
        own = world.user_groups[:, None] == np.array([kind[i] for i in new])
        assert np.mean([np.mean(s[o][:, None] > s[~o]) for s, o in zip(scores, own, strict=True)]) > 0.95


@pytest.mark.backends
@pytest.mark.parametrize("name", ["logistic", "bpr", "warp", "machine", "machine of clicks"])
def test_a_stranger_is_known_by_three_items(name):
    world, train, _ = planted_tastes()
    met = train.items.index[np.isin(train.items.index, train.interactions.items)]
    kind = dict(zip(world.item_ids, world.item_groups, strict=True))
    mine = {f"taste {g}": [i for i in met if kind[i] == g][:3] for g in range(4)}
    more = {"epochs": 25, "factors": 8, "batch_size": 128}
    if name == "machine":
        train = Dataset(world.data.interactions, items=train.items)  # what was disliked says as much
    for wing in (rt, rk):
        if name.startswith("machine"):
            clicks = {"loss": "logistic", "negatives": 3, "reg": 0.01} if "clicks" in name else {"reg": 0.02}
            model = machine(wing, **more, **clicks).fit(train, progress=False)
        else:
            model = hybrid(wing, loss=name, **more).fit(train, progress=False)
        kinds = model.recommend(histories=mine, k=5, candidates=met).item.map(kind)
        assert (kinds.to_numpy() == np.repeat(np.arange(4), 5)).mean() > 0.9
        # A pair at a time and all at once: the same.
        matrix = model.score_matrix(histories=mine)
        users, items = np.repeat(list(mine), matrix.shape[1]), np.tile(model.item_ids_, len(mine))
        close(model.predict(users, items, histories=mine), matrix.ravel(), 1e-5)


def test_a_stranger_without_a_history_is_the_average_person():
    _, train, _ = planted_tastes()
    model = hybrid(rt, loss="logistic", epochs=5).fit(train, progress=False)
    q, b = model._user_side()
    p, b_i = model._item_side()
    with pytest.warns(UserWarning, match="met nothing"):
        found = model.score_matrix(histories={"new": []})[0]
    close(found, p @ q.mean(0) + b_i + b.mean(), 1e-4)
    known = model.predict(["?"], model.item_ids_[:3], unknown="fallback")
    close(known, (p @ q.mean(0) + b_i + b.mean())[:3], 1e-5)


@pytest.mark.parametrize("ridge", [1.0, 1e-4], ids=["held", "nearly free"])
def test_most_likely_is_the_optimum(ridge):
    """Where labels are separable and little holds the vector, plain Newton steps run away; here none does."""
    rng = np.random.default_rng(3)
    x, offset = rng.normal(size=(20, 3)), 3 * rng.normal(size=20)
    labels = (x @ rng.normal(size=(3, 4)) > 0).T.astype(float)
    weights = rng.uniform(0.2, 1, (4, 20))
    z = most_likely(np.broadcast_to(x, (4, 20, 3)), labels, offset, weights, ridge * np.diag([1.0, 0.5, 2.0]))
    slope = (weights * (ls.sigmoid(offset + z @ x.T) - labels)) @ x + ridge * z * [1.0, 0.5, 2.0]
    assert np.abs(slope).max() < 1e-5


def test_a_machine_without_the_user_takes_a_stranger_for_everybody():
    data = dataset()
    model = machine(rt, fields=("item", "items.genres")).fit(data, progress=False)
    found = model.score_matrix(histories={"new": data.interactions.item_ids[:2].tolist()})
    close(found[0], model.score_matrix(data.interactions.user_ids[:1])[0])


def test_unknown_ids_fall_back_to_what_is_known():
    data = dataset()
    model = machine(rt, fields=SIDES).fit(data, progress=False)
    learnt = model.get_parameters()
    close(model.predict(-5, -6, unknown="fallback"), learnt["constant"])
    x = data.interactions
    row = dense(model, x.user_ids[:1], x.item_ids[:1])[0]
    left = on_the_left(model)
    for users, items, part in ((x.user_ids[0], -6, left), (-5, x.item_ids[0], ~left)):
        expected = fm.machine(row * part, learnt["constant"], learnt["weights"], learnt["factors"])
        close(model.predict(users, items, unknown="fallback"), expected)


# ---------------------------------------------------------------- learning


@WINGS
@HYBRID_LOSSES
def test_each_loss_learns_to_rank(wing, loss):
    world = datasets.make_taste_groups(n_users=60, n_items=60, n_groups=3, density=0.5, seed=1)
    x = world.data.interactions
    train, test = splits.random_split(x.take(x.ratings > 3.5), 0.3, seed=0)
    model = hybrid(wing, loss=loss, epochs=20, factors=8, batch_size=128, reg=0.01)
    model.fit(train, test, progress=False)
    errors = [epoch["validation_error"] for epoch in model.history_]
    # Half of what is liked was never met, and may be drawn: the right order has errors as well.
    assert errors[0] > 0.25 and errors[-1] < 0.18
    assert model.history_[-1]["loss"] < 0.5 * model.history_[0]["loss"]
    popular = evaluate(Popularity().fit(train), test, ["ndcg@10"])["ndcg@10"]
    assert evaluate(model, test, ["ndcg@10"])["ndcg@10"] > 2 * popular


def test_patience_keeps_the_best_epoch():
    train, test = splits.random_split(interactions(60, 40, 0.4), 0.3, seed=0)
    model = hybrid(rt, epochs=200, patience=3, factors=16, learning_rate=0.05).fit(
        train, test, progress=False
    )
    errors = [epoch["validation_error"] for epoch in model.history_]
    assert len(errors) == int(np.argmin(errors)) + 1 + 3 < 200
    assert model._validate.__self__ is model
    again = hybrid(rt, epochs=int(np.argmin(errors)) + 1, factors=16, learning_rate=0.05)
    close(again.fit(train, progress=False).score_matrix(), model.score_matrix(), 1e-6)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_a_machine_measures_validation_as_its_task_is_measured(loss):
    data = dataset(n_users=60, n_items=30, targets="ratings" if loss == "squared" else "clicks")
    train, test = splits.random_split(data, 0.3, seed=0)
    model = machine(rt, fields=("user", "item", "items.genres"), loss=loss).fit(train, test, progress=False)
    name, measure = ("validation_rmse", "rmse") if loss == "squared" else ("validation_loss", "log_loss")
    figure = evaluate(model, test, [measure], clip=None)[measure]
    assert model.history_[-1][name] == pytest.approx(figure, rel=1e-5)


MACHINE_CHANGES = {
    "fields": ("user", "item", "items.genres"), "factors": 5, "epochs": 4, "learning_rate": 0.01, "reg": 0.3,
    "batch_size": 16, "optimizer": "sgd", "init_scale": 0.4, "seed": 1,
}  # fmt: skip
HYBRID_CHANGES = {**MACHINE_CHANGES, "loss": "bpr", "negatives": 2}


@pytest.mark.torch_first
@WINGS
@pytest.mark.parametrize("name", [*MACHINE_CHANGES, "loss", "negatives"])
def test_each_argument_of_a_machine_matters(wing, name):
    data = dataset(targets="clicks")
    base = {"loss": "logistic"} if name == "negatives" else {}
    change = {"loss": "logistic", "negatives": 2}.get(name, MACHINE_CHANGES.get(name))
    one = machine(wing, **base).fit(data, progress=False).score_matrix()
    other = machine(wing, **base, **{name: change}).fit(data, progress=False).score_matrix()
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.torch_first
@WINGS
@pytest.mark.parametrize("name", [*HYBRID_CHANGES, "max_sampled"])
def test_each_argument_of_a_hybrid_matters(wing, name):
    data = dataset()
    base = {"loss": "warp", "init_scale": 0.5} if name == "max_sampled" else {}
    change = 2 if name == "max_sampled" else HYBRID_CHANGES[name]
    one = hybrid(wing, **base).fit(data, progress=False).score_matrix()
    other = hybrid(wing, **base, **{name: change}).fit(data, progress=False).score_matrix()
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.backends
def test_a_file_holds_the_features_for_both_wings(tmp_path):
    data = dataset()
    context = pd.DataFrame({"hour": ["noon"]})
    for wing, other in ((rt, rk), (rk, rt)):
        for model in (machine(wing, fields=MOMENT), hybrid(wing, fields=SIDES)):
            model.fit(data, progress=False).save(tmp_path / "model.npz")
            loaded = getattr(other, type(model).__name__).load(tmp_path / "model.npz", device="cpu")
            asked = {"context": context} if "context" in model.supports else {}
            user = data.interactions.user_ids[3]
            pair = [(m.score_matrix([user], **asked), m.similar_items([70, 7], k=3)) for m in (model, loaded)]
            close(pair[0][0], pair[1][0], 1e-5)
            pd.testing.assert_frame_equal(pair[0][1], pair[1][1], atol=1e-5)


# ---------------------------------------------------------------- bad input


def _fit(model, data):
    return lambda: model.fit(data, progress=False)


def _without_item_rows():
    data = dataset()
    return Dataset(data.interactions, users=data.users, items=data.items.iloc[1:])


BAD = {
    "ratings as clicks": (
        lambda w: _fit(machine(w, loss="logistic"), interactions()), ValueError, ("rating", "0 and 1", "negatives=4"),
    ),
    "no ratings": (
        lambda w: _fit(machine(w), interactions(targets=None)), ValueError, ("no column `rating`", "rating="),
    ),
    "no clicks": (
        lambda w: _fit(machine(w, loss="logistic"), interactions(targets=None)), ValueError, ("rating", "negatives=4"),
    ),
    "features missing for an item": (
        lambda w: _fit(hybrid(w, fields=SIDES), _without_item_rows()), ValueError, ("features missing", "items"),
    ),
    "machine, the same": (
        lambda w: _fit(machine(w, fields=SIDES), _without_item_rows()), ValueError, ("features missing", "items"),
    ),
    "no table": (
        lambda w: _fit(hybrid(w, fields=SIDES), interactions()), ValueError, ("users.age", "table `users`", "Dataset"),
    ),
    "no such column": (
        lambda w: _fit(machine(w, fields=("user", "items.colour")), dataset()), ValueError, ("items.colour", "genres"),
    ),
    "context in LightFM": (
        lambda w: _fit(hybrid(w, fields=(*SIDES, "hour")), dataset()), ValueError, ("'hour'", "FactorizationMachine"),
    ),
    "a cross of both sides in LightFM": (
        lambda w: _fit(hybrid(w, fields=(*SIDES, "users.town*items.genres")), dataset()),
        ValueError, ("users.town*items.genres", "crosses all"),
    ),
    "LightFM without items": (
        lambda w: _fit(hybrid(w, fields=("user",)), dataset()), ValueError, ("without one of items", "add 'item'"),
    ),
    "LightFM without users": (
        lambda w: _fit(hybrid(w, fields=("item",)), dataset()), ValueError, ("without one of users", "add 'user'"),
    ),
    "no context to predict with": (
        lambda w: lambda: machine(w, fields=MOMENT).fit(dataset(), progress=False).recommend(k=2),
        ValueError, ("'hour'", "`context`"),
    ),
    "diverging machine": (
        lambda w: _fit(machine(w, optimizer="sgd", learning_rate=50.0, epochs=30), interactions()),
        DivergedError, ("epoch", "learning_rate"),
    ),
    "diverging LightFM": (
        lambda w: _fit(hybrid(w, optimizer="sgd", learning_rate=1e8, reg=1.0, epochs=30), interactions()),
        DivergedError, ("epoch", "learning_rate"),
    ),
    "somebody met everything": (
        lambda w: _fit(hybrid(w), interactions(density=1.0)), ValueError, ("user 8", "met every item"),
    ),
}  # fmt: skip


@WINGS
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_named(wing, case):
    make, error, words = BAD[case]
    refuses(make(wing), error, words)


WRONG = [
    ("fields", ()), ("factors", 0), ("epochs", 0), ("learning_rate", 0), ("reg", -1), ("loss", "hinge"),
    ("negatives", -1), ("batch_size", 0), ("optimizer", "lbfgs"), ("init_scale", 0), ("patience", 0), ("seed", -1),
]  # fmt: skip


@pytest.mark.parametrize("name, value", [*WRONG, ("max_sampled", 0)], ids=lambda v: str(v))
def test_bad_arguments_are_named(name, value):
    for model in (
        hybrid(rt, **{name: value}),
        *([] if name == "max_sampled" else [machine(rt, **{name: value})]),
    ):
        with pytest.raises(ValueError, match=f"`{name}` is"):
            model.fit(dataset(), progress=False)


@WINGS
def test_lightfm_has_no_context_and_says_who_has(wing):
    model = hybrid(wing).fit(dataset(), progress=False)
    with pytest.raises(NotSupportedError, match="`context`.*FactorizationMachine"):
        model.predict(900, 70, context=pd.DataFrame({"hour": ["noon"]}))


# ---------------------------------------------------------------- MovieLens-100K


@pytest.fixture(scope="module")
def movielens():
    try:
        return datasets.fetch_movielens("100k")
    except DataError as error:
        pytest.skip(f"MovieLens-100K is not to be had here: {error}")


@pytest.mark.slow
def test_cold_films_of_movielens_are_ranked_from_their_genres_better_than_chance(movielens):
    train, test = splits.cold_items(movielens, test_size=0.2, seed=0)
    new = test.interactions.item_ids
    # Without genres all new films are tied; the expected value over ties is chance.
    blind = rt.LightFM(batch_size=4096, epochs=1, device="cpu").fit(train, progress=False)
    assert np.ptp(blind.score_matrix(candidates=new), axis=1).max() == 0
    chance = evaluate(blind, test, ["ndcg@10"], candidates=new)
    fields = ("user", "item", "items.genres")
    model = rt.LightFM(fields=fields, batch_size=4096, learning_rate=0.02, epochs=5, device="cpu")
    found = evaluate(model.fit(train, progress=False), test, ["ndcg@10"], candidates=new)
    assert found["ndcg@10"] > 1.3 * chance["ndcg@10"]


@pytest.mark.thorough
@pytest.mark.slow
def test_lightfms_own_example(movielens):
    """The figures of LightFM's documentation: each user's first ten ratings of u.data held out, all else positive.

    Ten components, ten epochs of AdaGrad at .05; precision@10 and AUC over all films, those of train left in.
    """
    x = movielens.interactions
    place = x.to_frame().groupby("user").cumcount().to_numpy()
    train, test = movielens.take(place >= 10), movielens.take(place < 10)
    assert (len(train), len(test)) == (90_570, 9_430)
    everything = {user: x.item_ids for user in x.user_ids}
    for loss, precision, _auc in (("bpr", 0.10, 0.86), ("warp", 0.11, 0.90)):
        model = rt.LightFM(
            loss=loss, factors=10, epochs=10, optimizer="adagrad", learning_rate=0.05, reg=0.0, negatives=1,
            batch_size=256, init_scale=0.02, device="cpu",
        ).fit(train, progress=False)  # fmt: skip
        found = evaluate(model, test, ["precision@10"], candidates=everything)["precision@10"]
        assert found > precision - 0.02, loss


# ---------------------------------------------------------------- the chapter's exercises


@pytest.mark.parametrize(
    "exercise", [checks.crosses, checks.new_item, checks.gradient], ids=lambda e: e.__name__
)
def test_each_mistake_in_an_exercise_gets_its_own_hint(exercise, monkeypatch, capsys):
    each_gives_its_own_hint(checks, exercise, monkeypatch, capsys)

"""AutoRec, Mult-VAE and CFGAN: formulas by hand, formula = torch = keras, planted worlds, figures on MovieLens-100K.

Tables are users × items, NaN where there is no rating. Users are called 1000, 999, …, items 500, 499, …
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, results, splits
from recbook.checks import autoencoders as checks
from recbook.errors import DivergedError
from recbook.evaluation import evaluate
from recbook.formulas import autoencoders as ae
from recbook.interactions import Interactions
from recbook.numpy.introduction import Popularity
from recbook.shared.autoencoders import RowModel, Rows
from tests.helpers.bad_inputs import refuses
from tests.helpers.known_mistakes import each_gives_its_own_hint
from tests.helpers.small_tables import interactions, learnt, table, table_of

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
NAMES = pytest.mark.parametrize("name", ["AutoRec", "MultVAE", "CFGAN"])
RANKERS = pytest.mark.parametrize("name", ["MultVAE", "CFGAN"])
SIDES = pytest.mark.parametrize("rows", ["items", "users"])
_ = np.nan
ROOT = Path(__file__).resolve().parents[2]


def fitted(wing, name: str, data, **parameters):
    return getattr(wing, name)(device="cpu", **parameters).fit(data, progress=False)


def one_step(wing, name: str, x: Interactions, **parameters) -> tuple[dict, dict, float]:
    """Parameters before and after one step of gradient descent over all rows with learning rate 1, and the loss."""
    parameters = {"factors": 3, "epochs": 1, "optimizer": "sgd", "batch_size": 10_000, **parameters}
    before = fitted(rt, name, x, **parameters, learning_rate=1e-30)
    after = fitted(wing, name, x, **parameters, learning_rate=1.0)
    return learnt(before), learnt(after), after.history_[0]["loss"]


def first_batch(model) -> dict[str, np.ndarray]:
    """What the model's first batch was: the same seed, the same draws."""
    rng = np.random.default_rng(model.seed)
    model._training_rows, model._epoch = model._rows(model._train), 0
    model._start(model._train, rng)
    examples = model._examples(model._train, rng)
    batch = next(model._batches(model._train, examples, rng))
    del model._training_rows, model._epoch
    return {name: values.astype(np.float64) for name, values in batch.items()}


def slopes(objective, parameters: dict[str, np.ndarray], step: float = 1e-5) -> dict[str, np.ndarray]:
    """Central differences of objective(parameters) by each of them."""
    found = {}
    for name, values in parameters.items():
        found[name] = np.zeros_like(values)
        for cell in np.ndindex(values.shape):
            moved = [values.copy(), values.copy()]
            moved[0][cell] += step
            moved[1][cell] -= step
            ends = [objective(parameters | {name: one}) for one in moved]
            found[name][cell] = (ends[0] - ends[1]) / (2 * step)
    return found


def holds(before: dict, after: dict, gradients: dict, tolerance: float = 5e-6) -> None:
    assert set(gradients) <= set(before)
    for name, gradient in gradients.items():
        scale = max(1.0, np.abs(gradient).max())
        moved = before[name] - after[name]
        np.testing.assert_allclose(moved, gradient, rtol=2e-5, atol=tolerance * scale, err_msg=name)
        assert np.abs(gradient).max() > 1e-5, name


# ---------------------------------------------------------------- formulas


def test_autorec_by_hand():
    """A17: one hidden unit; the missing rating adds nothing to the code, and no error to the objective."""
    r = np.array([4.0, _, 2.0])
    V, mu = np.array([[0.5], [9.0], [-1.0]]), np.array([0.25])
    W, b = np.array([[2.0, 1.0, 0.0]]), np.array([1.0, 3.0, 2.5])
    g = 1 / (1 + np.exp(-(0.5 * 4 - 2 + 0.25)))
    np.testing.assert_allclose(ae.autorec(r, V, mu, W, b), [1 + 2 * g, 3 + g, 2.5])
    squared = (4 - 1 - 2 * g) ** 2 + 0.5**2
    penalty = 0.1 / 2 * (0.25 + 81 + 1 + 4 + 1) / 3
    assert ae.autorec_objective(r[None], V, mu, W, b, 0.1) == pytest.approx(squared / 2 + penalty)


def test_fold_in_by_hand():
    """Two ratings, one code: the bias carries the level, and a strong λ leaves nothing else."""
    w, b = ae.autorec_fold_in(np.array([5.0, _, 3.0]), np.array([[1.0], [7.0], [0.0]]), 0.25, 4.0)
    # Centred: codes ±½, ratings ±1; w = (½·1 + ½·1) / (½ + ½) with λN/2 = ½ below the line.
    assert w[0] == pytest.approx(1 / (0.5 + 0.5)) and b == pytest.approx(4 - 0.5)
    w, b = ae.autorec_fold_in(np.array([5.0, _, 3.0]), np.array([[1.0], [7.0], [0.0]]), 1e9, 4.0)
    assert abs(w[0]) < 1e-6 and b == pytest.approx(4)


def test_multinomial_by_hand():
    log_pi = ae.log_softmax(np.log([2.0, 1.0, 1.0]))
    np.testing.assert_allclose(np.exp(log_pi), [0.5, 0.25, 0.25])
    assert ae.multinomial(np.array([1, 0, 1]), log_pi) == pytest.approx(np.log(0.5) + np.log(0.25))
    # Shifting all logits changes nothing, and large ones do not overflow.
    np.testing.assert_allclose(ae.log_softmax(np.array([1000.0, 1000.0])), np.log([0.5, 0.5]))


@given(st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_kl_is_a_mean_over_draws_and_never_negative(seed):
    """A27: E_q[log q - log p], and 0 for the standard normal alone."""
    rng = np.random.default_rng(seed)
    m, lv = rng.normal(size=2), rng.normal(size=2)
    z = m + np.exp(lv / 2) * rng.normal(size=(200_000, 2))
    log_q = -0.5 * ((z - m) ** 2 / np.exp(lv) + lv)
    drawn = (log_q + 0.5 * z**2).sum(1)
    value = ae.kl_to_standard(m, lv)
    assert abs(value - drawn.mean()) < 6 * drawn.std() / np.sqrt(len(z))
    assert value > 0 and ae.kl_to_standard(np.zeros(3), np.zeros(3)) == 0
    ours = torch.distributions.Normal(torch.tensor(m), torch.tensor(np.exp(lv / 2)))
    theirs = torch.distributions.kl_divergence(ours, torch.distributions.Normal(0.0, 1.0)).sum()
    assert value == pytest.approx(float(theirs), rel=1e-6)


def test_the_bound_is_below_the_likelihood():
    """A27: with β = 1 the objective is a lower bound of log p(x), which draws from the prior estimate."""
    rng = np.random.default_rng(0)
    shapes = rt.MultVAE(hidden=4, factors=2)._parameter_shapes(1, 5)
    p = {name: rng.normal(size=shape) * 0.7 for name, shape in shapes.items()}
    x = np.array([1.0, 0, 1, 0, 0])
    prior = rng.normal(size=(40_000, 2))
    log_px = np.log(np.exp(ae.decode(prior, p) @ x).mean())
    noise = rng.normal(size=(4_000, 2))
    many = np.tile(x, (4_000, 1))
    bound = -ae.elbo_objective(many, many, noise, p, beta=1.0, reg=0.0)
    assert bound < log_px - 0.01
    # β < 1 weighs the divergence less: the value is no bound any more, here it lies above.
    assert -ae.elbo_objective(many, many, noise, p, beta=0.0, reg=0.0) > bound


def test_annealing_by_hand():
    assert [ae.annealed(0.2, 4, epoch) for epoch in (1, 2, 3, 4, 5, 6)] == pytest.approx(
        [0, 0.05, 0.1, 0.15, 0.2, 0.2]
    )
    assert ae.annealed(0.2, 0, 1) == 0.2


def test_adversaries_by_hand():
    """A28: a judge that always says ½ costs log 2 a row; the generator pays its zeros."""
    p = {
        "generator": np.zeros((2, 1)), "generator_bias": np.zeros(1),
        "generator_output": np.zeros((1, 2)), "generator_output_bias": np.log([1.0, 3.0]),
        "discriminator": np.zeros((2, 1)), "discriminator_condition": np.zeros((2, 1)),
        "discriminator_bias": np.zeros(1), "discriminator_output": np.zeros((1, 1)),
        "discriminator_output_bias": np.zeros(1),
    }  # fmt: skip
    x, shown, zeros = np.array([1.0, 0]), np.array([1.0, 0]), np.array([0.0, 1])
    assert ae.discriminator_loss(x, shown, p) == pytest.approx(2 * np.log(2))
    assert ae.generator_loss(x, shown, zeros, p, 0.1) == pytest.approx(np.log(2) + 0.1 * 0.75**2)


def test_the_best_discriminator_knows_the_shares():
    """A28: for given densities the best D is p / (p + q); where they are equal, ½, and the value -log 4."""
    p, q = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])

    def value(D):
        return p @ np.log(D) + q @ np.log(1 - D)

    best = minimize(lambda logit: -value(ae.sigmoid(logit)), np.zeros(3), method="BFGS")
    np.testing.assert_allclose(ae.sigmoid(best.x), p / (p + q), atol=1e-4)
    assert value(p / (p + q)) > -np.log(4) and p @ np.log([0.5] * 3) * 2 == pytest.approx(-np.log(4))


def test_two_players_circle_away_from_their_balance():
    """A28: simultaneous steps on ab: the distance from (0, 0) grows by √(1 + η²) each time."""
    path = ae.circling(50, 0.2)
    np.testing.assert_allclose(np.linalg.norm(path, axis=1), 1.04 ** (np.arange(51) / 2))


# ---------------------------------------------------------------- both wings do what the formulas say


@pytest.mark.backends
@WINGS
@SIDES
def test_one_step_of_autorec_is_the_gradient_of_the_formula(wing, rows):
    x = interactions(table(1, 9, 7))
    R = table_of(x) if rows == "users" else table_of(x).T
    before, after, loss = one_step(wing, "AutoRec", x, rows=rows, reg=3.0)

    def objective(p):
        return ae.autorec_objective(
            R, p["encoder"], p["encoder_bias"], p["decoder"], p["decoder_bias"], reg=3.0
        )

    assert loss == pytest.approx(objective(before), rel=1e-5)
    holds(before, after, slopes(objective, before))


@pytest.mark.backends
@WINGS
def test_one_step_of_multvae_is_the_gradient_of_the_formula(wing):
    x = interactions(table(2, 9, 7))
    arguments = {"hidden": 4, "beta": 0.7, "annealing": 0, "dropout": 0.4, "reg": 0.05}
    before, after, loss = one_step(wing, "MultVAE", x, **arguments)
    batch = first_batch(fitted(rt, "MultVAE", x, factors=3, epochs=1, batch_size=10_000, **arguments))
    assert (batch["beta"] == np.float32(0.7)).all()

    def objective(p):
        return ae.elbo_objective(batch["row"], batch["kept"], batch["noise"], p, beta=0.7, reg=0.05)

    assert loss == pytest.approx(objective(before), rel=1e-5)
    holds(before, after, slopes(objective, before))


@pytest.mark.backends
@WINGS
def test_one_step_of_cfgan_moves_each_player_by_its_own_loss(wing):
    x = interactions(table(3, 9, 7))
    arguments = {"shown": 0.5, "zeros": 0.5, "zeros_weight": 0.3, "reg": 0.05}
    before, after, loss = one_step(wing, "CFGAN", x, **arguments)
    batch = first_batch(fitted(rt, "CFGAN", x, factors=3, epochs=1, batch_size=10_000, **arguments))
    rows = list(zip(batch["row"], batch["shown"], batch["zeros"], strict=True))

    def of_discriminator(p):
        return np.mean([ae.discriminator_loss(row, shown, p) for row, shown, _ in rows]) + 0.05 * ae.squares(
            p
        )

    def of_generator(p):
        return np.mean([ae.generator_loss(*row, p, 0.3) for row in rows]) + 0.05 * ae.squares(p)

    both = of_discriminator(before) + of_generator(before) - 0.05 * ae.squares(before)
    assert loss == pytest.approx(both, rel=1e-5)
    for player, objective in (("discriminator", of_discriminator), ("generator", of_generator)):
        gradients = slopes(objective, before)
        holds(before, after, {name: g for name, g in gradients.items() if name.startswith(player)})


@pytest.mark.backends
@WINGS
@SIDES
def test_scores_of_autorec_equal_the_formula(wing, rows):
    x = interactions(table(4, 9, 7))
    R = table_of(x)
    model = fitted(wing, "AutoRec", x, rows=rows, factors=3, epochs=3)
    p = learnt(model)
    arrays = p["encoder"], p["encoder_bias"], p["decoder"], p["decoder_bias"]
    if rows == "users":
        expected = np.array([ae.autorec(r, *arrays) for r in R])
    else:
        expected = np.array([ae.autorec(r, *arrays) for r in R.T]).T
    np.testing.assert_allclose(model.score_matrix(), expected, atol=5e-6)


@pytest.mark.backends
@WINGS
@RANKERS
def test_scores_of_the_others_equal_the_formula(wing, name):
    x = interactions(table(5, 9, 7))
    X = (~np.isnan(table_of(x))).astype(float)
    model = fitted(wing, name, x, factors=3, epochs=3)
    p = learnt(model)
    one = {
        "MultVAE": lambda row: ae.decode(ae.encode(row, row, p)[0], p),
        "CFGAN": lambda row: ae.generate(row, p),
    }
    expected = np.array([one[name](row) for row in X])
    np.testing.assert_allclose(model.score_matrix(), expected, atol=1e-5)
    if name == "MultVAE":
        np.testing.assert_allclose(np.exp(model.score_matrix()).sum(1), 1, rtol=1e-5)


# ---------------------------------------------------------------- the twins


@pytest.mark.backends
@pytest.mark.parametrize(
    "name, settings",
    [
        ("AutoRec", {"rows": "items"}),
        ("AutoRec", {"rows": "users", "optimizer": "adagrad", "learning_rate": 0.02}),
        ("MultVAE", {"annealing": 5, "hidden": 16}),
        ("CFGAN", {}),
    ],
    ids=["items", "users-adagrad", "multvae", "cfgan"],
)
def test_learning_curves_of_the_twins_lie_on_each_other(name, settings):
    """20 epochs from equal starts, equal batches and equal noise, within 1e-5 (relative): no kink anywhere."""
    world = datasets.make_taste_groups(n_users=80, n_items=50, seed=3)
    curves, found = [], []
    for wing in (rt, rk):
        model = fitted(wing, name, world.data, factors=8, epochs=20, batch_size=20, **settings)
        curves.append([record["loss"] for record in model.history_])
        found.append(model.score_matrix())
    assert len(curves[0]) == 20 and np.ptp(curves[0]) > 1e-3
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


@WINGS
@NAMES
def test_the_same_seed_gives_the_same_bits(wing, name):
    x = datasets.make_taste_groups(n_users=40, n_items=30, seed=1).data.interactions
    one, again, other = (fitted(wing, name, x, epochs=2, seed=s).score_matrix() for s in (4, 4, 5))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4


# ---------------------------------------------------------------- rows, noise, batches


def test_rows_are_filled_as_the_table_says():
    x = interactions(table(6, 9, 7))
    R = table_of(x)
    coded = rt.AutoRec(epochs=1, device="cpu").fit(x, progress=False)._train
    users, items = Rows.of_users(coded, coded.ratings), Rows.of_items(coded, coded.ratings)
    np.testing.assert_array_equal(
        users.filled(np.array([3, 0, -1]), np.nan), np.vstack([R[[3, 0]], np.full(7, _)])
    )
    np.testing.assert_array_equal(items.filled(np.array([2, 6])), np.nan_to_num(R.T[[2, 6]]))
    assert users.filled(np.array([], int)).shape == (0, 7)


@NAMES
def test_an_epoch_has_each_row_once_and_another_order(name):
    x = interactions(table(7, 23, 7))
    model = fitted(rt, name, x, epochs=1, batch_size=5)
    rng = np.random.default_rng(0)
    model._training_rows, model._epoch = model._rows(model._train), 0
    R = model._training_rows.filled(np.arange(len(model._training_rows.lists.lengths)), model._empty)
    orders = []
    for _epoch in range(2):
        found = [b["row"] for b in model._batches(model._train, model._examples(model._train, rng), rng)]
        assert [len(b) for b in found[:-1]] == [5] * (len(found) - 1)
        orders.append(np.concatenate(found))
        np.testing.assert_array_equal(np.sort(np.nan_to_num(orders[-1]) @ 7.0 ** np.arange(R.shape[1])),
                                      np.sort(np.nan_to_num(R) @ 7.0 ** np.arange(R.shape[1])))  # fmt: skip
    assert not np.array_equal(*orders, equal_nan=True)


def test_dropout_hides_a_share_of_likes_and_keeps_their_sum_on_average():
    x = datasets.make_ratings(200, 100, 8_000).interactions
    model = fitted(rt, "MultVAE", x, epochs=1, dropout=0.3, batch_size=500, annealing=4, beta=0.2)
    batch = first_batch(model)
    row, kept = batch["row"], batch["kept"]
    assert (kept[row == 0] == 0).all() and set(np.unique(kept)) == {0.0, np.float64(np.float32(1 / 0.7))}
    assert kept.sum() == pytest.approx(row.sum(), rel=0.02)
    assert abs(batch["noise"].mean()) < 0.05 and batch["noise"].std() == pytest.approx(1, abs=0.05)


def test_beta_grows_epoch_by_epoch_as_the_formula_says(monkeypatch):
    seen = []
    original = RowModel._batches

    def listen(self, train, examples, rng):
        for batch in original(self, train, examples, rng):
            seen.append((self._epoch, float(batch["beta"][0])))
            yield batch

    monkeypatch.setattr(RowModel, "_batches", listen)
    fitted(rt, "MultVAE", interactions(table(8, 9, 7)), epochs=6, annealing=4, beta=0.2, batch_size=4)
    assert seen[0][0] == 1 and max(epoch for epoch, _b in seen) == 6
    for epoch, beta in seen:
        assert beta == pytest.approx(ae.annealed(0.2, 4, epoch), abs=1e-7)


def test_cfgan_shows_all_likes_and_a_share_of_the_rest():
    x = datasets.make_ratings(200, 100, 4_000).interactions
    batch = first_batch(fitted(rt, "CFGAN", x, epochs=1, shown=0.3, zeros=0.6, batch_size=500))
    row, shown, zeros = batch["row"], batch["shown"], batch["zeros"]
    assert (shown[row == 1] == 1).all() and (zeros[row == 1] == 0).all()
    assert shown[row == 0].mean() == pytest.approx(0.3, abs=0.02)
    assert zeros[row == 0].mean() == pytest.approx(0.6, abs=0.02)


# ---------------------------------------------------------------- planted worlds


@WINGS
@SIDES
def test_autorec_finds_a_planted_world(wing, rows):
    world = datasets.make_low_rank(n_users=150, n_items=100, rank=2, density=0.4, noise=0.05, seed=0)
    x = world.data.interactions
    truth = pd.DataFrame(world.scores, world.user_ids, world.item_ids).loc[x.user_ids, x.item_ids].to_numpy()
    model = fitted(
        wing, "AutoRec", x, rows=rows, factors=20, epochs=100, batch_size=25, learning_rate=0.01, reg=0.01
    )
    error = np.sqrt(np.square(model.score_matrix() - truth).mean())
    assert error < 0.35 * truth.std()


@WINGS
@RANKERS
def test_the_right_group_is_ranked_first(wing, name):
    world = datasets.make_taste_groups(n_users=90, n_items=60, density=0.35, seed=1)
    frame = world.data.interactions.to_frame()
    met = Interactions.from_frame(frame[frame.rating > 3.25].drop(columns="rating"))
    model = fitted(wing, name, met, epochs=60, batch_size=30)
    shown = model.recommend(k=3)
    group = (
        dict(zip(world.user_ids, world.user_groups, strict=True)),
        dict(zip(world.item_ids, world.item_groups, strict=True)),
    )
    right = np.mean([group[0][u] == group[1][i] for u, i in zip(shown.user, shown.item, strict=True)])
    assert right > 0.8  # a third by chance
    near = model.similar_items(met.item_ids[:20], k=3)
    same = np.mean([group[1][a] == group[1][b] for a, b in zip(near.item, near.similar, strict=True)])
    assert same > 0.6


CHANGES = {
    "AutoRec": {
        "rows": "users", "factors": 5, "epochs": 3, "learning_rate": 0.05, "reg": 50.0, "batch_size": 7,
        "optimizer": "adagrad", "seed": 1,
    },
    "MultVAE": {
        "factors": 5, "hidden": 9, "beta": 3.0, "annealing": 1, "dropout": 0.1, "epochs": 3, "learning_rate": 0.05,
        "reg": 5.0, "batch_size": 7, "optimizer": "adagrad", "seed": 1,
    },
    "CFGAN": {
        "factors": 5, "shown": 0.1, "zeros": 0.1, "zeros_weight": 2.0, "epochs": 3, "learning_rate": 0.05, "reg": 5.0,
        "batch_size": 7, "optimizer": "adagrad", "seed": 1,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def tastes() -> Interactions:
    return datasets.make_taste_groups(n_users=30, n_items=20, seed=1).data.interactions


@pytest.mark.parametrize("name, parameter", [(n, p) for n, changes in CHANGES.items() for p in changes])
def test_every_hyper_parameter_matters(name, parameter, tastes):
    base = {"factors": 4, "epochs": 2, "seed": 0}
    assert set(CHANGES[name]) | {"device", "patience"} == set(getattr(rt, name)._parameter_names())
    left = fitted(rt, name, tastes, **base).score_matrix()
    right = fitted(rt, name, tastes, **{**base, parameter: CHANGES[name][parameter]}).score_matrix()
    assert np.abs(left - right).max() > 1e-4


@pytest.mark.backends
@NAMES
def test_hyper_parameters_mean_the_same_in_both_wings(name, tastes):
    """All of them away from their defaults at once."""
    left, right = (fitted(wing, name, tastes, **CHANGES[name]).score_matrix() for wing in (rt, rk))
    np.testing.assert_allclose(left, right, atol=2e-5 * max(1, np.abs(left).max()))


# ---------------------------------------------------------------- people it never saw


@pytest.mark.backends
@WINGS
def test_a_row_of_a_stranger_goes_through_the_network(wing, tastes):
    """A copy of a known user's row gets that user's scores, wherever rows are users."""
    one = tastes.users == tastes.user_ids[4]
    for name, more in (("AutoRec", {"rows": "users"}), ("MultVAE", {}), ("CFGAN", {})):
        model = fitted(wing, name, tastes, epochs=3, **more)
        np.testing.assert_allclose(
            model.score_matrix(histories=tastes.take(one))[0],
            model.score_matrix(tastes.user_ids[[4]])[0],
            atol=1e-5,
        )


@pytest.mark.backends
@WINGS
def test_fold_in_of_items_is_the_exact_minimiser(wing, tastes):
    model = fitted(wing, "AutoRec", tastes, factors=4, epochs=5, reg=3.0)
    p, R = learnt(model), table_of(tastes)
    codes = ae.sigmoid(np.nan_to_num(R.T) @ p["encoder"] + p["encoder_bias"])
    rng = np.random.default_rng(3)
    items = rng.choice(tastes.item_ids, 6, replace=False)
    history = Interactions.from_frame(
        pd.DataFrame({"user": "new", "item": items, "rating": rng.integers(1, 6, 6).astype(float)})
    )
    r = np.full(tastes.n_items, np.nan)
    r[pd.Index(tastes.item_ids).get_indexer(items)] = history.ratings
    usual = len(tastes) / tastes.n_users
    w, b = ae.autorec_fold_in(r, codes, 3.0, usual)
    seen = ~np.isnan(r)
    other = minimize(
        lambda v: np.square(r[seen] - v[4] - codes[seen] @ v[:4]).sum() + 1.5 * usual * (v[:4] @ v[:4]),
        np.zeros(5), method="BFGS", options={"gtol": 1e-10},
    ).x  # fmt: skip
    np.testing.assert_allclose(np.append(w, b), other, atol=1e-5)
    np.testing.assert_allclose(model.score_matrix(histories=history)[0], codes @ w + b, atol=1e-4)


@WINGS
@pytest.mark.parametrize(
    "name, more",
    [("AutoRec", {"rows": "items"}), ("AutoRec", {"rows": "users"}), ("MultVAE", {}), ("CFGAN", {})],
)
def test_strangers_get_lists_and_an_empty_history_the_prior(wing, name, more, tastes):
    model = fitted(wing, name, tastes, epochs=3, **more)
    liked = tastes.item_ids[:3].tolist()
    with pytest.warns(UserWarning, match="met nothing"):
        lists = model.recommend(histories={"a": liked, "b": []}, k=4)
    assert lists.groupby("user", sort=False).size().to_dict() == {"a": 4, "b": 4}
    assert not set(lists.item[lists.user == "a"]) & set(liked)
    with pytest.warns(UserWarning, match="met nothing"):
        empty = model.score_matrix(histories={"b": []})[0]
    np.testing.assert_allclose(empty, model.predict("nobody", tastes.item_ids, unknown="fallback"), atol=1e-5)
    # An item that nobody knows is the average item.
    mean = model.score_matrix(tastes.user_ids[[2]]).mean()
    assert model.predict(tastes.user_ids[2], -1, unknown="fallback") == pytest.approx(mean, abs=1e-5)


def test_many_users_are_scored_in_blocks(monkeypatch, tastes):
    for name in ("AutoRec", "MultVAE"):
        model = fitted(rt, name, tastes, epochs=2)
        whole, pairs = model.score_matrix(), model.predict(tastes.users, tastes.items)
        monkeypatch.setattr("recbook.core.blocks.CELLS", 60)
        np.testing.assert_allclose(model.score_matrix(), whole, atol=1e-6)
        np.testing.assert_allclose(model.predict(tastes.users, tastes.items), pairs, atol=1e-6)
        monkeypatch.undo()


def test_ratings_are_no_matter_to_those_who_rank(tastes):
    bare = Interactions.from_frame(tastes.to_frame().drop(columns="rating"))
    for name in ("MultVAE", "CFGAN"):
        with_ratings, without = (fitted(rt, name, x, epochs=2).score_matrix() for x in (tastes, bare))
        np.testing.assert_array_equal(with_ratings, without)


@RANKERS
def test_patience_watches_the_lists(name, tastes):
    train, validation = splits.random_split(tastes, 0.2, seed=0)
    model = fitted_with(validation, rt, name, train, epochs=12, patience=2, batch_size=8, learning_rate=0.01)
    errors = [record["validation_error"] for record in model.history_]
    assert all(0 <= e <= 1 for e in errors)
    measured = evaluate(model, validation, ["ndcg@10"], unknown="fallback")["ndcg@10"]
    assert 1 - min(errors) == pytest.approx(measured, abs=1e-6)


def fitted_with(validation, wing, name: str, train, **parameters):
    return getattr(wing, name)(device="cpu", **parameters).fit(train, validation, progress=False)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "name, parameter, value",
    [
        ("AutoRec", "rows", "both"), ("AutoRec", "factors", 0), ("AutoRec", "reg", -1), ("AutoRec", "batch_size", 0),
        ("MultVAE", "dropout", 1), ("MultVAE", "dropout", -0.1), ("MultVAE", "beta", -1), ("MultVAE", "hidden", 0),
        ("MultVAE", "annealing", 2.5), ("CFGAN", "shown", 1.5), ("CFGAN", "zeros", -0.1),
        ("CFGAN", "zeros_weight", -1), ("CFGAN", "epochs", 0),
    ],
    ids=str,
)  # fmt: skip
def test_bad_hyper_parameters_are_refused(name, parameter, value, tastes):
    for wing in (rt, rk):
        refuses(
            lambda wing=wing: fitted(wing, name, tastes, **{parameter: value}),
            ValueError,
            (f"`{parameter}` is {value!r}",),
        )


@WINGS
def test_a_learning_rate_that_diverges_names_epoch_and_remedy(wing, tastes):
    refuses(
        lambda: fitted(wing, "AutoRec", tastes, optimizer="sgd", learning_rate=1e6, epochs=50),
        DivergedError,
        ("AutoRec", "epoch", "lower `learning_rate`"),
    )


def test_autorec_needs_ratings(tastes):
    bare = Interactions.from_frame(tastes.to_frame().drop(columns="rating"))
    refuses(lambda: fitted(rt, "AutoRec", bare), ValueError, ("predicts ratings", "no column `rating`"))


# ---------------------------------------------------------------- MovieLens


@pytest.fixture(scope="module")
def movielens():
    return datasets.fetch_movielens("100k")


# Training in Keras takes minutes: its figures are those that experiments/autoencoders.py recorded of this very code.


@pytest.fixture(scope="module")
def recorded() -> dict:
    return results.load("autoencoders")["figures"]


@pytest.mark.slow
def test_autorec_meets_its_figure_on_movielens(movielens, recorded):
    """A17: rows of items, 90/10, defaults: at most .895, where factorisation has more."""
    train, test = splits.random_split(movielens, 0.1, seed=0)
    error = evaluate(fitted(rt, "AutoRec", train), test, ["rmse"])["rmse"]
    assert error <= 0.895
    assert evaluate(fitted(rt, "MatrixFactorization", train), test, ["rmse"])["rmse"] > error + 0.005
    assert recorded["ratings"]["models"]["AutoRec, rows of items, Keras"]["mean"] <= 0.895


@pytest.mark.slow
def test_multvae_meets_its_figure_on_movielens(movielens, recorded):
    """A27: stratified 75/25 by item, every rating relevant, seen removed: nDCG@10 of at least .43."""
    train, test = splits.stratified_split(movielens, by="item", test_size=0.25, seed=0)
    assert evaluate(fitted(rt, "MultVAE", train), test, ["ndcg@10"])["ndcg@10"] >= 0.43
    assert recorded["lists"]["models"]["MultVAE, Keras"]["mean"] >= 0.43


@pytest.mark.thorough
@pytest.mark.slow
def test_cfgan_beats_popularity_on_movielens(movielens):
    """A28: with the pull to 0 it does, the game alone does not."""
    train, test = splits.stratified_split(movielens, by="item", test_size=0.25, seed=0)
    popular, whole, game = (
        evaluate(model, test, ["ndcg@10"])["ndcg@10"]
        for model in (
            Popularity().fit(train), fitted(rt, "CFGAN", train), fitted(rt, "CFGAN", train, zeros_weight=0.0)
        )
    )  # fmt: skip
    assert game < popular < whole - 0.15


@pytest.mark.slow
def test_multvae_serves_people_it_never_saw(movielens):
    """Its paper's protocol: people held out, from four fifths of their rows; far better than what is popular."""
    train, history, targets = splits.held_out_users(movielens, test_size=0.1, fold_in=0.8, seed=0)
    ours, popular = (
        evaluate(model, targets, ["ndcg@10"], histories=history)["ndcg@10"]
        for model in (fitted(rt, "MultVAE", train), Popularity().fit(train))
    )
    assert ours > popular + 0.1


# ---------------------------------------------------------------- memory


def test_training_never_fills_the_whole_table(monkeypatch):
    """Rows are filled out a batch at a time, whatever the number of users and items."""
    filled, original = [], Rows.filled

    def listen(self, rows, empty=0.0):
        filled.append(len(rows))
        return original(self, rows, empty)

    monkeypatch.setattr(Rows, "filled", listen)
    x = datasets.make_ratings(300, 200, 3_000).interactions
    for name in ("AutoRec", "MultVAE", "CFGAN"):
        fitted(rt, name, x, epochs=1, batch_size=16)
    assert len(filled) > 40 and max(filled) == 16


# ---------------------------------------------------------------- the chapter's exercises


@pytest.mark.parametrize(
    "exercise", [checks.masked_error, checks.divergence, checks.log_likelihood], ids=lambda e: e.__name__
)
def test_each_mistake_in_an_exercise_gets_its_own_hint(exercise, monkeypatch, capsys):
    each_gives_its_own_hint(checks, exercise, monkeypatch, capsys)

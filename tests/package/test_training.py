"""Training by gradient descent: batches, the record of epochs, when it stops; shown on MatrixFactorization."""

from __future__ import annotations

import numpy as np
import pytest

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, splits
from recbook.errors import DivergedError
from recbook.evaluation import evaluate
from recbook.interactions import Interactions
from recbook.shared._training import OPTIMIZERS
from tests.helpers.bad_inputs import refuses

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])


@pytest.fixture(scope="module")
def world() -> Interactions:
    return datasets.make_low_rank(
        n_users=50, n_items=40, rank=2, density=0.3, noise=0.6, seed=1
    ).data.interactions


def model(wing, **changes):
    return wing.MatrixFactorization(**({"factors": 6, "batch_size": 128, "device": "cpu"} | changes))


def test_an_epoch_has_each_example_once_and_another_order(world):
    one = model(rt, epochs=1).fit(world, progress=False)
    train, rng = one._train, np.random.default_rng(0)
    examples = one._examples(train, rng)
    steps = one._steps(train, examples)
    feed = one._feed(train, examples, rng)
    epochs = [[next(feed) for _step in range(steps)] for _epoch in range(2)]
    assert [len(batch["user"]) for batch in epochs[0]] == [128] * (len(world) // 128) + [len(world) % 128]
    pairs = [
        [pair for b in batches for pair in zip(b["user"].tolist(), b["item"].tolist(), strict=True)]
        for batches in epochs
    ]
    assert pairs[0] != pairs[1]
    assert (
        sorted(pairs[0])
        == sorted(pairs[1])
        == sorted(zip(train.users.tolist(), train.items.tolist(), strict=True))
    )


def test_negatives_are_drawn_anew_in_each_epoch_and_are_never_positives(world):
    one = model(rt, loss="logistic", epochs=1, negatives=2, batch_size=100_000).fit(world, progress=False)
    train, rng = one._train, np.random.default_rng(0)
    feed = one._feed(train, one._examples(train, rng), rng)
    met = set(zip(train.users.tolist(), train.items.tolist(), strict=True))
    drawn = []
    for _epoch in range(2):
        batch = next(feed)
        pairs = list(zip(batch["user"].tolist(), batch["item"].tolist(), strict=True))
        positive = batch["target"] == 1
        assert positive.sum() == len(met) and (~positive).sum() == 2 * len(met)
        assert {pair for pair, yes in zip(pairs, positive, strict=True) if yes} == met
        drawn.append(sorted(pair for pair, yes in zip(pairs, positive, strict=True) if not yes))
        assert not met & set(drawn[-1])
    assert drawn[0] != drawn[1]


@WINGS
def test_history_has_an_entry_for_each_epoch(wing, world):
    train, validation = splits.random_split(world, 0.3, seed=0)
    one = model(wing, epochs=3).fit(train, validation, progress=False)
    assert [record["epoch"] for record in one.history_] == [1, 2, 3]
    assert set(one.history_[0]) == {"epoch", "loss", "validation_rmse"}
    # The measure after the last epoch is that of the model as it is.
    known = validation.take(
        np.isin(validation.items, train.item_ids) & np.isin(validation.users, train.user_ids)
    )
    error = evaluate(one, known, ["rmse"], clip=None)["rmse"]
    assert one.history_[-1]["validation_rmse"] == pytest.approx(error, rel=1e-5)


@WINGS
def test_patience_stops_and_restores_the_best_epoch(wing, world):
    train, validation = splits.random_split(world, 0.3, seed=0)
    settings = {"epochs": 60, "learning_rate": 0.05, "reg": 0.0}
    patient = model(wing, patience=4, **settings).fit(train, validation, progress=False)
    errors = [record["validation_rmse"] for record in patient.history_]
    best = int(np.argmin(errors)) + 1
    assert len(errors) == best + 4 < 60
    stopped = model(wing, **{**settings, "epochs": best}).fit(train, progress=False)
    for name, values in stopped.get_parameters().items():
        np.testing.assert_array_equal(patient.get_parameters()[name], values)
    endless = model(wing, **{**settings, "epochs": len(errors)}).fit(train, progress=False)
    assert np.abs(endless.score_matrix() - patient.score_matrix()).max() > 1e-2


def test_patience_needs_validation_data(world):
    refuses(
        lambda: model(rt, patience=2).fit(world, progress=False),
        ValueError,
        ("`patience`", "fit(train, validation)"),
    )


@WINGS
def test_a_fit_that_diverges_leaves_the_model_as_it_was(wing, world):
    one = model(wing, epochs=2).fit(world, progress=False)
    before = one.score_matrix()
    one.learning_rate, one.optimizer, one.epochs = 1e8, "sgd", 40
    with pytest.raises(
        DivergedError, match=r"in epoch \d+; lower `learning_rate` \(it is 100000000.0\), or raise `reg`"
    ):
        one.fit(world, progress=False)
    np.testing.assert_array_equal(one.score_matrix(), before)


@pytest.mark.backends
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_trains_both_wings_alike(optimizer, world):
    rate = {"sgd": 0.5, "momentum": 0.1, "adagrad": 0.05}.get(optimizer, 0.01)
    curves = []
    for wing in (rt, rk):
        one = model(wing, epochs=4, optimizer=optimizer, learning_rate=rate).fit(world, progress=False)
        curves.append([record["loss"] for record in one.history_])
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)
    assert curves[0][-1] < curves[0][0]


@pytest.mark.parametrize(
    "parameter, value",
    [
        ("epochs", 0), ("learning_rate", 0), ("reg", -1), ("batch_size", 0), ("optimizer", "lion"),
        ("patience", 0), ("seed", -1),
    ],
    ids=str,
)  # fmt: skip
def test_bad_settings_are_refused(parameter, value, world):
    refuses(
        lambda: model(rt, **{parameter: value}).fit(world, progress=False),
        ValueError,
        (f"`{parameter}` is {value!r}",),
    )

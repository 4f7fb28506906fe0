"""SASRec and BERT4Rec: formulas by hand, formula = torch = keras, what may be looked at, planted paths, sizes.

The paths are those of `datasets.make_paths`, whose best possible hit rate is known.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, splits
from recbook.checks import transformers as checks
from recbook.errors import DivergedError, NotFittedError, UnknownIdError
from recbook.evaluation import evaluate
from recbook.formulas import transformers as tr
from recbook.interactions import Interactions
from recbook.numpy.introduction import Popularity
from recbook.shared._histories import shuffled
from recbook.tools import sizes, twins
from tests.helpers.bad_inputs import refuses
from tests.helpers.known_mistakes import each_gives_its_own_hint
from tests.helpers.small_data import data_for
from tests.helpers.small_tables import learnt, numerical_gradient

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
NAMES = pytest.mark.parametrize("name", ["SASRec", "BERT4Rec"])
ROOT = Path(__file__).resolve().parents[2]
SMALL = {
    "factors": 4, "heads": 2, "inner": 5, "epochs": 2, "batch_size": 64, "max_length": 7, "learning_rate": 0.01,
    "init_scale": 0.5,
}  # fmt: skip
# What learns a path's plan in seconds.
PLAN = {"factors": 32, "inner": 32, "batch_size": 64, "max_length": 12, "dropout": 0.1, "init_scale": 0.02}
PLANS = {
    "SASRec": PLAN | {"heads": 1, "epochs": 12, "learning_rate": 0.01},
    "BERT4Rec": PLAN | {"epochs": 25, "learning_rate": 0.005, "last_only": 0.5},
}


def fitted(wing, name: str, data, validation=None, **parameters):
    return getattr(wing, name)(device="cpu", **(SMALL | parameters)).fit(data, validation, progress=False)


@pytest.fixture(scope="module")
def paths():
    """25 short paths: two widths of batches, some longer than what is read."""
    return datasets.make_paths(n_users=25, n_items=9, shortest=3, longest=12, seed=1)


@pytest.fixture(scope="module")
def short():
    """Paths so short that nobody has met everything."""
    return datasets.make_paths(n_users=20, n_items=12, shortest=3, longest=8, seed=2).data


@pytest.fixture(scope="module")
def plan():
    """Six hundred paths; the last step of each is held back."""
    world = datasets.make_paths(n_users=600, n_items=12, seed=0)
    return world, splits.leave_last_out(world.data)[0]


def histories_of(model) -> list[list[int]]:
    """The codes of what each user met, oldest first."""
    lists = model._train.by_user
    return [
        model._train.items[lists.rows[lists.starts[u] : lists.starts[u + 1]]].tolist()
        for u in range(len(model.user_ids_))
    ]


def by_formula(model, history: list[int]) -> np.ndarray:
    p = learnt(model)
    if type(model).__name__ == "SASRec":
        return tr.sasrec_scores(history[-model.max_length :], p, model.heads)
    return tr.bert4rec_scores(history[-(model.max_length - 1) :], p, model.heads)


def hit_rate(model, world) -> float:
    """What the world expects of one guess for each path: no draw of the last step is in it."""
    guess = model.recommend(k=1, exclude_seen=False)
    user = pd.Index(world.user_ids).get_indexer(guess.user)
    assert len(set(user)) == len(world.user_ids)
    return world.chances[user, pd.Index(world.item_ids).get_indexer(guess.item)].mean()


# ---------------------------------------------------------------- formulas


def test_attention_by_hand():
    """Two keys at right angles, one query along the first: the logits are √2·ln 3 / √2 and 0, the shares 3 : 1."""
    Q, K = np.array([[np.sqrt(2) * np.log(3), 0.0]]), np.eye(2)
    np.testing.assert_allclose(tr.attention_weights(Q, K), [[0.75, 0.25]])
    V = np.array([[4.0, 0.0], [0.0, 8.0]])
    np.testing.assert_allclose(tr.attention(Q, K, V), [[3.0, 2.0]])
    np.testing.assert_allclose(tr.attention_weights(Q, K, np.array([[False, True]])), [[0, 1]])
    # Where nothing may be looked at nothing comes out, and no NaN.
    np.testing.assert_array_equal(tr.attention(Q, K, V, np.zeros((1, 2), bool)), [[0, 0]])
    np.testing.assert_array_equal(tr.causal(3), [[1, 0, 0], [1, 1, 0], [1, 1, 1]])


def test_heads_by_hand():
    """Two heads of one column each attend on their own; wo mixes them."""
    x = np.array([[1.0, 0.0], [0.0, 2.0]])
    identity = np.eye(2)
    found = tr.multi_head(x, identity, identity, identity, np.array([[0.0, 1.0], [1.0, 0.0]]), heads=2)
    one = tr.attention(x[:, :1], x[:, :1], x[:, :1])
    other = tr.attention(x[:, 1:], x[:, 1:], x[:, 1:])
    np.testing.assert_allclose(found, np.hstack([other, one]))
    assert not np.allclose(found, tr.multi_head(x, identity, identity, identity, identity[::-1], heads=1))


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_attention_is_a_mean_whatever_comes(seed, n, d):
    rng = np.random.default_rng(seed)
    Q, K, V = rng.normal(size=(3, n, d)) * rng.choice([0.1, 1, 100], (3, 1, 1))
    allowed = rng.random((n, n)) < 0.6
    weights = tr.attention_weights(Q, K, allowed)
    assert (weights >= 0).all() and (weights[~allowed] == 0).all()
    np.testing.assert_allclose(weights.sum(1), allowed.any(1))
    found = tr.attention(Q, K, V, allowed)
    for t in np.flatnonzero(allowed.any(1)):
        seen = V[allowed[t]]
        assert (found[t] <= seen.max(0) + 1e-9).all() and (found[t] >= seen.min(0) - 1e-9).all()
    # Order is nothing to it: keys and values in another order, the same mean.
    order = rng.permutation(n)
    np.testing.assert_allclose(tr.attention(Q, K[order], V[order], allowed[:, order]), found, atol=1e-9)


@given(st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_formulas_equal_pytorchs_own(seed):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(5, 6)), rng.normal(size=(4, 6, 6))
    ours = tr.multi_head(x, *w, heads=3, allowed=tr.causal(5))
    other = torch.nn.MultiheadAttention(6, 3, bias=False, dtype=torch.float64)
    with torch.no_grad():
        other.in_proj_weight.copy_(torch.tensor(np.vstack([one.T for one in w[:3]])))
        other.out_proj.weight.copy_(torch.tensor(w[3].T))
        theirs, _ = other(*[torch.tensor(x)] * 3, attn_mask=torch.tensor(~tr.causal(5)))
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    gain, bias = rng.normal(size=(2, 6))
    theirs = torch.nn.functional.layer_norm(
        torch.tensor(x), (6,), torch.tensor(gain), torch.tensor(bias), 1e-8
    )
    np.testing.assert_allclose(tr.layer_norm(x, gain, bias), theirs, atol=1e-12)
    np.testing.assert_allclose(tr.gelu(x), torch.nn.functional.gelu(torch.tensor(x)), atol=1e-12)


def test_losses_by_hand():
    assert tr.sasrec_binary([0.0, 0.0], [0.0, 0.0]) == pytest.approx(2 * np.log(2))
    assert tr.sasrec_binary([np.log(3)], [-np.log(3)]) == pytest.approx(2 * np.log(4 / 3))
    scores = np.log([[2.0, 1, 1], [1, 1, 6]])
    assert tr.sasrec_softmax(scores, [0, 2]) == pytest.approx((np.log(2) + np.log(8 / 6)) / 2)


# ---------------------------------------------------------------- both wings do what the formulas say


@pytest.mark.backends
@WINGS
@NAMES
def test_scores_equal_the_formula(wing, name, paths):
    """Histories shorter and longer than what is read, in two widths; two heads, two blocks."""
    model = fitted(wing, name, paths.data)
    expected = [by_formula(model, history) for history in histories_of(model)]
    np.testing.assert_allclose(model.score_matrix(), expected, atol=2e-6 * np.abs(expected).max() + 2e-6)


def one_step(wing, name: str, data, **parameters) -> tuple[dict, dict, float]:
    """Parameters before and after one step of gradient descent over everybody with learning rate 1, and the loss."""
    parameters = {"epochs": 1, "optimizer": "sgd"} | parameters
    before = fitted(rt, name, data, **parameters | {"learning_rate": 1e-30})
    after = fitted(wing, name, data, **parameters | {"learning_rate": 1.0})
    return learnt(before), learnt(after), after.history_[0]["loss"]


def first_batches(model) -> list[dict[str, np.ndarray]]:
    """The batches of the model's first epoch: the same seed, the same draws."""
    rng = np.random.default_rng(model.seed)
    model._epoch, model._sampler = 0, None
    model._start(model._train, rng)
    made = list(model._batches(model._train, model._examples(model._train, rng), rng))
    del model._epoch, model._sampler
    return made


@pytest.fixture(scope="module")
def few() -> Interactions:
    """Four paths of five or six steps: one batch is an epoch."""
    return datasets.make_paths(n_users=4, n_items=9, shortest=5, longest=6, seed=3).data.interactions


def loss_of_row(name: str, batch: dict, row: int, loss: str | None, p: dict) -> tuple[float, int]:
    """The sum of one history's losses by the formula, and of how many."""
    n = batch["length"][row]
    items = batch["items"][row, :n]
    if name == "BERT4Rec":
        real = batch["mask"][row] > 0
        whole, hidden = items.copy(), items > len(p["item_factors"])
        whole[batch["hidden"][row][real]] = batch["wanted"][row][real]
        return tr.cloze(whole.tolist(), hidden, p, 2).sum(), hidden.sum()
    scores = tr.sasrec_states(items.tolist(), p, 2) @ p["item_factors"].T
    wanted, step = batch["next_items"][row, :n], np.arange(n)
    if loss == "binary":
        drawn = batch["negatives"][row, :n, 0]
        return n * tr.sasrec_binary(scores[step, wanted], scores[step, drawn]), n
    return n * tr.sasrec_softmax(scores, wanted), n


@pytest.mark.backends
@WINGS
@pytest.mark.parametrize(
    "name, parameters",
    [("SASRec", {"loss": "softmax"}), ("SASRec", {"loss": "binary"}), ("BERT4Rec", {"hidden_share": 0.4})],
    ids=["softmax", "binary", "cloze"],
)
def test_one_step_is_the_gradient_of_the_formula(wing, name, parameters, few):
    shape = {"max_length": 6, "dropout": 0.0, "blocks": 1}
    before, after, loss = one_step(wing, name, few, **parameters, **shape, reg=0.01)
    (batch,) = first_batches(fitted(rt, name, few, epochs=1, **parameters, **shape))

    def objective(**p):
        found = [
            loss_of_row(name, batch, row, parameters.get("loss"), p) for row in range(len(batch["length"]))
        ]
        total, number = np.sum(found, axis=0)
        return total / number + 0.01 * sum(np.square(v).sum() for k, v in p.items() if is_penalised(k))

    assert loss == pytest.approx(objective(**before), rel=1e-5)
    for parameter in before:
        gradient = numerical_gradient(objective, before, parameter)
        moved = before[parameter] - after[parameter]
        np.testing.assert_allclose(moved, gradient, rtol=1e-4, atol=2e-5, err_msg=parameter)


def is_penalised(name: str) -> bool:
    """Kernels and vectors; gains and biases are not."""
    return not name.endswith(("_gain", "_bias"))


# ---------------------------------------------------------------- the twins


@pytest.mark.backends
@pytest.mark.parametrize(
    "name, settings",
    [
        ("SASRec", {}),
        ("SASRec", {"loss": "binary", "heads": 1, "blocks": 1}),
        ("BERT4Rec", {"last_only": 0.5}),
    ],
    ids=["softmax", "binary", "cloze"],
)
def test_learning_curves_of_the_twins_lie_on_each_other(name, settings, short):
    """Equal starts, batches, dropout and hidden items, within 1e-4 (relative) over ten epochs: ReLU has a kink."""
    curves, found = [], []
    for wing in (rt, rk):
        model = fitted(wing, name, short, epochs=10, batch_size=8, dropout=0.3, **settings)
        curves.append([record["loss"] for record in model.history_])
        found.append(model.score_matrix())
    assert np.ptp(curves[0]) > 1e-2
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-4)
    np.testing.assert_allclose(found[0], found[1], atol=1e-3 * np.abs(found[0]).max())


@NAMES
def test_the_same_seed_gives_the_same_bits(name, paths):
    one, again, other = (fitted(rt, name, paths.data, epochs=1, seed=s).score_matrix() for s in (4, 4, 5))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-4


# ---------------------------------------------------------------- what may be looked at


@pytest.fixture(scope="module")
def both(paths):
    """The two models of each wing, trained a little."""
    return {
        (wing, name): fitted(wing, name, paths.data) for wing in (rt, rk) for name in ("SASRec", "BERT4Rec")
    }


def states_at(wing, model, items: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The network's states at all places of some rows."""
    rows = items.astype(np.int32), length.astype(np.int32)
    if wing is rt:
        with torch.no_grad():
            return model.network(*map(torch.from_numpy, rows)).numpy()
    return np.asarray(model._to_numpy(model.network(*map(model._to_tensor, rows))))


@WINGS
@given(seed=st.integers(0, 10**6), cut=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_the_future_never_changes_the_past(wing, both, seed, cut):
    """SASRec: other items after a step, the same states up to it, to the bit. BERT4Rec sees them."""
    rng = np.random.default_rng(seed)
    items = rng.integers(0, 9, (1, 7))
    other = items.copy()
    other[0, cut:] = (items[0, cut:] + rng.integers(1, 9, 7 - cut)) % 9
    length = np.array([7])
    for name in ("SASRec", "BERT4Rec"):
        one, two = (states_at(wing, both[wing, name], rows, length)[0] for rows in (items, other))
        same = np.abs(one[:cut] - two[:cut]).max()
        assert same == 0 if name == "SASRec" else same > 1e-7


@WINGS
@NAMES
@given(seed=st.integers(0, 10**6), n=st.integers(1, 6))
@settings(max_examples=15, deadline=None)
def test_what_fills_up_never_changes_the_result(wing, name, both, seed, n):
    """The same history in a rectangle as wide as it, or wider, alone, or beside a longer one.

    To 1e-5, as all that is float32: sums of other widths round otherwise, and normalising divides by what is small. A
    place that is looked at and should not be moves a state by a hundred times that and more, as the next test shows.
    """
    items = np.random.default_rng(seed).integers(0, 9, (1, n))
    wide = np.full((2, 7), 9)
    wide[0, :n], wide[1] = items, np.random.default_rng(seed + 1).integers(0, 9, 7)
    model = both[wing, name]
    tight = states_at(wing, model, items, np.array([n]))[0]
    np.testing.assert_allclose(states_at(wing, model, wide, np.array([n, 7]))[0, :n], tight, atol=1e-5)


@WINGS
@NAMES
def test_a_place_that_counts_as_filled_changes_the_result(wing, name, both):
    """What the test above would find: here the place after a history counts as a part of it."""
    model = both[wing, name]
    wide = np.full((2, 7), 9)
    wide[0, :3], wide[1] = [1, 2, 3], np.arange(7)
    right, wrong = (states_at(wing, model, wide, np.array([n, 7]))[0, 2] for n in (3, 4))
    assert np.abs(right - wrong).max() > 1e-3


@WINGS
@NAMES
def test_only_the_last_items_of_a_long_history_are_read(wing, name, both):
    model = both[wing, name]
    items = model.item_ids_
    long = items[np.random.default_rng(0).integers(0, 9, 40)].tolist()
    kept = model.max_length - (name == "BERT4Rec")  # the mask takes a place
    found = model.score_matrix(histories={"long": long, "end": long[-kept:], "shorter": long[1 - kept :]})
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)
    assert np.abs(found[1] - found[2]).max() > 1e-4


@WINGS
@NAMES
def test_people_never_seen_get_what_their_history_says(wing, name, both, paths):
    model = both[wing, name]
    codes = histories_of(model)[3]
    ids = model.item_ids_[codes].tolist()
    stranger = model.score_matrix(histories={"new": ids})
    np.testing.assert_allclose(stranger, model.score_matrix(model.user_ids_[[3]]), atol=2e-6)
    # Order counts, even of the same items; somebody without a history gets what is popular.
    assert np.abs(model.score_matrix(histories={"new": ids[::-1]}) - stranger).max() > 1e-4
    with pytest.warns(UserWarning, match="met nothing"):
        lists = model.recommend(histories={"a": ids[:2], "b": []}, k=3)
    assert lists.groupby("user", sort=False).size().to_dict() == {"a": 3, "b": 3}
    count = pd.Series(paths.data.interactions.items).value_counts()
    with pytest.warns(UserWarning, match="met nothing"):
        empty = pd.Series(model.score_matrix(histories={"b": []})[0], model.item_ids_)
    assert count[empty.idxmax()] == count.max()
    refuses(lambda: model.recommend(histories={"a": [-7]}), UnknownIdError, ("unknown item -7",))


# ---------------------------------------------------------------- batches


def test_a_cloze_hides_a_share_and_says_what_was_there(paths):
    model = fitted(rt, "BERT4Rec", paths.data, max_length=12, epochs=1, hidden_share=0.4, last_only=0.3)
    mask, filling = 10, 9
    histories, newest = histories_of(model), 0
    batches = [batch for _ in range(20) for batch in first_batches(model.clone(seed=_).fit(paths.data))]
    for batch in batches:
        for items, n, hidden, wanted, real in zip(
            *(batch[k] for k in ("items", "length", "hidden", "wanted", "mask")), strict=True
        ):
            places, what = hidden[real > 0], wanted[real > 0]
            assert sorted(places) == np.flatnonzero(items == mask).tolist() and len(set(places)) == len(
                places
            )
            alone = places.tolist() == [n - 1]
            newest += alone
            assert alone or len(places) == max(1, round(0.4 * n)), (n, places)
            whole = items[:n].copy()
            whole[places] = what
            assert whole.tolist() in histories and (items[n:] == filling).all()
    people = sum(len(batch["length"]) for batch in batches)
    assert newest / people == pytest.approx(0.3, abs=0.1)


def test_dropout_keeps_its_share_and_is_drawn_anew(paths):
    model = fitted(rt, "SASRec", paths.data, dropout=0.3, max_length=12, epochs=1)
    kept = [batch["kept"] for batch in first_batches(model)]
    assert all(one.shape[1] == 1 + 2 * model.blocks for one in kept)
    assert np.concatenate([one.ravel() for one in kept]).mean() == pytest.approx(0.7, abs=0.02)
    assert "kept" not in first_batches(fitted(rt, "SASRec", paths.data, dropout=0.0, epochs=1))[0]


# ---------------------------------------------------------------- planted worlds


@WINGS
@NAMES
def test_a_planted_path_is_found_again(wing, name, plan):
    """Within .01 of the best hit rate that can be had."""
    world, train = plan
    found = hit_rate(fitted(wing, name, train, **PLANS[name]), world)
    assert world.best_hit_rate - 0.01 <= found <= world.best_hit_rate + 1e-9


@NAMES
def test_without_the_order_nothing_is_left(name, plan):
    """The same items, each person's in an order drawn at random: a guess among twelve."""
    world, train = plan
    model = fitted(rt, name, shuffled(train), **PLANS[name] | {"epochs": 5})
    assert hit_rate(model, world) < 0.2


CHANGES = {
    "SASRec": {
        "factors": 6, "blocks": 1, "heads": 1, "inner": 9, "max_length": 4, "loss": "binary", "negatives": 2,
        "dropout": 0.5, "epochs": 3, "learning_rate": 0.05, "reg": 0.5, "batch_size": 7, "init_scale": 0.1,
        "optimizer": "adagrad", "seed": 1,
    },
    "BERT4Rec": {
        "factors": 6, "blocks": 1, "heads": 1, "inner": 9, "max_length": 4, "hidden_share": 0.6, "last_only": 0.9,
        "dropout": 0.5, "epochs": 3, "learning_rate": 0.05, "reg": 0.5, "batch_size": 7, "init_scale": 0.1,
        "optimizer": "adagrad", "seed": 1,
    },
}  # fmt: skip


@pytest.mark.parametrize("name, parameter", [(n, p) for n, changes in CHANGES.items() for p in changes])
def test_every_hyper_parameter_matters(name, parameter, short):
    assert set(CHANGES[name]) | {"device", "patience"} == set(getattr(rt, name)._parameter_names())
    base = {"loss": "binary"} if parameter == "negatives" else {}
    left = fitted(rt, name, short, **base).score_matrix()
    right = fitted(rt, name, short, **base | {parameter: CHANGES[name][parameter]}).score_matrix()
    assert np.abs(left - right).max() > 1e-4


@NAMES
def test_hyper_parameters_mean_the_same_in_both_wings(name, short):
    """All of them away from their defaults at once."""
    left, right = (fitted(wing, name, short, **CHANGES[name]).score_matrix() for wing in (rt, rk))
    np.testing.assert_allclose(left, right, atol=2e-5 * max(1, np.abs(left).max()))


def test_ties_go_to_the_item_that_came_first(short):
    model = fitted(rt, "SASRec", short)
    model.set_parameters({name: np.zeros_like(values) for name, values in model.get_parameters().items()})
    shown = model.recommend(model.user_ids_[:1], k=3, exclude_seen=False)
    assert shown.item.tolist() == model.item_ids_[:3].tolist()


@NAMES
def test_patience_watches_the_next_item(name, short):
    train, validation = splits.leave_last_out(short)
    model = fitted(rt, name, train, validation, epochs=12, patience=2, batch_size=8)
    errors = [record["validation_error"] for record in model.history_]
    assert all(0 <= e <= 1 for e in errors) and len(errors) <= 12


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "name, parameter, value",
    [
        ("SASRec", "heads", 3), ("SASRec", "heads", 0), ("SASRec", "blocks", 0), ("SASRec", "inner", 2.5),
        ("SASRec", "max_length", 0), ("SASRec", "loss", "bpr"), ("SASRec", "dropout", 1), ("SASRec", "dropout", -0.1),
        ("SASRec", "negatives", 0), ("BERT4Rec", "hidden_share", 0), ("BERT4Rec", "hidden_share", 1.5),
        ("BERT4Rec", "last_only", -1), ("BERT4Rec", "max_length", 1), ("BERT4Rec", "heads", 3),
    ],
    ids=str,
)  # fmt: skip
def test_bad_hyper_parameters_are_refused(name, parameter, value, short):
    for wing in (rt, rk):
        refuses(
            lambda wing=wing: fitted(wing, name, short, **{parameter: value}),
            ValueError,
            (f"`{parameter}`", str(value)),
        )


@WINGS
def test_a_learning_rate_that_diverges_names_epoch_and_remedy(wing, short):
    refuses(
        lambda: fitted(wing, "SASRec", short, optimizer="sgd", learning_rate=1e9, epochs=20, reg=1.0),
        DivergedError,
        ("SASRec", "epoch", "lower `learning_rate`"),
    )


# ---------------------------------------------------------------- sizes


def test_parameters_are_counted_in_models_and_networks_alike(both, short):
    for wing in (rt, rk):
        model = both[wing, "SASRec"]
        expected = (9 + 7) * 4 + 2 * (4 * 16 + 2 * 20 + 5 + 4 + 4 * 4) + 2 * 4
        assert sizes.count_parameters(model) == sizes.count_parameters(model.network) == expected
        bert = both[wing, "BERT4Rec"]
        assert (
            sizes.count_parameters(bert) == expected - 8 + 4 + 8 + 20 + 9
        )  # mask, norm, head, biases of items
    assert sizes.count_parameters(Popularity().fit(short)) == 12
    frozen = torch.nn.Linear(3, 2)
    frozen.bias.requires_grad_(False)
    assert sizes.count_parameters(frozen) == 6  # what is not learnt is not counted
    refuses(lambda: sizes.count_parameters(rt.SASRec()), NotFittedError, ("has learnt nothing",))
    refuses(lambda: sizes.count_parameters(7), TypeError, ("int has no parameters",))


@pytest.mark.parametrize("pair", twins.pairs(), ids=lambda pair: pair.name)
def test_sizes_are_known_before_a_fit(pair):
    model = pair.torch(**{"epochs": 1} if "epochs" in pair.torch._parameter_names() else {})
    data = data_for(pair.torch)
    if model._feature_names():
        refuses(lambda: sizes.expected_parameters(model, 3, 4), ValueError, ("depends on more of the data",))
        return
    fit = model.fit(data, progress=False)
    known = len(fit.user_ids_), len(fit.item_ids_)
    assert sizes.expected_parameters(model.clone(), *known) == sizes.count_parameters(fit)


def test_published_sizes_follow_from_the_published_shapes():
    """C36: vocabulary, positions, width and blocks as their makers publish them."""
    published = {one.name: one.parameters for one in sizes.PUBLISHED}
    count = tr.transformer_parameters
    bert = {"segments": 2, "first_norm": True, "pooler": True}
    assert count(30522, 512, 768, 12, **bert) == 109_482_240
    assert count(30522, 512, 768, 12, **bert) == pytest.approx(published["BERT-base"], rel=0.01)
    assert count(30522, 512, 1024, 24, **bert) == pytest.approx(published["BERT-large"], rel=0.02)
    assert count(50257, 1024, 1600, 48, last_norm=True) == pytest.approx(published["GPT-2"], rel=0.04)
    assert count(50257, 2048, 12288, 96, last_norm=True) == pytest.approx(published["GPT-3"], rel=0.005)


@pytest.mark.slow
@pytest.mark.parametrize("name, call", [("ResNet-50", "ResNet50"), ("Inception-v3", "InceptionV3")])
def test_networks_that_recognise_images_are_as_large_as_published(name, call):
    """C36: both fall below 10⁸."""
    import keras

    counted = sizes.count_parameters(getattr(keras.applications, call)(weights=None))
    published = {one.name: one.parameters for one in sizes.PUBLISHED}
    assert counted == pytest.approx(published[name], rel=0.005) and counted < sizes.LARGE


# ---------------------------------------------------------------- MovieLens


@pytest.mark.slow
def test_cross_entropy_beats_popularity_by_far_on_movielens():
    """A31: the last item of each left out, all films ranked, those met left out."""
    train, test = splits.leave_last_out(datasets.fetch_movielens("100k"))
    model = rt.SASRec(factors=32, epochs=12, device="cpu").fit(train, progress=False)
    ours, popular = (evaluate(one, test, ["ndcg@10"])["ndcg@10"] for one in (model, Popularity().fit(train)))
    assert ours > popular + 0.03


# ---------------------------------------------------------------- the chapter's exercises


@pytest.mark.parametrize(
    "exercise", [checks.attention, checks.causal_weights, checks.size], ids=lambda e: e.__name__
)
def test_each_mistake_in_an_exercise_gets_its_own_hint(exercise, monkeypatch, capsys):
    each_gives_its_own_hint(checks, exercise, monkeypatch, capsys)

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
from recbook import datasets, sizes, splits
from recbook.baselines import Popularity
from recbook.checks import transformers as checks
from recbook.errors import DivergedError, NotFittedError, UnknownIdError
from recbook.evaluation import evaluate
from recbook.formulas import transformers as tr
from recbook.interactions import Interactions
from recbook.next_items import shuffled
from tests.bad_inputs import refuses
from tests.known_mistakes import each_gives_its_own_hint
from tests.small_tables import learnt, numerical_gradient

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
NAMES = pytest.mark.parametrize("name", ["SASRec", "BERT4Rec"])
ROOT = Path(__file__).resolve().parent.parent
SMALL = {
    "factors": 4, "heads": 2, "inner": 5, "epochs": 2, "batch_size": 64, "max_length": 7, "learning_rate": 0.01,
    "init_scale": 0.5,
}  # fmt: skip
# What learns a path's plan in seconds.
PLAN = {"factors": 32, "inner": 32, "batch_size": 64, "max_length": 12, "dropout": 0.1}
PLANS = {
    "SASRec": PLAN | {"epochs": 10, "learning_rate": 0.01},
    "BERT4Rec": PLAN | {"epochs": 25, "learning_rate": 0.005, "inner": 64},
}


def fitted(wing, name: str, data, validation=None, **parameters):
    return getattr(wing, name)(device="cpu", **(SMALL | parameters)).fit(data, validation, progress=False)


@pytest.fixture(scope="module")
def paths():
    """25 short paths: two widths of batches, some longer than what is read."""
    return datasets.make_paths(n_users=25, n_items=9, shortest=3, longest=12, seed=1)


@pytest.fixture(scope="module")
def plan():
    """A thousand paths; the last step of each is held back."""
    world = datasets.make_paths(n_users=1000, n_items=20, seed=0)
    return world, splits.leave_last_out(world.data)[0]


def histories_of(model) -> list[list[int]]:
    """The codes of what each user met, oldest first."""
    lists = model._seen
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
    theirs = torch.nn.functional.layer_norm(torch.tensor(x), (6,), torch.tensor(gain), torch.tensor(bias), 1e-8)
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
        found = [loss_of_row(name, batch, row, parameters.get("loss"), p) for row in range(len(batch["length"]))]
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

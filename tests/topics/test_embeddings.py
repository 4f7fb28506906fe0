"""Embeddings and the additive trap: formula = torch = keras, the documents' networks, two groups of taste."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, splits
from recbook.checks import embeddings as checks
from recbook.evaluation import evaluate
from recbook.formulas import embeddings as em
from recbook.interactions import Interactions
from recbook.numpy.introduction import BiasOnly, GlobalMean
from tests.helpers.bad_inputs import refuses
from tests.helpers.known_mistakes import each_gives_its_own_hint
from tests.helpers.small_tables import interactions, learnt, numerical_gradient, table, table_of

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])


def fitted(wing, data, **parameters):
    return wing.EmbeddingMLP(device="cpu", **parameters).fit(data, progress=False)


def by_hand(a: dict[str, np.ndarray], u: int, i: int) -> float:
    """The formula's score from parameters under their canonical names."""
    depth = sum(name.startswith("kernel_") for name in a)
    layers = ([a[f"{part}_{n}"] for n in range(1, depth + 1)] for part in ("kernel", "bias"))
    return em.mlp(a["user_embedding"][u], a["item_embedding"][i], *layers, a["mlp_head"], float(a["bias"]))


def groups(n_groups: int = 2, seed: int = 0, **settings):
    """Two groups of users, two of items: the test that a recommender must pass to be called personal."""
    world = datasets.make_taste_groups(
        n_users=40, n_items=30, n_groups=n_groups, density=0.3, seed=seed, **settings
    )
    return world, world.data


def as_likes(world) -> Interactions:
    """1 where the groups agree, else 0, of the pairs that are seen."""
    df = world.data.interactions.to_frame()
    u, i = (
        pd.Index(ids).get_indexer(df[side])
        for side, ids in (("user", world.user_ids), ("item", world.item_ids))
    )
    return Interactions.from_frame(df.assign(rating=world.likes[u, i].astype(float)))


def personal(model, world) -> float:
    """The share of users' first five unseen items that are of their own group; 1/2 is chance for two groups."""
    top = model.recommend(k=5)
    u, i = pd.Index(world.user_ids).get_indexer(top.user), pd.Index(world.item_ids).get_indexer(top.item)
    return float(world.likes[u, i].mean())


# ---------------------------------------------------------------- formulas


def test_predictions_by_hand():
    p, q = np.array([1.0, 2.0]), np.array([-1.0])
    assert em.linear(p, q, np.array([0.5, 0.25, 2.0]), 0.1) == pytest.approx(0.5 + 0.5 - 2 + 0.1)
    W, b = np.array([[1.0, -1.0], [0.0, 1.0], [2.0, 0.0]]), np.array([0.0, 0.5])
    # [1, 2, -1] W = [-1, 1], + b = [-1, 1.5], relu = [0, 1.5]
    assert em.mlp(p, q, [W], [b], np.array([7.0, 2.0]), -1.0) == pytest.approx(2.0)
    assert em.mlp(p, q, [], [], np.array([0.5, 0.25, 2.0]), 0.1) == em.linear(
        p, q, np.array([0.5, 0.25, 2.0]), 0.1
    )
    np.testing.assert_array_equal(em.lookup(np.arange(6.0).reshape(3, 2), 1), [2, 3])
    np.testing.assert_allclose(em.sigmoid_head(np.array([0.0, 50.0]), 1, 5), [3, 5])


def test_an_embedding_is_a_linear_layer_without_bias_on_one_hot_ids():
    table_, codes = np.random.default_rng(0).normal(size=(5, 3)), [4, 0, 4]
    found = nn.functional.embedding(torch.tensor(codes), torch.from_numpy(table_)).numpy()
    np.testing.assert_array_equal(found, [em.lookup(table_, code) for code in codes])


def test_two_linear_layers_are_one():
    """F39: nothing between two layers, and they are one."""
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=3), rng.normal(size=4)
    A, a, w, c = rng.normal(size=(7, 5)), rng.normal(size=5), rng.normal(size=5), 0.3
    assert em.two_linear(p, q, A, a, w, c) == pytest.approx(em.linear(p, q, *em.as_one_layer(A, a, w, c)))


def test_what_is_additive_has_no_interaction_and_one_ranking():
    """F39, F40, C46: s = a(u) + b(i) + c ranks alike for everybody."""
    rng = np.random.default_rng(1)
    P, Q, w = rng.normal(size=(6, 3)), rng.normal(size=(8, 3)), rng.normal(size=6)
    scores = np.array([[em.linear(p, q, w, 0.2) for q in Q] for p in P])
    assert np.abs(em.interaction(scores)).max() < 1e-12 and em.n_rankings(scores) == 1
    assert np.abs(em.interaction(P @ Q.T)).max() > 0.5 and em.n_rankings(P @ Q.T) > 3
    W = rng.normal(size=(6, 5))
    deep = np.array([[em.mlp(p, q, [W], [np.zeros(5)], rng.normal(size=5), 0.0) for q in Q] for p in P])
    assert np.abs(em.interaction(deep)).max() > 0.5


# ---------------------------------------------------------------- both wings do what the formulas say


@WINGS
@pytest.mark.parametrize("layers", [(), (4,), (5, 3)], ids=["none", "one", "two"])
def test_scores_equal_the_formula(wing, layers):
    x = interactions(table(9))
    model = fitted(wing, x, factors=3, layers=layers, epochs=3, init_scale=0.5)
    a = learnt(model)
    expected = [[by_hand(a, u, i) for i in range(x.n_items)] for u in range(x.n_users)]
    np.testing.assert_allclose(model.score_matrix(), expected, atol=3e-6)
    pairs = np.repeat(x.user_ids, x.n_items), np.tile(x.item_ids, x.n_users)
    np.testing.assert_allclose(model.predict(*pairs), np.ravel(expected), atol=3e-6)


@WINGS
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_one_step_is_the_gradient_of_the_formula(wing, loss):
    """F11, F47, A23, A24: every parameter, the embeddings among them, is moved by its gradient."""
    R = table(6)
    R = R if loss == "squared" else np.where(np.isnan(R), np.nan, R >= 3).astype(float)
    x = interactions(R)
    settings = {
        "factors": 3,
        "layers": (12, 3),
        "epochs": 1,
        "optimizer": "sgd",
        "batch_size": 10_000,
        "reg": 0.3,
    }
    settings |= {"reg_layers": 0.2, "init_scale": 0.8, "loss": loss, "negatives": 0}
    before = learnt(fitted(rt, x, **settings, learning_rate=1e-30))
    model = fitted(wing, x, **settings, learning_rate=1.0)
    after, y = learnt(model), table_of(x)
    cells = np.argwhere(~np.isnan(y))

    def objective(**a):
        total = 0.0
        for u, i in cells:
            z = by_hand(a, u, i)
            error = (y[u, i] - z) ** 2 if loss == "squared" else np.logaddexp(0, z) - y[u, i] * z
            vectors = np.square(a["user_embedding"][u]).sum() + np.square(a["item_embedding"][i]).sum()
            total += error + 0.3 * vectors
        held = sum(np.square(v).sum() for name, v in a.items() if name.startswith(("kernel", "mlp_head")))
        return total / len(cells) + 0.2 * held

    assert model.history_[0]["loss"] == pytest.approx(objective(**before), rel=1e-5)
    for name in before:
        expected = numerical_gradient(objective, before, name)
        np.testing.assert_allclose(before[name] - after[name], expected, rtol=1e-4, atol=1e-5, err_msg=name)
        assert np.abs(expected).max() > 1e-4, name


@pytest.mark.backends
def test_learning_curves_agree():
    """A ReLU network in float32 drifts; over a few epochs the two stay together."""
    world, data = groups()
    curves = []
    for wing in (rt, rk):
        model = fitted(wing, data, epochs=6, batch_size=64, learning_rate=0.01)
        curves.append([record["loss"] for record in model.history_])
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-4)
    assert curves[0][-1] < 0.8 * curves[0][0]


# ---------------------------------------------------------------- two groups of taste


@WINGS
def test_two_groups_of_taste_are_told_apart(wing):
    """C46: the mended model passes on ratings and on likes; without a hidden layer it cannot."""
    world, data = groups()
    settings = {"epochs": 60, "batch_size": 64, "learning_rate": 0.01, "factors": 8, "layers": (16,)}
    stars = fitted(wing, data, **settings)
    assert personal(stars, world) > 0.97
    likes = fitted(wing, as_likes(world), loss="logistic", negatives=0, **settings)
    assert personal(likes, world) > 0.97
    additive = fitted(wing, as_likes(world), loss="logistic", negatives=0, **(settings | {"layers": ()}))
    assert personal(additive, world) < 0.75
    scores = additive.score_matrix()
    assert np.abs(em.interaction(scores)).max() < 1e-4 and em.n_rankings(scores, 3) == 1


# ---------------------------------------------------------------- the documents' networks


class CollaborativeFilteringModel(nn.Module):
    """A21 as printed, but for the sizes, which it takes from names that are defined nowhere."""

    def __init__(self, num_users, num_items, user_embedding_size, item_embedding_size, hidden_size):
        super().__init__()
        self.user_embedding = nn.Embedding(num_users, user_embedding_size)
        self.item_embedding = nn.Embedding(num_items, item_embedding_size)
        self.fc = nn.Linear(user_embedding_size + item_embedding_size, hidden_size)
        self.out = nn.Linear(hidden_size, 1)

    def forward(self, user_id, item_id):
        return self.out(self.fc(torch.cat((self.user_embedding(user_id), self.item_embedding(item_id)), 1)))


class RecommenderModel(nn.Module):
    """A22 as printed."""

    def __init__(self, num_users, num_items, embedding_size):
        super().__init__()
        self.user_embedding = nn.Embedding(num_users, embedding_size)
        self.item_embedding = nn.Embedding(num_items, embedding_size)
        self.fc = nn.Linear(embedding_size * 2, 1)

    def forward(self, user_ids, item_ids):
        return self.fc(torch.cat((self.user_embedding(user_ids), self.item_embedding(item_ids)), 1))


def all_scores(model, n_users: int, n_items: int) -> np.ndarray:
    users, items = torch.arange(n_users).repeat_interleave(n_items), torch.arange(n_items).repeat(n_users)
    with torch.no_grad():
        return model(users, items).reshape(n_users, n_items).double().numpy()


def test_the_collaborative_model_does_not_run_as_printed():
    """A21, C47: ints, then scalars, then the joined vector for the two ids."""
    torch.manual_seed(0)
    model = CollaborativeFilteringModel(5, 6, 4, 4, 3)
    with pytest.raises(TypeError):
        model(2, 3)
    with pytest.raises(IndexError):
        model(torch.tensor(2), torch.tensor(3))
    u, i = torch.tensor([2]), torch.tensor([3])
    joined = torch.cat((model.user_embedding(u), model.item_embedding(i)), 1)
    with pytest.raises(TypeError, match="item_id"):
        model(joined)
    with pytest.warns(UserWarning, match="different to the input size"):
        nn.MSELoss()(model(u, i), torch.tensor([4.0]))


def test_the_recommender_model_does_not_run_as_printed():
    """A22, C48: a column against a row; and the loss takes logits, not probabilities."""
    torch.manual_seed(0)
    model, loss = RecommenderModel(40, 50, 4), nn.BCEWithLogitsLoss()
    users, items, y = torch.arange(32), torch.arange(32), torch.ones(32)
    with pytest.raises(ValueError, match="same as input size"):
        loss(model(users, items), y)
    z = model(users, items).squeeze(1)
    right = -torch.log(torch.sigmoid(z)).mean()
    assert loss(z, y).item() == pytest.approx(right.item(), rel=1e-5)
    assert abs(loss(torch.sigmoid(z), y).item() - right.item()) > 0.05


@pytest.mark.parametrize("kind", ["collaborative", "recommender"])
def test_the_documents_models_rank_alike_for_everybody(kind):
    """F39, F40, A21, A22, C45, C46: trained or not, on two groups that like opposite things."""
    torch.manual_seed(0)
    world, data = groups()
    x = as_likes(world)
    model = (
        CollaborativeFilteringModel(x.n_users, x.n_items, 8, 8, 16)
        if kind == "collaborative"
        else RecommenderModel(x.n_users, x.n_items, 8)
    )
    users, items = torch.tensor(x.user_codes), torch.tensor(x.item_codes)
    y = torch.tensor(x.ratings).float()
    optimizer, loss = torch.optim.Adam(model.parameters(), lr=0.02), nn.BCEWithLogitsLoss()
    for _step in range(300):
        optimizer.zero_grad()
        value = loss(model(users, items).squeeze(1), y)
        value.backward()
        optimizer.step()
    scores = all_scores(model, x.n_users, x.n_items)
    assert np.abs(em.interaction(scores)).max() < 1e-5 * np.abs(scores).max()
    assert em.n_rankings(scores, 3) == 1
    assert value.item() > 0.5  # a coin has .693; one hidden layer with ReLU comes to nearly 0


def test_positives_alone_make_everything_likely():
    """A22: without negatives nothing speaks against any pair."""
    world = datasets.make_taste_groups(n_users=50, n_items=50, n_groups=2, density=0.2, seed=0)
    liked = as_likes(world)
    liked = liked.take(liked.ratings == 1)
    model = fitted(
        rt, liked, loss="logistic", negatives=0, epochs=40, batch_size=64, reg=0.0, learning_rate=0.01
    )
    scores = model.score_matrix()
    assert (1 / (1 + np.exp(-scores)) > 0.99).all()


def test_the_sigmoid_head_cannot_say_stars():
    """F45, A25, P13: 1 to 5 are out of reach of a sigmoid; it says 1 to everything."""
    rng = np.random.default_rng(0)
    X = torch.from_numpy(rng.normal(size=(400, 12))).float()
    weights = rng.normal(size=12)
    stars = np.clip(np.round(3.5 + 0.35 * (X.numpy() @ weights)), 1, 5)
    y = torch.from_numpy(stars).float()[:, None]

    def train(head, epochs=60):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(12, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 1))
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7)
        for _epoch in range(epochs):
            for rows in torch.randperm(320).split(32):
                optimizer.zero_grad()
                nn.functional.mse_loss(head(net(X[rows])), y[rows]).backward()
                optimizer.step()
        with torch.no_grad():
            return head(net(X[320:]))

    printed, linear = train(torch.sigmoid), train(lambda z: z)
    scaled = train(lambda z: 1 + 4 * torch.sigmoid(z))
    held = y[320:]
    assert printed.min() > 0.98
    assert nn.functional.mse_loss(printed, held).item() == pytest.approx(
        torch.square(held - 1).mean().item(), rel=0.01
    )
    for right in (linear, scaled):
        assert nn.functional.mse_loss(right, held).item() < 0.6 * held.var().item()


def test_frozen_embeddings_cannot_learn_who_is_who():
    """F47, A23: embeddings looked up once, outside of the model, stay as they were drawn."""
    world, data = groups()
    x = data.interactions
    rng = np.random.default_rng(0)
    P, Q = (torch.from_numpy(rng.uniform(-0.05, 0.05, (n, 8))).float() for n in (x.n_users, x.n_items))
    users, items = torch.tensor(x.user_codes), torch.tensor(x.item_codes)
    inputs, y = torch.cat([P[users], Q[items]], 1), torch.tensor(x.ratings).float()
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    trainable = sum(p.numel() for p in net.parameters())
    assert trainable < 0.4 * (trainable + P.numel() + Q.numel())
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _epoch in range(60):
        for rows in torch.randperm(len(y)).split(64):
            optimizer.zero_grad()
            nn.functional.mse_loss(net(inputs[rows]).squeeze(1), y[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        pairs = torch.cat([P.repeat_interleave(x.n_items, 0), Q.repeat(x.n_users, 1)], 1)
        frozen = net(pairs).reshape(x.n_users, x.n_items).numpy()
    truth = world.scores[pd.Index(world.user_ids).get_indexer(x.user_ids)]
    truth = truth[:, pd.Index(world.item_ids).get_indexer(x.item_ids)]
    mended = fitted(rt, data, epochs=60, batch_size=64, learning_rate=0.01, factors=8, layers=(16,))
    assert np.sqrt(np.square(frozen - truth).mean()) > 3 * np.sqrt(
        np.square(mended.score_matrix() - truth).mean()
    )


def test_a_net_on_the_rows_of_a_product_has_one_number_per_user():
    """F11, A24: (m, 1) against (m, n) passes by broadcasting; and it takes exactly n columns."""
    rng = np.random.default_rng(0)
    P, Q = rng.normal(size=(5, 2)), rng.normal(size=(7, 2))
    layers = rng.normal(size=(7, 4)), rng.normal(size=4), rng.normal(size=4), 0.1
    found = em.one_number_per_user(P, Q, *layers)
    assert found.shape == (5,)
    R = rng.integers(1, 6, (5, 7)).astype(float)
    assert (R - found[:, None]).shape == R.shape  # nothing complains
    with pytest.raises(ValueError, match="mismatch"):
        em.one_number_per_user(P, rng.normal(size=(3, 2)), *layers)


def test_first_rows_of_an_ordered_file_are_no_sample():
    """A23: `validation_split` takes the last rows unshuffled: here people who are not in train at all."""
    df = datasets.make_taste_groups(seed=0).data.interactions.to_frame().sort_values("user")
    cut = int(0.8 * len(df))
    assert df.user[cut:].isin(df.user[:cut]).mean() < 0.1


# ---------------------------------------------------------------- settings, errors, real data


@pytest.mark.parametrize(
    "change",
    [
        {"factors": 4},
        {"layers": (8,)},
        {"epochs": 3},
        {"learning_rate": 0.02},
        {"reg": 0.5},
        {"reg_layers": 5.0},
        {"loss": "logistic"},
        {"batch_size": 32},
        {"optimizer": "sgd"},
        {"init_scale": 0.5},
        {"seed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_hyper_parameter_matters(change):
    x = interactions(table(2, 12, 9))
    usual = {"factors": 5, "layers": (6, 4), "epochs": 5, "batch_size": 16}
    one, other = fitted(rt, x, **usual), fitted(rt, x, **(usual | change))
    assert np.abs(one.score_matrix() - other.score_matrix()).max() > 1e-3


def test_negatives_matter():
    x = interactions(table(2, 12, 9))
    usual = {"loss": "logistic", "factors": 5, "epochs": 5, "batch_size": 16}
    one, other = fitted(rt, x, **usual, negatives=1), fitted(rt, x, **usual, negatives=5)
    assert one.score_matrix().mean() > other.score_matrix().mean() + 0.5


@WINGS
@pytest.mark.parametrize(
    "settings, words",
    [
        ({"layers": 64}, ("layers", "64", "widths")),
        ({"layers": (64, 0)}, ("layers", "0", "at least 1")),
        ({"layers": (2.5,)}, ("layers", "2.5", "whole")),
        ({"factors": 0}, ("factors", "0")),
        ({"loss": "hinge"}, ("loss", "hinge", "logistic")),
        ({"loss": "logistic", "negatives": 0}, ("EmbeddingMLP", "0 and 1", "negatives=4")),
    ],
    ids=["no list", "zero", "half", "factors", "loss", "stars"],
)
def test_bad_settings_are_refused(wing, settings, words):
    refuses(lambda: fitted(wing, interactions(table()), **settings), ValueError, words)


@WINGS
def test_a_stranger_gets_the_score_of_the_mean_vector(wing):
    x = interactions(table(3))
    model = fitted(wing, x, factors=3, layers=(4,), init_scale=0.5)
    a = learnt(model)
    a["user_embedding"] = np.vstack([a["user_embedding"], a["user_embedding"].mean(0)])
    found = model.predict(np.full(x.n_items, -7), x.item_ids, unknown="fallback")
    np.testing.assert_allclose(found, [by_hand(a, x.n_users, i) for i in range(x.n_items)], atol=3e-6)


def test_large_tables_are_scored_in_blocks(monkeypatch):

    x = interactions(table(4, 20, 15))
    model = fitted(rt, x, factors=3, layers=(4,))
    whole, pairs = model.score_matrix(), model.predict(x.users, x.items)
    monkeypatch.setattr("recbook.core.blocks.CELLS", 100)
    np.testing.assert_allclose(model.score_matrix(), whole, atol=1e-6)
    np.testing.assert_allclose(model.predict(x.users, x.items), pairs, atol=1e-6)


@WINGS
def test_embedding_mlp_on_movielens(wing):
    """Below the biases' error on the first fold: it is personal."""
    train, test = next(splits.k_fold(datasets.fetch_movielens("100k"), 5, seed=0))
    error = evaluate(fitted(wing, train), test, ["rmse"])["rmse"]
    biases = evaluate(BiasOnly().fit(train, progress=False), test, ["rmse"])["rmse"]
    mean = evaluate(GlobalMean().fit(train, progress=False), test, ["rmse"])["rmse"]
    assert error < biases - 0.005 and biases < mean


# ---------------------------------------------------------------- the chapter's checks


@pytest.mark.parametrize("name", ["interaction", "collapse", "network"])
def test_known_mistakes_get_their_hints(name, monkeypatch, capsys):
    each_gives_its_own_hint(checks, getattr(checks, name), monkeypatch, capsys)

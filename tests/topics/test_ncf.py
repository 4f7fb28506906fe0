"""GMF, MLP and NeuMF: formula = torch = keras, what negatives are for, the honest comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, results, splits
from recbook.checks import ncf as checks
from recbook.evaluation import evaluate
from recbook.formulas import ncf
from recbook.interactions import Interactions
from recbook.numpy.introduction import Popularity
from tests.helpers.bad_inputs import refuses
from tests.helpers.known_mistakes import each_gives_its_own_hint
from tests.helpers.small_tables import learnt, numerical_gradient, table_of

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
NAMES = pytest.mark.parametrize("name", ["GMF", "MLP", "NeuMF"])
SMALL = {
    "GMF": {"factors": 3},
    "MLP": {"factors": 3, "layers": (4, 3)},
    "NeuMF": {"factors": 3, "mlp_factors": 2, "layers": (4, 3)},
}


def fitted(wing, name: str, data, **parameters):
    return getattr(wing, name)(device="cpu", **(SMALL[name] | parameters)).fit(data, progress=False)


def likes(seed: int = 0, n_users: int = 9, n_items: int = 7) -> Interactions:
    """0 and 1 for two thirds of the pairs."""
    rng = np.random.default_rng(seed)
    seen = rng.random((n_users, n_items)) < 0.65
    rows = np.arange(n_users)
    seen[rows, rows % n_items], seen[rows, (rows + 1) % n_items] = False, True  # nobody has met everything
    u, i = np.nonzero(seen)
    rating = rng.integers(0, 2, len(u)).astype(float)
    return Interactions.from_frame(pd.DataFrame({"user": u + 100, "item": 50 - i, "rating": rating}))


def by_hand(name: str, a: dict[str, np.ndarray], u: int, i: int) -> tuple[float, float]:
    """The formula's score, and what the penalty counts of the pair."""
    depth = sum(key.startswith("kernel_") for key in a)
    layers = [[a[f"{part}_{n}"] for n in range(1, depth + 1)] for part in ("kernel", "bias")]
    score, size = float(a["bias"]), 0.0
    if name != "MLP":
        p, q, h = a["user_factors"][u], a["item_factors"][i], a["gmf_head"]
        score, size = ncf.gmf(p, q, h, score), ncf.weighed(h, p, q)
    if name != "GMF":
        p, q = a["user_embedding"][u], a["item_embedding"][i]
        score += ncf.mlp(p, q, *layers, a["mlp_head"], 0.0)
        size += p @ p + q @ q
    return score, size


# ---------------------------------------------------------------- formulas


def test_formulas_by_hand():
    p, q, h = np.array([1.0, 2.0]), np.array([3.0, -1.0]), np.array([0.5, 4.0])
    assert ncf.gmf(p, q, h, 0.25) == 0.25 + 1.5 - 8
    assert ncf.gmf(p, q, np.ones(2), 0.0) == p @ q
    one = [np.array([[1.0], [2.0]])], [np.array([-1.0])], np.array([3.0])
    # relu(1·2 + 2·1 - 1) = 3, times 3
    assert ncf.neumf(p, q, h, np.array([2.0]), np.array([1.0]), *one, 0.25) == 0.25 - 6.5 + 9
    assert ncf.log_likelihood([1, 0], [0.0, 0.0]) == pytest.approx(-2 * np.log(2))
    sizes = np.array([2.0, 4.0])
    assert ncf.objective(np.array([1, 0]), np.zeros(2), sizes, 0.1) == pytest.approx(np.log(2) + 0.3)


def test_the_penalty_cannot_be_evaded():
    """(ncf-penalty): h times c² and vectors over c is the same model, and costs the same; plain squares do not."""
    rng = np.random.default_rng(0)
    h, p, q = rng.normal(size=(3, 4))
    for c in (0.1, 3.0):
        other = h * c**2, p / c, q / c
        assert ncf.gmf(*other[1:], other[0], 0.0) == pytest.approx(ncf.gmf(p, q, h, 0.0))
        assert ncf.weighed(*other) == pytest.approx(ncf.weighed(h, p, q))
    assert (p / 3) @ (p / 3) < 0.2 * p @ p


def test_stars_are_no_targets_of_a_likelihood():
    """F09, C29: with y = 5 the printed loss has no lower end; the formula refuses such targets."""
    losses = ncf.as_printed(5.0, np.array([0.0, 5.0, 50.0]))
    np.testing.assert_allclose(losses, [np.log(2), np.log1p(np.exp(5)) - 25, -200], atol=1e-9)
    with pytest.raises(ValueError, match="Bernoulli"):
        ncf.log_likelihood([5.0], [0.0])


def test_the_best_constant_is_the_share_of_positives():
    """P10, F09: without negatives the likelihood has its greatest value at infinity, for every pair."""
    for positives, negatives in ((1, 4), (3, 2)):
        y = np.repeat([1.0, 0.0], [positives, negatives])
        best = ncf.best_constant(positives, negatives)
        near = [ncf.log_likelihood(y, np.full(len(y), best + d)) for d in (-0.01, 0.0, 0.01)]
        assert near[1] == max(near)
    assert ncf.best_constant(5, 0) == np.inf
    y = np.ones(5)
    assert ncf.log_likelihood(y, np.full(5, 20.0)) > ncf.log_likelihood(y, np.full(5, 10.0))


def test_the_best_logit_knows_how_negatives_were_drawn():
    """(ncf-optimum): the greatest expected likelihood, item by item."""
    chance, drawn, n = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5]), 4
    best = ncf.best_logit(chance, drawn, n)

    def expected(z):
        return (chance * -np.logaddexp(0, -z) + n * drawn * -np.logaddexp(0, z)).sum()

    for k in range(3):
        for d in (-1e-3, 1e-3):
            assert expected(best) > expected(best + d * np.eye(3)[k])


# ---------------------------------------------------------------- both wings do what the formulas say


@WINGS
@NAMES
def test_scores_equal_the_formula(wing, name):
    x = likes()
    model = fitted(wing, name, x, epochs=3, init_scale=0.5)
    a = learnt(model)
    expected = [[by_hand(name, a, u, i)[0] for i in range(x.n_items)] for u in range(x.n_users)]
    np.testing.assert_allclose(model.score_matrix(), expected, atol=5e-6)
    pairs = np.repeat(x.user_ids, x.n_items), np.tile(x.item_ids, x.n_users)
    np.testing.assert_allclose(model.predict(*pairs), np.ravel(expected), atol=5e-6)


@WINGS
@NAMES
def test_one_step_is_the_gradient_of_the_formula(wing, name):
    """F09 in its right form: (ncf-objective), on pairs that say 0 and 1."""
    x = likes(1)
    settings = {
        "epochs": 1,
        "optimizer": "sgd",
        "batch_size": 10_000,
        "reg": 0.3,
        "init_scale": 0.8,
        "negatives": 0,
    }
    settings |= {} if name == "GMF" else {"reg_layers": 0.2}
    before = learnt(fitted(rt, name, x, **settings, learning_rate=1e-30))
    model = fitted(wing, name, x, **settings, learning_rate=1.0)
    after, y = learnt(model), table_of(x)
    cells = np.argwhere(~np.isnan(y))

    def objective(**a):
        found = [by_hand(name, a, u, i) for u, i in cells]
        z, sizes = np.array(found).T
        layers = [values for key, values in a.items() if key.startswith(("kernel", "mlp_head"))]
        return ncf.objective(y[tuple(cells.T)], z, sizes, 0.3, layers, 0.2)

    assert model.history_[0]["loss"] == pytest.approx(objective(**before), rel=1e-5)
    for key in before:
        expected = numerical_gradient(objective, before, key)
        np.testing.assert_allclose(before[key] - after[key], expected, rtol=1e-4, atol=1e-5, err_msg=key)


@pytest.mark.backends
@NAMES
def test_learning_curves_agree(name):
    data = datasets.make_checkerboard().data
    curves = [
        [record["loss"] for record in fitted(wing, name, data, epochs=5, batch_size=128).history_]
        for wing in (rt, rk)
    ]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-4)
    assert curves[0][-1] < curves[0][0]


def test_gmf_begins_as_a_dot_product():
    """A18: GMF is matrix factorisation with a weight for each place."""
    model = fitted(rt, "GMF", likes(2), learning_rate=1e-30, epochs=1, init_scale=0.5)
    a = learnt(model)
    np.testing.assert_allclose(
        model.score_matrix(), a["bias"] + a["user_factors"] @ a["item_factors"].T, atol=1e-5
    )


def test_neumf_is_the_sum_of_its_branches():
    """A18, C09: no autoencoder, no RNN: a product and a tower."""
    x = likes(3)
    model = fitted(rt, "NeuMF", x, init_scale=0.5)
    a = model.get_parameters()
    linear, deep = fitted(rt, "GMF", x), fitted(rt, "MLP", x, factors=2)
    linear.set_parameters({name: a[name] for name in linear.get_parameters()})
    deep.set_parameters({name: a[name] for name in deep.get_parameters()})
    both = linear.score_matrix() + deep.score_matrix() - a["bias"]
    np.testing.assert_allclose(model.score_matrix(), both, atol=1e-5)


@WINGS
def test_a_persons_vector_makes_her_part_of_the_objective_smallest(wing):
    """Her positives, and all else as their negatives; also at places that h turns round or leaves out."""
    x = likes(3, 12, 9)
    model = fitted(wing, "GMF", x, factors=4, negatives=2, reg=0.05, epochs=2, init_scale=0.5)
    a = learnt(model)
    a["gmf_head"] = np.array([1.7, -0.6, 0.2, 0.0])
    model.set_parameters({name: values.astype(np.float32) for name, values in a.items()})
    met = [0, 3]
    history = {"new": x.item_ids[met].tolist()}
    z = model.score_matrix(["new"], histories=history)[0]
    p = np.append(np.linalg.lstsq(a["item_factors"][:, :3] * a["gmf_head"][:3], z - a["bias"])[0], 0.0)
    y = np.isin(np.arange(9), met).astype(float)
    weights = np.where(y == 1, 1.0, 2 * len(met) / (9 - len(met)))

    def hers(p):
        z = np.array([ncf.gmf(p, q, a["gmf_head"], a["bias"]) for q in a["item_factors"]])
        size = float(np.abs(a["gmf_head"]) @ p**2)
        return float(weights @ (np.logaddexp(0, z) - y * z + 0.05 * size))

    assert np.abs(numerical_gradient(hers, {"p": p}, "p")).max() < 1e-4


@WINGS
def test_gmf_folds_in_people_it_never_saw(wing):
    """People of even items are given even ones, from six that they met."""
    x = datasets.make_checkerboard().data.interactions
    model = fitted(wing, "GMF", x, factors=8, epochs=40, batch_size=32, learning_rate=0.01, reg=0.02)
    history = x.items[x.users == x.user_ids[3]][:6].tolist()
    found = model.recommend(histories={"new": history}, k=3)
    parity = pd.Series(x.items % 2).groupby(x.users).first()
    assert (found.item.to_numpy() % 2 == parity[x.user_ids[3]]).all()
    assert not set(found.item) & set(history)


# ---------------------------------------------------------------- negatives


@NAMES
def test_without_negatives_everything_is_liked(name):
    """P10, A22: positives alone: all pairs above .99, and no ranking worth the name."""
    world = datasets.make_taste_groups(n_users=50, n_items=40, n_groups=2, density=0.3, seed=0)
    df = world.data.interactions.to_frame()
    u, i = (
        pd.Index(ids).get_indexer(df[side])
        for side, ids in (("user", world.user_ids), ("item", world.item_ids))
    )
    liked = Interactions.from_frame(df[world.likes[u, i]].assign(rating=1.0))
    settings = {"factors": 8, "epochs": 30, "batch_size": 64, "learning_rate": 0.01}
    settings |= {} if name == "GMF" else {"layers": (16,)}

    def of_own_group(model) -> float:
        top = model.recommend(k=5)
        rows, columns = (
            pd.Index(world.user_ids).get_indexer(top.user),
            pd.Index(world.item_ids).get_indexer(top.item),
        )
        return float(world.likes[rows, columns].mean())

    alone = fitted(rt, name, liked, negatives=0, **settings)
    assert (1 / (1 + np.exp(-alone.score_matrix())) > 0.99).all()
    drawn = fitted(rt, name, liked, negatives=4, **settings)
    assert (1 / (1 + np.exp(-drawn.score_matrix())) < 0.9).mean() > 0.4
    assert of_own_group(drawn) > 0.9 and of_own_group(drawn) > of_own_group(alone) + 0.2


# ---------------------------------------------------------------- settings, errors


@pytest.mark.parametrize(
    "change",
    [
        {"factors": 4},
        {"mlp_factors": 4},
        {"layers": (8,)},
        {"epochs": 3},
        {"learning_rate": 0.02},
        {"reg": 0.5},
        {"reg_layers": 5.0},
        {"negatives": 1},
        {"batch_size": 32},
        {"optimizer": "sgd"},
        {"init_scale": 0.1},
        {"seed": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_each_hyper_parameter_matters(change):
    x = likes(4, 12, 9)
    usual = {"epochs": 5, "batch_size": 16, "negatives": 3, "init_scale": 0.5}
    one, other = fitted(rt, "NeuMF", x, **usual), fitted(rt, "NeuMF", x, **(usual | change))
    assert np.abs(one.score_matrix() - other.score_matrix()).max() > 1e-3


@WINGS
@pytest.mark.parametrize(
    "name, settings, words",
    [
        ("NeuMF", {"mlp_factors": 0}, ("mlp_factors", "0")),
        ("NeuMF", {"reg_layers": -1}, ("reg_layers", "-1")),
        ("NeuMF", {"layers": "64"}, ("layers", "64", "widths")),
        ("MLP", {"layers": (0,)}, ("layers", "0")),
        ("GMF", {"negatives": -1}, ("negatives", "-1")),
        ("GMF", {"init_scale": 0}, ("init_scale", "0")),
    ],
    ids=["mlp_factors", "reg_layers", "text", "width", "negatives", "init"],
)
def test_bad_settings_are_refused(wing, name, settings, words):
    refuses(lambda: fitted(wing, name, likes(), **settings), ValueError, words)


def test_stars_need_negatives_or_zero_and_one():
    x = likes()
    stars = Interactions.from_frame(x.to_frame().assign(rating=lambda df: df.rating * 4 + 1))
    refuses(lambda: fitted(rt, "NeuMF", stars, negatives=0), ValueError, ("NeuMF", "0 and 1", "negatives=4"))
    assert fitted(rt, "NeuMF", stars).score_matrix().shape == (x.n_users, x.n_items)


# ---------------------------------------------------------------- the protocol of the paper


def test_the_files_of_the_paper_go_from_reading_to_a_report(tmp_path):
    """Last item held out, 99 given candidates: read_ncf, fit, evaluate; HR@10 of chance is a tenth."""
    x = datasets.fetch_movielens("100k").interactions.to_frame()
    x = x[x.user <= 60].sort_values(["user", "timestamp"], kind="stable")
    last = x.groupby("user").tail(1)
    train = x.drop(last.index)
    rng, n_items = np.random.default_rng(0), 1682
    lines = []
    for user, item in zip(last.user, last.item, strict=True):
        free = np.setdiff1d(np.arange(1, n_items + 1), x.item[x.user == user])
        lines.append(f"({user},{item})\t" + "\t".join(map(str, rng.choice(free, 99, replace=False))))
    for part, rows in (("train", train), ("test", last)):
        rows.to_csv(tmp_path / f"small.{part}.rating", sep="\t", header=False, index=False)
    (tmp_path / "small.test.negative").write_text("\n".join(lines) + "\n")
    read, test, candidates = datasets.read_ncf(tmp_path / "small")
    assert all(len(ids) == 100 for ids in candidates.values())
    model = fitted(rt, "GMF", read, factors=8, epochs=5)
    found = evaluate(model, test, ["hit_rate@10", "ndcg@10"], candidates=candidates)
    popular = evaluate(Popularity().fit(read, progress=False), test, ["hit_rate@10"], candidates=candidates)
    assert (
        0.1 < found["hit_rate@10"] <= 1
        and found["ndcg@10"] < found["hit_rate@10"]
        and popular["hit_rate@10"] > 0.1
    )


@pytest.mark.parametrize("wing", [rt], ids=["torch"])
def test_neumf_on_movielens(wing):
    """Stratified 75/25 by item, nDCG@10 over all items: above popularity by far."""
    train, test = splits.stratified_split(datasets.fetch_movielens("100k"), by="item", test_size=0.25, seed=0)
    popular = evaluate(Popularity().fit(train, progress=False), test, ["ndcg@10"])["ndcg@10"]
    model = wing.NeuMF(device="cpu").fit(train, progress=False)
    found = evaluate(model, test, ["ndcg@10"])["ndcg@10"]
    assert found > popular + 0.08


# ---------------------------------------------------------------- the chapter's checks


@pytest.mark.parametrize("name", ["gmf", "likelihood", "optimum"])
def test_known_mistakes_get_their_hints(name, monkeypatch, capsys):
    each_gives_its_own_hint(checks, getattr(checks, name), monkeypatch, capsys)


def test_no_network_beats_the_tuned_dot_product():
    """C17: one split, one budget: no NeuMF and no MLP is better by .01 of nDCG@10 in any seed."""
    stored = results.load("ncf")["figures"]
    models = stored["models"]
    trials = {len(row["validation of all trials"]) for row in models.values()}
    assert len(trials) == 1
    networks = [name for name in models if name.startswith(("NeuMF", "MLP"))]
    assert len(networks) >= 3
    for name in networks:
        for row in stored["against the baseline"][name]:
            assert row["low"] < 0 and row["difference"] < 0.01, name
    popular = stored["popularity"]["ndcg@10"]
    assert all(row["test"][0]["ndcg@10"] > popular for row in models.values())

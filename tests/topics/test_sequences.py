"""Models of the next item: formulas by hand, formula = torch = keras, planted paths, order, time, bad input.

The paths are those of `datasets.make_paths`, whose best possible hit rate is known.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets, splits
from recbook.checks import sequences as checks
from recbook.core.ragged import Ragged
from recbook.errors import DivergedError, NotSupportedError, UnknownIdError
from recbook.evaluation import evaluate
from recbook.formulas import sequences as formulas
from recbook.interactions import Interactions
from recbook.numpy.introduction import Popularity
from recbook.numpy.sequences import CascadeModel, MarkovChain
from recbook.shared._histories import _most_unlike_first, in_time, last_rows, shuffled, widths
from recbook.worlds import NEXT_EVENT
from tests.helpers.bad_inputs import refuses
from tests.helpers.known_mistakes import each_gives_its_own_hint
from tests.helpers.small_tables import learnt

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
NAMES = pytest.mark.parametrize("name", ["GRU4Rec", "DecisionPath"])
# On jax every shape and cell is compiled: one of the cells stands for all there.
CELLS = pytest.mark.parametrize("cell", ["rnn", pytest.param("gru", marks=pytest.mark.backends), "lstm"])
# One batch of all, so that one step is one gradient; and what is quick on every backend.
SMALL = {"factors": 4, "epochs": 2, "batch_size": 64, "max_length": 7, "learning_rate": 0.01}
# What learns a path's plan in seconds.
PLAN = {"factors": 32, "epochs": 12, "batch_size": 64, "max_length": 12, "learning_rate": 0.01, "reg": 1e-4}


def fitted(wing, name: str, data, validation=None, **parameters):
    return getattr(wing, name)(device="cpu", **(SMALL | parameters)).fit(data, validation, progress=False)


def events(rows, **columns) -> Interactions:
    """rows : (user, item), one after another in time, unless there is a column timestamp"""
    df = pd.DataFrame(rows, columns=["user", "item"]).assign(**({"timestamp": range(len(rows))} | columns))
    return Interactions.from_frame(df, on_duplicate="keep")


@pytest.fixture(scope="module")
def paths():
    """25 short paths: two widths of batches."""
    return datasets.make_paths(n_users=25, n_items=9, shortest=3, longest=12, seed=1)


@pytest.fixture(scope="module")
def wide():
    """20 paths past 40 items: nobody meets all of them."""
    return datasets.make_paths(n_users=20, n_items=40, shortest=3, longest=12, seed=1)


def hit_rate(model, world, **asked) -> float:
    """What the world expects of one guess for each path: no draw of the last step is in it."""
    guess = model.recommend(k=1, exclude_seen=False, **asked)
    user = pd.Index(world.user_ids).get_indexer(guess.user)
    assert len(set(user)) == len(world.user_ids)
    return world.chances[user, pd.Index(world.item_ids).get_indexer(guess.item)].mean()


# ---------------------------------------------------------------- formulas


def test_cells_by_hand():
    """F37: one number for the step and the state; open and shut gates."""
    one = np.array([[1.0]])
    p = {"state_kernel": 2 * one, "state_recurrent": -one, "state_bias": np.array([0.5])}
    found = formulas.states("rnn", np.array([[1.0], [0.0]]), p)[:, 0]
    np.testing.assert_allclose(found, [np.tanh(2.5), np.tanh(0.5 - np.tanh(2.5))])
    kernels = {f"{g}_{k}": 0 * one for g in ("reset", "update", "candidate") for k in ("kernel", "recurrent")}
    p = kernels | {"candidate_kernel": one, "candidate_recurrent": one, "candidate_bias": np.zeros(1)}
    x, h, c = np.array([0.3]), np.array([0.7]), np.array([0.2])
    for r, z, expected in ((40, 40, 0.7), (-40, -40, np.tanh(0.3)), (40, -40, np.tanh(0.3 + 0.9))):
        gates = {"reset_bias": np.array([r]), "update_bias": np.array([z]), "candidate_recurrent_bias": c}
        assert formulas.gru_step(x, h, p | gates)[0] == pytest.approx(expected)
    gates = ("input", "forget", "candidate", "output")
    p = {f"{g}_{k}": 0 * one for g in gates for k in ("kernel", "recurrent")} | {"candidate_kernel": one}
    for i, f, c_new in ((40, 40, 0.2 + np.tanh(0.3)), (-40, 40, 0.2), (40, -40, np.tanh(0.3))):
        biases = dict(zip((f"{g}_bias" for g in gates), np.array([[i], [f], [0], [40]]), strict=True))
        h_new, memory = formulas.lstm_step(x, h, c, p | biases)
        assert memory[0] == pytest.approx(c_new) and h_new[0] == pytest.approx(np.tanh(c_new))


def test_losses_chain_and_cascade_by_hand():
    z = np.log(np.array([[2.0, 1.0, 1.0], [1.0, 1.0, 2.0]]))
    np.testing.assert_allclose(formulas.next_item_loss(z, np.array([0, 1])), np.log([2, 4]))
    found = formulas.pairwise_loss(z, np.array([0, 2]), np.array([[1, 2], [0, 0]]))
    np.testing.assert_allclose(found, [np.log(1.5), np.log(1.5)])
    # 0 → 1 twice, 1 → 0 once; 2 never came next and counts ½.
    found = formulas.markov_chances([[0, 1, 0, 1], [2]], 3, 1.0)
    share = np.array([1, 2, 0.5]) / 3.5
    np.testing.assert_allclose(
        found, [(np.array([0, 2, 0]) + share) / 3, (np.array([1, 0, 0]) + share) / 2, share]
    )
    np.testing.assert_allclose(formulas.cascade([0.5, 0.2, 1.0]), [0.5, 0.1, 0.4])


# ---------------------------------------------------------------- steps and batches


def test_events_stand_in_order_of_time_and_ties_in_the_order_of_the_table():
    x = events([(1, 10), (2, 20), (1, 11), (1, 12), (2, 21)], timestamp=[5, 1, 3, 3, 1])
    model = MarkovChain().fit(x)
    coded, lists = model._train, model._train.by_user
    found = {
        u: coded.items[lists.rows[lists.starts[i] : lists.starts[i + 1]]]
        for i, u in enumerate(model.user_ids_)
    }
    assert {u: model.item_ids_[codes].tolist() for u, codes in found.items()} == {
        1: [11, 12, 10],
        2: [20, 21],
    }
    bare = Interactions.from_frame(x.to_frame().drop(columns="timestamp"), on_duplicate="keep")
    with pytest.warns(
        UserWarning, match="MarkovChain learns from the order of events.*the order of the table"
    ):
        model = MarkovChain().fit(bare)
    assert in_time(model._train).items.tolist() == [0, 1, 2, 3, 4]


def test_the_last_rows_are_taken_and_filled_up_on_the_right():
    lists = Ragged.group(np.array([0, 1, 0, 0, 2]), 4)
    found = last_rows(lists, np.array([0, 1, 3, 0]), np.array([2, 1, 0, 3]), 4)
    np.testing.assert_array_equal(found, [[2, 3, -1, -1], [1, -1, -1, -1], [-1] * 4, [0, 2, 3, -1]])
    assert widths(50).tolist() == [7, 13, 25, 50] and widths(8).tolist() == [8] and widths(1).tolist() == [1]


@pytest.mark.parametrize("most", [3, 12])
def test_an_epoch_has_every_step_once_and_never_more_than_max_length(paths, most):
    x = paths.data.interactions
    model = fitted(rt, "GRU4Rec", x, max_length=most, batch_size=4, epochs=1)
    model._epoch, rng = 0, np.random.default_rng(0)
    examples = model._examples(model._train, rng)
    found, shapes = {}, set()
    made = list(model._batches(model._train, examples, rng))
    assert len(made) == model._steps(model._train, examples)
    for batch in made:
        shapes.add(batch["items"].shape)
        assert batch["items"].shape == batch["next_items"].shape == batch["mask"].shape
        np.testing.assert_array_equal(batch["mask"].sum(1), batch["length"])
        assert (batch["items"][batch["mask"] == 0] == 9).all() and batch["items"].max() <= 9
        for items, following, n in zip(batch["items"], batch["next_items"], batch["length"], strict=True):
            np.testing.assert_array_equal(items[1:n], following[: n - 1])
            found.setdefault(tuple(model.item_ids_[[*items[:n], following[n - 1]]]), []).append(n)
    wanted = {tuple(g.item.tolist()[-most - 1 :]) for _u, g in x.to_frame().groupby("user")}
    assert set(found) == wanted and len(shapes) <= 2 * len(widths(most))
    first, second = made[0]["items"].shape, made[1]["items"].shape
    assert all(first[a] != second[a] for a in (0, 1) if len({s[a] for s in shapes}) > 1)


def test_the_first_two_batches_tell_what_varies():
    shapes = [(4, 7), (4, 7), (2, 7), (4, 13)]
    assert [shapes[i] for i in _most_unlike_first(np.arange(4), shapes)[:2]] == [(2, 7), (4, 13)]
    assert _most_unlike_first(np.arange(3), [(4, 7)] * 3).tolist() == [0, 1, 2]


def test_negatives_are_items_without_an_event(wide):
    x = wide.data.interactions
    model = fitted(rt, "GRU4Rec", x, max_length=12, loss="bpr", negatives=5, epochs=1)
    model._sampler = None
    drawn = model._negatives_for(np.arange(20), 7, np.random.default_rng(0))
    assert drawn.shape == (20, 7, 5)
    met = model.score_matrix() * 0
    met[model._train.users, model._train.items] = 1
    assert met[np.arange(20)[:, None, None], drawn].max() == 0


def test_a_million_events_are_read_in_seconds():
    """Nothing is quadratic in users, or as wide as the longest history."""
    rng = np.random.default_rng(0)
    n = 1_000_000
    df = pd.DataFrame(
        {"user": rng.integers(0, 50_000, n), "item": rng.integers(0, 3_000, n), "timestamp": np.arange(n)}
    )
    model = MarkovChain().fit(Interactions.from_frame(df, on_duplicate="keep"))
    assert model.recommend(model.user_ids_[:300], k=5).shape == (1500, 4)
    reader = rt.GRU4Rec(max_length=200, batch_size=512, device="cpu")
    reader.__dict__ |= {k: v for k, v in model.__dict__.items() if k.startswith("_")} | {"_epoch": 0}
    examples = reader._examples(reader._train, rng)
    batch = next(reader._batches(reader._train, examples, rng))
    assert len(examples["user"]) == 50_000 and batch["items"].shape[1] <= 200


# ---------------------------------------------------------------- both wings do what the formulas say


@WINGS
@CELLS
def test_scores_equal_the_formula(wing, cell, paths):
    """F37: the last real step's state, whatever the history's length; of long ones, the last `max_length` steps."""
    x = paths.data.interactions
    model = fitted(wing, "GRU4Rec", x, cell=cell, epochs=1, max_length=7)
    p = learnt(model)
    rng = np.random.default_rng(0)  # biases are 0 at the start: other ones tell more
    p = {name: values + 0.2 * rng.normal(size=values.shape) for name, values in p.items()}
    model.set_parameters(p)
    lists = {u: g.item.to_numpy()[-7:] for u, g in x.to_frame().groupby("user")}
    codes = pd.Index(model.item_ids_)
    expected = [formulas.gru4rec(cell, codes.get_indexer(lists[u]), p)[-1] for u in model.user_ids_]
    np.testing.assert_allclose(model.score_matrix(), expected, atol=2e-6)


def slope(objective, p: dict[str, np.ndarray], name: str, step: float = 1e-5) -> np.ndarray:
    found = np.zeros_like(p[name])
    for cell in np.ndindex(found.shape):
        ends = []
        for side in (step, -step):
            moved = p[name].copy()
            moved[cell] += side
            ends.append(objective(p | {name: moved}))
        found[cell] = (ends[0] - ends[1]) / (2 * step)
    return found


def one_step(wing, name, x, **parameters):
    """Parameters before and after one step of gradient descent with learning rate 1, the loss, and the batch."""
    parameters = {"factors": 3, "epochs": 1, "optimizer": "sgd", "batch_size": 1000, **parameters}
    before = fitted(rt, name, x, **(parameters | {"learning_rate": 1e-30}))
    after = fitted(wing, name, x, **(parameters | {"learning_rate": 1.0}))
    rng, before._epoch, before._sampler = np.random.default_rng(0), 0, None
    before._start(before._train, rng)
    batch = next(before._batches(before._train, before._examples(before._train, rng), rng))
    return learnt(before), learnt(after), after.history_[0]["loss"], batch


@WINGS
@pytest.mark.parametrize(
    "name, settings",
    [
        ("GRU4Rec", {"cell": "rnn", "loss": "bpr", "negatives": 2}),
        pytest.param("GRU4Rec", {"cell": "gru"}, marks=pytest.mark.backends),
        ("GRU4Rec", {"cell": "lstm"}),
        ("DecisionPath", {"event_weight": 0.7}),
    ],
    ids=["rnn-bpr", "gru", "lstm", "path"],
)
def test_one_step_is_the_gradient_of_the_formula(wing, name, settings):
    """Every array of every gate; the bias that a framework has twice moves once."""
    world = datasets.make_paths(n_users=6, n_items=5, shortest=2, longest=5, seed=3)
    before, after, loss, batch = one_step(wing, name, world.data, reg=0.05, **settings)

    def objective(p):
        losses = []
        for row, n in enumerate(batch["length"]):
            items, wanted = batch["items"][row, :n], batch["next_items"][row, :n]
            if name == "DecisionPath":
                z, e = formulas.decision_path(items, batch["events"][row, :n], p)
                losses.append(formulas.next_item_loss(z, wanted))
                losses[-1] = losses[-1] + 0.7 * formulas.next_item_loss(e, batch["next_events"][row, :n])
                continue
            z = formulas.gru4rec(settings["cell"], items, p)
            if settings.get("loss") == "bpr":
                losses.append(formulas.pairwise_loss(z, wanted, batch["negatives"][row, :n]))
            else:
                losses.append(formulas.next_item_loss(z, wanted))
        squares = sum(np.square(values).sum() for values in p.values() if values.ndim > 1)
        return np.concatenate(losses).mean() + 0.05 * squares

    assert loss == pytest.approx(objective(before), rel=1e-5)
    for part in before:
        gradient = slope(objective, before, part)
        np.testing.assert_allclose(before[part] - after[part], gradient, atol=5e-6, err_msg=part)


@pytest.mark.parametrize(
    "name, settings",
    [
        pytest.param("GRU4Rec", {"cell": "gru"}, marks=pytest.mark.backends),
        ("DecisionPath", {"max_length": 12}),
    ],
)
def test_learning_curves_of_the_twins_lie_on_each_other(name, settings, paths):
    """Batches of two widths and of three numbers of people, for 8 epochs, within 1e-5."""
    curves, found = [], []
    for wing in (rt, rk):
        model = fitted(wing, name, paths.data, epochs=8, batch_size=9, **settings)
        curves.append([record["loss"] for record in model.history_])
        found.append(model.score_matrix())
    assert len(curves[0]) == 8 and np.ptp(curves[0]) > 1e-2
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)
    np.testing.assert_allclose(found[0], found[1], atol=1e-4)


@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_other_cells_learn_the_same_in_both_wings(cell, wide):
    """With other settings everywhere."""
    more = {"cell": cell, "loss": "bpr", "negatives": 3, "reg": 0.01, "optimizer": "adagrad", "seed": 2}
    left, right = (
        fitted(wing, "GRU4Rec", wide.data, max_length=12, **more).score_matrix() for wing in (rt, rk)
    )
    np.testing.assert_allclose(left, right, atol=2e-5)


CHANGES = {
    "GRU4Rec": {"cell": "lstm", "loss": "bpr"},
    "DecisionPath": {"event_weight": 0.1},
}
SHARED = {
    "factors": 5, "max_length": 2, "epochs": 3, "learning_rate": 0.05, "reg": 0.1, "batch_size": 7,
    "optimizer": "sgd", "seed": 1,
}  # fmt: skip


@NAMES
def test_every_hyper_parameter_matters(name, wide):
    changes = SHARED | CHANGES[name]
    rest = {"negatives"} if name == "GRU4Rec" else set()
    assert set(changes) | rest | {"device", "patience"} == set(getattr(rt, name)._parameter_names())
    base = fitted(rt, name, wide.data).score_matrix()
    for parameter, value in changes.items():
        assert np.abs(fitted(rt, name, wide.data, **{parameter: value}).score_matrix() - base).max() > 1e-5, (
            parameter
        )
    few, many = (fitted(rt, "GRU4Rec", wide.data, loss="bpr", negatives=n).score_matrix() for n in (1, 9))
    assert np.abs(few - many).max() > 1e-5


# ---------------------------------------------------------------- order is what they learn


def test_the_plan_of_a_path_is_kept_and_the_best_hit_rate_is_reached_by_who_knows_it():
    world = datasets.make_paths(n_users=3000, n_items=6, memory=2, by_event=True, certainty=0.7, seed=2)
    assert world.best_hit_rate == pytest.approx(0.7 + 0.3 / 6)
    np.testing.assert_allclose(world.chances.sum(1), 1)
    np.testing.assert_allclose(world.chances.max(1), world.best_hit_rate)
    assert (np.sort(world.successors, axis=1) == np.arange(6)).all()
    assert (world.successors != np.arange(6)).all() and len(world.successors) == 4
    train, test = splits.leave_last_out(world.data)
    last = test.interactions
    code = pd.Index(world.item_ids).get_indexer(last.items)
    user = pd.Index(world.user_ids).get_indexer(last.users)
    drawn = world.chances[user].argmax(1) == code
    assert drawn.mean() == pytest.approx(float(world.best_hit_rate), abs=4 * np.sqrt(0.25 / 3000))
    follows = train.interactions.to_frame()
    after_click = follows.groupby("user").event.shift(-1)[follows.event == "click"].dropna()
    assert (after_click == "cart").mean() == pytest.approx(0.6, abs=0.03)
    for wrong in (
        {"n_items": 1},
        {"shortest": 1},
        {"shortest": 2, "memory": 2},
        {"certainty": 1.2},
        {"longest": 3},
    ):
        with pytest.raises(ValueError, match="`"):
            datasets.make_paths(**wrong)


@pytest.fixture(scope="module")
def plain():
    world = datasets.make_paths(n_users=1200, n_items=15, seed=0)
    train, _ = splits.leave_last_out(world.data)
    return world, train


@pytest.fixture(scope="module")
def told():
    """Which successor comes hangs on the event."""
    world = datasets.make_paths(n_users=1500, n_items=12, by_event=True, certainty=0.9, seed=0)
    train, _ = splits.leave_last_out(world.data)
    return world, train


@pytest.fixture(scope="module")
def readers(plain, told):
    found = {}
    for wing in (rt, rk):
        found[wing, "GRU4Rec"] = fitted(wing, "GRU4Rec", plain[1], **PLAN)
        found[wing, "DecisionPath"] = fitted(wing, "DecisionPath", told[1], **PLAN)
    return found


@WINGS
@NAMES
def test_who_reads_the_order_comes_close_to_the_best_and_loses_all_by_a_shuffle(
    wing, name, readers, plain, told
):
    """C42, A32: within .01 of the best possible; the same model asked on shuffled histories has a third of it."""
    world, train = plain if name == "GRU4Rec" else told
    model = readers[wing, name]
    rate = hit_rate(model, world)
    assert world.best_hit_rate - 0.01 <= rate <= world.best_hit_rate + 1e-6
    mixed = hit_rate(model, world, histories=shuffled(train, seed=1).interactions)
    assert mixed < rate / 2


@WINGS
def test_a_model_trained_without_order_is_no_better_than_a_bag_of_items(wing, plain):
    """C42: the order-blind counterpart, which learns from shuffled histories and is asked on them."""
    world, train = plain
    mixed = shuffled(train, seed=2)
    blind = hit_rate(fitted(wing, "GRU4Rec", mixed, **(PLAN | {"epochs": 4})), world)
    assert blind < world.best_hit_rate / 2


@WINGS
def test_a_bag_of_items_loses_nothing_by_a_shuffle(wing, plain):
    """C42: EASE reads sets; its scores are the same to the bit, whatever the order."""
    _world, train = plain
    model = wing.EASE(device="cpu").fit(train)
    some = train.interactions.take(np.arange(200))
    left, right = (model.score_matrix(histories=h) for h in (some, shuffled(some, seed=3)))
    np.testing.assert_array_equal(
        left, right[pd.Index(shuffled(some, 3).user_ids).get_indexer(some.user_ids)]
    )


def test_a_chain_is_as_good_as_the_best_where_one_step_is_all_and_not_where_it_is_not(plain, told, readers):
    world, train = plain
    chain = MarkovChain().fit(train)
    assert hit_rate(chain, world) >= world.best_hit_rate - 0.01
    assert hit_rate(chain, world, histories=shuffled(train, seed=1).interactions) < world.best_hit_rate / 2
    assert hit_rate(MarkovChain().fit(shuffled(train, seed=1)), world) < world.best_hit_rate / 2
    # Where the event decides, the chain, which is not told it, and the cascade, which has no memory, stay behind.
    world, train = told
    best = hit_rate(readers[rt, "DecisionPath"], world)
    assert best > hit_rate(MarkovChain().fit(train), world) + 0.2
    assert best > hit_rate(CascadeModel().fit(train), world) + 0.5
    assert hit_rate(readers[rt, "DecisionPath"], world) > hit_rate(Popularity().fit(train), world) + 0.5


def test_two_steps_back_need_a_state():
    """Where the item before the last decides, the chain has next to nothing, and a GRU comes close to the best."""
    world = datasets.make_paths(n_users=2500, n_items=10, memory=2, certainty=0.9, seed=0)
    train, _ = splits.leave_last_out(world.data)
    rate = hit_rate(fitted(rt, "GRU4Rec", train, **PLAN), world)
    assert rate >= world.best_hit_rate - 0.01
    assert hit_rate(MarkovChain().fit(train), world) < rate / 2


@WINGS
def test_the_next_event_is_predicted(wing, told, readers):
    world, train = told
    model = readers[wing, "DecisionPath"]
    table = model.next_events()
    assert table.columns.tolist() == ["user", "event", "chance"] and model.events_.tolist() == sorted(
        model.events_
    )
    np.testing.assert_allclose(table.groupby("user").chance.sum(), 1, rtol=1e-5)
    wide = table.pivot(index="user", columns="event", values="chance")
    now = train.interactions.to_frame().groupby("user").event.last().loc[wide.index]
    mean = wide.groupby(now).mean()
    planned = pd.DataFrame(NEXT_EVENT).T.fillna(0.0).loc[mean.index, mean.columns]
    np.testing.assert_allclose(mean, planned, atol=0.08)
    assert len(model.next_events(world.user_ids[:2])) == 8
    with pytest.warns(UserWarning, match="met nothing"):
        lists = model.next_events(histories={"a": world.item_ids[:2].tolist(), "b": []})
    np.testing.assert_allclose(
        lists[lists.user == "b"].chance, train.interactions.to_frame().event.value_counts(normalize=True).sort_index(),
        atol=1e-6,
    )  # fmt: skip


# ---------------------------------------------------------------- chains and cascades


def test_the_chain_equals_the_formula(paths):
    x = paths.data.interactions
    model = MarkovChain(shrinkage=2.5).fit(x)
    lists = [model._item_index.codes(g.item.to_numpy()) for _u, g in x.to_frame().groupby("user", sort=False)]
    chances = formulas.markov_chances(lists, 9, 2.5)
    np.testing.assert_allclose(np.exp(model.score_matrix()), chances[[one[-1] for one in lists]], rtol=1e-5)
    near = model.similar_items(model.item_ids_[:1], k=8)
    lift = np.log(chances) - np.log(model.get_parameters()["share"])
    cosine = lift @ lift[0] / np.linalg.norm(lift, axis=1) / np.linalg.norm(lift[0])
    np.testing.assert_allclose(near.score, np.sort(cosine[1:])[::-1], atol=1e-5)


def test_the_cascade_equals_the_formula_and_finds_how_appealing_items_are():
    appeal, rng = np.array([0.6, 0.1, 0.3]), np.random.default_rng(0)
    rows = []
    for person in range(3000):
        for item in rng.permutation(3):
            chosen = rng.random() < appeal[item]
            rows.append((person, item, "click" if chosen else "browse"))
            if chosen:
                break
    df = pd.DataFrame(rows, columns=["user", "item", "event"])
    model = CascadeModel().fit(Interactions.from_frame(df))
    np.testing.assert_allclose(model.predict([0] * 3, [0, 1, 2]), appeal, atol=0.03)
    found = model.predict([0] * 3, [1, 2, 0])
    np.testing.assert_allclose(model.chosen_at([1, 2, 0]), formulas.cascade(found), rtol=1e-6)
    assert model.predict([0], [77], unknown="fallback") == pytest.approx((df.event == "click").mean())


@pytest.mark.parametrize("make", [MarkovChain, CascadeModel])
def test_counting_models_are_saved_and_read(make, paths, tmp_path):
    model = make().fit(paths.data)
    model.save(tmp_path / "model.npz")
    loaded = make.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(loaded.score_matrix(), model.score_matrix())
    pd.testing.assert_frame_equal(loaded.recommend(k=2), model.recommend(k=2))
    if make is MarkovChain:
        with pytest.raises(NotSupportedError, match="include_history=False"):
            model.save(tmp_path / "none.npz", include_history=False)


# ---------------------------------------------------------------- people it never saw, files


@WINGS
@NAMES
def test_strangers_need_no_training_and_their_order_counts(wing, name, paths, tmp_path):
    x = paths.data.interactions
    model = fitted(wing, name, x)
    one = x.take(x.users == x.user_ids[4])
    # A copy of a known person's history gets that person's scores, with its rows in any order: time tells.
    for copy in (one, one.take(np.arange(len(one))[::-1])):
        np.testing.assert_allclose(
            model.score_matrix(histories=copy)[0], model.score_matrix(one.user_ids)[0], atol=1e-6
        )
    ids = x.item_ids.tolist()
    lists = {"a": ids[:3], "b": ids[:3][::-1], "c": [], "long": ids * 4, "tail": (ids * 4)[-7:]}
    with pytest.warns(UserWarning, match="met nothing"):
        scores = dict(zip(lists, model.score_matrix(histories=lists), strict=True))
    assert np.abs(scores["a"] - scores["b"]).max() > 1e-4
    np.testing.assert_allclose(scores["long"], scores["tail"], atol=1e-6)
    counts = pd.Series(x.items).value_counts().reindex(ids, fill_value=0).to_numpy()
    np.testing.assert_allclose(scores["c"], np.log((counts + 1) / (len(x) + len(ids))), rtol=1e-5)
    np.testing.assert_allclose(scores["c"], model.predict("nobody", ids, unknown="fallback"), rtol=1e-5)
    found = model.recommend(histories={"a": ids[:3]}, k=4)
    assert len(found) == 4 and not set(found.item) & set(ids[:3])
    # A file keeps the order of time, though it holds no times.
    mixed = x.take(np.random.default_rng(0).permutation(len(x)))
    late = fitted(wing, name, mixed)
    late.save(tmp_path / "model.npz")
    np.testing.assert_array_equal(
        type(late).load(tmp_path / "model.npz", device="cpu").score_matrix(), late.score_matrix()
    )


def test_a_new_event_is_refused_and_a_file_holds_what_was_done(paths, tmp_path):
    x = paths.data.interactions
    model = fitted(rt, "DecisionPath", x)
    rows = x.take(slice(0, 4)).to_frame()
    rows.loc[2, "event"] = "return"
    other = Interactions.from_frame(rows, on_duplicate="keep")
    with pytest.raises(ValueError, match="'return' is none of train's events, .*name it as train does"):
        model.recommend(histories=other)
    model.save(tmp_path / "model.npz")
    loaded = rk.load(tmp_path / "model.npz", device="cpu")
    assert loaded.events_.tolist() == model.events_.tolist()
    np.testing.assert_allclose(loaded.next_events().chance, model.next_events().chance, atol=1e-5)
    bare = events(x.to_frame()[["user", "item"]].to_numpy().tolist())
    with pytest.raises(ValueError, match="no column `event`"):
        fitted(rt, "DecisionPath", bare).next_events()
    with pytest.raises(ValueError, match="CascadeModel needs a column `event`"):
        CascadeModel().fit(bare)


# ---------------------------------------------------------------- training's own rules


def test_patience_watches_the_next_item(plain):
    world, train = plain
    train, validation = splits.leave_last_out(train)
    model = fitted(rt, "GRU4Rec", train, validation, **(PLAN | {"epochs": 40, "patience": 1}))
    errors = [record["validation_error"] for record in model.history_]
    assert len(errors) < 40 and min(errors) < errors[0] - 0.02
    # What is measured is the list for the next item, nothing left out: people meet items again.
    guess = model.recommend(k=10, exclude_seen=False)
    last = validation.interactions
    place = guess.merge(pd.DataFrame({"user": last.users, "item": last.items}))["rank"]
    assert 1 - (1 / np.log2(1 + place)).sum() / len(last) == pytest.approx(min(errors), abs=1e-6)


def test_validation_leaves_out_what_was_met_where_nobody_meets_twice():
    rng = np.random.default_rng(0)
    rows = [(u, i) for u in range(40) for i in rng.permutation(12)[:6]]
    train, validation = splits.leave_last_out(events(rows, timestamp=np.arange(240)))
    model = fitted(rt, "GRU4Rec", train, validation)
    measured = evaluate(model, validation, ["ndcg@10"])["ndcg@10"]
    assert 1 - model.history_[-1]["validation_error"] == pytest.approx(measured, abs=1e-6)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "name, parameter, value",
    [
        ("GRU4Rec", "cell", "elman"), ("GRU4Rec", "factors", 0), ("GRU4Rec", "max_length", 0),
        ("GRU4Rec", "loss", "mse"),
        ("GRU4Rec", "negatives", 0), ("GRU4Rec", "reg", -1), ("DecisionPath", "event_weight", -1),
        ("DecisionPath", "max_length", 2.5),
    ],
    ids=str,
)  # fmt: skip
def test_bad_hyper_parameters_are_refused(name, parameter, value, paths):
    for wing in (rt, rk):
        refuses(
            lambda wing=wing: fitted(wing, name, paths.data, **{parameter: value}), ValueError,
            (f"`{parameter}` is {value!r}",),
        )  # fmt: skip
    for model, words in (
        (MarkovChain(shrinkage=0), "`shrinkage` is 0"),
        (CascadeModel(prior_looks=-1), "`prior_looks`"),
    ):
        refuses(lambda model=model: model.fit(paths.data), ValueError, (words,))


def test_histories_that_tell_nothing_are_refused_or_defined(paths):
    model = fitted(rt, "GRU4Rec", paths.data)
    for history in ({"a": [999]}, {"a": [paths.item_ids[0], 999]}):
        refuses(
            lambda h=history: model.recommend(histories=h), UnknownIdError, ("item 999", "leave them out")
        )
    refuses(lambda: model.recommend(histories={}), ValueError, ("`histories` is empty",))
    single = events([(u, u % 5) for u in range(20)])
    for one in (rt.GRU4Rec(device="cpu"), rk.DecisionPath(device="cpu"), MarkovChain()):
        refuses(
            lambda m=one: m.fit(single), ValueError, (type(one).__name__, "nobody in the data has two events")
        )
    # One event is enough to be asked, not enough to be learnt from.
    some = events([(u, i) for u in range(9) for i in range(1 + u % 4)])
    assert np.isfinite(fitted(rt, "GRU4Rec", some).score_matrix()).all()
    strangers = events([(99, 1), (99, 2)])
    words = ("`validation`: no row has both a user and an item of train",)
    refuses(lambda: fitted(rt, "GRU4Rec", some, strangers), ValueError, words)
    whole = events([(u, i) for u in range(3) for i in range(4)])
    refuses(
        lambda: fitted(rt, "GRU4Rec", whole, loss="bpr"),
        ValueError,
        ("has met every item", "leave such users out"),
    )


@WINGS
def test_a_learning_rate_that_diverges_names_epoch_and_remedy(wing, paths):
    refuses(
        lambda: fitted(wing, "GRU4Rec", paths.data, optimizer="sgd", learning_rate=1e38, epochs=9), DivergedError,
        ("GRU4Rec", "epoch", "lower `learning_rate`"),
    )  # fmt: skip


def test_a_shuffle_keeps_everything_but_the_order(paths):
    x = paths.data.interactions
    mixed = shuffled(paths.data, seed=4).interactions
    np.testing.assert_array_equal(mixed.users, x.users)
    np.testing.assert_array_equal(mixed.timestamps, x.timestamps)
    left, right = (pd.DataFrame({"u": y.users, "i": y.items, "e": y.extra["event"]}) for y in (x, mixed))
    keys = ["u", "i", "e"]
    pd.testing.assert_frame_equal(*(t.sort_values(keys).reset_index(drop=True) for t in (left, right)))
    assert not left.equals(right)


# ---------------------------------------------------------------- exercises


@pytest.mark.parametrize("exercise", ["transitions", "gru", "last_states"])
def test_each_mistake_gets_its_own_hint(exercise, monkeypatch, capsys):
    each_gives_its_own_hint(checks, getattr(checks, exercise), monkeypatch, capsys)

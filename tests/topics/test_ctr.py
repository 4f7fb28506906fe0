"""Click models: formula = torch = keras, planted crosses, histories that end strictly earlier, penalties, Dice.

Users are called 900, 899, …, items 70, 69, …: later ones have smaller ids, so that a rule about order of
appearance cannot pass as one about ids.
"""

from __future__ import annotations

import functools
import re
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import recbook.keras as rk
import recbook.torch as rt
from recbook import datasets
from recbook.checks import ctr as checks
from recbook.errors import FileFormatError, NotSupportedError, UnknownIdError
from recbook.formulas import ctr
from recbook.formulas import factorization_machines as fm
from recbook.formulas import losses as ls
from recbook.interactions import Dataset, Interactions
from recbook.recommender import Coded
from recbook.shared.ctr import DICE_EPSILON, DICE_MOMENTUM, Behaviours
from recbook.worlds import expected_auc
from tests.helpers.known_mistakes import each_gives_its_own_hint

WINGS = pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
FIELDS = ("user", "users.town", "item", "items.genres", "hour", "users.age")
READ = (*FIELDS, "history")
CROSS = "users.town*items.genres"


# ---------------------------------------------------------------- data


def dataset(n_users=20, n_items=12, density=0.5, seed=0, times=True) -> Dataset:
    """Clicks, with a table of users and one of items; item 7 is in the table alone. Times are often tied."""
    rng = np.random.default_rng(seed)
    u, i = np.nonzero(rng.random((n_users, n_items)) < density)
    rows = rng.permutation(len(u))
    df = pd.DataFrame({"user": 900 - u[rows], "item": 70 - i[rows]})
    df["rating"] = rng.integers(0, 2, len(df)).astype(float)
    df["hour"] = rng.choice(["morning", "noon", "night"], len(df))
    if times:
        df["timestamp"] = rng.integers(0, 8, len(df))
    x = Interactions.from_frame(df)
    users = pd.DataFrame(
        {"age": rng.normal(40, 10, x.n_users), "town": rng.choice(["A", "B"], x.n_users)}, index=x.user_ids
    )
    ids = [*x.item_ids, 7]
    genres = rng.choice(["War", "Comedy|Drama", "Drama", "War|Drama"], len(ids))
    return Dataset(x, users=users, items=pd.DataFrame({"genres": genres}, index=ids))


SMALL = {
    "factors": 3,
    "layers": (5, 4),
    "epochs": 2,
    "batch_size": 64,
    "learning_rate": 0.02,
    "device": "cpu",
}


def deep_fm(wing, **changes):
    return wing.DeepFM(**{"fields": READ, **SMALL, "max_length": 4, **changes})


def wide(wing, **changes):
    return wing.WideAndDeep(**{"fields": READ, "crosses": (CROSS,), **SMALL, "max_length": 4, **changes})


def din(wing, **changes):
    return wing.DIN(**{"fields": FIELDS, **SMALL, "attention_layers": (6,), "max_length": 4, **changes})


@functools.cache
def trained(wing, make):
    """20 epochs on a table of some size. For reading alone: it is shared."""
    data = dataset(n_users=50, n_items=25, density=0.3)
    # One batch an epoch: for each size of batches jax compiles anew, and that takes longest of all here.
    return make(wing, epochs=20, learning_rate=0.01, batch_size=1000, init_scale=0.4).fit(
        data, progress=False
    )


@functools.cache
def of_items(wing, make):
    """A model without fields of users, in crosses too. For reading alone: it is shared."""
    more = {"crosses": ("item*items.genres",)} if make is wide else {}
    model = make(wing, fields=("item", "history"), **more, init_scale=0.7, max_length=3)
    return model.fit(dataset(), progress=False)


def din_of_items(wing):
    return of_items(wing, din)


def dense(index, value, n: int) -> np.ndarray:
    """Sparse rows as the formulas take them: (rows, n)."""
    x = np.zeros((len(index), n))
    np.add.at(x, (np.arange(len(index))[:, None], index), value)
    return x


def field_numbers(model) -> np.ndarray:
    """The field of each feature; a history, where it is a field, stands before all others."""
    names = model._fields.field_names.tolist()
    found = np.array([model._spec.index(name) for name in names])
    return (
        found if "history" not in model.fields else np.append(np.zeros(len(model.item_ids_), int), found + 1)
    )


def frame_of(model) -> pd.DataFrame:
    """What the model was trained on, as a table."""
    train = model._train
    columns = {"user": model.user_ids_[train.users], "item": model.item_ids_[train.items]}
    return pd.DataFrame(columns | {"rating": train.ratings, "timestamp": train.timestamps, **train.extra})


def likes_in_train(model, users) -> list[list[int]]:
    """For each of `users`, the codes of all that they liked in train, in order of time."""
    frame = frame_of(model)
    codes = {item: code for code, item in enumerate(model.item_ids_.tolist())}
    found = []
    for user in users:
        mine = frame[(frame.user == user) & (frame.rating == 1)].sort_values("timestamp", kind="stable")
        found.append([codes[item] for item in mine.item.tolist()])
    return found


def rows_read(model, index, value, pasts) -> np.ndarray:
    """What the formulas read: the history field, by its formula, and the sparse rows of the other fields."""
    beside = [ctr.history(past[-model.max_length :], len(model.item_ids_)) for past in pasts]
    return np.hstack([beside, dense(index, value, model._fields.n_features)])


def layers_of(learnt, prefix="") -> tuple[list, list]:
    depth = sum(name.startswith(f"{prefix}kernel_") for name in learnt)
    return tuple(
        [learnt[f"{prefix}{part}_{n}"].astype(float) for n in range(1, depth + 1)]
        for part in ("kernel", "bias")
    )


def close(found, expected, tolerance: float = 5e-6) -> None:
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


def logit_of(name, model, learnt, row) -> float:
    """By the formulas."""
    kernels, biases = layers_of(learnt)
    field_of = field_numbers(model)
    if name == "deep_fm":
        return ctr.deep_fm(
            row, learnt["constant"], learnt["weights"], learnt["factors"], field_of, kernels, biases,
            learnt["mlp_head"],
        )  # fmt: skip
    own = field_of < len(model.fields)
    deep = ctr.pooled(row[own], learnt["factors"], field_of[own])
    return ctr.wide_and_deep(
        row, learnt["constant"], learnt["weights"], deep, kernels, biases, learnt["mlp_head"]
    )


# ---------------------------------------------------------------- the formulas by hand


def test_pooled_vectors_and_the_logits_by_hand():
    V = np.array([[1.0, 0.0], [0.0, 2.0], [4.0, 4.0]])
    x, field_of = np.array([1.0, 0.5, 0.5]), np.array([0, 1, 1])
    deep = ctr.pooled(x, V, field_of)
    assert deep.tolist() == [[1, 0], [2, 3]]  # a film of two genres: half of each
    kernel = np.array([[1.0, -1], [0, 0], [1, 0], [0, 1]])
    # x_1 = relu([1 + 2, -1 + 3] + [-1, -3]) = [2, 0]
    assert ctr.network(deep.ravel(), [kernel], [np.array([-1.0, -3])], np.array([2.0, 5])) == 4
    logit = ctr.deep_fm(
        x, 0.5, np.zeros(3), V, field_of, [kernel], [np.array([-1.0, -3])], np.array([2.0, 5])
    )
    # ⟨v1,v2⟩ ½ + ⟨v1,v3⟩ ½ + ⟨v2,v3⟩ ¼ = 0 + 2 + 2
    assert logit == 0.5 + 4 + 4


def test_interest_is_a_sum_without_softmax():
    """Twice the same history is twice the interest; a softmax would leave it as it is. None is no interest."""
    rng = np.random.default_rng(0)
    unit = rng.normal(size=(6, 4)), rng.normal(size=4), rng.normal(size=4)
    E, v = rng.normal(size=(3, 2)), rng.normal(size=2)
    once = ctr.interest(E, v, *unit)
    close(ctr.interest(np.vstack([E, E]), v, *unit), 2 * once, 1e-12)
    close(ctr.interest(E[::-1], v, *unit), once, 1e-12)
    assert ctr.interest(E[:0], v, *unit).tolist() == [0, 0]


@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(0.01, 9))
def test_dice_at_alpha_1_is_the_identity_and_at_the_mean_half_a_prelu(z, mean, variance):
    one = np.ones(1)
    assert ctr.dice(z * one, mean * one, variance * one, one, 0) == pytest.approx(z)
    assert ctr.dice(mean * one, mean * one, variance * one, 0.25 * one, 0) == pytest.approx(0.625 * mean)


# ---------------------------------------------------------------- formula = torch = keras


@pytest.mark.parametrize(
    "name, make",
    [
        pytest.param("deep_fm", deep_fm, id="DeepFM", marks=pytest.mark.backends),
        pytest.param("wide", wide, id="WideAndDeep"),
    ],
)
def test_scores_are_those_of_the_formula(name, make):
    for wing in (rt, rk):
        model = trained(wing, make)
        learnt = model.get_parameters()
        users = np.repeat(model.user_ids_[:4], len(model.item_ids_))
        items = np.tile(model.item_ids_, 4)
        context = pd.DataFrame({"hour": np.resize(["morning", "night", "dawn"], len(users))})
        x = rows_read(model, *model._fields.rows(users, items, context), likes_in_train(model, users))
        expected = ls.sigmoid(np.array([logit_of(name, model, learnt, row) for row in x]))
        close(model.predict(users, items, context=context), expected)


@pytest.mark.backends
@pytest.mark.parametrize("name, make", [("deep_fm", deep_fm), ("wide", wide)], ids=["DeepFM", "WideAndDeep"])
def test_the_objective_is_the_formula_and_a_step_follows_its_gradient(name, make):
    """One batch, one step of plain gradient descent with rate 1, against central differences of the formula.

    Its histories are those of a loop over what each person liked strictly earlier.
    """
    data = dataset(n_users=6, n_items=5)
    for wing in (rt, rk):
        model = make(
            wing, reg=0.05, reg_layers=0.02, factors=2, layers=(3,), epochs=1, batch_size=1000, optimizer="sgd",
            learning_rate=1.0, init_scale=0.6,
        ).fit(data, progress=False)  # fmt: skip
        rng = np.random.default_rng(model.seed)
        start = {n: v.astype(float) for n, v in model._start(model._train, rng).items()}
        batch = model._rows(model._train)
        x = rows_read(model, batch["index"], batch["value"], slow_before(model._train, 4))
        y = model._train.ratings

        def objective(parameters):
            z = np.array([logit_of(name, model, parameters, row) for row in x])  # noqa: B023
            loss = ls.binary_cross_entropy(y, z, "none")  # noqa: B023
            n_deep = len(parameters["factors"])
            squares = (x != 0) @ parameters["weights"] ** 2  # noqa: B023
            squares += (x[:, :n_deep] != 0) @ (parameters["factors"] ** 2).sum(1)  # noqa: B023
            layers = sum((parameters[n] ** 2).sum() for n in ("kernel_1", "mlp_head"))
            return (loss + 0.05 * squares).mean() + 0.02 * layers

        assert model.history_[0]["loss"] == pytest.approx(objective(start), rel=1e-5)
        learnt, h = model.get_parameters(), 1e-5
        for n, values in start.items():
            for place in list(np.ndindex(values.shape))[:: max(1, values.size // 6)]:
                slopes = []
                for sign in (h, -h):
                    moved = values.copy()
                    moved[place] += sign
                    slopes.append(objective(start | {n: moved}))
                slope = (slopes[0] - slopes[1]) / (2 * h)
                assert values[place] - learnt[n][place] == pytest.approx(slope, abs=2e-5), (n, place)


def test_deep_fm_shares_its_vectors_and_contains_a_machine():
    """With its head at 0 it scores as a factorisation machine of the same parameters, to the last digit or so."""
    data = dataset()
    model = deep_fm(rt, fields=FIELDS).fit(data, progress=False)
    learnt = model.get_parameters()
    model.set_parameters(learnt | {"mlp_head": np.zeros_like(learnt["mlp_head"])})
    machine = rt.FactorizationMachine(fields=FIELDS, loss="logistic", factors=3, epochs=1, device="cpu")
    machine.fit(data, progress=False)
    machine.set_parameters({name: learnt[name] for name in ("constant", "weights", "factors")})
    context = pd.DataFrame({"hour": ["noon"] * len(model.user_ids_)})
    close(model.score_matrix(context=context), machine.score_matrix(context=context))
    tables = [n for n, v in learnt.items() if v.ndim == 2 and len(v) == model._fields.n_features]
    assert tables == ["factors"]


@pytest.mark.backends
def test_din_scores_as_the_formula_in_training_and_after():
    """The chance of each pair by hand, from the item's own fields, the history, and Dice's running statistics."""
    for wing in (rt, rk):
        model = trained(wing, din)
        found = {n: np.asarray(v, float) for n, v in model.get_parameters().items()}
        train = model._train
        frame = frame_of(model)
        users, items = frame.user.to_numpy()[:40], frame.item.to_numpy()[:40]
        hour = frame.hour[:40].to_frame().reset_index(drop=True)
        x = dense(*model._fields.rows(users, items, hour), model._fields.n_features)
        table = dense(*map(np.array, model._fields.coded_rows(np.full(26, -1), np.arange(26))), x.shape[1])
        right = np.isin(field_numbers(model), [2, 3])
        ranks = np.unique(field_numbers(model)[right], return_inverse=True)[1]
        E = np.array([ctr.pooled(row[right], found["factors"][right], ranks).ravel() for row in table])
        other = np.unique(field_numbers(model)[~right], return_inverse=True)[1]
        unit = found["attention_kernel_1"], found["attention_bias_1"], found["attention_head"]
        expected = []
        targets, pasts = model._item_index.codes(items), likes_in_train(model, users)
        for past, item, row in zip(pasts, targets, x, strict=True):
            past, v = past[-4:], E[item]
            beside = ctr.pooled(row[~right], found["factors"][~right], other).ravel()
            z = np.concatenate([beside, ctr.interest(E[past], v, *unit), v])
            for n in (1, 2):
                z = z @ found[f"kernel_{n}"] + found[f"bias_{n}"]
                mean, variance = (found[f"dice_{p}_{n}"] / found["dice_weight"] for p in ("mean", "variance"))
                z = ctr.dice(z, mean, variance, found[f"dice_alpha_{n}"], DICE_EPSILON)
            expected.append(ls.sigmoid(found["constant"] + z @ found["mlp_head"]))
        close(model.predict(users, items, context=hour), expected, 1e-5)
        assert len(train.users) == len(frame)


@pytest.mark.backends
def test_the_first_loss_of_din_is_the_formula_and_dice_remembers_the_batch():
    """One batch of everything: the loss before the step, and the running statistics after it."""
    data = dataset(n_users=8, n_items=6)
    for wing in (rt, rk):
        model = din(
            wing, fields=("user", "item"), epochs=1, batch_size=1000, init_scale=0.7, reg=0.3, reg_layers=0.02,
            layers=(3,),
        ).fit(data, progress=False)  # fmt: skip
        start = model._start(model._train, np.random.default_rng(model.seed))
        start = {n: v.astype(float) for n, v in start.items()}
        frame = data.interactions.to_frame()
        n_users, V = len(model.user_ids_), start["factors"]
        u, i = model._train.users, model._train.items
        unit = start["attention_kernel_1"], start["attention_bias_1"], start["attention_head"]
        rows, counts = [], np.bincount(np.concatenate([u, n_users + i]), minlength=len(V))
        for k in range(len(frame)):
            row = frame.iloc[k]
            earlier = frame[
                (frame.user == row.user) & (frame.timestamp < row.timestamp) & (frame.rating == 1)
            ]
            past = n_users + i[earlier.sort_values("timestamp", kind="stable").index.to_numpy()][-4:]
            counts += np.bincount(past, minlength=len(V))
            v = V[n_users + i[k]]
            rows.append(np.concatenate([V[u[k]], ctr.interest(V[past], v, *unit), v]))
        z = np.array(rows) @ start["kernel_1"] + start["bias_1"]
        mean, variance = z.mean(0), z.var(0)
        logit = start["constant"] + ctr.dice(z, mean, variance, np.zeros(3), DICE_EPSILON) @ start["mlp_head"]
        loss = ls.binary_cross_entropy(frame.rating.to_numpy(), logit)
        kernels = sum((v**2).sum() for n, v in start.items() if "kernel" in n or n.endswith("head"))
        loss += 0.3 * ctr.batch_penalty(counts > 0, np.maximum(counts, 1), V) + 0.02 * kernels
        assert model.history_[0]["loss"] == pytest.approx(loss, rel=1e-5)
        learnt = model.get_parameters()
        close(learnt["dice_weight"], 1 - DICE_MOMENTUM, 1e-6)
        close(learnt["dice_mean_1"] / learnt["dice_weight"], mean, 1e-5)
        close(learnt["dice_variance_1"] / learnt["dice_weight"], variance, 1e-5)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(deep_fm, id="DeepFM", marks=pytest.mark.backends),
        pytest.param(wide, id="WideAndDeep"),
        pytest.param(din, id="DIN", marks=pytest.mark.backends),
    ],
)
def test_learning_curves_of_the_twins_lie_on_each_other(make):
    """20 epochs from equal starts with equal batches: 1e-5, relative."""
    curves = [[epoch["loss"] for epoch in trained(wing, make).history_] for wing in (rt, rk)]
    assert len(curves[0]) == 20 and curves[0][-1] < 0.95 * curves[0][0]
    np.testing.assert_allclose(curves[0], curves[1], rtol=1e-5)


# ---------------------------------------------------------------- planted crosses


@WINGS
def test_planted_crosses_are_found_by_vectors_and_not_by_a_linear_model(wing):
    """FM and DeepFM come within .01 of the Bayes AUC, logistic regression within .01 of the best additive one."""
    world = datasets.make_ctr(n_users=200, n_items=200, n_interactions=30_000)
    fields = ("users.group", "users.town", "items.kind", "items.tier")
    settings = {"fields": fields, "epochs": 6, "batch_size": 2048, "learning_rate": 0.03, "device": "cpu"}
    models = {
        "LR": wing.LogisticRegression(**settings),
        "FM": wing.FactorizationMachine(**settings, factors=6, reg=1e-5, loss="logistic"),
        "DeepFM": wing.DeepFM(**settings, factors=6, reg=1e-5, layers=(16,)),
        "Wide": wing.WideAndDeep(
            **settings, crosses=("users.group*items.kind", "users.town*items.tier"), reg=1e-5, layers=()
        ),
    }
    best = {
        "LR": world.additive_auc,
        "FM": world.bayes_auc,
        "DeepFM": world.bayes_auc,
        "Wide": world.bayes_auc,
    }
    if wing is rk:  # the other twins learn the same, as tests of their own show
        models = {"DeepFM": models["DeepFM"]}
    for name, model in models.items():
        model.fit(world.data, progress=False)
        scores = model.score_matrix(world.user_ids, candidates=world.item_ids)
        found = expected_auc(world.scores, scores)
        assert abs(found - best[name]) < 0.01, (name, found, best[name])


# ---------------------------------------------------------------- histories


def slow_before(x: Coded, max_length: int) -> list[list[int]]:
    """For each row, the last items that its person liked strictly earlier, by a loop."""
    times = np.arange(len(x.users)) if x.timestamps is None else x.timestamps
    found = []
    for user, now in zip(x.users, times, strict=True):
        rows = [r for r in range(len(times)) if x.users[r] == user and times[r] < now and x.ratings[r] == 1]
        rows.sort(key=lambda r: times[r])
        found.append([int(x.items[r]) for r in rows][-max_length:])
    return found


@st.composite
def tables(draw):
    n = draw(st.integers(1, 25))
    small = {"min_size": n, "max_size": n}
    users = np.array(draw(st.lists(st.integers(0, 3), **small)))
    items = np.array(draw(st.lists(st.integers(0, 5), **small)))
    ratings = np.array(draw(st.lists(st.integers(0, 1), **small)), float)
    times = draw(st.one_of(st.none(), st.lists(st.integers(0, 6), **small).map(np.array)))
    return Coded(users, items, ratings, times, 4, 6)


@given(tables(), st.integers(1, 6))
def test_histories_hold_strictly_earlier_events_alone(x, width):
    """Against a loop: ties never see each other, what is not liked is left out, the last `width` stay in order."""
    behaviours = Behaviours(x)
    codes = behaviours.padded(x.users, behaviours.before, width, empty=6)
    assert codes.shape == (len(x.users), width)
    found = [[c for c in row if c != 6] for row in codes.tolist()]
    assert found == slow_before(x, width)
    assert all(sorted(row, key=lambda c: c != 6) == row for row in codes.tolist())  # nothing stands in front


def test_what_comes_later_does_not_reach_training():
    """What a row's history holds is earlier than the row, and in order."""
    model = din_of_items(rt)
    frame = dataset().interactions.to_frame()
    for k in range(0, len(frame), 7):
        row = frame.iloc[k]
        end = model._behaviours.before[k]
        past = model._behaviours.liked[model._behaviours.starts[model._train.users[k]] : end]
        times = [
            frame[(frame.user == row.user) & (frame.item == i)].timestamp.item()
            for i in model.item_ids_[past]
        ]
        assert all(t < row.timestamp for t in times) and times == sorted(times)


def test_a_million_events_and_two_hundred_behaviours_are_looked_up_in_no_time():
    rng = np.random.default_rng(0)
    n = 1_000_000
    x = Coded(
        rng.integers(0, 5000, n), rng.integers(0, 20_000, n), (rng.random(n) < 0.5).astype(float),
        rng.integers(0, 10**6, n), 5000, 20_000,
    )  # fmt: skip
    start = time.thread_time()
    behaviours = Behaviours(x)
    rows = rng.integers(0, n, 4096)
    codes = behaviours.padded(x.users[rows], behaviours.before[rows], 200, empty=20_000)
    spent = time.thread_time() - start
    assert codes.shape == (4096, 200) and codes.nbytes == 4096 * 200 * 4
    for k in range(5):
        own = (x.users == x.users[rows[k]]) & (x.timestamps < x.timestamps[rows[k]]) & (x.ratings == 1)
        mine = np.flatnonzero(own)
        mine = mine[np.argsort(x.timestamps[mine], kind="stable")][-200:]
        np.testing.assert_array_equal(codes[k][codes[k] < 20_000], x.items[mine])
    assert spent < 3, f"{spent:.1f} s"  # a loop over the rows takes minutes


@pytest.mark.parametrize("make", [deep_fm, wide, din], ids=["DeepFM", "WideAndDeep", "DIN"])
def test_people_never_seen_get_what_the_same_history_gives(make):
    """No field of users: a new person with a known one's likes has the same scores, empty histories are allowed."""
    likes = dataset().interactions.to_frame().query("rating == 1").sort_values("timestamp", kind="stable")
    for wing in (rt, rk) if make is din else (rt,):
        model = of_items(wing, make)
        some = model.user_ids_[[3, 0, 7, 1]].tolist()
        lists = {f"new {u}": likes[likes.user == u].item.tolist() for u in some[:3]} | {"nobody": []}
        found = model.score_matrix(histories=lists)
        close(found[:3], model.score_matrix(some)[:3], 1e-6)
        assert np.isfinite(found).all() and np.abs(found[:3] - found[3]).max(1).min() > 1e-3
        stranger = model.predict("stranger", np.tile(model.item_ids_, 4), unknown="fallback")
        close(stranger[: found.shape[1]], found[3], 1e-6)
        first = model.recommend(histories=lists, k=3)
        assert set(first.user) == set(lists)
        for name, past in lists.items():
            assert not set(first[first.user == name].item) & set(past)
        # A sum has no order. More than max_length: the last count, and nothing breaks.
        long = model.item_ids_[:9].tolist()
        four = {"all": long, "last": long[-3:], "last, turned": long[:-4:-1], "other first": long[3:]}
        scores = model.score_matrix(histories=four)
        close(scores[1:], scores[:3], 1e-6)
        with pytest.raises(UnknownIdError, match="unknown item 123"):
            model.recommend(histories={"new": [70, 123]})


@pytest.mark.parametrize("make", [deep_fm, wide, din], ids=["DeepFM", "WideAndDeep", "DIN"])
def test_the_moment_is_read_where_a_person_is_unknown(make):
    """A stranger, or one with a history alone, at night and at noon; without a moment the field is 0."""
    model = trained(rt, make)
    items, hours = model.item_ids_[[2, 2, 2, 5]], pd.DataFrame({"hour": ["noon", "night", "dawn", "night"]})
    found = model.predict("stranger", items, context=hours, unknown="fallback")
    night = pd.DataFrame({"hour": ["noon", "night"]})
    # Whoever is known brings the same, and their own fields beside it.
    rows = model._fields.coded_rows(np.full(4, -1), model._item_index.codes(items), hours)
    assert (
        rows[1][:, model._fields.column_fields == model._spec.index("hour")].ravel() == [1, 1, 0, 1]
    ).all()
    close(found, model.predict("new", items, histories={"new": []}, context=hours), 1e-6)
    past = {"new": model.item_ids_[:3].tolist()}
    by_history = model.predict("new", items[:2], histories=past, context=night)
    assert np.abs(by_history - found[:2]).min() > 1e-4 and abs(by_history[0] - by_history[1]) > 1e-4
    # An item nobody knows: the history and the moment are read all the same.
    strange = model.predict("new", [-5, -5], histories=past, context=night, unknown="fallback")
    assert abs(strange[0] - strange[1]) > 1e-4
    assert abs(found[0] - found[1]) > 1e-4
    close(model.predict("stranger", items[2:3], unknown="fallback"), found[2:3], 1e-6)


def test_a_batch_brings_the_items_that_it_needs_alone():
    """A catalogue that is larger than a batch: `met` has one length, and the places in it are the items."""
    data = dataset(n_items=60, density=0.1)
    losses = []
    for wing in (rt, rk):
        model = din(wing, fields=("item",), batch_size=8, max_length=2, epochs=1).fit(data, progress=False)
        losses.append(model.history_[0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    train, rng = model._train, np.random.default_rng(0)
    examples = model._examples(train, rng)
    width = model._length(model._behaviours)
    seen = []
    for batch in model._batches(train, dict(examples), rng):
        assert batch["met"].shape == (8 * (width + 1),) and len(batch["met"]) < 61
        items, past = batch["met"][batch["item"]], batch["met"][batch["behaviours"]]
        assert set(batch["met"].tolist()) <= {*items.tolist(), *past.ravel().tolist(), 61}
        seen.append(np.column_stack([items, past]))
    found = np.vstack(seen)
    ends = model._behaviours.before
    codes = model._behaviours.padded(train.users, ends, width, len(model.item_ids_))
    expected = np.column_stack([train.items, codes])
    np.testing.assert_array_equal(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


@pytest.mark.parametrize("make", [deep_fm, din], ids=["DeepFM", "DIN"])
def test_histories_of_stars_are_refused_and_of_clicks_read(make):
    """Five stars are no click: read as "not 1" they would be an empty history."""
    model = of_items(rt, make)
    frame = pd.DataFrame({"user": "Ada", "item": model.item_ids_[:4], "rating": [5.0, 1.0, 4.0, 1.0]})
    with pytest.raises(ValueError, match="`histories` has the rating 5; .* reads 1 as liked"):
        model.recommend(histories=Interactions.from_frame(frame))
    clicks = Interactions.from_frame(frame.assign(rating=[0.0, 1.0, 0.0, 1.0]))
    plain = Interactions.from_frame(frame[["user", "item"]].iloc[[1, 3]])
    liked = {"Ada": model.item_ids_[[1, 3]].tolist()}
    for histories in (clicks, plain):
        np.testing.assert_array_equal(
            model.score_matrix(histories=histories), model.score_matrix(histories=liked)
        )


@WINGS
def test_attention_is_the_unit_of_the_scores_and_hangs_on_the_target(wing):
    model = din_of_items(wing)
    found = {n: np.asarray(v, float) for n, v in model.get_parameters().items()}
    past = model.item_ids_[[4, 1, 7]]
    unit = found["attention_kernel_1"], found["attention_bias_1"], found["attention_head"]
    weights = []
    for target in (0, 9):
        table = model.attention(past, model.item_ids_[target])
        assert table.item.tolist() == past.tolist()
        V = found["factors"]
        close(table.weight, [ctr.activation_unit(V[c], V[target], *unit) for c in (4, 1, 7)])
        weights.append(table.weight)
    assert np.abs(weights[0] - weights[1]).max() > 1e-3
    with pytest.raises(UnknownIdError, match="unknown item 5"):
        model.attention([5], 70)
    with pytest.raises(ValueError, match="`target` has 2 ids"):
        model.attention(past, past[:2])


def likes_what_came_before(n_users=300, seed=0) -> Dataset:
    """Two kinds of items; a person clicks on the kinds liked first, and the two rows to be told come last."""
    rng = np.random.default_rng(seed)
    rows = []
    for u in range(n_users):
        kind = rng.integers(0, 2)
        items = rng.permutation(40)[:10]
        rows += [(u, i, float(i % 2 == kind), t) for t, i in enumerate(items.tolist())]
    df = pd.DataFrame(rows, columns=["user", "item", "rating", "timestamp"])
    return Dataset(Interactions.from_frame(df))


@pytest.mark.parametrize("cls", [rt.DeepFM, rt.WideAndDeep, rt.DIN], ids=lambda cls: cls.__name__)
def test_the_history_alone_tells_what_no_field_tells(cls):
    """People never seen, items' ids alone: nothing but the history says which half of the items is liked."""
    settings = {"epochs": 8, "learning_rate": 0.01, "batch_size": 256, "device": "cpu"}
    if cls is not rt.DIN:
        settings |= {"epochs": 15, "reg": 1e-4}
    model = cls(fields=("item", "history"), **settings)
    model.fit(likes_what_came_before(), progress=False)
    pasts = {"even": [0, 2, 4, 6], "odd": [1, 3, 5, 7], "none": []}
    scores = pd.DataFrame(model.score_matrix(histories=pasts), list(pasts), model.item_ids_)
    rest = np.arange(8, 40)
    for name, own in (("even", rest % 2 == 0), ("odd", rest % 2 == 1)):
        assert scores.loc[name, rest[own]].min() > scores.loc[name, rest[~own]].max()
    # Without a history there is nothing to tell them by: half of the pairs stand right.
    truth = np.array([rest % 2 == 0, rest % 2 == 1]) * 1.0
    blind = np.tile(scores.loc["none", rest], (2, 1))
    assert expected_auc(truth, blind) == pytest.approx(0.5)


# ---------------------------------------------------------------- a history as a field


def test_a_history_shares_a_length_of_one():
    """Four items of ½; none is nothing, and twice the same item is twice its part."""
    assert ctr.history([2, 0, 3, 5], 6).tolist() == [0.5, 0, 0.5, 0.5, 0, 0.5]
    assert ctr.history([], 3).tolist() == [0, 0, 0]
    close(ctr.history([1, 1], 2), [0, np.sqrt(2)], 1e-12)


@pytest.mark.parametrize("make", [deep_fm, wide], ids=["DeepFM", "WideAndDeep"])
def test_rows_of_training_hold_what_was_liked_strictly_earlier(make):
    """Every row of an epoch, against a loop: shares of the last three likes, and the other fields untouched."""
    model = make(rt, max_length=3, epochs=1, fields=("user", "history", "hour")).fit(
        dataset(), progress=False
    )
    train, rng = model._train, np.random.default_rng(0)
    batches = model._batches(train, model._examples(train, rng), rng)
    n = len(model.item_ids_) + model._fields.n_features
    found = np.vstack([dense(batch["index"], batch["value"], n) for batch in batches])
    rows = model._rows(train)
    expected = rows_read(model, rows["index"], rows["value"], slow_before(train, 3))
    assert (expected[:, : len(model.item_ids_)] > 0).sum(1).max() == 3
    close(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)], 1e-6)


@pytest.mark.parametrize("make", [deep_fm, wide], ids=["DeepFM", "WideAndDeep"])
def test_what_happens_at_one_time_is_in_nobodys_history(make):
    """Where all of a person's rows have one time, no history is ever read: its weights stay where they started."""
    frame = dataset().interactions.to_frame()
    n = frame.item.nunique()
    for times, moved in ((frame.user, False), (frame.index, True)):
        data = Interactions.from_frame(frame.assign(timestamp=times))
        model = make(rt, fields=("user", "item", "history"), **({"crosses": ()} if make is wide else {}))
        model.fit(data, progress=False)
        start = model._start(model._train, np.random.default_rng(model.seed))
        for name, values in model.get_parameters().items():
            if name in ("weights", "factors"):
                assert np.array_equal(values[:n], start[name][:n]) != moved


def test_what_comes_later_changes_no_earlier_row():
    """Other clicks at the end of the log, and all rows before them read as they did."""
    frame = dataset().interactions.to_frame().sort_values("timestamp", kind="stable", ignore_index=True)
    last = frame.timestamp == frame.timestamp.max()
    found = []
    for rating in (frame.rating, frame.rating.where(~last, 1 - frame.rating)):
        data = Interactions.from_frame(frame.assign(rating=rating)[["user", "item", "rating", "timestamp"]])
        model = deep_fm(rt, fields=("item", "history"), batch_size=None).fit(data, progress=False)
        train, rng = model._train, np.random.default_rng(0)
        found.append(next(model._batches(train, model._examples(train, rng), rng)))
    assert (found[0]["target"] != found[1]["target"]).sum() == last.sum() > 5
    np.testing.assert_array_equal(found[0]["index"], found[1]["index"])
    np.testing.assert_array_equal(found[0]["value"], found[1]["value"])


@pytest.mark.parametrize("make", [deep_fm, wide], ids=["DeepFM", "WideAndDeep"])
def test_fields_without_history_read_none_and_say_so(make, tmp_path):
    model = make(rt, fields=("item", "items.genres")).fit(dataset(), progress=False)
    with pytest.raises(NotSupportedError, match=r"`fields` are \('item', 'items.genres'\); add 'history'"):
        model.recommend(histories={"new": [70, 69]})
    model.save(tmp_path / "model.npz", include_history=False)  # nothing of it is read
    loaded = type(model).load(tmp_path / "model.npz", device="cpu")
    np.testing.assert_array_equal(loaded.score_matrix(), model.score_matrix())
    for fields, culprit in (
        (("history",), "'history' alone"),
        (("item", "item*history"), "crosses 'history'"),
    ):
        with pytest.raises(ValueError, match=culprit):
            make(rt, fields=fields, **({"crosses": ()} if make is wide else {})).fit(
                dataset(), progress=False
            )


@pytest.mark.parametrize("make", [deep_fm, wide], ids=["DeepFM", "WideAndDeep"])
def test_a_file_keeps_the_history_field(make, tmp_path):
    """What was liked in train, and how it is ordered, is part of the model; of items without clicks too."""
    model = of_items(rt, make)
    model.save(tmp_path / "model.npz")
    loaded = type(model).load(tmp_path / "model.npz", device="cpu")
    past = {"new": [7, 70], "other": []}
    for asked in ({}, {"histories": past}):
        np.testing.assert_array_equal(loaded.score_matrix(**asked), model.score_matrix(**asked))
    with pytest.raises(NotSupportedError, match="include_history=False"):
        model.save(tmp_path / "none.npz", include_history=False)


# ---------------------------------------------------------------- Dice and the batch


def test_a_chance_does_not_hang_on_who_else_is_asked_for():
    """The trap of batch statistics: a pair's chance must be the same alone and among others."""
    x = Interactions.from_frame(frame_of(trained(rt, din))).take(np.arange(40))
    context = pd.DataFrame({"hour": ["noon"] * len(x)})
    for wing in (rt, rk):
        model = trained(wing, din)
        together = model.predict(x.users, x.items, context=context)
        alone = [model.predict(x.users[k], x.items[k], context=context[:1]).item() for k in range(5)]
        close(together[:5], alone, 1e-6)


# ---------------------------------------------------------------- bad input, files


def test_bad_hyper_parameters_are_refused():
    data = dataset()
    for wing in (rt, rk):
        for make, changes, culprit in (
            (deep_fm, {"factors": 0}, "`factors`"),
            (deep_fm, {"layers": 5}, "`layers`"),
            (deep_fm, {"reg_layers": -1}, "`reg_layers`"),
            (deep_fm, {"init_scale": 0}, "`init_scale`"),
            (wide, {"crosses": ("item",)}, "`crosses`"),
            (wide, {"crosses": CROSS}, "`crosses`"),
            (wide, {"crosses": ("users.town*items.price",)}, "items.price"),
            (din, {"max_length": 0}, "`max_length`"),
            (wide, {"max_length": 0}, "`max_length`"),
            (din, {"attention_layers": (0,)}, "`attention_layers`"),
        ):
            with pytest.raises(ValueError, match=re.escape(culprit)):
                make(wing, **changes).fit(data, progress=False)


@WINGS
def test_ratings_that_are_no_clicks_are_refused(wing):
    frame = dataset().interactions.to_frame()
    data = Dataset(Interactions.from_frame(frame.assign(rating=frame.rating + 1)))
    for make in (deep_fm, wide, din):
        with pytest.raises(ValueError, match="is no binary target"):
            make(wing).fit(data, progress=False)


def test_without_timestamps_the_order_of_the_rows_is_that_of_time():
    frame = dataset(times=False).interactions.to_frame()
    plain = Dataset(Interactions.from_frame(frame))
    timed = Dataset(Interactions.from_frame(frame.assign(timestamp=np.arange(len(frame)))))
    with pytest.warns(UserWarning, match="DIN learns from the order of events.*the order of the table"):
        one = din(rt, fields=("item",)).fit(plain, progress=False)
    other = din(rt, fields=("item",)).fit(timed, progress=False)
    np.testing.assert_array_equal(one.score_matrix(), other.score_matrix())


def test_a_file_keeps_the_order_of_time_and_refuses_another(tmp_path):
    model = din(rt, fields=("item",), max_length=2).fit(dataset(), progress=False)
    model.save(tmp_path / "model.npz")
    loaded = rt.DIN.load(tmp_path / "model.npz", device="cpu")
    np.testing.assert_array_equal(loaded.score_matrix(), model.score_matrix())
    model._behaviours.order = model._behaviours.order[::-1]
    model.save(tmp_path / "broken.npz")
    with pytest.raises(FileFormatError, match="time_order"):
        rt.DIN.load(tmp_path / "broken.npz", device="cpu")


@pytest.mark.parametrize(
    "wing, make",
    [(rt, deep_fm), (rt, wide), (rt, din), (rk, din)],
    ids=["DeepFM", "WideAndDeep", "DIN", "DIN, Keras"],
)
def test_patience_keeps_the_best_epoch(wing, make):
    data = dataset(n_users=40, n_items=20)
    rows = np.arange(len(data.interactions)) % 4 == 0
    train, watched = data.take(~rows), data.take(rows).interactions
    model = make(wing, epochs=30, patience=2, learning_rate=0.05).fit(train, watched, progress=False)
    measured = [epoch["validation_loss"] for epoch in model.history_]
    assert len(measured) < 30 and np.argmin(measured) == len(measured) - 3
    context = pd.DataFrame({"hour": watched.extra["hour"]})
    p = model.predict(watched.users, watched.items, context=context).astype(float)
    y = watched.ratings
    assert -(y * np.log(p) + (1 - y) * np.log1p(-p)).mean() == pytest.approx(min(measured), abs=1e-6)


def test_a_machine_is_told_from_its_network_by_the_formula():
    """The parts of equation (ctr-deepfm) add up: the identity of factorisation machines, and the network."""
    rng = np.random.default_rng(3)
    x, V, w = rng.normal(size=5), rng.normal(size=(5, 2)), rng.normal(size=5)
    field_of, kernel, head = np.array([0, 0, 1, 1, 2]), rng.normal(size=(6, 3)), rng.normal(size=3)
    whole = ctr.deep_fm(x, 0.3, w, V, field_of, [kernel], [np.zeros(3)], head)
    without = ctr.deep_fm(x, 0.3, w, V, field_of, [kernel], [np.zeros(3)], 0 * head)
    assert without == pytest.approx(fm.machine(x, 0.3, w, V))
    assert whole - without == pytest.approx(
        ctr.network(ctr.pooled(x, V, field_of).ravel(), [kernel], [np.zeros(3)], head)
    )


@pytest.mark.parametrize(
    "exercise", [checks.history, checks.interest, checks.dice], ids=lambda exercise: exercise.__name__
)
def test_each_mistake_in_an_exercise_gets_its_own_hint(exercise, monkeypatch, capsys):
    each_gives_its_own_hint(checks, exercise, monkeypatch, capsys)

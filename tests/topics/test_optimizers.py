"""Optimisers: the formulas against torch.optim and keras.optimizers step by step, and both wings' own against them."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import recbook.keras as rk
import recbook.torch as rt
from recbook.checks import optimizers as checks
from recbook.errors import DivergedError
from recbook.formulas import optimizers as formulas
from recbook.keras import _backend as backend
from recbook.keras import optimizers as keras_optimizers
from recbook.shared import _training as training
from recbook.splits import random_split
from recbook.torch import optimizers as torch_optimizers
from recbook.worlds import make_low_rank
from tests.helpers.bad_inputs import refuses
from tests.helpers.known_mistakes import each_gives_its_own_hint

STEPS = 25
START = np.array([1.5, -0.25, 3.0, 0.0])
GRADIENTS = np.random.default_rng(11).normal(size=(STEPS, 4)) * np.array([1.0, 10.0, 0.01, 1.0])
GRADIENTS[:3, 3] = 0.0  # one entry without a gradient at first, as an id that no batch has had yet
# Exact in float32, so that a library that keeps them in float32 has the same numbers.
LR, MU, RHO, B1, B2, WD, EPS = 0.125, 0.875, 0.75, 0.75, 0.984375, 0.25, 2.0**-20


def path_of_formula(step, start=START, gradients=GRADIENTS, **arguments) -> np.ndarray:
    return formulas.descend(step, lambda theta, t: gradients[t], start, len(gradients), **arguments)


def path_of_torch(
    optimizer_class, start=START, gradients=GRADIENTS, dtype=torch.float64, **arguments
) -> np.ndarray:
    theta = torch.tensor(start, dtype=dtype, requires_grad=True)
    optimizer = optimizer_class([theta], **arguments)
    path = [theta.detach().numpy().copy()]
    for gradient in gradients:
        theta.grad = torch.tensor(gradient, dtype=dtype)
        optimizer.step()
        path.append(theta.detach().numpy().copy())
    return np.array(path)


def path_of_keras(optimizer, start=START, gradients=GRADIENTS, dtype="float64") -> np.ndarray:
    with backend.float64():
        theta = keras.Variable(np.asarray(start), dtype=dtype)
        path = [np.asarray(keras.ops.convert_to_numpy(theta.value))]
        for gradient in gradients:
            optimizer.apply([keras.ops.convert_to_tensor(np.asarray(gradient, dtype))], [theta])
            path.append(np.array(keras.ops.convert_to_numpy(theta.value)))
    return np.array(path)


def exact(found, expected) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


# ---------------------------------------------------------------- by hand


def test_two_steps_of_each_by_hand():
    """θ = 1, gradients 2 and 1, η = 0.1."""
    g = np.array([[2.0], [1.0]])
    one = np.ones(1)

    def path(step, **arguments):
        return path_of_formula(step, one, g, learning_rate=0.1, **arguments)[1:, 0]

    exact(path(formulas.gradient_descent), [0.8, 0.7])
    exact(path(formulas.momentum, momentum=0.5), [0.8, 0.8 - 0.1 * (0.5 * 2 + 1)])
    exact(path(formulas.momentum, momentum=0.5, nesterov=True), [1 - 0.1 * 3, 0.7 - 0.1 * (1 + 0.5 * 2)])
    exact(path(formulas.adagrad, epsilon=0.0), [0.9, 0.9 - 0.1 / math.sqrt(5)])
    a1, a2 = 0.1 * 4, 0.9 * 0.1 * 4 + 0.1
    exact(
        path(formulas.rmsprop, epsilon=0.0),
        [1 - 0.2 / math.sqrt(a1), 1 - 0.2 / math.sqrt(a1) - 0.1 / math.sqrt(a2)],
    )
    m2, v2 = (0.9 * 0.2 + 0.1) / (1 - 0.81), (0.999 * 0.004 + 0.001) / (1 - 0.999**2)
    exact(path(formulas.adam, epsilon=0.0), [0.9, 0.9 - 0.1 * m2 / math.sqrt(v2)])
    exact(path(formulas.adamw, epsilon=0.0, weight_decay=0.5)[0], 0.95 - 0.1)


def test_steps_change_neither_their_inputs_nor_the_state_they_got():
    for step in (formulas.momentum, formulas.adagrad, formulas.rmsprop, formulas.adam, formulas.adamw):
        theta = START.copy()
        _, state = step(theta, GRADIENTS[0])
        kept = {key: np.copy(value) for key, value in state.items()}
        first = step(theta, GRADIENTS[1], state)[0]
        exact(step(theta, GRADIENTS[1], state)[0], first)
        np.testing.assert_array_equal(theta, START)
        for key, value in kept.items():
            np.testing.assert_array_equal(state[key], value)


# ---------------------------------------------------------------- torch.optim


TORCH = {
    "gradient_descent": (torch.optim.SGD, {}, {}),
    "momentum": (torch.optim.SGD, {"momentum": MU}, {"momentum": MU}),
    "nesterov": (torch.optim.SGD, {"momentum": MU, "nesterov": True}, {"momentum": MU, "nesterov": True}),
    "adagrad": (torch.optim.Adagrad, {"eps": EPS}, {"epsilon": EPS}),
    "rmsprop": (torch.optim.RMSprop, {"alpha": RHO, "eps": EPS}, {"decay": RHO, "epsilon": EPS}),
    "adam": (
        torch.optim.Adam,
        {"betas": (B1, B2), "eps": EPS},
        {"beta_1": B1, "beta_2": B2, "epsilon": EPS},
    ),
    "adamw": (
        torch.optim.AdamW,
        {"betas": (B1, B2), "eps": EPS, "weight_decay": WD},
        {"beta_1": B1, "beta_2": B2, "epsilon": EPS, "weight_decay": WD},
    ),
}


def step_of(name: str):
    return getattr(formulas, "momentum" if name == "nesterov" else name)


@pytest.mark.parametrize("name", TORCH)
def test_torch_optim_takes_the_steps_of_the_formulas(name):
    optimizer, theirs, ours = TORCH[name]
    exact(path_of_torch(optimizer, lr=LR, **theirs), path_of_formula(step_of(name), learning_rate=LR, **ours))


def test_torch_optim_defaults_are_those_of_the_formulas_but_for_rmsprop():
    """The defaults that readers meet; betas that float64 cannot hold exactly are held alike by both."""
    pairs = [
        (torch.optim.Adagrad, formulas.adagrad, {}),
        (torch.optim.RMSprop, formulas.rmsprop, {"decay": 0.99}),  # Keras' is 0.9
        (torch.optim.Adam, formulas.adam, {}),
        (torch.optim.AdamW, formulas.adamw, {}),
    ]
    for optimizer, step, arguments in pairs:
        exact(path_of_torch(optimizer, lr=LR), path_of_formula(step, learning_rate=LR, **arguments))


# ---------------------------------------------------------------- keras.optimizers


@pytest.mark.backends
def test_keras_sgd_and_momentum_take_the_steps_of_the_formulas_while_the_rate_stands_still():
    exact(
        path_of_keras(keras.optimizers.SGD(LR)), path_of_formula(formulas.gradient_descent, learning_rate=LR)
    )
    for nesterov in (False, True):
        exact(
            path_of_keras(keras.optimizers.SGD(LR, momentum=MU, nesterov=nesterov)),
            path_of_formula(formulas.momentum, learning_rate=LR, momentum=MU, nesterov=nesterov),
        )


@pytest.mark.backends
def test_momentum_conventions_part_where_the_rate_changes():
    """torch sums gradients and takes today's rate for all; Keras sums displacements, each at the rate of its day."""
    rates = [LR, LR / 2]
    v = MU * GRADIENTS[0] + GRADIENTS[1]
    by_torch = START - rates[0] * GRADIENTS[0] - rates[1] * v
    by_keras = START - rates[0] * GRADIENTS[0] - (MU * rates[0] * GRADIENTS[0] + rates[1] * GRADIENTS[1])
    theta = torch.tensor(START, requires_grad=True)
    optimizer = torch.optim.SGD([theta], lr=rates[0], momentum=MU)
    with backend.float64():
        variable = keras.Variable(START, dtype="float64")
        other = keras.optimizers.SGD(rates[0], momentum=MU)
        for rate, gradient in zip(rates, GRADIENTS, strict=False):
            optimizer.param_groups[0]["lr"] = other.learning_rate = rate
            theta.grad = torch.tensor(gradient)
            optimizer.step()
            other.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        exact(theta.detach().numpy(), by_torch)
        exact(keras.ops.convert_to_numpy(variable.value), by_keras)
    assert np.abs(by_torch - by_keras).max() > 0.01


@pytest.mark.backends
def test_keras_adagrad_starts_at_a_tenth_and_has_its_epsilon_under_the_root():
    # Under the root it is a larger start: the formula without an epsilon, begun at 0.1 + ε.
    exact(
        path_of_keras(keras.optimizers.Adagrad(LR, initial_accumulator_value=0.125, epsilon=EPS)),
        path_of_formula(formulas.adagrad, learning_rate=LR, epsilon=0.0, initial_accumulator=0.125 + EPS),
    )
    default = path_of_keras(keras.optimizers.Adagrad(LR))
    ours = path_of_formula(formulas.adagrad, learning_rate=LR)
    assert (
        abs(default[1, 2] - ours[1, 2]) > 0.1
    )  # a small gradient: ours moves by η at first, Keras' by a thirtieth
    np.testing.assert_allclose(
        default, path_of_formula(formulas.adagrad, learning_rate=LR, epsilon=0.0, initial_accumulator=0.1 + 1e-7),
        atol=1e-7,
    )  # fmt: skip


@pytest.mark.backends
def test_keras_rmsprop_has_its_epsilon_under_the_root():
    found = path_of_keras(keras.optimizers.RMSprop(LR, rho=RHO, epsilon=EPS))
    a, theta = np.zeros(4), START
    for t, g in enumerate(GRADIENTS):
        a = RHO * a + (1 - RHO) * g**2
        theta = theta - LR * g / np.sqrt(a + EPS)
        exact(found[t + 1], theta)
    # √(a + ε) and √a + ε part where gradients are small: √ε is a thousand times ε here.
    ours = path_of_formula(formulas.rmsprop, learning_rate=LR, decay=RHO, epsilon=EPS)
    assert np.abs(found - ours)[:, 2].max() > 1e-3
    # With next to no epsilon they are one.
    tiny = path_of_keras(keras.optimizers.RMSprop(LR, rho=RHO, epsilon=1e-30))
    np.testing.assert_allclose(
        tiny, path_of_formula(formulas.rmsprop, learning_rate=LR, decay=RHO, epsilon=1e-15)
    )


def keras_adam_by_formula(gradients: np.ndarray, weight_decay: float = 0.0) -> np.ndarray:
    """Keras adds ε before the bias is corrected: Adam with an epsilon of ε / √(1 - β₂ᵗ) in step t."""
    path, state = [START], None
    for t, g in enumerate(gradients, start=1):
        theta, state = formulas.adamw(
            path[-1], g, state, LR, weight_decay, B1, B2, epsilon=EPS / math.sqrt(1 - B2**t)
        )
        path.append(theta)
    return np.array(path)


@pytest.mark.backends
def test_keras_adam_adds_its_epsilon_before_the_correction():
    found = path_of_keras(keras.optimizers.Adam(LR, beta_1=B1, beta_2=B2, epsilon=EPS))
    exact(found, keras_adam_by_formula(GRADIENTS))
    arguments = {"learning_rate": LR, "beta_1": B1, "beta_2": B2}
    ours = path_of_formula(formulas.adam, epsilon=EPS, **arguments)
    assert np.abs(found - ours).max() > 1e-6
    tiny = path_of_keras(keras.optimizers.Adam(LR, beta_1=B1, beta_2=B2, epsilon=2.0**-60))
    np.testing.assert_allclose(
        tiny, path_of_formula(formulas.adam, epsilon=2.0**-60, **arguments), rtol=1e-10
    )


@pytest.mark.backends
def test_weight_decay_is_decoupled_in_both_adamw_and_means_two_things_in_adam():
    found = path_of_keras(keras.optimizers.AdamW(LR, weight_decay=WD, beta_1=B1, beta_2=B2, epsilon=EPS))
    exact(found, keras_adam_by_formula(GRADIENTS, WD))
    # keras.optimizers.Adam(weight_decay=) is AdamW; torch.optim.Adam(weight_decay=) adds λθ to the gradient.
    exact(
        path_of_keras(keras.optimizers.Adam(LR, weight_decay=WD, beta_1=B1, beta_2=B2, epsilon=EPS)),
        keras_adam_by_formula(GRADIENTS, WD),
    )
    coupled = path_of_torch(torch.optim.Adam, lr=LR, betas=(B1, B2), eps=EPS, weight_decay=WD)
    by_formula = formulas.descend(
        lambda theta, g, state: formulas.adam(theta, g + WD * theta, state, LR, B1, B2, EPS),
        lambda theta, t: GRADIENTS[t],
        START,
        STEPS,
    )
    exact(coupled, by_formula)
    decoupled = path_of_torch(torch.optim.AdamW, lr=LR, betas=(B1, B2), eps=EPS, weight_decay=WD)
    assert np.abs(coupled - decoupled).max() > 0.1


# ---------------------------------------------------------------- the wings' own


OWN = {
    "sgd": (formulas.gradient_descent, {}),
    "momentum": (formulas.momentum, {"momentum": training.MOMENTUM}),
    "adagrad": (formulas.adagrad, {"epsilon": training.EPSILON}),
    "rmsprop": (formulas.rmsprop, {"decay": training.DECAY, "epsilon": training.EPSILON}),
    "adam": (
        formulas.adam,
        {"beta_1": training.BETAS[0], "beta_2": training.BETAS[1], "epsilon": training.EPSILON},
    ),
    "adamw": (
        formulas.adamw,
        {
            "beta_1": training.BETAS[0],
            "beta_2": training.BETAS[1],
            "epsilon": training.EPSILON,
            "weight_decay": training.WEIGHT_DECAY,
        },
    ),
}


def test_every_optimiser_of_the_wings_is_held_to_its_formula():
    assert set(OWN) == set(training.OPTIMIZERS)


@pytest.mark.backends
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-7), ("float32", 3e-6)])
@pytest.mark.parametrize("name", OWN)
def test_both_wings_take_the_steps_of_the_formula(name, dtype, tolerance):
    step, arguments = OWN[name]
    gradients = GRADIENTS.astype(dtype).astype(float)
    expected = path_of_formula(step, gradients=gradients, learning_rate=LR, **arguments)
    by_torch = path_of_torch(
        lambda parameters, lr: torch_optimizers.make_optimizer(name, parameters, lr),
        gradients=gradients,
        dtype=getattr(torch, dtype),
        lr=LR,
    )
    by_keras = path_of_keras(keras_optimizers.make_optimizer(name, LR), gradients=gradients, dtype=dtype)
    scale = np.abs(expected).max(axis=0)
    # Keras on torch takes a number times a Variable of float64 through float32.
    if keras.backend.backend() == "torch":
        tolerance = max(tolerance, 1e-6)
    assert (np.abs(by_torch - expected) <= tolerance * scale).all()
    assert (np.abs(by_keras - expected) <= tolerance * scale).all()


# ---------------------------------------------------------------- back-propagation


def net(seed: int = 0, n: int = 12, inputs: int = 3, hidden: int = 4):
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, inputs)), rng.normal(size=n)
    shapes = [(inputs, hidden), (hidden,), (hidden, 1), (1,)]
    return X, y, [rng.normal(size=shape) for shape in shapes]


def loss_of(X, y, parameters) -> float:
    return float(np.mean((formulas.forward(X, *parameters)[1] - y) ** 2))


def numeric(X, y, parameters) -> list[np.ndarray]:
    def with_one(place, values):
        return [values if other == place else p for other, p in enumerate(parameters)]

    return [
        formulas.finite_differences(
            lambda v, place=place: loss_of(X, y, with_one(place, v)), parameters[place]
        )
        for place in range(4)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_backward_by_finite_differences(seed):
    X, y, parameters = net(seed)
    for found, expected in zip(formulas.backward(X, y, *parameters), numeric(X, y, parameters), strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-8)


def by_torch(X, y, parameters) -> list[np.ndarray]:
    leaves = [torch.tensor(p, requires_grad=True) for p in parameters]
    W1, b1, W2, b2 = leaves
    prediction = (torch.tanh(torch.tensor(X) @ W1 + b1) @ W2 + b2)[:, 0]
    torch.square(prediction - torch.tensor(y)).mean().backward()
    return [leaf.grad.numpy() for leaf in leaves]


def by_keras(X, y, parameters) -> list[np.ndarray]:
    """From one step of learning rate 1 of a Keras model, on whatever backend: its loss, its graph, its gradients."""
    with backend.float64():
        n, inputs = X.shape
        model = keras.Sequential([
            keras.Input((inputs,)),
            keras.layers.Dense(parameters[0].shape[1], activation="tanh", dtype="float64"),
            keras.layers.Dense(1, dtype="float64"),
        ])  # fmt: skip
        model.set_weights(parameters)
        model.compile(optimizer=keras.optimizers.SGD(1.0), loss=lambda y, p: keras.ops.sum((y - p) ** 2) / n)
        model.fit(X, y[:, None], batch_size=n, epochs=1, verbose=0)
        return [before - after for before, after in zip(parameters, model.get_weights(), strict=True)]


def test_f43_backpropagation_by_hand_torch_and_finite_differences_agree():
    X, y, parameters = net()
    found = formulas.backward(X, y, *parameters)
    for one, other in zip(found, by_torch(X, y, parameters), strict=True):
        exact(one, other)
    # One sample, in the documents' notation: δ of a layer, and weights that are out × in.
    x, target = X[0], y[0]
    W1, b1, W2, b2 = parameters
    W1, W2 = W1.T, W2.T
    h = np.tanh(W1 @ x + b1)
    delta2 = 2 * (W2 @ h + b2 - target)
    delta1 = (W2.T @ delta2) * (1 - h**2)
    one_row = formulas.backward(X[:1], y[:1], *parameters)
    exact(np.outer(delta1, x), one_row[0].T)
    exact(np.outer(delta2, h), one_row[2].T)
    # It only computes: the parameters are as they were. Using the gradients is the optimiser's part.
    for p, same in zip(parameters, net()[2], strict=True):
        np.testing.assert_array_equal(p, same)


@pytest.mark.backends
def test_f43_backpropagation_by_keras_agrees():
    X, y, parameters = net()
    for one, other in zip(formulas.backward(X, y, *parameters), by_keras(X, y, parameters), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)  # Keras feeds its losses in float32


def test_a46_without_a_nonlinear_layer_a_net_is_one_matrix_and_zero_weights_do_not_learn():
    X, y, (W1, b1, W2, b2) = net()
    linear = X @ (W1 @ W2) + (b1 @ W2 + b2)
    np.testing.assert_allclose((X @ W1 + b1) @ W2 + b2, linear)
    # Equal hidden units get equal gradients and stay equal; from zero the first layer gets none at all.
    same = [np.full_like(p, 0.3) for p in (W1, b1, W2, b2)]
    gradient = formulas.backward(X, y, *same)[0]
    np.testing.assert_allclose(gradient, np.tile(gradient[:, :1], (1, 4)), atol=1e-15)
    nothing = [np.zeros_like(p) for p in (W1, b1, W2, b2)]
    assert not formulas.backward(X, y, *nothing)[0].any()
    # The output layer gives scores, one a row; a list is made of them by ranking.
    scores = formulas.forward(X, W1, b1, W2, b2)[1]
    assert scores.shape == (12,) and np.argsort(-scores).shape == (12,)


def test_c26_a_unit_is_a_weighted_sum_and_a_squashing_and_its_signals_run_backwards_through_the_same_weights():
    """What separates it from a nerve cell: the exact transpose of the weights carries errors back."""
    X, y, (W1, b1, W2, b2) = net()
    H, prediction = formulas.forward(X, W1, b1, W2, b2)
    unit = [math.tanh(sum(X[0, i] * W1[i, 0] for i in range(3)) + b1[0])]
    assert unit[0] == pytest.approx(H[0, 0])
    delta2 = (2 * (prediction - y) / len(y))[:, None]
    other = np.random.default_rng(5).normal(size=W2.shape)
    wrong = X.T @ ((delta2 @ other.T) * (1 - H**2))
    assert np.abs(wrong - numeric(X, y, [W1, b1, W2, b2])[0]).max() > 0.1


# ---------------------------------------------------------------- what the documents say


def quadratic(curvatures):
    return lambda theta, t: np.asarray(curvatures) * theta


def test_f06_gradient_descent_contracts_below_two_over_the_curvature_and_diverges_above():
    start = np.array([1.0, 1.0])
    curvatures = np.array([1.0, 10.0])
    for rate, falls in ((0.05, True), (0.19, True), (0.21, False)):
        path = formulas.descend(
            formulas.gradient_descent, quadratic(curvatures), start, 200, learning_rate=rate
        )
        exact(path[1], start * (1 - rate * curvatures))
        assert (np.abs(path[-1, 1]) < 1) == falls
    assert np.abs(path[-1]).max() > 1e6


def test_f06_a_batch_gives_the_gradient_on_average():
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(12, 3)), rng.normal(size=12), rng.normal(size=3)
    each = 2 * (X @ w - y)[:, None] * X
    batches = rng.permutation(12).reshape(4, 3)
    means = np.array([each[rows].mean(axis=0) for rows in batches])
    exact(means.mean(axis=0), each.mean(axis=0))  # the batches of an epoch
    drawn = rng.integers(12, size=(40_000, 3))
    found = each[drawn].mean(axis=1)
    error = found.std(axis=0) / math.sqrt(len(drawn))
    assert (np.abs(found.mean(axis=0) - each.mean(axis=0)) < 5 * error).all()
    # Its spread falls as one over the root of the batch.
    nine = each[rng.integers(12, size=(40_000, 27))].mean(axis=1)
    np.testing.assert_allclose(found.std(axis=0) / nine.std(axis=0), 3, rtol=0.05)


def test_f44_adagrads_epsilon_inside_or_outside_matters_for_small_gradients_only():
    def printed(g, epsilon):
        return g / math.sqrt(g**2 + epsilon)

    for g, apart in ((1.0, False), (1e-5, True)):
        ours = -formulas.adagrad(np.zeros(1), np.array([g]), learning_rate=1.0, epsilon=1e-7)[0][0]
        assert (abs(ours - printed(g, 1e-7)) > 0.5) == apart
    # Adam's first step, by the corrections, is η whatever the size of the gradient; without them it is not.
    for g in (1e-3, 1.0, 1e3):
        moved = -formulas.adam(np.zeros(1), np.array([g]), learning_rate=0.1)[0][0]
        assert moved == pytest.approx(0.1, rel=1e-4)
        uncorrected = 0.1 * (0.1 * g) / (math.sqrt(0.001 * g**2) + 1e-8)
        assert uncorrected == pytest.approx(0.316, abs=2e-3)


def test_a41_each_optimiser_finds_the_minimum_of_a_valley():
    curvatures, start = np.array([1.0, 25.0]), np.array([-4.0, 1.0])
    runs = {
        formulas.gradient_descent: {"learning_rate": 0.07},
        formulas.momentum: {"learning_rate": 0.03, "momentum": 0.8},
        formulas.adagrad: {"learning_rate": 1.0},
        formulas.adam: {"learning_rate": 0.1},
    }
    for step, arguments in runs.items():
        path = formulas.descend(step, quadratic(curvatures), start, 500, **arguments)
        assert np.abs(path[-1]).max() < 1e-3, step.__name__
    # RMSProp's step does not shrink with the gradient: at a constant rate it ends in a small circle, not a point.
    path = formulas.descend(formulas.rmsprop, quadratic(curvatures), start, 500, learning_rate=0.05)
    assert 1e-3 < np.abs(path[-20:]).max() < 0.1


def test_c24_sgd_at_a_constant_rate_stays_in_a_cloud_that_shrinks_with_the_rate():
    rng = np.random.default_rng(0)
    y = rng.normal(3.0, 1.0, 500)

    def gradient(theta, t):
        return 2 * (theta - y[rng.integers(500, size=1)])

    spread = []
    for rate in (0.1, 0.01):
        path = formulas.descend(
            formulas.gradient_descent, gradient, np.array([3.0]), 20_000, learning_rate=rate
        )[2000:]
        assert path.mean() == pytest.approx(y.mean(), abs=0.05)
        spread.append(path.std())
    # Var = η/(2 - 2η) · (2σ)²/2 for this loss: the ratio of spreads is that of √(η/(1-η)).
    assert spread[0] / spread[1] == pytest.approx(math.sqrt((0.1 / 0.9) / (0.01 / 0.99)), rel=0.15)


def test_p19_rare_parameters_move_further_under_adagrad_and_adam_than_under_sgd():
    """An id in one batch of a hundred: its gradients are as large when they come, and rare."""
    gradients = np.zeros((1000, 2))
    gradients[:, 0] = 1.0
    gradients[::100, 1] = 1.0

    def moved(step, **arguments):
        path = path_of_formula(step, np.zeros(2), gradients, learning_rate=0.01, **arguments)
        return path[-1, 1] / path[-1, 0]

    assert moved(formulas.gradient_descent) == pytest.approx(0.01)
    assert moved(formulas.adagrad) == pytest.approx(
        sum(1 / math.sqrt(k) for k in range(1, 11)) / sum(1 / math.sqrt(k) for k in range(1, 1001))
    )
    assert moved(formulas.adagrad) > 0.05
    # Rescaling the loss changes SGD's steps, and neither AdaGrad's nor Adam's.
    for step, same in ((formulas.gradient_descent, False), (formulas.adagrad, True), (formulas.adam, True)):
        one = path_of_formula(step, learning_rate=0.01, gradients=GRADIENTS)
        ten = path_of_formula(step, learning_rate=0.01, gradients=10 * GRADIENTS)
        assert np.allclose(one, ten, atol=1e-5) == same


@pytest.fixture(scope="module")
def world():
    return make_low_rank(n_users=80, n_items=60, rank=2, density=0.3, noise=0.5, seed=0)


@pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
def test_p14_a_loop_records_every_epoch_and_its_validation(wing, world):
    train, validation = random_split(world.data.interactions, test_size=0.25, seed=0)
    model = wing.MatrixFactorization(factors=4, epochs=6, seed=0, device="cpu").fit(
        train, validation, progress=False
    )
    assert [record["epoch"] for record in model.history_] == list(range(1, 7))
    losses = [record["loss"] for record in model.history_]
    assert losses[-1] < losses[0] and all(len(record) > 2 for record in model.history_)


@pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
def test_p15_the_recorded_loss_is_the_mean_of_the_epoch_not_of_its_last_batch(wing, world):
    """At a learning rate of next to nothing the parameters stand still: every epoch's mean is the data's own."""
    x = world.data.interactions
    tiny = wing.MatrixFactorization(
        factors=4,
        epochs=3,
        learning_rate=1e-12,
        batch_size=97,
        reg=0.0,
        seed=0,
        device="cpu",
        optimizer="sgd",
    ).fit(x, progress=False)
    # 97 does not divide the data: the last batch is smaller, and counts for as many as it has.
    assert len(x) % 97
    losses = np.array([record["loss"] for record in tiny.history_])
    np.testing.assert_allclose(losses, losses[0], rtol=1e-5)
    error = x.ratings - tiny.predict(x.users, x.items)
    np.testing.assert_allclose(losses[0], np.mean(error**2), rtol=1e-4)


@pytest.mark.parametrize("wing", [rt, rk], ids=["torch", "keras"])
def test_p15_a_rate_too_high_is_reported_with_its_epoch(wing, world):
    model = wing.MatrixFactorization(
        factors=4, epochs=20, learning_rate=1e4, optimizer="sgd", seed=0, device="cpu"
    )
    with pytest.raises(DivergedError, match=r"epoch \d+; lower `learning_rate`"):
        model.fit(world.data.interactions, progress=False)


# ---------------------------------------------------------------- properties and bad input


@settings(max_examples=50, deadline=None)
@given(arrays(float, 5, elements=st.floats(-100, 100)), st.floats(0.001, 1))
def test_no_gradient_no_move_and_every_step_goes_downhill(g, rate):
    theta = np.ones(5)
    for step in (
        formulas.gradient_descent,
        formulas.momentum,
        formulas.adagrad,
        formulas.rmsprop,
        formulas.adam,
    ):
        exact(step(theta, np.zeros(5), learning_rate=rate)[0], theta)
        exact(step(theta, np.zeros(5), learning_rate=rate, **({} if "momentum" in step.__name__ or "descent"
              in step.__name__ else {"epsilon": 0.0}))[0], theta)  # fmt: skip
        moved = step(theta, g, learning_rate=rate)[0] - theta
        assert (moved * g <= 0).all()


BAD = {
    "a gradient of another shape": (lambda: formulas.adam(np.ones(3), np.ones(2)), ("(3,)", "(2,)", "the same")),
    "NaN": (lambda: formulas.adagrad(np.ones(1), np.array([np.nan])), ("`gradient`", "learning rate")),
    "a negative rate": (
        lambda: formulas.gradient_descent(np.ones(1), np.ones(1), learning_rate=-1),
        ("`learning_rate` is -1", "at least 0"),
    ),
    "an infinite rate": (
        lambda: formulas.rmsprop(np.ones(1), np.ones(1), learning_rate=np.inf),
        ("`learning_rate` is inf",),
    ),
    "momentum 1": (lambda: formulas.momentum(np.ones(1), np.ones(1), momentum=1.0), ("`momentum` is 1.0", "up to")),
    "beta 1": (lambda: formulas.adam(np.ones(1), np.ones(1), beta_2=1.0), ("`beta_2` is 1.0",)),
    "a negative decay": (lambda: formulas.adamw(np.ones(1), np.ones(1), weight_decay=-0.1), ("`weight_decay`",)),
    "a negative start": (
        lambda: formulas.adagrad(np.ones(1), np.ones(1), initial_accumulator=-1.0),
        ("`initial_accumulator` is -1.0",),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_name_and_the_remedy(case):
    call, words = BAD[case]
    refuses(call, ValueError, words)


# ---------------------------------------------------------------- exercises


EXERCISES = [checks.early_stopping, checks.adam, checks.backward]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda f: f.__name__)
def test_each_known_mistake_gives_its_own_hint(exercise, monkeypatch, capsys):
    each_gives_its_own_hint(checks, exercise, monkeypatch, capsys)

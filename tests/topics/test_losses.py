"""Losses: formula = torch = keras in values and gradients, what each estimates, what the documents say of them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

import keras
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize_scalar
from sklearn.linear_model import ElasticNet, Ridge

import recbook.keras.losses as keras_losses
import recbook.torch.losses as torch_losses
from recbook.checks import losses as checks
from recbook.formulas import losses as formulas
from recbook.formulas.optimizers import adam, descend, finite_differences, gradient_descent
from recbook.keras import _backend as backend
from tests.helpers.bad_inputs import refuses
from tests.helpers.known_mistakes import each_gives_its_own_hint

N, M, C = 40, 7, 5


# ---------------------------------------------------------------- formula = torch = keras


@dataclass(frozen=True)
class Case:
    """Inputs of a function, and by which of them its gradient is taken."""

    inputs: dict
    by: tuple[str, ...]
    constants: dict = field(default_factory=dict)
    reduces: bool = True


def cases() -> dict[str, Case]:
    rng = np.random.default_rng(7)
    y, p = rng.normal(size=N) * 3, rng.normal(size=N) * 3
    labels, logits = rng.integers(0, 2, N).astype(float), rng.normal(size=N) * 9
    s, one, many = rng.normal(size=N), rng.normal(size=N), rng.normal(size=(N, M)) - 1
    log_q, log_qs = np.log(rng.random(N)), np.log(rng.random((N, M)))
    theta = rng.normal(size=(6, 3))
    pairs = {"positive": s, "negative": one}
    rows = {"positive": s, "negatives": many}
    number = {"target": y, "prediction": p}
    return {
        "squared": Case(number, ("prediction",)),
        "absolute": Case(number, ("prediction",)),
        "huber": Case(number, ("prediction",), {"delta": 1.3}),
        "binary_cross_entropy": Case({"target": labels, "logit": logits}, ("logit",)),
        "categorical_cross_entropy": Case(
            {"target": rng.integers(0, C, N), "logits": rng.normal(size=(N, C)) * 4}, ("logits",)
        ),
        "bpr": Case(pairs, ("positive", "negative")),
        "hinge": Case(pairs, ("positive", "negative"), {"margin": 0.7}),
        "warp_weight": Case({"trials": np.arange(1, 300)}, (), {"n_items": 201}, reduces=False),
        "warp": Case(rows, ("positive", "negatives"), {"n_items": 201, "margin": 0.7}),
        "softmax": Case(rows, ("positive", "negatives")),
        "sampled_softmax": Case(
            rows | {"log_q_positive": log_q, "log_q_negatives": log_qs}, ("positive", "negatives")
        ),
        "l1": Case({"parameter": theta}, ("parameter",), {"reg": 0.3}, reduces=False),
        "soft_threshold": Case({"parameter": theta}, (), {"threshold": 0.4}, reduces=False),
        "l2": Case({"parameter": theta}, ("parameter",), {"reg": 0.3}, reduces=False),
        "elastic_net": Case({"parameter": theta}, ("parameter",), {"reg": 0.3, "l1_ratio": 0.2}, reduces=False),
        "count_weighted_l2": Case(
            {"parameter": theta, "counts": rng.integers(0, 9, 6)}, ("parameter",), {"reg": 0.3}, reduces=False
        ),
    }  # fmt: skip


CASES = cases()
EACH = pytest.mark.parametrize("name", CASES)
GRADED = pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.by])
DTYPES = pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-6)])
WINGS = {"torch": torch_losses, "keras": keras_losses}
EACH_WING = pytest.mark.parametrize("wing", WINGS)


def public_functions(module) -> dict:
    found = inspect.getmembers(module, inspect.isfunction)
    return {name: f for name, f in found if f.__module__ == module.__name__ and not name.startswith("_")}


def test_both_wings_have_the_same_functions_and_each_has_its_formula_and_case():
    ours, theirs = map(public_functions, (torch_losses, keras_losses))
    assert ours.keys() == theirs.keys() == CASES.keys()
    for name in ours:
        arguments = [
            [(p.name, p.default) for p in inspect.signature(f).parameters.values()]
            for f in (ours[name], theirs[name], getattr(formulas, name))
        ]
        assert arguments[0] == arguments[1] == arguments[2], name
        assert ("reduction", "mean") in arguments[0] or not CASES[name].reduces
        assert ours[name].__doc__ and theirs[name].__doc__


def cast(inputs: dict, dtype: str) -> dict:
    """Floats in that dtype; classes and counts as they are. In float32 every room sees the rounded numbers."""
    return {k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in inputs.items()}


def to_numpy(value) -> np.ndarray:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def value_of(wing: str, name: str, inputs: dict, **arguments) -> np.ndarray:
    function = getattr(WINGS[wing], name)
    with backend.float64():
        tensor = torch.as_tensor if wing == "torch" else keras.ops.convert_to_tensor
        tensors = {key: array if key == "trials" else tensor(array) for key, array in inputs.items()}
        return to_numpy(function(**tensors, **arguments))


def gradient_of(wing: str, function, inputs: dict, by: tuple[str, ...]) -> tuple[np.ndarray, ...]:
    """∂ function(**inputs) / ∂ inputs[each of by], by the framework's own differentiation."""
    if wing == "torch" or keras.backend.backend() == "torch":
        leaves = {key: torch.tensor(array, requires_grad=key in by) for key, array in inputs.items()}
        function(**leaves).backward()
        return tuple(leaves[key].grad.numpy() for key in by)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tensors = {key: tf.convert_to_tensor(array) for key, array in inputs.items()}
        with tf.GradientTape() as tape:
            tape.watch([tensors[key] for key in by])
            value = function(**tensors)
        return tuple(
            tf.convert_to_tensor(g).numpy() for g in tape.gradient(value, [tensors[key] for key in by])
        )
    import jax

    with backend.float64():
        fixed = {key: jax.numpy.asarray(array) for key, array in inputs.items() if key not in by}
        moving = {key: jax.numpy.asarray(inputs[key]) for key in by}
        found = jax.grad(lambda m: function(**m, **fixed))(moving)
        return tuple(np.asarray(found[key]) for key in by)


def close(found, expected, tolerance: float) -> None:
    scale = max(1e-30, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.backends
@DTYPES
@EACH_WING
@EACH
def test_values_are_those_of_the_formula(name, wing, dtype, tolerance):
    case = CASES[name]
    inputs = cast(case.inputs, dtype)
    for reduction in ("mean", "sum", "none") if case.reduces else (None,):
        arguments = case.constants | ({"reduction": reduction} if reduction else {})
        found = value_of(wing, name, inputs, **arguments)
        assert str(found.dtype) == (dtype if name != "warp_weight" else "float64")
        close(found, getattr(formulas, name)(**inputs, **arguments), tolerance)


@pytest.mark.backends
@DTYPES
@EACH_WING
@GRADED
def test_gradients_are_those_of_the_formula(name, wing, dtype, tolerance):
    case = CASES[name]
    inputs = cast(case.inputs, dtype)
    expected = getattr(formulas, f"{name}_gradient")(**inputs, **case.constants)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for reduction in ("mean", "sum") if case.reduces else (None,):
        arguments = case.constants | ({"reduction": reduction} if reduction else {})

        def function(arguments=arguments, **tensors):
            return getattr(WINGS[wing], name)(**tensors, **arguments)

        found = gradient_of(wing, function, inputs, case.by)
        for one, other in zip(found, expected, strict=True):
            assert str(one.dtype) == dtype
            close(one, other / (N if reduction == "mean" else 1), tolerance)


@pytest.mark.backends
@EACH
def test_wings_equal_each_other(name):
    case = CASES[name]
    found = [value_of(wing, name, case.inputs, **case.constants) for wing in WINGS]
    close(found[0], found[1], 1e-12)


@GRADED
def test_gradients_of_the_formulas_by_finite_differences(name):
    case = CASES[name]
    arguments = case.constants | ({"reduction": "sum"} if case.reduces else {})
    expected = getattr(formulas, f"{name}_gradient")(**case.inputs, **case.constants)
    for key, gradient in zip(case.by, expected if isinstance(expected, tuple) else (expected,), strict=True):

        def function(moved, key=key):
            return getattr(formulas, name)(**(case.inputs | {key: moved}), **arguments)

        np.testing.assert_allclose(finite_differences(function, case.inputs[key]), gradient, atol=2e-6)


@pytest.mark.backends
def test_gradients_at_the_kinks_are_the_same_in_every_room():
    """|e| at 0, Huber at ±δ, the hinge where it closes: a subgradient has to be chosen, and is, the same one."""
    zero = np.zeros(3)
    at = {
        "absolute": ({"target": zero, "prediction": zero}, {}),
        "huber": ({"target": zero, "prediction": np.array([-1.0, 0.0, 1.0])}, {"delta": 1.0}),
        "hinge": ({"positive": zero + 1, "negative": zero}, {"margin": 1.0}),
        "warp": ({"positive": zero + 1, "negatives": np.zeros((3, 2))}, {"n_items": 9}),
        "l1": ({"parameter": zero}, {"reg": 0.5}),
    }
    for name, (inputs, constants) in at.items():
        expected = getattr(formulas, f"{name}_gradient")(**inputs, **constants)
        reduction = {"reduction": "sum"} if CASES[name].reduces else {}
        for wing, module in WINGS.items():
            found = gradient_of(
                wing,
                lambda m=module, n=name, a=constants | reduction, **tensors: getattr(m, n)(**tensors, **a),
                inputs,
                CASES[name].by,
            )
            for one, other in zip(
                found, expected if isinstance(expected, tuple) else (expected,), strict=True
            ):
                np.testing.assert_array_equal(one, other, err_msg=f"{name} {wing}")


# ---------------------------------------------------------------- large numbers


EXTREMES = np.array([-800.0, -40.0, -1e-9, 1e-9, 40.0, 800.0])


@pytest.mark.backends
@DTYPES
def test_losses_of_scores_are_exact_where_the_exponential_overflows(dtype, tolerance):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        label = np.array([1, 0, 1, 0, 1, 0.0])
        bce = formulas.binary_cross_entropy(label, EXTREMES, "none")
        np.testing.assert_allclose(bce[[0, 1, 4, 5]], [800, np.exp(-40.0), np.exp(-40.0), 800], rtol=1e-15)
        np.testing.assert_array_equal(formulas.bpr(EXTREMES, -EXTREMES, "none")[[0, -1]], [1600, 0])
        rows = np.stack([EXTREMES, -EXTREMES])
        target = np.array([0, 0])
        np.testing.assert_allclose(
            formulas.categorical_cross_entropy(target, rows, "none"), [1600, 0], atol=1e-12
        )
        np.testing.assert_allclose(formulas.softmax(rows[:, 0], rows[:, 1:], "none"), [1600, 0], atol=1e-12)
    for name, inputs in {
        "binary_cross_entropy": {"target": label, "logit": EXTREMES},
        "bpr": {"positive": EXTREMES, "negative": -EXTREMES},
        "categorical_cross_entropy": {"target": target, "logits": rows},
        "softmax": {"positive": rows[:, 0], "negatives": rows[:, 1:]},
    }.items():
        inputs = cast(inputs, dtype)
        values = getattr(formulas, name)(**inputs, reduction="none")
        gradients = getattr(formulas, f"{name}_gradient")(**inputs)
        for wing, module in WINGS.items():
            close(value_of(wing, name, inputs, reduction="none"), values, tolerance)
            found = gradient_of(
                wing,
                lambda m=module, n=name, **t: getattr(m, n)(**t, reduction="sum"),
                inputs,
                CASES[name].by,
            )
            for one, other in zip(
                found, gradients if isinstance(gradients, tuple) else (gradients,), strict=True
            ):
                close(one, other, tolerance)


def test_the_printed_cross_entropy_overflows_where_the_logit_form_does_not():
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        p = 1 / (1 + np.exp(-EXTREMES))
        printed = -(1.0 * np.log(p) + (1 - 1.0) * np.log(1 - p))
    assert np.isinf(printed[0]) and np.isnan(printed[-1])
    assert np.isfinite(formulas.binary_cross_entropy(np.ones(6), EXTREMES, "none")).all()


# ---------------------------------------------------------------- other people's libraries


def test_losses_are_those_of_pytorch_and_keras():
    t = torch.as_tensor
    f = torch.nn.functional
    number, label, classes = (
        CASES[name].inputs for name in ("squared", "binary_cross_entropy", "categorical_cross_entropy")
    )
    y, p = number["target"], number["prediction"]
    b, z = label["target"], label["logit"]
    c, zs = classes["target"], classes["logits"]
    pairs = [
        (formulas.squared(y, p), f.mse_loss(t(p), t(y)), keras.losses.MeanSquaredError()(y, p)),
        (formulas.absolute(y, p), f.l1_loss(t(p), t(y)), keras.losses.MeanAbsoluteError()(y, p)),
        (formulas.huber(y, p, 1.3), f.huber_loss(t(p), t(y), delta=1.3), keras.losses.Huber(delta=1.3)(y, p)),
        (
            formulas.binary_cross_entropy(b, z),
            f.binary_cross_entropy_with_logits(t(z), t(b)),
            keras.losses.BinaryCrossentropy(from_logits=True)(b, z),
        ),
        (
            formulas.categorical_cross_entropy(c, zs),
            f.cross_entropy(t(zs), t(c)),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True)(c, zs),
        ),
    ]
    for ours, theirs, keras_theirs in pairs:
        assert ours == pytest.approx(theirs.item(), rel=1e-12)
        assert ours == pytest.approx(float(keras_theirs), rel=1e-6)  # Keras' losses compute in float32


def test_two_classes_are_the_binary_case_and_all_negatives_the_categorical_one():
    label = CASES["binary_cross_entropy"].inputs
    two = np.column_stack([np.zeros(N), label["logit"]])
    np.testing.assert_allclose(
        formulas.categorical_cross_entropy(label["target"], two, "none"),
        formulas.binary_cross_entropy(label["target"], label["logit"], "none"),
        atol=1e-13,
    )
    c, z = CASES["categorical_cross_entropy"].inputs.values()
    rest = np.array([np.delete(row, own) for row, own in zip(z, c, strict=True)])
    np.testing.assert_allclose(
        formulas.softmax(z[np.arange(N), c], rest, "none"),
        formulas.categorical_cross_entropy(c, z, "none"),
        atol=1e-13,
    )
    pairs = CASES["bpr"].inputs
    np.testing.assert_allclose(
        formulas.softmax(pairs["positive"], pairs["negative"][:, None], "none"),
        formulas.bpr(**pairs, reduction="none"),
        atol=1e-13,
    )


# ---------------------------------------------------------------- what each loss estimates


FEW = np.array([5.0, 5, 4, 4, 4, 3, 1])


def best_constant(loss, y: np.ndarray, **arguments) -> float:
    found = minimize_scalar(lambda c: loss(y, np.full(len(y), c), **arguments), bounds=(0, 6), method="bounded",
                            options={"xatol": 1e-9})  # fmt: skip
    return found.x


def test_best_constants_are_mean_median_and_share():
    assert best_constant(formulas.squared, FEW) == pytest.approx(FEW.mean(), abs=1e-6)
    assert best_constant(formulas.absolute, FEW) == pytest.approx(np.median(FEW), abs=1e-6)
    between = best_constant(formulas.huber, FEW, delta=1.5)
    assert FEW.mean() < between < np.median(FEW)
    liked = (FEW >= 4).astype(float)
    logit = best_constant(formulas.binary_cross_entropy, liked)
    assert formulas.sigmoid(logit) == pytest.approx(liked.mean(), abs=1e-6)
    # The best logits of many classes are their shares' logarithms.
    shares = np.array([0.5, 0.3, 0.2])
    classes = np.repeat([0, 1, 2], [5, 3, 2])
    gradient = formulas.categorical_cross_entropy_gradient(classes, np.tile(np.log(shares), (10, 1)))
    np.testing.assert_allclose(gradient.sum(axis=0), 0, atol=1e-12)


def test_huber_lies_between_the_other_two():
    y, p = CASES["squared"].inputs.values()
    np.testing.assert_allclose(
        formulas.huber(y, p, 1e6, "none"), formulas.squared(y, p, "none") / 2, rtol=1e-12
    )
    np.testing.assert_allclose(
        formulas.huber(y, p, 1e-9, "none") / 1e-9, formulas.absolute(y, p, "none"), rtol=1e-6
    )


def test_warp_by_hand():
    # Eleven items, margin 1; the second draw is the first within the margin: rank ⌊10 / 2⌋ = 5.
    assert formulas.warp_weight(2, 11) == pytest.approx(1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5)
    assert formulas.warp(np.array([2.0]), np.array([[0.5, 1.5, 9.0]]), 11) == pytest.approx(137 / 60 * 0.5)
    # Nothing violates: no loss. And more draws than items: rank 1 at least.
    assert formulas.warp(np.array([9.0]), np.array([[0.5, 1.5, 2.0]]), 11) == 0
    assert formulas.warp_weight(50, 11) == 1
    # An early violator weighs more: it says that the positive stands low.
    weights = formulas.warp_weight(np.arange(1, 11), 11)
    assert (np.diff(weights) <= 0).all() and weights[0] == pytest.approx(sum(1 / j for j in range(1, 11)))


SHARES = np.array([0.5, 0.25, 0.15, 0.1])


@pytest.mark.parametrize("sampler", ["uniform", "popularity", "odd"])
def test_sampled_softmax_recovers_log_shares_and_without_the_correction_log_shares_over_q(sampler):
    """Exact: the expected loss over all positives i ~ p and all single negatives j ~ q, no drawing."""
    q = {"uniform": np.full(4, 0.25), "popularity": SHARES, "odd": np.array([0.1, 0.2, 0.3, 0.4])}[sampler]
    i, j = map(np.ravel, np.indices((4, 4)))
    weight = (SHARES[:, None] * q).ravel()

    def gradient(s, t, log_q):
        plus, minus = formulas.sampled_softmax_gradient(s[i], s[j][:, None], log_q[i], log_q[j][:, None])
        found = np.zeros(4)
        np.add.at(found, i, weight * plus)
        np.add.at(found, j, weight * minus[:, 0])
        return found

    # Plain steps: where the gradient is 0 (q is the shares) Adam would divide rounding by its own root.
    for log_q, expected in ((np.log(q), np.log(SHARES)), (np.zeros(4), np.log(SHARES / q))):
        path = descend(
            gradient_descent,
            lambda s, t, log_q=log_q: gradient(s, t, log_q),
            np.zeros(4),
            2000,
            learning_rate=1.0,
        )
        s = path[-1]
        np.testing.assert_allclose(s - s.mean(), expected - expected.mean(), atol=1e-8)


# ---------------------------------------------------------------- properties


FLOATS = arrays(float, 9, elements=st.floats(-50, 50))


@settings(max_examples=60, deadline=None)
@given(FLOATS, FLOATS)
def test_losses_are_never_negative_and_depend_on_differences_alone(a, b):
    for name in ("squared", "absolute", "huber", "bpr", "hinge"):
        loss = getattr(formulas, name)
        found = loss(a, b, reduction="none")
        assert (found >= 0).all()
        np.testing.assert_allclose(loss(a + 3, b + 3, reduction="none"), found, atol=1e-9)
    np.testing.assert_allclose(formulas.bpr(a, b, "none") - formulas.bpr(b, a, "none"), b - a, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(FLOATS, st.floats(0, 60))
def test_soft_threshold_minimises_and_zeroes(theta, threshold):
    found = formulas.soft_threshold(theta, threshold)
    assert (np.abs(found) <= np.abs(theta)).all() and (found[np.abs(theta) <= threshold] == 0).all()
    grid = np.concatenate([found[None], theta[None], np.linspace(-51, 51, 409)[:, None] * np.ones(9)])
    cost = (grid - theta) ** 2 / 2 + threshold * np.abs(grid)
    assert (cost[0] <= cost.min(axis=0) + 1e-9).all()


@settings(max_examples=60, deadline=None)
@given(arrays(float, (4, 6), elements=st.floats(-300, 300)), st.floats(-300, 300))
def test_softmax_ignores_what_is_added_to_all_scores(z, shift):
    y = np.array([0, 1, 5, 2])
    np.testing.assert_allclose(
        formulas.categorical_cross_entropy(y, z + shift, "none"),
        formulas.categorical_cross_entropy(y, z, "none"),
        atol=1e-9,
    )


# ---------------------------------------------------------------- what the documents say


def test_f02_n_is_the_number_of_observed_pairs():
    R = np.array([[5, np.nan, 3], [np.nan, 4, np.nan]])
    prediction = np.full((2, 3), 4.0)
    seen = ~np.isnan(R)
    assert formulas.squared(R[seen], prediction[seen]) == pytest.approx((1 + 1 + 0) / 3)
    # Zeros for what is missing: six pairs, and an error dominated by ratings that nobody gave.
    assert formulas.squared(np.nan_to_num(R).ravel(), prediction.ravel()) == pytest.approx(50 / 6)
    with pytest.raises(ValueError, match="leave such rows out"):
        formulas.squared(R, prediction)


def ridge_world(n=60, d=4):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, d))
    return X, X @ rng.normal(size=d) + rng.normal(size=n)


def minimum(X, y, of_data: float, of_penalty: float) -> np.ndarray:
    """The w that minimises of_data · Σ e² + of_penalty · Σ w²."""
    return np.linalg.solve(of_data * X.T @ X + of_penalty * np.eye(X.shape[1]), of_data * X.T @ y)


def test_f03_the_penalty_pulls_with_two_lambda_theta():
    theta = np.array([3.0, -2.0])
    np.testing.assert_allclose(
        finite_differences(lambda t: formulas.l2(t, 0.1), theta), 2 * 0.1 * theta, atol=1e-9
    )
    X, y = ridge_world()
    ours = minimum(X, y, 1 / len(y), 0.1)  # MSE + λ‖θ‖²
    total = formulas.squared_gradient(y, X @ ours) @ X / len(y) + formulas.l2_gradient(ours, 0.1)
    np.testing.assert_allclose(total, 0, atol=1e-12)
    # The same weights by scikit-learn, whose data term is a sum: its λ is N times ours.
    np.testing.assert_allclose(
        Ridge(alpha=0.1 * len(y), fit_intercept=False).fit(X, y).coef_, ours, rtol=1e-10
    )
    # And no penalty, whatever its gradient, makes cross-entropy of a squared error: the losses differ.
    assert formulas.squared(np.ones(1), np.zeros(1)) != formulas.binary_cross_entropy(np.ones(1), np.zeros(1))


def test_f18_equal_lambdas_under_other_halves_and_means_are_other_models():
    X, y = ridge_world()
    n, reg = len(y), 0.1
    d0 = minimum(X, y, 1 / n, reg)  # MSE + λ‖θ‖²
    d3 = minimum(X, y, 1 / (2 * n), reg / 2)  # halves on both: the same minimum, half the gradient
    weight_decay = minimum(X, y, 1 / n, reg / 2)  # MSELoss with weight_decay=λ, which adds λθ to the gradient
    of_sum = minimum(X, y, 1.0, reg)
    np.testing.assert_allclose(d3, d0, rtol=1e-10)
    assert np.abs(weight_decay - d0).max() > 0.01 and np.abs(of_sum - d0).max() > 0.01
    np.testing.assert_allclose(minimum(X, y, 1 / n, 2 * reg / 2), d0, rtol=1e-10)
    np.testing.assert_allclose(minimum(X, y, 1.0, n * reg), d0, rtol=1e-10)
    # What weight_decay means, by one step of torch.optim.SGD.
    w = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.2, weight_decay=reg)
    for _ in range(200):
        optimizer.zero_grad()
        torch_losses.squared(y, torch.as_tensor(X) @ w).backward()
        optimizer.step()
    np.testing.assert_allclose(w.detach(), weight_decay, rtol=1e-8)


def test_f04_soft_threshold_steps_reach_the_lasso_and_its_zeros():
    X, y = ridge_world(d=8)
    n, reg, rate = len(y), 0.4, 0.1
    w = np.zeros(8)
    for _ in range(5000):
        w = formulas.soft_threshold(w - rate * X.T @ (X @ w - y) / n, rate * reg)
    theirs = (
        ElasticNet(alpha=reg, l1_ratio=1.0, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(X, y).coef_
    )
    np.testing.assert_allclose(w, theirs, atol=1e-8)
    assert 0 < (w == 0).sum() < 8  # exact zeros, not small numbers
    subgradient = X.T @ (X @ w - y) / n
    assert (np.abs(subgradient[w == 0]) <= reg + 1e-9).all()
    np.testing.assert_allclose(subgradient[w != 0], -reg * np.sign(w[w != 0]), atol=1e-9)
    # L2 makes small, and never zero.
    assert (minimum(X, y, 1 / (2 * n), reg) != 0).all()


def test_f05_cross_entropy_is_printed_form_in_range_and_mean_over_samples():
    y, z = CASES["binary_cross_entropy"].inputs.values()
    z = z / 9
    p = formulas.sigmoid(z)
    printed = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert formulas.binary_cross_entropy(y, z) == pytest.approx(printed, rel=1e-12)
    c, zs = CASES["categorical_cross_entropy"].inputs.values()
    shares = np.exp(zs) / np.exp(zs).sum(axis=1, keepdims=True)
    one_hot = np.eye(C)[c]
    assert formulas.categorical_cross_entropy(c, zs) == pytest.approx(
        -(one_hot * np.log(shares)).sum(1).mean()
    )
    with pytest.raises(ValueError, match="a label is 0 or 1"):
        formulas.binary_cross_entropy(np.array([5.0, 3.0]), np.zeros(2))


def test_c18_the_most_likely_choice_need_not_be_the_most_satisfying():
    """Clicks and satisfaction planted apart: the best likelihood ranks by clicks, and satisfies least."""
    clicked = np.array([0.6, 0.4, 0.2])
    satisfied_if_clicked = np.array([0.2, 0.8, 0.9])
    shown = 1000
    y = np.concatenate([np.repeat([1.0, 0.0], [int(shown * c), int(shown * (1 - c))]) for c in clicked])
    item = np.repeat(np.arange(3), shown)

    def gradient(z, t):
        return np.bincount(item, formulas.binary_cross_entropy_gradient(y, z[item]), 3) / shown

    z = descend(adam, gradient, np.zeros(3), 1000, learning_rate=0.02)[-1]
    np.testing.assert_allclose(formulas.sigmoid(z), clicked, atol=1e-3)
    satisfaction = clicked * satisfied_if_clicked
    assert z.argmax() == 0 and satisfaction.argmax() == 1
    assert satisfaction[0] < satisfaction.min() + 1e-9


def test_c23_training_error_rises_with_lambda_and_validation_error_turns():
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(400, 60)), rng.normal(size=60) * 0.3
    y = X @ w + rng.normal(size=400) * 2
    few, rest = slice(0, 90), slice(90, None)
    regs = np.geomspace(1e-4, 100, 25)
    weights = [minimum(X[few], y[few], 1 / 90, reg) for reg in regs]
    train = np.array([formulas.squared(y[few], X[few] @ w) for w in weights])
    valid = np.array([formulas.squared(y[rest], X[rest] @ w) for w in weights])
    assert (np.diff(train) > 0).all()
    best = valid.argmin()
    assert 0 < best < 24 and valid[best] < 0.8 * valid[0] and valid[best] < 0.95 * valid[-1]
    assert (np.diff([np.linalg.norm(w) for w in weights]) < 0).all()


def test_count_weighted_l2_is_the_sum_over_ratings_of_each_ones_own_penalty():
    rng = np.random.default_rng(0)
    theta, users = rng.normal(size=(5, 3)), rng.integers(0, 5, 40)
    each_rating = sum(0.2 * (theta[user] ** 2).sum() for user in users)
    assert formulas.count_weighted_l2(theta, np.bincount(users, minlength=5), 0.2) == pytest.approx(
        each_rating
    )
    assert formulas.count_weighted_l2(theta, np.ones(5), 0.2) == pytest.approx(formulas.l2(theta, 0.2))


# ---------------------------------------------------------------- bad input


LISTS = np.array([1.0, 0.0, 1.0])
BAD = {
    "target as a column": ("squared", (LISTS[:, None], LISTS), ("(3, 1)", "(3,)", "ravel()")),
    "one prediction short": ("absolute", (LISTS, LISTS[:2]), ("`target`", "`prediction`", "(2,)")),
    "nothing": ("squared", (np.zeros(0), np.zeros(0)), ("is empty",)),
    "a missing rating": ("huber", (np.array([np.nan, 1, 2]), LISTS), ("`target` has", "leave such rows out")),
    "no such reduction": ("squared", (LISTS, LISTS, "average"), ("`reduction` is 'average'", "mean")),
    "delta 0": ("huber", (LISTS, LISTS, 0), ("`delta` is 0", "0")),
    "ratings as labels": ("binary_cross_entropy", (LISTS + 4, LISTS), ("`target` has 5", "ratings >= 4")),
    "a missing label": ("binary_cross_entropy", (np.array([np.nan, 1, 1]), LISTS), ("`target` has nan",)),
    "labels of -1 and 1": ("binary_cross_entropy", (2 * LISTS - 1, LISTS), ("`target` has -1", "0 or 1")),
    "a class too many": (
        "categorical_cross_entropy",
        (np.array([0, 1, 2]), np.zeros((3, 2))),
        ("`target` has 2", "0 to 1"),
    ),
    "one-hot classes": ("categorical_cross_entropy", (np.eye(3, dtype=int), np.eye(3)), ("(3, 3)", "(n, classes)")),
    "unequal pairs": ("bpr", (LISTS, LISTS[:2]), ("`positive`", "`negative`")),
    "a negative margin": ("hinge", (LISTS, LISTS, -1.0), ("`margin` is -1.0", "at least 0")),
    "one negative as a list": ("warp", (LISTS, LISTS, 9), ("`negatives` (3,)", "(n, m)")),
    "no item to compete": ("warp_weight", (np.array([1]), 1), ("`n_items`", "2")),
    "trial 0": ("warp_weight", (np.array([0, 1]), 9), ("`trials`", "0")),
    "rows that do not match": ("softmax", (LISTS, np.zeros((2, 4))), ("`negatives` (2, 4)",)),
    "one q for all": ("sampled_softmax", (LISTS, np.eye(3), LISTS, LISTS), ("`log_q_negatives` (3,)",)),
    "a negative reg": ("l2", (LISTS, -0.1), ("`reg` is -0.1", "at least 0")),
    "NaN as reg": ("l1", (LISTS, np.nan), ("`reg` is nan",)),
    "a ratio above 1": ("elastic_net", (LISTS, 0.1, 1.5), ("`l1_ratio` is 1.5", "L1 alone")),
    "counts of others": ("count_weighted_l2", (np.eye(3), LISTS[:2], 0.1), ("`counts` (2,)", "each row")),
}  # fmt: skip


@pytest.mark.backends
@pytest.mark.parametrize("room", ["formulas", *WINGS])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_name_and_the_remedy(case, room):
    name, arguments, words = BAD[case]
    module = formulas if room == "formulas" else WINGS[room]
    refuses(lambda: getattr(module, name)(*arguments), ValueError, words)


@pytest.mark.backends
def test_tensors_on_the_cpu_are_looked_at_as_arrays_are():
    ratings = np.array([5.0, 3.0])
    refuses(
        lambda: torch_losses.binary_cross_entropy(torch.tensor(ratings), torch.zeros(2)),
        ValueError,
        ("0 or 1",),
    )
    tensor = keras.ops.convert_to_tensor
    with keras.device("cpu:0"):
        refuses(
            lambda: keras_losses.binary_cross_entropy(tensor(ratings), tensor(np.zeros(2))),
            ValueError,
            ("0 or 1",),
        )


@pytest.mark.backends
def test_inside_a_compiled_graph_targets_are_not_looked_at():
    """A graph has no values to look at, and must not fail for that."""
    good, bad = np.array([1.0, 0.0], np.float32), np.array([5.0, np.nan], np.float32)
    z = np.array([0.3, -0.2], np.float32)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        compiled = tf.function(keras_losses.binary_cross_entropy)
    elif keras.backend.backend() == "jax":
        import jax

        compiled = jax.jit(keras_losses.binary_cross_entropy)
    else:
        pytest.skip("Keras on torch computes eagerly")
    tensor = keras.ops.convert_to_tensor
    assert float(compiled(tensor(good), tensor(z))) == pytest.approx(
        formulas.binary_cross_entropy(good, z), rel=1e-6
    )
    assert np.isnan(float(compiled(tensor(bad), tensor(z))))


@EACH_WING
def test_whole_numbers_as_predictions_are_refused(wing):
    module = WINGS[wing]
    refuses(
        lambda: module.squared(LISTS, np.array([1, 2, 3])), ValueError, ("`prediction` is", "int", "floating")
    )
    refuses(
        lambda: module.categorical_cross_entropy(LISTS, np.eye(3)),
        ValueError,
        ("`target` is", "whole numbers"),
    )


def test_nan_among_predictions_is_refused_by_the_formula_and_passed_on_by_the_wings():
    p = np.array([np.nan, 1.0, 2.0])
    refuses(lambda: formulas.squared(LISTS, p), ValueError, ("`prediction` has nan at (0,)",))
    assert np.isnan(torch_losses.squared(LISTS, p).item())
    assert np.isnan(float(keras_losses.squared(LISTS, p)))


@pytest.mark.gpu
def test_on_a_gpu_losses_stay_there_and_equal_those_of_the_cpu():
    for name, case in CASES.items():
        if name == "warp_weight":
            continue
        there = {key: torch.as_tensor(array, device="cuda") for key, array in case.inputs.items()}
        found = getattr(torch_losses, name)(**there, **case.constants)
        assert found.device.type == "cuda"
        close(to_numpy(found), value_of("torch", name, case.inputs, **case.constants), 1e-12)


# ---------------------------------------------------------------- exercises


EXERCISES = [f for _, f in sorted(public_functions(checks).items())]


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda f: f.__name__)
def test_each_known_mistake_gives_its_own_hint(exercise, monkeypatch, capsys):
    each_gives_its_own_hint(checks, exercise, monkeypatch, capsys)

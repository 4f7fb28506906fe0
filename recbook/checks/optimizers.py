"""Checks of the exercises in the chapter `optimizers`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import optimizers as formulas

CURVES = [
    ([1.0, 0.9, 0.85, 0.86, 0.87, 0.84, 0.8], 2),
    ([1.0, 0.9, 0.85, 0.86, 0.87, 0.84, 0.86, 0.8], 3),
    ([0.5, 0.6, 0.7], 1),
    ([0.9, 0.8, 0.7], 5),
    ([0.9, 0.8, 0.8, 0.8, 0.7], 2),
    ([1.0, 0.9, 0.95, 0.94, 0.93, 0.92, 0.91, 0.5], 2),
]


@hints(
    "Go through the errors one after the other and remember the best epoch so far.",
    "Stop when the best lies `patience` epochs back. What is asked for is the best one, counted from 1.",
)
def early_stopping(answer: Callable) -> bool | None:
    """Exercise 1. answer(errors, patience): the epoch, counted from 1, whose parameters are kept."""

    def right(errors, patience):
        best = 0
        for epoch, error in enumerate(errors):
            if error < errors[best]:
                best = epoch
            if epoch - best >= patience:
                break
        return best + 1

    def stopped(errors, patience):
        best = right(errors, patience) - 1
        return min(best + patience, len(errors) - 1) + 1

    mistakes = [
        Mistake(lambda errors, patience: int(np.argmin(errors)) + 1,
                "You look at epochs that never ran: training stops after `patience` epochs without a better error."),
        Mistake(stopped, "That is the epoch in which training stops. Kept are the parameters of the best one."),
        Mistake(lambda *case: right(*case) - 1, "You count epochs from 0; the exercise counts from 1."),
        Mistake(lambda errors, patience: len(errors), "That is the last epoch: nothing stopped early."),
        Mistake(lambda errors, patience: right(errors, patience + 1), "One epoch too many: `patience` epochs without "
                "a better error are enough."),
    ]  # fmt: skip
    return check(answer, right, CURVES, mistakes)


def _gradients(seed: int, scale: float) -> tuple[float, np.ndarray, float]:
    rng = np.random.default_rng(seed)
    return 1.0, scale * rng.normal(1.0, 1.0, 12), 0.1


@hints(
    "Two moving means start at 0, one of g, one of g². What makes up for the start?",
    "Divide m by 1 − 0.9^t and v by 1 − 0.999^t, t from 1; the step is rate · m̂ / (√v̂ + 1e-8).",
)
def adam(answer: Callable) -> bool | None:
    """Exercise 2. answer(theta, gradients, learning_rate): θ after a step for each gradient, equation (op-adam)."""

    def run(theta, gradients, rate, corrected=True, squares=True, root=True, inside=False, swapped=False):
        b1, b2 = (0.999, 0.9) if swapped else (0.9, 0.999)
        m = v = 0.0
        for t, g in enumerate(gradients, start=1):
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * (g**2 if squares else abs(g))
            m_hat, v_hat = (m / (1 - b1**t), v / (1 - b2**t)) if corrected else (m, v)
            below = np.sqrt(v_hat + 1e-8) if inside else (np.sqrt(v_hat) if root else v_hat) + 1e-8
            theta = theta - rate * m_hat / below
        return theta

    def right(theta, gradients, rate):
        for_path = formulas.descend(
            formulas.adam, lambda _, t: gradients[t : t + 1], [theta], len(gradients), learning_rate=rate
        )
        return for_path[-1, 0]

    mistakes = [
        Mistake(lambda *c: run(*c, corrected=False), "The bias correction is missing: m and v start from 0, and are "
                "too small at first. Divide by 1 - beta**t."),
        Mistake(lambda *c: run(*c, swapped=True), "You have exchanged the two betas: 0.9 is for the mean, 0.999 for "
                "the squares."),
        Mistake(lambda *c: run(*c, root=False), "Take the root of v before you divide by it."),
        Mistake(lambda *c: run(*c, squares=False), "v is a mean of squared gradients."),
        Mistake(lambda *c: run(*c, inside=True), "Right for large gradients. Epsilon stands outside of the root here: "
                "with small gradients that matters."),
        Mistake(lambda theta, g, rate: 2 * theta - right(theta, g, rate), "You go uphill: the step is taken off."),
    ]  # fmt: skip
    return check(answer, right, [_gradients(0, 1.0), _gradients(1, 30.0), _gradients(2, 1e-5)], mistakes)


def _net(seed: int) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    n, inputs, hidden = 5 + seed, 3, 4
    shapes = [(n, inputs), (n,), (inputs, hidden), (hidden,), (hidden, 1), (1,)]
    return tuple(rng.normal(size=shape) for shape in shapes)


@hints(
    "Run the net forward and keep H. What is the derivative of the mean squared error by each prediction?",
    "δ₂ is 2(ŷ − y)/n, a column; δ₁ is δ₂ W₂ᵀ times 1 − H²; the gradient is Xᵀ δ₁.",
)
def backward(answer: Callable) -> bool | None:
    """Exercise 3. answer(X, y, W1, b1, W2, b2): the gradient of the mean squared error by W1, (inputs, hidden)."""

    def by_first(X, y, W1, b1, W2, b2, slope=lambda H: 1 - H**2, factor=2.0):
        H, prediction = formulas.forward(X, W1, b1, W2, b2)
        delta2 = (factor * (prediction - y) / len(y))[:, None]
        return X.T @ ((delta2 @ W2.T) * slope(H))

    mistakes = [
        Mistake(lambda *c: by_first(*c, slope=np.ones_like), "The error passes through tanh on its way back: multiply "
                "by its slope, 1 - H**2."),
        Mistake(lambda *c: by_first(*c, slope=lambda H: H), "The slope of tanh is 1 - H**2, not H itself."),
        Mistake(lambda *c: by_first(*c, slope=lambda H: H * (1 - H)), "H * (1 - H) is the sigmoid's slope; tanh's is "
                "1 - H**2."),
        Mistake(lambda *c: by_first(*c, factor=1.0), "The derivative of a square is twice the error."),
        Mistake(lambda *c: by_first(*c, factor=2.0 * len(c[1])), "That is the gradient of the sum; the mean's is "
                "smaller by the number of rows."),
        Mistake(lambda *c: -by_first(*c), "The sign: the error is prediction less truth."),
        Mistake(lambda *c: by_first(*c).T, "Right, but transposed: a gradient has the shape of its parameter."),
    ]  # fmt: skip
    return check(answer, lambda *c: formulas.backward(*c)[0], [_net(seed) for seed in range(3)], mistakes)

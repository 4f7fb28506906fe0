"""Equations of the chapter `optimizers`: steps downhill, and back-propagation by hand on a net of two layers.

A step is a pure function: (parameter, gradient, state, hyper-parameters) → (new parameter, new state). The state
before the first step is None; afterwards it is a dict of arrays, which nobody changes in place.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Step = tuple[np.ndarray, dict]


def _inputs(parameter, gradient) -> tuple[np.ndarray, np.ndarray]:
    parameter, gradient = np.asarray(parameter, float), np.asarray(gradient, float)
    if parameter.shape != gradient.shape:
        raise ValueError(
            f"`parameter` has shape {parameter.shape} and `gradient` {gradient.shape}; both must be the same"
        )
    if not np.isfinite(gradient).all():
        raise ValueError("`gradient` has NaN or infinity; lower the learning rate, or look for overflow")
    return parameter, gradient


def _at_least_zero(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < np.inf:
            raise ValueError(f"`{name}` is {value!r}; give a finite number of at least 0")


def _share(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"`{name}` is {value!r}; give a number from 0 up to, not including, 1")


# ---------------------------------------------------------------- steps


def gradient_descent(parameter, gradient, state=None, learning_rate: float = 0.01) -> Step:
    """Equation (op-gd): θ ← θ - η g. With the gradient of a mini-batch it is stochastic gradient descent, SGD."""
    _at_least_zero(learning_rate=learning_rate)
    theta, g = _inputs(parameter, gradient)
    return theta - learning_rate * g, {}


def momentum(
    parameter,
    gradient,
    state=None,
    learning_rate: float = 0.01,
    momentum: float = 0.9,
    nesterov: bool = False,
) -> Step:
    """Equation (op-momentum): v ← μ v + g, θ ← θ - η v; with Nesterov's look ahead θ ← θ - η (g + μ v).

    Sources: Polyak 1964; Nesterov 1983, in the form of Sutskever et al. 2013.
    """
    _at_least_zero(learning_rate=learning_rate)
    _share(momentum=momentum)
    theta, g = _inputs(parameter, gradient)
    v = momentum * (state["velocity"] if state else 0.0) + g
    return theta - learning_rate * (g + momentum * v if nesterov else v), {"velocity": v}


def adagrad(
    parameter,
    gradient,
    state=None,
    learning_rate: float = 0.01,
    epsilon: float = 1e-10,
    initial_accumulator: float = 0.0,
) -> Step:
    """Equation (op-adagrad): a ← a + g², θ ← θ - η g / (√a + ε). Source: Duchi, Hazan and Singer 2011."""
    _at_least_zero(learning_rate=learning_rate, epsilon=epsilon, initial_accumulator=initial_accumulator)
    theta, g = _inputs(parameter, gradient)
    a = (state["squares"] if state else initial_accumulator) + g**2
    return theta - learning_rate * _divided(g, np.sqrt(a) + epsilon), {"squares": a}


def rmsprop(
    parameter, gradient, state=None, learning_rate: float = 0.01, decay: float = 0.9, epsilon: float = 1e-8
) -> Step:
    """Equation (op-rmsprop): a ← ρ a + (1-ρ) g², θ ← θ - η g / (√a + ε). Source: Hinton's lecture 6e, 2012."""
    _at_least_zero(learning_rate=learning_rate, epsilon=epsilon)
    _share(decay=decay)
    theta, g = _inputs(parameter, gradient)
    a = decay * (state["squares"] if state else 0.0) + (1 - decay) * g**2
    return theta - learning_rate * _divided(g, np.sqrt(a) + epsilon), {"squares": a}


def adam(
    parameter,
    gradient,
    state=None,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> Step:
    """Equation (op-adam): m ← β₁ m + (1-β₁) g, v ← β₂ v + (1-β₂) g², θ ← θ - η m̂ / (√v̂ + ε).

    m̂ = m / (1-β₁ᵗ) and v̂ = v / (1-β₂ᵗ) make up for the start from zero. Source: Kingma and Ba 2015.
    """
    _at_least_zero(learning_rate=learning_rate, epsilon=epsilon)
    _share(beta_1=beta_1, beta_2=beta_2)
    theta, g = _inputs(parameter, gradient)
    zero = np.zeros_like(theta)
    state = state or {"mean": zero, "squares": zero, "steps": 0}
    t = state["steps"] + 1
    m = beta_1 * state["mean"] + (1 - beta_1) * g
    v = beta_2 * state["squares"] + (1 - beta_2) * g**2
    m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
    return (
        theta - learning_rate * _divided(m_hat, np.sqrt(v_hat) + epsilon),
        {"mean": m, "squares": v, "steps": t},
    )


def adamw(
    parameter,
    gradient,
    state=None,
    learning_rate: float = 0.001,
    weight_decay: float = 0.01,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> Step:
    """Equation (op-adamw): θ ← (1 - η λ) θ, then Adam's step. Source: Loshchilov and Hutter 2019."""
    _at_least_zero(learning_rate=learning_rate, weight_decay=weight_decay)
    theta, g = _inputs(parameter, gradient)
    shrunk = theta * (1 - learning_rate * weight_decay)
    return adam(shrunk, g, state, learning_rate, beta_1, beta_2, epsilon)


def _divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, and 0 for 0/0: where no gradient ever came, nothing moves, even without an epsilon."""
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def descend(
    step: Callable[..., Step], gradient_of: Callable, start, n_steps: int, **hyper_parameters
) -> np.ndarray:
    """The path θ_0, θ_1, … of `n_steps` steps, (n_steps + 1, *shape of start).

    gradient_of : (θ, t) → the gradient at θ in step t, of all data or of batch t
    """
    path, state = [np.asarray(start, float)], None
    for t in range(n_steps):
        theta, state = step(path[-1], gradient_of(path[-1], t), state, **hyper_parameters)
        path.append(theta)
    return np.array(path)


# ---------------------------------------------------------------- gradients


def finite_differences(function: Callable[[np.ndarray], float], at, width: float = 1e-6) -> np.ndarray:
    """Equation (op-differences): [f(θ + h e_j) - f(θ - h e_j)] / 2h for every entry j of θ, in the shape of θ."""
    at = np.array(at, float)
    gradient = np.empty_like(at)
    for place in np.ndindex(at.shape):
        value = at[place]
        ends = []
        for moved in (value + width, value - width):
            at[place] = moved
            ends.append(function(at))
        at[place] = value
        gradient[place] = (ends[0] - ends[1]) / (2 * width)
    return gradient


def forward(X: np.ndarray, W1: np.ndarray, b1: np.ndarray, W2: np.ndarray, b2: np.ndarray):
    """Equation (op-forward): A = X W₁ + b₁, H = tanh(A), ŷ = H W₂ + b₂. Returns (H, ŷ).

    X : (n, inputs);  W1 : (inputs, hidden);  b1 : (hidden,);  W2 : (hidden, 1);  b2 : (1,);  ŷ : (n,)
    """
    H = np.tanh(X @ W1 + b1)
    return H, (H @ W2 + b2)[:, 0]


def backward(X: np.ndarray, y: np.ndarray, W1: np.ndarray, b1: np.ndarray, W2: np.ndarray, b2: np.ndarray):
    """Equation (op-backward): gradients of the mean squared error, in the order of the parameters.

    δ₂ = ∂L/∂ŷ, then δ₁ = (δ₂ W₂ᵀ) ⊙ (1 - H²); ∇W₂ = Hᵀ δ₂, ∇W₁ = Xᵀ δ₁; biases: the sums of δ over rows.
    Source: Rumelhart, Hinton and Williams 1986.
    """
    H, prediction = forward(X, W1, b1, W2, b2)
    delta2 = (2 * (prediction - y) / len(y))[:, None]
    delta1 = (delta2 @ W2.T) * (1 - H**2)  # tanh' = 1 - tanh²
    return X.T @ delta1, delta1.sum(axis=0), H.T @ delta2, delta2.sum(axis=0)

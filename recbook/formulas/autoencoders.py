"""Equations of the chapter `autoencoders`. A row of ratings has NaN where there is none; a row of likes is 0 and 1.

Kernels are (in, out): a row times a kernel. V, W and further names are those of the chapter.
"""

from __future__ import annotations

import numpy as np

from recbook.formulas.losses import log_sum_exp, sigmoid

# ---------------------------------------------------------------- AutoRec


def autorec(r: np.ndarray, V: np.ndarray, mu: np.ndarray, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Equation (ae-autorec): h(r) = W g(V r + μ) + b, g the sigmoid; a missing rating is 0 for V.

    r, b : (n,);  V : (n, k);  mu : (k,);  W : (k, n)
    """
    return sigmoid(np.nan_to_num(r) @ V + mu) @ W + b


def autorec_objective(R: np.ndarray, V, mu, W, b, reg: float) -> float:
    """Equation (ae-autorec-objective): 1/|Ω| Σ_Ω (r - h(r))² + λ/2n (‖V‖² + ‖W‖²).

    R : (rows, n); its rows are the examples
    """
    total = 0.0
    for r in R:
        seen = ~np.isnan(r)
        total += np.square(r - autorec(r, V, mu, W, b))[seen].sum()
    penalty = (np.square(V).sum() + np.square(W).sum()) / R.shape[1]
    return float(total / (~np.isnan(R)).sum() + reg / 2 * penalty)


def autorec_fold_in(r: np.ndarray, codes: np.ndarray, reg: float, usual: float) -> tuple[np.ndarray, float]:
    """Equation (ae-autorec-fold-in): w and b that make Σ (r_i - b - wᵀg_i)² + λN/2 ‖w‖² smallest.

    r : (items,) a new person's ratings;  codes : (items, k) the g of every item's row
    usual : N, how many ratings a person of train has on average
    """
    seen = ~np.isnan(r)
    X = np.column_stack([codes[seen], np.ones(seen.sum())])
    pull = np.diag([reg * usual / 2] * codes.shape[1] + [0.0])
    solution = np.linalg.solve(X.T @ X + pull, X.T @ r[seen])
    return solution[:-1], float(solution[-1])


# ---------------------------------------------------------------- Mult-VAE


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Equation (ae-decoder): logits less log Σ e^logits, over the last axis."""
    return logits - log_sum_exp(logits)[..., None]


def multinomial(x: np.ndarray, log_pi: np.ndarray) -> float:
    """Equation (ae-multinomial): Σ_i x_i log π_i, the log-likelihood up to a constant."""
    return float((x * log_pi).sum())


def kl_to_standard(centre: np.ndarray, log_variance: np.ndarray) -> float:
    """Equation (ae-kl): KL(N(m, σ²) ‖ N(0, 1)) = ½ Σ (σ² + m² - 1 - log σ²)."""
    return float(0.5 * (np.exp(log_variance) + centre**2 - 1 - log_variance).sum())


def encode(kept: np.ndarray, x: np.ndarray, p: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Equation (ae-encoder): centre and log variance of q(z|x); kept : what dropout left of x, over 1 - dropout."""
    h = np.tanh(kept / max(np.sqrt((x**2).sum()), 1.0) @ p["encoder"] + p["encoder_bias"])
    return h @ p["centre"] + p["centre_bias"], h @ p["log_variance"] + p["log_variance_bias"]


def decode(z: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    """Equation (ae-decoder): log π(z)."""
    return log_softmax(np.tanh(z @ p["decoder"] + p["decoder_bias"]) @ p["output"] + p["output_bias"])


def elbo_objective(
    X: np.ndarray, kept: np.ndarray, noise: np.ndarray, p: dict[str, np.ndarray], beta: float, reg: float
) -> float:
    """Equation (ae-elbo): the mean over rows of -Σ x log π(z) + β KL, and λ times the squares of the kernels.

    z = m + σ ε, equation (ae-draw);  kept : X after dropout;  noise : ε, a standard normal draw a row
    """
    total = 0.0
    for x, left, epsilon in zip(X, kept, noise, strict=True):
        centre, log_variance = encode(left, x, p)
        z = centre + np.exp(log_variance / 2) * epsilon
        total += beta * kl_to_standard(centre, log_variance) - multinomial(x, decode(z, p))
    return total / len(X) + reg * squares(p)


def annealed(beta: float, annealing: int, epoch: int) -> float:
    """Equation (ae-annealing): β of an epoch, the first being 1."""
    return beta * min(1.0, (epoch - 1) / annealing) if annealing else beta


def squares(p: dict[str, np.ndarray]) -> float:
    """The sum of the squares of all kernels; biases are free."""
    return float(sum(np.square(one).sum() for one in p.values() if one.ndim == 2))


# ---------------------------------------------------------------- CFGAN


def generate(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    """Equation (ae-generator): the logits of a made row."""
    h = np.tanh(x @ p["generator"] + p["generator_bias"])
    return h @ p["generator_output"] + p["generator_output_bias"]


def judge(made: np.ndarray, x: np.ndarray, p: dict[str, np.ndarray]) -> float:
    """Equation (ae-discriminator): the logit of `made` being the real row of who has x."""
    h = np.tanh(made @ p["discriminator"] + x @ p["discriminator_condition"] + p["discriminator_bias"])
    return float((h @ p["discriminator_output"] + p["discriminator_output_bias"])[0])


def discriminator_loss(x: np.ndarray, shown: np.ndarray, p: dict[str, np.ndarray]) -> float:
    """Equation (ae-loss-d), of one row: -log D(x|x) - log(1 - D(x̂ ⊙ shown|x))."""
    visible = sigmoid(generate(x, p)) * shown
    return float(np.logaddexp(0, -judge(x, x, p)) + np.logaddexp(0, judge(visible, x, p)))


def generator_loss(
    x: np.ndarray, shown: np.ndarray, zeros: np.ndarray, p: dict[str, np.ndarray], zeros_weight: float
) -> float:
    """Equation (ae-loss-g), of one row: -log D(x̂ ⊙ shown|x) + α Σ (x̂ ⊙ zeros)²."""
    made = sigmoid(generate(x, p))
    fooled = np.logaddexp(0, -judge(made * shown, x, p))
    return float(fooled + zeros_weight * np.square(made * zeros).sum())


def circling(steps: int, rate: float, start: tuple[float, float] = (1.0, 0.0)) -> np.ndarray:
    """Equation (ae-circle): simultaneous gradient steps on min_a max_b ab, (steps + 1, 2).

    The only balance is (0, 0), and each step leads away from it: the distance grows by √(1 + rate²).
    """
    path = [np.array(start, float)]
    for _step in range(steps):
        a, b = path[-1]
        path.append(np.array([a - rate * b, b + rate * a]))
    return np.array(path)

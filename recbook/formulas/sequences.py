"""The formulas of the chapter `sequences` in NumPy: recurrent cells, next-item losses, a chain, the cascade.

Vectors are rows: x (factors,) a step, h (factors,) a state, kernels (in, out). Parameters go by their names in the
saved models: "reset_kernel" for the step, "reset_recurrent" for the state, "reset_bias".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def sigmoid(x):
    """σ(x) = 1 / (1 + e^-x), of any size."""
    return 0.5 * (1 + np.tanh(np.asarray(x) / 2))


def _gate(name: str, x: np.ndarray, h: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    return x @ p[f"{name}_kernel"] + h @ p[f"{name}_recurrent"] + p[f"{name}_bias"]


def rnn_step(x: np.ndarray, h: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    """(seq-rnn): h_t = tanh(x_t W + h_{t-1} U + b) (Elman 1990)."""
    return np.tanh(_gate("state", x, h, p))


def gru_step(x: np.ndarray, h: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    """(seq-gru): r and z are gates, n the candidate; h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}.

    n = tanh(x W_n + b_n + r ⊙ (h U_n + c_n)): the reset gate acts after the kernel, as in cuDNN, and so in both
    frameworks.
    """
    r, z = sigmoid(_gate("reset", x, h, p)), sigmoid(_gate("update", x, h, p))
    inside = h @ p["candidate_recurrent"] + p["candidate_recurrent_bias"]
    n = np.tanh(x @ p["candidate_kernel"] + p["candidate_bias"] + r * inside)
    return (1 - z) * n + z * h


def lstm_step(
    x: np.ndarray, h: np.ndarray, c: np.ndarray, p: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(seq-lstm): c_t = f ⊙ c_{t-1} + i ⊙ tanh(candidate), h_t = o ⊙ tanh(c_t). Returns h_t and c_t."""
    i, f, o = (sigmoid(_gate(name, x, h, p)) for name in ("input", "forget", "output"))
    c = f * c + i * np.tanh(_gate("candidate", x, h, p))
    return o * np.tanh(c), c


def states(cell: str, steps: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    """The states after each step, (T, factors), from h_0 = 0 (and c_0 = 0). steps : (T, factors);  cell : "rnn", …"""
    h = c = np.zeros(steps.shape[1])
    found = []
    for x in steps:
        if cell == "lstm":
            h, c = lstm_step(x, h, c, p)
        else:
            h = {"rnn": rnn_step, "gru": gru_step}[cell](x, h, p)
        found.append(h)
    return np.array(found).reshape(len(steps), steps.shape[1])


def item_scores(state: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    """(seq-score): q_i · h + b_i of all items, (…, n_items)."""
    return state @ p["item_factors"].T + p["item_bias"]


def gru4rec(cell: str, items: Sequence[int], p: dict[str, np.ndarray]) -> np.ndarray:
    """Scores of all items after each item of a history, (T, n_items). items : codes, at least one"""
    return item_scores(states(cell, p["item_factors"][np.asarray(items)], p), p)


def decision_path(
    items: Sequence[int], events: Sequence[int], p: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(seq-path): scores of all items, (T, n_items), and of all events, (T, n_events), after each step of a path."""
    steps = p["item_factors"][np.asarray(items)] + p["event_factors"][np.asarray(events)]
    h = states("gru", steps, p)
    return item_scores(h, p), h @ p["event_kernel"] + p["event_bias"]


def log_softmax(z: np.ndarray) -> np.ndarray:
    """log of e^z over its sum along the last axis."""
    shifted = z - z.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def next_item_loss(scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(seq-softmax): -log softmax(scores)[wanted] at each step. scores : (T, n_items);  wanted : (T,) codes"""
    return -log_softmax(scores)[np.arange(len(wanted)), wanted]


def pairwise_loss(scores: np.ndarray, wanted: np.ndarray, negatives: np.ndarray) -> np.ndarray:
    """(seq-bpr): the mean over negatives of -log σ(s_wanted - s_negative) at each step. negatives : (T, n) codes"""
    row = np.arange(len(wanted))
    gap = scores[row, wanted][:, None] - scores[row[:, None], negatives]
    return np.logaddexp(0, -gap).mean(1)


def markov_chances(histories: Sequence[Sequence[int]], n_items: int, shrinkage: float) -> np.ndarray:
    """(seq-markov): P(j | i), (n_items, n_items), of lists of codes in order of time."""
    n = np.zeros((n_items, n_items))
    for one in histories:
        for i, j in zip(one[:-1], one[1:], strict=True):
            n[i, j] += 1
    came = np.maximum(n.sum(0), 0.5)
    return (n + shrinkage * came / came.sum()) / (n.sum(1, keepdims=True) + shrinkage)


def cascade(appeal: Sequence[float]) -> np.ndarray:
    """(seq-cascade): how likely each place of a list is where somebody stops: a_t Π_{s<t} (1 - a_s)."""
    passed, found = 1.0, []
    for a in appeal:
        found.append(passed * a)
        passed *= 1 - a
    return np.array(found)

"""Checks of the exercises in the chapter `sequences`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import sequences as formulas

HISTORIES = [
    ([[0, 1, 0, 1], [1, 2]], 3),
    ([[2, 2, 0], [0], [2, 0, 1, 2]], 3),
    ([[3, 1, 3, 1, 3], [0, 3]], 4),
]


@hints(
    "In each list look at neighbours: `zip(history, history[1:])`.",
    "Each pair adds 1 to its cell. Two lists never meet: the end of one is no neighbour of the next.",
)
def transitions(answer: Callable) -> bool | None:
    """Exercise 1. answer(histories, n): the table of how often item j came right after item i, (n, n)."""

    def right(histories, n, ahead=1):
        table = np.zeros((n, n))
        for one in histories:
            for i, j in zip(one[:-ahead], one[ahead:], strict=True):
                table[i, j] += 1
        return table

    def joined(histories, n):
        return right([[item for one in histories for item in one]], n)

    def anywhere(histories, n):
        table = np.zeros((n, n))
        for one in histories:
            for at, i in enumerate(one):
                for j in one[at + 1 :]:
                    table[i, j] += 1
        return table

    mistakes = [
        Mistake(
            lambda h, n: right(h, n).T,
            "Rows and columns have changed places: the row is the item that came first.",
        ),
        Mistake(
            joined, "You joined the histories: the first item of one person does not follow another's last."
        ),
        Mistake(anywhere, "You count everything that came later. Count what came right after."),
        Mistake(
            lambda h, n: np.minimum(right(h, n), 1),
            "You say whether it happened. The exercise asks how often.",
        ),
    ]
    return check(answer, right, HISTORIES, mistakes)


def _cell(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    x, h = rng.normal(size=(2, 3))
    gates = "reset", "update", "candidate"
    p = {f"{gate}_{part}": rng.normal(size=(3, 3)) for gate in gates for part in ("kernel", "recurrent")}
    p |= {f"{gate}_bias": rng.normal(size=3) for gate in gates}
    return x, h, p | {"candidate_recurrent_bias": rng.normal(size=3)}


CELLS = [_cell(seed) for seed in range(3)]


@hints(
    "Compute the gates r and z first: both read x and h, and go through the logistic function.",
    "In the candidate, r weighs (h U_n + c_n), bias included. Then h' = (1 − z) n + z h.",
)
def gru(answer: Callable) -> bool | None:
    """Exercise 2. answer(x, h, p): one step of a GRU, (factors,); p has the names of the saved parameters."""

    def gates(x, h, p):
        r, z = (
            formulas.sigmoid(x @ p[f"{g}_kernel"] + h @ p[f"{g}_recurrent"] + p[f"{g}_bias"])
            for g in ("reset", "update")
        )
        return r, z, x @ p["candidate_kernel"] + p["candidate_bias"]

    def turned(x, h, p):
        r, z, step = gates(x, h, p)
        n = np.tanh(step + r * (h @ p["candidate_recurrent"] + p["candidate_recurrent_bias"]))
        return z * n + (1 - z) * h

    def before(x, h, p):
        r, z, step = gates(x, h, p)
        n = np.tanh(step + (r * h) @ p["candidate_recurrent"] + p["candidate_recurrent_bias"])
        return (1 - z) * n + z * h

    def forgotten(x, h, p):
        r, z, step = gates(x, h, p)
        n = np.tanh(step + r * (h @ p["candidate_recurrent"]))
        return (1 - z) * n + z * h

    def unreset(x, h, p):
        r, z, step = gates(x, h, p)
        n = np.tanh(step + h @ p["candidate_recurrent"] + p["candidate_recurrent_bias"])
        return (1 - z) * n + z * h

    mistakes = [
        Mistake(turned, "z and 1 - z have changed places: an update gate of 1 keeps the old state."),
        Mistake(
            before,
            "The reset gate acts on the state before the kernel. Here it acts on what the kernel gives.",
        ),
        Mistake(
            forgotten, "The candidate's second bias is missing: it stands inside, where the reset gate acts."
        ),
        Mistake(
            unreset, "The reset gate is not used: it weighs what the candidate takes from the old state."
        ),
    ]
    return check(answer, formulas.gru_step, CELLS, mistakes)


def _padded(seed: int) -> tuple:
    rng = np.random.default_rng(seed)
    lengths = np.array([4, 1, 3])
    return rng.normal(size=(3, 4, 2)), lengths


PADDED = [_padded(seed) for seed in range(3)]


@hints(
    "The last real step of a person with length T has the number T − 1.",
    "Index with two arrays: `np.arange(len(states))` for the people, `lengths - 1` for the steps.",
)
def last_states(answer: Callable) -> bool | None:
    """Exercise 3. answer(states, lengths): the state after each person's last real step, (people, factors).

    states : (people, width, factors), filled up on the right;  lengths : (people,)
    """

    def right(states, lengths):
        return states[np.arange(len(states)), lengths - 1]

    def mean(states, lengths):
        real = np.arange(states.shape[1]) < lengths[:, None]
        return (states * real[..., None]).sum(1) / lengths[:, None]

    mistakes = [
        Mistake(
            lambda s, n: s[:, -1], "You take the last column: for short histories that is what was filled in."
        ),
        Mistake(
            lambda s, n: s[np.arange(len(s)), np.minimum(n, s.shape[1] - 1)],
            "One too far: the last of n steps has the number n - 1.",
        ),
        Mistake(lambda s, n: s[:, 0], "You take the first state. It knows one item."),
        Mistake(mean, "That is the mean over the real steps. The last state has read them all already."),
    ]
    return check(answer, right, PADDED, mistakes)

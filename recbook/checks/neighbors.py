"""Checks of the exercises in the chapter `neighbors`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recbook.checks import Mistake, check, hints
from recbook.formulas import neighbors as formulas

_ = np.nan
ROWS = [
    (np.array([5.0, 3.0, _, 1.0]), np.array([4.0, _, 2.0, 1.0])),
    (np.array([5.0, _, 4.0]), np.array([4.0, 1.0, 4.0])),
    (np.array([3.0, _]), np.array([_, 2.0])),
]


@hints(
    "Which items may take part? Make a mask of those that both have rated.",
    "With x and y at these items: x·y over the product of their lengths. Where nothing is in "
    "common, give 0 before you divide.",
)
def cosine(answer: Callable) -> bool | None:
    """Exercise 1. answer(x, y): cosine of two rows over co-rated items, NaN where there is no rating."""

    def over_all(x, y):
        x, y = np.nan_to_num(x), np.nan_to_num(y)
        return x @ y / np.sqrt((x @ x) * (y @ y))

    def undivided(x, y):
        both = formulas.co_rated(x, y)
        return x[both] @ y[both]

    mistakes = [
        Mistake(over_all, "You count a missing rating as 0. Sum over co-rated items only, in the norms too."),
        Mistake(undivided, "That is the dot product alone. Divide by the two norms, over co-rated items as well."),
        Mistake(lambda x, y: 1 - formulas.cosine(x, y), "That is a distance, 1 - cosine: the more alike, the smaller."),
        Mistake(formulas.pearson, "You took the means off first: that is Pearson's correlation."),
        Mistake(lambda x, y: np.nan if not formulas.co_rated(x, y).any() else formulas.cosine(x, y),
                "Right where the rows share an item. Without any, 0/0: say 0 there."),
    ]  # fmt: skip
    return check(answer, formulas.cosine, ROWS, mistakes)


PREDICTIONS = [
    (np.array([0.9, 0.2, 0.5, 0.7]), np.array([1.0, -2.0, 0.5, -1.0]), 3.5, 2),
    (np.array([0.1, 0.8, 0.3]), np.array([1.0, -1.0, 2.0]), 3.0, 2),
    (np.array([0.4]), np.array([-0.5]), 4.0, 3),
]


@hints(
    "Choose the neighbours first: the k largest similarities. `np.argsort` sorts upwards.",
    "Multiply their similarities with their deviations, add up, divide by the sum of "
    "|similarities|, add the mean.",
)
def predict(answer: Callable) -> bool | None:
    """Exercise 2. answer(similarities, deviations, mean, k): equation (nb-user-prediction) for one pair."""

    def nearest(similarities, k):
        return np.argsort(-similarities, kind="stable")[:k]

    def right(similarities, deviations, mean, k):
        near = nearest(similarities, k)
        return mean + formulas.weighted_mean_of_deviations(similarities[near], deviations[near])

    def ascending(similarities, deviations, mean, k):
        far = np.argsort(similarities, kind="stable")[:k]
        return mean + formulas.weighted_mean_of_deviations(similarities[far], deviations[far])

    def everybody(similarities, deviations, mean, k):
        return mean + formulas.weighted_mean_of_deviations(similarities, deviations)

    def unweighted(similarities, deviations, mean, k):
        return mean + deviations[nearest(similarities, k)].mean()

    def undivided(similarities, deviations, mean, k):
        near = nearest(similarities, k)
        return mean + similarities[near] @ deviations[near]

    mistakes = [
        Mistake(ascending, "These are the k least similar: sorting puts the smallest first."),
        Mistake(everybody, "You use everybody. Keep the k most similar only."),
        Mistake(unweighted, "Every neighbour counts the same here. Weight each by its similarity."),
        Mistake(undivided, "Divide by the sum of the weights that you used."),
        Mistake(
            lambda s, d, m, k: right(s, d, 0.0, k), "That is the deviation alone. Add the user's mean again."
        ),
    ]
    return check(answer, right, PREDICTIONS, mistakes)


def _table(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    R = np.where(rng.random((12, 9)) < 0.55, rng.integers(1, 6, (12, 9)), np.nan).astype(float)
    R[0] = [5, 4, 1, 2, _, _, _, 3, 1]
    return R, formulas.similarity_matrix(R, "msd")


@hints(
    "Which items has u not rated? Only these get a score.",
    "Score each with `formulas.predict_user_knn(R, S, u, i, k=3)`, sort downwards, and give the "
    "items' own indices.",
)
def recommend(answer: Callable) -> bool | None:
    """Exercise 3. answer(R, S, u, n): the n items that u has not rated with the highest predictions, best first."""

    def ranked(R, S, u, n, seen=False, best_first=True, zeros=False):
        table = np.nan_to_num(R) if zeros else R
        scores = np.array([formulas.predict_user_knn(table, S, u, i, k=3) for i in range(R.shape[1])])
        if not seen:
            scores[~np.isnan(R[u])] = -np.inf if best_first else np.inf
        return np.argsort(-scores if best_first else scores, kind="stable")[:n]

    mistakes = [
        Mistake(
            lambda *case: ranked(*case, seen=True),
            "Your list has items that the user has rated: leave them out.",
        ),
        Mistake(
            lambda *case: ranked(*case, best_first=False), "Your list begins with the worst: sort downwards."
        ),
        Mistake(lambda *case: ranked(*case, zeros=True), "You count a missing rating as 0."),
        Mistake(lambda *case: ranked(*case)[::-1], "The items are right, but the best must come first."),
    ]
    cases = [(*_table(seed), 0, 2) for seed in range(4)]
    return check(answer, ranked, cases, mistakes)

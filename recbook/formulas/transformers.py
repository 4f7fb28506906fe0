"""Equations of the chapter `transformers`, in plain NumPy: one sequence at a time, float64, slow and obvious."""

from __future__ import annotations

from math import erf, sqrt

import numpy as np

from recbook.formulas.losses import binary_cross_entropy, categorical_cross_entropy

EPSILON = 1e-8  # of layer normalisation, as in SASRec
BLOCK = (
    *("wq", "wk", "wv", "wo", "attention_gain", "attention_bias"),
    *("inner", "inner_bias", "outer", "outer_bias", "feed_gain", "feed_bias"),
)


# ---------------------------------------------------------------- attention


def attention_weights(Q: np.ndarray, K: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
    """Equation (tr-weights): softmax of Q Kᵀ / √d, (n, m); row t says how much of each position t takes.

    Q : (n, d);  K : (m, d);  allowed : (n, m) bool, which positions each may look at; None: all

    A row that may look at nothing is all 0.
    """
    logits = Q @ K.T / np.sqrt(Q.shape[1])
    allowed = np.ones(logits.shape, bool) if allowed is None else allowed
    logits = np.where(allowed, logits, -np.inf)
    highest = logits.max(1, keepdims=True, initial=-np.inf)
    odds = np.exp(logits - np.where(np.isfinite(highest), highest, 0.0))
    total = odds.sum(1, keepdims=True)
    return odds / np.where(total > 0, total, 1.0)


def attention(Q: np.ndarray, K: np.ndarray, V: np.ndarray, allowed: np.ndarray | None = None) -> np.ndarray:
    """Equation (tr-attention): each position's weighted mean of the values, (n, columns of V)."""
    return attention_weights(Q, K, allowed) @ V


def causal(n: int) -> np.ndarray:
    """Equation (tr-causal): position t may look at t and what was before, (n, n) bool."""
    return np.tril(np.ones((n, n), bool))


def multi_head(x: np.ndarray, wq, wk, wv, wo, heads: int, allowed: np.ndarray | None = None) -> np.ndarray:
    """Equation (tr-heads): attention in `heads` parts of the columns, side by side, times wo.

    x : (n, d);  wq, wk, wv, wo : (d, d); head h has the columns h d/heads … (h+1) d/heads of the first three
    """
    Q, K, V = (np.split(x @ w, heads, axis=1) for w in (wq, wk, wv))
    parts = [attention(q, k, v, allowed) for q, k, v in zip(Q, K, V, strict=True)]
    return np.concatenate(parts, axis=1) @ wo


# ---------------------------------------------------------------- a block


def layer_norm(x: np.ndarray, gain: np.ndarray, bias: np.ndarray, epsilon: float = EPSILON) -> np.ndarray:
    """Equation (tr-norm): each row with mean 0 and variance 1, times gain, plus bias."""
    centred = x - x.mean(-1, keepdims=True)
    variance = np.square(centred).mean(-1, keepdims=True)
    return gain * centred / np.sqrt(variance + epsilon) + bias


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def gelu(x: np.ndarray) -> np.ndarray:
    """Equation (tr-gelu): x Φ(x), Φ being the distribution function of the standard normal."""
    return x * 0.5 * (1 + np.vectorize(erf, otypes=[float])(np.asarray(x) / sqrt(2)))


def feed_forward(x: np.ndarray, inner, inner_bias, outer, outer_bias, activation) -> np.ndarray:
    """Equation (tr-feed): the same two layers at every position."""
    return activation(x @ inner + inner_bias) @ outer + outer_bias


def _block(p: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    """The parameters of block n: the n-th slice of each array that has one a block."""
    return {name: p[name][n] for name in BLOCK}


def pre_norm_block(x: np.ndarray, b: dict, heads: int, allowed: np.ndarray) -> np.ndarray:
    """Equation (tr-pre), SASRec's: x + part(norm(x)), for attention, then for the two layers."""
    normed = layer_norm(x, b["attention_gain"], b["attention_bias"])
    x = x + multi_head(normed, b["wq"], b["wk"], b["wv"], b["wo"], heads, allowed)
    normed = layer_norm(x, b["feed_gain"], b["feed_bias"])
    return x + feed_forward(normed, b["inner"], b["inner_bias"], b["outer"], b["outer_bias"], relu)


def post_norm_block(x: np.ndarray, b: dict, heads: int, allowed: np.ndarray) -> np.ndarray:
    """Equation (tr-post), BERT's: norm(x + part(x)), for attention, then for the two layers."""
    mixed = multi_head(x, b["wq"], b["wk"], b["wv"], b["wo"], heads, allowed)
    x = layer_norm(x + mixed, b["attention_gain"], b["attention_bias"])
    fed = feed_forward(x, b["inner"], b["inner_bias"], b["outer"], b["outer_bias"], gelu)
    return layer_norm(x + fed, b["feed_gain"], b["feed_bias"])


# ---------------------------------------------------------------- SASRec


def sasrec_states(history: list[int], p: dict[str, np.ndarray], heads: int) -> np.ndarray:
    """Equation (tr-sasrec): a state after each item of the history, (n, d), each blind to what comes later.

    history : item codes, oldest first, at most max_length;  p : the model's parameters. Places are counted from the
    newest item, whose place is the last.
    """
    x = (
        p["item_factors"][history] * np.sqrt(p["item_factors"].shape[1])
        + p["places"][len(p["places"]) - len(history) :]
    )
    for n in range(len(p["wq"])):
        x = pre_norm_block(x, _block(p, n), heads, causal(len(x)))
    return layer_norm(x, p["last_gain"], p["last_bias"])


def sasrec_scores(history: list[int], p: dict[str, np.ndarray], heads: int) -> np.ndarray:
    """The last state's product with the vector of every item, (n_items,)."""
    return sasrec_states(history, p, heads)[-1] @ p["item_factors"].T


def sasrec_binary(positive, negative) -> float:
    """Equation (tr-binary): the mean over positions of -log σ(positive) - log(1 - σ(negative)).

    positive, negative : (n,) scores of the item that came next, and of one that was drawn
    """
    positive, negative = np.asarray(positive, float), np.asarray(negative, float)
    came = binary_cross_entropy(np.ones(positive.shape), positive)
    return float(came + binary_cross_entropy(np.zeros(negative.shape), negative))


def sasrec_softmax(scores, targets) -> float:
    """Equation (tr-softmax): the mean over positions of -log softmax(scores) at the item that came next.

    scores : (n, n_items);  targets : (n,) codes
    """
    return float(categorical_cross_entropy(targets, scores))


# ---------------------------------------------------------------- BERT4Rec


def bert4rec_states(
    history: list[int], hidden: np.ndarray, p: dict[str, np.ndarray], heads: int
) -> np.ndarray:
    """Equation (tr-bert4rec): a state at each place, (n, d), all looking at all; a hidden item is the mask's vector.

    history : item codes, oldest first;  hidden : (n,) bool
    """
    x = np.where(np.asarray(hidden)[:, None], p["mask"], p["item_factors"][history])
    x = x + p["places"][len(p["places"]) - len(history) :]
    x = layer_norm(x, p["first_gain"], p["first_bias"])
    for n in range(len(p["wq"])):
        x = post_norm_block(x, _block(p, n), heads, np.ones((len(x), len(x)), bool))
    return x


def bert4rec_logits(states: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    """Equation (tr-cloze-head): GELU of a layer, then the product with every item's vector, and the item's bias."""
    return gelu(states @ p["head"] + p["head_bias"]) @ p["item_factors"].T + p["item_bias"]


def bert4rec_scores(history: list[int], p: dict[str, np.ndarray], heads: int) -> np.ndarray:
    """The logits at a mask that stands after the history, (n_items,)."""
    hidden = np.append(np.zeros(len(history), bool), True)
    return bert4rec_logits(bert4rec_states([*history, 0], hidden, p, heads)[-1:], p)[0]


def cloze(history: list[int], hidden: np.ndarray, p: dict[str, np.ndarray], heads: int) -> np.ndarray:
    """Equation (tr-cloze): -log softmax at the items that were hidden, one for each of them."""
    hidden = np.asarray(hidden)
    logits = bert4rec_logits(bert4rec_states(history, hidden, p, heads)[hidden], p)
    return np.asarray(categorical_cross_entropy(np.asarray(history)[hidden], logits, "none"))


# ---------------------------------------------------------------- sizes


def transformer_parameters(
    vocabulary: int, positions: int, width: int, blocks: int, inner: int | None = None, segments: int = 0,
    first_norm: bool = False, last_norm: bool = False, pooler: bool = False,
) -> int:  # fmt: skip
    """Equation (tr-size): how many numbers a published transformer learns; kernels with biases everywhere.

    vocabulary, positions, segments : rows of the tables;  inner : width inside the two layers, 4 width unless given
    first_norm, last_norm : a normalisation before the blocks, after them;  pooler : BERT's layer on its first position
    """
    inner = 4 * width if inner is None else inner
    tables = (vocabulary + positions + segments) * width
    heads = 4 * (width * width + width)
    layers = 2 * width * inner + inner + width
    block = heads + layers + 2 * 2 * width
    return tables + blocks * block + 2 * width * (first_norm + last_norm) + pooler * (width * width + width)

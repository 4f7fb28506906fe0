"""What the Keras wing's models of the next item share: scores of states, and what is made small."""

from __future__ import annotations

import keras
from keras import ops


def loss_of_steps(network: keras.Model, states, batch: dict, loss: str):
    """(people, width), of any value where a step is not real.

    loss : "softmax" over all items; "bpr" or "binary" against drawn ones
    """
    wanted = ops.minimum(batch["next_items"], network.item_factors.shape[0] - 1)
    positive = scores_at(network, states, wanted[..., None])
    if loss == "softmax":
        return ops.logsumexp(scores(network, states), axis=-1) - positive[..., 0]
    negative = scores_at(network, states, batch["negatives"])
    if loss == "bpr":
        return ops.mean(ops.softplus(negative - positive), axis=-1)
    return ops.softplus(-positive[..., 0]) + ops.sum(ops.softplus(negative), axis=-1)


def over_real_steps(loss, batch: dict):
    """The mean."""
    return ops.sum(loss * batch["mask"]) / ops.sum(batch["mask"])


def scores(network: keras.Model, states):
    """Of all items, (…, n_items): q · state + b."""
    found = states @ ops.transpose(network.item_factors)
    return found + network.item_bias if hasattr(network, "item_bias") else found


def scores_at(network: keras.Model, states, items):
    """Of some items: states (…, factors), items (…, k) -> (…, k)."""
    vectors = ops.take(network.item_factors, items, axis=0)
    found = ops.sum(vectors * states[..., None, :], axis=-1)
    return found + ops.take(network.item_bias, items) if hasattr(network, "item_bias") else found

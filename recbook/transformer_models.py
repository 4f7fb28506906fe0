"""What the transformers share in both wings: shapes, starts, what dropout keeps, what a cloze hides.

A block's arrays are kept together, one slice a block: `wq` is (blocks, factors, factors). Dropout and hidden items are
drawn here, by NumPy, and come with the batch: both frameworks leave out the same.
"""

from __future__ import annotations

import numpy as np

from recbook.next_items import SequenceModel
from recbook.recommender import Coded, check_number
from recbook.reconstruction import glorot
from recbook.training import Batch

NORM_EPSILON = 1e-8  # of layer normalisation, as in SASRec; neither framework's default
FAR_BELOW = -1e9  # in place of a logit that may not be looked at: its share is 0, and no row is NaN
TABLES = ("item_factors", "places", "mask")  # the arrays of vectors, which start small


class TransformerModel(SequenceModel):
    """Blocks of self-attention over the vectors of items and of places.

    A place is counted from the newest item, so that the newest has the same one however long the history is.
    """

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        for name in ("blocks", "heads", "inner"):
            check_number(name, getattr(self, name), 1, whole=True)
        if self.factors % self.heads:
            raise ValueError(
                f"`heads` is {self.heads}; it must divide `factors`, which is {self.factors}: each has as many columns"
            )
        check_number("init_scale", self.init_scale, 0, above=True)
        check_number("dropout", self.dropout, 0)
        if self.dropout >= 1:
            raise ValueError(f"`dropout` is {self.dropout!r}; it is a share, and must leave something")

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        shapes = self._parameter_shapes(train.n_users, train.n_items)
        return {name: self._first_values(name, shape, rng) for name, shape in shapes.items()}

    def _first_values(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        """Vectors small; kernels by `glorot`; gains 1, biases 0."""
        if name in TABLES:
            return rng.normal(0.0, self.init_scale, shape).astype(np.float32)
        if name.endswith(("_gain", "_bias")):
            return np.full(shape, name.endswith("_gain"), np.float32)
        if len(shape) == 2:
            return glorot(rng, *shape)
        return np.stack([glorot(rng, *shape[1:]) for _block in range(shape[0])])

    def _with_kept(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """The batch, and what dropout keeps: "kept" (people, 1 + 2 blocks, width, factors) bool.

        Of the sum of vectors first, then of each block's attention and of its two layers.
        """
        if not self.dropout:
            return batch
        people, width = batch["items"].shape
        shape = people, 1 + 2 * self.blocks, width, self.factors
        return batch | {"kept": rng.random(shape, np.float32) >= self.dropout}

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        d, n, inner = self.factors, self.blocks, self.inner
        square, row = (n, d, d), (n, d)
        return {
            "item_factors": (n_items, d),
            "places": (self.max_length, d),
            **{name: square for name in ("wq", "wk", "wv", "wo")},
            **{name: row for name in ("attention_gain", "attention_bias")},
            **{"inner": (n, d, inner), "inner_bias": (n, inner), "outer": (n, inner, d), "outer_bias": row},
            **{name: row for name in ("feed_gain", "feed_bias")},
        }


class SASRecModel(TransformerModel):
    """Each position looks back alone, and says what came next."""

    task = "next_item"
    _losses = ("binary", "softmax")

    def _batch(self, people: np.ndarray, width: int, rng: np.random.Generator) -> Batch:
        return self._with_kept(super()._batch(people, width, rng), rng)

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        last = {"last_gain": (self.factors,), "last_bias": (self.factors,)}
        return super()._parameter_shapes(n_users, n_items) | last


class BERT4RecModel(TransformerModel):
    """Some items are hidden, and all positions, before and after, say which they were.

    The code n_items + 1 is the mask.
    """

    task = "next_item"

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        for name in ("hidden_share", "last_only"):
            check_number(name, getattr(self, name), 0, above=name == "hidden_share")
            if getattr(self, name) > 1:
                raise ValueError(f"`{name}` is {getattr(self, name)!r}; it is a share, at most 1")
        check_number("max_length", self.max_length, 2, whole=True)

    def _n_steps(self, lengths: np.ndarray) -> np.ndarray:
        """All items may be hidden; who has one item alone has nothing to guess it from."""
        return np.where(lengths > 1, np.minimum(lengths, self.max_length), 0)

    def _batch(self, people: np.ndarray, width: int, rng: np.random.Generator) -> Batch:
        """ "items" with the mask in some places; "hidden" (people, most) where it is, "wanted" what was there.

        Of a history of n items `hidden_share` n are hidden, rounded, at least one; of a share `last_only` of
        people the newest alone, which is what prediction asks for. "mask" is 1 where a hidden place is real.
        """
        n = self._n_steps(self._seen.lengths[people])
        steps = self._steps_of(people, n, width)
        most = max(1, round(self.hidden_share * width))
        column = np.arange(width)
        order = np.argsort(np.where(column < n[:, None], rng.random((len(people), width)), 2.0), axis=1)
        number = np.clip(np.round(self.hidden_share * n).astype(int), 1, most)
        hidden = order[:, :most].copy()
        newest = rng.random(len(people)) < self.last_only
        hidden[newest, 0], number[newest] = n[newest] - 1, 1
        real = np.arange(most) < number[:, None]
        rows = np.arange(len(people))[:, None]
        wanted = steps["items"][rows, hidden]
        items = steps["items"].copy()
        items[np.broadcast_to(rows, hidden.shape)[real], hidden[real]] = len(self._item_index) + 1
        return self._with_kept(
            steps
            | {
                "items": items,
                "hidden": hidden.astype(np.int32),
                "wanted": np.where(real, wanted, 0).astype(np.int32),
                "mask": real.astype(np.float32),
            },
            rng,
        )

    def _with_mask(self, steps: Batch) -> Batch:
        """The histories with a mask after the newest item; the oldest makes room for it where that is needed."""
        items, length = steps["items"], steps["length"].astype(np.int64)
        width = min(items.shape[1] + 1, self.max_length)
        kept = np.minimum(length, self.max_length - 1)
        column = np.arange(width) + (length - kept)[:, None]
        found = np.take_along_axis(items, np.minimum(column, items.shape[1] - 1), axis=1)
        found = np.where(np.arange(width) < kept[:, None], found, len(self._item_index))
        found[np.arange(len(found)), kept] = len(self._item_index) + 1
        return {"items": found.astype(np.int32), "length": (kept + 1).astype(np.int32)}

    def _parameter_shapes(self, n_users: int, n_items: int) -> dict[str, tuple[int, ...]]:
        d = self.factors
        more = {"mask": (d,), "first_gain": (d,), "first_bias": (d,), "head": (d, d), "head_bias": (d,)}
        return super()._parameter_shapes(n_users, n_items) | more | {"item_bias": (n_items,)}

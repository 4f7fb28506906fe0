"""SASRec and BERT4Rec: what both wings share, shapes, starts, what dropout keeps, what a cloze hides (`transformers`).

A block's arrays are kept together, one slice a block: `wq` is (blocks, factors, factors). Dropout and hidden items are
drawn here, by NumPy, and come with the batch: both frameworks leave out the same.

A place is counted from the newest item, so that the newest has the same one however long the history is.
"""

from __future__ import annotations

import numpy as np

from recbook.recommender import Coded, choice, device, number, seed, whole
from recbook.shared._histories import SequenceModel
from recbook.shared._training import OPTIMIZERS, Batch, glorot

Shapes = dict[str, tuple[int, ...]]
NORM_EPSILON = 1e-8  # of layer normalisation, as in SASRec; neither framework's default
FAR_BELOW = -1e9  # in place of a logit that may not be looked at: its share is 0, and no row is NaN
TABLES = ("item_factors", "places", "mask")  # the arrays of vectors, which start small


def check_heads(model: SASRec | BERT4Rec) -> None:
    """Raises ValueError where the heads do not share the factors evenly."""
    if model.factors % model.heads:
        raise ValueError(
            f"`heads` is {model.heads}; it must divide `factors`, which is {model.factors}: each has as many columns"
        )


def transformer_shapes(model: SASRec | BERT4Rec, n_items: int) -> Shapes:
    """The arrays of places and blocks, by their canonical names."""
    d, n, inner = model.factors, model.blocks, model.inner
    square, row = (n, d, d), (n, d)
    return {
        "item_factors": (n_items, d),
        "places": (model.max_length, d),
        **{name: square for name in ("wq", "wk", "wv", "wo")},
        **{name: row for name in ("attention_gain", "attention_bias")},
        **{"inner": (n, d, inner), "inner_bias": (n, inner), "outer": (n, inner, d), "outer_bias": row},
        **{name: row for name in ("feed_gain", "feed_bias")},
    }


def transformer_start(shapes: Shapes, init_scale: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Vectors small; kernels by `glorot`; gains 1, biases 0."""

    def first(name: str, shape: tuple[int, ...]) -> np.ndarray:
        if name in TABLES:
            return rng.normal(0.0, init_scale, shape).astype(np.float32)
        if name.endswith(("_gain", "_bias")):
            return np.full(shape, name.endswith("_gain"), np.float32)
        if len(shape) == 2:
            return glorot(rng, *shape)
        return np.stack([glorot(rng, *shape[1:]) for _block in range(shape[0])])

    return {name: first(name, shape) for name, shape in shapes.items()}


def with_kept(model: SASRec | BERT4Rec, batch: Batch, rng: np.random.Generator) -> Batch:
    """The batch, and what dropout keeps: "kept" (people, 1 + 2 blocks, width, factors) bool.

    Of the sum of vectors first, then of each block's attention and of its two layers.
    """
    if not model.dropout:
        return batch
    people, width = batch["items"].shape
    shape = people, 1 + 2 * model.blocks, width, model.factors
    return batch | {"kept": rng.random(shape, np.float32) >= model.dropout}


class SASRec(SequenceModel):
    """SASRec: attention that only looks back says what comes next (Kang and McAuley 2018).

    Each step of a history, of which the last max_length are read, becomes its item's vector and its place's; blocks
    of attention, equation (tr-heads), and two layers, (tr-feed), each with layer normalisation before and a sum
    after, (tr-pre), make a state of it, (tr-sasrec). A position sees what was before it and itself, (tr-causal).
    score_i = q_i · state, q_i being the same vector that is read. Made smaller, the mean over steps: the
    cross-entropy over all items, (tr-softmax), or, as published, binary cross-entropy against drawn items,
    (tr-binary). The paper's attention has no wo, and its dropout hides shares of attention, too.

    factors : the length d of vectors and states;  blocks : how many;  heads : of attention, a divisor of factors
    inner : the width between the two layers;  max_length : how many of the last steps are read
    loss : "softmax" or "binary";  negatives : for "binary", items a step that the person has no event with
    dropout : the share that is left out of each sum's new part, drawn anew for each batch
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of people
    reg : λ, of the squares of all kernels and vectors;  init_scale : standard deviation of the first vectors
    patience : epochs without a better validation error (1 - nDCG@10) before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    Ratings are ignored. Events go in order of time, those of one time in the order of the table. Who has no history
    gets what is popular.
    """

    task = "next_item"

    factors: int = whole(64, search=[16, 32, 64, 128])  # what several heads divide
    blocks: int = whole(2, search=(1, 3))
    heads: int = whole(1)
    inner: int = whole(64)
    max_length: int = whole(50, search=(10, 200, "log"))
    loss: str = choice("softmax", ("softmax", "binary"), search=["softmax", "binary"])
    negatives: int = whole(1)
    dropout: float = number(0.4, 0, below=1, search=(0.0, 0.6))
    epochs: int = whole(25, search=(10, 60, "log"))
    learning_rate: float = number(0.002, above=0, search=(0.0005, 0.01, "log"))
    reg: float = number(0.0, 0, search=[0.0, 1e-6, 1e-5, 1e-4])
    batch_size: int | None = whole(32, or_none=True)
    init_scale: float = number(0.02, above=0)
    optimizer: str = choice("adam", OPTIMIZERS)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_heads(self)

    def _n_negatives(self) -> int:
        return self.negatives if self.loss == "binary" else 0

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return transformer_start(self._parameter_shapes(train.n_users, train.n_items), self.init_scale, rng)

    def _batch(self, people: np.ndarray, width: int, rng: np.random.Generator) -> Batch:
        return with_kept(self, super()._batch(people, width, rng), rng)

    def _parameter_shapes(self, n_users: int, n_items: int) -> Shapes:
        last = {"last_gain": (self.factors,), "last_bias": (self.factors,)}
        return transformer_shapes(self, n_items) | last


class BERT4Rec(SequenceModel):
    """BERT4Rec: attention both ways guesses items that were hidden (Sun et al. 2019).

    A share of a history's items is hidden behind one vector, the mask's, and all positions see all, before and
    after, equation (tr-bert4rec); layer normalisation comes after each sum, (tr-post). Made smaller: the mean over
    hidden items of the cross-entropy over all items, (tr-cloze). To recommend, a mask is put after the newest item.
    An encoder that fills gaps: it makes no sequence. The paper's dropout hides shares of attention, too.

    factors : the length d of vectors and states;  blocks : how many;  heads : of attention, a divisor of factors
    inner : the width between the two layers;  max_length : how many of the last steps are read, the mask counted
    hidden_share : of a history's items, hidden in training;  last_only : share of people, drawn anew in each epoch,
        of whom the newest item alone is hidden, which is what prediction asks for
    dropout : the share that is left out of each sum's new part, drawn anew for each batch
    epochs, learning_rate, batch_size, optimizer : of the training; a batch is a number of people
    reg : λ, of the squares of all kernels and vectors;  init_scale : standard deviation of the first vectors
    patience : epochs without a better validation error (1 - nDCG@10) before training stops; None goes to the end
    device : "auto", "cpu", "cuda", "mps"

    Ratings are ignored. Events go in order of time, those of one time in the order of the table. Who has no history
    gets what is popular.
    """

    # The code n_items + 1 is the mask.

    task = "next_item"

    factors: int = whole(64, search=[16, 32, 64, 128])  # what several heads divide
    blocks: int = whole(2, search=(1, 3))
    heads: int = whole(2)
    inner: int = whole(128)
    max_length: int = whole(50, 2, search=(10, 200, "log"))
    hidden_share: float = number(0.2, above=0, most=1, search=(0.1, 0.6))
    last_only: float = number(0.1, 0, most=1, search=(0.0, 0.5))
    dropout: float = number(0.2, 0, below=1, search=(0.0, 0.6))
    epochs: int = whole(30, search=(10, 60, "log"))
    learning_rate: float = number(0.002, above=0, search=(0.0005, 0.01, "log"))
    reg: float = number(0.0, 0, search=[0.0, 1e-6, 1e-5, 1e-4])
    batch_size: int | None = whole(32, or_none=True)
    init_scale: float = number(0.02, above=0)
    optimizer: str = choice("adam", OPTIMIZERS)
    patience: int | None = whole(None, or_none=True)
    seed: int = seed()
    device: str = device()

    def _check_hyper_parameters(self) -> None:
        super()._check_hyper_parameters()
        check_heads(self)

    def _start(self, train: Coded, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return transformer_start(self._parameter_shapes(train.n_users, train.n_items), self.init_scale, rng)

    def _item_biases(self) -> np.ndarray:
        return self._get_parameters()["item_bias"]

    def _states(self, steps: Batch) -> np.ndarray:
        return super()._states(self._with_mask(steps))

    def _n_steps(self, lengths: np.ndarray) -> np.ndarray:
        """All items may be hidden; who has one item alone has nothing to guess it from."""
        return np.where(lengths > 1, np.minimum(lengths, self.max_length), 0)

    def _batch(self, people: np.ndarray, width: int, rng: np.random.Generator) -> Batch:
        """ "items" with the mask in some places; "hidden" (people, most) where it is, "wanted" what was there.

        Of a history of n items `hidden_share` n are hidden, rounded, at least one; of a share `last_only` of
        people the newest alone, which is what prediction asks for. "mask" is 1 where a hidden place is real.
        """
        n = self._n_steps(self._train.by_user.lengths[people])
        steps = self._steps_of(self._train, people, n, width)
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
        return with_kept(
            self,
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

    def _parameter_shapes(self, n_users: int, n_items: int) -> Shapes:
        d = self.factors
        more = {"mask": (d,), "first_gain": (d,), "first_bias": (d,), "head": (d, d), "head_bias": (d,)}
        return transformer_shapes(self, n_items) | more | {"item_bias": (n_items,)}

"""What the models of the next item share in both wings: events in order of time, batches, scores, people never seen.

A person's history is a list of items in order of time. What such a model learns from is every step of it: the items up
to a step, and the item that came next. Lists of different lengths are filled up at their right ends: then the first
step stands first everywhere, a model that only looks back never sees what was filled in, and the last real step of a
list of n is the one numbered n - 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

import numpy as np

from recbook.core.blocks import blocks, power_of_two
from recbook.core.ragged import Ragged
from recbook.interactions import Dataset, Interactions, as_interactions
from recbook.metrics import ndcg_at_k
from recbook.recommender import Coded, Recommender, popularity
from recbook.sampling import NegativeSampler, batches
from recbook.shared._training import Batch, GradientModel

STATES_PER_BLOCK = 1024
NARROW = 8  # lists are not sorted into narrower rectangles than this
VALIDATED_AT = 10  # the length of the lists that `_validate` looks at


def in_time(coded: Coded) -> Coded:
    """The same rows from the earliest to the latest; those of one time, or all without times, in their own order.

    Where there are no ratings each becomes 1, so that a file that keeps the rows is like any other.
    """
    n = len(coded.users)
    order = np.arange(n) if coded.timestamps is None else np.argsort(coded.timestamps, kind="stable")
    return replace(
        coded,
        users=coded.users[order],
        items=coded.items[order],
        ratings=np.ones(n) if coded.ratings is None else coded.ratings[order],
        timestamps=None if coded.timestamps is None else coded.timestamps[order],
        extra={name: column[order] for name, column in coded.extra.items()},
    )


def last_rows(lists: Ragged, keys: np.ndarray, lengths: np.ndarray, width: int) -> np.ndarray:
    """The last lengths[j] rows of list keys[j], in order, from the left: (len(keys), width), -1 to their right."""
    column = np.arange(width)
    real = column < lengths[:, None]
    cell = np.where(real, (lists.starts[keys + 1] - lengths)[:, None] + column, 0)
    rows = lists.rows[cell] if len(lists.rows) else cell
    return np.where(real, rows, -1)


def widths(longest: int) -> np.ndarray:
    """The few widths that lists of up to `longest` are filled up to: its halves, rounded up, ascending.

    Above the narrowest, a list is never filled up to more than twice its length; and frameworks that compile for
    each shape compile few.
    """
    found = [longest]
    while found[-1] > NARROW:
        found.append(-(-found[-1] // 2))
    return np.array(found[::-1])


def check_something_came_next(model: Recommender, train: Interactions) -> None:
    """Raises ValueError where nobody has two events."""
    if len(train) and np.bincount(train.user_codes).max() < 2:
        raise ValueError(
            f"{type(model).__name__} learns from what came next, and nobody in the data has two events; "
            "give histories of at least two events, or choose Popularity"
        )


class SequenceModel(GradientModel):
    """A network that reads the steps of a history and gives a state after each; score_i = q_i · state + b_i.

    Events go from the earliest to the latest; events of one time, and all events of data without timestamps, stand in
    the order of the table. An item may come again. Somebody without a history has the scores of `popularity`.

    Of each person the last `max_length` steps are read. A batch is a number of people whose histories are of similar
    length: "items" (people, width) int32, filled up with n_items; "next_items", of the same shape; "mask" float32, 1 at
    real steps; "length" (people,) int32; where negatives are asked for, "negatives" (people, width, negatives), drawn
    from the items that the person has no event with. Other columns of an event (`_columns`) come likewise.

    The network gives `states(batch)`, (people, width, factors), without any noise where the batch has none.
    """

    # Arguments that each model declares for itself; without ClassVar they would be declared here.
    factors: ClassVar[int]
    max_length: ClassVar[int]

    supports = frozenset({"histories", "similar_items"})
    _keeps_ratings = True  # a score is computed from the history: without it nobody can be scored
    _reads_order = True
    _blank_without_history = True

    # ---------------------------------------------------------------- hooks: what a model writes

    def _columns(self, coded: Coded) -> dict[str, tuple[np.ndarray, int]]:
        """What a step consists of, by name: the codes of all events, and the code that fills up."""
        return {"items": (coded.items, coded.n_items)}

    def _n_steps(self, lengths: np.ndarray) -> np.ndarray:
        """How many steps of histories of these lengths are trained on: all that have a next one."""
        return np.minimum(np.maximum(lengths - 1, 0), self.max_length)

    def _batch(self, people: np.ndarray, width: int, rng: np.random.Generator) -> Batch:
        """The examples of a batch: the steps of some people (`_pairs_of_steps`), and what is drawn for them."""
        batch = self._pairs_of_steps(people, width)
        if self._n_negatives():
            batch["negatives"] = self._negatives_for(people, width, rng)
        return batch

    def _n_negatives(self) -> int:
        """How many are drawn for each step."""
        return 0

    def _item_biases(self) -> np.ndarray:
        """b, (n_items,)."""
        return np.zeros(len(self._item_index), np.float32)

    def _states(self, steps: Batch) -> np.ndarray:
        """The state after each last real step, (people, factors) float32.

        steps : "items" (people, width) and the other columns, "length" (people,) of at least 1
        """
        states = self._read("states", steps)
        return states[np.arange(len(states)), steps["length"] - 1]

    # ---------------------------------------------------------------- order

    def _check_data(self, data: Dataset) -> None:
        super()._check_data(data)
        check_something_came_next(self, data.interactions)

    def _in_order(self, train: Coded) -> Coded:
        return in_time(train)

    # ---------------------------------------------------------------- steps

    def _steps_of(self, coded: Coded, people: np.ndarray, lengths: np.ndarray, width: int) -> Batch:
        """The last lengths[j] steps of each person, filled up on the right: every column, and "length"."""
        rows = last_rows(coded.by_user, people, lengths, width)
        steps: Batch = {}
        for name, (codes, filling) in self._columns(coded).items():
            # Row -1 picks what is appended.
            steps[name] = np.append(codes, filling)[rows].astype(np.int32)
        return steps | {"length": lengths.astype(np.int32)}

    def _pairs_of_steps(self, people: np.ndarray, width: int) -> Batch:
        """Steps and what came next: "items" and "next_items", and so each column; "mask"; "length"."""
        n = self._n_steps(self._train.by_user.lengths[people])
        both = self._steps_of(self._train, people, n + 1, width + 1)
        real = np.arange(width) < n[:, None]
        batch: Batch = {}
        for name, (_, filling) in self._columns(self._train).items():
            batch[name] = np.where(real, both[name][:, :-1], np.int32(filling))
            batch[f"next_{name}"] = both[name][:, 1:]
        return batch | {"mask": real.astype(np.float32), "length": n.astype(np.int32)}

    def _negatives_for(self, people: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
        """(people, width, negatives) int32: items that the person has no event with, each as likely."""
        sampler = getattr(self, "_sampler", None)
        if sampler is None:
            train = self._train
            sampler = self._sampler = NegativeSampler(
                train.users, train.items, train.n_users, train.n_items, user_ids=self.user_ids_
            )
        drawn = sampler.draw(np.repeat(people, width), self._n_negatives(), rng)
        return drawn.reshape(len(people), width, -1).astype(np.int32)

    # ---------------------------------------------------------------- training

    def _fit(self, train: Coded, validation: Coded | None, progress: bool) -> None:
        self._epoch = 0
        self._sampler = None
        try:
            super()._fit(train, validation, progress)
        finally:
            for name in ("_epoch", "_sampler"):
                self.__dict__.pop(name, None)

    def _examples(self, train: Coded, rng: np.random.Generator) -> Batch:
        """Whom an epoch goes through: all that have a step to learn from."""
        self._epoch += 1
        return {"user": np.flatnonzero(self._n_steps(self._train.by_user.lengths))}

    def _by_width(self, people: np.ndarray) -> list[tuple[np.ndarray, int]]:
        """The people of each width."""
        wide = widths(self.max_length)
        place = np.searchsorted(wide, self._n_steps(self._train.by_user.lengths[people]))
        return [(people[place == j], int(wide[j])) for j in np.unique(place)]

    def _steps(self, train: Coded, examples: Batch) -> int:
        size = self._size_of_batches(len(examples["user"]))
        return sum(-(-len(people) // size) for people, _ in self._by_width(examples["user"]))

    def _batches(self, train: Coded, examples: Batch, rng: np.random.Generator) -> Iterator[Batch]:
        """People of one width in batches, and these in an order that is shuffled over all widths."""
        size = self._size_of_batches(len(examples["user"]))
        made = [
            (people[some], width)
            for people, width in self._by_width(examples["user"])
            for some in batches(len(people), size, rng)
        ]
        order = rng.permutation(len(made))
        if self._epoch == 1:
            order = _most_unlike_first(order, [(len(people), width) for people, width in made])
        for at in order:
            people, width = made[at]
            yield self._batch(people, width, rng)

    def _validate(self, validation: Coded) -> tuple[str, float]:
        """1 - nDCG@10 of the lists for everybody's first event of the validation data: the next item.

        Where train has no person who met an item twice, lists leave out what was met in train.
        """
        validation = in_time(validation)
        lists = validation.by_user
        people = np.flatnonzero(lists.lengths)
        wanted = validation.items[lists.rows[lists.starts[people]]]
        train, question = self._train, self.question()
        pairs = np.sort(train.users * train.n_items + train.items)
        once, found = bool((np.diff(pairs) > 0).all()), []
        for block in blocks(len(people), train.n_items):
            scores = self._score_rows(people[block], train)
            if once:
                question.hide_met(scores, people[block], np.arange(train.n_items))
            relevant = np.arange(train.n_items) == wanted[block][:, None]
            found.append(ndcg_at_k(scores, relevant, VALIDATED_AT))
        return "validation_error", float(1 - np.concatenate(found).mean())

    # ---------------------------------------------------------------- scores

    def _people(self, histories: Coded | None) -> Coded:
        """Whose events are read, in order of time."""
        return self._train if histories is None else histories

    def _states_of(self, users: np.ndarray, people: Coded) -> tuple[np.ndarray, np.ndarray]:
        """The states of people, (n, factors), and which of them have a history; the others' are 0."""
        lengths = np.where(users >= 0, np.minimum(people.by_user.lengths[users], self.max_length), 0)
        states = np.zeros((len(users), self.factors), np.float32)
        wide = widths(self.max_length)
        place = np.where(lengths > 0, np.searchsorted(wide, lengths), -1)
        for j in np.unique(place[place >= 0]):
            members = np.flatnonzero(place == j)
            for start in range(0, len(members), STATES_PER_BLOCK):
                some = members[start : start + STATES_PER_BLOCK]
                # Few shapes here too: the first person again, up to a power of two.
                full = np.concatenate([some, np.full(power_of_two(len(some)) - len(some), some[0])])
                steps = self._steps_of(people, users[full], lengths[full], int(wide[j]))
                states[some] = self._states(steps)[: len(some)]
        return states, lengths > 0

    def _score_rows(self, users, people) -> np.ndarray:
        states, has_history = self._states_of(users, people)
        scores = states @ self._item_vectors().T + self._item_biases()
        scores[~has_history] = popularity(self._train)
        return scores

    def _prior(self, users, items, people) -> np.ndarray:
        """Somebody unknown is somebody of whom nothing is known; an unknown item is the average item."""
        return self._predict(users, items, people, None)

    def _item_vectors(self) -> np.ndarray:
        return self._get_parameters()["item_factors"]


def _most_unlike_first(order: np.ndarray, shapes: list[tuple[int, int]]) -> np.ndarray:
    """`order`, but that the first two differ in whatever batches differ in, rows and width.

    TensorFlow takes the shapes of all batches to be what the first two have in common.
    """
    rows, width = np.array(shapes)[order].T
    varied = [axis for axis in (rows, width) if len(set(axis.tolist())) > 1]
    for first in range(len(order)):
        differs = np.all([axis != axis[first] for axis in varied], axis=0) if varied else np.zeros(0, bool)
        if differs.any():
            pair = [first, int(differs.argmax())]
            return np.concatenate([order[pair], np.delete(order, pair)])
    return order


def shuffled(x: Interactions | Dataset, seed: int = 0) -> Interactions | Dataset:
    """The same events, but each person's in an order drawn at random: their times change hands.

    What a model loses by it is what it took from the order. Where there are no timestamps, the rows of each person
    change places.
    """
    inside = as_interactions(x)
    n = len(inside)
    at_random = np.lexsort((np.random.default_rng(seed).permutation(n), inside.user_codes))
    as_they_are = np.argsort(inside.user_codes, kind="stable")
    source = np.empty(n, np.int64)
    source[as_they_are] = at_random  # row by row, another row of the same person
    mixed = replace(inside.take(source), timestamps=inside.timestamps)
    return x.with_interactions(mixed) if isinstance(x, Dataset) else mixed

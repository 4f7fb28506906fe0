"""People never seen: `histories`, however they are given, in codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recbook.core.arguments import check_number
from recbook.interactions import (
    Dataset,
    IdIndex,
    Interactions,
    as_ids,
    as_interactions,
    check_same_kind,
    is_table,
    plain,
)
from recbook.recommender._coded import Coded
from recbook.recommender._questions import raise_unknown

if TYPE_CHECKING:
    from recbook.recommender import Recommender


def code_histories(model: Recommender, histories, unknown: str = "raise") -> tuple[IdIndex, Coded]:
    """A mapping to ordered lists of items, or Interactions, as the people's ids, and what they met in codes.

    unknown : of items that the model does not know: "raise", or "ignore" leaves them out. Where the model's ids are
        integers and those of histories strings, or the other way round, nothing could be left, and that is an error

    Raises NotSupportedError, UnknownIdError, TypeError, ValueError.
    """
    model._require("histories")
    if isinstance(histories, Interactions | Dataset) or is_table(histories):
        people, users, items, ratings, times, extra = _of_interactions(model, as_interactions(histories))
    elif isinstance(histories, Mapping):
        people, users, items, ratings = _of_mapping(model, histories)
        times, extra = None, {}
    else:
        raise TypeError(
            f"`histories` is a {type(histories).__name__}; give {{name: [item, …]}}, Interactions or a table"
        )
    codes = model._item_index.codes(items)
    if unknown == "ignore":
        check_same_kind(items, model.item_ids_, "item")
        known = codes >= 0
        users, items, codes = users[known], items[known], codes[known]
        ratings, times = (None if column is None else column[known] for column in (ratings, times))
        extra = {name: column[known] for name, column in extra.items()}
    raise_unknown("item", items[codes < 0], "leave them out of `histories`, or pass unknown='ignore'")
    double = pd.DataFrame({"user": users, "item": codes}).duplicated().to_numpy()
    if model._one_rating_a_pair and model.rating_range_ is not None and double.any():
        row = int(double.argmax())
        item, name = plain(items[row]), plain(people.ids[users[row]])
        raise ValueError(f"`histories`: item {item!r} stands twice for {name!r}; keep it once")
    return people, Coded(users, codes, ratings, times, len(people), len(model._item_index), extra)


def _of_interactions(model: Recommender, x: Interactions):
    """From the earliest to the latest."""
    if not len(x):
        raise ValueError("`histories` is empty; give at least one person")
    if model.task == "rating" and x.ratings is None:
        raise ValueError(f"`histories` has no ratings, and {type(model).__name__} computes with them")
    order = np.arange(len(x)) if x.timestamps is None else np.argsort(x.timestamps, kind="stable")
    x = x.take(order)
    ratings = x.ratings
    if ratings is None and model.rating_range_ is not None:  # as of a list: "these I liked"
        ratings = np.full(len(x), model.rating_range_[1])
    return x.user_index, x.user_codes, x.items, ratings, x.timestamps, x.extra


def _of_mapping(model: Recommender, histories: Mapping):
    if not histories:
        raise ValueError("`histories` is empty; give at least one person: {'name': [item, …]}")
    people = IdIndex(as_ids(list(histories), "histories"))
    lists = [_items_and_ratings(model, name, one) for name, one in histories.items()]
    users = np.repeat(np.arange(len(lists)), [len(met) for met, _ in lists])
    flat = [item for met, _ in lists for item in met]
    items = as_ids(flat, "histories") if flat else model.item_ids_[:0]
    ratings = None
    if model.rating_range_ is not None:
        ratings = np.array([rating for _, given in lists for rating in given], np.float64)
    return people, users, items, ratings


def _items_and_ratings(model: Recommender, name, history) -> tuple[list, list[float]]:
    """One person's history as a list of items and a list of ratings; an iterator is read here, once.

    A list says "these I liked": as ratings, the best there is in train. A mapping gives the ratings themselves.
    """
    if isinstance(history, str | bytes | pd.DataFrame) or not isinstance(history, Iterable):
        shown = repr(history) if isinstance(history, str | bytes) else f"a {type(history).__name__}"
        raise TypeError(
            f"`histories[{name!r}]` is {shown}; give an ordered list of item ids, or a mapping from item to rating"
        )
    if isinstance(history, set | frozenset) and model._reads_order:
        raise TypeError(
            f"`histories[{name!r}]` is a set, which has no order, and a {type(model).__name__} reads the order; "
            "give a list, the earliest first"
        )
    met = list(history)
    if not isinstance(history, Mapping):
        best = 1.0 if model.rating_range_ is None else model.rating_range_[1]
        return met, [best] * len(met)
    for item, rating in history.items():
        check_number(f"histories[{name!r}][{item!r}]", rating, -float("inf"), above=True)
    return met, [float(rating) for rating in history.values()]

"""A world of paths: what comes next is planted, and how often it can be known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from recbook.interactions import Dataset, Interactions
from recbook.worlds._shop import EVENTS
from recbook.worlds._world import World, check_sizes, draw_columns, make_ids

NEXT_EVENT = {  # of a path's steps: what follows each event, and how likely
    "browse": {"browse": 0.5, "click": 0.5},
    "click": {"browse": 0.4, "cart": 0.6},
    "cart": {"browse": 0.5, "buy": 0.5},
    "buy": {"browse": 1.0},
}


def make_paths(
    n_users: int = 2000,
    n_items: int = 20,
    shortest: int = 4,
    longest: int = 12,
    memory: int = 1,
    by_event: bool = False,
    certainty: float = 0.8,
    seed: int = 0,
    ids: str = "int",
) -> World:
    """Paths of decisions: each step is an item and an event (browse, click, cart, buy), and order is all that matters.

    A path has `shortest` to `longest` steps, each number equally likely, one second apart. It begins with a browse of
    any item. Events follow one another by the chances of NEXT_EVENT. Items follow one another by a plan, the
    successor of each: with chance `certainty` the next item is the successor of the item `memory` steps before it
    (of the first, where there are fewer), else any item, each as likely. The successor of i is another item, and no
    two items have the same; with `by_event` there is a plan for each event, and the last step's event says which one
    holds. Every item is met equally often, so which items somebody has met, without their order, tells next to
    nothing.

    The last step of each path is what a model is asked for: `splits.leave_last_out` holds back just that. Who knows
    the plan is right with chance certainty + (1 - certainty) / n_items, and nobody can do better.

    truth : successors (n_plans, n_items) codes of items, a row an event in the order of EVENTS, or one row;
        chances (n_users, n_items) of the item of each path's last step, given all steps before;
        best_hit_rate (): of one guess a path, the highest that can be expected

    Raises ValueError for sizes below 1, fewer than 2 items, paths shorter than 2 steps or than `memory` + 1, or a
    certainty outside 0…1.
    """
    check_sizes(n_users=n_users, n_items=n_items, shortest=shortest, longest=longest, memory=memory)
    if n_items < 2:
        raise ValueError("`n_items` is 1; a successor is another item: give at least 2")
    if not memory < shortest <= longest:
        raise ValueError(
            f"`shortest` is {shortest} and `longest` {longest}; paths need more than `memory` ({memory}) steps, "
            "and the longest is not shorter than the shortest"
        )
    if not 0 <= certainty <= 1:
        raise ValueError(f"`certainty` is {certainty!r}; give a chance from 0 to 1")
    rng = np.random.default_rng(seed)
    plans = np.stack([_ring(rng, n_items) for _ in range(len(EVENTS) if by_event else 1)])
    follow = np.array([[NEXT_EVENT[now].get(then, 0.0) for then in EVENTS] for now in EVENTS])
    length = rng.integers(shortest, longest + 1, n_users)
    items, events = np.zeros((2, n_users, longest), np.int64)
    planned = np.zeros((n_users, longest), np.int64)
    items[:, 0] = rng.integers(0, n_items, n_users)
    for t in range(1, longest):
        before = items[:, max(t - memory, 0)]
        planned[:, t] = plans[events[:, t - 1] if by_event else 0, before]
        kept = rng.random(n_users) < certainty
        items[:, t] = np.where(kept, planned[:, t], rng.integers(0, n_items, n_users))
        events[:, t] = draw_columns(rng, follow[events[:, t - 1]])
    chances = np.full((n_users, n_items), (1 - certainty) / n_items)
    chances[np.arange(n_users), planned[np.arange(n_users), length - 1]] += certainty
    user, step = np.nonzero(np.arange(longest) < length[:, None])
    user_ids, item_ids = make_ids(n_users, n_items, ids)
    frame = pd.DataFrame(
        {
            "user": user_ids[user],
            "item": item_ids[items[user, step]],
            "timestamp": step,
            "event": np.array(EVENTS)[events[user, step]],
        }
    )
    data = Dataset(
        Interactions.from_frame(frame, on_duplicate="keep"),
        users=pd.DataFrame(index=pd.Index(user_ids, name="user")),
        items=pd.DataFrame(index=pd.Index(item_ids, name="item")),
        name="paths",
        source="generated",
    )
    truth = {
        "user_ids": user_ids,
        "item_ids": item_ids,
        "successors": plans,
        "chances": chances,
        "best_hit_rate": np.asarray(certainty + (1 - certainty) / n_items),
    }
    return World(data, truth)


def _ring(rng, n: int) -> np.ndarray:
    """The successor of each of n items on a ring through all of them in random order."""
    around = rng.permutation(n)
    successor = np.empty(n, np.int64)
    successor[around] = np.roll(around, -1)
    return successor

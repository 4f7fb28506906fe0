"""Generated worlds whose truth is known.

`make_*` plant a truth and draw interactions from it, so that a test knows the right answer.
"""

from recbook.worlds._clicks import expected_auc, make_ctr
from recbook.worlds._paths import NEXT_EVENT, make_paths
from recbook.worlds._ratings import (
    make_biases,
    make_checkerboard,
    make_low_rank,
    make_popularity,
    make_ratings,
    make_taste_groups,
)
from recbook.worlds._shop import CATEGORIES, COMMON, DAY, EVENTS, OPENING, make_shop
from recbook.worlds._world import World

__all__ = [
    "CATEGORIES",
    "COMMON",
    "DAY",
    "EVENTS",
    "NEXT_EVENT",
    "OPENING",
    "World",
    "expected_auc",
    "make_biases",
    "make_checkerboard",
    "make_ctr",
    "make_low_rank",
    "make_paths",
    "make_popularity",
    "make_ratings",
    "make_shop",
    "make_taste_groups",
]

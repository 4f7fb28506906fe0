"""The containers: who met what, when, and how it was rated.

`Interactions` holds one row a meeting of a user and an item. `Dataset` adds what is known about the
users and the items themselves. Both speak the caller's own ids; the integer codes 0..n-1 that
the models compute with stay inside the package (`user_codes`, `item_codes`).

Nothing is shared with the caller: what comes in is copied, and the arrays that go out are read-only.
"""

from recbook.interactions._columns import comparable, join_times, seconds
from recbook.interactions._dataset import Dataset, as_data, as_dataset, as_interactions
from recbook.interactions._ids import (
    IdIndex,
    as_column,
    as_ids,
    as_text,
    check_same_kind,
    frozen,
    plain,
    together,
)
from recbook.interactions._interactions import COLUMNS, NOT_GIVEN, Interactions, check_scale
from recbook.interactions._tables import as_frame, is_table

__all__ = [
    "COLUMNS",
    "NOT_GIVEN",
    "Dataset",
    "IdIndex",
    "Interactions",
    "as_column",
    "as_data",
    "as_dataset",
    "as_frame",
    "as_ids",
    "as_interactions",
    "as_text",
    "check_same_kind",
    "check_scale",
    "comparable",
    "frozen",
    "is_table",
    "join_times",
    "plain",
    "seconds",
    "together",
]

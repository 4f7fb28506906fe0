"""Fetch and verify a dataset: python -m recbook.datasets ml-100k"""

from __future__ import annotations

import argparse
import sys

from recbook.datasets._files import locate
from recbook.datasets._movielens import fetch, spec_of
from recbook.errors import DataError


def main(arguments: list[str] | None = None) -> int:
    """Fetches and verifies a dataset; prints its path, rows and hash. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m recbook.datasets", description="Fetch and verify a dataset."
    )
    parser.add_argument("name", choices=["ml-100k", "ml-1m"])
    parser.add_argument(
        "--where", action="store_true", help="print where it lies or would lie; fetch nothing"
    )
    options = parser.parse_args(arguments)
    name = options.name.removeprefix("ml-")
    try:
        if options.where:
            print(locate(spec_of(name)))
            return 0
        data, path = fetch(name, progress=sys.stderr.isatty())
    except DataError as error:
        print(error, file=sys.stderr)
        return 1
    x = data.interactions
    print(f"path    {path}")
    print(f"rows    {len(x):,} ratings, {x.n_users:,} users, {x.n_items:,} items")
    print(f"sha256  {data.sha256}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

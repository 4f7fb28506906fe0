"""MovieLens: where it comes from, and from its bytes to tables."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from recbook.datasets._files import PAIR, Files, Origin, Spec, download_http, download_wheel, resolve
from recbook.interactions import Dataset, Interactions

GENRES_100K = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama"),
    *(
        "Fantasy",
        "Film-Noir",
        "Horror",
        "Musical",
        "Mystery",
        "Romance",
        "Sci-Fi",
        "Thriller",
        "War",
        "Western",
    ),
)


def fetch_movielens(name: str = "100k", *, progress: bool = False) -> Dataset:
    """MovieLens "100k" (943 users, 1,682 films, 100,000 ratings) or "1m" (6,040, 3,706, 1,000,209).

    Looked for in this order: the folder that `$RECBOOK_DATA` names, the cache (see `cache_folder`),
    GroupLens, and, for "100k", the copy inside the PyPI package recbole 1.2.1. In the first two may
    lie the unpacked folder (`ml-100k/`, `ml-1m/`) or the archive as published (`ml-100k.zip`, `ml-1m.zip`).

    Returns a Dataset with integer ids, rows in the published order, and two tables:
    items : title (as published, "Godfather, The", without the year), year (Int64), genres ("Comedy|War")
    users : age (for "1m" the lower end of its bracket), gender ("F", "M"), occupation ("1m": a code
        0–20), zip_code (text)
    `.source` says where it was read, `.sha256` is that of the published file of ratings: it is
    the same whatever the origin.

    progress : draw a bar while downloading.

    Raises
    ------
    ValueError
        for another name.
    DataError
        where no source could be reached, or where a file of the reader's own is damaged.

    Source: Harper and Konstan, The MovieLens Datasets: History and Context, ACM TiiS 5(4), 2015. The
    data may not be redistributed: https://grouplens.org/datasets/movielens/
    """
    dataset, _ = fetch(name, progress)
    return dataset


def fetch(name: str, progress: bool) -> tuple[Dataset, Path]:
    spec = spec_of(name)
    files, label, path = resolve(spec, progress)
    data = spec.parse(files)
    ratings = files[spec.kept[0]]
    source = f"GroupLens, {spec.page} ({label})"
    return replace(data, name=spec.name, source=source, sha256=hashlib.sha256(ratings).hexdigest()), path


def spec_of(name: str) -> Spec:
    specs = {"100k": ML_100K, "1m": ML_1M}
    if not isinstance(name, str) or name not in specs:
        raise ValueError(f"`name` is {name!r}; choose one of {tuple(specs)}")
    return specs[name]


def _canonical_100k(files: Files) -> Files:
    """u.data and u.user as GroupLens has them, and items.tsv, of GroupLens' files or RecBole's."""
    if "u.item" in files:
        return {
            "u.data": files["u.data"],
            "u.user": files["u.user"],
            "items.tsv": _items_of_grouplens(files["u.item"]),
        }
    return {
        # RecBole put a line of names on top, and kept everything else of the ratings.
        "u.data": files["ml-100k.inter"].split(b"\n", 1)[1],
        "u.user": files["ml-100k.user"].split(b"\n", 1)[1].replace(b"\t", b"|"),
        "items.tsv": _items_of_recbole(files["ml-100k.item"]),
    }


def _items_of_grouplens(data: bytes) -> bytes:
    rows = []
    for line in data.decode("latin-1").splitlines():
        item, title, _, _, _, *flags = line.split("|")
        genres = [genre for genre, flag in zip(GENRES_100K, flags, strict=True) if flag == "1"]
        rows.append((item, *split_title(title), "|".join(genres)))
    return _items_tsv(rows)


def _items_of_recbole(data: bytes) -> bytes:
    rows = []
    for line in data.decode("utf-8").splitlines()[1:]:
        item, title, year, genres = line.split("\t")
        # RecBole cut the title at its last bracket: put it back, so that one rule serves both.
        title = "unknown" if year == "unkonwn" else f"{title} ({year})"
        rows.append((item, *split_title(title), genres.replace(" ", "|")))
    return _items_tsv(rows)


def _items_tsv(rows: list[tuple[str, str, str, str]]) -> bytes:
    lines = ["item\ttitle\tyear\tgenres", *("\t".join(row) for row in rows)]
    return ("\n".join(lines) + "\n").encode()


def split_title(text: str) -> tuple[str, str]:
    """("Godfather, The", "1972") of "Godfather, The (1972)"; the year is empty where there is none.

    A mark behind the year, as in "(1995) (V)" for a video, is left out; spaces are single.
    """
    text = " ".join(text.split())
    match = re.fullmatch(r"(.+?) ?\((\d{4})\)(?: \([A-Z]+\))?", text)
    return (match[1], match[2]) if match else (text, "")


def _parse_100k(files: Files) -> Dataset:
    rows = pd.read_csv(io.BytesIO(files["u.data"]), sep="\t", names=PAIR, dtype=np.int64)
    # keep_default_na: a film may be called "None" or "N/A".
    plain = {"keep_default_na": False, "quoting": 3, "encoding": "utf-8"}
    columns = ["user", "age", "gender", "occupation", "zip_code"]
    users = pd.read_csv(io.BytesIO(files["u.user"]), sep="|", names=columns, dtype={"zip_code": str}, **plain)
    items = pd.read_csv(io.BytesIO(files["items.tsv"]), sep="\t", dtype={"year": str}, **plain)
    return _dataset(rows, users, items)


def _parse_1m(files: Files) -> Dataset:
    # pandas' fast reader knows separators of one sign: read "::" as ":" with empty columns between.
    rows = pd.read_csv(
        io.BytesIO(files["ratings.dat"]), sep=":", header=None, usecols=[0, 2, 4, 6], dtype=np.int64
    )
    rows.columns = PAIR
    users = _double_colon(files["users.dat"], ["user", "gender", "age", "occupation", "zip_code"])
    users = users.astype({"user": np.int64, "age": np.int64, "occupation": np.int64})
    items = _double_colon(files["movies.dat"], ["item", "title", "genres"]).astype({"item": np.int64})
    items["title"], items["year"] = zip(*items["title"].map(split_title), strict=True)
    return _dataset(rows, users[["user", "age", "gender", "occupation", "zip_code"]], items)


def _double_colon(data: bytes, columns: list[str]) -> pd.DataFrame:
    lines = data.decode("latin-1").splitlines()
    return pd.DataFrame([line.split("::") for line in lines], columns=columns, dtype=str)


def _dataset(rows: pd.DataFrame, users: pd.DataFrame, items: pd.DataFrame) -> Dataset:
    items = items.assign(year=pd.to_numeric(items["year"].replace("", None)).astype("Int64"))
    items = items[["item", "title", "year", "genres"]]
    return Dataset(
        Interactions.from_frame(rows), users=users.set_index("user"), items=items.set_index("item")
    )


ML_100K = Spec(
    name="ml-100k",
    page="https://grouplens.org/datasets/movielens/100k/",
    kept=("u.data", "u.user", "items.tsv"),
    origins=(
        Origin(
            archive="ml-100k.zip",
            prefix="ml-100k/",
            files=("u.data", "u.item", "u.user"),
            label="ml-100k.zip",
            download=download_http,
        ),
        Origin(
            archive="recbole-1.2.1-py3-none-any.whl",
            prefix="recbole/dataset_example/ml-100k/",
            files=("ml-100k.inter", "ml-100k.item", "ml-100k.user"),
            label="the copy in the PyPI package recbole 1.2.1",
            download=download_wheel,
        ),
    ),
    canonical=_canonical_100k,
    parse=_parse_100k,
)
ML_1M = Spec(
    name="ml-1m",
    page="https://grouplens.org/datasets/movielens/1m/",
    kept=("ratings.dat", "movies.dat", "users.dat"),
    origins=(
        Origin(
            archive="ml-1m.zip",
            prefix="ml-1m/",
            files=("ratings.dat", "movies.dat", "users.dat"),
            label="ml-1m.zip",
            download=download_http,
        ),
    ),
    canonical=dict,
    parse=_parse_1m,
)

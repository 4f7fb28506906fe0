"""Data to learn on: MovieLens, fetched and verified, and the files of the authors of NCF.

`fetch_movielens` looks in `$RECBOOK_DATA`, in the cache, at GroupLens, and last in a package of the pip
registry. Every file is held against a pinned sha256 before it is used. The generated worlds of
`recbook.worlds` can be had here as well: `datasets.make_low_rank`.

    python -m recbook.datasets ml-100k            # fetch, verify, say where, how many rows, which hash
    python -m recbook.datasets ml-100k --where    # say where it lies or would lie, fetch nothing
"""

from __future__ import annotations

import argparse
import hashlib
import io
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pooch
import requests

from recbook.core.storage import atomic_write
from recbook.errors import DataError, FileFormatError
from recbook.interactions import Dataset, Interactions
from recbook.worlds import (  # noqa: F401  they are asked for as datasets.make_*
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

GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
RECBOLE = "recbole==1.2.1"
TIMEOUT = 10  # seconds to wait for a connection, and between two packets
ATTEMPTS = 3
MAX_MEMBER_BYTES = 64 * 2**20
REPLACE_FILE = "remove it and run again, or put the published file in its place"

# Of every file that may be read, wherever it lies. GroupLens publishes the md5 of its archives
# (ml-100k.zip 0e33842e24a9c977be4e0107933c0723, ml-1m.zip c4d9eecfca2ab87c1945afe126590906) and of
# u.data (6e47046882bad158b0efbb84cd5cb987).
SHA256 = {
    "ml-100k.zip": "50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
    "u.user": "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",
    "items.tsv": "fafd14eb418fa2b83568c0e3ec5f5d10e5f6d132f7875dde03f5e202562a83cb",
    "recbole-1.2.1-py3-none-any.whl": "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
    "ml-1m.zip": "a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
    "ratings.dat": "506d64ca44484487c11dc2d9a28de5c54948213e6b96285e298afe28d6ea4e0f",
    "movies.dat": "0140fc2356357c1a851d0f52e893a1e4d3696df632c4141cea8d5bc3d621f0b9",
    "users.dat": "1dc3a95300cb19f7c10e027daf29b8cdf1d908dab65b5edfb45950aa389a10a3",
}

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
PAIR = ["user", "item", "rating", "timestamp"]
Files = dict[str, bytes]


# ---------------------------------------------------------------- MovieLens


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
    dataset, _ = _fetch(name, progress)
    return dataset


def cache_folder() -> Path:
    """Where fetched data are kept: `data/` in a checkout, else the platform's cache for this user."""
    checkout = Path(__file__).resolve().parent.parent
    return checkout / "data" if (checkout / "pyproject.toml").is_file() else Path(pooch.os_cache("recbook"))


@dataclass(frozen=True)
class _Origin:
    """An archive that holds the data: its name, where in it the files lie, and how to get it."""

    archive: str
    prefix: str
    files: tuple[str, ...]
    label: str
    download: Callable[[Path, bool], None]


@dataclass(frozen=True)
class _Spec:
    """One MovieLens: the files we keep of it, where they come from, how to read them.

    canonical : turns any origin's files into `kept`, the same bytes whatever the origin.
    """

    name: str
    page: str
    kept: tuple[str, ...]
    origins: tuple[_Origin, ...]
    canonical: Callable[[Files], Files]
    parse: Callable[[Files], Dataset]


def _fetch(name: str, progress: bool) -> tuple[Dataset, Path]:
    spec = _spec(name)
    files, label, path = _resolve(spec, progress)
    data = spec.parse(files)
    ratings = files[spec.kept[0]]
    source = f"GroupLens, {spec.page} ({label})"
    return replace(data, name=spec.name, source=source, sha256=hashlib.sha256(ratings).hexdigest()), path


def _spec(name: str) -> _Spec:
    specs = {"100k": ML_100K, "1m": ML_1M}
    if not isinstance(name, str) or name not in specs:
        raise ValueError(f"`name` is {name!r}; choose one of {tuple(specs)}")
    return specs[name]


def _resolve(spec: _Spec, progress: bool) -> tuple[Files, str, Path]:
    """The files kept of `spec`, where they came from, and the path at which they lie."""
    tried = []
    if own := _own_folder():
        # The reader's own files: never repaired, never passed over in silence.
        if found := _search(own, spec):
            return found[0], "RECBOOK_DATA", found[1]
        archives = " nor ".join(origin.archive for origin in spec.origins)
        tried.append(f"RECBOOK_DATA={own}: holds neither {spec.name}{os.sep} nor {archives}")
    cache = cache_folder()
    try:
        if found := _search(cache, spec):
            return found[0], "cache", found[1]
        tried.append(f"cache {cache}: holds no {spec.name}{os.sep}")
    except DataError as error:
        warnings.warn(f"{error}. Fetching it again.", stacklevel=4)
        tried.append(f"cache: {error}")
    for origin in spec.origins:
        try:
            files = _fetch_origin(origin, spec, cache, progress)
        except DataError as error:
            tried.append(str(error))
            continue
        _keep(files, cache / spec.name)
        return files, origin.label, cache / spec.name
    first = spec.origins[0].archive
    lines = "\n".join(f"  - {line}" for line in tried)
    raise DataError(
        f"{spec.name} could not be had. Tried:\n{lines}\n"
        f"Without a network: download {first} elsewhere, from {spec.page}, and put it, or its unpacked "
        f"folder {spec.name}{os.sep}, into {cache}, or into a folder that the environment variable "
        "RECBOOK_DATA names."
    )


def _own_folder() -> Path | None:
    value = os.environ.get("RECBOOK_DATA")
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise DataError(f"RECBOOK_DATA={value} is not a folder; name one that exists, or unset the variable")
    return folder


def _search(root: Path, spec: _Spec) -> tuple[Files, Path] | None:
    """What `root` holds of `spec`: an unpacked folder, or an archive; None if neither.

    Raises DataError for a file that is there but is not what it should be.
    """
    folder = root / spec.name
    forms = [*(origin.files for origin in spec.origins), spec.kept]
    there = [sum((folder / name).exists() for name in form) for form in forms]
    if max(there):
        form = forms[there.index(max(there))]
        return _canonical(spec, {name: _read(folder / name) for name in form}, folder), folder
    for origin in spec.origins:
        if (path := root / origin.archive).exists():
            return _canonical(spec, _unpack(path, origin), path), path
    return None


def _canonical(spec: _Spec, files: Files, path: Path) -> Files:
    kept = files if set(files) == set(spec.kept) else spec.canonical(files)
    for name in spec.kept:
        _verify(kept[name], name, f"{name}, made of {path},")
    return kept


def _verify(data: bytes, name: str, culprit: str, remedy: str = REPLACE_FILE) -> bytes:
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256[name]:
        raise DataError(
            f"{culprit} is not the published {name}: truncated, altered or another version "
            f"({len(data):,} bytes, sha256 {found[:16]}…, expected {SHA256[name][:16]}…); {remedy}"
        )
    return data


def _read(path: Path) -> bytes:
    """The bytes of a file, if they are those pinned for its name."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{path} is missing beside its companions; put it back, or remove {path.parent}"
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); mend its rights, or remove it") from error
    return _verify(data, path.name, str(path))


def _locate(spec: _Spec) -> Path:
    """Where `spec` lies, or would lie once fetched. Nothing is read."""
    roots = [root for root in (_own_folder(), cache_folder()) if root]
    names = [spec.name, *(origin.archive for origin in spec.origins)]
    there = [root / name for root in roots for name in names if (root / name).exists()]
    return there[0] if there else cache_folder() / spec.name


def _unpack(path: Path, origin: _Origin) -> Files:
    """The wanted members of an archive, read by name into memory; nothing is ever extracted to a path."""
    data = _read(path)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: _member(archive, origin.prefix + name, path) for name in origin.files}


def _member(archive: zipfile.ZipFile, member: str, path: Path) -> bytes:
    try:
        info = archive.getinfo(member)
    except KeyError:
        raise DataError(
            f"{path} has no member {member}; it is not the published archive, fetch it again"
        ) from None
    if info.file_size > MAX_MEMBER_BYTES:
        raise DataError(
            f"{path}: member {member} unpacks to {info.file_size:,} bytes; refused, fetch it again"
        )
    return _verify(archive.read(info), Path(member).name, f"{path}: member {member}")


def _fetch_origin(origin: _Origin, spec: _Spec, cache: Path, progress: bool) -> Files:
    """Downloads into a folder of its own, which is gone afterwards however it ends."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        incoming = tempfile.TemporaryDirectory(dir=cache, prefix=".incoming-")
    except OSError as error:
        raise _unwritable(cache, error) from error
    with incoming as folder:
        path = Path(folder) / origin.archive
        origin.download(path, progress)
        if not path.exists():
            raise DataError(f"{origin.label}: brought no {origin.archive}; nothing was kept")
        _verify(path.read_bytes(), origin.archive, f"what came as {origin.label}", "nothing of it was kept")
        return _canonical(spec, _unpack(path, origin), path)


def _keep(files: Files, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            with atomic_write(folder / name) as file:
                file.write(data)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"cannot write to {folder} ({error.strerror}); free space or mend its rights, or put the data into "
        "a folder that the environment variable RECBOOK_DATA names"
    )


def _download_http(path: Path, progress: bool) -> None:
    """GroupLens' archive of the name of `path`. Tried again after 1 s and 2 s, unless nobody answers."""
    url = GROUPLENS + path.name
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = pooch.HTTPDownloader(timeout=TIMEOUT, progressbar=progress)
    source = pooch.create(
        path=path.parent,
        base_url=GROUPLENS,
        registry={path.name: f"sha256:{SHA256[path.name]}"},
        retry_if_failed=0,
    )
    for attempt in range(1, ATTEMPTS + 1):
        try:
            source.fetch(path.name, downloader=downloader)
            return
        except OSError as error:  # requests' errors are among them
            reason = error
            if isinstance(error, requests.exceptions.ConnectTimeout):
                break
        except ValueError as error:  # pooch: the hash differs
            reason = error
        if attempt < ATTEMPTS:
            time.sleep(attempt)
    raise DataError(f"{url}: {_short(reason)}") from reason


def _download_wheel(path: Path, progress: bool) -> None:
    """RecBole's wheel, which carries a copy of MovieLens-100K, as pip brings it; nothing is installed."""
    command = [sys.executable, "-m", "pip", "download", RECBOLE, "--no-deps", "--only-binary=:all:"]
    command += ["--dest", str(path.parent), "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--timeout", str(TIMEOUT), "--retries", str(ATTEMPTS - 1)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"pip download {RECBOLE}: {_short(error)}") from error
    if done.returncode:
        last = (done.stderr.strip() or "pip said nothing").splitlines()[-1]
        raise DataError(f"pip download {RECBOLE}: {last}")


def _short(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text if len(text) <= 400 else text[:400] + '…'}"


# ---------------------------------------------------------------- MovieLens: from bytes to tables


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
    return match.groups() if match else (text, "")


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


ML_100K = _Spec(
    name="ml-100k",
    page="https://grouplens.org/datasets/movielens/100k/",
    kept=("u.data", "u.user", "items.tsv"),
    origins=(
        _Origin(
            archive="ml-100k.zip",
            prefix="ml-100k/",
            files=("u.data", "u.item", "u.user"),
            label="ml-100k.zip",
            download=_download_http,
        ),
        _Origin(
            archive="recbole-1.2.1-py3-none-any.whl",
            prefix="recbole/dataset_example/ml-100k/",
            files=("ml-100k.inter", "ml-100k.item", "ml-100k.user"),
            label="the copy in the PyPI package recbole 1.2.1",
            download=_download_wheel,
        ),
    ),
    canonical=_canonical_100k,
    parse=_parse_100k,
)
ML_1M = _Spec(
    name="ml-1m",
    page="https://grouplens.org/datasets/movielens/1m/",
    kept=("ratings.dat", "movies.dat", "users.dat"),
    origins=(
        _Origin(
            archive="ml-1m.zip",
            prefix="ml-1m/",
            files=("ratings.dat", "movies.dat", "users.dat"),
            label="ml-1m.zip",
            download=_download_http,
        ),
    ),
    canonical=dict,
    parse=_parse_1m,
)


# ---------------------------------------------------------------- the files of the authors of NCF

NCF_PAGE = "https://github.com/hexiangnan/neural_collaborative_filtering/tree/master/Data"
NCF_PARTS = (".train.rating", ".test.rating", ".test.negative")
_RATING_LINE = re.compile(r"\d+\t\d+\t\d+(\.\d+)?(\t\d+)?")
_NEGATIVE_LINE = re.compile(r"\((\d+),(\d+)\)((?:\t\d+)+)")


class NCFData(NamedTuple):
    """What `read_ncf` gives: train and test, and user id → ids to rank, the test item first."""

    train: Interactions
    test: Interactions
    candidates: dict[int, np.ndarray]


def read_ncf(where: str | os.PathLike) -> NCFData:
    """(train, test, candidates) as the authors of neural collaborative filtering published them.

    where : a folder that holds one set of the three files, or what their names begin with:
        "Data/ml-1m" for ml-1m.train.rating, ml-1m.test.rating and ml-1m.test.negative. A relative name is
        looked for in the working folder, then in the folder that `$RECBOOK_DATA` names.

    train.rating, test.rating : lines user, item, rating, timestamp (which may be absent), between tabs;
        test has one line a user, that user's last item
    test.negative : lines "(user,item)", then the ids of items that the user never met, 99 of them

    The ids are the authors' own, which begin at 0: they are not those of MovieLens. `candidates` goes
    into `evaluate(model, test, candidates=candidates)`; a figure over 100 candidates says little about one
    over all items. Rows stay as they are published, repeats included.

    Raises
    ------
    DataError
        where the files are not there, or there are several sets.
    FileFormatError
        for a line that is not as above, a user twice in test, or test files that contradict each
        other or train; names file and line.

    Source: He et al., Neural Collaborative Filtering, WWW 2017; files at
    https://github.com/hexiangnan/neural_collaborative_filtering
    """
    prefix = _find_ncf(where)
    train_file, test_file, negative_file = (prefix.with_name(prefix.name + part) for part in NCF_PARTS)
    train, test = _read_ratings(train_file), _read_ratings(test_file)
    again = pd.Series(test.users).duplicated().to_numpy()
    if again.any():
        line = int(again.argmax()) + 1
        raise FileFormatError(
            f"{test_file}, line {line}: user {test.users[line - 1]} stands twice; test has one line a user"
        )
    _check_held_out(train, test, test_file)
    return NCFData(train, test, _read_negatives(negative_file, test))


def _find_ncf(where: str | os.PathLike) -> Path:
    """The files' common beginning, as a path."""
    places = [Path(where).expanduser()]
    own = _own_folder()
    if own and not places[0].is_absolute():
        places.append(own / places[0])
    for place in places:
        if place.with_name(place.name + NCF_PARTS[0]).is_file():
            return place
        found = sorted(place.glob("*" + NCF_PARTS[0])) if place.is_dir() else []
        if len(found) > 1:
            names = [path.name.removesuffix(NCF_PARTS[0]) for path in found]
            raise DataError(
                f"{place} holds several sets ({', '.join(names)}); name one: read_ncf({str(place / names[0])!r})"
            )
        if found:
            return found[0].with_name(found[0].name.removesuffix(NCF_PARTS[0]))
    tried = " nor ".join(f"{place}{NCF_PARTS[0]} nor {place}{os.sep}*{NCF_PARTS[0]}" for place in places)
    raise DataError(
        f"there is neither {tried}; download the three files from {NCF_PAGE} and name their folder, or put them into "
        "the folder that the environment variable RECBOOK_DATA names"
    )


def _read_text(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{path} is missing beside its companions; download it from {NCF_PAGE}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); mend its rights") from error
    except UnicodeDecodeError as error:
        raise FileFormatError(
            f"{path} is no text ({error.reason} at byte {error.start}); fetch it again"
        ) from error
    lines = text.splitlines()
    if not lines:
        raise FileFormatError(f"{path} is empty; fetch it again from {NCF_PAGE}")
    return lines


def _read_ratings(path: Path) -> Interactions:
    lines = _read_text(path)
    tabs = lines[0].count("\t")
    for number, line in enumerate(lines, start=1):
        if line.count("\t") != tabs or not _RATING_LINE.fullmatch(line):
            raise FileFormatError(
                f"{path}, line {number}: {line[:60]!r} is not user, item, rating{', timestamp' if tabs == 3 else ''} "
                f"between tabs; mend the line, or fetch the file again from {NCF_PAGE}"
            )
    columns = PAIR[: tabs + 1]
    types = {"user": np.int64, "item": np.int64, "rating": np.float64, "timestamp": np.int64}
    rows = pd.read_csv(
        io.StringIO("\n".join(lines)), sep="\t", names=columns, dtype={name: types[name] for name in columns}
    )
    return Interactions.from_frame(rows, on_duplicate="keep")


def _check_held_out(train: Interactions, test: Interactions, path: Path) -> None:
    seen = pd.MultiIndex.from_arrays([train.users, train.items])
    leaked = pd.MultiIndex.from_arrays([test.users, test.items]).isin(seen)
    if leaked.any():
        line = int(leaked.argmax()) + 1
        raise FileFormatError(
            f"{path}, line {line}: user {test.users[line - 1]} and item {test.items[line - 1]} stand in train as well; "
            "the files are not of one set, fetch them again"
        )


def _read_negatives(path: Path, test: Interactions) -> dict[int, np.ndarray]:
    expected = dict(zip(test.users.tolist(), test.items.tolist(), strict=True))
    candidates: dict[int, np.ndarray] = {}
    for number, line in enumerate(_read_text(path), start=1):
        match = _NEGATIVE_LINE.fullmatch(line.rstrip("\t"))
        if not match:
            raise FileFormatError(
                f"{path}, line {number}: {line[:60]!r} is not '(user,item)' and ids between tabs; mend the line, "
                f"or fetch the file again from {NCF_PAGE}"
            )
        user, item, ids = int(match[1]), int(match[2]), [int(number) for number in match[3].split()]
        if expected.get(user) != item or user in candidates:
            what = (
                "stands twice"
                if user in candidates
                else f"has {expected.get(user, 'no item')} in the test file"
            )
            raise FileFormatError(
                f"{path}, line {number}: ({user},{item}), but user {user} {what}; fetch both files again"
            )
        if item in ids:
            raise FileFormatError(
                f"{path}, line {number}: item {item}, which user {user} met, stands among the negatives; mend the line"
            )
        candidates[user] = np.array([item, *ids])
    if missing := sorted(expected.keys() - candidates.keys()):
        raise FileFormatError(
            f"{path}: there is no line for user {missing[0]} of the test file; fetch both files again"
        )
    return candidates


# ---------------------------------------------------------------- python -m recbook.datasets


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
            print(_locate(_spec(name)))
            return 0
        data, path = _fetch(name, progress=sys.stderr.isatty())
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

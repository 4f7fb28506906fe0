"""Files that are fetched once, verified each time, and kept: folders, archives, downloads."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from recbook.core.storage import atomic_write
from recbook.errors import DataError
from recbook.interactions import Dataset

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
PAIR = ["user", "item", "rating", "timestamp"]
Files = dict[str, bytes]


def cache_folder() -> Path:
    """Where fetched data are kept: `data/` in a checkout, else the platform's cache for this user."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout / "data" if (checkout / "pyproject.toml").is_file() else Path(pooch.os_cache("recbook"))


@dataclass(frozen=True)
class Origin:
    """An archive that holds the data: its name, where in it the files lie, and how to get it."""

    archive: str
    prefix: str
    files: tuple[str, ...]
    label: str
    download: Callable[[Path, bool], None]


@dataclass(frozen=True)
class Spec:
    """One MovieLens: the files we keep of it, where they come from, how to read them.

    canonical : turns any origin's files into `kept`, the same bytes whatever the origin.
    """

    name: str
    page: str
    kept: tuple[str, ...]
    origins: tuple[Origin, ...]
    canonical: Callable[[Files], Files]
    parse: Callable[[Files], Dataset]

    @property
    def sha256(self) -> str:
        """That of the published file of ratings, which names the data whatever the origin."""
        return SHA256[self.kept[0]]


def resolve(spec: Spec, progress: bool) -> tuple[Files, str, Path]:
    """The files kept of `spec`, where they came from, and the path at which they lie."""
    tried = []
    if own := own_folder():
        # The reader's own files: never repaired, never passed over in silence.
        if found := search(own, spec):
            return found[0], "RECBOOK_DATA", found[1]
        archives = " nor ".join(origin.archive for origin in spec.origins)
        tried.append(f"RECBOOK_DATA={own}: holds neither {spec.name}{os.sep} nor {archives}")
    cache = cache_folder()
    try:
        if found := search(cache, spec):
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


def own_folder() -> Path | None:
    value = os.environ.get("RECBOOK_DATA")
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise DataError(f"RECBOOK_DATA={value} is not a folder; name one that exists, or unset the variable")
    return folder


def search(root: Path, spec: Spec) -> tuple[Files, Path] | None:
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


def _canonical(spec: Spec, files: Files, path: Path) -> Files:
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


def find(spec: Spec) -> Path | None:
    """Where `spec` lies with every hash as published; None where it was not fetched. Raises DataError if damaged."""
    for folder in filter(None, (own_folder(), cache_folder())):
        if found := search(folder, spec):
            return found[1]
    return None


def locate(spec: Spec) -> Path:
    """Where `spec` lies, or would lie once fetched. Nothing is read."""
    roots = [root for root in (own_folder(), cache_folder()) if root]
    names = [spec.name, *(origin.archive for origin in spec.origins)]
    there = [root / name for root in roots for name in names if (root / name).exists()]
    return there[0] if there else cache_folder() / spec.name


def _unpack(path: Path, origin: Origin) -> Files:
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


def _fetch_origin(origin: Origin, spec: Spec, cache: Path, progress: bool) -> Files:
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


def download_http(path: Path, progress: bool) -> None:
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
    raise DataError(f"{url}: {_short(reason)}") from reason  # pyright: ignore[reportGeneralTypeIssues]  # ATTEMPTS > 0


def download_wheel(path: Path, progress: bool) -> None:
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

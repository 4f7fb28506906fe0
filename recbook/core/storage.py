"""Model files: a npz archive that can hold numbers and text, and nothing that could run.

Reading trusts nothing: no pickle, no member that is not expected, no array larger than it says, no
archive larger than `max_bytes`. Writing is all or nothing.
"""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from recbook.errors import FileFormatError

FORMAT = "recbook-model"
FORMAT_VERSION = 2
READABLE = (1, 2)  # 1 had text of fixed width
MAX_BYTES = 8 * 2**30
_HEAD = "head"
_BYTES, _ENDS = "/utf8", "/ends"  # the two members that hold an array of strings
# What Python's zip reader raises for bytes that are no archive, depending on which byte it trips over.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[io.BufferedWriter]:
    """A file that replaces `path` when the block ends well, and leaves no trace when it does not."""
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {path.parent}; make it first")
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that their owner alone may read; give this one the usual rights.
        if os.name == "posix":
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def write_archive(path: str | os.PathLike | BinaryIO, head: dict, arrays: dict[str, np.ndarray]) -> None:
    """Writes `head` (JSON) and `arrays` as one file.  path : of the file, or a binary file that is open for writing

    Raises TypeError for an array of objects or a head that JSON cannot say.
    """
    members = {}
    for name, array in arrays.items():
        if array.dtype == object and all(isinstance(value, str) for value in array.flat):
            members |= _encoded(name, array)
        elif array.dtype.kind in "biufU":
            members[name] = array
        else:
            raise TypeError(
                f"array `{name}` is of {array.dtype}; only numbers, truth values and text can be saved"
            )
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, **head, "arrays": sorted(arrays)}
    text = np.array(json.dumps(head, sort_keys=True, default=_plain))
    given = cast(Any, path)  # what it is shows in what it can do
    with contextlib.nullcontext(given) if hasattr(path, "write") else atomic_write(given) as file:
        _write_members(file, {_HEAD: text, **members})


def _encoded(name: str, strings: np.ndarray) -> dict[str, np.ndarray]:
    """An array of strings as two: their bytes in UTF-8, one behind the other, and where each ends, in its shape.

    NumPy's own text is of fixed width: one long string would make all as large, and NULs at an end would be lost.
    """
    parts = [value.encode("utf-8", "surrogatepass") for value in strings.flat]
    ends = np.cumsum([len(part) for part in parts], dtype=np.int64).reshape(strings.shape)
    return {name + _BYTES: np.frombuffer(b"".join(parts), np.uint8), name + _ENDS: ends}


def _decoded(path: Path | str, members: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays that `_encoded` took apart, and all others as they are."""
    arrays = {name: array for name, array in members.items() if not name.endswith((_BYTES, _ENDS))}
    for name in sorted({name[: -len(_BYTES)] for name in set(members) - set(arrays)}):
        joined, ends = members.get(name + _BYTES), members.get(name + _ENDS)
        if joined is None or ends is None:
            raise FileFormatError(f"{path}: the text `{name}` is not whole; the file was tampered with")
        starts = np.append(0, ends.ravel())
        if (
            joined.dtype != np.uint8
            or joined.ndim != 1
            or ends.dtype != np.int64
            or (np.diff(starts) < 0).any()
            or starts[-1] != len(joined)
        ):
            raise FileFormatError(
                f"{path}: the text `{name}` has ends that do not fit; the file was tampered with"
            )
        text, strings = joined.tobytes(), np.empty(ends.size, object)
        try:
            for place, (start, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
                strings[place] = text[start:end].decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            raise FileFormatError(f"{path}: the text `{name}` cannot be read ({error})") from error
        arrays[name] = strings.reshape(ends.shape)
    return arrays


def _write_members(file: BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    """Writes `arrays` as `np.savez_compressed` does, to the byte; equal arrays make equal files.

    That of NumPy 1.26 knows no `allow_pickle`: it would store an array of that name.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:  # its size is not known yet
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)


def _plain(value):
    """NumPy's scalars as Python's, for JSON."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"cannot save {value!r}, a {type(value).__name__}; hyper-parameters are numbers and text")


def read_archive(
    path: str | os.PathLike | BinaryIO, expected: Callable[[dict], set[str]], max_bytes: int = MAX_BYTES
) -> tuple[dict, dict[str, np.ndarray]]:
    """Head and arrays of a file that `write_archive` wrote.

    path : of the file, or a binary file that is open for reading
    expected : tells from the head which array names may be there.

    Raises FileFormatError for all that is not such a file, naming the member at fault.
    """
    with _opened(path) as (path, archive):
        members, head = _members_and_head(path, archive, max_bytes)
        if twice := sorted(name for name in members if {name + _BYTES, name + _ENDS} & set(members)):
            raise FileFormatError(f"{path}: member `{twice[0]}` stands twice; the file was tampered with")
        names = {name.removesuffix(_BYTES).removesuffix(_ENDS) for name in members} - {_HEAD}
        if strange := sorted(names - expected(head)):
            raise FileFormatError(f"{path}: member `{strange[0]}` does not belong in a {head['class']}")
        if missing := sorted(set(head["arrays"]) - names):
            raise FileFormatError(
                f"{path}: member `{missing[0]}` is missing; the file is damaged, save it again"
            )
        found = {name: _array(path, archive, members[name]) for name in sorted(set(members) - {_HEAD})}
        return head, _decoded(path, found)


def class_in(path: str | os.PathLike) -> str:
    """The class that a file says it holds a model of. Raises FileFormatError where it says nothing of the kind."""
    with _opened(path) as (path, archive):
        return _members_and_head(path, archive, MAX_BYTES)[1]["class"]


@contextlib.contextmanager
def _opened(path: str | os.PathLike | BinaryIO) -> Iterator[tuple[Path | str, zipfile.ZipFile]]:
    """What to call a file in messages, and the archive that it is; damage inside becomes a FileFormatError."""
    if hasattr(path, "read"):
        path, opened = "what was given", contextlib.nullcontext(path)
    else:
        path = Path(cast("str | os.PathLike", path))
        if not path.exists():
            raise FileNotFoundError(f"there is no file {path}")
        opened = open(path, "rb")
    with opened as file:
        try:
            with zipfile.ZipFile(file) as archive:
                yield path, archive
        except FileFormatError:
            raise
        except _DAMAGE as error:
            raise FileFormatError(
                f"{path} is not a recbook model, or was damaged or cut short ({error}); "
                "save it again with model.save(path)"
            ) from error


def _members_and_head(
    path: Path | str, archive: zipfile.ZipFile, max_bytes: int
) -> tuple[dict[str, zipfile.ZipInfo], dict]:
    members = _members(path, archive, max_bytes)
    if _HEAD not in members:
        raise FileFormatError(
            f"{path}: no member `{_HEAD}`: not a recbook model; save one with model.save(path)"
        )
    return members, _head(path, _array(path, archive, members[_HEAD]))


def _members(path: Path | str, archive: zipfile.ZipFile, max_bytes: int) -> dict[str, zipfile.ZipInfo]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name == info.filename:
            raise FileFormatError(f"{path}: member `{info.filename}` is no array; not a recbook model")
        if name in members:
            raise FileFormatError(f"{path}: member `{name}` stands twice; the file was tampered with")
        members[name] = info
    size = sum(info.file_size for info in members.values())
    if size > max_bytes:
        raise FileFormatError(
            f"{path} unpacks to {size:,} bytes, the limit is {max_bytes:,}; if you trust it, pass max_bytes={size}"
        )
    return members


def _array(path: Path | str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """One member, read after its header is known to promise what the archive holds."""
    with archive.open(info) as file:
        try:
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }
            shape, _, dtype = read_header[version](file)
        except (ValueError, KeyError, EOFError, SyntaxError) as error:
            raise FileFormatError(
                f"{path}: member `{info.filename}` has no readable header ({error})"
            ) from error
        if dtype.kind not in "biufU":
            raise FileFormatError(
                f"{path}: member `{info.filename}` holds {dtype}, which could run code when read; refused"
            )
        promised, there = int(np.prod(shape, dtype=object)) * dtype.itemsize, info.file_size - file.tell()
        if promised != there:
            raise FileFormatError(
                f"{path}: member `{info.filename}` promises {promised:,} bytes and has {there:,}; "
                "the file was tampered with"
            )
    with archive.open(info) as file:
        try:
            return np.lib.format.read_array(file, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise FileFormatError(f"{path}: member `{info.filename}` cannot be read ({error})") from error


def _head(path: Path | str, array: np.ndarray) -> dict:
    try:
        head = json.loads(array.item()) if array.dtype.kind == "U" and array.shape == () else None
    except (json.JSONDecodeError, RecursionError):
        head = None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise FileFormatError(
            f"{path}: its head is not that of a recbook model; save one with model.save(path)"
        )
    if head.get("format_version") not in READABLE:
        raise FileFormatError(
            f"{path} has format version {head.get('format_version')!r}, this recbook reads "
            f"{' and '.join(map(str, READABLE))}; "
            "load it with the recbook that wrote it, or update recbook"
        )
    types = {"class": str, "hyper_parameters": dict, "arrays": list}
    for key, kind in types.items():
        if (
            not isinstance(head.get(key), kind)
            or key == "arrays"
            and not all(isinstance(n, str) for n in head[key])
        ):
            raise FileFormatError(f"{path}: its head lacks `{key}`; the file was tampered with")
    return head

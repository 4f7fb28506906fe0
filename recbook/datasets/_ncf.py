"""The files of the authors of neural collaborative filtering."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from recbook.datasets._files import PAIR, own_folder
from recbook.errors import DataError, FileFormatError
from recbook.interactions import Interactions

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
    own = own_folder()
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

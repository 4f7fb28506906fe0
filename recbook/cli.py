"""The command line: fit a model on a table, recommend with it, measure it.

recbook models
recbook clean export.csv --user customer --item film --rating stars --scale 1 5 --out ratings.csv
recbook fit ratings.csv --model EASE --user customer --item film --out ease.npz
recbook recommend ease.npz --for 17 --for 42 -k 5
recbook evaluate ratings.csv --model EASE --metric ndcg@10 --metric recall@10 --folds 5
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from recbook.core import thread_pools

thread_pools.let_sleep()  # NumPy and the frameworks read it when they are imported

import numpy as np
import pandas as pd

import recbook
from recbook import preprocessing, splits
from recbook.evaluation import cross_validate, evaluate
from recbook.interactions import Interactions, seconds
from recbook.recommender import Recommender

WINGS = ("torch", "keras")
PARQUET = (".parquet", ".pq")
WORDS = {"true": "True", "false": "False", "none": "None"}


# What the package raises of bad input: one line, and no traceback.
FAULTS = (ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, OSError, ImportError)


class CommandError(ValueError):
    """What was asked for cannot be done; the message says why and what to do."""


# ---------------------------------------------------------------- models


def wings_here() -> list[str]:
    """The wings whose framework is installed, PyTorch first, and "numpy", which needs none."""
    return [wing for wing in WINGS if importlib.util.find_spec(wing)] + ["numpy"]


def model_classes(wing: str | None) -> dict[str, type[Recommender]]:
    """The models that can be had here, by name.  wing : that of the frameworks; None takes the first that is here"""
    here = wings_here()
    if wing is not None and wing not in here:
        raise CommandError(f"the wing {wing} needs its framework: pip install recbook[{wing}]")
    found = {}
    for one in ("numpy", wing or here[0]):
        package = importlib.import_module(f"recbook.{one}")
        found |= {name: getattr(package, name) for name in package.__all__ if name != "load"}
    return dict(sorted(found.items(), key=lambda pair: pair[0].lower()))


def made(name: str, wing: str | None, settings: Sequence[str]) -> Recommender:
    """A model with arguments such as "factors=16"."""
    classes = model_classes(wing)
    if name not in classes:
        raise CommandError(f"there is no model {name!r} here; choose one of {', '.join(classes)}")
    given = {}
    for setting in settings:
        argument, equals, text = setting.partition("=")
        if not equals:
            raise CommandError(f"--set {setting}: write NAME=VALUE, such as factors=16")
        if argument not in classes[name]._arguments:
            raise CommandError(
                f"{name} has no argument {argument!r}; it has {', '.join(classes[name]._arguments) or 'none'}"
            )
        try:
            given[argument] = ast.literal_eval(WORDS.get(text.lower(), text))
        except (ValueError, SyntaxError):
            given[argument] = text  # a word, such as cosine
    return classes[name](**given)


# ---------------------------------------------------------------- data


def read(arguments: argparse.Namespace, path: Path) -> Interactions:
    """The table that a command names, .parquet or text."""
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    columns = {"user": arguments.user, "item": arguments.item, "on_duplicate": arguments.on_duplicate}
    columns |= {
        name: value for name in ("rating", "timestamp", "scale") if (value := getattr(arguments, name))
    }
    if path.suffix.lower() in PARQUET:
        return Interactions.from_parquet(path, **columns)
    return Interactions.from_csv(path, separator=arguments.separator, text_ids=arguments.text_ids, **columns)


def check_out(arguments: argparse.Namespace) -> None:
    """Before anything is computed: whether what comes out can be written, over nothing that is read."""
    out = getattr(arguments, "out", None)
    if out is None:
        return
    if not out.resolve().parent.is_dir():
        raise CommandError(f"--out {out}: there is no folder {out.resolve().parent}")
    for read_from in (getattr(arguments, "table", None), getattr(arguments, "saved", None)):
        if read_from is not None and read_from.resolve() == out.resolve():
            raise CommandError(f"--out {out} is what is read; name another file")


def written(table: pd.DataFrame, out: Path | None, index: bool = False) -> None:
    if out is None:
        print(table.to_csv(index=index), end="")
    else:
        table.to_csv(out, index=index)
        print(f"{len(table):,} rows: {out}", file=sys.stderr)


# ---------------------------------------------------------------- commands


def models(arguments: argparse.Namespace) -> None:
    """the models that can be had here: what they are fitted on, and what they can do"""
    rows = [("model", "task", "what it is", "can")] + [
        (name, cls.task, (cls.__doc__ or "").partition("\n")[0].strip(),
         " ".join(sorted(cls.supports)))
        for name, cls in model_classes(arguments.wing).items()
    ]  # fmt: skip
    widths = [max(map(len, column)) + 2 for column in zip(*rows, strict=True)]
    for row in rows:
        print("".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def clean(arguments: argparse.Namespace) -> None:
    """write the rows of a table that can be used, times as seconds since 1970, and say what was dropped and why"""
    path = arguments.table
    if not path.is_file():
        raise CommandError(f"there is no file {path}")
    if path.suffix.lower() in PARQUET:
        table = pd.read_parquet(path)
    else:  # text as it stands: what an id, a number or a time is, `clean` decides
        table = pd.read_csv(path, sep=arguments.separator, dtype=str, keep_default_na=False)
    table.index += 2  # the line of the file, whose first one has the names
    columns = {"user": arguments.user, "item": arguments.item, "scale": arguments.scale}
    columns |= {name: value for name in ("rating", "timestamp") if (value := getattr(arguments, name))}
    cleaned = preprocessing.clean(table, **columns)
    print(cleaned, file=sys.stderr)
    kept = cleaned.kept
    for name in kept.columns[[pd.api.types.is_datetime64_any_dtype(dtype) for dtype in kept.dtypes]]:
        times = pd.to_datetime(kept[name], utc=True).dt.tz_localize(None)
        kept = kept.assign(**{name: seconds(times.to_numpy())})  # what the other commands read
    written(kept, arguments.out)


def fit(arguments: argparse.Namespace) -> None:
    """fit a model on a table and write it to a file"""
    x = read(arguments, arguments.table)
    model = made(arguments.model, arguments.wing, arguments.set)
    model.fit(x, progress=sys.stderr.isatty()).save(arguments.out, include_history=not arguments.forget)
    print(f"{model!r} on {x!r}: {arguments.out}", file=sys.stderr)


def recommend(arguments: argparse.Namespace) -> None:
    """lists of a fitted model, as a table: user, item, score, rank"""
    model = recbook.load(arguments.saved, wing=arguments.wing)
    users = [as_id(text, model.user_ids_, "user") for text in arguments.for_] or None
    written(model.recommend(users, k=arguments.k, exclude_seen=not arguments.seen_too), arguments.out)


def as_id(text: str, known: np.ndarray, what: str):
    """An id as the model has it: a number where its ids are numbers."""
    if known.dtype.kind != "i":
        return text
    try:
        return int(text)
    except ValueError:
        raise CommandError(f"the model's {what}s are numbers, and {text!r} is none") from None


def evaluate_(arguments: argparse.Namespace) -> None:
    """measure models on a part of a table that they are not fitted on, or a fitted model on all of it"""
    x = read(arguments, arguments.table)
    metrics = arguments.metric or ["ndcg@10"]
    if twice := {name for name in arguments.model if arguments.model.count(name) > 1}:
        raise CommandError(f"--model {min(twice)} stands twice")
    if arguments.saved:
        if arguments.model or arguments.set or arguments.folds is not None:
            raise CommandError(
                "--saved measures a fitted model on the whole table; leave out --model, --set and --folds"
            )
        model = recbook.load(arguments.saved, wing=arguments.wing)
        written(evaluate({arguments.saved.name: model}, x, metrics), arguments.out, index=True)
        return
    if not arguments.model:
        raise CommandError("say what is to be measured: --model NAME (more than once), or --saved FILE")
    chosen = {name: made(name, arguments.wing, arguments.set) for name in arguments.model}
    if arguments.folds is not None:
        folds = splits.k_fold(x, n_splits=arguments.folds, seed=arguments.seed)
        table = cross_validate(chosen, None, folds, metrics, progress=sys.stderr.isatty())
    else:
        train, test = splits.random_split(x, arguments.test_size, seed=arguments.seed)
        table = evaluate(
            {name: model.fit(train, progress=False) for name, model in chosen.items()}, test, metrics
        )
    written(table, arguments.out, index=True)


# ---------------------------------------------------------------- arguments


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="recbook", description="Recommender systems, in PyTorch and in Keras.")
    top.add_argument("--version", action="version", version=f"recbook {recbook.__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    known = {"models": models, "clean": clean, "fit": fit, "recommend": recommend, "evaluate": evaluate_}
    made_of = {}
    for name, command in known.items():
        made_of[name] = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
        made_of[name].set_defaults(run=command)
        made_of[name].add_argument(
            "--wing", choices=WINGS, help="what to compute with (default: what is installed)"
        )
    for name in ("clean", "fit", "evaluate"):
        one = made_of[name]
        one.add_argument("table", type=Path, help="a text file with a line of names, or .parquet")
        one.add_argument("--user", default="user", help="the column of users (default: user)")
        one.add_argument("--item", default="item", help="the column of items (default: item)")
        one.add_argument("--rating", help="the column of ratings (default: rating, where there is one)")
        one.add_argument("--timestamp", help="the column of times (default: timestamp, where there is one)")
        one.add_argument("--separator", default=",", help="between two columns (default: a comma)")
        one.add_argument(
            "--scale", nargs=2, type=float, metavar=("LOW", "HIGH"), help="the lowest and the highest rating"
        )
    for name in ("fit", "evaluate"):
        one = made_of[name]
        one.add_argument(
            "--text-ids", action="store_true", help="take ids as text, even where all are numbers"
        )
        one.add_argument(
            "--on-duplicate", default="raise", choices=("raise", "last", "mean", "keep"),
            help="what becomes of a pair that stands twice",
        )  # fmt: skip
        one.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", help="an argument of the model"
        )
    made_of["clean"].add_argument("--out", type=Path, help="a text file (default: to the screen)")
    made_of["fit"].add_argument("--model", required=True, help="its name, as `recbook models` has it")
    made_of["fit"].add_argument("--out", type=Path, required=True, help="the file of the model, .npz")
    made_of["fit"].add_argument("--forget", action="store_true", help="leave out what each user has met")
    one = made_of["recommend"]
    one.add_argument("saved", type=Path, help="a file that `recbook fit` wrote")
    one.add_argument(
        "--for", dest="for_", action="append", default=[], metavar="USER", help="default: everybody"
    )
    one.add_argument("-k", type=int, default=10, help="the length of the lists (default: 10)")
    one.add_argument("--seen-too", action="store_true", help="offer what the user has met, too")
    one.add_argument("--out", type=Path, help="a text file (default: to the screen)")
    one = made_of["evaluate"]
    one.add_argument(
        "--model", action="append", default=[], help="its name; several are measured side by side"
    )
    one.add_argument("--saved", type=Path, help="a fitted model, to be measured on the whole table")
    one.add_argument("--metric", action="append", default=[], help="as rmse or ndcg@10 (default: ndcg@10)")
    one.add_argument(
        "--test-size", type=float, default=0.2, help="share of the rows to measure on (default: 0.2)"
    )
    one.add_argument("--folds", type=int, help="cross-validate with so many folds")
    one.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    one.add_argument("--out", type=Path, help="a text file (default: to the screen)")
    return top


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit status: 0, or 1 after a line that says what is wrong."""
    arguments = parser().parse_args(words)
    try:
        check_out(arguments)
        arguments.run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads has seen enough, as `recbook models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except FAULTS as error:
        print(f"recbook: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

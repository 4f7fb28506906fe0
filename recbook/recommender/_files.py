"""Fitted models as files, and back: one file serves every wing."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np

from recbook.core.storage import MAX_BYTES, read_archive, write_archive
from recbook.errors import FileFormatError
from recbook.interactions import IdIndex
from recbook.recommender._coded import Coded

if TYPE_CHECKING:
    from recbook.recommender import Recommender

Model = TypeVar("Model", bound="Recommender")


def write(model: Recommender, file: str | os.PathLike | BinaryIO, include_history: bool) -> None:
    """What was fitted, whatever was set afterwards."""
    with model._as_fitted():
        write_archive(file, *_head_and_arrays(model, include_history))


def _head_and_arrays(model: Recommender, include_history: bool) -> tuple[dict, dict[str, np.ndarray]]:
    train, arrays = model._train, {"user_ids": model.user_ids_, "item_ids": model.item_ids_}
    if include_history and train is not None:
        arrays |= {"history/users": train.users, "history/items": train.items}
        if train.ratings is not None:
            arrays["history/ratings"] = train.ratings
    arrays |= {f"parameter/{name}": values for name, values in model.get_parameters().items()}
    arrays |= {f"features/{name}": values for name, values in model._get_features().items()}
    head = {
        "class": type(model).__name__,
        "hyper_parameters": {name: value for name, value in model.get_params().items() if name != "device"},
        "rating_range": model.rating_range_,
        "training_log": model._log,
    }
    return head, arrays


def reduced(model: Recommender) -> tuple:
    """For pickle, copy and joblib: the class, the arguments as they are now, and a saved model's bytes, if fitted."""
    data = None
    if model._is_fitted:
        file = io.BytesIO()
        write(model, file, include_history=True)
        data = file.getvalue()
    return _rebuilt, (type(model), model.get_params(), data)


def _rebuilt(cls: type[Recommender], parameters: dict[str, Any], data: bytes | None) -> Recommender:
    if data is None:
        return cls(**parameters)
    model = restore([cls], io.BytesIO(data), parameters.get("device", "auto"))
    return model.set_params(**parameters)


def restore(
    classes: Iterable[type[Model]],
    path: str | os.PathLike | BinaryIO,
    device: str = "auto",
    max_bytes: int = MAX_BYTES,
) -> Model:
    """Reads a saved model of one of `classes`.  path : of a file, or a binary file that is open for reading

    Raises
    ------
    FileFormatError
        where the file is not a whole and consistent model of these classes.
    ValueError, RuntimeError
        where `device` is no device, or is not there.
    """
    by_name = {cls.__name__: cls for cls in classes}
    blank: list[Model] = []

    def expected(head: dict) -> set[str]:
        if head["class"] not in by_name:
            raise FileFormatError(
                f"{path} holds a {head['class']}; here can be read: {', '.join(sorted(by_name))}"
            )
        cls = by_name[head["class"]]
        where = {"device": device} if "device" in cls._parameter_names() else {}
        try:
            # JSON has no tuples; hyper-parameters that are sequences are tuples.
            given = {k: tuple(v) if isinstance(v, list) else v for k, v in head["hyper_parameters"].items()}
            blank.append(cls(**given, **where))
            blank[0]._check_hyper_parameters()
        except (TypeError, ValueError) as error:
            raise FileFormatError(
                f"{path}: its hyper-parameters do not fit a {head['class']}: {error}"
            ) from error
        ids_and_history = {"user_ids", "item_ids", "history/users", "history/items", "history/ratings"}
        features = {f"features/{name}" for name in blank[0]._feature_names()}
        return ids_and_history | features | {f"parameter/{name}" for name in blank[0]._parameter_shapes(0, 0)}

    head, arrays = read_archive(path, expected, max_bytes)
    model = blank[0]
    if "device" in model._parameter_names():
        _ = model.device_  # a device that is not there is no fault of the file
    try:
        _fill(model, head, arrays)
        model._fitted_params = copy.deepcopy(model.get_params())
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(
            f"{path}: its parts do not fit together ({error}); save the model again"
        ) from error
    return model


def _fill(model: Recommender, head: dict, arrays: dict[str, np.ndarray]) -> None:
    """Puts what a file holds into a blank model; raises ValueError, naming the array, where it is not consistent."""
    for side in ("user", "item"):
        ids = arrays[f"{side}_ids"]
        if ids.ndim != 1 or ids.dtype.kind not in "iUO" or len(np.unique(ids)) != len(ids):
            raise ValueError(f"`{side}_ids` is not a list of distinct ids")
        setattr(model, f"_{side}_index", IdIndex(ids))
    n_users, n_items = len(model._user_index), len(model._item_index)
    model.rating_range_ = _as_range(head["rating_range"])
    model._log = list(head["training_log"])
    # None only where the model does not compute with it, which is asked below.
    model._train = _history(arrays, n_users, n_items)  # pyright: ignore[reportAttributeAccessIssue]
    model._item_table = None
    if model._keeps_ratings and (model._train is None or model._train.ratings is None):
        raise ValueError("`history` is missing, and this model computes with it")
    model._set_features({name: arrays[f"features/{name}"] for name in model._feature_names()})
    parameters = {}
    for name, shape in model._parameter_shapes(n_users, n_items).items():
        values = arrays[f"parameter/{name}"]
        if values.shape != shape or not _is_finite(values):
            raise ValueError(f"parameter `{name}` has shape {values.shape}, not {shape}, or is not finite")
        parameters[name] = values
    model._set_parameters(parameters)


def _history(arrays: dict[str, np.ndarray], n_users: int, n_items: int) -> Coded | None:
    if "history/users" not in arrays:
        return None
    users, items = arrays["history/users"], arrays["history/items"]
    ratings = arrays.get("history/ratings")
    if users.shape != items.shape or (ratings is not None and ratings.shape != users.shape):
        raise ValueError("`history` has columns of different lengths")
    for name, codes, n in (("users", users, n_users), ("items", items, n_items)):
        inside = codes.dtype.kind == "i" and codes.ndim == 1
        if not inside or (len(codes) and not 0 <= codes.min() <= codes.max() < n):
            raise ValueError(f"`history/{name}` has codes outside 0..{n - 1}")
    if ratings is not None and not _is_finite(ratings):
        raise ValueError("`history/ratings` holds what is not finite")
    return Coded(users, items, ratings, None, n_users, n_items)


def _is_finite(values: np.ndarray) -> bool:
    return values.dtype.kind in "biuf" and bool(np.isfinite(values).all())


def _as_range(value) -> tuple[float, float] | None:
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(limit, float) for limit in value):
        raise ValueError(f"`rating_range` is {value!r}, not two numbers")
    return value[0], value[1]

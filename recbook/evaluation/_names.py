"""What `evaluate` is given, looked up and put in order: measures by name, models by name, candidates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from recbook import metrics as measures
from recbook.recommender import Recommender

# Of pairs: ratings, labels (with what the model predicts cut in two), labels and scores, labels and probabilities.
RATING: dict[str, Callable[..., float]] = {"rmse": measures.rmse, "mae": measures.mae, "mse": measures.mse}
LABEL: dict[str, Callable[..., float]] = {
    "accuracy": measures.accuracy,
    "precision": measures.precision,
    "recall": measures.recall,
    "f1": measures.f1,
}
ORDER = ("auc", "gauc")
PROBABILITY: dict[str, Callable[..., float]] = {
    "log_loss": measures.log_loss,
    "calibration_error": measures.calibration_error,
}
PAIRS = (*RATING, *LABEL, *ORDER, *PROBABILITY)
# Of lists: by what is relevant, a value a user; by what is in the list, a value a user; of all lists together.
RANKING = measures.BY_PLACES
CONTENT = ("novelty", "diversity")
CATALOGUE = ("coverage", "gini")
LISTS = (*RANKING, *CONTENT, *CATALOGUE)
LOWER_IS_BETTER = frozenset({*RATING, *PROBABILITY, "gini"})


def parse_metric(name: str) -> tuple[str, int | None]:
    """The measure that a name stands for, and the length of its lists: "ndcg@10" → ("ndcg", 10).

    The length is None for measures of pairs: "rmse". Raises ValueError for a name that is none.
    """
    measure, at, k = str(name).partition("@")
    if measure in PAIRS and not at:
        return measure, None
    if measure in LISTS and k.isascii() and k.isdigit() and int(k) >= 1:
        return measure, int(k)
    if measure in LISTS:
        raise ValueError(f"metric {name!r}: behind the @ stands the length of the list, as in '{measure}@10'")
    if measure in PAIRS:
        raise ValueError(f"metric {name!r}: {measure} has no list and so no length; write '{measure}'")
    lists = ", ".join(f"{one}@k" for one in LISTS)
    raise ValueError(
        f"unknown metric {name!r}; choose from {', '.join(PAIRS)}, {lists}, k a number such as 10"
    )


def parse(names: Sequence[str]) -> tuple[list[str], dict[str, tuple[str, int]]]:
    """Measures of pairs by name; measures of lists: name → (measure, k)."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise TypeError(f"`metrics` is {names!r}; give a list of names, such as ['rmse', 'ndcg@10']")
    if not names:
        raise ValueError("`metrics` is empty; give a list of names, such as ['rmse', 'ndcg@10']")
    parsed = {name: parse_metric(name) for name in names}
    of_pairs = [name for name, (_, k) in parsed.items() if k is None]
    return of_pairs, {name: (measure, k) for name, (measure, k) in parsed.items() if k is not None}


def named(models: Mapping[str, Recommender] | Sequence[Recommender]) -> dict[str, Recommender]:
    """Models by name: their own texts where they have none. Raises TypeError, ValueError."""
    if isinstance(models, Mapping):
        found = {str(name): model for name, model in models.items()}
    else:
        found = {}
        for model in models:
            name, number = repr(model), 2
            while name in found:
                name, number = f"{model!r} ({number})", number + 1
            found[name] = model
    if not found:
        raise ValueError("`model` is empty; give at least one model")
    if len(found) < len(models):
        raise ValueError(f"`model`: two names are written alike: {list(models)}; give each a name of its own")
    for name, model in found.items():
        if not isinstance(model, Recommender):
            raise TypeError(f"{name} is a {type(model).__name__}; give models of recbook")
    return found


def rereadable(candidates):
    """Candidates that can be read again and again, by every model, fold and trial."""
    return list(candidates) if isinstance(candidates, Iterator) else candidates

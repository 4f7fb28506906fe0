"""How large a model is: how many numbers it has learnt, beside the sizes of models that are published."""

from __future__ import annotations

from dataclasses import dataclass

from recbook.recommender import Recommender

LARGE = 100_000_000  # where the articles that this book grew from let "large" begin


def count_parameters(model) -> int:
    """How many numbers a model has learnt.

    model : a fitted recommender of the book; an `nn.Module`; a built `keras.Model`. Of a network those that are
        trained count, not running means.

    Raises NotFittedError for a recommender before `fit`, TypeError for anything else.
    """
    if isinstance(model, Recommender):
        return sum(values.size for values in model.get_parameters().values())
    if hasattr(model, "trainable_weights"):
        return sum(_product(weight.shape) for weight in model.trainable_weights)
    if callable(getattr(model, "parameters", None)):
        return sum(values.numel() for values in model.parameters() if values.requires_grad)
    raise TypeError(
        f"a {type(model).__name__} has no parameters to count; give a recommender, a module, or a keras.Model"
    )


def expected_parameters(model: Recommender, n_users: int, n_items: int) -> int:
    """How many numbers an unfitted recommender would learn of so many users and items.

    Raises ValueError where that depends on more: on fields or events of the data.
    """
    if model._feature_names():
        raise ValueError(
            f"how much a {type(model).__name__} learns depends on more of the data; fit it, and use count_parameters"
        )
    return sum(_product(shape) for shape in model._parameter_shapes(n_users, n_items).values())


def _product(shape) -> int:
    product = 1
    for length in shape:
        product *= int(length)
    return product


@dataclass(frozen=True)
class Published:
    """A model whose size its makers publish.

    name : of the model;  parameters : how many, as published;  kind : what it is for;  key : in references.bib
    """

    name: str
    parameters: float
    kind: str
    key: str


PUBLISHED = (
    Published("Inception-v3", 23.9e6, "recognises images", "szegedy2016inception"),
    Published("ResNet-50", 25.6e6, "recognises images", "he2016resnet"),
    Published("BERT-base", 110e6, "encodes text", "devlin2019bert"),
    Published("BERT-large", 340e6, "encodes text", "devlin2019bert"),
    Published("GPT-2", 1.5e9, "continues text", "radford2019gpt2"),
    Published("GPT-3", 175e9, "continues text", "brown2020gpt3"),
)

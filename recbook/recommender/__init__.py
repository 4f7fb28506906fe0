"""The contract: what every model of every wing does, and how it is asked.

`Recommender` is a template: it checks what comes in, turns the caller's ids into codes, asks the model for numbers,
and turns the answer back into ids. A model writes the hooks at the end of the class and nothing else, so that a model
reads like its equations.
"""

from recbook.core.arguments import (
    anything,
    argument,
    check_choice,
    check_layers,
    check_number,
    choice,
    device,
    flag,
    number,
    seed,
    whole,
    widths,
)
from recbook.recommender._coded import Coded
from recbook.recommender._files import restore
from recbook.recommender._model import CAPABILITIES, TASKS, UNKNOWN, Recommender
from recbook.recommender._questions import Question, ids_of, popularity, raise_unknown

__all__ = [
    "CAPABILITIES",
    "TASKS",
    "UNKNOWN",
    "Coded",
    "Question",
    "Recommender",
    "anything",
    "argument",
    "check_choice",
    "check_layers",
    "check_number",
    "choice",
    "device",
    "flag",
    "ids_of",
    "number",
    "popularity",
    "raise_unknown",
    "restore",
    "seed",
    "whole",
    "widths",
]

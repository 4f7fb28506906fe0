"""The errors that recbook raises beyond Python's own.

Each message names the culprit and the remedy. All derive from the built-in error that a caller
would expect, so `except ValueError` keeps working.
"""


class NotFittedError(RuntimeError, AttributeError):
    """The model was asked for something that only `fit` (or `load`) can give it.

    It is an AttributeError, too: before `fit`, hasattr(model, "history_") is False.
    """


class UnknownIdError(KeyError):
    """A user or an item that the model has never seen."""

    def __str__(self) -> str:
        # KeyError shows its argument's repr; a message should read as a message.
        return str(self.args[0]) if self.args else ""


class NotSupportedError(NotImplementedError):
    """The model cannot do this; the message names models that can."""


class DivergedError(ArithmeticError):
    """Training produced NaN or infinity."""


class FileFormatError(ValueError):
    """A file is not what it should be: foreign, truncated, tampered with, or from another version."""


class DataError(RuntimeError):
    """A dataset could not be had, or does not match its pinned hash."""

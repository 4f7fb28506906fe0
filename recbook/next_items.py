"""The name under which chapters ask for `shuffled`: the models of the next item are in the wings."""

from recbook.shared._histories import shuffled

__all__ = ["shuffled"]

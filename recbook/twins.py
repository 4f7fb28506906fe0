"""Holds the two wings side by side: the same classes, the same numbers (recbook.tools.twins)."""

from recbook.tools.twins import Pair, compare, pairs, wing

__all__ = ["Pair", "compare", "pairs", "wing"]

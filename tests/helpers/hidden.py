"""Packages as if they were not installed, in an interpreter of its own."""

from __future__ import annotations

import sys


class Hiding:
    """A finder that knows nothing of some packages; `importlib.util.find_spec` asks it, too."""

    def __init__(self, names: set[str], finder):
        self.names, self.finder = names, finder

    def __getattr__(self, name: str):
        return getattr(self.finder, name)

    def find_spec(self, name: str, *rest):
        return None if name.split(".")[0] in self.names else self.finder.find_spec(name, *rest)


def hide(*names: str) -> None:
    """From now on these packages cannot be imported."""
    sys.meta_path[:] = [Hiding(set(names), finder) for finder in sys.meta_path]

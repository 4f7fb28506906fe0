"""Holds a bad input to its error: the exact class, and a message that names the culprit and the remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest


def refuses(call: Callable, error: type[Exception], words: tuple[str, ...]) -> None:
    """words : what the message must contain"""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert all(word in str(caught.value) for word in words), caught.value

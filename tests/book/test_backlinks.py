"""What pages hold is kept from build to build, goes with its page, and is shown anew where it changed."""

from __future__ import annotations

from types import SimpleNamespace

from book.ext.recbook_sphinx.backlinks import Kept, in_order, used_in
from book.ext.recbook_sphinx.chapters import pages_of_book

KEPT = Kept("recbook_words", shown_on=("list", "elsewhere"))


def environment(**found: str) -> SimpleNamespace:
    return SimpleNamespace(all_docs={"list": 0, "a": 0, "b": 0}, recbook_words=dict(found))


def test_what_a_page_held_goes_with_it() -> None:
    env = environment(a="one", b="two")
    KEPT.forget(None, env, "a")
    KEPT.forget(None, env, "never read")
    assert KEPT.of(env) == {"b": "two"}


def test_of_another_process_its_own_pages_are_taken() -> None:
    env = environment(a="old", b="two")
    KEPT.merge(None, env, {"a"}, environment(a="new", b="not its own"))
    assert KEPT.of(env) == {"a": "new", "b": "two"}


def test_the_pages_that_show_it_are_written_anew_where_it_changed_and_only_there() -> None:
    env = environment(a="one")
    assert KEPT.renew(None, env) == ["list"]  # "elsewhere" is no page of this book
    assert KEPT.renew(None, env) == []
    KEPT.of(env)["b"] = "two"
    assert KEPT.renew(None, env) == ["list"]


def test_pages_stand_in_the_order_of_the_book_and_others_after_them() -> None:
    first, *_, last = pages_of_book()
    assert in_order(["z", last, "a", first]) == [first, last, "a", "z"]


def test_what_nothing_uses_has_no_line() -> None:
    assert not used_in([]).children

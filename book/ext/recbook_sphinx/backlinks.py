"""What each page holds, kept from build to build, and the line that names the pages which use something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from .chapters import pages_of_book


@dataclass(frozen=True)
class Kept:
    """page → what was found on it, under a name of the environment; it comes and goes with its page.

    shown_on : pages that are written anew where it has changed
    """

    name: str
    shown_on: tuple[str, ...] = ()

    def of(self, env: BuildEnvironment) -> dict:
        if not hasattr(env, self.name):
            setattr(env, self.name, {})
        return getattr(env, self.name)

    def connect(self, app: Sphinx) -> None:
        app.connect("env-purge-doc", self.forget)
        app.connect("env-merge-info", self.merge)
        if self.shown_on:
            app.connect("env-updated", self.renew)

    def forget(self, app: Sphinx, env: BuildEnvironment, page: str) -> None:
        self.of(env).pop(page, None)

    def merge(self, app: Sphinx, env: BuildEnvironment, pages: set[str], other: BuildEnvironment) -> None:
        self.of(env).update({page: found for page, found in self.of(other).items() if page in pages})

    def renew(self, app: Sphinx, env: BuildEnvironment) -> list[str]:
        written = getattr(env, f"{self.name}_written", None)
        setattr(env, f"{self.name}_written", dict(self.of(env)))
        changed = written != self.of(env)
        return [page for page in self.shown_on if changed and page in env.all_docs]


def in_order(pages: Iterable[str]) -> list[str]:
    """Pages in the order of the book, those that it does not list at the end."""
    order = pages_of_book()
    return sorted(pages, key=lambda page: (order.index(page) if page in order else len(order), page))


def link(app: Sphinx, page: str, anchor: str, text: str = "") -> nodes.reference:
    """From the page that is being written to a place on another; its text is the page's title, or this one."""
    uri = app.builder.get_relative_uri(app.env.docname, page)
    if anchor:
        uri += anchor if "#" in uri else f"#{anchor}"
    return nodes.reference("", text or app.env.titles[page].astext(), refuri=uri, internal=True)


def separated(links: list[nodes.Node]) -> list[nodes.Node]:
    return [node for one in links for node in (nodes.Text(", "), one)][1:]


def used_in(links: list[nodes.Node]) -> nodes.paragraph:
    """In A, B, C: the line below an entry; empty where nothing uses it."""
    line = nodes.paragraph(classes=["rb-used-in"])
    if links:
        line += [nodes.Text("In "), *separated(links)]
    return line

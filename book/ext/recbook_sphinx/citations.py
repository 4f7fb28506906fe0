"""Bibliography style `recbook`: entries are labelled by author and year, as the citations in the text are.

Each entry ends with the pages that cite it, in the order of the book.
"""

from __future__ import annotations

from docutils import nodes
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from .backlinks import in_order, link, used_in


def author_year(entry) -> str:
    """Return "Resnick et al., 1994"; "Lemire and Maclachlan, 2005"; "Hug, 2020"."""
    people = entry.persons.get("author") or entry.persons.get("editor") or []
    names = [" ".join(person.prelast_names + person.last_names) for person in people]
    if not names:
        who = entry.key
    elif len(names) > 2:
        who = f"{names[0]} et al."
    else:
        who = " and ".join(names)
    return f"{who}, {entry.fields.get('year', 'n.d.')}"


class AuthorYearLabels(BaseLabelStyle):
    """Labels by author and year; a second paper of the same people and year gets a letter."""

    def format_labels(self, sorted_entries):
        plain = [author_year(entry) for entry in sorted_entries]
        seen: dict[str, int] = {}
        for label in plain:
            if plain.count(label) == 1:
                yield label
            else:
                seen[label] = seen.get(label, 0) + 1
                yield label + "abcdefghijklmnopqrstuvwxyz"[seen[label] - 1]


class RecbookStyle(PlainStyle):
    default_label_style = AuthorYearLabels


class NamePages(SphinxPostTransform):
    default_priority = 7  # after the entries are written, before references are resolved
    formats = ("html",)

    def run(self, **kwargs) -> None:
        if not (entries := list(self.document.findall(nodes.citation))):
            return
        domain = self.env.get_domain("cite")
        keys = {citation.citation_id: citation.key for citation in domain.citations}
        places: dict[str, dict[str, str]] = {}  # key → page → anchor of the first citation there
        for cited in sorted(domain.citation_refs, key=lambda cited: cited.line or 0):
            for target in cited.targets:
                places.setdefault(target.key, {}).setdefault(cited.docname, cited.citation_ref_id)
        for entry in entries:
            pages = places.get(keys.get(entry["ids"][0]), {})
            if pages:
                entry += used_in([link(self.app, page, pages[page]) for page in in_order(pages)])


def setup(app: Sphinx) -> None:
    app.add_post_transform(NamePages)
    register_plugin("pybtex.style.formatting", "recbook", RecbookStyle)

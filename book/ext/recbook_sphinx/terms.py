"""The glossary's terms in the chapters: the first use of each links to its entry, and the entry lists the chapters.

chapters/glossary.md holds the terms and, in comments before an entry, what else counts as a use of it:

    .. also: cross-entropies, log loss      further forms; plurals in s, es and ies are found by themselves
    .. only in: transformers                the word has this meaning in these chapters alone
    .. not: by a factor of; cross zero      words around it that give it another meaning
    .. in no chapter yet                    a word of the package, or of a chapter to come

A form with a capital letter is found as it is written, any other also at the beginning of a sentence. Of two terms
that begin at the same word the longer one is meant. Not looked at: headings, the head and foot of a chapter, code,
formulas, links, table heads, captions, glued figures, and text of one framework, which half of the readers do not see.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform

from .backlinks import Kept, in_order, link, used_in
from .folds import fold_summary

PAGE = "chapters/glossary"
USES = Kept("recbook_terms", shown_on=(PAGE,))  # page → the names of the terms that it uses
ENTRY = re.compile(r"((?:^\.\. .+\n)*)^(?!\.\. )(\S.*)\n  (\S.*)$", re.M)
REMARKS = ("also", "only in", "not", "in no chapter yet")
UNREAD = (
    nodes.title,
    nodes.rubric,
    nodes.term,
    nodes.thead,
    nodes.caption,
    nodes.label,
    nodes.literal,
    nodes.math,
    nodes.FixedTextElement,
    nodes.Invisible,
    nodes.system_message,  # taken out later
    nodes.reference,
    fold_summary,  # a control of its own: no link within
    addnodes.pending_xref,
)
UNREAD_CLASSES = {
    "rb-question",
    "rb-head",
    "rb-foot",
    "cell_input",
    "cell_output",
    "pasted-text",
    "tag_torch",
    "tag_keras",
}


@dataclass(frozen=True)
class Term:
    """An entry of the glossary, and what counts as a use of it."""

    name: str
    definition: str
    also: tuple[str, ...] = ()
    only_in: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    unused: bool = False

    @property
    def id(self) -> str:
        return "use-" + nodes.make_id(self.name)

    @property
    def pattern(self) -> str:
        return "|".join(form_pattern(form) for form in (self.name, *self.also))


def read(text: str) -> list[Term]:
    """The entries of a glossary's Markdown."""
    body = text.partition("{glossary}\n")[2].partition("\n:::")[0]
    found = []
    for remarks, name, definition in ENTRY.findall(body):
        said: dict[str, tuple[str, ...]] = {}
        for line in remarks.splitlines():
            kind, _, parts = line.removeprefix(".. ").partition(": ")
            if kind not in REMARKS:
                raise ValueError(f"glossary: {name}: no such remark: {line}")
            said[kind] = tuple(re.split(r"; ?" if kind == "not" else r", ?", parts))
        found.append(
            Term(name, definition, *(said.get(kind, ()) for kind in REMARKS[:3]), REMARKS[3] in said)
        )
    return found


def form_pattern(form: str) -> str:
    """What finds a form and its plural, over line ends, and "cold-start" for "cold start"."""
    words = re.split(r"([\s-])", form)
    if form == form.lower():
        words[0] = f"[{words[0][0].upper()}{words[0][0]}]" + re.escape(words[0][1:])
    else:
        words[0] = re.escape(words[0])
    middle = [r"(?:\s+|-)" if word in " -" and word else re.escape(word) for word in words[1:]]
    text = "".join([words[0], *middle])
    if form.endswith("y") and form[-2] not in "aeiou":
        return f"{text[:-1]}(?:y|ies)"
    if form[-1].islower() and not form.endswith("s"):
        return f"{text}s?"
    return f"{text}(?:es)?" if form.endswith(("ss", "us", "is", "as")) else text


@cache
def finder(terms: tuple[Term, ...]) -> re.Pattern:
    """Finds any use of any term, and what is none (group 0); of uses that begin together the longest."""
    forms = [(form, i) for i, term in enumerate(terms) for form in (term.name, *term.also)]
    choices = [(len(form), f"(?P<t{i}_{n}>{form_pattern(form)})") for n, (form, i) in enumerate(forms)]
    choices += [(len(phrase) + 100, form_pattern(phrase)) for term in terms for phrase in term.never]
    choices.sort(key=lambda choice: -choice[0])
    return re.compile(rf"(?<![\w-])(?:{'|'.join(text for _, text in choices)})(?![\w-])")


def uses(text: str, terms: tuple[Term, ...]) -> list[tuple[int, int, Term]]:
    """Where a text uses terms: from, to, which."""
    return [
        (found.start(), found.end(), terms[int(found.lastgroup[1:].partition("_")[0])])
        for found in finder(terms).finditer(text)
        if found.lastgroup
    ]


def is_read(node: nodes.Node) -> bool:
    """Whether a node is prose, in which a use counts."""
    return not (
        isinstance(node, UNREAD)
        or (isinstance(node, nodes.Element) and UNREAD_CLASSES & set(node.get("classes", ())))
        or "title" in type(node).__name__
    )


def prose(node: nodes.Element) -> list[nodes.Text]:
    """The pieces of prose under a node, in reading order; neighbouring pieces are made one before."""
    join_texts(node)
    found = []
    for child in node.children:
        if isinstance(child, nodes.Text):
            found.append(child)
        elif is_read(child):
            found += prose(child)
    return found


def join_texts(node: nodes.Element) -> None:
    """A line's end is a piece of its own: without this no term would be found over it."""
    joined: list[nodes.Node] = []
    for child in node.children:
        if joined and isinstance(child, nodes.Text) and isinstance(joined[-1], nodes.Text):
            joined[-1] = nodes.Text(joined[-1].astext() + child.astext())
        else:
            joined.append(child)
    if len(joined) < len(node.children):
        node.children = []
        node += joined


def reference(term: Term, words: str, page: str) -> addnodes.pending_xref:
    link = addnodes.pending_xref(
        "", refdomain="std", reftype="term", reftarget=term.name, refdoc=page, refwarn=True, refexplicit=True
    )
    link += nodes.inline("", words, classes=["xref", "std", "std-term", "rb-term"], ids=[term.id])
    return link


class LinkTerms(SphinxTransform):
    """In each notebook of the book the first use of a term becomes a link."""

    default_priority = 890  # after the quotation marks are set

    def apply(self, **kwargs) -> None:
        page = self.env.docname
        glossary = Path(self.env.srcdir, f"{PAGE}.md")
        if not self.env.doc2path(page).endswith(".ipynb") or not glossary.is_file():
            return
        self.env.note_dependency(str(glossary))
        chapter = page.rpartition("/")[2]
        terms = tuple(
            term for term in read(glossary.read_text("utf-8")) if not term.only_in or chapter in term.only_in
        )
        used: dict[str, None] = {}
        for text in prose(self.document):
            parts: list[nodes.Node] = []
            last = 0
            words = text.astext()
            for start, end, term in uses(words, terms):
                if term.name in used:
                    continue
                used[term.name] = None
                parts += [nodes.Text(words[last:start]), reference(term, words[start:end], page)]
                last = end
            if parts:
                text.parent.replace(
                    text, [part for part in (*parts, nodes.Text(words[last:])) if part.astext()]
                )
        USES.of(self.env)[page] = list(used)


class NameChapters(SphinxPostTransform):
    """On the glossary's page each entry ends with the chapters that use it, in the order of the book."""

    default_priority = 8  # before references are resolved

    def run(self, **kwargs) -> None:
        if self.env.docname != PAGE:
            return
        for item in self.document.findall(nodes.definition_list_item):
            name = next(item.findall(nodes.term)).astext()
            pages = chapters_of(self.env, name)
            if pages:
                line = used_in([link(self.app, page, Term(name, "").id) for page in pages])
                next(item.findall(nodes.definition)).append(line)


def chapters_of(env: BuildEnvironment, name: str) -> list[str]:
    """The pages that use a term, in the order of the book."""
    return in_order(page for page, names in USES.of(env).items() if name in names)


def setup(app: Sphinx) -> None:
    app.add_transform(LinkTerms)
    app.add_post_transform(NameChapters)
    USES.connect(app)

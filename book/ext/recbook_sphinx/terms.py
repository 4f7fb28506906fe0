"""The glossary's terms in the chapters: the first use of each links to its entry, and the entry lists the chapters.

chapters/glossary.md holds the terms and, in comments before an entry, what else counts as a use of it:

    .. also: cross-entropies, log loss      further forms; plurals in s, es and ies are found by themselves
    .. only in: transformers                the word has this meaning in these chapters alone
    .. not in: logistic                     in these chapters it has another
    .. noun                                 and is no use of the term where it is a verb: "supports neither", "Split it"
    .. not: by a factor of; cross zero      words around it that give it another meaning
    .. in no chapter yet                    a word of the package, or of a chapter to come

`{glossary-letters}` makes a line of links to the first entry of each letter, `{glossary-chinese}` an index of the
Chinese names.

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
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective

from .backlinks import Kept, in_order, link, used_in
from .folds import fold_summary

PAGE = "chapters/glossary"
USES = Kept("recbook_terms", shown_on=(PAGE,))  # page → the names of the terms that it uses
ENTRY = re.compile(r"((?:^\.\. .+\n)*)^(?!\.\. )(\S.*)\n  (\S.*)$", re.M)
REMARKS = ("also", "only in", "not", "not in", "noun", "in no chapter yet")
# What shows that a word is a verb: what stands before it, and what stands after it (an object; a formula, which ends
# the piece of text).
VERB_AFTER = re.compile(
    r"\b(?:to|can|will|would|must|may|might|should|does|do|not|we|you|they|it|who|which)\s+$"
)
OBJECT = (
    r"(?:an?|the|neither|both|each|every|no|all|its?|this|that|these|those|them|him|her|his|their|your|my)\b"
)
VERB_BEFORE = re.compile(rf"\s+{OBJECT}")
ORDER_BEFORE = re.compile(rf"\s+(?:{OBJECT}|up\b|off\b|into\b|¶|$)")
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
    not_in: tuple[str, ...] = ()
    noun: bool = False
    unused: bool = False

    @property
    def id(self) -> str:
        return "use-" + nodes.make_id(self.name)

    def is_meant_in(self, chapter: str) -> bool:
        return chapter not in self.not_in and (not self.only_in or chapter in self.only_in)


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
        lists = (said.get(kind, ()) for kind in REMARKS[:4])
        found.append(Term(name, definition, *lists, "noun" in said, "in no chapter yet" in said))
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
    found = []
    for match in finder(terms).finditer(text):
        if match.lastgroup:
            term = terms[int(match.lastgroup[1:].partition("_")[0])]
            if not (term.noun and is_verb(text, match.start(), match.end())):
                found.append((match.start(), match.end(), term))
    return found


def is_verb(text: str, start: int, end: int) -> bool:
    """Whether a word that can be noun or verb is a verb: "supports neither", "to split", "Split x into"."""
    word, before, after = text[start:end], text[:start], text[end:]
    if VERB_AFTER.search(before):
        return True
    if word.endswith("s") and VERB_BEFORE.match(after):
        return True
    return word[0].isupper() and not word.endswith("s") and bool(ORDER_BEFORE.match(after))


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
        terms = tuple(term for term in read(glossary.read_text("utf-8")) if term.is_meant_in(chapter))
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
            if "rb-chinese" in item.parent.parent.get("classes", ()):
                continue
            name = next(item.findall(nodes.term)).astext()
            pages = chapters_of(self.env, name)
            if pages:
                line = used_in([link(self.app, page, Term(name, "").id) for page in pages])
                next(item.findall(nodes.definition)).append(line)


def chapters_of(env: BuildEnvironment, name: str) -> list[str]:
    """The pages that use a term, in the order of the book."""
    return in_order(page for page, names in USES.of(env).items() if name in names)


# --- ways into the glossary ------------------------------------------------------------------------------------------

CHINESE = re.compile(r"\[(.+?)\]\{\.zh\}")
# The characters of GB 2312 that are in common use are coded in the order of their pronunciation: the first of each
# letter. Of a character with two readings it has one; the index takes the other from a character that sounds like it.
PINYIN = dict(
    zip(
        "ABCDEFGHJKLMNOPQRSTWXYZ",
        "啊芭擦搭蛾发噶哈击喀垃妈拿哦啪期然撒塌挖昔压匝",
        strict=True,
    )
)
OTHER_READING = {"调": "条", "校": "较"}


def sound(name: str) -> bytes:
    """Sorts Chinese names by their pronunciation."""
    return b"".join(OTHER_READING.get(sign, sign).upper().encode("gb18030") for sign in name)


def letter(name: str) -> str:
    """The first letter of a Chinese name's pronunciation; of a Latin one its own."""
    first = sound(name[0])
    if len(first) == 1:
        return name[0].upper()
    return max(
        (sign.encode("gb2312"), found) for found, sign in PINYIN.items() if sign.encode("gb2312") <= first
    )[1]


def grouped(entries: list[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """(name, entry), in order, by letter."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name, entry in entries:
        found.setdefault(letter(name), []).append((name, entry))
    return dict(sorted(found.items()))


class GlossaryDirective(SphinxDirective):
    """What is made of the glossary of the page on which it stands."""

    has_content = False

    def entries(self) -> list[Term]:
        return read(Path(self.env.doc2path(self.env.docname)).read_text("utf-8"))

    def box(self, name: str, lines: list[str]) -> nodes.container:
        found = nodes.container(classes=[name])
        self.state.nested_parse(StringList(lines, source=str(Path(__file__))), 0, found)
        return found


class LettersDirective(GlossaryDirective):
    def run(self) -> list[nodes.Node]:
        groups = grouped([(entry.name, entry.name) for entry in self.entries()])
        links = [f"{{term}}`{first} <{names[0][1]}>`" for first, names in groups.items()]
        return [self.box("rb-jumps", [" ".join([*links, "{ref}`中文 <glossary-chinese>`"])])]


class ChineseDirective(GlossaryDirective):
    def run(self) -> list[nodes.Node]:
        names = [(CHINESE.search(entry.definition)[1], entry.name) for entry in self.entries()]
        lines = []
        for first, group in grouped(sorted(names, key=lambda pair: sound(pair[0]))).items():
            links = "、".join(f"{{term}}`{chinese} <{entry}>`" for chinese, entry in group)
            lines += [f"**{first}**", f": {links}", ""]
        return [self.box("rb-chinese", lines)]


def setup(app: Sphinx) -> None:
    app.add_directive("glossary-letters", LettersDirective)
    app.add_directive("glossary-chinese", ChineseDirective)
    app.add_transform(LinkTerms)
    app.add_post_transform(NameChapters)
    USES.connect(app)

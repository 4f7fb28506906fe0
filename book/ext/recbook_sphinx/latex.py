"""The book in print: settings of the LaTeX builder, parts and front matter; book/latex/recbook.sty has the looks.

What belongs to a screen alone carries the class `rb-screen` and is left out. Any other class that begins with `rb-`
becomes an environment: \\newenvironment{sphinxclassrb-NAME} in recbook.sty says how it looks, and without one it looks
as if it were not there.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.latex.nodes import thebibliography
from sphinx.config import Config
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.latex import LaTeXTranslator

from . import BOOK
from .chapters import read_parts
from .search import HAN

STYLE = BOOK / "latex" / "recbook.sty"
FILE = "recbook.tex"
SCREEN = "rb-screen"  # the class of what is left out in print
CELLS = ("cell", "tag_")  # classes of a notebook's cells, kept beside `rb-…`: recbook.sty knows some
TOGETHER = 12  # lines of a program that stay on one page
CHINESE = re.compile(f"[{HAN}]")
BOXES = ("guess", "published", "mistakes", "frameworks", "work", "person")


class front_matter(nodes.section):  # noqa: N801  (docutils names its nodes so)
    """What stands before the first part: a chapter without a number."""


class part_opening(nodes.section):  # noqa: N801
    """The page that opens a part: its title is the part's."""


def use_xelatex(app: Sphinx, config: Config) -> None:
    """Set the LaTeX builder up; a build of the site does not look at any of this."""
    config.latex_engine = "xelatex"
    config.latex_documents = [
        (config.root_doc, FILE, config.project, str(config.author).replace("&", r"\&"), "manual")
    ]
    config.latex_additional_files = [*config.latex_additional_files, str(STYLE)]
    config.latex_table_style = ["booktabs", "colorrows"]
    config.latex_show_urls = "no"
    config.latex_domain_indices = False  # the general index has the package's names too
    config.latex_elements = {
        "papersize": "a4paper",
        "pointsize": "10pt",
        "extraclassoptions": "oneside,openany",
        "fncychap": "",
        "fontpkg": "",  # recbook.sty chooses
        "preamble": r"\usepackage{recbook}",
        "maketitle": r"\rbtitlepage",
        "tableofcontents": r"\rbcontents",
        "fvset": r"\fvset{fontsize=\footnotesize}",
        **config.latex_elements,
    }
    # SVG figures are drawn anew as PDF, and tables of HTML set as tables: see printed.py.
    config.nb_mime_priority_overrides = [
        *config.nb_mime_priority_overrides,
        ("latex", "image/svg+xml", 1),
        ("latex", "text/html", 2),
    ]


class Arrange(SphinxPostTransform):
    """Parts out of the pages that open them; the page of the site's root as front matter."""

    default_priority = 700
    formats = ("latex",)

    def run(self, **kwargs) -> None:
        openings = {part.pages[0]: part.caption for part in read_parts()}
        for page in list(self.document.findall(addnodes.start_of_file)):
            first = next((child for child in page.children if isinstance(child, nodes.section)), None)
            if first is not None and openings.get(page["docname"]) == first[0].astext():
                first.replace_self(renamed(first, part_opening))
        root = next((child for child in self.document.children if isinstance(child, nodes.section)), None)
        if root is not None and any(is_toctree(child) for child in root.findall(nodes.compound)):
            self.separate(root)

    def separate(self, root: nodes.section) -> None:
        """Put what the root page says itself into a chapter of its own, before the pages that it holds."""
        toctrees = [node for node in root.findall(nodes.compound) if is_toctree(node)]
        for node in toctrees:
            node.parent.remove(node)
        title, *content = root.children
        front = front_matter("", title.deepcopy(), *content, ids=root["ids"], names=root["names"])
        root.children = []
        root["ids"], root["names"] = [], []
        root += [title, front, *toctrees]


class PlaceBibliography(SphinxPostTransform):
    """Puts the papers where their page stands; Sphinx puts them at the end of the book, as a chapter without text."""

    default_priority = 760  # after Sphinx has gathered them
    formats = ("latex",)

    def run(self, **kwargs) -> None:
        for papers in list(self.document.findall(thebibliography)):
            home = next((node["docname"] for node in papers.findall(nodes.citation)), None)
            for page in self.document.findall(addnodes.start_of_file):
                if page["docname"] == home:
                    papers.parent.remove(papers)
                    page.append(papers)
                    break


def renamed(section: nodes.section, kind: type[nodes.section]) -> nodes.section:
    return kind("", *section.children, **section.attributes)


def is_toctree(node: nodes.Node) -> bool:
    return isinstance(node, nodes.compound) and "toctree-wrapper" in node["classes"]


class Prepare(SphinxPostTransform):
    """Drops what is for screens, keeps the classes that recbook.sty knows, and gives every target its place."""

    default_priority = 400
    formats = ("latex",)

    def run(self, **kwargs) -> None:
        for node in list(self.document.findall(has_class(SCREEN))):
            node.parent.remove(node)
        for cell in list(self.document.findall(has_class("tag_hide-input"))):  # code that only draws
            cell.children = [child for child in cell.children if "cell_input" not in child.get("classes", ())]
        for block in list(self.document.findall(nodes.literal_block)):
            keep_together(block)
        for facts in list(self.document.findall(has_class("rb-facts"))):
            words = " · ".join(text for item in facts.children if (text := item.astext().strip()))
            facts.replace_self(nodes.paragraph("", words, classes=["rb-facts"]))
        for title in list(self.document.findall(has_class("sd-card-title"))):
            title.replace_self(nodes.paragraph("", "", nodes.strong("", title.astext())))
        for index in self.document.findall(addnodes.index):  # xindy would strew Chinese over the alphabet
            index["entries"] = [
                as_printed(entry) for entry in index["entries"] if not CHINESE.search(entry[1])
            ]
        for node in list(self.document.findall(nodes.Element)):
            if isinstance(node, nodes.container):
                self.place(node)
            elif isinstance(node, nodes.paragraph | nodes.bullet_list | nodes.definition_list):
                wrap(node)
            elif isinstance(node, nodes.inline):  # of several classes LaTeX knows the first of ours
                ours = [name for name in node["classes"] if name.startswith("rb-")]
                node["classes"] = ours[:1] or node["classes"]

    def place(self, node: nodes.container) -> None:
        """Keep the classes that print knows; anchor the container's names, which LaTeX's writer would forget."""
        node["classes"] = [name for name in node["classes"] if name.startswith(("rb-", *CELLS))]
        if node["ids"]:
            anchor = nodes.target("", "", ids=node["ids"])
            node["ids"] = []
            node.parent.insert(node.parent.index(node), anchor)


def keep_together(block: nodes.literal_block) -> None:
    """Let a short program begin on the next page rather than break, and the heading of its framework with it."""
    lines = block.astext().count("\n") + 1
    if lines > TOGETHER:
        return
    top: nodes.Node = block
    while isinstance(top.parent, nodes.container) and top.parent.index(top) == 0:
        top = top.parent
    place = top.parent.index(top)
    before = top.parent.children[place - 1] if place else None
    if isinstance(before, nodes.raw) and before.astext().startswith(r"\rbframework"):
        place -= 1
    points = 10 * lines + 48  # with a heading and some air
    top.parent.insert(place, nodes.raw("", rf"\needspace{{{points}pt}}", format="latex"))


def as_printed(entry: tuple) -> tuple:
    """An entry of the index; a module stands there once, not under its name and again under "module"."""
    kind, value, *rest = entry
    if kind == "pair" and value.startswith("module; "):
        return ("single", f"{value.removeprefix('module; ')} (module)", *rest)
    return entry


def has_class(name: str):
    return lambda node: isinstance(node, nodes.Element) and name in node.get("classes", ())


def wrap(node: nodes.Element) -> None:
    """Put a paragraph or a list with a class of ours into a container, whose class LaTeX's writer does write."""
    ours = [name for name in node["classes"] if name.startswith("rb-")]
    if ours:
        node["classes"] = []
        box = nodes.container(classes=ours)
        node.replace_self(box)
        box += node


def visit_front(translator, node: front_matter) -> None:
    translator.body.append("\\rbfrontmatter\n")
    LaTeXTranslator.visit_section(translator, node)


def depart_front(translator, node: front_matter) -> None:
    LaTeXTranslator.depart_section(translator, node)
    translator.body.append("\\rbmainmatter\n")


def visit_part(translator, node: part_opening) -> None:
    """One level higher than the chapters beside it; what stands in it keeps the level that it has in a chapter."""
    node["rb_level"] = translator.sectionlevel
    translator.sectionlevel -= 1
    LaTeXTranslator.visit_section(translator, node)
    for section in node.children:
        if isinstance(section, nodes.section):
            section["rb_in_part"] = True


def depart_part(translator, node: part_opening) -> None:
    LaTeXTranslator.depart_section(translator, node)
    translator.sectionlevel = node["rb_level"]


def visit_section(translator, node: nodes.section) -> None:
    translator.sectionlevel += node.get("rb_in_part", 0)
    LaTeXTranslator.visit_section(translator, node)


def depart_section(translator, node: nodes.section) -> None:
    LaTeXTranslator.depart_section(translator, node)
    translator.sectionlevel -= node.get("rb_in_part", 0)


def visit_admonition(translator, node: nodes.admonition) -> None:
    """As Sphinx does, with the box's own name, so that recbook.sty can colour it."""
    LaTeXTranslator.visit_admonition(translator, node)
    kind = next((name for name in BOXES if name in node["classes"]), "note")
    translator.body[-1] = translator.body[-1].replace("{note}", f"{{{kind}}}")


def depart_admonition(translator, node: nodes.admonition) -> None:
    LaTeXTranslator.depart_admonition(translator, node)


def setup(app: Sphinx) -> None:
    app.add_node(front_matter, latex=(visit_front, depart_front))
    app.add_node(part_opening, latex=(visit_part, depart_part))
    app.add_node(nodes.section, override=True, latex=(visit_section, depart_section))
    app.add_node(nodes.admonition, override=True, latex=(visit_admonition, depart_admonition))
    app.add_post_transform(Arrange)
    app.add_post_transform(Prepare)
    app.add_post_transform(PlaceBibliography)
    app.connect("config-inited", use_xelatex, priority=700)

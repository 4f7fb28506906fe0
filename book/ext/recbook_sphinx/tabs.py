"""Neighbouring cells tagged `torch` and `keras` become one synced tab-set; in print each framework has a heading.

In a notebook they stay two cells; in print they follow each other, all of PyTorch's first. Text that belongs to one
framework can join its tab: a `:::{framework} torch` block beside the cell counts as a cell with that tag.
"""

from __future__ import annotations

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from sphinx_design.shared import create_component

GROUP = "framework"  # also the name of the link parameter: page.html?framework=keras
LABELS = {"torch": "PyTorch", "keras": "Keras"}


def framework_of(node: nodes.Node) -> str | None:
    """Return "torch" or "keras" for a tagged cell, None for any other node."""
    if not isinstance(node, nodes.container):
        return None
    found = [name for name in LABELS if f"tag_{name}" in node["classes"]]
    return found[0] if len(found) == 1 else None


def split_runs(names: list[str | None]) -> list[tuple[int, int]]:
    """Split siblings into the spans that become tab-sets.

    `names` holds the framework of each sibling, or None. A span ends at a None, and where a framework comes back
    after the other one: torch torch keras keras is one span, torch keras torch keras is two.
    """
    spans, start = [], None
    for i, name in enumerate([*names, None]):
        if start is not None:
            seen = names[start:i]
            if name is None or (name in seen and name != names[i - 1]):
                spans.append((start, i))
                start = None
        if start is None and name is not None:
            start = i
    return spans


def make_tab_set(cells: list[nodes.container]) -> nodes.container:
    """Wrap the cells of one span: one tab for each framework, in the order of `LABELS`."""
    items = []
    for name, text in LABELS.items():
        mine = [cell for cell in cells if framework_of(cell) == name]
        if not mine:
            continue
        label = nodes.rubric(text, text, classes=["sd-tab-label"], sync_group=GROUP, sync_id=name)
        content = create_component("tab-content", classes=["sd-tab-content"], children=mine)
        items.append(
            create_component("tab-item", classes=["sd-tab-item"], children=[label, content], selected=False)
        )
    return create_component("tab-set", classes=["sd-tab-set", "rb-framework"], children=items)


def one_after_the_other(cells: list[nodes.container]) -> list[nodes.Node]:
    """The cells of one span in print: each framework's under its name, in the order of `LABELS`."""
    found: list[nodes.Node] = []
    for name, text in LABELS.items():
        mine = [cell for cell in cells if framework_of(cell) == name]
        if not mine:
            continue
        if all("tag_solution" in cell["classes"] for cell in mine):  # one heading for both
            text = f"Solution, {text}"
            for cell in mine:
                cell["classes"].remove("tag_solution")
        found += [nodes.raw("", f"\\rbframework{{rb{name}}}{{{text}}}", format="latex"), *mine]
    return found


class FrameworkTabs(SphinxPostTransform):
    """Runs before sphinx-design turns tab-sets into HTML (priority 200)."""

    default_priority = 150
    formats = ("html", "latex")

    def run(self, **kwargs) -> None:
        cells = [node for node in self.document.findall(nodes.container) if framework_of(node)]
        parents = {id(cell.parent): cell.parent for cell in cells}
        for parent in parents.values():
            spans = split_runs([framework_of(child) for child in parent.children])
            for start, end in reversed(spans):  # from the back, so that earlier positions stay right
                run = parent.children[start:end]
                if self.app.builder.format == "html":
                    parent[start:end] = [make_tab_set(run)]
                else:
                    parent[start:end] = one_after_the_other(run)


class FrameworkBlock(SphinxDirective):
    """`:::{framework} torch`: text that joins the tab of that framework."""

    required_arguments = 1
    has_content = True
    option_spec = {"class": directives.class_option}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if name not in LABELS:
            raise self.error(f"framework must be one of {', '.join(LABELS)}, not {name!r}")
        node = nodes.container(classes=[f"tag_{name}", *self.options.get("class", [])])
        self.set_source_info(node)
        self.state.nested_parse(self.content, self.content_offset, node)
        return [node]


def setup(app: Sphinx) -> None:
    app.add_directive("framework", FrameworkBlock)
    app.add_post_transform(FrameworkTabs)

"""A link to a test, by its node id: the page that testpages.py makes, at the lines of the function."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from . import ROOT

LOGGER = logging.getLogger(__name__)


class test_link(nodes.Inline, nodes.TextElement):  # noqa: N801  (docutils names its nodes so)
    """A test's node id: a link to its lines in HTML, plain text elsewhere."""


def split_node_id(node_id: str) -> tuple[str, str]:
    """Split "tests/test_x.py::test_y" into file and function (of a class: its method)."""
    file, _, rest = node_id.partition("::")
    return file, rest.split("::")[-1].split("[")[0]


def page_name(file: str) -> str:
    return "_tests/" + file.removeprefix("tests/").removesuffix(".py")


def has_test(file: str, function: str) -> bool:
    path = ROOT / file
    return (
        path.is_file()
        and re.search(rf"^\s*def {re.escape(function)}\(", path.read_text("utf-8"), re.M) is not None
    )


class ResolveTestLinks(SphinxPostTransform):
    default_priority = 20

    def run(self, **kwargs) -> None:
        for node in list(self.document.findall(test_link)):
            file, function = split_node_id(node["node_id"])
            text = nodes.literal(function, function)
            if self.app.builder.format != "html":
                node.replace_self(nodes.literal(node["node_id"], node["node_id"]))
                continue
            if not has_test(file, function):
                LOGGER.warning("sources: no test %s in %s", function, file, location=node)
                node.replace_self(text)
                continue
            uri = self.app.builder.get_relative_uri(self.env.docname, page_name(file)) + f"#{function}"
            node.replace_self(nodes.reference("", "", text, refuri=uri, internal=True))


def setup(app: Sphinx) -> None:
    app.add_node(test_link)
    app.add_post_transform(ResolveTestLinks)

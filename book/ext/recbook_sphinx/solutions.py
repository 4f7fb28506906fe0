"""What a folded cell is called: a solution "Show the solution", code that only draws "Show the code of this figure"."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# tag of the cell → what the line that unfolds it speaks of
CALLED = {"tag_solution": "the solution", "tag_hide-input": "the code of this output"}


class NameFolds(SphinxPostTransform):
    """Gives folded cells their names, before myst_nb folds them."""

    default_priority = 1

    def run(self, **kwargs) -> None:
        for cell in self.document.findall(nodes.container):
            words = next((CALLED[name] for name in CALLED if name in cell["classes"]), None)
            if words and "prompt_show" in cell:
                cell["prompt_show"], cell["prompt_hide"] = f"Show {words}", f"Hide {words}"


def setup(app: Sphinx) -> None:
    app.add_post_transform(NameFolds)

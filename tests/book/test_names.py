"""Which public names a chapter uses: read from code and prose of its notebook."""

from __future__ import annotations

import pytest

from book.ext.recbook_sphinx import docstrings, names
from book.ext.recbook_sphinx.chapters import pages_of_book

API = """
```{offers} recbook.evaluation
:without: rereadable
```

```{offers} recbook.interactions
:without: IdIndex as_column as_data as_dataset as_frame as_ids as_text comparable frozen is_table plain
```

```{offers} recbook
:no-prose:
```

```{models}
```

```{formulas}
```
"""
PUBLIC = names.public_names(API)


def notebook(*cells: tuple[str, str]) -> dict:
    return {"cells": [{"cell_type": kind, "source": text.splitlines(keepends=True)} for kind, text in cells]}


def test_public_is_what_the_pages_of_the_package_describe() -> None:
    assert {"recbook.evaluation.evaluate", "recbook.interactions.Interactions", "recbook.load"} < set(PUBLIC)
    assert {"recbook.torch.UserKNN", "recbook.keras.UserKNN", "recbook.numpy.Popularity"} < set(PUBLIC)
    assert "recbook.formulas.ncf.gmf" in PUBLIC and "recbook.evaluation" not in PUBLIC
    assert "recbook.evaluation.rereadable" not in PUBLIC, "left out by name"
    assert not {"recbook.evaluate", "recbook.Interactions", "recbook.torch.load"} & set(PUBLIC)
    assert len(names.public_names()) > 300


def test_names_in_code_are_followed_through_imports() -> None:
    found = names.used_names(
        notebook(
            ("markdown", "(a)=\n# A"),
            (
                "code",
                "%time\nfrom recbook.evaluation import evaluate as judge\nimport recbook.torch as rt",
            ),
            ("markdown", "(a-one)=\n## One"),
            ("code", "judge(rt.UserKNN(k=4))\nevaluate = other.UserKNN"),
            (
                "code",
                "from recbook import interactions, keras\n\ninteractions.Interactions.from_frame(keras.SlopeOne)",
            ),
            ("code", "from recbook.baselines import Popularity\nfrom recbook import load\nload(Popularity)"),
            ("code", "no python at all"),
            ("markdown", "(a-two)=\n## Two"),
            ("code", "rt.UserKNN"),
        ),
        PUBLIC,
    )
    assert found == {
        "recbook.evaluation.evaluate": "a-one",
        "recbook.torch.UserKNN": "a-one",
        "recbook.interactions.Interactions": "a-one",
        "recbook.keras.SlopeOne": "a-one",
        "recbook.numpy.Popularity": "a-one",  # whatever module it is imported from
        "recbook.load": "a-one",
    }


def test_names_in_prose_are_known_by_their_last_part() -> None:
    found = names.named(
        notebook(("markdown", "(a)=\n# A\n\n`UserKNN` and {glue:text}`evaluate`, `ncf.gmf`, gmf; `nothing`")),
        PUBLIC,
    )
    assert found == {
        "recbook.torch.UserKNN": "a",
        "recbook.keras.UserKNN": "a",
        "recbook.formulas.ncf.gmf": "a",
    }


def test_twins_are_listed_as_one() -> None:
    assert names.listing(
        ["recbook.evaluation.evaluate", "recbook.keras.UserKNN", "recbook.torch.UserKNN"]
    ) == (
        "{py:obj}`evaluate <recbook.evaluation.evaluate>`, "
        "{py:obj}`UserKNN <recbook.torch.UserKNN>` ({py:obj}`Keras <recbook.keras.UserKNN>`)"
    )


def test_an_equation_leads_to_its_section_and_to_what_it_corrects() -> None:
    assert names.sections_of_equations()["nb-pearson"] == ("chapters/neighbors", "nb-similarity")
    assert names.equations("recbook.formulas.neighbors.pearson") == ["nb-pearson"]
    assert "F14" in names.corrections("recbook.formulas.neighbors.pearson")


def chapters_of(module: str) -> set[str]:
    """The chapters that teach a module: the one of its name, and those that say so. torch.neighbors, metrics, …"""
    pages = {page.rpartition("/")[2] for page in pages_of_book()}
    saying = {page for page, modules in names.TAUGHT.items() if module in modules}
    return pages & ({module.rpartition(".")[2]} | saying)


# What serves all chapters, and stands on a page of the package all the same.
OF_ALL_CHAPTERS = {
    *("recbook", "contract", "errors", "fields", "next_items", "recommender", "results", "tuning"),
    *("torch", "keras"),  # load
}


def test_every_public_module_has_a_chapter() -> None:
    # A wing's class is taught where it is written; all else where it is imported from.
    modules = {
        names.resolve(name).__module__
        if name.startswith((*names.WINGS, "recbook.numpy."))
        else name.rpartition(".")[0]
        for name in names.public_names()
    }
    modules = {module.removeprefix("recbook.") for module in modules}
    assert {module for module in modules if not chapters_of(module)} == OF_ALL_CHAPTERS
    assert chapters_of("metrics") == {"evaluation"} and chapters_of("torch.ncf") == {"ncf"}


@pytest.mark.parametrize(
    ("words", "role"),
    [
        ("SLIM (Resnick et al. 1994).", "SLIM (:cite:alp:`resnick1994grouplens`)."),
        (
            "Bergstra and Bengio 2012; Steck 2019",
            "Bergstra and Bengio 2012; :cite:alp:`steck2019embarrassingly`",
        ),
        ("equations (nb-cosine) and (nb-msd)", "equations :eq:`nb-cosine` and :eq:`nb-msd`"),
        ("a (made-up) word, Nobody et al. 1999", "a (made-up) word, Nobody et al. 1999"),
    ],
)
def test_papers_and_equations_of_a_docstring_become_links(words: str, role: str) -> None:
    assert docstrings.markup(words) == role

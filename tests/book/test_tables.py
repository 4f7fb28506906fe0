"""Columns of words begin at the left, and figures stand decimal under decimal."""

from __future__ import annotations

import re

from book.ext.recbook_sphinx import tables

FRAME = (
    '<table border="1" class="dataframe"><thead><tr><td></td><th>title</th><th>score</th></tr>'
    "</thead><tbody><tr><th>1</th><td>Fargo</td><td>0.48</td></tr><tr><th>2</th><td>300</td><td>0.481</td></tr>"
    "<tr><th>3</th><td>Contact</td><td>–</td></tr></tbody></table>"
)


def test_a_column_of_words_is_marked_and_one_of_figures_is_not() -> None:
    shown = tables.arranged(FRAME)
    assert re.findall(r'<t[hd] class="rb-words">([^<]+)', shown) == ["title", "Fargo", "300", "Contact"]


def test_figures_of_a_column_are_made_equally_long() -> None:
    shown = tables.arranged(FRAME)
    assert f"<td>0.48{tables.DIGIT}</td>" in shown and "<td>0.481</td>" in shown and "<td>–</td>" in shown
    assert tables.padding("7", 2) == tables.POINT + 2 * tables.DIGIT
    assert tables.padding("0.25", 2) == tables.padding("words", 2) == ""


def test_nothing_else_changes() -> None:
    shown = tables.arranged(FRAME)
    assert re.sub(r' class="rb-words"|[\u2007\u2008]', "", shown) == FRAME
    plain = "<table><tbody><tr><td><p>a</p></td><td><p>0.5</p></td></tr></tbody></table>"
    spanned = FRAME.replace("<td></td>", '<td colspan="2"></td>')
    assert tables.arranged(plain) == plain and tables.arranged(spanned) == spanned


def test_cells_of_paragraphs_are_filled_within() -> None:
    table = "<table>" + "".join(f"<tr><td><p>{x}</p></td></tr>" for x in ("0.3", "0.25")) + "</table>"
    assert f"<p>0.3{tables.DIGIT}</p>" in tables.arranged(table)

"""Tables as one reads them: a column of words begins at the left, and figures stand decimal under decimal (HTML only).

pandas writes every cell of a frame alike, and a column of .48 and .481 as it is printed. A column counts as words where
most of its cells that hold something are no numbers. Figures with fewer decimals than others of their column get
spaces as wide as what they lack; the text itself is left as it was computed.
"""

from __future__ import annotations

import html
import re

from sphinx.application import Sphinx

TABLE = re.compile(r"<table\b[^>]*>.*?</table>", re.S)
ROW = re.compile(r"<tr\b.*?</tr>", re.S)
CELL = re.compile(r"<(t[dh])\b([^>]*)>(.*?)</\1>", re.S)
NUMBER = re.compile(r"[-−+±≈~<]?\s*\d[\d,.\s]*(?:e[-−+]?\d+)?\s*%?")
DECIMAL = re.compile(r"[-−]?\d*\.(\d+)")
SPANNED = re.compile(r"\b(?:col|row)span=\"?(?!1\b)")
DIGIT, POINT = "\u2007", "\u2008"  # spaces as wide as a digit and as a full stop


def text_of(cell: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", cell)).strip()


def is_words(texts: list[str]) -> bool:
    told = [text for text in texts if text not in ("", "–", "NaN", "None")]
    return sum(not NUMBER.fullmatch(text) for text in told) * 2 > len(told)


def padding(text: str, most: int) -> str:
    """What a figure lacks of the decimals that its column has."""
    found = DECIMAL.fullmatch(text)
    if found:
        return DIGIT * (most - len(found[1]))
    return POINT + DIGIT * most if re.fullmatch(r"[-−]?\d+", text) and most else ""


def arranged(table: str) -> str:
    """A table with its columns of words marked, and its figures of one column made equally long."""
    rows = ROW.findall(table.partition("</thead>")[2] or table)
    if SPANNED.search(table) or not rows:
        return table
    frame = "dataframe" in table[:120]
    body = [[text_of(inner) for _, _, inner in CELL.findall(row)] for row in rows]
    width = max((len(row) for row in body), default=0)
    columns = [[row[i] for row in body if len(row) == width] for i in range(width)]
    words = [frame and is_words(column) for column in columns]
    most = [
        max((len(m[1]) for text in column if (m := DECIMAL.fullmatch(text))), default=0) for column in columns
    ]
    uneven = [
        n and len({len(padding(text, n)) for text in column if text}) > 1
        for column, n in zip(columns, most, strict=True)
    ]
    if not any(words) and not any(uneven):
        return table

    def cells(row: str) -> str:
        place = iter(range(width + 1))

        def cell(found: re.Match) -> str:
            i = next(place, width)
            name, given, inner = found.groups()
            if i < width and words[i]:
                given += ' class="rb-words"'
            elif i < width and uneven[i] and name == "td" and (more := padding(text_of(inner), most[i])):
                inner = inner[: -len("</p>")] + more + "</p>" if inner.endswith("</p>") else inner + more
            return f"<{name}{given}>{inner}</{name}>"

        return CELL.sub(cell, row) if len(CELL.findall(row)) == width else row

    return ROW.sub(lambda found: cells(found[0]), table)


def arrange(app: Sphinx, page: str, template: str, context: dict, doctree) -> None:
    if "body" in context:
        context["body"] = TABLE.sub(lambda found: arranged(found[0]), context["body"])


def setup(app: Sphinx) -> None:
    app.connect("html-page-context", arrange)

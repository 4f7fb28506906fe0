"""Search that finds Chinese: by any two signs that stand together, and a glossary's entry by its Chinese name.

Sphinx' English index takes a run of Chinese for one word, so 相似 would not find 余弦相似度. Here a run is indexed,
and asked for, as its pairs of neighbouring signs: 余弦 弦相 相似 似度. English is treated as before.
"""

from __future__ import annotations

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish
from sphinx.transforms import SphinxTransform

HAN = r"\u3400-\u4dbf\u4e00-\u9fff"  # CJK ideographs and their extension A
RUNS = re.compile(rf"[{HAN}]+|[^\W{HAN}]+")
HEADING = "中文"  # of the Chinese names in the general index


def pairs(run: str) -> list[str]:
    """Return the pairs of neighbouring signs of a run; a single sign stays."""
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def split(text: str) -> list[str]:
    """Split a text into words; Chinese into pairs of signs."""
    words = []
    for run in RUNS.findall(text):
        words += pairs(run) if re.match(f"[{HAN}]", run) else [run]
    return words


class EnglishAndChinese(SearchEnglish):
    # The same as `split`, for what the reader types.
    js_splitter_code = rf"""
var splitQuery = (query) => {{
  const runs = /[{HAN}]+|(?:(?![{HAN}])[\p{{Letter}}\p{{Number}}_\p{{Emoji_Presentation}}])+/gu;
  const pairs = (run) => [...run].slice(1).map((sign, i) => run[i] + sign);
  return (query.match(runs) || []).flatMap((run) => /^[{HAN}]{{2}}/.test(run) ? pairs(run) : [run]);
}}
"""

    def split(self, input: str) -> list[str]:
        return split(input)


class ChineseNames(SphinxTransform):
    """Each term of a glossary is entered in the index by its Chinese name too: the search then links the entry."""

    default_priority = 500

    def apply(self, **kwargs) -> None:
        for glossary in self.document.findall(addnodes.glossary):
            for item in glossary.findall(nodes.definition_list_item):
                term = next(item.findall(nodes.term))
                entries = next(term.findall(addnodes.index))["entries"]
                for name in item.findall(
                    lambda node: isinstance(node, nodes.inline) and "zh" in node["classes"]
                ):
                    entries.append(("single", name.astext(), term["ids"][0], "main", HEADING))


def setup(app: Sphinx) -> None:
    app.add_search_language(EnglishAndChinese)
    app.add_transform(ChineseNames)

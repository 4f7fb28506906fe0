"""How good is a model on data it has not seen? `evaluate` measures it, and says under which protocol."""

from recbook.evaluation._evaluate import Report, evaluate
from recbook.evaluation._many import cross_validate
from recbook.evaluation._names import CATALOGUE, LISTS, LOWER_IS_BETTER, PAIRS, parse_metric, rereadable

__all__ = [
    "CATALOGUE",
    "LISTS",
    "LOWER_IS_BETTER",
    "PAIRS",
    "Report",
    "cross_validate",
    "evaluate",
    "parse_metric",
    "rereadable",
]

"""How large a model is: how many numbers it has learnt, beside published sizes (recbook.tools.sizes)."""

from recbook.tools.sizes import LARGE, PUBLISHED, Published, count_parameters, expected_parameters

__all__ = ["LARGE", "PUBLISHED", "Published", "count_parameters", "expected_parameters"]

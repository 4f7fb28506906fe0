"""The bar that is shown where something takes more than a second."""

from __future__ import annotations

import os
from collections.abc import Sequence

from tqdm.auto import tqdm


def bar(steps: Sequence, name: str, progress: bool) -> tqdm:
    """`steps`, with a bar beside them once a second has passed; nothing stays on the screen.

    progress : False shows none; neither does the environment variable TQDM_DISABLE, which notebooks that are
        run to be compared are given: a bar there would depend on how fast the machine is
    """
    hidden = not progress or bool(os.environ.get("TQDM_DISABLE"))
    return tqdm(steps, desc=name, disable=hidden, delay=1.0, leave=False)

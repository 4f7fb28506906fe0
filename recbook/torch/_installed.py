"""Says what to do where PyTorch is absent, before anything of this wing asks for it."""

from __future__ import annotations

import importlib.util

if importlib.util.find_spec("torch") is None:
    raise ImportError(
        "recbook.torch needs PyTorch, which is not installed: pip install recbook[torch]; the same models are in "
        "recbook.keras, and those that need no framework in recbook.numpy"
    )

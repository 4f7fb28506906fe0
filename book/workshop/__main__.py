from __future__ import annotations

import sys

from .kit import main

sys.exit(main())

"""How many threads the libraries have, and how a thread waits that has nothing to do.

PyTorch shares out every small sum among the cores with OpenMP, and waits for the last thread. On Linux that is GNU's
library, libgomp, whose threads spin while they wait: each keeps its core, in order to answer at once. Beside a process
that keeps the cores busy, spinning threads take the core from the very thread that they wait for, and a chapter takes
many times as long. So the book lets a thread spin for a moment, and then sleep.

A library reads its variables when it is loaded, so that `let_sleep()` comes before the first framework. `import recbook`
does not call it, because a program of one's own decides for itself; the lab, the tests and the command line do. What a
variable is set to already stays. Standard library only, because tasks.py uses it before anything is installed.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, MutableMapping

from recbook.core.instruction_set import with_xla_flag

COUNTS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
SPINS = "GOMP_SPINCOUNT"
TURNS = "1000"
INSTEAD = ("OMP_WAIT_POLICY",)  # who has set it has decided
NAMES = (*COUNTS, SPINS, *INSTEAD)


def counts(count: int, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that give each library `count` threads; none that `environ` has already.

    XLA knows only one thread or as many as there are cores.
    """
    added = {name: str(count) for name in COUNTS if name not in environ}
    return added | (with_xla_flag(environ, "--xla_cpu_multi_thread_eigen=false") if count == 1 else {})


def waits(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that let waiting threads sleep; none where `environ` says already how they wait."""
    return {} if any(name in environ for name in (SPINS, *INSTEAD)) else {SPINS: TURNS}


def let_sleep(environ: MutableMapping[str, str] | None = None) -> None:
    """Set the variables in `environ` (default: this process's own environment, before PyTorch is imported).

    Where this process has PyTorch already, they come too late, and a UserWarning says so.
    """
    mine = environ is None or environ is os.environ
    environ = os.environ if environ is None else environ
    added = waits(environ)
    environ.update(added)
    if added and mine and spins():
        warnings.warn(
            f"PyTorch was imported before recbook could set {SPINS}: its threads will spin while they wait. Where other "
            f"processes keep this machine busy, set {SPINS}={TURNS} before Python starts or import it later.",
            stacklevel=3,
        )


def spins() -> bool:
    """Whether this process has PyTorch already, with libgomp and threads that wait for each other."""
    torch = sys.modules.get("torch")
    return torch is not None and sys.platform == "linux" and torch.get_num_threads() > 1

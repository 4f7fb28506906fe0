"""How many threads the libraries have, and how a thread waits that has nothing to do.

PyTorch and NumPy share out small sums among the cores, and wait for the last thread. By default a waiting thread
spins: it keeps its core, in order to answer at once. Beside a process that keeps the cores busy, spinning threads take
the core from the very thread that they wait for, and a chapter takes many times as long. So the book lets a thread spin
for some microseconds, and then sleep. TensorFlow has threads of its own, which these variables do not concern.

A library reads its variables when it is loaded, so that `let_sleep()` comes before NumPy. `import recbook` does not
call it, because a program of one's own decides for itself; the lab, the tests and the command line do. What a variable
is set to already stays. Standard library only, because tasks.py uses it before anything is installed.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, MutableMapping

from recbook.core.instruction_set import with_xla_flag

COUNTS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
# Chosen with benchmarks/_waiting.py on 2 cores (AMD EPYC), seconds on an idle machine and beside two endless loops:
#
#                                   many small sums      ImplicitALS, 3 epochs
#                                    idle     busy         idle     busy
#   libgomp, default                  .07      .35          .7       14
#   OMP_WAIT_POLICY=PASSIVE           .23      .36          .6       .9
#   GOMP_SPINCOUNT=100                .21      .44          .7       1.0
#   GOMP_SPINCOUNT=1000               .07      .36          .6       1.0
#   GOMP_SPINCOUNT=10000              .06      3.0          .7       2.5
#   Intel's OpenMP, default           .06      .31          .7       12.6
#   KMP_BLOCKTIME=1                   .08      .58          .7       3.5
#   KMP_BLOCKTIME=0                   .23      .42          .6       .8
#
#                                   NumPy's inverses and products, 300 by 300
#   OpenBLAS, default                 .25      7.9
#   OPENBLAS_THREAD_TIMEOUT=20        .37      1.9
#   OPENBLAS_THREAD_TIMEOUT=16        .32      .9
#   OPENBLAS_THREAD_TIMEOUT=4         .27      .9
WAITS = {
    "GOMP_SPINCOUNT": "1000",  # turns; of libgomp, PyTorch's library on Linux
    "KMP_BLOCKTIME": "1",  # milliseconds; of LLVM's and Intel's OpenMP, PyTorch's library on macOS and Windows
    "OPENBLAS_THREAD_TIMEOUT": "16",  # as a power of two, in cycles of the processor; of NumPy's OpenBLAS
}
INSTEAD = {  # who has set one of these has decided
    "GOMP_SPINCOUNT": ("OMP_WAIT_POLICY",),
    "KMP_BLOCKTIME": ("OMP_WAIT_POLICY",),
}
READERS = {"GOMP_SPINCOUNT": "torch", "OPENBLAS_THREAD_TIMEOUT": "numpy"}  # on Linux: what loads the library
NAMES = (*COUNTS, *WAITS, "OMP_WAIT_POLICY")


def counts(count: int, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that give each library `count` threads; none that `environ` has already.

    XLA knows only one thread or as many as there are cores.
    """
    added = {name: str(count) for name in COUNTS if name not in environ}
    return added | (with_xla_flag(environ, "--xla_cpu_multi_thread_eigen=false") if count == 1 else {})


def waits(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that let waiting threads sleep; none of a library that `environ` tells already how to wait."""
    return {
        name: value
        for name, value in WAITS.items()
        if not any(other in environ for other in (name, *INSTEAD.get(name, ())))
    }


def let_sleep(environ: MutableMapping[str, str] | None = None) -> None:
    """Set the variables in `environ` (default: this process's own environment, before NumPy is imported).

    Where this process has a library already that reads one of them, it comes too late, and a UserWarning says so.
    """
    mine = environ is None
    environ = os.environ if mine else environ
    added = waits(environ)
    environ.update(added)
    if mine and (late := too_late(added)):
        wanted = " ".join(f"{name}={value}" for name, value in late.items())
        warnings.warn(
            f"{' and '.join(READERS[name] for name in late)} came before recbook could say how threads wait, so that "
            f"they spin. Where other processes keep this machine busy, set {wanted} before Python starts, or begin "
            "with `from recbook import notebook`.",
            stacklevel=3,
        )


def too_late(added: Mapping[str, str]) -> dict[str, str]:
    """Those of the variables whose readers are there already and have threads that wait for each other."""
    if sys.platform != "linux" or os.cpu_count() == 1 or os.environ.get("OMP_NUM_THREADS") == "1":
        return {}
    return {name: value for name, value in added.items() if READERS.get(name) in sys.modules}

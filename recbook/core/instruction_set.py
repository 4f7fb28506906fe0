"""One instruction set for all libraries, so that a number depends less on the processor that computes it.

Each library looks at the processor and takes the widest vectors that it finds. Wider vectors add in another order, and
a network trained at a high rate magnifies the last bit. The book, its tests and its experiments therefore compute with
AVX2, which every x86-64 processor has had for about ten years. RECBOOK_INSTRUCTION_SET says otherwise:

    avx2     the default, where the processor has AVX2
    native   whatever each library finds; faster on some machines
    lowest   the least that each library can do; for comparisons

Each library reads its variable when it is imported, so that `narrow()` comes before NumPy. `import recbook` does not
call it: a program of one's own keeps all that its processor has. What a variable is set to already stays. Standard
library only, because tasks.py uses it before anything is installed.

These switches narrow, they do not make two machines alike: the sizes of caches and the number of threads still cut
sums differently. TensorFlow's own kernels are compiled for AVX; its matrix products go through oneDNN and follow
ONEDNN_MAX_CPU_ISA, what it compiles follows XLA_FLAGS, and the rest of it has no switch. MKL heeds MKL_CBWR=AVX2 on
Intel's processors and chooses for itself on others.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping, MutableMapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CHOICE = "RECBOOK_INSTRUCTION_SET"
LEVELS = ("avx2", "native", "lowest")

SWITCHES = {  # variable: its value for each level that narrows
    "ATEN_CPU_CAPABILITY": {"avx2": "avx2", "lowest": "default"},  # PyTorch's own kernels
    "ONEDNN_MAX_CPU_ISA": {"avx2": "AVX2", "lowest": "SSE41"},  # oneDNN, in PyTorch and in TensorFlow
    "MKL_CBWR": {"avx2": "AVX2", "lowest": "COMPATIBLE"},  # MKL, PyTorch's matrix products
    # The copies in the wheels of NumPy and SciPy have no kernels for Zen but Haswell's.
    "OPENBLAS_CORETYPE": {"avx2": "Haswell", "lowest": "Prescott"},
    "NPY_ENABLE_CPU_FEATURES": {"avx2": "X86_V3", "lowest": "X86_V2"},
}
# NumPy before 2.4 names its features one by one.
OLDER_NUMPY = {"avx2": "SSSE3 SSE41 POPCNT SSE42 AVX F16C FMA3 AVX2", "lowest": "SSE3"}
XLA = {"avx2": "AVX2", "lowest": "SSE4_2"}  # jax, and TensorFlow where it compiles
# Who has set one of these has decided; NumPy refuses to start with both of its own.
INSTEAD = {
    "ONEDNN_MAX_CPU_ISA": ("DNNL_MAX_CPU_ISA",),
    "MKL_CBWR": ("MKL_ENABLE_INSTRUCTIONS",),
    "NPY_ENABLE_CPU_FEATURES": ("NPY_DISABLE_CPU_FEATURES",),
}
NAMES = (*SWITCHES, *(name for names in INSTEAD.values() for name in names), "XLA_FLAGS", CHOICE)


def has_avx2() -> bool:
    """Whether this is an x86-64 processor with AVX2 and fused multiplication and addition."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    if platform.system() == "Windows":
        import ctypes

        return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(40))  # PF_AVX2_INSTRUCTIONS_AVAILABLE
    try:
        if platform.system() == "Darwin":
            command = ["sysctl", "-n", "hw.optional.avx2_0"]
            return subprocess.run(command, capture_output=True, text=True).stdout.strip() == "1"
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return {"avx2", "fma"} <= set(flags.partition("\nflags")[2].partition("\n")[0].split())


def level(environ: Mapping[str, str]) -> str:
    """What RECBOOK_INSTRUCTION_SET asks for; "native" where the processor has no AVX2.

    Raises ValueError for another word than "avx2", "native" and "lowest".
    """
    asked = environ.get(CHOICE) or "avx2"
    if asked not in LEVELS:
        raise ValueError(f"{CHOICE}={asked!r} is none of {', '.join(LEVELS)}; set one of them, or unset it.")
    return asked if has_avx2() else "native"


def numpy_version() -> str | None:
    try:
        return version("numpy")
    except PackageNotFoundError:
        return None


def switches(environ: Mapping[str, str], numpy: str | None = None) -> dict[str, str]:
    """The variables to add to `environ`; none that it has already, but for XLA_FLAGS, which grows by a flag.

    numpy : the version of the NumPy that will read them (default: the installed one, or else the newest).
    """
    chosen = level(environ)
    if chosen == "native":
        return {}
    values = {name: by_level[chosen] for name, by_level in SWITCHES.items()}
    release = tuple(map(int, re.findall(r"\d+", numpy or numpy_version() or "9.9")[:2]))
    if release < (2, 4):
        values["NPY_ENABLE_CPU_FEATURES"] = OLDER_NUMPY[chosen]
    added = {
        name: value
        for name, value in values.items()
        if not any(other in environ for other in (name, *INSTEAD.get(name, ())))
    }
    return added | with_xla_flag(environ, f"--xla_cpu_max_isa={XLA[chosen]}")


def with_xla_flag(environ: Mapping[str, str], flag: str) -> dict[str, str]:
    """XLA_FLAGS with the flag at its end; nothing where that flag is set already."""
    flags = environ.get("XLA_FLAGS", "").split()
    if any(given.partition("=")[0] == flag.partition("=")[0] for given in flags):
        return {}
    return {"XLA_FLAGS": " ".join([*flags, flag])}


def narrow(environ: MutableMapping[str, str] | None = None, numpy: str | None = None) -> None:
    """Set the switches in `environ` (default: this process's own environment, before NumPy is imported)."""
    environ = os.environ if environ is None else environ
    environ.update(switches(environ, numpy))

"""Looks at a reader's machine and says what is there, what is not, and what to do about it.

    python -m recbook.doctor      # exit status 1 where something must be mended

Nothing is fetched, written or changed.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recbook.core import thread_pools

SUPPORTED = ((3, 11), (3, 12), (3, 13))
CHECKOUT = Path(__file__).resolve().parent.parent
NEEDED = ("numpy", "pandas", "scipy", "narwhals", "nanoarrow", "pooch", "requests", "tqdm")
CHAPTERS = ("matplotlib", "jupyterlab")
BACKENDS = ("tensorflow", "jax", "torch")
QUOTAS = ("cpu.max", "cpu.cfs_quota_us", "cpu.cfs_period_us")  # of both versions of Linux' control groups
LEAST_MEMORY = 4 * 2**30  # what a chapter takes with both frameworks, and the rest of the desktop beside it
# Times as long with all threads as with one; on an idle machine with two cores it is about twice.
TOO_SLOW = 10
PATIENCE = 300  # seconds for one framework to start: the first import after an installation is slow
MARKS = {"ok": "ok   ", "note": "note ", "fault": "FAULT"}

# One model is trained in a process of its own, so that a framework that crashes is a line of the report.
TRY = """
import os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
from recbook import datasets
import recbook.{wing} as wing
world = datasets.make_checkerboard()
first = wing.EASE(reg=1.0).fit(world.data, progress=False).recommend(world.user_ids, k=1)
assert first.item.tolist() == world.hidden.tolist(), "EASE found other items than it should"
print("RECBOOK", {facts})
"""
FACTS = {
    "torch": "__import__('torch').__version__, wing.EASE().device_.type, __import__('torch').get_num_threads(), "
    "__import__('recbook.doctor').doctor.slowdown()",
    "keras": "__import__('keras').__version__, wing.EASE().device_.split(':')[0], wing._backend.name()",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report. state : "ok", "note" (works, but one should know) or "fault"."""

    topic: str
    state: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        line = f"{MARKS[self.state]} {self.topic:<9} {self.text}"
        return f"{line}\n{'':16}{self.remedy}" if self.remedy else line


# ---------------------------------------------------------------- Python and packages


def check_python(version: tuple[int, int] = sys.version_info[:2]) -> Iterator[Finding]:
    """Whether this Python is one that the pinned packages exist for."""
    text = f"{version[0]}.{version[1]} on {platform.system()} {platform.machine()}"
    if version in SUPPORTED:
        yield Finding("Python", "ok", text)
    else:
        remedy = "Install Python 3.11, 3.12 or 3.13, then: python3.12 tasks.py setup"
        yield Finding("Python", "fault", f"{text} is not supported", remedy)


def installed(package: str) -> str | None:
    """The version of an installed package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def pins(path: Path) -> dict[str, str]:
    """The versions that a file of requirements pins, by package."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    found = (re.match(r"([\w.-]+)==([\w.]+)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def check_packages(path: Path = CHECKOUT / "requirements.txt") -> Iterator[Finding]:
    """Whether what recbook needs is installed and, in a checkout, in the versions that the book was run with."""
    for packages, what, state in ((NEEDED, "recbook", "fault"), (CHAPTERS, "the chapters", "note")):
        if missing := [package for package in packages if installed(package) is None]:
            text = f"{', '.join(missing)} not installed; needed by {what}"
            yield Finding("packages", state, text, f"pip install {' '.join(missing)}")
    wanted = pins(path)
    other = [
        f"{package} {found} (pinned: {version})"
        for package, version in wanted.items()
        if (found := installed(package)) is not None and found.split("+")[0] != version
    ]
    if other:
        remedy = "Results may differ in the last digits. To get the pinned ones: python tasks.py setup"
        yield Finding("packages", "note", ", ".join(other), remedy)
    elif wanted:
        there = sum(installed(package) is not None for package in wanted)
        yield Finding("packages", "ok", f"{there} of {len(wanted)} pinned packages, each in its version")


# ---------------------------------------------------------------- frameworks and devices


def try_wing(wing: str) -> subprocess.CompletedProcess:
    """Trains one small model in "torch" or "keras", in a process of its own."""
    command = [sys.executable, "-c", TRY.format(wing=wing, facts=FACTS[wing])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=PATIENCE, check=False)


def check_torch() -> Iterator[Finding]:
    """Whether the PyTorch wing computes, where, and with how many threads."""
    if installed("torch") is None:
        remedy = "Its cells are passed over. To have them: pip install torch"
        yield Finding("PyTorch", "note", "not installed", remedy)
        return
    yield from report_of("torch", "PyTorch", "{0} computes on {1}, {2} threads")


def slowdown() -> float:
    """How many times as long a fit of many small sums takes PyTorch with all its threads as with one."""
    import time

    import numpy as np
    import torch

    from recbook.interactions import Interactions
    from recbook.torch import ImplicitALS

    users, items = np.unique(np.random.default_rng(0).integers(0, [[900], [1600]], (2, 60_000)), axis=1)
    x = Interactions(users=users, items=items)

    def seconds(threads: int) -> float:
        torch.set_num_threads(threads)
        started = time.perf_counter()
        ImplicitALS(epochs=1, device="cpu").fit(x, progress=False)
        return time.perf_counter() - started

    threads = torch.get_num_threads()
    with_one = min(seconds(1), seconds(1))  # the first prepares
    with_all = seconds(threads)
    return round(with_all / with_one, 1)


def check_waiting(times: float) -> Iterator[Finding]:
    """Whether PyTorch's threads hinder each other, as they do when they spin on a machine that others keep busy.

    times : what `slowdown` measured
    """
    if times <= TOO_SLOW:
        return
    text = f"a fit takes PyTorch {times:g} times as long with all its threads as with one"
    if missing := thread_pools.waits(os.environ):
        how = " ".join(f"{name}={value}" for name, value in missing.items())
        remedy = f"Its threads spin while they wait. `make lab` lets them sleep; elsewhere set before Python: {how}"
    else:
        remedy = "The machine is busy. Give PyTorch one thread: OMP_NUM_THREADS=1 make lab"
    yield Finding("waiting", "note", text, remedy)


def check_keras() -> Iterator[Finding]:
    """Whether the Keras wing computes, on which backend, and where."""
    if installed("keras") is None or not any(map(installed, BACKENDS)):
        remedy = "Its cells are passed over. To have them: pip install keras tensorflow"
        yield Finding("Keras", "note", "not installed, or without a backend", remedy)
        return
    yield from report_of("keras", "Keras", "{0} computes on {1}, backend {2}")


def report_of(wing: str, topic: str, words: str) -> Iterator[Finding]:
    again = "Install it anew (pip install --force-reinstall), or look at the README's platforms."
    try:
        done = try_wing(wing)
    except subprocess.TimeoutExpired:
        yield Finding(topic, "fault", f"did not answer within {PATIENCE} s", again)
        return
    lines = [line for line in done.stdout.splitlines() if line.startswith("RECBOOK ")]
    if done.returncode or not lines:
        said = (done.stderr.strip().splitlines() or ["nothing was printed"])[-1]
        yield Finding(topic, "fault", f"status {done.returncode}: {said}", again)
        return
    facts = lines[-1].split()[1:]
    yield Finding(topic, "ok", words.format(*facts))
    if wing == "torch":
        yield from check_waiting(float(facts[3]))
    if facts[1] == "cpu" and has_nvidia_driver():
        text = f"there is an NVIDIA driver, and {topic} does not see its GPU"
        yield Finding("GPU", "note", text, "Install a build with CUDA; the CPU serves every chapter.")


def has_nvidia_driver() -> bool:
    return Path("/proc/driver/nvidia/version").is_file()


# ---------------------------------------------------------------- machine and data


def total_memory() -> int | None:
    """Bytes of the machine's memory, or None where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def visible_cores() -> int:
    """How many cores this process sees, and gives a thread each; fewer than the machine has under taskset."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def granted_cores() -> float:
    """How many cores this process may use: fewer than it sees where a container has been given a quota."""
    return min([visible_cores(), *quotas()])


def quotas(
    groups: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")
) -> Iterator[float]:
    """The cores that each control group grants in which this process is, on Linux; none where there is no limit."""
    for line in groups.read_text().splitlines() if groups.is_file() else ():
        _, names, path = line.split(":", 2)
        if names and "cpu" not in names.split(","):
            continue
        root = mounted / "cpu" if names else mounted
        home = root / path.strip("/")  # within a container it may be the root itself, whatever its path says
        for folder in [home, *(above for above in home.parents if above.is_relative_to(root))]:
            quota = [word for name in QUOTAS for word in words(folder / name)]
            if len(quota) == 2 and quota[0] not in ("max", "-1"):
                yield int(quota[0]) / int(quota[1])


def words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def check_machine() -> Iterator[Finding]:
    """Processors, threads and memory."""
    cores, granted = os.cpu_count() or 1, granted_cores()
    asked = os.environ.get("OMP_NUM_THREADS")
    few = max(1, int(granted))
    text = f"{cores} processors" + (
        f", {granted:g} of them granted to this process" if granted < cores else ""
    )
    text += f", OMP_NUM_THREADS={asked}" if asked else ""
    threads = int(asked) if asked and asked.isdigit() else visible_cores()
    if threads > granted:
        remedy = f"More threads than processors are slow. Set it before Python starts: OMP_NUM_THREADS={few} make lab"
        yield Finding("threads", "note", text, remedy)
    else:
        yield Finding("threads", "ok", text)
    memory = total_memory()
    if memory is not None:
        text = f"{memory / 2**30:.1f} GiB"
        if memory < LEAST_MEMORY:
            yield Finding("memory", "note", text, "Run one notebook at a time, and close others.")
        else:
            yield Finding("memory", "ok", text)


def check_load() -> Iterator[Finding]:
    """Whether other processes compute on this machine; said by systems that count, which Windows does not."""
    if not hasattr(os, "getloadavg"):
        return
    cores, load = os.cpu_count() or 1, os.getloadavg()[0]
    text = f"in the last minute {load:.1f} processes wanted one of {cores} processors"
    if load > cores / 2:
        remedy = "A chapter takes up to three times as long. Close what else computes, or wait for its end."
        yield Finding("load", "note", text, remedy)
    else:
        yield Finding("load", "ok", text)


def check_data(name: str = "100k") -> Iterator[Finding]:
    """Whether MovieLens is there and is what was published. Nothing is fetched."""
    from recbook.datasets import _files, _movielens  # here, as it needs packages that may be missing
    from recbook.errors import DataError

    spec = _movielens.spec_of(name)
    fetch = f"python -m recbook.datasets {spec.name}"
    try:
        if path := _files.find(spec):
            yield Finding("data", "ok", f"{spec.name} in {path}, every hash as published")
            return
    except DataError as error:
        yield Finding("data", "fault", str(error), f"Then: {fetch}")
        return
    yield Finding(
        "data", "note", f"{spec.name} is not here yet", f"It is fetched when needed, or now: {fetch}"
    )


def examine() -> Iterator[Finding]:
    """All findings, one after the other, as they are made; without its packages nothing of recbook can be tried."""
    yield from check_python()
    yield from check_packages()
    if all(map(installed, NEEDED)):
        for check in (check_load, check_torch, check_keras, check_machine, check_data):
            yield from check()


def main() -> int:
    """Prints the report; returns the exit status."""
    faults = frameworks = 0
    for finding in examine():
        print(finding, flush=True)
        faults += finding.state == "fault"
        frameworks += finding.topic in ("PyTorch", "Keras") and finding.state == "ok"
    if not frameworks:
        print("Neither PyTorch nor Keras computes here: the formulas can be read and run, the models cannot.")
    print(f"{faults} to mend." if faults or not frameworks else "Ready: make lab, or python tasks.py lab")
    return int(bool(faults) or not frameworks)


if __name__ == "__main__":
    sys.exit(main())

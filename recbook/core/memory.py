"""How much memory there is, and an error that says so before hours are spent on what cannot fit."""

from __future__ import annotations

import os
import re
from pathlib import Path

GIB = 2**30
ROOT = Path("/")  # where Linux shows what it knows; tests show something else


def available() -> int | None:
    """Bytes that this process can still take, or None where the system does not tell.

    On Linux the least of what the machine has left, what the control group (a container's limit) leaves, and
    what the limit on the address space (`ulimit -v`) leaves. Elsewhere half of the machine's memory: a guess,
    for other programs have their share.
    """
    found = [left for left in (_of_machine(), *_of_group(), _of_address_space()) if left is not None]
    return max(min(found), 0) if found else _guess()


def require(needed: int, what: str, remedy: str) -> None:
    """Raises MemoryError where `needed` bytes are more than there are.

    what : what is kept, for the message: "the similarities of 40,000 users";  remedy : what else to do
    """
    there = available()
    if there is not None and needed > there:
        raise MemoryError(
            f"{what} take {needed / GIB:.1f} GiB while they are computed, and {there / GIB:.1f} GiB are there; "
            f"{remedy}"
        )


def _read(path: str) -> str:
    try:
        return (ROOT / path).read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else None


def _of_machine() -> int | None:
    kib = _number(r"^MemAvailable:\s+(\d+) kB", _read("proc/meminfo"))
    return None if kib is None else 1024 * kib


def _of_group() -> list[int]:
    """What each control group above this process leaves; caches of files give way, so they count as free."""
    left = []
    for controllers, path in re.findall(
        r"^\d+:([^:\n]*):(/[^\n]*)$", _read("proc/self/cgroup"), re.MULTILINE
    ):
        if controllers == "":
            top, names, cache = "sys/fs/cgroup", ("memory.max", "memory.current"), "inactive_file"
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
            top, cache = "sys/fs/cgroup/memory", "total_inactive_file"
        else:
            continue
        # A container may see its own group as the top, whatever path the file names: look at every level.
        steps = path.strip("/").split("/")
        for depth in range(len(steps) + 1):
            folder = "/".join([top, *steps[:depth]])
            limit, used = (_number(r"^(\d+)$", _read(f"{folder}/{name}")) for name in names)
            if limit is not None and used is not None:
                kept = _number(rf"^{cache} (\d+)", _read(f"{folder}/memory.stat")) or 0
                left.append(limit - max(used - kept, 0))
    return left


def _of_address_space() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    kib = _number(r"^VmSize:\s+(\d+) kB", _read("proc/self/status"))
    return None if limit == resource.RLIM_INFINITY or kib is None else limit - 1024 * kib


def _guess() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):  # Windows, or a name that the system lacks
        return None

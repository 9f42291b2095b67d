"""How much memory is free, asked before it is taken: on a shared machine the system ends processes that find out too late."""

import contextlib
from pathlib import Path

import psutil

from yoto_core.errors import MachineError
from yoto_core.words import size_text

CGROUPS = Path("/sys/fs/cgroup")
# The limit of a container and what it uses, in version 2 and version 1 of Linux's control groups.
LIMITS = (("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"))


def free_memory() -> int:
    """Bytes that this process may still take: what the system calls available, or what its container leaves it."""
    free = psutil.virtual_memory().available
    for limit, used in LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no such group, or “max”: no limit
            held = int((CGROUPS / used).read_text(encoding="ascii"))
            free = min(free, int((CGROUPS / limit).read_text(encoding="ascii")) - held)
    return max(0, free)


def reckon(needed: float, thing: str) -> None:
    """Refuse what would need more bytes than are free (MachineError)."""
    free = free_memory()
    if needed > free:
        raise MachineError(
            f"{thing} needs about {size_text(needed)} of memory; {size_text(free)} are free.",
            hint="Close other programs, use fewer cells or genes, or a larger machine.",
        )

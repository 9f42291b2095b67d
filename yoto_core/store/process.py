"""Is the process that works on a run still there, and if not, why?

A process is known by the machine's boot and its start in clock ticks since then, so that neither a jump of the clock nor
a later process with the same id can be mistaken for anything else.
"""

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path

import psutil

BOOT = Path("/proc/sys/kernel/random/boot_id")
COUNTERS = Path("/proc/vmstat")


@dataclass(frozen=True)
class Ending:
    """Why a process is gone, in one sentence, and what to do next."""

    reason: str
    hint: str


def identity(pid: int) -> str | None:
    """What tells this process from every other one, or None where there is none."""
    try:
        with contextlib.suppress(OSError):  # of Linux; elsewhere the time of its start must do
            # The name in brackets may hold anything; the 20th word after it is the start in ticks since the boot.
            ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            return f"{_boot()} {ticks[19]}"
        return f"{psutil.Process(pid).create_time():.0f}"
    except psutil.NoSuchProcess:
        return None


def alive(pid: int | None, identity_then: str | None, started: float | None) -> bool:
    """Whether the process is still there; `started` serves runs that recorded no identity."""
    if pid is None:
        return False
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return False
        if identity_then is not None:
            return identity(pid) == identity_then
        return started is None or abs(psutil.Process(pid).create_time() - started) < 1.0
    except psutil.NoSuchProcess:
        return False


def memory_kills() -> int | None:
    """How many processes this system has ended for want of memory since its start, where it counts them."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = COUNTERS.read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("oom_kill ")).split()[1])
    return None


def why_gone(identity_then: str | None, kills_then: int | None, exit_code: int | None) -> Ending:
    """The most likely reason, from what was noted at the start and, where known, how the process ended."""
    kills = memory_kills()
    if identity_then and _boot() and not identity_then.startswith(_boot()):
        return Ending("The machine was restarted.", "Resume the run.")
    if kills_then is not None and kills is not None and kills > kills_then and exit_code in (None, -signal.SIGKILL):
        return Ending(
            "The machine ran out of memory and the system ended it.",
            "Close other programs or use fewer cells or genes, then resume it.",
        )
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name if -exit_code in set(signal.Signals) else "unknown"
        return Ending(f"It was killed from outside (signal {-exit_code}, {name}).", "Resume the run.")
    if exit_code:
        return Ending(f"It ended with code {exit_code}.", "The log says why; run it again.")
    return Ending("It was killed or the machine went down.", "Resume the run.")


def _boot() -> str:
    try:
        return BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""

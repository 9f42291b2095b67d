"""Where files are kept, and files that are either whole or not there."""

import csv
import errno
import fcntl
import json
import math
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from yoto_core.errors import ConfigError, HeldError, PlaceError, RunError, limit_of, out_of_memory
from yoto_core.limits import shared

PROJECT = Path(__file__).resolve().parents[1]
PART = re.compile(r"\..*\.([0-9]+)\.part", re.DOTALL)
LOCK_WITHIN, LOCK_LOOK = 5.0, 0.01  # seconds in which a lock is to be had, and between two tries
ASSETS = PROJECT / "assets"  # demo data, gene sets, icon
LARGEST_TEXT = 64 << 20  # bytes of a JSON or CSV file that is read
LARGEST_WEIGHTS = 1 << 29  # bytes of a model's weights: the largest that settings allow take half of it
MOST_VALUES = 4_000_000  # of one JSON file: what a parser makes of them takes many times the bytes
_SEPARATORS = (b",", b"[", b"{")
_STRICT = os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC  # no link is followed, and no pipe waited for


def home() -> Path:
    """`$YOTO_HOME`, or `.yoto` in the user's home folder."""
    return Path(os.environ.get("YOTO_HOME") or Path.home() / ".yoto").absolute()


def write_whole(path: Path, write: Callable[[Path], None], *, lasting: bool = True) -> None:
    """Let `write` fill a file under a temporary name, then put it in place: readers see the old file or the new one.

    Any number of threads and processes may write the same file: each has a name of its own, and the last one stays.
    `lasting` waits until the disk has it, so that power may fail afterwards; not for what is soon written again.

    Raises:
        RunError: The disk is full, or the place cannot be written to.
    """
    part = part_of(path)
    with saving():
        try:
            write(part)
            if lasting:
                with part.open("rb") as file:
                    os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """A new name beside `path` for what is not whole yet: `.<name>.<chance>.<pid>.part`, so that its writer can be found."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.{os.getpid()}.part")


def parts_of(folder: Path, pid: int) -> list[Path]:
    """The unfinished files of a process in this folder."""
    return [path for path in folder.glob(".*.part") if writer_of(path.name) == pid]


def writer_of(name: str) -> int | None:
    """The id of the process whose unfinished file is called so; None where it is none, or names nobody."""
    found = PART.fullmatch(name)
    return int(found[1]) if found else None


def write_text(path: Path, text: str, *, lasting: bool = True) -> None:
    """Write a text file, whole or not at all."""
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"), lasting=lasting)


def write_json(path: Path, content: Any, *, lasting: bool = True) -> None:
    """Write JSON, whole or not at all; NaN becomes null."""
    text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", lasting=lasting)


def keep_apart(out: Path, read: Mapping[str, str | Path]) -> None:
    """Refuse to write where something is read from, whatever the spelling or link (ConfigError).

    Args:
        out: The file or folder that would be written; it need not be there.
        read: What is read, for people -> its file, or its folder, in which nothing may be written either.
    """
    for what, source in read.items():
        source = Path(source)
        inside = source.is_dir() and source.resolve() in (out.resolve(), *out.resolve().parents)
        if inside or (out.exists() and source.exists() and out.samefile(source)):
            raise ConfigError(
                f"Writing {out} would {'change' if source.is_dir() else 'replace'} {what}.",
                hint="Name another file or folder.",
            )


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object (RunError where the file is missing or broken)."""
    with reading(path.name):
        return parse_json(read_bytes(path))


def parse_json(content: bytes) -> dict[str, Any]:
    """The JSON object in these bytes; ValueError where there is none, however it is broken."""
    if sum(map(content.count, _SEPARATORS)) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES:,} values")
    try:
        found = json.loads(content.decode("utf-8"), parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def read_bytes(path: Path, *, largest: int = LARGEST_TEXT) -> bytes:
    """All bytes of an ordinary file (as `ordinary` says), of which there may be so many.

    Raises:
        OSError: It is missing or cannot be read.
        ValueError: It is no ordinary file, or larger.
    """
    with open_ordinary(path) as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"more than {largest:,} bytes")
    return content


def open_ordinary(path: Path) -> BinaryIO:
    """Open an ordinary file for reading: no folder, no link to elsewhere, and nothing that would keep its reader waiting.

    Raises:
        OSError: It is missing or cannot be read.
        ValueError: It is something else.
    """
    descriptor = os.open(path, os.O_RDONLY | _STRICT)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError("no ordinary file")
    return os.fdopen(descriptor, "rb")


def append_to(path: Path) -> BinaryIO:
    """Open an ordinary file, new or old, to write at its end (OSError where something else stands in its place)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | _STRICT, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"{path.name} is no ordinary file", str(path))
    return os.fdopen(descriptor, "ab")


@contextmanager
def locked(folder: Path, *, within: float | None = None) -> Iterator[None]:
    """Only one thread of one process at a time decides about what is in this folder; others wait.

    The lock is held for milliseconds, but whoever holds it may be stopped or hang, and nobody who looks at a page must wait
    for that.

    Args:
        folder: What is decided about.
        within: Seconds in which the lock is to be had (`LOCK_WITHIN`); infinity where nobody waits for the caller.

    Raises:
        PlaceError: The folder cannot be opened.
        HeldError: Another process has not let go of it in that time.
    """
    with saving():
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        _take_lock(descriptor, folder, LOCK_WITHIN if within is None else within)
        yield
    finally:
        os.close(descriptor)  # which unlocks, as the end of the process would


def _take_lock(descriptor: int, folder: Path, within: float) -> None:
    deadline = time.monotonic() + within
    once = 0 if within == math.inf else fcntl.LOCK_NB
    while True:
        with saving(), suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | once)
        if time.monotonic() >= deadline:
            raise HeldError(
                f"{folder} is held by another process.",
                hint="Try again; if it stays so, a worker hangs: end it, or restart the machine.",
            )
        time.sleep(LOCK_LOOK)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn a file that is gone, or does not hold what it should, into one sentence."""
    try:
        yield
    except FileNotFoundError:
        raise RunError(f"The run has no {name}.", hint="It did not get that far; run it again.") from None
    except (MemoryError, RuntimeError, OSError) as error:
        is_link = isinstance(error, OSError) and error.errno == errno.ELOOP  # it leads elsewhere: not followed
        limit = None if is_link else limit_of(error, f"{name} of the run", PlaceError)
        if limit is None and isinstance(error, RuntimeError) and not isinstance(error, RecursionError):
            raise
        raise (limit or _damaged(name)) from error
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError, csv.Error) as error:
        raise _damaged(name) from error


def _damaged(name: str) -> RunError:
    return RunError(f"{name} of the run is damaged.", hint="Run it again from the same design.")


@contextmanager
def saving() -> Iterator[None]:
    """Turn the disk's refusals into one sentence."""
    try:
        yield
    except OSError as error:
        if limit := out_of_memory(error) and limit_of(error, "Saving the run", PlaceError):
            raise limit from error
        place = Path(error.filename).parent if error.filename else home()
        if shared():  # where the server keeps things is nobody's business but its owner's
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            said = "is full" if full else f"cannot be written ({error.strerror or type(error).__name__})"
            raise PlaceError(f"The disk of this server {said}.", hint="Tell whoever runs the server.") from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise PlaceError(
                f"The disk that holds {place} is full.", hint="Free some space, then run again."
            ) from error
        raise PlaceError(
            f"{place} cannot be written ({error.strerror or error}).",
            hint="Choose a folder you may write to; YOTO_HOME names the one for runs.",
        ) from error


def plain(value: Any) -> Any:
    """The same as JSON knows it: text keys, lists, plain numbers, null for NaN."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "item"):  # a numpy scalar
        value = value.item()
    return None if isinstance(value, float) and value != value else value

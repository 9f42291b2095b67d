"""Where kept files stand, who brought them under which name, and when they were last used.

`<key>.h5ad` or `<key>.yoto` beside `<key>.names.json`, in which every browser that brought the same bytes has its own entry.
"""

import contextlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from yoto_core.errors import RunError
from yoto_core.files import home, locked, read_bytes, read_json, reading, write_json
from yoto_core.limits import shared
from yoto_core.records import checked

KEY = re.compile(r"[0-9a-f]{64}")
NAMES = ".names.json"
OLD_NAME = ".name"  # of earlier versions: one name for all, whoever gave it
NOTED = 3600.0  # seconds in which a further use of a file is not noted again
Shelf = Literal["data", "models"]
ENDINGS: dict[Shelf, str] = {"data": ".h5ad", "models": ".yoto"}


@dataclass(frozen=True)
class Entry:
    """What an owner calls a file; the claim tells this upload of it from any other."""

    name: str
    claim: str = ""


@dataclass(frozen=True)
class Record:
    """The entries of all owners of a file, by owner, the latest last; the owner "" is one that is not known."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def with_entry(self, owner: str, entry: Entry | None) -> "Record":
        """The same with an owner's entry put last, or taken away."""
        others = {who: kept for who, kept in self.entries.items() if who != owner}
        return Record(others if entry is None else {**others, owner: entry})


def place(key: str, shelf: Shelf) -> Path:
    """Where the file of a key stands, whether it is there or not."""
    return home() / shelf / f"{key}{ENDINGS[shelf]}"


def kept_entries(shelf: Shelf) -> list[os.DirEntry[str]]:
    """The files of a shelf; those that are still being written are not among them."""
    folder, ending = home() / shelf, ENDINGS[shelf]
    found = list(os.scandir(folder)) if folder.is_dir() else []
    return [entry for entry in found if entry.name.endswith(ending) and KEY.fullmatch(entry.name.removesuffix(ending))]


def read_record(path: Path) -> Record:
    """Who brought the file at this place; whoever brought it in an earlier version is not known."""
    with contextlib.suppress(RunError):
        values = read_json(path.with_suffix(NAMES))
        with reading(NAMES):
            return Record(checked(values, dict[str, Entry]))
    old = path.with_suffix(OLD_NAME)
    with contextlib.suppress(OSError, ValueError):
        return Record({"": Entry(read_bytes(old).decode("utf-8", errors="replace"))})
    return Record({"": Entry("")} if path.is_file() else {})


def write_record(path: Path, record: Record) -> None:
    """Note who brought the file at this place; with nobody left, file and record are removed."""
    if record.entries:
        write_json(
            path.with_suffix(NAMES), {who: {"name": e.name, "claim": e.claim} for who, e in record.entries.items()}
        )
    else:
        for gone in (path, path.with_suffix(NAMES), path.with_suffix(OLD_NAME)):
            gone.unlink(missing_ok=True)


def shown_name(path: Path, owner: str) -> str:
    """What this owner calls the file; another one sees their name for it on one's own machine alone, else its key."""
    entries = read_record(path).entries
    own = entries.get(owner)
    if own is None and not shared():
        own = next(reversed(entries.values()), None)
    return own.name if own and (own.name or own.claim) else f"{path.name[:8]}{path.suffix}"


def note_use(path: Path) -> None:
    """Note that the file is used now."""
    noted = path.with_suffix(NAMES)
    with contextlib.suppress(OSError, RunError):
        if not noted.is_file():
            with locked(home()):  # of an earlier version
                write_record(path, read_record(path))
        elif time.time() - noted.stat().st_mtime > NOTED:
            os.utime(noted)


def last_use(path: Path) -> float:
    """When the file was last used or brought, in seconds since 1970; 0 where it is gone."""
    times = [0.0]
    for file in (path, path.with_suffix(NAMES)):
        with contextlib.suppress(OSError):
            times.append(file.stat().st_mtime)
    return max(times)

"""The room that kept files take: what there is, who needs it, what may go, and whether more may come.

By themselves only files go that nobody has used for as long as `Limits.days` says. A file that a waiting or working run
needs always stays; runs that have ended show their panel and scores without it.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from yoto_core.errors import DataError, PlaceError, RunError
from yoto_core.files import home, locked, read_json, reading, saving
from yoto_core.limits import DAY, MB, Limits, shared
from yoto_core.store.folders import RUN_ID, runs_folder
from yoto_core.store.history import history_row
from yoto_core.store.labels import read_label
from yoto_core.store.shelves import (
    ENDINGS,
    Record,
    Shelf,
    kept_entries,
    last_use,
    place,
    read_record,
    shown_name,
    write_record,
)
from yoto_core.store.status import read_status
from yoto_core.words import size_text

REMOVE_SOME = "Remove files under Storage on the Data page, then load it again."


@dataclass(frozen=True)
class KeptFile:
    """A kept file as its owner sees it: bytes on disk, last use in seconds since 1970, and the runs that were made of it."""

    key: str
    shelf: Shelf
    name: str
    disk: int
    used: float
    runs: tuple[str, ...]  # names of runs that this owner may see
    in_work: bool  # a run that waits or works needs it, whoever's it is


def inventory(owner: str) -> list[KeptFile]:
    """Kept files, those used longest ago last; on a shared server only those that this owner brought."""
    needed, found = _runs_by_path(), []
    for shelf in ENDINGS:
        for entry in kept_entries(shelf):
            path = Path(entry.path)
            if shared() and owner not in read_record(path).entries:
                continue
            runs = needed.get(path.resolve(), [])
            mine = [run for run in runs if not shared() or read_label(run).owner == owner]
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                found.append(
                    KeptFile(
                        path.stem, shelf, shown_name(path, owner), entry.stat().st_size, last_use(path),
                        tuple(history_row(run).name for run in mine), any(map(_is_live, runs)),
                    )
                )  # fmt: skip
    return sorted(found, key=lambda file: -file.used)


def total() -> int:
    """Bytes of all kept files, whoever's they are."""
    return sum(_sizes(lambda _path: True))


def total_of(owner: str) -> int:
    """Bytes of the kept files that this owner brought."""
    return sum(_sizes(lambda path: owner in read_record(path).entries))


def remove(key: str, shelf: Shelf, *, owner: str) -> None:
    """Remove a kept file; on a shared server only an owner's hold on it, and the file with the last hold.

    Raises:
        DataError: The file is not there, or not this owner's.
        RunError: A run that waits or works needs it.
    """
    path = place(key, shelf)
    with locked(home()):
        record = read_record(path)
        if not path.is_file() or (shared() and owner not in record.entries):
            raise DataError("There is no such file of yours.", hint="Look at the list again.")
        if any(map(_is_live, _runs_by_path().get(path.resolve(), []))):
            raise RunError(
                f"{shown_name(path, owner)} is needed by a run that waits or works.",
                hint="Stop the run, or wait until it has ended.",
            )
        with saving():
            write_record(path, record.with_entry(owner, None) if shared() else Record())


def remove_expired(limits: Limits) -> int:
    """Remove what nobody has used for too long, the oldest first, and return the bytes that are free now."""
    if not limits.days:
        return 0
    before, freed = time.time() - limits.days * DAY, 0
    old = [
        Path(entry.path) for shelf in ENDINGS for entry in kept_entries(shelf) if last_use(Path(entry.path)) < before
    ]
    needed = _runs_by_path() if old else {}
    for path in sorted(old, key=last_use):
        with locked(home()), saving(), contextlib.suppress(FileNotFoundError):
            if last_use(path) < before and not any(map(_is_live, needed.get(path.resolve(), []))):
                size = path.stat().st_size
                write_record(path, Record())
                freed += size
    return freed


def refuse_large(name: str, size: int, limits: Limits) -> None:
    """Refuse (DataError) a file that is larger than one may be."""
    if size > limits.upload * MB:
        raise DataError(
            f"{name} has {size_text(size)}, more than the {size_text(limits.upload * MB)} that may be uploaded.",
            hint="Save fewer cells, genes or layers, or ask whoever runs the server to raise YOTO_UPLOAD_MB.",
        )


def refuse_without_room(name: str, size: int, limits: Limits) -> None:
    """Refuse (PlaceError) further bytes where all kept files together would take too much."""
    free = limits.kept * MB - total()
    if limits.kept and size > free:
        raise PlaceError(
            f"{name} has {size_text(size)}, but {size_text(max(0, free))} of the {size_text(limits.kept * MB)} for kept"
            " files are free.",
            hint=REMOVE_SOME,
        )


def refuse_beyond_share(name: str, size: int, owner: str, limits: Limits) -> None:
    """Refuse (PlaceError) a further file of an owner whose files would take too much."""
    free = limits.browser * MB - total_of(owner)
    if limits.browser and size > free:
        raise PlaceError(
            f"{name} has {size_text(size)}, but {size_text(max(0, free))} of the {size_text(limits.browser * MB)} for your"
            " files are free.",
            hint=REMOVE_SOME,
        )


def _sizes(wanted: Callable[[Path], bool]) -> Iterator[int]:
    for shelf in ENDINGS:
        for entry in kept_entries(shelf):
            with contextlib.suppress(FileNotFoundError):
                if wanted(Path(entry.path)):
                    yield entry.stat().st_size


def _runs_by_path() -> dict[Path, list[Path]]:
    """Data file -> folders of the runs that read it."""
    found: dict[Path, list[Path]] = {}
    for folder in runs_folder().iterdir() if runs_folder().is_dir() else ():
        if RUN_ID.fullmatch(folder.name):
            with contextlib.suppress(RunError), reading("data.json"):
                found.setdefault(Path(read_json(folder / "data.json")["path"]), []).append(folder)
    return found


def _is_live(folder: Path) -> bool:
    try:
        return read_status(folder).live
    except RunError:
        return False

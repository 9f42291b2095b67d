"""Uploaded files by what they contain: each is kept once, under the SHA-256 of its bytes, and found again by that key.

Data files and exported models stand on shelves of their own. Whoever brings bytes that are there already shares the file
but not its name: every owner (a browser) has their own.
"""

import hashlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from yoto_core.demo import DEMO_FILE, DEMO_NAME
from yoto_core.errors import DataError, PlaceError, RunError
from yoto_core.files import home, locked, part_of, saving
from yoto_core.limits import Limits
from yoto_core.store import storage
from yoto_core.store.shelves import KEY, Entry, Record, Shelf, note_use, place, read_record, shown_name, write_record

DEMO_KEY = "demo"
CHUNK = 1 << 22  # bytes


@dataclass(frozen=True)
class Kept:
    """An upload on its shelf: its key, and whether it was not there before; the claim tells it from a later one."""

    key: str
    shelf: Shelf
    is_new: bool
    owner: str
    claim: str
    former: Entry | None  # the owner's own of the same bytes


def keep(stream: BinaryIO, name: str, *, shelf: Shelf = "data", owner: str = "") -> str:
    """Copy an uploaded file to its shelf in `$YOTO_HOME`, a few megabytes at a time, and return its key."""
    return take_in(stream, name, shelf=shelf, owner=owner).key


def take_in(stream: BinaryIO, name: str, *, shelf: Shelf = "data", owner: str = "") -> Kept:
    """The same, with what `forget` needs to know of it.

    Raises:
        DataError: The file is larger than one may be.
        PlaceError: There is no room for it, by the limits of this server or on the disk.
        ConfigError: A limit is set to something that is none.
    """
    limits, size = Limits.from_environment(), _length(stream)
    storage.refuse_large(name, size, limits)
    storage.remove_expired(limits)
    with saving():
        (home() / shelf).mkdir(parents=True, exist_ok=True)
    try:
        storage.refuse_beyond_share(name, size, owner, limits)
        storage.refuse_without_room(name, size, limits)
    except PlaceError:
        known = _known(stream, shelf)  # what is there already needs no room
        if known is None:
            raise
        with locked(home()):
            if owner not in read_record(place(known, shelf)).entries:
                storage.refuse_beyond_share(name, size, owner, limits)
            return _claim(known, name, shelf, owner, is_new=False)
    part = part_of(home() / shelf / "upload")
    with saving():
        try:
            key, size = _copy(stream, part, lambda written: storage.refuse_large(name, written, limits))
            with locked(home()):
                at = place(key, shelf)
                is_new = not at.exists()
                if is_new:
                    storage.refuse_beyond_share(name, size, owner, limits)
                    storage.refuse_without_room(name, size, limits)
                if is_new or at.stat().st_size != size:
                    part.replace(at)
                return _claim(key, name, shelf, owner, is_new=is_new)
        finally:
            part.unlink(missing_ok=True)


def find(key: str, owner: str = "") -> tuple[Path, str]:
    """The path of the data under a key and what this owner calls them (DataError where there are none)."""
    if key == DEMO_KEY:
        return DEMO_FILE, DEMO_NAME
    found = _find(key, "data", owner)
    if found is None:
        raise DataError("The data of this link are not on this machine.", hint="Load the file again.")
    return found


def find_model(key: str, owner: str = "") -> tuple[Path, str]:
    """The path of the exported model under a key and what this owner calls it (RunError where there is none)."""
    found = _find(key, "models", owner)
    if found is None:
        raise RunError("The model of this link is not on this machine.", hint="Load the .yoto file again.")
    return found


def forget(kept: Kept) -> None:
    """Take an upload back that turned out to be of no use; what anybody else has kept before or since stays."""
    at = place(kept.key, kept.shelf)
    with locked(home()), saving():
        record = read_record(at)
        entry = record.entries.get(kept.owner)
        if entry is not None and entry.claim == kept.claim:
            write_record(at, record.with_entry(kept.owner, kept.former))


def key_of(path: str | Path) -> str | None:
    """The key of a file that is kept here, or None for a file elsewhere or gone."""
    path = Path(path)
    if path == DEMO_FILE:
        return DEMO_KEY
    return (
        path.stem
        if path.parent == (home() / "data").resolve() and KEY.fullmatch(path.stem) and path.is_file()
        else None
    )


def _claim(key: str, name: str, shelf: Shelf, owner: str, *, is_new: bool) -> Kept:
    """Enter an owner's name for a file that is there; the caller holds the lock."""
    at = place(key, shelf)
    record, claim = Record() if is_new else read_record(at), secrets.token_hex(8)
    former = record.entries.get(owner)
    write_record(at, record.with_entry(owner, Entry(name, claim)))
    return Kept(key, shelf, is_new, owner, claim, former)


def _copy(stream: BinaryIO, part: Path, check: Callable[[int], None]) -> tuple[str, int]:
    """Write a stream down: its digest and its bytes."""
    digest, written = hashlib.sha256(), 0
    with part.open("wb") as file:
        while chunk := stream.read(CHUNK):
            written += len(chunk)
            check(written)  # a length that was said before may lie
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), written


def _length(stream: BinaryIO) -> int:
    """Bytes that a stream says it still has; 0 where it does not say."""
    if not stream.seekable():
        return 0
    here = stream.tell()
    end = stream.seek(0, os.SEEK_END)
    stream.seek(here)
    return end - here


def _known(stream: BinaryIO, shelf: Shelf) -> str | None:
    """The key of a stream whose bytes are kept already, or None."""
    if not stream.seekable():
        return None
    here, digest = stream.tell(), hashlib.sha256()
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
    stream.seek(here)
    key = digest.hexdigest()
    return key if place(key, shelf).is_file() else None


def _find(key: str, shelf: Shelf, owner: str) -> tuple[Path, str] | None:
    path = place(key, shelf)
    if not KEY.fullmatch(key) or not path.is_file():
        return None
    note_use(path)
    return path, shown_name(path, owner)

"""Uploaded files by what they contain: each is kept once, under the SHA-256 of its bytes, and found again by that key.

Data files and exported models stand on shelves of their own.
"""

import hashlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from yoto_core.demo import DEMO_FILE, DEMO_NAME
from yoto_core.errors import DataError, RunError
from yoto_core.files import home, locked, saving, write_text

DEMO_KEY = "demo"
KEY = re.compile(r"[0-9a-f]{64}")
CHUNK = 1 << 22  # bytes
Shelf = Literal["data", "models"]
ENDINGS: dict[Shelf, str] = {"data": ".h5ad", "models": ".yoto"}


@dataclass(frozen=True)
class Kept:
    """An upload on its shelf: its key, and whether it was not there before; `inode` tells it from a later copy."""

    key: str
    shelf: Shelf
    is_new: bool
    inode: int


def keep(stream: BinaryIO, name: str, *, shelf: Shelf = "data") -> str:
    """Copy an uploaded file to its shelf in `$YOTO_HOME`, a few megabytes at a time, and return its key."""
    return take_in(stream, name, shelf=shelf).key


def take_in(stream: BinaryIO, name: str, *, shelf: Shelf = "data") -> Kept:
    """The same, with what `forget` needs to know of it."""
    folder, digest = home() / shelf, hashlib.sha256()
    with saving():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{secrets.token_hex(8)}.part"
        try:
            with part.open("wb") as file:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                inode = os.fstat(file.fileno()).st_ino
            key = digest.hexdigest()
            with locked(folder):
                is_new = not _place(key, shelf).exists()
                part.replace(_place(key, shelf))
        finally:
            part.unlink(missing_ok=True)
    write_text(folder / f"{key}.name", name)
    return Kept(key, shelf, is_new, inode)


def find(key: str) -> tuple[Path, str]:
    """The path and the shown name of the data under a key (DataError where there is none)."""
    if key == DEMO_KEY:
        return DEMO_FILE, DEMO_NAME
    found = _find(key, "data")
    if found is None:
        raise DataError("The data of this link are not on this machine.", hint="Load the file again.")
    return found


def find_model(key: str) -> tuple[Path, str]:
    """The path and the shown name of the exported model under a key (RunError where there is none)."""
    found = _find(key, "models")
    if found is None:
        raise RunError("The model of this link is not on this machine.", hint="Load the .yoto file again.")
    return found


def forget(kept: Kept) -> None:
    """Remove an upload that turned out to be of no use, but never what somebody else has kept before or since."""
    place = _place(kept.key, kept.shelf)
    with locked(place.parent):
        if kept.is_new and place.exists() and place.stat().st_ino == kept.inode:
            for path in (place, place.with_suffix(".name")):
                path.unlink(missing_ok=True)


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


def _place(key: str, shelf: Shelf) -> Path:
    return home() / shelf / f"{key}{ENDINGS[shelf]}"


def _find(key: str, shelf: Shelf) -> tuple[Path, str] | None:
    path = _place(key, shelf)
    if not KEY.fullmatch(key) or not path.is_file():
        return None
    name = path.with_suffix(".name")
    return path, name.read_text(encoding="utf-8") if name.is_file() else f"{key[:8]}{ENDINGS[shelf]}"

"""Data files by what they contain: an upload is kept once, under the SHA-256 of its bytes, and found again by that key."""

import hashlib
import re
import secrets
from pathlib import Path
from typing import BinaryIO

from yoto_core.demo import DEMO_FILE, DEMO_NAME
from yoto_core.errors import DataError
from yoto_core.files import home, saving, write_text

DEMO_KEY = "demo"
KEY = re.compile(r"[0-9a-f]{64}")
CHUNK = 1 << 22  # bytes


def keep(stream: BinaryIO, name: str) -> str:
    """Copy an uploaded file to `$YOTO_HOME/data`, a few megabytes at a time, and return its key."""
    folder, digest = home() / "data", hashlib.sha256()
    with saving():
        folder.mkdir(parents=True, exist_ok=True)
        part = folder / f".{secrets.token_hex(8)}.part"
        try:
            with part.open("wb") as file:
                while chunk := stream.read(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
            part.replace(folder / f"{digest.hexdigest()}.h5ad")
        finally:
            part.unlink(missing_ok=True)
    write_text(folder / f"{digest.hexdigest()}.name", name)
    return digest.hexdigest()


def find(key: str) -> tuple[Path, str]:
    """The path and the shown name of the data under a key (DataError where there is none)."""
    if key == DEMO_KEY:
        return DEMO_FILE, DEMO_NAME
    path = home() / "data" / f"{key}.h5ad"
    if not KEY.fullmatch(key) or not path.is_file():
        raise DataError("The data of this link are not on this machine.", hint="Load the file again.")
    name = path.with_suffix(".name")
    return path, name.read_text(encoding="utf-8") if name.is_file() else f"{key[:8]}.h5ad"


def forget(key: str) -> None:
    """Remove a kept file that turned out to be of no use."""
    for ending in (".h5ad", ".name"):
        (home() / "data" / f"{key}{ending}").unlink(missing_ok=True)


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

"""Run folders: where runs live, and their ids.

`$YOTO_HOME/runs/<id>/`; the id is 128 random bits in hex, so a link cannot be guessed.
"""

import contextlib
import re
import secrets
import shutil
from pathlib import Path
from typing import Any

from yoto_core.errors import RunError
from yoto_core.files import home, saving, write_json

RUN_ID = re.compile(r"[0-9a-f]{32}")


def runs_folder() -> Path:
    """Where all runs of this machine live."""
    return home() / "runs"


def run_folder(run_id: str) -> Path:
    """The folder of a run by its id (RunError where the id is malformed or unknown)."""
    if not RUN_ID.fullmatch(run_id):
        raise RunError(f"“{run_id[:40]}” is not a run id.", hint="A run id has 32 characters, 0-9 and a-f.")
    folder = runs_folder() / run_id
    if not folder.is_dir():
        raise RunError(f"There is no run {run_id} on this machine.", hint="It may have been deleted.")
    return folder


def create_folder(files: dict[str, Any]) -> Path:
    """A new run folder that appears at once with these JSON files in it."""
    run_id = secrets.token_hex(16)
    with saving():
        runs_folder().mkdir(parents=True, exist_ok=True)
        hidden = runs_folder() / f".new-{run_id}"
        hidden.mkdir()
        try:
            for name, content in files.items():
                write_json(hidden / name, content)
            hidden.rename(runs_folder() / run_id)
        except BaseException:
            shutil.rmtree(hidden, ignore_errors=True)
            raise
    return runs_folder() / run_id


def delete_folder(folder: Path) -> None:
    """Remove a run: it is gone at once, and its files follow."""
    with saving():
        doomed = folder.with_name(f".old-{folder.name}")
        folder.rename(doomed)
        remove_folder(doomed)


def remove_folder(folder: Path) -> None:
    """Remove a folder with all in it, although others may be at it too; an OSError says what refuses to go."""
    shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)

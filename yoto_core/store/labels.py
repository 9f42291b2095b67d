"""What people call a run and whose it is: `label.json`, which may change after the run has ended, unlike its config."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from yoto_core.errors import RunError
from yoto_core.files import read_json, reading, write_json
from yoto_core.limits import shared
from yoto_core.records import made

FILE = "label.json"
LONGEST = 80  # characters of a name
NOT_YOURS = "Only the browser that started this run may change it."


@dataclass(frozen=True)
class Label:
    """A name, the session that started the run, and the sweep it belongs to with the sizes that are compared there."""

    name: str = ""
    owner: str = ""
    sweep: str = ""
    sizes: tuple[int, ...] = ()


def read_label(folder: Path) -> Label:
    """The label of a run; an empty one where it has none or it cannot be read."""
    try:
        values = read_json(folder / FILE)
        with reading(FILE):
            return made(Label, values)
    except RunError:
        return Label()


def may_change(folder: Path, owner: str | None) -> bool:
    """Whether this owner may stop, resume, rename or delete a run; whoever has its link may look at it and copy its design.

    On a shared server that is the browser that started the run, and nobody where none did. On one's own machine it is
    anyone; so is the user of the shell there and here, who is no browser (None) and owns the files.
    """
    if owner is None or not shared():
        return True
    return bool(owner) and read_label(folder).owner == owner


def refuse_strangers(folder: Path, owner: str | None) -> None:
    """Refuse (RunError) what this owner may not change."""
    if not may_change(folder, owner):
        raise RunError(NOT_YOURS, hint="Run it again, or make a new design from it, to have one of your own.")


def rename(folder: Path, name: str, *, owner: str | None = None) -> None:
    """Give a run a name; an empty one takes it away (RunError where it is too long, or the run not this owner's)."""
    refuse_strangers(folder, owner)
    name = " ".join(name.split())
    if len(name) > LONGEST:
        raise RunError(f"The name has {len(name)} characters.", hint=f"Use at most {LONGEST}.")
    write_json(folder / FILE, asdict(replace(read_label(folder), name=name)))

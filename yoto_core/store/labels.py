"""What people call a run and whose it is: `label.json`, which may change after the run has ended, unlike its config."""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from yoto_core.errors import RunError
from yoto_core.files import read_json, reading, write_json

FILE = "label.json"
LONGEST = 80  # characters of a name


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
            return Label(**{**values, "sizes": tuple(values.get("sizes", ()))})
    except RunError:
        return Label()


def rename(folder: Path, name: str) -> None:
    """Give a run a name; an empty one takes it away (RunError where it is too long)."""
    name = " ".join(name.split())
    if len(name) > LONGEST:
        raise RunError(f"The name has {len(name)} characters.", hint=f"Use at most {LONGEST}.")
    write_json(folder / FILE, asdict(replace(read_label(folder), name=name)))

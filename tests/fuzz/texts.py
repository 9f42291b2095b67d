"""Small text files of odd kinds: gene sets that a user brings, and the notes on kept files beside them."""

import io
import json
import random
import shutil
from pathlib import Path

from tests.fuzz.models import DAMAGE, NO_FILES, exchange, said
from yoto_core.errors import YotoError
from yoto_core.explore.enrichment import enrich, uploaded_sets
from yoto_core.files import home
from yoto_core.store import library, shelves, storage

CONTENT = b"some bytes"
BACKGROUND = tuple(f"G{i}" for i in range(40))
PARTS = ("\t", "\n", "\r", "\x00", ",", '"', " ", "\u2028", "\ufeff", "=1+1", "\x1b[2J", "ß", "G1", "x" * 5_000)  # fmt: skip


def gene_sets(seed: int, folder: Path) -> str:
    """A GMT file with lines, names or bytes exchanged: sets that can be tested, or a sentence."""
    chance = random.Random(seed)
    lines = [[f"SET_{i}", "of the test", *chance.sample(BACKGROUND, 8)] for i in range(6)]
    for _ in range(chance.choice((0, 1, 5, 30))):
        line = chance.choice(lines)
        line[chance.randrange(len(line))] = "".join(chance.choice(PARTS) for _ in range(chance.choice((0, 1, 3))))
    content = "\n".join("\t".join(line) for line in lines).encode()
    if chance.random() < 0.3:
        content = chance.choice(DAMAGE)(content, chance)
    try:
        sets = uploaded_sets(content, "own.gmt")
        found = enrich(BACKGROUND[:6], BACKGROUND, {"own": sets})
    except YotoError as error:
        return said(error)
    assert found.tested + found.left_out == len(sets)
    assert found.table["p_value"].between(0, 1).all()
    return "read"


def notes(seed: int, folder: Path) -> str:
    """A kept file whose note of owners and names is damaged: it is listed and counted, and may be brought again."""
    shutil.rmtree(home() / "models", ignore_errors=True)  # what the case before made of it
    chance, key = random.Random(seed), keep()
    note = shelves.place(key, "models").with_suffix(shelves.NAMES)
    content = note.read_bytes()
    if chance.random() < 0.6:
        values = json.loads(content)
        exchange(values, chance)
        note.write_text(json.dumps(values), encoding="utf-8")
    elif chance.random() < 0.9:
        note.write_bytes(chance.choice(DAMAGE)(content, chance))
    else:
        note.unlink()
        chance.choice(list(NO_FILES.values()))(note, note.with_name("another.json"))
    (file,) = storage.inventory(owner=chance.choice(("anna", "bert")))
    assert (file.key, storage.total()) == (key, len(CONTENT))
    assert storage.total_of("anna") in (0, len(CONTENT))
    file.name.encode()
    try:
        assert keep() == key
    except YotoError as error:
        return said(error)
    assert shelves.shown_name(shelves.place(key, "models"), "anna") == "panel.yoto"
    return "read"


def keep() -> str:
    """The key of a file that anna keeps."""
    return library.keep(io.BytesIO(CONTENT), "panel.yoto", shelf="models", owner="anna")

"""Model files with bytes or values exchanged, and run folders with a file of theirs damaged or no file at all."""

import copy
import io
import json
import os
import random
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.shared_runs import finished, planted_maps, save_explored
from yoto_core.errors import YotoError
from yoto_core.files import home
from yoto_core.model.checkpoint import Snapshot, find_snapshot, keep_snapshot
from yoto_core.store import exploration, history, labels, portable, runs
from yoto_core.store.card import model_card
from yoto_core.store.saved import saved_model
from yoto_core.store.status import read_status
from yoto_core.work import queue

ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 1e300, 1e-300, float("nan"), float("inf"), "", "NA", "=1+1", "a\rb", "\x00", "x" * 20_000, [], {},
    [[]], [None], ["a", "a"], {"a": {}}, "\ud800", 2**70,
)  # fmt: skip
DAMAGE: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda content, chance: b"",
    lambda content, chance: content[: chance.randrange(len(content) + 1)],
    lambda content, chance: b"\xff\xfe garbage \x00" * 9,
    lambda content, chance: b"[" * 100_000,
    lambda content, chance: b'{"schema": 99}',
    lambda content, chance: b"{}",
    lambda content, chance: b"NaN",
)
NO_FILES: dict[str, Callable[[Path, Path], object]] = {
    "a folder": lambda path, other: path.mkdir(),
    "a pipe that nobody fills": lambda path, other: os.mkfifo(path),
    "a link to another run's": lambda path, other: path.symlink_to(other),
    "a link to nowhere": lambda path, other: path.symlink_to("nowhere"),
    "a link to itself": lambda path, other: path.symlink_to(path.name),
    "nothing": lambda path, other: None,
}


@lru_cache
def packed() -> bytes:
    """The bytes of a sound model file."""
    return portable.pack(portable.saved_model(finished()))


def flipped(seed: int, folder: Path) -> str:
    """One byte of a model file changed: a sentence, or the same model."""
    chance, content = random.Random(seed), bytearray(packed())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    try:
        found = portable.unpack(bytes(content), name="panel.yoto")
    except YotoError as error:
        return said(error)
    if portable.pack(found) != portable.pack(portable.unpack(packed(), name="panel.yoto")):
        raise AssertionError("another model was read")
    return "read"


def changed(seed: int, folder: Path) -> str:
    """Some values of a model file changed, its checksums right: a sentence, or a model with which everything works."""
    chance = random.Random(seed)
    with zipfile.ZipFile(io.BytesIO(packed())) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = chance.choice(("model.json", "reference.json", "manifest.json"))
    values = json.loads(members[name])
    for _ in range(chance.choice((1, 1, 3))):
        exchange(values, chance)
    members[name] = json.dumps(values).encode()
    if name != "manifest.json":
        sums = {member: sha256(content).hexdigest() for member, content in members.items() if member != "manifest.json"}
        members["manifest.json"] = json.dumps({**json.loads(members["manifest.json"]), "sha256": sums}).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    try:
        found = portable.unpack(buffer.getvalue(), name="panel.yoto")
    except YotoError as error:
        return said(error)
    answers = found.model.predict(np.ones((3, len(found.model.genes)), dtype=np.float32))
    assert all(np.isfinite(answer.probabilities).all() for answer in answers if answer.probabilities is not None)
    again = portable.unpack(portable.pack(found), name="again.yoto")
    assert model_card(again) == model_card(found)
    return "read"


def exchange(values: Any, chance: random.Random) -> None:
    """Put something odd in some place of nested lists and mappings."""
    while isinstance(values, dict | list) and values:
        key = chance.choice(list(values) if isinstance(values, dict) else range(len(values)))
        if not isinstance(values[key], dict | list) or not values[key] or chance.random() < 0.2:
            how = chance.random()
            if how < 0.1 and isinstance(values, dict):
                del values[key]
            else:
                values[key] = copy.deepcopy(chance.choice(ODD))  # a later exchange may change it
            return
        values = values[key]


def folder_with_damage(seed: int, folder: Path) -> str:
    """A run folder of which one file is damaged: every way in gives an answer or a sentence."""
    chance, broken = random.Random(seed), copy_of_a_run(f"{seed:032x}")
    path = chance.choice(files_of(broken))
    content = path.read_bytes()
    if path.suffix == ".json" and chance.random() < 0.6:
        values = json.loads(content)
        exchange(values, chance)
        path.write_text(json.dumps(values), encoding="utf-8")
    else:
        path.write_bytes(chance.choice(DAMAGE)(content, chance))
    return outcome(broken)


def folder_without_a_file(seed: int, folder: Path) -> str:
    """A run folder in which something else stands in the place of a file."""
    broken = copy_of_a_run(f"{seed:032x}")
    cases = [(path, kind) for path in files_of(broken) for kind in NO_FILES]
    path, kind = cases[seed % len(cases)]
    path.unlink()
    NO_FILES[kind](path, sound_in(home()) / path.name)
    return outcome(broken)


def copy_of_a_run(name: str) -> Path:
    """A run beside a sound one, with as many files as one ever has."""
    sound = sound_in(home())
    return shutil.copytree(sound, sound.with_name(name))


def files_of(run: Path) -> list[Path]:
    return sorted(path for path in run.iterdir() if path.is_file())


def outcome(broken: Path) -> str:
    """What every way into this run said: its answer, or a sentence; the run beside it is as it was."""
    sound, outcomes = sound_in(home()), []
    for way in WAYS:
        try:
            way(broken)
        except YotoError as error:
            outcomes.append(said(error))
    rows = history.history()
    assert {row.run_id for row in rows} >= {sound.name, broken.name}
    history.history_table(rows)
    queue.tend(broken.parent)
    with suppress(YotoError):
        history.delete_run(broken)
    shutil.rmtree(broken, ignore_errors=True)
    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in files_of(sound)} == digests_of(sound)
    return "sentence" if outcomes else "read"


@lru_cache
def digests_of(sound: Path) -> dict[str, str]:
    """What the files of the run held when it was first looked at."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in files_of(sound)}


@lru_cache
def sound_in(place: Path) -> Path:
    """A finished run with profiles and maps, a label, a log and a checkpoint, once in each home."""
    folder = save_explored(planted_maps())
    labels.rename(folder, "the one beside")
    (folder / "log.txt").write_text("a line")
    keep_snapshot(folder, Snapshot({"weights": torch.ones(2)}, {"step": 1}))
    digests_of(folder)
    return folder


WAYS: tuple[Callable[[Path], object], ...] = (
    runs.load_run, runs.read_config, runs.read_history, runs.load_model, read_status, labels.read_label, history.history_row,
    exploration.load_profiles, exploration.load_candidates, portable.load_model, find_snapshot,
    lambda folder: model_card(saved_model(runs.load_run(folder))),
    lambda folder: exploration.load_maps(folder) if exploration.has_maps(folder) else None,
)  # fmt: skip


def said(error: YotoError) -> str:
    """The outcome of a refusal, which is a sentence with a next step."""
    assert error.args[0]
    assert error.hint
    return "sentence"

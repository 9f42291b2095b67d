"""One file that carries a model away: a zip named .yoto with weights, names, numbers and a card, and nothing that runs.

manifest.json      format, schema number, and the SHA-256 of every other member
model.safetensors  the weights, and each gene's mean, spread and level
model.json         genes, ids, heads (classes, scale, temperature) and the form of the input
reference.json     the training cells in numbers, held-out scores, confusion, trade-offs and losses of missing genes
card.md            the model card

The checksums tell a damaged or edited file from a whole one; they do not prove who wrote it.
"""

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.torch import load, save

from yoto_core.errors import PlaceError, RunError, limit_of
from yoto_core.evaluation.losses import COLUMNS as LOSS_COLUMNS
from yoto_core.evaluation.reference import Reference
from yoto_core.files import LARGEST_TEXT, LARGEST_WEIGHTS, parse_json, plain, read_bytes, write_whole
from yoto_core.model.calibration import TRADE_OFF_COLUMNS
from yoto_core.model.panel_model import PanelModel
from yoto_core.pipeline import Run
from yoto_core.prediction.crossstudy import CLASS_COLUMNS, OWN_COLUMNS
from yoto_core.records import Count, Number, ShareOrNone, Within, checked, table
from yoto_core.store import runs
from yoto_core.store.card import model_card
from yoto_core.store.saved import SavedModel, saved_model
from yoto_core.words import size_text

FORMAT, SCHEMA = "yoto model", 2
MEMBERS = ("model.safetensors", "model.json", "reference.json", "card.md")
# Bytes unpacked, member by member: a panel's model holds a few megabytes.
LARGEST = {"manifest.json": 1 << 16, "model.safetensors": LARGEST_WEIGHTS} | dict.fromkeys(MEMBERS[1:], LARGEST_TEXT)
LARGEST_FILE = 1 << 30  # bytes of a .yoto file
_BROKEN = (
    OSError, RuntimeError, ValueError, MemoryError, ArithmeticError, LookupError, TypeError, AttributeError, EOFError,
    zipfile.BadZipFile, zlib.error, struct.error, SafetensorError,
)  # fmt: skip
CHOOSE = "Choose a .yoto file exported from a run."
AGAIN = "Export it again from its run, or ask for the file anew."


class About(TypedDict, total=False):
    """What a model file says of where the model comes from."""

    data: str
    digest: str
    cells: Count
    genes: Count
    candidate_genes: Count
    matrix: str
    unit: str
    split: dict[str, Count]
    group: str
    held_out_groups: tuple[str, ...]
    seed: Count
    versions: dict[str, str]


AMOUNT = Annotated[float, Within(0)]
# What the columns of its tables hold, those that are no number of any size.
KINDS = {
    **dict.fromkeys(("task", "metric", "class", "gene"), str), "needed": bool,
    **dict.fromkeys(("cells", "groups"), AMOUNT),
    **dict.fromkeys(("precision", "recall", "f1", "p", "threshold", "coverage", "accuracy"), ShareOrNone),
}  # fmt: skip


def load_run(path: str | Path) -> Run | SavedModel:
    """A run from its folder, or the model in a .yoto file; both label new cells with `.predict(adata)`.

    >>> yoto_core.load_run("panel.yoto").predict(adata)  # doctest: +SKIP

    Raises:
        RunError: There is no such file or folder, or it is damaged, edited, of a newer version, or no run at all.
    """
    path = Path(path)
    return load_model(path) if path.is_file() else runs.load_run(path)


def load_model(path: str | Path, *, name: str = "") -> SavedModel:
    """What a run hands on for labelling new cells, alike from its folder and from a .yoto file (shown as `name`).

    >>> yoto_core.load_model("panel.yoto").label(adata).shift.sentence  # doctest: +SKIP

    Raises:
        RunError: There is no such file, or it is damaged, edited, of a newer version, or no model at all.
    """
    path = Path(path)
    if path.is_dir():
        return saved_model(runs.load_run(path))
    if not path.is_file():
        raise RunError(f"There is no model file {path.name}.", hint="Check the path.")
    name = name or path.name
    try:
        content = read_bytes(path, largest=LARGEST_FILE)
    except (MemoryError, OSError, ValueError) as error:
        raise _unusable(error, name, f"{name} cannot be read.") from error
    return unpack(content, name=name)


def export_model(saved: SavedModel, path: str | Path) -> Path:
    """Write a model as one .yoto file, whole or not at all."""
    path = Path(path)
    write_whole(path, lambda part: part.write_bytes(pack(saved)))
    return path


def pack(saved: SavedModel) -> bytes:
    """The bytes of a .yoto file; the same model gives the same bytes."""
    members = {
        "model.safetensors": save(saved.model.tensors),
        "model.json": _json(runs.model_to_dict(saved.model)),
        "reference.json": _json(
            {
                "reference": saved.reference.to_dict() if saved.reference else None,
                "about": dict(saved.about),
                "scores": saved.scores.to_dict("list"),
                "classes": saved.classes.to_dict("list"),
                "confusion": {
                    task: {"classes": list(counts), "counts": counts.to_numpy().tolist()}
                    for task, counts in saved.confusion.items()
                },
                "losses": saved.losses.to_dict("list"),
                "trade_offs": {task: table.to_dict("list") for task, table in saved.trade_offs.items()},
            }
        ),
        "card.md": model_card(saved).encode(),
    }
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in members.items()}
    manifest = _json({"format": FORMAT, "schema": SCHEMA, "sha256": sums})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {"manifest.json": manifest, **members}.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def unpack(content: bytes, *, name: str) -> SavedModel:
    """The model in the bytes of a .yoto file called `name` (RunError where there is none to be had)."""
    _refuse_foreign(content, name)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = _members(archive, name)
    except _BROKEN as error:
        raise _unusable(error, name, f"{name} is cut short or damaged.") from error
    try:
        model = runs.model_from(parse_json(members["model.json"]), load(members["model.safetensors"]))
        model.predict(np.zeros((1, len(model.genes)), dtype=np.float32))  # weights and names fit together
        saved = _saved(model, parse_json(members["reference.json"]))
        model_card(saved)  # so do the facts
        return saved
    except _BROKEN as error:
        raise _unusable(error, name, f"{name} does not hold a whole model.") from error


def _unusable(error: Exception, name: str, message: str) -> RunError:
    return limit_of(error, name, PlaceError) or RunError(message, hint=AGAIN)


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, bytes]:
    """Every member, after its checksum was seen to hold."""
    listed = archive.infolist()
    inside = {info.filename: info.file_size for info in listed}
    if any(member.endswith((".pkl", ".pickle", ".pt")) for member in inside):
        raise RunError(f"{name} holds pickled objects, which can run code; it is not opened.", hint=AGAIN)
    if set(inside) - {"manifest.json", *MEMBERS} or "manifest.json" not in inside or len(listed) > len(inside):
        raise RunError(f"{name} is not a model file of YOTO.", hint=CHOOSE)
    large = next((member for member in inside if inside[member] > LARGEST[member]), None)
    if large:
        raise RunError(
            f"{large} in {name} unpacks to {size_text(inside[large])}; a model needs at most {size_text(LARGEST[large])}.",
            hint=AGAIN,
        )
    manifest = parse_json(archive.read("manifest.json"))
    schema = manifest.get("schema")
    if manifest.get("format") != FORMAT or type(schema) is not int or schema < 1:
        raise RunError(f"{name} is not a model file of YOTO.", hint=CHOOSE)
    if schema > SCHEMA:
        raise RunError(f"{name} has schema {schema}; this version reads up to {SCHEMA}.", hint="Update YOTO.")
    sums, members = manifest.get("sha256"), {}
    for member in MEMBERS:
        content = archive.read(member) if member in inside else b""
        if not isinstance(sums, dict) or hashlib.sha256(content).hexdigest() != sums.get(member):
            raise RunError(f"{member} in {name} was changed after the export (its checksum differs).", hint=AGAIN)
        members[member] = content
    return members


def _refuse_foreign(content: bytes, name: str) -> None:
    """Tell what the bytes are by their beginning, whatever the file is called."""
    if not content:
        raise RunError(f"{name} is empty (0 bytes).", hint=AGAIN)
    if content[:1] == b"\x80" and content[1:2] in b"\x00\x01\x02\x03\x04\x05":
        raise RunError(f"{name} is a pickle, which can run code; it is not opened.", hint=AGAIN)
    if content[:4] != b"PK\x03\x04":
        raise RunError(f"{name} is not a model file of YOTO.", hint=CHOOSE)


def _saved(model: PanelModel, values: dict[str, Any]) -> SavedModel:
    reference, classes = values["reference"], {head.task: list(head.classes) for head in model.heads}
    columns = {"groups": [0] * len(values["scores"]["task"]), **values["scores"]}
    saved = SavedModel(
        model=model,
        reference=Reference.from_dict(reference, genes=len(model.genes)) if reference else None,
        about=checked(values["about"], About),
        scores=_frame(columns, OWN_COLUMNS),
        classes=_frame(values["classes"], CLASS_COLUMNS),
        confusion={task: _confusion(found, classes[task]) for task, found in values.get("confusion", {}).items()},
        # Files of schema 1 tell the recall that a missing gene costs, without a test: it is not what is told today.
        losses=_frame(values["losses"], LOSS_COLUMNS)
        if "losses" in values
        else pd.DataFrame(columns=list(LOSS_COLUMNS)),
        trade_offs={task: _frame(table, TRADE_OFF_COLUMNS) for task, table in values["trade_offs"].items()},
    )
    tables = (saved.scores, saved.classes, saved.losses)
    named = set(saved.trade_offs).union(*(table["task"] for table in tables))
    if not named <= set(classes) or not set(saved.losses["gene"]) <= set(model.genes):
        raise ValueError("numbers of a task or gene that the model does not have")
    return saved


def _confusion(found: Any, classes: list[str]) -> pd.DataFrame:
    """Counts with the classes they are of; in files of schema 1 those of the model."""
    if isinstance(found, dict):
        classes, found = list(checked(found["classes"], tuple[str, ...])), found["counts"]
    size = Within(len(classes), len(classes))
    counts = checked(found, Annotated[tuple[Annotated[tuple[Count, ...], size], ...], size])
    return pd.DataFrame(list(counts), index=classes, columns=classes, dtype=int)


def _frame(values: Any, columns: Sequence[str]) -> pd.DataFrame:
    return table(values, {name: KINDS.get(name, Number) for name in columns})


def _json(content: object) -> bytes:
    return json.dumps(plain(content), ensure_ascii=False, allow_nan=False, sort_keys=True).encode()

"""The state of a training on disk, so that a run whose process was lost goes on where it was and ends with the same panel.

One safetensors file, replaced whole: tensors (weights, optimiser memory, generator states) and, in its header, JSON for
everything else. It holds numbers and names and nothing that runs.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from yoto_core.files import open_ordinary, write_whole

FILE = "checkpoint.safetensors"
EVERY = 2.0  # seconds between two checkpoints: about what a lost run repeats
FORMAT = "3"


@dataclass(frozen=True)
class Snapshot:
    """All that a training needs to go on as if nothing had happened."""

    tensors: dict[str, Tensor] = field(repr=False)
    values: dict[str, Any]


@dataclass(frozen=True)
class Checkpoints:
    """Where a training finds its earlier state, if there is one, and offers its present one after every step.

    `offer` gets a function that makes the snapshot, which is called only when it is time to keep one.
    """

    last: Snapshot | None = None
    offer: Callable[[Callable[[], Snapshot]], None] = lambda make: None


NO_CHECKPOINTS = Checkpoints()


def checkpoints_in(folder: Path) -> Checkpoints:
    """The checkpoints of a run: the last one that is whole, and a file to keep the next."""
    last_kept = time.monotonic()

    def offer(make: Callable[[], Snapshot]) -> None:
        nonlocal last_kept
        if time.monotonic() - last_kept >= EVERY:
            keep_snapshot(folder, make())
            last_kept = time.monotonic()

    return Checkpoints(find_snapshot(folder), offer)


def keep_snapshot(folder: Path, snapshot: Snapshot) -> None:
    """Write the checkpoint, whole or not at all."""
    values, tensors = json.dumps(snapshot.values), {n: t.detach().contiguous() for n, t in snapshot.tensors.items()}
    content = save(tensors, {"format": FORMAT, "values": values, "sha256": _digest(tensors, values)})
    write_whole(folder / FILE, lambda part: part.write_bytes(content), lasting=False)


def find_snapshot(folder: Path) -> Snapshot | None:
    """The last checkpoint, or None where there is none that can be used: then the training starts anew, to the same end."""
    try:
        open_ordinary(folder / FILE).close()  # the library would follow a link, and wait for what fills a pipe
        with safe_open(folder / FILE, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if header["sha256"] != _digest(tensors, header["values"]):
                return None
            return Snapshot(tensors, json.loads(header["values"]))
    except (OSError, SafetensorError, ValueError, LookupError, TypeError, RuntimeError, MemoryError):
        return None


def _digest(tensors: dict[str, Tensor], values: str) -> str:
    """What shows that neither has changed since it was written: half a checkpoint would lead a training astray."""
    found = hashlib.sha256(values.encode())
    for name in sorted(tensors):
        found.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        found.update(tensors[name].numpy().tobytes())
    return found.hexdigest()


def drop_checkpoint(folder: Path) -> None:
    """Remove what a finished run no longer needs."""
    (folder / FILE).unlink(missing_ok=True)

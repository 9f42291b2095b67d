"""Data files whose structure is wrong: a small sound .h5ad with some of its parts exchanged, linked, cut, renamed or retyped."""

import contextlib
import io
import random
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np

from tests.conftest import make_toy
from yoto_core.data.reading import read_dataset
from yoto_core.errors import YotoError
from yoto_core.prediction.cells import open_cells
from yoto_core.report import data_as_text, describe_data

CANARY = b"a line of somebody else's file"
CONTENTS = (
    b"",
    b"{",
    CANARY,
    b'{"zarr_format": 2, "shape": [99999999999], "chunks": [1], "dtype": "|O", "filters": [{"id": "pickle"}]}',
)
ATTRIBUTES = ("encoding-type", "encoding-version", "shape", "_index", "column-order", "categories", "ordered")
TYPES = ("i1", "u8", ">i4", "<f2", "f8", "?", "c8", "S3", "O")


@lru_cache
def sound(folder: Path) -> Path:
    """The file that every case begins with: 40 cells × 60 genes, with layers, raw and columns of every usual kind."""
    toy = make_toy(cells=40)
    toy.obs["flag"] = toy.obs["condition"] == "stim"
    toy.obs["text"] = [f"text {i % 3}" for i in range(40)]
    toy.obs["whole"] = np.arange(40) % 5
    toy.layers["counts"] = toy.X.tocsc()
    toy.raw = toy
    toy.X = toy.X.toarray()
    path = folder / "sound.h5ad"
    toy.write_h5ad(path)
    return path


def names_of(file: h5py.File) -> list[str]:
    """Every group and dataset."""
    found: list[str] = []
    file.visit(found.append)
    return found


def any_value(chance: random.Random) -> object:
    """Something that may stand where something else is expected."""
    dtype, length = chance.choice(TYPES), chance.choice((0, 1, 3, 40, 60, 61))
    if dtype == "O":
        return np.array(["x" * chance.choice((0, 1, 300))] * length, dtype=h5py.string_dtype())
    shape = chance.choice(((), (length,), (length, chance.choice((1, 60))), (2, 2, 2)))
    values = np.array([chance.choice((0, 1, 2, 127)) for _ in range(int(np.prod(shape)))]).reshape(shape)
    return chance.choice((values.astype(dtype), h5py.Empty("f4"), np.float64("nan"), 1e300, -1))


def replace(file: h5py.File, chance: random.Random, names: list[str]) -> None:
    place = chance.choice(names)
    del file[place]
    file[place] = any_value(chance)


def remove(file: h5py.File, chance: random.Random, names: list[str]) -> None:
    del file[chance.choice(names)]


def link(file: h5py.File, chance: random.Random, names: list[str]) -> None:
    place, target = chance.choice(names), chance.choice(names)
    kind = chance.choice(("soft", "hard", "away"))
    other = {
        "soft": h5py.SoftLink(f"/{target}"), "hard": file[target], "away": h5py.ExternalLink("canary.txt", f"/{target}"),
    }[kind]  # fmt: skip
    del file[place]
    file[place] = other


def attribute(file: h5py.File, chance: random.Random, names: list[str]) -> None:
    part, name = file[chance.choice(names)], chance.choice(ATTRIBUTES)
    with contextlib.suppress(KeyError):
        del part.attrs[name]
    part.attrs[name] = chance.choice(
        (any_value(chance), "csr_matrix", "dataframe", "categorical", np.array([3, 3]), "0.9")
    )


def outside(file: h5py.File, chance: random.Random, names: list[str]) -> None:
    place = chance.choice([name for name in names if isinstance(file[name], h5py.Dataset) and file[name].size])
    shape = file[place].shape
    del file[place]
    file.create_dataset(place, shape=shape, dtype="u1", external=[("canary.txt", 0, len(CANARY))])


def inflate(file: h5py.File, chance: random.Random, names: list[str]) -> None:
    place = chance.choice([name for name in names if isinstance(file[name], h5py.Dataset)])
    rank = max(1, file[place].ndim)
    del file[place]
    shape = tuple(chance.choice((1, 40, 1 << 20, 1 << 40)) for _ in range(rank))
    file.create_dataset(place, shape=shape, dtype=chance.choice(("f4", "i8", "S20")), chunks=(1 << 10,) * rank)


CHANGES: tuple[Callable[[h5py.File, random.Random, list[str]], None], ...] = (
    replace, remove, link, attribute, outside, inflate,
)  # fmt: skip


def build(seed: int, folder: Path) -> Path:
    """The file of a seed, in a folder that holds the canary too."""
    chance, path = random.Random(seed), folder / f"case{seed}.h5ad"
    shutil.copyfile(sound(folder), path)
    (folder / "canary.txt").write_bytes(CANARY * 200)
    with h5py.File(path, "r+") as file:
        for _ in range(chance.choice((1, 1, 2, 4))):
            # A change may not fit what an earlier one left.
            with contextlib.suppress(
                KeyError, ValueError, OSError, TypeError, RuntimeError, IndexError, AttributeError
            ):
                chance.choice(CHANGES)(file, chance, names_of(file))
    return path


def flip(seed: int, folder: Path) -> Path:
    """The sound file with some bytes changed, or cut short."""
    chance, path = random.Random(seed), folder / f"flip{seed}.h5ad"
    content = bytearray(sound(folder).read_bytes())
    for _ in range(chance.choice((1, 3, 30))):
        content[chance.randrange(len(content))] = chance.randrange(256)
    path.write_bytes(content[: chance.choice((len(content), chance.randrange(len(content))))])
    return path


def outcome(path: Path) -> str:
    """What reading the file, as training data and as new cells, came to."""
    said: list[YotoError] = []
    try:
        data = read_dataset(path)
        text = data_as_text(describe_data(data))
        assert CANARY.decode() not in text
        assert CANARY not in data.matrix.data.tobytes()
        assert data.matrix.shape == (len(data.obs), len(data.genes.symbols))
    except YotoError as error:
        said.append(error)
    try:
        with open_cells(path) as cells:
            for _ in cells.blocks(range(min(3, len(cells.genes.symbols)))):
                pass
    except YotoError as error:
        said.append(error)
    assert all(error.args[0] and error.hint for error in said)
    assert (path.parent / "canary.txt").read_bytes() == CANARY * 200
    return "sentence" if said else "read"


def case(seed: int, folder: Path) -> str:
    """Build the file of a seed, odd in structure, and read it."""
    path = build(seed, folder)
    try:
        return outcome(path)
    finally:
        path.unlink()


def flipped(seed: int, folder: Path) -> str:
    """Build the file of a seed, sound but for some bytes, and read it."""
    path = flip(seed, folder)
    (folder / "canary.txt").write_bytes(CANARY * 200)
    try:
        return outcome(path)
    finally:
        path.unlink()


def container(seed: int, folder: Path) -> str:
    """A zarr store, folder or archive with members that lead out of it: refused whole, nothing unpacked, nothing written."""
    chance, path = random.Random(seed), folder / f"store{seed}"
    (folder / "canary.txt").write_bytes(CANARY * 200)
    parts = [
        ".zgroup",
        "zarr.json",
        ".zattrs",
        "X/.zarray",
        "X/0.0",
        "../canary.txt",
        "/etc/hostname",
        "..\\canary.txt",
    ]
    members = {chance.choice(parts): chance.choice(CONTENTS) for _ in range(chance.choice((0, 1, 5)))}
    kind = chance.choice(("folder", "zip", "tar", "tar.gz"))
    if kind == "folder":
        path.mkdir()
        for name, content in members.items():
            if ".." not in name and not name.startswith("/"):
                (path / name).parent.mkdir(exist_ok=True)
                (path / name).write_bytes(content)
        if chance.random() < 0.5:
            (path / "X").mkdir(exist_ok=True)
            (path / "X" / "0.1").symlink_to(folder / "canary.txt")
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(path, "w:gz" if kind.endswith("gz") else "w") as archive:
            for name, content in members.items():
                about = tarfile.TarInfo(name)
                about.size = len(content)
                archive.addfile(about, io.BytesIO(content))
    before = sorted(folder.rglob("*"))
    try:
        said = outcome(path)
        assert sorted(folder.rglob("*")) == before
        return said
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink()

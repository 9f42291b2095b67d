"""The only place that opens an HDF5 file. What a file names outside itself is refused, and so is what it cannot hold.

HDF5 can take data from other files: by external links, by datasets whose bytes lie in other files, and by virtual datasets;
whoever opens such a file reads, or writes, those others. Before anything is read the whole tree is therefore walked, opening
only what a hard link leads to, and any of these is refused.

HDF5 can also declare far more than it stores: fill values, compressed zeros, and any number of texts that are one text in the
file. What is read whole is therefore added up first, and held against the size of the file and the memory that is free.
"""

import math
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import h5py
from h5py import h5d, h5g, h5o, h5r, h5t

from yoto_core.data.foreign import refuse_foreign
from yoto_core.errors import DataError, YotoError, limit_of
from yoto_core.memory import reckon
from yoto_core.words import size_text

MOST_OBJECTS = 100_000  # groups and datasets of one file; scanpy's largest hold some thousands
DEEPEST = 100  # groups inside one another
# Deflate, the strongest filter that is always there, packs at most 1,032 bytes into one (zlib, "Technical Details").
MOST_PACKED = 1_100
SMALL = 1 << 26  # bytes that any file may declare, however small it is
BLOCK = 1 << 28  # bytes of texts that are looked at together …
MANY = 100  # … in at most so many blocks where it is not known how long a text may be
TEXT = 64  # bytes of a short text as Python holds it, with its place in a column
HEAP = b"GCOL\x01\0\0\0"  # every collection of texts in a file begins so, and its size follows in eight bytes
ENTRY = struct.Struct("<HHIQ")  # of a collection: its number, how often it is used, nothing, the bytes of its text
SAVE_AGAIN = "Save it again with adata.write_h5ad(...) and load the new file."
FOREIGN_FILTER = re.compile(r"required filter .* is not registered|can't open directory .*plugin")  # HDF5's words
LIBRARY_ERRORS = (
    MemoryError, OSError, LookupError, RuntimeError, ValueError, TypeError, AttributeError, ArithmeticError, AssertionError,
)  # fmt: skip


def damaged(name: str, error: BaseException, where: str = "") -> YotoError:
    """The sentence for a file that cannot be read: the machine is the reason, or a filter, or else its bytes, at that place."""
    if limit := limit_of(error, name):
        return limit
    reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    reason = f"{where}: {reason}" if where else reason
    if FOREIGN_FILTER.search(reason):
        return DataError(f"{name} is compressed in a way that cannot be read here ({reason}).", hint=SAVE_AGAIN)
    return DataError(f"{name} is cut short or damaged ({reason}).", hint="Copy or save the file again.")


@contextmanager
def mended(name: str, where: str = "") -> Iterator[None]:
    """Turn what the libraries say of broken bytes into one sentence."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise damaged(name, error, where) from error


@contextmanager
def opened(path: Path, name: str, *, writing: bool = False) -> Iterator[h5py.File]:
    """An HDF5 file that holds all it names: to be read, or with `writing` to be changed where it lies.

    Raises:
        DataError: There is no such file, it is of another kind, reaches beyond itself, or its bytes are broken.
        MachineError: The system refuses to read it.
    """
    refuse_foreign(path, name)
    with mended(name):
        if not h5py.is_hdf5(path):
            raise DataError(f"{name} is not an .h5ad file.", hint="Save the data with adata.write_h5ad(...).")
        _longest_text(path)
        file = h5py.File(path, "r+" if writing else "r")
    with file:
        with mended(name):
            refuse_what_lies_outside(file, name)
        yield file


def refuse_what_lies_outside(file: h5py.File, name: str) -> None:
    """Walk the whole file, and refuse (DataError) whatever it takes from elsewhere.

    Soft links stay inside a file, so what they lead to is met on the walk, or is nowhere. References of anndata's older
    categories may lead to an object without a link; one that the walk did not meet is refused too.
    """
    root = h5g.open(file.id, b"/")
    met, waiting, pointed = {_address(root)}, [(root, "")], []
    while waiting:
        group, path = waiting.pop()
        for link in group:
            here = f"{path}/{link.decode('utf-8', 'replace')}"
            kind = group.links.get_info(link).type
            if kind == h5py.h5l.TYPE_SOFT:
                continue
            if kind != h5py.h5l.TYPE_HARD:
                raise _reaches_out(name, here, "a link to another file")
            child = h5o.open(group, link)
            if _address(child) in met:
                continue
            met.add(_address(child))
            if len(met) > MOST_OBJECTS:
                raise DataError(f"{name} holds more than {MOST_OBJECTS:,} objects.", hint=SAVE_AGAIN)
            if isinstance(child, h5g.GroupID):
                if here.count("/") > DEEPEST:
                    raise DataError(f"{name} nests groups more than {DEEPEST} deep.", hint=SAVE_AGAIN)
                waiting.append((child, here))
            elif isinstance(child, h5d.DatasetID):
                _refuse_foreign_bytes(child, name, here)
                pointed += [(here, address) for address in _categories_of(child)]
    for here, address in pointed:
        if address not in met:
            raise _reaches_out(name, here, "a reference to what is not in the file's tree")


def refuse_long_attributes(part: h5py.Group | h5py.Dataset, name: str) -> None:
    """Refuse (MachineError) lists of texts among its attributes, which are read at once, where the longest there may be do not fit."""
    path = Path(part.file.filename)
    for number in range(h5py.h5a.get_num_attrs(part.id)):
        attribute = h5py.h5a.open(part.id, index=number)
        count = math.prod(attribute.shape or ())
        texts = count > 1 and attribute.get_type().get_class() in (h5t.STRING, h5t.VLEN)
        if texts and count * path.stat().st_size > SMALL:
            reckon(count * _longest_text(path), name)


def refuse_more_than_it_holds(datasets: list[h5py.Dataset], name: str) -> None:
    """Add up what reading these would take, each as often as it is named, before any of it is read.

    Raises:
        DataError: They declare more than a file of this size can hold.
        MachineError: They need more memory than is free.
    """
    if datasets:
        held = _Held(datasets[0].file, name)
        for dataset in datasets:
            held.add(dataset)
        reckon(held.needed, name)


def refuse_a_matrix_it_cannot_hold(values: h5py.Dataset, name: str) -> None:
    """The same for one dataset that is read in blocks (DataError, MachineError): its values, and one of its pieces."""
    held = _Held(values.file, name)
    if _declared(values) > held.most:
        raise held.too_much(values, f"{' × '.join(f'{length:,}' for length in values.shape)} values")
    if values.chunks:  # is unpacked as one, however little of it is asked for
        reckon(values.dtype.itemsize * math.prod(values.chunks), f"{values.name.strip('/')} of {name}")


class _Held:
    """The sum of what parts of a file declare, and of what they take in memory."""

    def __init__(self, file: h5py.File, name: str) -> None:
        self.path, self.name = Path(file.filename), name
        self.size = self.path.stat().st_size
        self.most = SMALL + MOST_PACKED * self.size
        self.declared = self.needed = 0

    def add(self, dataset: h5py.Dataset) -> None:
        """One dataset that is read whole, into pandas: its values and copies of them."""
        declared = _declared(dataset)
        self.declared += declared
        if self.declared > self.most:
            raise self.too_much(dataset, size_text(self.declared))
        if h5py.check_vlen_dtype(dataset.dtype) is not None:
            self.needed += _count(dataset) * TEXT + 2 * self._texts(dataset)
        else:
            self.needed += declared * (5 if dataset.dtype.kind == "S" else 3)

    def too_much(self, dataset: h5py.Dataset, what: str) -> DataError:
        """The refusal of what the file cannot hold."""
        return DataError(
            f"{self.name} declares {what} at {dataset.name.strip('/')}, more than a file of {size_text(self.size)} can hold.",
            hint=SAVE_AGAIN,
        )

    def _texts(self, dataset: h5py.Dataset) -> int:
        """Bytes of all texts together, looked at in blocks that no text can make large."""
        count, total = _count(dataset), 0
        step = max(1, BLOCK // self.size)
        if count > MANY * step:
            step = max(1, BLOCK // _longest_text(self.path))
        flat = dataset.shape == (count,)
        for start in range(0, count if flat else 0, step):
            total += sum(map(len, dataset[start : start + step]))
            if total > self.size:
                break
        if total > self.size or (count and not flat):  # each text is stored by itself, and is not packed
            raise self.too_much(dataset, "texts longer than all that is stored")
        return total


def _categories_of(dataset: h5d.DatasetID) -> list[int]:
    """The addresses of the objects that a dataset's attribute “categories” refers to."""
    if not h5py.h5a.exists(dataset, b"categories"):
        return []
    attribute = h5py.h5a.open(dataset, b"categories")
    if attribute.get_type().get_class() != h5t.REFERENCE or attribute.shape != ():
        return []
    reference = h5py.AttributeManager(h5py.Dataset(dataset))["categories"]
    return [_address(h5r.dereference(reference, dataset))] if reference else []


def _refuse_foreign_bytes(dataset: h5d.DatasetID, name: str, here: str) -> None:
    made = dataset.get_create_plist()
    if made.get_external_count():
        raise _reaches_out(name, here, "values that lie in another file")
    if made.get_layout() not in (h5d.COMPACT, h5d.CONTIGUOUS, h5d.CHUNKED):
        raise _reaches_out(name, here, "values that are taken from other files (a virtual dataset)")


def _reaches_out(name: str, here: str, what: str) -> DataError:
    return DataError(
        f"{name} holds {what}, at {here.strip('/')}: nothing outside a file is read for it.",
        hint="Put everything into one file: read it where it was made and save it with adata.write_h5ad(...).",
    )


def _address(of: h5g.GroupID | h5d.DatasetID) -> int:
    return h5o.get_info(of).addr


def _count(dataset: h5py.Dataset) -> int:
    return 0 if dataset.shape is None else math.prod(dataset.shape)


def _declared(dataset: h5py.Dataset) -> int:
    return dataset.dtype.itemsize * _count(dataset)


def _longest_text(path: Path) -> int:
    """No text of this file has more bytes: texts lie in collections, and these tell their sizes.

    HDF5 walks through a collection from text to text, and for ever where one is said to take no place at all (HDF5 File Format
    Specification 3.0, section III.E): a file that holds such a collection must not be asked for a text (ValueError).
    """
    stat = path.stat()
    return _scan(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _scan(path: Path, _inode: int, size: int, _changed: int) -> int:
    longest, left = 1, size
    with path.open("rb") as file:
        for start in _collections(file):
            file.seek(start + len(HEAP))
            stated = min(int.from_bytes(file.read(8), "little"), size - start)
            longest, left = max(longest, stated), left - stated
            if left < 0:
                raise ValueError("collections of texts overlap")
            _see_that_it_ends(file, start + len(HEAP) + 8, start + stated)
    return longest


def _collections(file: BinaryIO) -> Iterator[int]:
    """Where collections of texts begin; others may move the place in the file meanwhile."""
    at, step, overlap = 0, 1 << 24, len(HEAP) - 1
    while True:
        file.seek(at)
        block = file.read(step)
        yield from (at + found.start() for found in re.finditer(re.escape(HEAP), block))
        if len(block) < step:
            return
        at += step - overlap


def _see_that_it_ends(file: BinaryIO, at: int, end: int) -> None:
    while at + ENTRY.size <= end:
        file.seek(at)
        number, _, _, length = ENTRY.unpack(file.read(ENTRY.size))
        step = ENTRY.size + -(-length // 8) * 8 if number else length
        if not step:
            raise ValueError("texts lie in a collection that does not end")
        at += step

"""Files and folders that are no .h5ad, told by their content, and what to do with each."""

from pathlib import Path

from yoto_core.errors import DataError, limit_of

SAVE = "Read it where it was made and save it with adata.write_h5ad(...)."
UNPACK = "Unpack it and load the .h5ad file inside; what is none is to be saved as one first."
HEAD = 512  # bytes
# What a file begins with -> what it is, and what to do.
BEGINNINGS = (
    (b"PK\x03\x04", "a zip archive", UNPACK),
    (b"\x1f\x8b", "compressed with gzip", UNPACK),
    (b"BZh", "compressed with bzip2", UNPACK),
    (b"\xfd7zXZ\x00", "compressed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "compressed with zstandard", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"RDX", "saved by R", "In R save it with the package zellkonverter: writeH5AD(...)."),
    (b"CDF", "a NetCDF file", SAVE),
    (b"%%MatrixMarket", "a matrix without names of genes and cells", SAVE),
    (b"PAR1", "a parquet table", SAVE),
)  # fmt: skip
TAR, TAR_AT = b"ustar", 257
ZARR = ("zarr.json", ".zgroup", ".zattrs", ".zmetadata")


def refuse_foreign(path: Path, name: str) -> None:
    """Refuse what is missing, empty, unreadable, or of another kind than HDF5 (DataError or MachineError).

    Nothing of it is opened but the beginning; archives are not looked into, and nothing is unpickled.
    """
    if path.is_dir():
        if any((path / inner).exists() for inner in ZARR):
            raise DataError(f"{name} is a zarr store; only .h5ad files are read.", hint=SAVE)
        raise DataError(f"{name} is a folder.", hint="Give the .h5ad file inside it.")
    if path.exists() and not path.is_file():
        raise DataError(f"{name} is no ordinary file.", hint="Copy the data into a file first.")
    if not path.is_file():
        raise DataError(f"There is no file {path.name}.", hint="Check the path.")
    if path.stat().st_size == 0:
        raise DataError(f"{name} is empty (0 bytes).", hint="Copy or download the file again.")
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        raise limit_of(error, name) or DataError(f"{name} cannot be read.", hint="Check the file.") from error
    _refuse_by_beginning(name, head)


def _refuse_by_beginning(name: str, head: bytes) -> None:
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise DataError(f"{name} is a pickle, which can run code; it is not opened.", hint=SAVE)
    if head[TAR_AT : TAR_AT + len(TAR)] == TAR:
        raise DataError(f"{name} is a tar archive, not an .h5ad file.", hint=UNPACK)
    for beginning, kind, hint in BEGINNINGS:
        if head.startswith(beginning):
            raise DataError(f"{name} is {kind}, not an .h5ad file.", hint=hint)

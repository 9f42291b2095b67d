"""Numbers and nouns as sentences and tables for people write them."""

import math
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a worker says that it lives before pandas has loaded
    import pandas as pd

_ENDING = re.compile(r"[_. ]?(id|ids|name|no)$", re.IGNORECASE)
_JOINERS = "\u200c\u200d"
_PLURALS = {
    "donor": "donors", "patient": "patients", "individual": "individuals", "subject": "subjects", "sample": "samples",
    "batch": "batches", "library": "libraries", "replicate": "replicates", "mouse": "mice", "animal": "animals",
    "lane": "lanes", "chip": "chips", "plate": "plates",
}  # fmt: skip


def group_words(column: str) -> tuple[str, str]:
    """One group and several groups of an obs column in words: donor_id gives donor, donors; other names stay as they are."""
    plain = _ENDING.sub("", column).lower()
    known = _PLURALS.get(plain)
    return (plain, known) if known else (f"group of {column}", f"groups of {column}")


def counted(number: int, one: str, many: str = "") -> str:
    """A number with its noun: 1 cell, 1,200 cells; `many` where the plural is not made with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def sentence_case(text: str) -> str:
    """The text with a capital at its beginning; names further on keep theirs."""
    return text[:1].upper() + text[1:]


def size_text(size: float) -> str:
    """Bytes as people write them, by powers of ten: 512 bytes, 3.1 MB, 12 GB."""
    for power, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= power:
            return f"{size / power:.{0 if size >= 10 * power else 1}f}".removesuffix(".0") + f" {unit}"
    return f"{size:,.0f} bytes"


def number_text(value: float, digits: int = 2, *, signed: bool = False) -> str:
    """A score or a difference with a fixed number of decimals: 0.84, −0.12 with a real minus, and 0.00, never −0.00.

    With `signed` a plus stands before numbers above zero. What is not a number is a dash.
    """
    if math.isnan(value):
        return "–"
    text = f"{value:{'+' if signed else ''}.{digits}f}"
    return text.lstrip("+-") if float(text) == 0 else text.replace("-", "−")


def without_minus_zero(values: "pd.Series", digits: int) -> "pd.Series":
    """Numbers of a table's column, rounded to the decimals that it shows, so that none reads −0.00."""
    return values.round(digits) + 0.0  # −0.0 + 0.0 is 0.0


def printable(text: str) -> str:
    r"""Text that may go to a terminal: what would move the cursor, colour it or turn the reading direction is written out.

    Control characters (Unicode Cc, of which a terminal's escape sequences are made), invisible format characters (Cf, as
    U+202E, which shows names backwards), lone halves of characters (Cs) and the line separators of Unicode become \x1b or
    \u202e; the two joiners that scripts and emoji need stay. Line breaks stay: names are brought to `one_line` where a
    sentence is made of them.
    """
    return "".join(char if char == "\n" or not _steers(char) else _written_out(char) for char in text)


def one_line(text: str) -> str:
    """The same with line breaks written out too, so that a name cannot begin a line of its own."""
    return "".join(_written_out(char) if _steers(char) else char for char in text)


def _steers(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") and char not in _JOINERS


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")

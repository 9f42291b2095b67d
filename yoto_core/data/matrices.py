"""Which matrix of a file to use: each candidate is judged by what a sample of its cells does, with the evidence stated.

A logarithm, a scaling or both leave traces that are looked for, the surest first: the totals of the cells are all the same
(before a logarithm, or after it is undone in base e, 2 or 10); all values are whole numbers; the values of a cell are whole
multiples of one number, which remains true of any choice of genes. Of what has none of these the likeliest is taken, and said to
be no more: of counts, a cell that shows more genes has more of each, of normalised values less; and where a logarithm that never
was is undone, the totals of the cells fall far apart.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from yoto_core.data.scales import COUNTS, LARGEST, SMALLEST, TARGET_SUM, Scale, undo_log
from yoto_core.data.whole_cells import Sample
from yoto_core.errors import DataError

MatrixKind = Literal["counts", "log-normalised", "normalised", "binary", "logged twice", "scaled", "unreadable"]

# log1p of 10,000 transcripts, all of one gene, is 9.2; of 100 million 18.4: above this nothing was logged.
LOG_CEILING = 20.0
BASES = {math.e: "e", 2.0: "2", 10.0: "10"}
SAME = 0.02  # the middle nine tenths of cell totals within 2 % are one total: genes are often dropped after scaling
ROUND = 0.01  # a total this close to a power of ten is that power
WHOLE = 0.01  # a value this close to a whole number is one …
TELLABLE = 2_000.0  # … up to here: single precision of a logarithm leaves 0.002 at this size
MULTIPLE = 1e-3  # the same, relative, for a value as a multiple of the smallest of its cell
MANY_MULTIPLES = 0.6  # share of values: the smallest of a cell need not stand for one transcript
MIN_CELLS = 20  # cells with something to tell, from which their depth is trusted
DIFFER = 1.15  # … if those that show many genes show this many times as many as those that show few
# Rank correlation of a cell's genes seen and its mean log value. Measured on eight data sets with all genes and with chosen
# ones: -0.3 and less of normalised values, logged or not; 0.02 and more of corrected counts, where depths differ.
LESS_EACH, MORE_EACH = -0.3, 0.1
# A logarithm undone leaves totals of a few chosen genes that differ by e^2.1 at most (nine tenths of the cells, the same data);
# where it is undone of corrected counts, which had none, by e^4 and more.
UNLIKE = 3.0
PREFERENCE: tuple[MatrixKind, ...] = ("counts", "log-normalised", "normalised", "binary")
# Other layers (spliced, imputed, binary, …) hold something else than expression and are used only where these fail.
USUAL_NAMES = ("layers/counts", "raw.X", "X")
# How a user may ask a matrix to be read whatever its values look like: "X as counts".
READINGS: dict[str, tuple[MatrixKind, Scale]] = {
    "counts": ("counts", COUNTS),
    "natural logarithms": ("log-normalised", Scale(math.e)),
    "logarithms in base 2": ("log-normalised", Scale(2.0)),
    "logarithms in base 10": ("log-normalised", Scale(10.0)),
    "normalised, not logged": ("normalised", Scale()),
}


@dataclass(frozen=True)
class Verdict:
    """What one matrix of a file holds, and how we know."""

    name: str
    kind: MatrixKind
    evidence: str
    scale: Scale = COUNTS  # says nothing where the matrix is not usable
    sure: bool = True  # False where nothing proves the kind, and the likeliest was taken
    genes: int = 0

    @property
    def usable(self) -> bool:
        """Whether a panel can be chosen from it."""
        return self.kind in PREFERENCE


def classify(name: str, sample: Sample, *, genes: int = 0) -> Verdict:
    """Judge a matrix of that many genes by a sample of its cells."""
    kind, evidence, scale, sure = _told(sample)
    return Verdict(name, kind, evidence, scale or COUNTS, sure, genes)


def read_as(verdict: Verdict, reading: str) -> Verdict:
    """The verdict that the user gives instead, one of `READINGS` (DataError where the values allow none of them)."""
    if verdict.kind in ("scaled", "unreadable"):
        raise _unusable(verdict)
    kind, scale = READINGS[reading]
    if (kind, scale.base) == (verdict.kind, verdict.scale.base):
        scale = verdict.scale  # what is known of the totals stays known
    return replace(
        verdict, kind=kind, scale=scale, sure=True, evidence=f"read as {reading}, as asked; {verdict.evidence}"
    )


def parse_choice(wanted: str, names: tuple[str, ...]) -> tuple[str, str]:
    """A matrix and how to read it, "" for as it is judged: "X as counts" is X, unless there is a matrix of that very name."""
    if wanted not in names:
        for reading in READINGS:
            if wanted.endswith(f" as {reading}"):
                return wanted.removesuffix(f" as {reading}"), reading
    return wanted, ""


def choose(verdicts: tuple[Verdict, ...], wanted: str) -> Verdict:
    """The named matrix, or for "auto" the usual one that holds counts, else logs, else normalised values.

    Of two of one kind the one with more genes is taken. A name may say how to read the matrix (`parse_choice`).
    """
    name, reading = parse_choice(wanted, tuple(verdict.name for verdict in verdicts))
    if name != "auto":
        named = next((verdict for verdict in verdicts if verdict.name == name), None)
        if named is None:
            raise DataError(
                f"The file has no matrix “{name}”.", hint=f"It has {', '.join(verdict.name for verdict in verdicts)}."
            )
        named = read_as(named, reading) if reading else named
        if not named.usable:
            raise _unusable(named)
        return named
    usable = [verdict for verdict in verdicts if verdict.usable]
    if usable:
        best = min(usable, key=lambda v: (v.name not in USUAL_NAMES, PREFERENCE.index(v.kind), -v.genes))
        return read_as(best, reading) if reading else best
    found = "; ".join(f"{verdict.name}: {verdict.evidence}" for verdict in verdicts)
    raise DataError(f"No usable expression matrix ({found}).", hint="Save raw counts in X or in layers['counts'].")


def _unusable(verdict: Verdict) -> DataError:
    return DataError(
        f"{verdict.name} is {verdict.kind}: {verdict.evidence}.", hint="Choose a matrix of counts or logs."
    )


Told = tuple[MatrixKind, str, Scale | None, bool]  # kind, evidence, scale, sure


def _told(sample: Sample) -> Told:
    values = sample.values
    if values.size == 0:
        return "unreadable", "every sampled value is zero", None, True
    if not np.isfinite(values).all():
        share = np.mean(~np.isfinite(values))
        return "unreadable", f"{share:.1%} of sampled values are NaN or infinite", None, True
    low, high = float(values.min()), float(values.max())
    span = f"{values.size:,} sampled values from {low:.4g} to {high:.4g}"
    if low < 0:
        return "scaled", f"{span}: negative values, so the genes were centred", None, True
    if high > LARGEST or low < SMALLEST:
        return "unreadable", f"{span}: no measurement is that {'large' if high > LARGEST else 'small'}", None, True
    if low == high == 1:
        return "binary", f"{span}: all 1, which says whether a gene was seen and not how much", Scale(), True
    if _whole(values):
        return "counts", f"{span}: all whole numbers", COUNTS, True
    return _by_traces(sample, span) or _by_likelihood(sample, span)


Unlogged = dict[float | None, np.ndarray]  # base -> the sample's values without it; None: as they are stored


def _by_traces(sample: Sample, span: str) -> Told | None:
    """What the totals of the cells, whole numbers or whole multiples prove; None where they prove nothing."""
    single: Unlogged = {None: sample.values, **_without_log(sample.values)}
    return (
        _by_totals(sample, single, span)
        or _by_whole_numbers(single, span)
        or _by_multiples(sample, single, span)
        or _logged_twice(sample, single, span)
    )


def _by_totals(sample: Sample, single: Unlogged, span: str) -> Told | None:
    totals = {base: _one_total(sample, values) for base, values in single.items()}
    base = min(totals, key=lambda base: totals[base][1])  # logs of deep cells have much the same total too
    total, width = totals[base]
    if width > SAME:
        return None
    if base is None:
        evidence = f"{span}: the values of every cell sum to about {_number(total)}: normalised, not logged"
        return "normalised", evidence, Scale(None, total), True
    evidence = f"{span}: row sums after {_power(base)} are all close to {_number(total)}: logged in base {BASES[base]}"
    return "log-normalised", evidence, Scale(base, total), True


def _by_whole_numbers(single: Unlogged, span: str) -> Told | None:
    base = next((base for base, values in single.items() if base is not None and _whole(values)), None)
    if base is None:
        return None
    after = f"all whole numbers after {_power(base)}: counts logged in base {BASES[base]} and never normalised"
    return "log-normalised", f"{span}: {after}", Scale(base, "own"), True


def _by_multiples(sample: Sample, single: Unlogged, span: str) -> Told | None:
    shares = {base: _multiples(sample, values) for base, values in single.items()}
    base = max(shares, key=shares.get)
    if shares[base] < MANY_MULTIPLES:
        return None
    total = _total_behind(sample, single[base])
    known = f"they fit counts scaled to {_number(total)}" if total else "to what total they were scaled is not known"
    evidence = f"the values of a cell are whole multiples of one number, and {known}"
    if base is None:
        return "normalised", f"{span}: {evidence}: normalised, not logged", Scale(None, total), True
    told = f"{span}: after {_power(base)} {evidence}: logged in base {BASES[base]}"
    return "log-normalised", told, Scale(base, total), True


def _logged_twice(sample: Sample, single: Unlogged, span: str) -> Told | None:
    if len(sample.of_cells(np.add)) < MIN_CELLS:  # a few values may look like anything
        return None
    for first, values in single.items():
        for second, twice in _without_log(values).items() if first is not None else ():
            if _one_total(sample, twice)[1] <= SAME or _whole(twice) or _multiples(sample, twice) >= MANY_MULTIPLES:
                how = f"the values are those of normalised cells only after {_power(first)} and then {_power(second)}"
                return "logged twice", f"{span}: {how}", None, True
    return None


def _by_likelihood(sample: Sample, span: str) -> Told:
    """The likeliest kind of fractions that carry no trace: what fits the totals and the depth of their cells."""
    high, totals, each = float(sample.values.max()), sample.of_cells(np.add), _depth(sample)
    if len(totals) >= MIN_CELLS and totals.max() <= 1.0001:
        why = "fractions that sum to no more than 1 in any cell: taken as proportions, not logged"
        return "normalised", f"{span}: {why}", Scale(None, 1.0), False
    rows = "row sums vary" if len(totals) > 1 else "no whole cells were compared"
    corrected = "taken as counts after a correction, as for ambient RNA"
    if high >= LOG_CEILING or _spread(sample, undo_log(sample.values, math.e)) > UNLIKE:
        why = "fractions too large" if high >= LOG_CEILING else "fractions whose cells differ too much"
        if each < LESS_EACH:
            less = "and cells that show more genes have lower values: taken as normalised, not logged"
            return "normalised", f"{span}: {why} for logarithms, {less}", Scale(), False
        return "counts", f"{span}: {why} for logarithms, {rows}: {corrected}", COUNTS, False
    if each > MORE_EACH:
        why = "fractions, and cells that show more genes have higher values"
        return "counts", f"{span}: {why}: {corrected}", COUNTS, False
    why = f"fractions up to {high:.2g}, {rows}: taken as natural logarithms of normalised counts"
    return "log-normalised", f"{span}: {why}", Scale(math.e), False


def _number(total: float) -> str:
    return f"{total:,.0f}" if total >= 100 else f"{total:.4g}"


def _power(base: float) -> str:
    return f"{BASES[base]}^x - 1"


def _without_log(values: np.ndarray) -> dict[float, np.ndarray]:
    """The values with a logarithm undone, for every base in which they could be logarithms."""
    high = values.max()
    return {base: undo_log(values, base) for base in BASES if high * math.log(base) < LOG_CEILING}


def _whole(values: np.ndarray) -> bool:
    """Whether all values are whole; of logarithms undone only those are looked at that single precision could tell."""
    whole = np.round(values)
    if np.array_equal(values, whole):
        return True
    told = values < TELLABLE
    return bool(whole.min() >= 1 and told.mean() >= 0.5 and (np.abs(values - whole)[told] < WHOLE).all())


def _one_total(sample: Sample, values: np.ndarray) -> tuple[float, float]:
    """The middle total of the cells, and the width of the middle nine tenths relative to it (infinite for too few cells)."""
    totals = sample.of_cells(np.add, values)
    if len(totals) < 3:
        return math.nan, math.inf
    low, middle, high = np.percentile(totals, [5, 50, 95])
    return _rounded(float(middle)), float((high - low) / middle)


def _rounded(total: float) -> float:
    power = 10.0 ** round(math.log10(total))
    return power if abs(total / power - 1) < ROUND else total


def _multiples(sample: Sample, values: np.ndarray) -> float:
    """Share of values, clearly above the smallest of their cell, that are whole multiples of it; 0 where there are few such."""
    smallest = sample.of_cells(np.minimum, values)
    if not len(smallest):
        return 0.0
    ratio = values / np.repeat(smallest, sample.lengths[sample.lengths > 0])
    ratio = ratio[(ratio > 1.5) & (ratio < 30)]
    if len(ratio) < 50:
        return 0.0
    return float(np.mean(np.abs(ratio - np.round(ratio)) < MULTIPLE * ratio))


def _total_behind(sample: Sample, values: np.ndarray) -> float | None:
    """The power of ten to which counts were scaled, where one fits: it divided by a cell's unit is the cell's count of transcripts."""
    unit = sample.of_cells(np.minimum, values)
    for total in (1.0, 100.0, 1_000.0, TARGET_SUM, 100_000.0, 1_000_000.0):
        counted = total / unit
        counted = counted[(counted > 1.5) & (counted < 100_000)]  # beyond, single precision cannot tell
        whole = np.abs(counted - np.round(counted)) < 0.05
        if len(counted) >= MIN_CELLS and len(counted) > len(unit) / 2 and whole.mean() >= MANY_MULTIPLES:
            return total
    return None


def _spread(sample: Sample, values: np.ndarray) -> float:
    """Logarithm of how many times the total of a rich cell is that of a poor one; NaN for too few cells to tell."""
    totals = sample.of_cells(np.add, values)
    return float(np.log(np.divide(*np.percentile(totals, [95, 5])))) if len(totals) >= MIN_CELLS else math.nan


def _depth(sample: Sample) -> float:
    """Rank correlation over cells of the genes seen and the mean log(1 + value) of those; NaN where cells differ too little."""
    seen = sample.lengths[sample.lengths > 0]
    if len(seen) < MIN_CELLS or np.percentile(seen, 90) < DIFFER * np.percentile(seen, 10):
        return math.nan
    mean = sample.of_cells(np.add, np.log1p(sample.values)) / seen
    # Means that are equal but for rounding are equal: else chance would rank them.
    ranks = [np.unique(numbers, return_inverse=True)[1] for numbers in (seen, np.round(mean, 9))]
    return float(np.corrcoef(*ranks)[0, 1]) if np.ptp(ranks[1]) else math.nan

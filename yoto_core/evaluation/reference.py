"""What a model should know of the cells it was made with, so that new cells can be held against them.

Taken from training cells in the form that the model reads: the range of every panel gene, and how much of the panel a cell
shows.
"""

from dataclasses import dataclass, field, fields
from typing import Annotated, get_type_hints

import numpy as np

from yoto_core.data.matrices import MatrixKind
from yoto_core.data.problem import Problem
from yoto_core.data.scales import PER_CELL, TARGET_SUM, known_unit, unit_of_kind
from yoto_core.model.panel_model import PanelModel
from yoto_core.records import Count, Within, checked

MAX_CELLS = 5_000  # cells looked at; more change no figure that is shown
LOW, HIGH = 5.0, 95.0  # percentiles that count as the usual range
EXTREME = 99.5  # percentile above which a value is unusual for its gene
RARE = 1.0  # percent of training cells that are called out of range on either count
Single = Annotated[float, Within(-3e38, 3e38)]  # what single precision holds
ARRAYS = ("mean", "spread", "low", "high", "extreme", "detected")


@dataclass(frozen=True)
class Reference:
    """Training cells as the model reads them; arrays over the K genes of the panel.

    `share` is the part of a cell's transcripts (all genes) that falls on the panel, None where the values were not scaled
    to a known total; `seen` its number of panel genes above zero: their 5th, 50th and 95th percentile. A cell is out of range
    when more than `most_extreme` of its genes lie above `extreme`, or fewer than `fewest_seen` genes are seen: each was so for
    about 1 % of training cells.
    """

    kind: MatrixKind  # what the stored values were
    unit: str  # of the values before they are brought in the model's form
    cells: Count
    mean: np.ndarray = field(repr=False)
    spread: np.ndarray = field(repr=False)
    low: np.ndarray = field(repr=False)
    high: np.ndarray = field(repr=False)
    extreme: np.ndarray = field(repr=False)
    detected: np.ndarray = field(repr=False)  # share of cells (0 to 1)
    share: tuple[float, float, float] | None
    seen: tuple[float, float, float]
    most_extreme: Count
    fewest_seen: Count

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        values = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, object], *, genes: int) -> "Reference":
        """The inverse of `to_dict`; KeyError, TypeError or ValueError where it does not describe that many genes.

        Older versions wrote no unit, and a share also where no total was known: it is kept for counts alone.
        """
        if "unit" not in values:
            unit = unit_of_kind(str(values["kind"]))
            values = {**values, "unit": unit, "share": values["share"] if unit == PER_CELL else None}
        found = {}
        for spec in fields(cls):
            value = known_unit(values["unit"]) if spec.name == "unit" else values[spec.name]
            if spec.name in ARRAYS:
                value = np.array(checked(value, Annotated[tuple[Single, ...], Within(genes, genes)]), dtype=np.float32)
            elif spec.name != "unit":
                value = checked(value, get_type_hints(cls, include_extras=True)[spec.name])
            found[spec.name] = value
        return cls(**found)


def describe_training(model: PanelModel, problem: Problem, order: np.ndarray, kind: MatrixKind, unit: str) -> Reference:
    """The reference of a model from (a spread-out sample of) its training cells."""
    raw = problem.panel_columns(spread_out(problem.split.train), order)
    return describe_cells(model, raw, kind, unit)


def describe_cells(model: PanelModel, raw_BK: np.ndarray, kind: MatrixKind, unit: str) -> Reference:
    """The same from log-normalised cells × panel genes, in that unit."""
    share = panel_share(raw_BK, unit)
    formed = model.formed(raw_BK)
    extreme = np.percentile(formed, EXTREME, axis=0)
    seen = (raw_BK > 0).sum(1)
    return Reference(
        kind=kind,
        unit=unit,
        cells=len(raw_BK),
        mean=formed.mean(0),
        spread=formed.std(0),
        low=np.percentile(formed, LOW, axis=0),
        high=np.percentile(formed, HIGH, axis=0),
        extreme=extreme,
        detected=(raw_BK > 0).mean(0),
        share=None if share is None else _usual(share),
        seen=_usual(seen),
        most_extreme=int(np.ceil(np.percentile((formed > extreme).sum(1), 100 - RARE))),
        fewest_seen=int(np.floor(np.percentile(seen, RARE))),
    )


def panel_share(raw_BK: np.ndarray, unit: str) -> np.ndarray | None:
    """(B,) part (0 to 1) of each cell's 10,000 transcripts that falls on the panel; None in any other unit."""
    if unit != PER_CELL:
        return None
    return np.expm1(raw_BK.astype(np.float64)).sum(1) / TARGET_SUM


def spread_out(cells: np.ndarray) -> np.ndarray:
    """At most 5,000 of the cells, evenly spaced."""
    if len(cells) <= MAX_CELLS:
        return cells
    return cells[np.linspace(0, len(cells) - 1, MAX_CELLS).astype(int)]


def _usual(values: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = np.percentile(values, [LOW, 50, HIGH])
    return float(low), float(middle), float(high)

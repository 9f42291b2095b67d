"""How a long computation speaks to whoever started it: it reports, and it asks whether to go on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Phase = Literal["reading", "preparing", "training", "scoring", "saving", "mapping", "stability", "predicting"]


@dataclass(frozen=True)
class Progress:
    """One report: `done` of `total` units of a phase, and in `row` the step's figures where there are any."""

    phase: Phase
    done: int
    total: int
    message: str
    row: dict[str, float] = field(default_factory=dict)


OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]


class Stopped(Exception):
    """The user asked for an end: raised between two units of work, after which nothing is half done."""


def silent(_: Progress) -> None:
    """Report to nobody."""


def never() -> bool:
    """Go on to the end."""
    return False

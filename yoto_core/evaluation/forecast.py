"""How long a run will take, before it is started: a plain model of seconds, for the Design page and nothing else.

Every part of a run costs a constant times the size of what it works on. The constants are those of one machine (two
processors); `python -W ignore -m tests.benchmarks.forecast --fit` measures them anew. On data of other kinds
the forecast is right within a factor of two or so, hence “about”.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from yoto_core.config import RunConfig, SplitConfig
from yoto_core.data.folds import fold_count
from yoto_core.words import counted, group_words

# Seconds per unit of `panel_parts` and `score_parts`.
COSTS: Mapping[str, float] = {
    "start": 3.8,
    "read": 0.4,
    "train": 0.7,
    "train outputs": 0.66,
    "fold": 2.3,
    "all genes": 4.2,
    "panels": 3.2,
    "trees": 1.1,
}
STABILITY = 1.0  # seconds for every second that the scores of one fold take
MEASURED_THREADS = 2  # the learners share the threads; with more they end earlier
STEPS = 300 * 8 + 400  # of the default training: choosing steps of every replica, and fitting steps
MINUTE, HOUR = 60.0, 3600.0


@dataclass(frozen=True)
class Workload:
    """The size of a run."""

    cells: int
    genes: int  # candidates
    panel_size: int
    outputs: tuple[int, ...]  # per task: its classes, or 1 for a number
    folds: int = 1
    stability: bool = True
    alone: bool = True  # with several tasks, each is trained alone too
    threads: int = MEASURED_THREADS
    steps: int = STEPS
    compared_cells: int = 20_000  # at most so many cells are used for comparisons

    @staticmethod
    def of(config: RunConfig, outputs: Sequence[int], cells: int, genes: int, n_groups: int | None) -> "Workload":
        """The size of the run of a config on data of so many cells, candidate genes and groups to hold out."""
        return Workload(
            cells=cells,
            genes=genes,
            panel_size=config.selector.panel_size,
            outputs=tuple(outputs),
            folds=fold_count(n_groups, config.split),
            stability=config.evaluation.stability == "yes",
            alone=config.evaluation.alone == "yes",
            threads=config.threads,
            steps=config.training.steps * config.training.replicas + config.training.fit_steps,
            compared_cells=config.evaluation.max_cells,
        )


@dataclass(frozen=True)
class Forecast:
    """Seconds: until the panel is on screen, from there to the scores, from there to the end of stability."""

    panel: float
    scores: float
    stability: float


def foresee(work: Workload) -> Forecast:
    """How long a run of this size takes."""
    panel, fold = _seconds(panel_parts(work)), _seconds(score_parts(work))
    again = (work.folds - 1) * (panel - COSTS["start"])  # every further fold chooses a panel of its own
    return Forecast(panel, work.folds * fold + again, STABILITY * fold if work.stability else 0.0)


def panel_parts(work: Workload) -> dict[str, float]:
    """What choosing a panel works on: constant name -> how many units of it."""
    training = work.steps / STEPS
    return {
        "start": 1.0,
        "read": work.cells * work.genes / 1e7,
        "train": training,
        "train outputs": training * sum(work.outputs) / 10,
    }


def score_parts(work: Workload) -> dict[str, float]:
    """What the scores of one fold work on: constant name -> how many units of it."""
    cells, outputs, tasks = min(work.cells, work.compared_cells), sum(work.outputs), len(work.outputs)
    shared = MEASURED_THREADS / work.threads
    trainings = tasks if work.alone and tasks > 1 else 0
    return {
        "fold": 1.0,
        "all genes": shared * cells * work.genes * outputs / 1e8,
        "panels": shared * cells * work.panel_size * outputs / 1e6,
        "trees": shared * cells * tasks / 1e3,
        "train": trainings * work.steps / STEPS,
    }


def _seconds(parts: Mapping[str, float]) -> float:
    return sum(COSTS[name] * units for name, units in parts.items())


def about(seconds: float) -> str:
    """A time span as a forecast says it: about 5 s, about 40 s, about 2.5 min, about 12 min, about 3 h."""
    if seconds < 7.5:
        return "about 5 s"
    if seconds < MINUTE - 5:
        return f"about {10 * max(1, round(seconds / 10))} s"
    if seconds < 5 * MINUTE:
        return f"about {round(2 * seconds / MINUTE) / 2:g} min"
    if seconds < 1.5 * HOUR:
        return f"about {round(seconds / MINUTE)} min"
    return f"about {round(seconds / HOUR)} h"


def scheme_text(config: SplitConfig, n_groups: int | None) -> str:
    """What a choice of scores means for these data: automatic: leave one donor out (7 donors)."""
    folds, name = fold_count(n_groups, config), config.scheme if config.scheme != "auto" else "automatic"
    if config.scheme == "one split":
        return "one split"
    one, many = group_words(config.group)
    if folds == 1:
        enough = f"{n_groups:,} {many}" if n_groups is not None else "no groups held out"
        return f"{name}: one split ({enough})"
    if folds == n_groups:
        return f"{name}: leave one {one} out ({counted(n_groups, one, many)})"
    return f"{name} in {folds} folds" + (f" of whole {many}" if n_groups is not None else "")


def costs_sentence(work: Workload, config: SplitConfig, n_groups: int | None) -> str:
    """What one split and cross-validation take, and how soon the panel is there."""
    folds = fold_count(n_groups, replace(config, scheme="cross-validation"))
    single = foresee(replace(work, folds=1))
    said = [f"One split: {about(single.scores)} after the panel."]
    if folds > 1:
        each = f" (one {group_words(config.group)[0]} each)" if folds == n_groups else ""
        said.append(f"Cross-validation in {folds} folds{each}: {about(foresee(replace(work, folds=folds)).scores)}.")
    if work.stability:
        said.append(f"Stability comes last: {about(single.stability)} more.")
    said.append(f"The panel itself is on screen first, after {about(single.panel)}.")
    return " ".join(said)

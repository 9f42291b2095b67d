"""Would other cells have given the same panel? The whole selection, run again on subsamples of the training cells.

Stability selection (Meinshausen & Bühlmann, J R Stat Soc B 2010, doi:10.1111/j.1467-9868.2010.00740.x): each subsample holds
80 % of the cells that are not held out, or of their groups where whole groups are held out, and is divided anew into
training and validation cells, as the run's were; with a seed of its own the selection runs on it from its start to a panel
of the same size. The same with shuffled labels says what a panel without any signal would show: not nought, as subsamples
share cells and so share what chance looks like in them. The candidate genes stay those of the run.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import repeat

import joblib
import numpy as np

from yoto_core import runtime
from yoto_core.config import RunConfig
from yoto_core.data.problem import Problem
from yoto_core.data.shuffling import with_shuffled_labels
from yoto_core.data.splits import split_again
from yoto_core.data.targets import Target, without_unseen
from yoto_core.errors import ConfigError
from yoto_core.evaluation.evaluator import mean_overlap
from yoto_core.model.training import choose_genes
from yoto_core.progress import OnProgress, Progress, ShouldStop, Stopped
from yoto_core.records import Count, ShareOrNone, made

SHARE = 0.8  # of the cells or groups that are not held out, in each subsample
SHUFFLES = 4  # times that the labels are shuffled; each gives one panel as the run's and
PER_SHUFFLE = 2  # so many of subsamples
FEWEST_GROUPS = 3  # that are not held out; of fewer, single cells are left out instead
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Stability:
    """How often the panel's genes are chosen again, and what that would be without signal.

    `genes` has the share (0 to 1) of subsamples whose panel holds each gene, in panel order; `overlap` is the mean overlap
    (Jaccard) of every two subsamples' panels. The same for shuffled labels: `shuffled` is the mean share over the genes of
    panels chosen from shuffled labels, `shuffled_overlap` their subsamples' mean overlap. `groups` says how many groups
    the subsamples were drawn from, 0 where cells were drawn.
    """

    genes: tuple[ShareOrNone, ...] = field(repr=False)
    overlap: ShareOrNone
    subsamples: Count
    shuffled: ShareOrNone
    shuffled_overlap: ShareOrNone
    groups: Count

    @property
    def mean(self) -> float:
        """The mean share over the panel's genes."""
        return float(np.mean(self.genes))

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, object], *, genes: int) -> "Stability":
        """The inverse of `to_dict`; TypeError or ValueError where it does not describe that many genes."""
        found = made(cls, values)
        if len(found.genes) != genes:
            raise ValueError(f"{len(found.genes)} shares for {genes} genes")
        return found


@dataclass(frozen=True)
class _Selection:
    """One selection to be run: on a subsample, or as the run was (None), with the labels shuffled by a number or as they are."""

    cells: np.ndarray | None = field(repr=False)
    seed: int
    shuffle: int | None = None


def measure_stability(
    problem: Problem, config: RunConfig, order: np.ndarray, *, on_progress: OnProgress, should_stop: ShouldStop
) -> Stability:
    """Choose the panel again and again.

    Args:
        problem: The run's own problem.
        config: For the selection, the number of subsamples, the seed and the threads.
        order: (K,) the run's panel, as positions among the candidates.
        on_progress: Told after every selection.
        should_stop: Asked between the steps of every selection.

    Raises:
        Stopped: `should_stop` said so.
    """
    n = config.evaluation.subsamples
    rng = runtime.random_state(config.seed, "stability")
    selections = [_Selection(_subsample(problem, rng), _seed(rng)) for _ in range(n)]
    for shuffle in range(SHUFFLES):
        selections.append(_Selection(None, _seed(rng), shuffle))
        selections += [_Selection(_subsample(problem, rng), _seed(rng), shuffle) for _ in repeat(None, PER_SHUFFLE)]
    found = _run_all(problem, config, selections, on_progress, should_stop)
    panels = [panel for panel in found[:n] if panel.size]
    shares, overlaps = [], []
    for start in range(n, len(found), 1 + PER_SHUFFLE):
        whole, *others = found[start : start + 1 + PER_SHUFFLE]
        others = [panel for panel in others if panel.size]
        if whole.size:
            shares += [np.isin(whole, other).mean() for other in others]
        overlaps.append(mean_overlap(others))
    return Stability(
        genes=tuple(float(np.mean([gene in panel for panel in panels])) if panels else math.nan for gene in order),
        overlap=mean_overlap(panels),
        subsamples=len(panels),
        shuffled=float(np.mean(shares)) if shares else math.nan,
        shuffled_overlap=float(np.nanmean(overlaps)) if np.isfinite(overlaps).any() else math.nan,
        groups=_groups(problem).size,
    )


def _run_all(
    problem: Problem,
    config: RunConfig,
    selections: Sequence[_Selection],
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> list[np.ndarray]:
    """The panel of every selection, several at once; the first `Stopped` ends them all."""
    results = joblib.Parallel(n_jobs=config.threads, prefer="threads", return_as="generator")(
        joblib.delayed(_select)(problem, config, selection, should_stop) for selection in selections
    )
    found: list[np.ndarray] = []
    for done, panel in enumerate(results):
        on_progress(Progress("stability", done + 1, len(selections), "Choosing the panel again from subsamples"))
        found.append(panel)
    # Each answers for itself, so that joblib's threads end in order; one that was stopped has no panel.
    if any(panel is None for panel in found):
        raise Stopped
    return found


def _select(problem: Problem, config: RunConfig, selection: _Selection, should_stop: ShouldStop) -> np.ndarray | None:
    """The panel of one selection: None where it was stopped, empty where its cells leave no task to choose for."""
    targets, split = problem.targets, problem.split
    if selection.shuffle is not None:
        rng = runtime.random_state(config.seed, f"shuffle {selection.shuffle}")
        targets = tuple(with_shuffled_labels(target, _not_held_out(problem), split.groups, rng) for target in targets)
    try:
        if selection.cells is not None:
            split = split_again(split, targets, config.split, selection.cells, seed=selection.seed)
    except ConfigError:  # too few cells to divide
        return np.empty(0, dtype=np.int64)
    targets = _tasks_of(targets, split.train)
    if not targets:
        return np.empty(0, dtype=np.int64)
    changed = replace(problem, targets=targets, split=split)
    try:
        return choose_genes(changed, replace(config, seed=selection.seed), should_stop=should_stop)
    except Stopped:
        return None


def _tasks_of(targets: Sequence[Target], cells: np.ndarray) -> tuple[Target, ...]:
    """The tasks without classes that these cells lack; a task of which too little is left takes no part."""
    found = []
    for target in targets:
        try:
            found.append(without_unseen(target, cells))
        except ConfigError:
            continue
    return tuple(found)


def _subsample(problem: Problem, rng: np.random.Generator) -> np.ndarray:
    """Sorted cells that are not held out: 80 % of them, or all cells of 80 % of their groups."""
    cells, groups = _not_held_out(problem), _groups(problem)
    if not groups.size:
        return np.sort(rng.choice(cells, max(1, round(SHARE * len(cells))), replace=False))
    chosen = rng.choice(groups, round(SHARE * groups.size), replace=False)  # of three two: never all
    return cells[np.isin(problem.split.groups[cells], chosen)]


def _not_held_out(problem: Problem) -> np.ndarray:
    return np.sort(np.concatenate([problem.split.train, problem.split.validation]))


def _groups(problem: Problem) -> np.ndarray:
    """The groups that are not held out and can be left out; none where there are too few to do without some."""
    groups = problem.split.groups
    found = np.empty(0, dtype=np.int64) if groups is None else np.unique(groups[_not_held_out(problem)])
    return found if found.size >= FEWEST_GROUPS else found[:0]


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(LARGEST_SEED))

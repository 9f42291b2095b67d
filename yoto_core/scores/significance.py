"""Could these answers have come about by chance? A permutation test of the answers for held-out cells."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from yoto_core.data.shuffling import shuffled
from yoto_core.data.targets import Target
from yoto_core.scores import metrics

PERMUTATIONS = 999
ALPHA = 0.01  # p values up to this count as better than chance: one false alarm in a hundred tasks without signal
MOST_CELLS = 50_000  # cells looked at, evenly spaced; more change no verdict


@dataclass(frozen=True)
class ChanceTest:
    """One task's answers held against shuffled labels.

    `p` is the share of shuffles (with the labels as they are among them) that score as high or higher, so never below
    1 / (PERMUTATIONS + 1); `chance` is the mean score of the shuffles. NaN where nothing can be shuffled.
    """

    task: str
    value: float
    p: float
    chance: float
    cells: int
    groups: int  # 0 where cells were shuffled one by one

    @property
    def beaten(self) -> bool:
        """Whether the answers are better than chance; for numbers also better than always answering the mean."""
        return bool(self.p <= ALPHA and self.value > max(self.chance, 0.0))


def chance_test(
    target: Target,
    cells: np.ndarray,
    answer: np.ndarray,
    groups: np.ndarray | None,
    *,
    rng: np.random.Generator,
) -> ChanceTest:
    """Test answers for `cells` (indices) against labels shuffled within groups (`shuffling.shuffled`).

    The p value is that of Phipson & Smyth (Stat Appl Genet Mol Biol 2010, doi:10.2202/1544-6115.1585).
    """
    here = np.flatnonzero(target.labelled[cells])
    if len(here) > MOST_CELLS:
        here = here[np.linspace(0, len(here) - 1, MOST_CELLS).astype(int)]
    cells, answer = cells[here], answer[here]
    drawn = None if groups is None else groups[cells]
    n_groups = 0 if drawn is None else int(np.unique(drawn).size)
    if len(cells) < 2:
        return ChanceTest(target.task, np.nan, np.nan, np.nan, len(cells), n_groups)
    true = target.values[cells]
    score = _scorer(target, answer)
    value = score(true)
    null = np.array([score(shuffled(true, drawn, rng)) for _ in range(PERMUTATIONS)])
    if np.isnan(value) or np.isnan(null).all():
        return ChanceTest(target.task, value, np.nan, np.nan, len(cells), n_groups)
    # Scores that are equal but for rounding are equal: a label that cannot be shuffled must not look significant.
    reached = int((null >= value - 1e-12).sum())
    p = (1 + reached) / (PERMUTATIONS + 1)
    return ChanceTest(target.task, value, p, float(np.nanmean(null)), len(cells), n_groups)


def _scorer(target: Target, answer: np.ndarray) -> Callable[[np.ndarray], float]:
    """The headline score of one answer for any labels of the same cells."""
    if not target.classes:
        return lambda true: metrics.number_scores(true, answer)[metrics.HEADLINE[target.kind]]
    n = len(target.classes)
    return lambda true: float(
        metrics.macro_f1_from_confusion(np.bincount(true * n + answer, minlength=n * n).reshape(n, n))
    )

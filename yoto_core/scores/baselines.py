"""Other ways to choose k genes, in one table with one signature: what the panel must beat.

Every method ranks the candidates for each task on training cells only: once per class where there are three or more, once by
strength whatever the sign where there are two, as what marks the one class tells the other just as well. `panel_of` deals the
panel: every task gets its turn, and within a task every class, so that each has its share of the same k genes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.feature_selection import f_regression
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from yoto_core import runtime
from yoto_core.data.targets import Target
from yoto_core.quiet import ignored
from yoto_core.scores.judges import RIDGE_PENALTIES, TREES, logistic_regression


@dataclass(frozen=True)
class LearningCells:
    """The training cells that comparisons learn from."""

    matrix: sparse.csr_matrix = field(repr=False)  # (cells, candidates), log-normalised
    cells: np.ndarray = field(repr=False)  # their indices in the data
    seed: int

    def labelled(self, target: Target) -> tuple[sparse.csr_matrix, np.ndarray]:
        """Expression and labels of the cells that carry this task's label."""
        here = target.labelled[self.cells]
        return self.matrix[np.flatnonzero(here)], target.values[self.cells][here]


Ranking = Sequence[np.ndarray]  # per class (or once) positions among the candidates, best first, at least k of them


@dataclass(frozen=True)
class Baseline:
    """One way to rank genes, and where it comes from."""

    name: str
    label: str
    source: str
    rank: Callable[[LearningCells, Target, int], Ranking]


def panel_of(baseline: Baseline, learning: LearningCells, targets: Sequence[Target], k: int) -> np.ndarray:
    """(k,) distinct positions among the candidates, dealt in turn from the rankings of every task, and there of every class."""
    panel = _dealt([_dealt(baseline.rank(learning, target, k)) for target in targets])[:k]
    if len(panel) < k:
        raise AssertionError(f"{baseline.name} ranked fewer than {k} genes")
    return panel


def _dealt(rankings: Ranking) -> np.ndarray:
    """One ranking from several: the first of each, then the second of each, …, every gene at its best place."""
    longest = max(map(len, rankings))
    table = np.full((len(rankings), longest), -1, dtype=np.int64)
    for row, ranking in zip(table, rankings, strict=True):
        row[: len(ranking)] = ranking
    genes = table.T.ravel()
    genes, first = np.unique(genes[genes >= 0], return_index=True)
    return genes[np.argsort(first)]


def _rank_at_random(learning: LearningCells, target: Target, _k: int) -> Ranking:
    return [runtime.random_state(learning.seed, target.task).permutation(learning.matrix.shape[1])]


def most_variable(matrix: sparse.csr_matrix) -> np.ndarray:
    """(genes,) positions of the genes of log-normalised cells × genes, the most variable first (normalised dispersion)."""
    import scanpy as sc  # takes seconds to load: only a run that compares pays for it

    table = sc.pp.highly_variable_genes(_as_anndata(matrix), flavor="seurat", n_bins=20, inplace=False)
    return np.argsort(-table["dispersions_norm"].fillna(-np.inf).to_numpy(), kind="stable")


def _rank_by_variability(learning: LearningCells, _target: Target, _k: int) -> Ranking:
    return [most_variable(learning.matrix)]


def _rank_by_wilcoxon(learning: LearningCells, target: Target, k: int) -> Ranking:
    matrix, labels = learning.labelled(target)
    if not target.classes:
        strength, _ = f_regression(matrix, labels)
        return [np.argsort(-np.nan_to_num(strength), kind="stable")]
    import scanpy as sc

    adata = _as_anndata(matrix)
    adata.obs["class"] = pd.Categorical(labels.astype(str))
    testable = [str(code) for code, cells in enumerate(np.bincount(labels)) if cells > 1]  # scanpy's rule
    two = len(testable) == 2
    # scanpy builds its table class by class; pandas would say so in the log of every run with many classes.
    with ignored(category=pd.errors.PerformanceWarning):
        sc.tl.rank_genes_groups(
            adata, "class", groups=testable[:1] if two else testable, rankby_abs=two, method="wilcoxon",
            n_genes=min(k, matrix.shape[1]),
        )  # fmt: skip
    names = adata.uns["rank_genes_groups"]["names"]
    return [np.array(names[group], dtype=np.int64) for group in names.dtype.names]


def _rank_by_logistic(learning: LearningCells, target: Target, _k: int) -> Ranking:
    matrix, labels = learning.labelled(target)
    learner = logistic_regression() if target.classes else RidgeCV(RIDGE_PENALTIES)
    weights = make_pipeline(StandardScaler(with_mean=False), learner).fit(matrix, labels)[-1].coef_
    if weights.ndim == 1 or len(weights) == 1:  # a number, or two classes
        return [np.argsort(-np.abs(weights).ravel(), kind="stable")]
    return list(np.argsort(-weights, axis=1, kind="stable"))


def _rank_by_forest(learning: LearningCells, target: Target, _k: int) -> Ranking:
    matrix, labels = learning.labelled(target)
    if target.classes:
        forest = RandomForestClassifier(TREES, class_weight="balanced", random_state=learning.seed)
    else:
        forest = RandomForestRegressor(TREES, max_features="sqrt", random_state=learning.seed)
    return [np.argsort(-forest.fit(matrix, labels).feature_importances_, kind="stable")]


def _as_anndata(matrix: sparse.csr_matrix) -> AnnData:
    adata = AnnData(matrix, var=pd.DataFrame(index=[str(i) for i in range(matrix.shape[1])]))
    adata.uns["log1p"] = {"base": None}
    return adata


BASELINES = (
    Baseline("random", "Random genes", "mean of several draws", _rank_at_random),
    Baseline("hvg", "Most variable genes", "scanpy highly_variable_genes (Satija et al. 2015)", _rank_by_variability),
    Baseline("wilcoxon", "Wilcoxon markers", "scanpy rank_genes_groups; correlation for numbers", _rank_by_wilcoxon),
    Baseline("logistic", "Logistic-regression markers", "scikit-learn; ridge for numbers", _rank_by_logistic),
    Baseline("forest", "Random-forest importance", "scikit-learn (Breiman 2001)", _rank_by_forest),
)

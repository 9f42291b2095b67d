"""What all candidate genes can do: two well-made models of the whole transcriptome, and the better of them.

Every panel is read as a share of this score. Both models standardise genes on training cells and weigh classes alike; how
strongly they are regularised, and which of the two is taken, is decided by validation cells. Held-out cells decide nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import StandardScaler

from yoto_core.data.targets import Target
from yoto_core.scores import metrics

GENES = 2_000  # most variable ones that the models read
COMPONENTS = 50
PENALTIES = (0.001, 0.01, 0.1, 1.0)  # inverse strengths tried for classes
RIDGES = (1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0)  # strengths tried for numbers
CLIP = 10.0  # standard deviations; what lies beyond is an outlier of one cell
ITERATIONS = 2_000
VARIABLE, COMPONENT, BEST = "all_variable", "all_components", "all_best"
LABELS = {
    BEST: "Best of the two",
    VARIABLE: f"On the {GENES:,} most variable genes",
    COMPONENT: f"On {COMPONENTS} principal components of all genes",
}


# From cells to learn the scales from, and blocks of cells, to each block as the model reads it.
Reader = Callable[[sparse.csr_matrix, Sequence[sparse.csr_matrix]], list[np.ndarray]]


@dataclass(frozen=True)
class AllGenes:
    """Answers of both models for the same cells, by name, and which was the better one on validation cells."""

    answers: dict[str, np.ndarray] = field(repr=False)
    best: str


@dataclass(frozen=True)
class Part:
    """Some cells of one task: expression of the most variable genes and the labels."""

    matrix: sparse.csr_matrix = field(repr=False)  # (cells, genes) log-normalised
    labels: np.ndarray = field(repr=False)


def all_genes_answers(target: Target, train: Part, validation: Part, test: sparse.csr_matrix) -> AllGenes:
    """Fit both models and answer for the test cells (class codes or numbers).

    Args:
        target: The task.
        train: Training cells, labelled; genes as `variable_genes` gave them.
        validation: Validation cells, labelled: they choose the penalty and the better model, then join the training cells.
        test: Held-out cells × the same genes.
    """
    together = Part(
        sparse.vstack([train.matrix, validation.matrix], format="csr"),
        np.concatenate([train.labels, validation.labels]),
    )
    found: dict[str, np.ndarray] = {}
    reached: dict[str, float] = {}
    for name, reader in ((VARIABLE, _standardised), (COMPONENT, _components)):
        penalty, reached[name] = _tuned(target, reader, train, validation)
        blocks = reader(together.matrix, (together.matrix, test))
        found[name] = _learner(target, penalty).fit(blocks[0], together.labels).predict(blocks[1])
    best = max(reached, key=lambda name: reached[name])
    return AllGenes({**found, BEST: found[best]}, best)


def _tuned(target: Target, reader: Reader, train: Part, validation: Part) -> tuple[float, float]:
    """The penalty that does best on validation cells, and its headline score there."""
    options = PENALTIES if target.classes else RIDGES
    if len(validation.labels) < 2:
        return options[len(options) // 2], 0.0
    learn, judge = reader(train.matrix, (train.matrix, validation.matrix))
    scores = []
    for penalty in options:
        answer = _learner(target, penalty).fit(learn, train.labels).predict(judge)
        values = (metrics.class_scores if target.classes else metrics.number_scores)(validation.labels, answer)
        scores.append(np.nan_to_num(values[metrics.HEADLINE[target.kind]], nan=-np.inf))
    place = int(np.argmax(scores))
    return options[place], scores[place]


def _learner(target: Target, penalty: float) -> LogisticRegression | Ridge:
    if target.classes:
        return LogisticRegression(C=penalty, class_weight="balanced", max_iter=ITERATIONS, tol=1e-3)
    return Ridge(penalty)


def _standardised(learn: sparse.csr_matrix, blocks: Sequence[sparse.csr_matrix]) -> list[np.ndarray]:
    """Each block in standard deviations of `learn`."""
    scaler = StandardScaler().fit(learn.toarray())
    return [np.clip(scaler.transform(block.toarray()), -CLIP, CLIP) for block in blocks]


def _components(learn: sparse.csr_matrix, blocks: Sequence[sparse.csr_matrix]) -> list[np.ndarray]:
    """Each block on the leading principal components of `learn`."""
    standard, *others = _standardised(learn, [learn, *blocks])
    n = min(COMPONENTS, *(size - 1 for size in standard.shape))
    pca = PCA(max(1, n), svd_solver="randomized", random_state=0).fit(standard)
    return [pca.transform(block) for block in others]

"""Two maps of the same cells, from all candidate genes and from the panel alone, and numbers for what is lost between them.

Both maps follow one recipe, so only the genes differ: log-normalised expression, 50 principal components, UMAP (McInnes et
al. 2018, arXiv:1802.03426). The numbers are measured among the principal components, not on the pictures.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_samples
from sklearn.neighbors import NearestNeighbors

from yoto_core import runtime
from yoto_core.data.problem import Problem
from yoto_core.data.sampling import stratified
from yoto_core.data.targets import Target
from yoto_core.model.panel_model import PanelModel
from yoto_core.progress import OnProgress, Progress, ShouldStop, Stopped
from yoto_core.quiet import ignored

MAX_CELLS = 50_000  # cells on the maps
MAX_GENES = 2_000  # most variable candidates behind the first map
COMPONENTS = 50
NEIGHBOURS = 30
UMAP_NEIGHBOURS = 15
SILHOUETTE_CELLS = 4_000  # its cost grows with the square of the cells
CLASS_COLUMNS = [
    "task", "class", "cells", "silhouette_all", "silhouette_panel", "purity_all", "purity_panel", "mixes_with", "mixes_share",
]  # fmt: skip


@dataclass(frozen=True)
class Maps:
    """The maps and their numbers.

    `cells`: one row per mapped cell: cell_index, part (train, validation, held-out), all_x, all_y, panel_x, panel_y, and
    per task `<task> true`, `<task> predicted` and, for classes, `<task> probability`.
    `expression`: the same cells × panel genes, log-normalised.
    `overall`: measure, task ("" for none), all, panel. `classes`: one row per task × class, see `CLASS_COLUMNS`.
    """

    cells: pd.DataFrame = field(repr=False)
    expression: pd.DataFrame = field(repr=False)
    overall: pd.DataFrame = field(repr=False)
    classes: pd.DataFrame = field(repr=False)
    of_cells: int  # cells of the data, of which at most `MAX_CELLS` are mapped
    genes_all: int  # genes behind the first map


def draw_maps(
    problem: Problem,
    model: PanelModel,
    order: np.ndarray,
    *,
    seed: int,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> Maps:
    """Map every cell (at most 50,000, drawn so that rare classes stay) and measure what the panel keeps.

    Raises:
        Stopped: `should_stop` said so; a map that is being drawn is given up at once.
    """

    def report(done: int, message: str) -> None:
        if should_stop():
            raise Stopped
        on_progress(Progress("mapping", done, 4, message))

    report(0, "Comparing the cells by all genes and by the panel")
    cells = stratified(_strata(problem.targets), MAX_CELLS, seed=seed)
    every = problem.expression[cells]
    variable = _most_variable(every)
    columns = every[:, order].toarray()
    spaces = (_components(every[:, variable], seed), _components(columns, seed))
    near = [_neighbours(space) for space in spaces]
    table = pd.DataFrame({"cell_index": cells, "part": _parts(problem, cells)})
    for i, (name, label) in enumerate((("all", "all genes"), ("panel", "the panel"))):
        report(1 + i, f"Drawing the map of {label}")
        places = _unless_stopped(lambda i=i: _umap(spaces[i], *near[i], seed), should_stop)
        table[f"{name}_x"], table[f"{name}_y"] = places[:, 0], places[:, 1]
    report(3, "Measuring what the panel keeps")
    indices = [found for _, found in near]
    overall, classes = _numbers(problem.targets, cells, spaces, indices, seed, report)
    answers = _answers(problem.targets, cells, model, columns)
    return Maps(
        cells=pd.concat([table, answers], axis=1),
        expression=pd.DataFrame(columns, columns=list(model.genes)),
        overall=overall,
        classes=classes,
        of_cells=problem.expression.shape[0],
        genes_all=len(variable),
    )


def kept_neighbours(first: np.ndarray, second: np.ndarray) -> float:
    """Share (0 to 1) of the neighbours in `first` (cells, k; indices) that are also in `second`, over all cells."""
    n = len(first)
    rows = np.repeat(np.arange(n), first.shape[1])
    graphs = [
        sparse.csr_matrix((np.ones(rows.size, dtype=np.int32), (rows, found.ravel())), shape=(n, n))
        for found in (first, second)
    ]
    return float(graphs[0].multiply(graphs[1]).sum() / rows.size)


def class_mixing(codes: np.ndarray, neighbours: np.ndarray, n_classes: int) -> np.ndarray:
    """(C, C) of the labelled neighbours of a class's cells, the share of each class; rows without any are 0."""
    from_codes = np.repeat(codes, neighbours.shape[1])
    to_codes = codes[neighbours].ravel()
    both = (from_codes >= 0) & (to_codes >= 0)
    counts = np.bincount(from_codes[both] * n_classes + to_codes[both], minlength=n_classes**2)
    counts = counts.reshape(n_classes, n_classes).astype(float)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _strata(targets: Sequence[Target]) -> np.ndarray:
    """One code per cell from the task with most classes; rare ones keep their cells."""
    target = max(targets, key=lambda target: len(target.classes))
    return target.values if target.classes else np.zeros(len(target.values), dtype=int)


def _parts(problem: Problem, cells: np.ndarray) -> np.ndarray:
    parts = np.full(problem.expression.shape[0], "unlabelled", dtype=object)
    split = problem.split
    for name, members in (("train", split.train), ("validation", split.validation), ("held-out", split.test)):
        parts[members] = name
    return parts[cells]


def _most_variable(every: sparse.csr_matrix) -> np.ndarray:
    mean = np.asarray(every.mean(axis=0)).ravel()
    variance = np.asarray(every.multiply(every).mean(axis=0)).ravel() - mean**2
    return np.sort(np.argsort(-variance, kind="stable")[:MAX_GENES])


def _components(expression: sparse.csr_matrix | np.ndarray, seed: int) -> np.ndarray:
    """(cells, up to 50) principal components; a narrow matrix is only centred."""
    if expression.shape[1] <= COMPONENTS or expression.shape[0] <= COMPONENTS:
        dense = expression.toarray() if sparse.issparse(expression) else expression
        return dense - dense.mean(axis=0)
    solver = "arpack" if sparse.issparse(expression) else "auto"
    return PCA(COMPONENTS, svd_solver=solver, random_state=seed).fit_transform(expression)


def _neighbours(space: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances and indices (cells, 30) of every cell's nearest others."""
    k = min(NEIGHBOURS, len(space) - 1)
    return NearestNeighbors(n_neighbors=k).fit(space).kneighbors()


def _umap(space: np.ndarray, distances: np.ndarray, indices: np.ndarray, seed: int) -> np.ndarray:
    """(cells, 2) places, started from the first two components, so that the same seed gives the same map."""
    with ignored():  # that some of its extras are not installed
        import umap  # here, as compiling it takes seconds

    k = min(UMAP_NEIGHBOURS - 1, indices.shape[1])
    # UMAP counts a cell as its own first neighbour.
    found = np.column_stack([np.arange(len(space)), indices[:, :k]])
    far = np.column_stack([np.zeros(len(space)), distances[:, :k]]).astype(np.float32)
    start = np.column_stack([space, np.zeros(len(space))])[:, :2] if space.shape[1] < 2 else space[:, :2]
    spread = np.maximum(start.std(axis=0), 1e-6)
    start = start / spread + np.random.default_rng(seed).normal(scale=1e-3, size=start.shape)
    mapper = umap.UMAP(
        n_neighbors=k + 1, min_dist=0.3, init=start.astype(np.float32), random_state=seed, n_jobs=1,
        n_epochs=200, precomputed_knn=(found, far), transform_seed=seed,
    )  # fmt: skip
    with ignored():  # that no new cells can be added: none will be
        return mapper.fit_transform(space.astype(np.float32))


def _unless_stopped(work: Callable[[], np.ndarray], should_stop: ShouldStop) -> np.ndarray:
    """The result of work that cannot be interrupted; on request it is left behind and no longer waited for."""
    found: list[np.ndarray] = []
    failed: list[BaseException] = []

    def carry_out() -> None:
        try:
            found.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=carry_out, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
        if thread.is_alive() and should_stop():
            raise Stopped
    if failed:
        raise failed[0]
    return found[0]


def _numbers(
    targets: Sequence[Target],
    cells: np.ndarray,
    spaces: tuple[np.ndarray, np.ndarray],
    near: Sequence[np.ndarray],
    seed: int,
    report: Callable[[int, str], None],
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows = [{"measure": "neighbours", "task": "", "all": 1.0, "panel": kept_neighbours(*near)}]
    tables = [pd.DataFrame(columns=CLASS_COLUMNS)]
    for target in targets:
        if not target.classes:
            continue
        report(3, f"Measuring what the panel keeps of {target.task}")
        codes = target.values[cells]
        labelled = np.flatnonzero(codes >= 0)
        present = np.unique(codes[labelled])
        if len(present) < 2 or len(labelled) <= len(present):
            continue
        clusters = [KMeans(len(present), n_init=3, random_state=seed).fit_predict(space[labelled]) for space in spaces]
        for measure, score in (("ari", adjusted_rand_score), ("nmi", normalized_mutual_info_score)):
            values = [float(score(codes[labelled], found)) for found in clusters]
            rows.append({"measure": measure, "task": target.task, "all": values[0], "panel": values[1]})
        drawn = labelled[stratified(codes[labelled], SILHOUETTE_CELLS, seed=seed)]
        shapes = [silhouette_samples(space[drawn], codes[drawn]) for space in spaces]
        rows.append(
            {"measure": "silhouette", "task": target.task, "all": float(shapes[0].mean()), "panel": float(shapes[1].mean())}
        )  # fmt: skip
        tables.append(_class_rows(target, codes, near, drawn, shapes))
    return pd.DataFrame(rows), pd.concat(tables[1:] or tables, ignore_index=True)


def _class_rows(
    target: Target, codes: np.ndarray, near: Sequence[np.ndarray], drawn: np.ndarray, shapes: Sequence[np.ndarray]
) -> pd.DataFrame:
    mixing = [class_mixing(codes, found, len(target.classes)) for found in near]
    gained = mixing[1] - np.eye(len(target.classes)) * 2  # the class itself never comes first
    rows = []
    for code in np.unique(codes[codes >= 0]):
        other = int(np.argmax(gained[code]))
        here = codes[drawn] == code
        rows.append(
            {
                "task": target.task,
                "class": target.classes[code],
                "cells": int((codes == code).sum()),
                **{
                    f"silhouette_{name}": float(shape[here].mean())
                    for name, shape in zip(("all", "panel"), shapes, strict=True)
                },
                "purity_all": mixing[0][code, code],
                "purity_panel": mixing[1][code, code],
                "mixes_with": target.classes[other],
                "mixes_share": mixing[1][code, other],
            }
        )
    return pd.DataFrame(rows, columns=CLASS_COLUMNS)


@runtime.one_thread_each()
def _answers(targets: Sequence[Target], cells: np.ndarray, model: PanelModel, columns: np.ndarray) -> pd.DataFrame:
    table: dict[str, object] = {}
    for target, answer in zip(targets, model.predict(columns), strict=True):
        values = target.values[cells]
        if target.classes:
            names = np.array([*target.classes, None], dtype=object)
            table[f"{target.task} true"] = names[values]
            table[f"{target.task} probability"] = answer.probabilities.max(axis=1)
        else:
            table[f"{target.task} true"] = values
        table[f"{target.task} predicted"] = answer.labels
    return pd.DataFrame(table)

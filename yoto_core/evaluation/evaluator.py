"""How good is the panel? The answers of one split, or of all folds of a cross-validation, pooled and scored."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import pandas as pd

from yoto_core import runtime
from yoto_core.config import RunConfig
from yoto_core.data.targets import Target
from yoto_core.evaluation.answers import Answer, Answers, predictions_of
from yoto_core.scores import metrics
from yoto_core.scores.judges import HEADLINE_JUDGE
from yoto_core.scores.significance import chance_test

CLASS_COLUMNS = ("task", "class", "precision", "recall", "f1", "cells")
SCORE_COLUMNS = ("task", "method", "judge", "metric", "value", "low", "high", "cells", "groups")
TEST_COLUMNS = ("task", "value", "p", "chance", "cells", "groups", "beaten")


@dataclass(frozen=True)
class Evaluation:
    """Scores on held-out cells: those of one split, or of all folds of a cross-validation together.

    `scores` has one row per task × method × judge × metric: value, low and high (95 % bootstrap, headline metric only), and
    the cells and groups (0 where cells were held out one by one) behind it; `methods.headline_rows` picks the headline.
    `sizes` has one row per part (validation, held-out) × size × task × method: the headline score of YOTO's own model at
    every size, and of one classifier on YOTO's and the baselines' panels at some sizes.
    `classes` has one row per task × class for YOTO's own model; `confusion` its counts (true × predicted).
    `tests` has one row per task: the panel's headline answers held against shuffled labels (`significance.ChanceTest`).
    `folds` holds every fold by itself (one where there is one split). `best_all` names the better of the two models of all genes per task ("" where folds differ).
    """

    scores: pd.DataFrame = field(repr=False)
    sizes: pd.DataFrame = field(repr=False)
    classes: pd.DataFrame = field(repr=False)
    confusion: dict[str, pd.DataFrame] = field(repr=False)
    predictions: pd.DataFrame = field(repr=False)
    panels: dict[str, tuple[str, ...]] = field(repr=False)
    tests: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(TEST_COLUMNS)), repr=False)
    folds: tuple["FoldResult", ...] = field(default=(), repr=False)
    best_all: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FoldResult:
    """One fold on its own: the groups it holds out, its held-out cells, the panel chosen there, and its headline scores."""

    held_out: tuple[str, ...]
    cells: int
    genes: tuple[str, ...]
    scores: dict[str, float]


def evaluate(folds: Sequence[Answers], targets: Sequence[Target], config: RunConfig) -> Evaluation:
    """Pool the folds and score them.

    Args:
        folds: The answers of every fold; the first is the one whose panel is shown.
        targets: The tasks with all their classes: a fold may lack a class that none of its training cells has.
        config: For the number of bootstrap draws and the seed.
    """
    whole = {target.task: target for target in targets}
    groups = folds[0].problem.split.groups
    pooled = _pooled(folds, whole)
    rows, curve = [], []
    for (task, method, judge, part, size, draw), (cells, values) in pooled.items():
        rng = runtime.random_state(config.seed, f"{task} {method} {judge} {part} {size} {draw}")
        found = metrics.score_rows(whole[task], cells, values, groups, draws=config.evaluation.bootstrap, rng=rng)
        tags = {"task": task, "method": method, "judge": judge}
        if size is None:
            rows += [{**tags, **row} for row in found]
        else:
            main = [row for row in found if row["metric"] in metrics.HEADLINE.values()]
            curve += [{"part": part, "size": size, **tags, **row} for row in main]
    tests = [
        chance_test(
            target,
            *pooled[target.task, "yoto", HEADLINE_JUDGE.name, "held-out", None, 0],
            groups,
            rng=runtime.random_state(config.seed, f"chance {target.task}"),
        )
        for target in targets
    ]
    chance = [
        {"task": t.task, "method": "chance", "judge": "chance", "metric": metrics.HEADLINE[target.kind], "value": t.chance,
         "low": np.nan, "high": np.nan, "cells": t.cells, "groups": t.groups}
        for t, target in zip(tests, targets, strict=True) if not np.isnan(t.chance)
    ]  # fmt: skip
    own = {target.task: pooled[target.task, "own", "own", "held-out", None, 0] for target in targets}
    return Evaluation(
        scores=_mean_of_draws(pd.DataFrame([*rows, *chance], columns=list(SCORE_COLUMNS))),
        sizes=pd.DataFrame(curve),
        classes=_classes(targets, own),
        confusion={target.task: _confusion(target, *own[target.task]) for target in targets if target.classes},
        predictions=pd.concat([predictions_of(fold) for fold in folds], ignore_index=True).sort_values(
            "cell_index", ignore_index=True
        ),
        panels=folds[0].panels,
        tests=pd.DataFrame(
            [(t.task, t.value, t.p, t.chance, t.cells, t.groups, t.beaten) for t in tests], columns=list(TEST_COLUMNS)
        ),
        folds=tuple(_fold_result(fold, whole) for fold in folds),
        best_all=_agreed(fold.best_all for fold in folds),
    )


def mean_overlap(panels: Sequence[Iterable[object]]) -> float:
    """Mean overlap (Jaccard: shared genes / all genes, 0 to 1) of every two panels; NaN for fewer than two."""
    sets = [set(panel) for panel in panels]
    found = [len(one & other) / len(one | other) for one, other in combinations(sets, 2)]
    return float(np.mean(found)) if found else float("nan")


Key = tuple[str, str, str, str, int | None, int]  # task, method, judge, part, size, draw


def _pooled(folds: Sequence[Answers], whole: Mapping[str, Target]) -> dict[Key, tuple[np.ndarray, np.ndarray]]:
    """Per learner the cells of all folds and its answers for them, as codes of all classes."""
    parts: dict[Key, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for fold in folds:
        for answer in fold.answers:
            key = (answer.target.task, answer.method, answer.judge, answer.part, answer.size, answer.draw)
            parts[key].append((answer.cells, _as_codes(answer, whole[answer.target.task])))
    return {
        key: (np.concatenate([cells for cells, _ in found]), np.concatenate([values for _, values in found]))
        for key, found in parts.items()
        if len(found) == len(folds)  # a panel size that some folds have too few candidates for is left out
    }


def _as_codes(answer: Answer, whole: Target) -> np.ndarray:
    if not whole.classes or answer.target.classes == whole.classes:
        return answer.values
    return np.array([whole.classes.index(name) for name in answer.target.classes])[answer.values]


def _mean_of_draws(rows: pd.DataFrame) -> pd.DataFrame:
    """The random panels' scores averaged over draws; their intervals too, which makes them slightly wide."""
    keys = ["task", "method", "judge", "metric"]
    found = rows.groupby(keys, sort=False)[["value", "low", "high", "cells", "groups"]].mean().reset_index()
    return found.astype({"cells": int, "groups": int})


def _classes(targets: Sequence[Target], own: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    tables = [pd.DataFrame(columns=list(CLASS_COLUMNS))]
    for target in targets:
        if target.classes:
            cells, values = own[target.task]
            table = metrics.per_class(target.values[cells], values, target.classes)
            table.insert(0, "task", target.task)
            tables.append(table)
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _confusion(target: Target, cells: np.ndarray, values: np.ndarray) -> pd.DataFrame:
    counts = metrics.confusion(target.values[cells], values, len(target.classes))
    return pd.DataFrame(counts, index=list(target.classes), columns=list(target.classes))


def _fold_result(fold: Answers, whole: Mapping[str, Target]) -> FoldResult:
    scores = {}
    for answer in fold.answers:
        if (answer.method, answer.judge, answer.size) == ("yoto", HEADLINE_JUDGE.name, None):
            target = whole[answer.target.task]
            scores[target.task] = metrics.headline(target, answer.cells, _as_codes(answer, target))
    split = fold.problem.split
    return FoldResult(split.held_out, len(split.test), fold.panels["yoto"], scores)


def _agreed(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Per task what all folds say, "" where they differ."""
    names: dict[str, set[str]] = defaultdict(set)
    for one in found:
        for task, name in one.items():
            names[task].add(name)
    return {task: next(iter(every)) if len(every) == 1 else "" for task, every in names.items()}

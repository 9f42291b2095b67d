"""Is a YOTO panel better than the markers one has now? Every data set, label, size and split, judged alike.

    python -W ignore -m tests.benchmarks.quality FOLDER [--quick] [--ablation] [--seeds 0 1 2] [--only NAME ...] [--out FOLDER]

FOLDER holds the .h5ad files named in LABELS below (others are left out). One training per data set, label and seed ranks
genes for every size; so does one ranking per baseline. Panels are judged as in the app, by a logistic regression on standardised
genes with classes weighed alike, on held-out cells, whole donors where the data name them; the means of all three classifiers are
printed too. The best of two tuned models of all candidate genes shows what can be reached. Prints Markdown; writes cells.csv, summary.csv, differences.csv (with an interval for every cell of the table) and table.md to --out.
"""

import argparse
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import psutil
from scipy import sparse

from tests.benchmarks.machine import describe_machine
from tests.benchmarks.panels import problem_of
from yoto_core.config import RunConfig, SelectorConfig, SplitConfig, TaskConfig
from yoto_core.data.problem import Problem
from yoto_core.data.reading import read_dataset
from yoto_core.evaluation.answers import learning_cells
from yoto_core.model.forms import pair_as_read
from yoto_core.model.training import train
from yoto_core.progress import never, silent
from yoto_core.scores import metrics
from yoto_core.scores.all_genes import BEST, GENES, Part, all_genes_answers
from yoto_core.scores.baselines import BASELINES, LearningCells, most_variable, panel_of
from yoto_core.scores.judges import HEADLINE_JUDGE, JUDGES

SIZES = (4, 8, 16, 32, 64)
TIE = 0.01  # of macro-F1: closer than this is a tie
DRAWS = 2_000
CELL_DRAWS = 500  # of the held-out cells, for every cell of the table
CEILING = "all genes"

# file: label columns, and the column whose groups are held out whole
LABELS = {
    "kang2018_pbmc_ifnb_2800": (("cell_type", "lineage", "condition"), "donor"),
    "kang2018_pbmc_ctrl_8donors": (("cell_type",), "donor"),
    "zeisel2015_mouse_cortex_1814": (("cell_type", "cell_class", "region"), ""),
    "zeisel2015_mouse_cortex_550_fullgenes": (("cell_type", "cell_class"), ""),
    "symphony_pbmc_3chemistries": (("cell_type", "chemistry"), ""),
    "pbmc3k_1838genes": (("cell_type",), ""),
    "onek1k_pbmc_40donors": (("cell_type", "lineage"), "donor"),
}
QUICK = {"kang2018_pbmc_ifnb_2800": ("cell_type",), "symphony_pbmc_3chemistries": ("cell_type",)}

# What the default is compared with beside the baselines: one ingredient changed at a time.
VARIANTS: dict[str, dict[str, str]] = {
    "yoto": {},
    "one replica": {"training.replicas": "1"},
    "no choosing steps": {"training.steps": "1"},
    "a third of the choosing steps": {"training.steps": "100"},
    "all genes measured": {"genes.normalize": "all genes"},
    "the paper's form": {"selector.schedule": "fixed"},
}


@dataclass(frozen=True)
class Ranked:
    """A method's nested ranking and what it cost."""

    method: str
    order: np.ndarray
    seconds: float
    megabytes: float
    own: dict[int, float]  # macro-F1 of the method's own model per size, where it has one


class PeakMemory:
    """Growth of this process's memory while the block runs, sampled every few milliseconds."""

    def __enter__(self) -> "PeakMemory":
        self.process, self.running = psutil.Process(), True
        self.before = self.peak = self.process.memory_info().rss
        self.thread = threading.Thread(target=self._sample)
        self.thread.start()
        return self

    def _sample(self) -> None:
        while self.running:
            self.peak = max(self.peak, self.process.memory_info().rss)
            time.sleep(0.005)

    def __exit__(self, *_: object) -> None:
        self.running = False
        self.thread.join()
        self.megabytes = (self.peak - self.before) / 1e6


def rank_all(problem: Problem, config: RunConfig, learning: LearningCells, variants: dict[str, dict]) -> list[Ranked]:
    """Every variant's and every baseline's ranking of the largest size."""
    k, target, found = config.selector.panel_size, problem.targets[0], []
    for name, changes in variants.items():
        changed = config
        for path, value in changes.items():
            changed = changed.with_value(path, value)
        with PeakMemory() as memory:
            trained = train(problem, changed, on_progress=silent, should_stop=never)
        own = {}
        for size in SIZES:
            columns = problem.panel_columns(problem.split.test, trained.order[:size])
            answer = trained.model.at_size(size).predict(columns)[0].values
            own[size] = metrics.headline(target, problem.split.test, answer)
        found.append(Ranked(name, trained.order, trained.seconds, memory.megabytes, own))
    for baseline in BASELINES:
        started = time.perf_counter()
        with PeakMemory() as memory:
            order = panel_of(baseline, learning, problem.targets, k)
        found.append(Ranked(baseline.name, order, time.perf_counter() - started, memory.megabytes, {}))
    return found


class Bench:
    """Judges any genes on the held-out cells of one split, and draws those cells again, alike for all methods."""

    def __init__(self, problem: Problem, config: RunConfig, learning: LearningCells) -> None:
        self.problem, self.config, self.learning, self.target = problem, config, learning, problem.targets[0]
        self.held_out = problem.expression[problem.split.test]
        self.labelled = np.flatnonzero(self.target.labelled[problem.split.test])
        groups = problem.split.groups
        units = self.labelled if groups is None else groups[problem.split.test][self.labelled]
        self.unit = np.unique(units, return_inverse=True)[1]
        n_units, rng = self.unit.max() + 1, np.random.default_rng(0)
        self.times_DU = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=CELL_DRAWS)

    def judge(self, genes: np.ndarray | None) -> tuple[dict[str, float], np.ndarray]:
        """Macro-F1 of each classifier on these genes (None for all), and the (draws,) headline score on cells drawn again."""
        answers = self._all_genes() if genes is None else self._panel(genes)
        test = self.problem.split.test
        scores = {name: metrics.headline(self.target, test, answer) for name, answer in answers.items()}
        return scores, self._drawn(answers[BEST if genes is None else HEADLINE_JUDGE.name])

    def _panel(self, genes: np.ndarray) -> dict[str, np.ndarray]:
        train_x, train_y = self.learning.labelled(self.target)
        pair = pair_as_read(train_x[:, genes].toarray(), self.held_out[:, genes].toarray(), self.config.genes.normalize)
        return {judge.name: judge.answer(self.target, pair[0], train_y, pair[1], seed=0) for judge in JUDGES}

    def _all_genes(self) -> dict[str, np.ndarray]:
        matrix, cells = self.learning.matrix, self.learning.cells
        variable = most_variable(matrix)[:GENES]
        labelled, validation = self.target.labelled[cells], np.isin(cells, self.problem.split.validation)
        parts = [
            Part(matrix[np.flatnonzero(here)][:, variable], self.target.values[cells][here])
            for here in (labelled & ~validation, labelled & validation)
        ]
        return all_genes_answers(self.target, *parts, self.held_out[:, variable]).answers

    def _drawn(self, answer: np.ndarray) -> np.ndarray:
        true, n = self.target.values[self.problem.split.test][self.labelled], len(self.target.classes)
        place = true * n + answer[self.labelled]
        counts_UP = sparse.csr_matrix((np.ones(len(place)), (self.unit, place)), shape=(self.unit.max() + 1, n * n))
        return metrics.macro_f1_from_confusion((self.times_DU @ counts_UP).reshape(-1, n, n))


def measure(path: Path, label: str, group: str, seed: int, variants: dict[str, dict]) -> list[dict[str, object]]:
    """One row per method and size for one data set, label and split; `draws` holds the score on cells drawn again."""
    data = read_dataset(path)
    config = RunConfig(
        tasks=(TaskConfig(obs=label),),
        split=SplitConfig(group=group, scheme="one split", seed=seed),
        selector=SelectorConfig(panel_size=max(SIZES)),
        seed=seed,
    )
    problem = problem_of(data, config)
    learning = learning_cells(problem, config)
    ranked = rank_all(problem, config, learning, variants)
    ceiling = Ranked(CEILING, np.empty(0), 0.0, 0.0, {})
    bench = Bench(problem, config, learning)
    jobs = [(method, size, method.order[:size]) for method in ranked for size in SIZES] + [(ceiling, SIZES[0], None)]
    scores = joblib.Parallel(n_jobs=2, prefer="threads")(joblib.delayed(bench.judge)(genes) for _, _, genes in jobs)
    jobs += [(ceiling, size, None) for size in SIZES[1:]]  # the same whatever the size of the panel
    scores += [scores[-1]] * (len(SIZES) - 1)
    return [
        {
            "file": path.stem, "label": label, "seed": seed, "size": size, "method": method.method,
            "macro_f1": found[BEST if method is ceiling else HEADLINE_JUDGE.name],
            "three classifiers": np.nan if method is ceiling else float(np.mean([found[judge.name] for judge in JUDGES])),
            **found, "own": method.own.get(size, np.nan),
            "seconds": method.seconds, "megabytes": method.megabytes, "draws": draws,
        }
        for (method, size, _), (found, draws) in zip(jobs, scores, strict=True)
    ]  # fmt: skip


def differences(cells: pd.DataFrame) -> pd.DataFrame:
    """YOTO minus every other method in every cell of the table (file, label, size), mean over splits.

    The interval comes from drawing the held-out cells (or donors) of each split again, the same for both methods; `lost` says
    that YOTO is behind by more than a tie and that the interval does not explain it.
    """
    draws = cells.set_index(["file", "label", "size", "method", "seed"])["draws"]
    rows = []
    for (file, label, size), cell in cells.groupby(["file", "label", "size"], sort=False):
        scores = cell.groupby("method")["macro_f1"].mean()
        drawn = {name: np.mean(draws[file, label, size, name].to_list(), axis=0) for name in scores.index}
        for other in scores.index.drop("yoto"):
            low, high = np.percentile(drawn["yoto"] - drawn[other], (2.5, 97.5))
            gap = scores["yoto"] - scores[other]
            rows.append(
                {
                    "file": file, "label": label, "size": size, "against": other, "yoto": scores["yoto"],
                    "other": scores[other], "difference": gap, "low": low, "high": high,
                    "lost": bool(gap < -TIE and high < 0),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """YOTO's difference to every other method, per size and over all, with a paired bootstrap over data sets × labels."""
    rng, rows = np.random.default_rng(0), []
    for other, found in table.groupby("against", sort=False):
        by_size = found.pivot_table(index=["file", "label"], columns="size", values="difference")
        for size in [*by_size.columns, "all"]:
            values = (by_size.mean(axis=1) if size == "all" else by_size[size]).to_numpy()
            low, high = np.percentile(rng.choice(values, (DRAWS, len(values))).mean(axis=1), (2.5, 97.5))
            here = found if size == "all" else found[found["size"] == size]
            gap = here["difference"]
            rows.append(
                {
                    "against": other, "size": size, "difference": values.mean(), "low": low, "high": high,
                    "wins": int((gap > TIE).sum()), "ties": int((gap.abs() <= TIE).sum()),
                    "losses": int((gap < -TIE).sum()), "losses beyond their interval": int(here["lost"].sum()),
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def as_markdown(cells: pd.DataFrame, table: pd.DataFrame, summary: pd.DataFrame) -> str:
    """The tables a reader wants: means per size, differences, cost, and every cell that is lost."""
    by_cell = cells.pivot_table(index=["file", "label", "size"], columns="method", values="macro_f1")
    best = by_cell.drop(columns=CEILING).max(axis=1).groupby("size").mean()
    means = cells.pivot_table(index="method", columns="size", values="macro_f1")
    means.loc["best method of each cell, chosen afterwards"] = best
    means["mean"] = means.mean(axis=1)
    means = means.round(3)
    means["mean of three classifiers"] = cells.groupby("method")["three classifiers"].mean().round(3)
    means["YOTO's own model"] = cells.groupby("method")["own"].mean().round(3)
    own = cells.dropna(subset="own").pivot_table(index="method", columns="size", values="own").round(3)
    cost = cells.groupby("method")[["seconds", "megabytes"]].mean().round(2)
    baselines = table[table["against"].isin([baseline.name for baseline in BASELINES])]
    behind = baselines[baselines["difference"] < -TIE].sort_values("difference").round(3)
    parts = [
        (
            "Mean macro-F1, by panel size (of three classifiers in the column of that name)",
            means.sort_values("mean", ascending=False).reset_index(),
        ),
        ("Macro-F1 of the trained models themselves", own.reset_index()),
        ("YOTO minus each method (95 % paired bootstrap)", summary.round(3)),
        ("Cost of one ranking of 64 genes (mean)", cost.reset_index()),
        (
            "Cells of the table in which YOTO is behind a baseline by more than 0.01 (lost: and beyond the interval)",
            behind,
        ),
    ]
    return "\n\n".join(f"## {title}\n\n{_markdown(part)}" for title, part in parts)


def _markdown(table: pd.DataFrame) -> str:
    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|" + "---|" * table.shape[1]]
    lines += [
        "| " + " | ".join("–" if pd.isna(value) else str(value) for value in row) + " |" for row in table.to_numpy()
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--quick", action="store_true", help="two labels, one split: under three minutes")
    parser.add_argument(
        "--ablation", action="store_true", help="the default with one ingredient changed at a time, too"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", help="names of files, without .h5ad")
    parser.add_argument("--out", type=Path, default=Path("quality"))
    options = parser.parse_args()
    variants = VARIANTS if options.ablation else {"yoto": VARIANTS["yoto"]}
    rows: list[dict[str, object]] = []
    paths = [options.folder / f"{name}.h5ad" for name in LABELS if not options.only or name in options.only]
    paths = [path for path in paths if path.exists() and (not options.quick or path.stem in QUICK)]
    for path in paths:
        labels, group = LABELS[path.stem]
        for label in QUICK[path.stem] if options.quick else labels:
            for seed in options.seeds[:1] if options.quick else options.seeds:
                rows += measure(path, label, group, seed, variants)
                print(f"measured {path.stem} {label} seed {seed}", flush=True)
    cells = pd.DataFrame(rows)
    table = differences(cells)
    summary = summarise(table)
    text = f"```\n{describe_machine(*paths)}\n```\n\n{as_markdown(cells, table, summary)}\n"
    options.out.mkdir(parents=True, exist_ok=True)
    cells.drop(columns="draws").to_csv(options.out / "cells.csv", index=False)
    table.to_csv(options.out / "differences.csv", index=False)
    summary.to_csv(options.out / "summary.csv", index=False)
    (options.out / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

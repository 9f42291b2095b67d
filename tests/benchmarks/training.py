"""What one training gives: its cost per step, prefixes against panels trained for their size, shared tasks.

    python -W ignore -m tests.benchmarks.training FOLDER [cost] [prefix] [tasks]

FOLDER holds the .h5ad files of tests/benchmarks/quality.py. Without a name all three tables are printed. Scores are macro-F1 of
a logistic regression trained on the panel, on held-out cells.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from tests.benchmarks.machine import describe_machine
from tests.benchmarks.panels import headline_score, problem_of
from yoto_core.config import RunConfig, SelectorConfig, TaskConfig
from yoto_core.data.problem import Problem
from yoto_core.data.reading import from_anndata, read_dataset
from yoto_core.model.training import TrainResult, train
from yoto_core.progress import Progress, never, silent
from yoto_core.scores import metrics

KANG = "kang2018_pbmc_ifnb_2800.h5ad"
SETS = ((KANG, "cell_type"), ("zeisel2015_mouse_cortex_1814.h5ad", "cell_type"))
PAIRS = (
    (KANG, ("cell_type", "condition")),
    (KANG, ("cell_type", "lineage")),
    (KANG, ("cell_type", "cell_type_kang2018")),  # half of it missing in the file
    ("zeisel2015_mouse_cortex_1814.h5ad", ("cell_class", "cell_type")),
)
HIDDEN_SHARE = 0.7  # of the second task's labels


def config_of(*labels: str, k: int, seed: int = 0) -> RunConfig:
    """The default on these labels."""
    tasks = tuple(TaskConfig(obs=label) for label in labels)
    return RunConfig(tasks=tasks, selector=SelectorConfig(panel_size=k), seed=seed)


def run(problem: Problem, config: RunConfig) -> TrainResult:
    """One training, silent."""
    return train(problem, config, on_progress=silent, should_stop=never)


def cost(_folder: Path) -> None:
    """Milliseconds per step, early and once compacted, for data of growing width."""
    rng = np.random.default_rng(0)
    print("| genes | start, s | ms per step, first fifth | ms per step, last fifth |\n|---|---|---|---|")
    for n_genes in (2_000, 10_000, 30_000):
        counts = sparse.random(2_000, n_genes, density=0.05, format="csr", random_state=0, dtype=np.float32)
        counts.data = np.ceil(counts.data * 5)
        adata = AnnData(
            counts, obs=pd.DataFrame({"label": rng.choice(list("abcdefgh"), 2_000)}, index=map(str, range(2_000)))
        )
        config = config_of("label", k=32)
        problem = problem_of(from_anndata(adata), config)
        marks: list[tuple[int, float]] = []

        def note(progress: Progress, marks: list = marks) -> None:
            marks.append((progress.done, time.perf_counter()))

        started = time.perf_counter()
        train(problem, config, on_progress=note, should_stop=never)
        fifth = max(2, len(marks) // 5)
        early, late = (
            1_000 * (b[1] - a[1]) / (b[0] - a[0]) for a, b in ((marks[0], marks[fifth]), (marks[-fifth], marks[-1]))
        )
        print(f"| {n_genes:,} | {marks[0][1] - started:.2f} | {early:.1f} | {late:.1f} |", flush=True)


def prefix(folder: Path) -> None:
    """The first k genes of a panel of 64 against a panel trained for k."""
    print("| data | k | prefix of 64 | trained for k | difference |\n|---|---|---|---|---|")
    differences = []
    for name, label in SETS:
        data = read_dataset(folder / name)
        for seed in (0, 1):
            long = config_of(label, k=64, seed=seed)
            problem = problem_of(data, long)
            order = run(problem, long).order
            for k in (8, 16, 32):
                trained = run(problem, config_of(label, k=k, seed=seed)).order[:k]
                pair = [headline_score(problem, long, problem.targets[0], genes) for genes in (order[:k], trained)]
                differences.append(pair[0] - pair[1])
                print(
                    f"| {name.partition('.')[0]} seed {seed} | {k} | {pair[0]:.3f} | {pair[1]:.3f} | {differences[-1]:+.3f} |",
                    flush=True,
                )
    print(f"| mean | | | | {np.mean(differences):+.4f} |")


def tasks(folder: Path) -> None:
    """Two tasks on one panel of 32: alone, joint, and with 70 % of the second task's training labels hidden; mean of three
    splits, by a classifier that learns from every label / by YOTO's own heads, which learn from those that are not hidden.
    """
    print("| data | training | first task | second task |\n|---|---|---|---|")
    for name, labels in PAIRS:
        data, found = read_dataset(folder / name), []
        for seed in (0, 1, 2):
            joint = config_of(*labels, k=32, seed=seed)
            problem = problem_of(data, joint)
            first, second = problem.targets
            rng = np.random.default_rng(seed)
            hidden = rng.random(len(second.values)) < HIDDEN_SHARE
            hidden[problem.split.test] = False
            partly = replace(second, values=np.where(hidden, -1, second.values))
            designs = {
                "first alone": (first,),
                "second alone": (second,),
                "joint": (first, second),
                "second alone, 70 % hidden": (partly,),
                "joint, 70 % of second hidden": (first, partly),
            }
            for design, targets in designs.items():
                trained = run(replace(problem, targets=targets), joint)
                order, model = trained.order[:32], trained.model.at_size(32)
                test = problem.split.test
                own = {a.task: a.values for a in model.predict(problem.panel_columns(test, order))}
                for target in (first, second):
                    heads = metrics.headline(target, test, own[target.task]) if target.task in own else np.nan
                    found.append((design, target.task, headline_score(problem, joint, target, order), heads))
        means = pd.DataFrame(found, columns=["design", "task", "classifier", "heads"])
        means = means.groupby(["design", "task"], sort=False).mean()
        for design in designs:
            cells = [
                f"{labels[i]}: {means.loc[(design, labels[i]), 'classifier']:.3f} / {means.loc[(design, labels[i]), 'heads']:.3f}"
                for i in (0, 1)
            ]
            print(f"| {name.partition('.')[0]} | {design} | {cells[0]} | {cells[1]} |", flush=True)


def main() -> None:
    """Print the tables asked for."""
    folder, names = Path(sys.argv[1]), sys.argv[2:] or ["cost", "prefix", "tasks"]
    print(describe_machine(*(folder / name for name, _ in SETS)))
    for name in names:
        table = {"cost": cost, "prefix": prefix, "tasks": tasks}[name]
        print(f"\n{table.__doc__}\n")
        table(folder)


if __name__ == "__main__":
    main()

"""Do the displayed numbers mean what they say? Shuffled labels, fresh subsamples, and intervals against what they claim.

    python -W ignore -m tests.benchmarks.truth [shuffled] [stability] [intervals FOLDER] [--repeats 100]

shuffled   the demo with its labels shuffled, again and again: how stable its panel seems, how many of its genes are called
           needed, and how often its answers are called better than chance.
stability  the demo as it is: the shares that a run shows against the shares in 50 fresh subsamples.
intervals  kang2018_pbmc_ctrl_8donors.h5ad of FOLDER: how often the 95 % interval of a small held-out part holds the score on all
           that is left.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from tests.benchmarks.machine import describe_machine
from tests.benchmarks.panels import headline_answer, problem_of
from yoto_core.config import RunConfig, SelectorConfig, SplitConfig, TaskConfig
from yoto_core.data.problem import Problem
from yoto_core.data.reading import read_dataset
from yoto_core.data.shuffling import with_shuffled_labels
from yoto_core.data.splits import Split
from yoto_core.demo import DEMO_FILE, demo_config
from yoto_core.evaluation.losses import gene_losses
from yoto_core.evaluation.stability import measure_stability
from yoto_core.model.training import train
from yoto_core.progress import never, silent
from yoto_core.scores import metrics
from yoto_core.scores.significance import chance_test

FRESH = 50  # subsamples that no run has seen
LARGE = "kang2018_pbmc_ctrl_8donors"
DRAWS = 1_000


def shuffled_problem(problem: Problem, seed: int) -> Problem:
    """The same with the labels of all cells shuffled."""
    rng, every = np.random.default_rng(seed), np.arange(problem.expression.shape[0])
    return replace(problem, targets=tuple(with_shuffled_labels(t, every, None, rng) for t in problem.targets))


def one_shuffle(problem: Problem, config: RunConfig, seed: int) -> list[dict[str, object]]:
    """What a run on shuffled labels shows, task by task."""
    changed = shuffled_problem(problem, seed)
    trained = train(changed, replace(config, seed=seed), on_progress=silent, should_stop=never)
    k = config.selector.panel_size
    order = trained.order[:k]
    losses = gene_losses(trained.model.at_size(k), changed, order, seed=seed)
    test = changed.split.test
    rows = []
    for target in changed.targets:
        answer = headline_answer(changed, config, target, order, test)
        found = chance_test(target, test, answer, None, rng=np.random.default_rng(seed))
        needed = losses[losses["needed"].astype(bool) & (losses["task"] == target.task)]["gene"].nunique()
        rows.append({"shuffle": seed, "task": target.task, "p": found.p, "shown": found.beaten, "needed genes": needed})
    return rows


def shuffled(repeats: int) -> pd.DataFrame:
    """The measures under shuffled labels, one row per task and one for the panel."""
    data, config = read_dataset(DEMO_FILE), demo_config()
    problem = problem_of(data, config)
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(one_shuffle)(problem, config, seed) for seed in range(repeats))
    table = pd.DataFrame([row for rows in found for row in rows])
    rows = []
    for task, here in table.groupby("task", sort=False):
        rows.append(
            {
                "measure": f"{task}: “could not be shown to beat chance”",
                "found": f"{(~here['shown']).sum()} of {len(here)}",
            }
        )
        share = here["needed genes"].sum() / (len(here) * config.selector.panel_size)
        rows.append({"measure": f"{task}: genes called needed", "found": f"{share:.2%}"})
    means, references = [], []
    for seed in range(3):
        changed = shuffled_problem(problem, 1_000 + seed)
        order = train(changed, config, on_progress=silent, should_stop=never).order[: config.selector.panel_size]
        result = measure_stability(changed, replace(config, seed=seed), order, on_progress=silent, should_stop=never)
        means.append(result.mean)
        references.append(result.shuffled)
    rows.append({"measure": "mean stability (three shuffles)", "found": ", ".join(f"{mean:.2f}" for mean in means)})
    rows.append(
        {"measure": "… and the reference shown beside it", "found": ", ".join(f"{mean:.2f}" for mean in references)}
    )
    return pd.DataFrame(rows)


def stability() -> pd.DataFrame:
    """Shown shares against those of fresh subsamples, on the demo as it is."""
    data, config = read_dataset(DEMO_FILE), demo_config()
    rows = []
    for tasks in (config.tasks, config.tasks[:1]):
        asked = replace(config, tasks=tasks)
        problem = problem_of(data, asked)
        order = train(problem, asked, on_progress=silent, should_stop=never).order[: asked.selector.panel_size]
        shown = measure_stability(problem, asked, order, on_progress=silent, should_stop=never)
        fresh_config = replace(asked, seed=99, evaluation=replace(asked.evaluation, subsamples=FRESH))
        fresh = measure_stability(problem, fresh_config, order, on_progress=silent, should_stop=never)
        gap = np.array(shown.genes) - np.array(fresh.genes)
        rows.append(
            {
                "tasks": ", ".join(task.obs for task in tasks), "shown": shown.mean, f"in {FRESH} fresh": fresh.mean,
                "mean |gap| per gene": np.abs(gap).mean(), "largest gap": np.abs(gap).max(), "overlap": shown.overlap,
                "shuffled": shown.shuffled, "shuffled overlap": shown.shuffled_overlap,
            }
        )  # fmt: skip
    return pd.DataFrame(rows).round(3)


def intervals(folder: Path, repeats: int) -> pd.DataFrame:
    """How often the interval of a held-out part holds the score on what it stands for."""
    data = read_dataset(folder / f"{LARGE}.h5ad")
    config = RunConfig(
        tasks=(TaskConfig(obs="cell_type"),),
        selector=SelectorConfig(panel_size=16),
        split=SplitConfig(group="donor", scheme="one split"),
    )
    problem = problem_of(data, config)
    splits = [*_splits(problem, repeats)]
    found = joblib.Parallel(n_jobs=2)(
        joblib.delayed(_one_interval)(problem, config, name, split, truth, groups, seed)
        for seed, (name, split, truth, groups) in enumerate(splits)
    )
    table = pd.DataFrame(found)
    grouped = table.groupby("the interval and what it is held against", sort=False)
    return grouped.agg(splits=("held", "size"), held=("held", "mean"), width=("width", "mean")).round(3).reset_index()


def _splits(problem: Problem, repeats: int) -> Iterator[tuple[str, Split, np.ndarray, np.ndarray | None]]:
    """Per repeat: cells (train on 1,000, judge 500, all others are the truth), and donors (train on two, judge five of six)."""
    groups = problem.split.groups
    every, donors = np.flatnonzero(groups >= 0), np.unique(groups[groups >= 0])
    for seed in range(repeats):
        rng = np.random.default_rng(seed)
        shuffled_cells = rng.permutation(every)
        train_cells, validation, test, rest = np.split(shuffled_cells, [1_000, 1_150, 1_650])
        plain = Split(*(np.sort(part) for part in (train_cells, validation, test)))
        yield "500 cells; all cells not used", plain, np.sort(rest), None
        order = rng.permutation(donors)
        of = [every[np.isin(groups[every], part)] for part in (order[:2], order[2:7], order[2:], order[7:])]
        mixed = rng.permutation(of[0])
        cut = int(0.15 * len(mixed))
        split = Split(np.sort(mixed[cut:]), np.sort(mixed[:cut]), of[1], groups)
        yield "5 donors; all 6 donors not trained on", split, of[2], groups
        yield "5 donors; the one donor left (not what an interval claims)", split, of[3], groups


def _one_interval(
    problem: Problem,
    config: RunConfig,
    name: str,
    split: Split,
    truth: np.ndarray,
    groups: np.ndarray | None,
    seed: int,
) -> dict[str, object]:
    changed = replace(problem, split=split)
    trained = train(changed, replace(config, seed=seed), on_progress=silent, should_stop=never)
    order, (target,) = trained.order[: config.selector.panel_size], problem.targets
    both = np.concatenate([split.test, truth])
    answer = headline_answer(changed, config, target, order, both)
    held_out = target.labelled[split.test]
    low, high = metrics.interval(
        target, target.values[split.test][held_out], answer[: len(split.test)][held_out],
        None if groups is None else groups[split.test][held_out], draws=DRAWS, rng=np.random.default_rng(seed),
    )  # fmt: skip
    score = metrics.headline(target, truth, answer[len(split.test) :])
    return {"the interval and what it is held against": name, "held": low <= score <= high, "width": high - low}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="*", default=["shuffled", "stability"])
    parser.add_argument("--repeats", type=int, default=100)
    options = parser.parse_args()
    print(describe_machine(DEMO_FILE), flush=True)
    names = iter(options.what)
    for name in names:
        if name == "intervals":
            table = intervals(Path(next(names)), options.repeats)
        else:
            table = {"shuffled": lambda: shuffled(options.repeats), "stability": stability}[name]()
        print(f"\n{name}\n{table.to_string(index=False)}", flush=True)


if __name__ == "__main__":
    main()

"""How well `evaluation/forecast.py` foresees a run: predicted against measured seconds, on the demo and on made-up data.

    python -W ignore -m tests.benchmarks.forecast [--fit]

Every run is a worker process as the Train page starts it, without maps. With --fit the table of constants that fits these
runs best (least squares of relative errors, none below zero) is printed for `forecast.COSTS`. Times are of one run each on
this machine; a busy machine makes all of them longer.
"""

import os
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
from scipy import optimize, sparse

from tests.benchmarks.machine import describe_machine
from yoto_core import pipeline
from yoto_core.config import RunConfig, SelectorConfig, SplitConfig, TaskConfig, TrainingConfig
from yoto_core.data.reading import read_dataset
from yoto_core.demo import DEMO_FILE, demo_config
from yoto_core.evaluation import forecast
from yoto_core.evaluation.forecast import Workload
from yoto_core.store import runs
from yoto_core.store.status import read_status
from yoto_core.work import jobs

# cells, genes, classes of each task, panel size, scheme
MADE_UP = (
    (1_000, 1_000, (4,), 8, "one split"),
    (1_000, 10_000, (4,), 32, "one split"),
    (3_000, 3_000, (12, 2), 32, "one split"),
    (6_000, 2_000, (6,), 16, "one split"),
    (3_000, 2_000, (30,), 32, "one split"),
    (2_000, 2_000, (4,), 96, "one split"),
    (12_000, 3_000, (8,), 32, "one split"),
    (1_500, 2_000, (4,), 16, "cross-validation"),
)
DENSITY = 0.1  # share of counts above zero among genes that mark nothing


@dataclass(frozen=True)
class Case:
    """One run to be foreseen."""

    name: str
    path: Path
    config: RunConfig


def made_up(folder: Path, cells: int, genes: int, classes: tuple[int, ...], size: int, scheme: str) -> Case:
    """Counts in which every class of every task has three genes of its own, with the design to run on them."""
    rng = np.random.default_rng(0)
    counts = sparse.random(cells, genes, DENSITY, "lil", rng=rng, data_rvs=lambda n: rng.integers(1, 4, n)).astype(
        np.float32
    )
    obs, gene = {}, 0
    for number, levels in enumerate(classes):
        codes = rng.integers(0, levels, cells)
        obs[f"task{number}"] = pd.Categorical([f"c{code}" for code in codes])
        for level in range(levels):
            for _ in range(3):
                counts[np.flatnonzero(codes == level), gene % genes] = 4.0
                gene += 1
    names = [f"cell{i}" for i in range(cells)]
    adata = anndata.AnnData(
        counts.tocsr(), pd.DataFrame(obs, index=names), pd.DataFrame(index=[f"G{i}" for i in range(genes)])
    )
    path = folder / f"{cells}_{genes}_{'_'.join(map(str, classes))}_{size}_{len(scheme)}.h5ad"
    adata.write_h5ad(path)
    tasks = tuple(TaskConfig(obs=name) for name in obs)
    config = RunConfig(tasks=tasks, selector=SelectorConfig(panel_size=size), split=SplitConfig(scheme=scheme))
    shape = f"{cells:,} cells × {genes:,} genes, classes {' + '.join(map(str, classes))}, {size} genes, {scheme}"
    return Case(shape, path, config)


def workload(case: Case) -> Workload:
    """The size of a run as the Design page knows it."""
    data = read_dataset(case.path)
    fitted = pipeline.design(data, case.config)
    return Workload.of(
        case.config, [target.n_outputs for target in fitted.targets], data.n_cells, fitted.candidates.n_genes, None
    )


def measure(case: Case) -> tuple[float, float, float]:
    """Seconds from launch to the panel, from there to the scores, and from there to the end (stability)."""
    config = replace(case.config, evaluation=replace(case.config.evaluation, maps="no"))
    data = read_dataset(case.path)
    folder = runs.create_run(config, data_path=case.path, data_name=case.name, data_digest=data.digest)
    began, panel, scores = time.perf_counter(), 0.0, 0.0
    jobs.launch(folder)
    while True:
        status, now = read_status(folder), time.perf_counter() - began
        panel = panel or (now if status.has_panel else 0.0)
        scores = scores or (now if (folder / "metrics.json").exists() else 0.0)
        if not status.live:
            if status.state != "done":
                raise SystemExit(f"{case.name}: {status.message} {status.hint}")
            return panel, scores - panel, now - scores
        time.sleep(0.05)


def fitted_costs(workloads: list[Workload], panels: list[float], scores: list[float]) -> dict[str, float]:
    """The constants that foresee these runs best."""
    single = np.array([w.folds == 1 for w in workloads])
    costs = _least_squares([forecast.panel_parts(w) for w in workloads], np.array(panels), {})
    parts = [forecast.score_parts(w) for w, alone in zip(workloads, single, strict=True) if alone]
    return costs | _least_squares(parts, np.array(scores)[single], costs)


def _least_squares(parts: list[dict[str, float]], seconds: np.ndarray, known: dict[str, float]) -> dict[str, float]:
    rest = seconds - [sum(known.get(name, 0.0) * units for name, units in part.items()) for part in parts]
    names = [name for name in parts[0] if name not in known]
    matrix = np.array([[part[name] for name in names] for part in parts])
    best, _ = optimize.nnls(matrix / seconds[:, None], rest / seconds)
    return dict(zip(names, best, strict=True))


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["YOTO_HOME"] = home
        print(describe_machine(DEMO_FILE))
        longer = replace(demo_config(), training=TrainingConfig(steps=900, fit_steps=1_200))
        cases = [Case("demo", DEMO_FILE, demo_config()), Case("demo, three times the steps", DEMO_FILE, longer)]
        cases += [made_up(Path(home), *sizes) for sizes in MADE_UP]
        print("\nseconds to the panel, from there to the scores, from there to the end of stability\n")
        print("| run | panel: foreseen | measured | scores: foreseen | measured | stability: foreseen | measured |")
        print("|---|---|---|---|---|---|---|")
        sizes, panels, scores = [], [], []
        for case in cases:
            size = workload(case)
            foreseen, found = forecast.foresee(size), measure(case)
            pairs = zip((foreseen.panel, foreseen.scores, foreseen.stability), found, strict=True)
            print(f"| {case.name} | {' | '.join(f'{a:.0f} | {b:.0f}' for a, b in pairs)} |", flush=True)
            sizes, panels, scores = [*sizes, size], [*panels, found[0]], [*scores, found[1]]
        if "--fit" in sys.argv:
            print("\nCOSTS = {")
            for name, cost in fitted_costs(sizes, panels, scores).items():
                print(f'    "{name}": {cost:.3g},')
            print("}")


if __name__ == "__main__":
    main()

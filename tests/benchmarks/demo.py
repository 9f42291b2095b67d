"""The main job on the shipped data: how long until the first progress, the panel and the scores, and what it costs.

    python -m tests.benchmarks.demo [FILE.h5ad OBS ...]

Times are of one run each on this machine; compare only figures of one table.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

from tests.benchmarks.machine import describe_machine
from yoto_core.config import RunConfig, SelectorConfig, TaskConfig
from yoto_core.data.reading import read_dataset
from yoto_core.demo import DEMO_FILE, demo_config
from yoto_core.store import runs
from yoto_core.store.status import read_status
from yoto_core.work import jobs


def watch(path: Path, config: RunConfig) -> dict[str, float]:
    """Seconds from launch to first progress, panel, scores, maps and end, in a worker process as the Train page starts it."""
    data = read_dataset(path)
    folder = runs.create_run(config, data_path=path, data_name=path.name, data_digest=data.digest)
    started, seen = time.perf_counter(), {}
    jobs.launch(folder)
    while True:
        status, now = read_status(folder), time.perf_counter() - started
        if status.phase and "first progress" not in seen:
            seen["first progress"] = now
        if status.phase == "training" and "first training step" not in seen:
            seen["first training step"] = now
        if status.has_panel and "finished panel" not in seen:
            seen["finished panel"] = now
        if "all scores" not in seen and (folder / "metrics.json").exists():
            seen["all scores"] = now
        if status.phase == "stability" and "maps" not in seen:
            seen["maps"] = now
        if not status.live:
            seen[f"stability, the end ({status.state})"] = now
            return seen
        time.sleep(0.02)


def compare_with_wilcoxon(path: Path, config: RunConfig) -> tuple[float, float]:
    """Seconds of training and of scanpy's Wilcoxon ranking of all genes, on the same training cells in one process."""
    import scanpy as sc

    from yoto_core import pipeline
    from yoto_core.data.preprocess import expression_of
    from yoto_core.data.problem import Problem
    from yoto_core.model.training import train
    from yoto_core.progress import never, silent

    data = read_dataset(path)
    fitted = pipeline.design(data, config)
    problem = Problem(expression_of(data, fitted.candidates), fitted.candidates, fitted.targets, fitted.split)
    training = [train(problem, config, on_progress=silent, should_stop=never).seconds for _ in range(3)]
    ranking = []
    for _ in range(3):
        started = time.perf_counter()
        for target in fitted.targets:
            if target.classes:
                adata = _training_cells(problem, target)
                sc.tl.rank_genes_groups(adata, "label", method="wilcoxon")
        ranking.append(time.perf_counter() - started)
    return sorted(training)[1], sorted(ranking)[1]


def peak_memory(path: Path, config: RunConfig) -> tuple[float, float]:
    """Peak memory of a whole run in a process of its own, and the size of the sparse matrix, in MB."""
    data = read_dataset(path)
    matrix = data.matrix.data.nbytes + data.matrix.indices.nbytes + data.matrix.indptr.nbytes
    folder = runs.create_run(config, data_path=path, data_name=path.name, data_digest=data.digest)
    pid = os.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-m", "yoto_core.worker", str(folder)])
    _, _, usage = os.wait4(pid, 0)
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_maxrss * unit / 1e6, matrix / 1e6


def _training_cells(problem: object, target: object) -> object:
    import pandas as pd
    from anndata import AnnData

    cells = problem.split.train[target.labelled[problem.split.train]]
    labels = pd.Categorical.from_codes(target.values[cells], list(target.classes))
    adata = AnnData(problem.expression[cells], obs=pd.DataFrame({"label": labels}, index=[str(i) for i in cells]))
    adata.uns["log1p"] = {"base": None}
    return adata


def main() -> None:
    """Print the table for the demo, or for the file and columns named on the command line."""
    path, config = DEMO_FILE, demo_config()
    if len(sys.argv) > 1:
        tasks = tuple(TaskConfig(obs=name) for name in sys.argv[2:])
        path, config = Path(sys.argv[1]), RunConfig(tasks=tasks, selector=SelectorConfig(panel_size=32))
    with tempfile.TemporaryDirectory() as home:
        os.environ["YOTO_HOME"] = home
        print(describe_machine(path))
        print(f"\n{config.selector.panel_size} genes for {', '.join(task.obs for task in config.tasks)}\n")
        print("| from launch to | seconds |\n|---|---|")
        for name, seconds in watch(path, config).items():
            print(f"| {name} | {seconds:.1f} |")
        training, ranking = compare_with_wilcoxon(path, config)
        print("\n| same training cells, same process, median of 3 | seconds |\n|---|---|")
        print(
            f"| training | {training:.2f} |\n| scanpy Wilcoxon, every task | {ranking:.2f} |\n| ratio | {training / ranking:.2f} |"
        )
        peak, matrix = peak_memory(path, config)
        print("\n| memory of the whole run | MB |\n|---|---|")
        print(
            f"| peak | {peak:,.0f} |\n| sparse matrix | {matrix:,.0f} |\n| allowed: 2 × matrix + 1,000 | {2 * matrix + 1000:,.0f} |"
        )


if __name__ == "__main__":
    main()

"""How long do a million new cells take? A file of counts of a 500-gene panel, labelled by the shell as a user would.

    python -m tests.benchmarks.predict [--cells 1000000] [--genes 500]

The file is made in a temporary folder, dense in a tenth of the size and then by rows (CSR). Times are of one run each on
this machine, in a process of its own whose largest memory is the system's own count. On a machine that does other work too,
the processor seconds tell more than those of the clock.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from tests.benchmarks.machine import describe_machine
from yoto_core import pipeline
from yoto_core.config import RunConfig, SelectorConfig, TaskConfig, TrainingConfig
from yoto_core.data.reading import from_anndata
from yoto_core.store.portable import export_model
from yoto_core.store.saved import saved_model

CLASSES, SEEN, BLOCK = 12, 0.2, 50_000
LIMIT_SECONDS, LIMIT_GB = 60, 4


def counts(cells: int, genes: int, seed: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Counts of which a fifth is not zero, and the class of each cell (its genes are twelve times as high)."""
    rng = np.random.default_rng(seed)
    label = rng.integers(CLASSES, size=cells)
    rate = np.full((CLASSES, genes), SEEN)
    for code in range(CLASSES):
        rate[code, code::CLASSES] = 12 * SEEN if code % 2 else 6 * SEEN
    rate *= 0.75
    return sparse.csr_matrix(rng.poisson(rate[label]).astype(np.float32)), label


def make_file(path: Path, cells: int, genes: int, *, dense: bool) -> float:
    """An .h5ad written a block at a time; gives the share of values that are not zero."""
    block, _ = counts(min(BLOCK, cells), genes, seed=1)
    times = -(-cells // block.shape[0])
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(cells)])
    shell = anndata.AnnData(obs=obs, var=pd.DataFrame(index=[f"GENE{i}" for i in range(genes)]))
    shell.write_h5ad(path)
    with h5py.File(path, "a") as file:
        if "X" in file:
            del file["X"]
        if dense:
            x = file.create_dataset("X", shape=(cells, genes), dtype="f4", chunks=(1000, genes))
            x.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
            for i in range(times):
                rows = block[: min(block.shape[0], cells - i * block.shape[0])]
                x[i * block.shape[0] : i * block.shape[0] + rows.shape[0]] = rows.toarray()
            return block.nnz / np.prod(block.shape)
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": (cells, genes)})
        size = block.nnz * times
        data = group.create_dataset("data", shape=(size,), dtype="f4", chunks=(1 << 20,))
        indices = group.create_dataset("indices", shape=(size,), dtype="i4", chunks=(1 << 20,))
        for i in range(times):
            data[i * block.nnz : (i + 1) * block.nnz] = block.data
            indices[i * block.nnz : (i + 1) * block.nnz] = block.indices
        pointers = np.concatenate([block.indptr[:-1] + i * block.nnz for i in range(times)])[:cells]
        group["indptr"] = np.append(pointers, size).astype(np.int64)
    return block.nnz / np.prod(block.shape)


def make_model(folder: Path, genes: int) -> Path:
    """A model that reads `genes` genes, trained on 2,000 cells of the same kind."""
    matrix, label = counts(2_000, genes + 10, seed=0)
    obs = pd.DataFrame({"cell_type": pd.Categorical([f"type {code}" for code in label])})
    obs.index = obs.index.astype(str)
    adata = anndata.AnnData(matrix, obs=obs, var=pd.DataFrame(index=[f"GENE{i}" for i in range(genes + 10)]))
    config = RunConfig(
        tasks=(TaskConfig(obs="cell_type"),),
        selector=SelectorConfig(panel_size=genes),
        training=TrainingConfig(steps=20, fit_steps=100, pool=genes + 10),
    )
    run = pipeline.choose_panel(from_anndata(adata), config).run
    return export_model(saved_model(run), folder / "panel.yoto")


def measure(model: Path, data: Path, out: Path) -> tuple[float, float, float]:
    """Seconds of the whole shell command, start and writing included, processor seconds, and its largest memory in GB."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "yoto_core", "predict", str(model), str(data), "--out", str(out), "--impute"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    worked = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, worked, after.ru_maxrss / 2**20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=1_000_000)
    parser.add_argument("--genes", type=int, default=500)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    print(describe_machine())
    print(f"goal: under {LIMIT_SECONDS} s and {LIMIT_GB} GB on two cores\n")
    print("| file | cells | genes | not zero | MB on disk | seconds | processor seconds | GB at most |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = make_model(folder, options.genes)
        for name, cells, dense in (("dense", options.cells // 10, True), ("CSR", options.cells, False)):
            data = folder / "new.h5ad"
            share = make_file(data, cells, options.genes, dense=dense)
            seconds, worked, memory = measure(model, data, folder / "out.csv")
            size = data.stat().st_size / 1e6
            print(
                f"| {name} | {cells:,} | {options.genes} | {share:.0%} | {size:,.0f} | {seconds:.1f} | {worked:.1f}"
                f" | {memory:.2f} |"
            )
            data.unlink()


if __name__ == "__main__":
    main()

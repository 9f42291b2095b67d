"""Train on unstimulated cells, label stimulated ones, and the reverse: what the three normalisations save of the score.

    python -W ignore -m tests.benchmarks.shift FILE.h5ad [--task cell_type] [--condition condition] [--panel-size 32] [--seeds 0 1]

FILE holds cells under two conditions (kang2018_pbmc_ifnb_2800.h5ad). One model per direction, normalisation and seed learns
from one condition; its own held-out cells and all cells of the other are labelled, the latter also from a file that holds
the panel's genes and nothing else, as a targeted assay would give. Figures are macro-F1 of the model itself.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import anndata
import numpy as np
import pandas as pd

from tests.benchmarks.machine import describe_machine
from yoto_core import pipeline
from yoto_core.config import GenesConfig, Normalize, RunConfig, SelectorConfig, TaskConfig
from yoto_core.data.reading import from_anndata
from yoto_core.prediction.crossstudy import judge
from yoto_core.prediction.predict import label
from yoto_core.scores import metrics


def one(train: anndata.AnnData, new: anndata.AnnData, config: RunConfig) -> dict[str, float]:
    """Macro-F1 on held-out cells, on the other condition, and there from the panel's genes alone; share out of range."""
    chosen = pipeline.choose_panel(from_anndata(train), config)
    problem, run = chosen.problem, chosen.run
    target, cells = problem.targets[0], problem.split.test
    own = run.model.predict(problem.panel_columns(cells, chosen.order))[0].values
    found = {"held-out": metrics.headline(target, cells, own)}
    for name, data in (("other condition", new), ("other, panel genes only", new[:, list(run.panel.genes)].copy())):
        labelled = label(run.model, data, reference=run.reference)
        scores = judge(run.model, labelled).scores
        found[name] = float(scores.loc[scores["metric"] == "macro_f1", "value"].iloc[0])
        found[f"{name}: out of range"] = labelled.shift.out_of_range
    found["drop"] = found["held-out"] - found["other condition"]
    found["drop, panel genes only"] = found["held-out"] - found["other, panel genes only"]
    return found


def table(path: Path, task: str, condition: str, panel_size: int, seeds: Sequence[int]) -> pd.DataFrame:
    """One row per direction and normalisation, means over seeds."""
    adata = anndata.read_h5ad(path)
    first, second = adata.obs[condition].cat.categories[:2]
    rows = []
    for here, there in ((first, second), (second, first)):
        parts = [adata[(adata.obs[condition] == side).to_numpy()].copy() for side in (here, there)]
        for part in parts:
            part.obs[task] = part.obs[task].cat.remove_unused_categories()
        for normalize in get_args(Normalize):
            found = []
            for seed in seeds:
                config = RunConfig(
                    tasks=(TaskConfig(obs=task),),
                    genes=GenesConfig(normalize=normalize),
                    selector=SelectorConfig(panel_size=panel_size),
                    seed=seed,
                )
                found.append(one(*parts, config))
            mean = {name: float(np.mean([row[name] for row in found])) for name in found[0]}
            rows.append({"train": here, "label": there, "normalize": normalize, **mean})
    return pd.DataFrame(rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--task", default="cell_type")
    parser.add_argument("--condition", default="condition")
    parser.add_argument("--panel-size", type=int, default=32)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    options = parser.parse_args()
    print(describe_machine(options.file))
    print(f"task: {options.task}, {options.panel_size} genes, seeds {options.seeds}; macro-F1 of the model itself\n")
    found = table(options.file, options.task, options.condition, options.panel_size, options.seeds)
    print(found.round(3).to_string(index=False))


if __name__ == "__main__":
    main()

"""Save a run into its folder and read it back.

Every file is written whole; `schema` in model.json and metrics.json lets later versions read old folders.
"""

import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, TypedDict

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from yoto_core.config import Normalize, RunConfig, TaskKind
from yoto_core.errors import PlaceError, RunError, limit_of
from yoto_core.evaluation.evaluator import CLASS_COLUMNS, TEST_COLUMNS, Evaluation, FoldResult
from yoto_core.evaluation.losses import COLUMNS as LOSS_COLUMNS
from yoto_core.evaluation.reference import Reference
from yoto_core.evaluation.stability import Stability
from yoto_core.files import LARGEST_WEIGHTS, read_bytes, read_json, reading, write_json, write_text, write_whole
from yoto_core.model.network import Head
from yoto_core.model.panel import Panel
from yoto_core.model.panel_model import SCALES, PanelModel
from yoto_core.pipeline import Run
from yoto_core.records import Count, Within, checked
from yoto_core.scores.metrics import MIN_GROUPS
from yoto_core.store import labels
from yoto_core.store.folders import create_folder
from yoto_core.store.labels import Label, read_label
from yoto_core.store.status import queued
from yoto_core.tables import csv_text, read_csv, read_parquet

SCHEMA = 3
MOST_GENES = 20_000  # of a panel; a setting allows a thousand
# Settings of schema 1 that turned out to gain nothing, and are gone.
RETIRED = ("dropout", "label_smoothing", "group_penalty")
STABILITY = "stability.json"
# Up to schema 2 training and split had one seed, and a model read all genes unless it was told otherwise.
ONE_SEED = 2


class _Tasked(TypedDict):
    task: str
    kind: TaskKind
    classes: tuple[str, ...]
    labelled: Count


class _FromTheStart(TypedDict):
    name: str
    digest: str
    cells: Count
    genes: Count
    candidate_genes: Count
    matrix: str
    split: dict[str, Count]
    held_out_groups: tuple[str, ...]
    tasks: tuple[_Tasked, ...]


class Summary(_FromTheStart, total=False):
    """What data.json says once there is a panel; what earlier versions did not write may be missing."""

    path: str
    kind: str
    unit: str
    matrices: tuple[dict[str, str | int], ...]
    folds: tuple[dict[str, tuple[str, ...] | int], ...]
    findings: tuple[dict[str, str], ...]


def create_run(
    config: RunConfig, *, data_path: Path, data_name: str, data_digest: str, label: Label | None = None
) -> Path:
    """A run on disk, not yet handed to the queue: all that a worker needs to carry it out.

    Raises:
        ConfigError: The config comes from an earlier version, and this one refuses it.
        RunError: The run cannot be written.
    """
    config = RunConfig.from_dict(config.to_dict())
    return create_folder(
        {
            "config.json": {"schema": SCHEMA, **config.to_dict()},
            "data.json": {"path": str(Path(data_path).resolve()), "name": data_name, "digest": data_digest},
            "status.json": asdict(queued()),
            **({labels.FILE: asdict(label)} if label else {}),
        }
    )


def same_again(folder: Path, *, owner: str = "") -> Path:
    """A new run of the same config on the same data.

    Raises:
        RunError: Either cannot be read.
        ConfigError: The config is one that this version refuses.
    """
    about = read_json(folder / "data.json")
    with reading("data.json"):
        data = {"data_path": Path(about["path"]), "data_name": about["name"], "data_digest": about["digest"]}
    label = replace(read_label(folder), owner=owner, sweep="", sizes=())
    return create_run(read_config(folder), **data, label=label)


def read_config(folder: Path) -> RunConfig:
    """The config that a run was made with."""
    values = read_json(folder / "config.json")
    schema = values.pop("schema", None)
    _check_schema(schema)
    if schema == 1 and isinstance(values.get("training"), dict):
        values["training"] = {name: value for name, value in values["training"].items() if name not in RETIRED}
    if schema <= ONE_SEED:
        split = values["split"] if isinstance(values.get("split"), dict) else {}
        values["split"] = {"scheme": "one split", "seed": values.get("seed", 0), **split}
        values["genes"] = {"normalize": "all genes", **(values.get("genes") or {})}
        values["evaluation"] = {"stability": "no", **(values.get("evaluation") or {})}
    return RunConfig.from_dict(values, stored=True)


def read_history(folder: Path) -> pd.DataFrame:
    """The training steps reported so far (numbers; no rows before the first), also while the run still works."""
    path = folder / "history.csv"
    if not path.exists():
        return pd.DataFrame()
    with reading("history.csv"):
        content = read_bytes(path)
        if not content:
            return pd.DataFrame()
        # A line that is being written may be cut: what is not a number yet is left out.
        table = pd.read_csv(io.BytesIO(content), on_bad_lines="skip").apply(pd.to_numeric, errors="coerce")
        return table[table["loss"].notna()] if "loss" in table else pd.DataFrame()


def save_panel(folder: Path, run: Run) -> None:
    """Write panel, model, history and what is known of the data."""
    write_text(folder / "panel.csv", csv_text(run.panel_table))
    write_text(folder / "history.csv", csv_text(run.history))
    write_whole(folder / "model.safetensors", lambda part: part.write_bytes(save(run.model.tensors)))
    write_json(
        folder / "model.json",
        {"schema": SCHEMA, **model_to_dict(run.model)},
    )
    if run.reference is not None:
        write_json(folder / "reference.json", {"schema": SCHEMA, **run.reference.to_dict()})
    write_text(folder / "losses.csv", csv_text(run.losses))
    write_json(folder / "data.json", {**read_json(folder / "data.json"), **run.summary})


def save_stability(folder: Path, run: Run) -> None:
    """Write the stability of a run that has one, and the panel's table with it."""
    write_json(folder / STABILITY, {"schema": SCHEMA, **run.stability.to_dict()})
    write_text(folder / "panel.csv", csv_text(run.panel_table))


def save_evaluation(folder: Path, run: Run) -> None:
    """Write the scores and the held-out predictions."""
    scores = run.evaluation
    write_text(folder / "sizes.csv", csv_text(scores.sizes))
    write_whole(folder / "predictions.parquet", lambda part: scores.predictions.to_parquet(part, index=False))
    write_json(
        folder / "metrics.json",
        {
            "schema": SCHEMA,
            "scores": scores.scores.to_dict("records"),
            "classes": scores.classes.to_dict("records"),
            "confusion": {
                t: {"classes": list(c), "counts": c.to_numpy().tolist()} for t, c in scores.confusion.items()
            },
            "panels": scores.panels,
            "tests": scores.tests.to_dict("records"),
            "folds": [asdict(fold) for fold in scores.folds],
            "best_all": scores.best_all,
            "timing": run.timing,
            "versions": run.versions,
        },
    )


def load_run(path: str | Path) -> Run:
    """Read a run back from its folder.

    Raises:
        RunError: The folder is missing, holds no panel, is damaged, or was written by a newer version.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise RunError(f"There is no run folder {folder.name}.", hint="Check the path.")
    config, summary = read_config(folder), read_json(folder / "data.json")
    with reading("data.json"):
        checked(summary, Summary)
    with reading("panel.csv"):
        table = read_csv(folder / "panel.csv", dtype=str, keep_default_na=False)
        panel = Panel(
            genes=tuple(table["gene"]),
            gene_ids=tuple(table["gene_id"]),
            scores=tuple(table["score"].astype(float)),
            included=tuple(table["included"] == "True"),
            panel_size=config.selector.panel_size,
        )
        table = table.astype({"rank": int, "score": float}).assign(included=list(panel.included))
    stability = _stability(folder, panel.panel_size)
    # In runs of older versions the column held the agreement of replicas of one training, which says nothing of other cells.
    table["stability"] = list(stability.genes) if stability else float("nan")
    metrics = read_json(folder / "metrics.json") if (folder / "metrics.json").exists() else None
    with reading("metrics.json"):
        timing, versions = (metrics["timing"], metrics["versions"]) if metrics else ({}, {})
    return Run(
        config=config,
        panel=panel,
        panel_table=table,
        model=(model := load_model(folder)),
        history=read_history(folder),
        evaluation=_evaluation(folder, metrics, len(summary.get("held_out_groups", ()))) if metrics else None,
        summary=summary,
        timing=timing,
        versions=versions,
        reference=_reference(folder, len(model.genes)),
        losses=_losses(folder),
        stability=stability,
    )


def load_model(folder: Path) -> PanelModel:
    """The predictor of a run, from two files that hold numbers and names and nothing that runs."""
    about = read_json(folder / "model.json")
    _check_schema(about.get("schema"))
    try:
        tensors = load(read_bytes(folder / "model.safetensors", largest=LARGEST_WEIGHTS))
    except (SafetensorError, OSError, MemoryError, RuntimeError, ValueError, LookupError, TypeError) as error:
        if limit := limit_of(error, "model.safetensors of the run", PlaceError):
            raise limit from error
        raise RunError("model.safetensors of the run is missing or damaged.", hint="Run it again.") from error
    with reading("model.json"):
        return model_from(about, tensors)


def model_to_dict(model: PanelModel) -> dict[str, object]:
    """All of a model but its weights, as plain values."""
    return {
        "genes": list(model.genes),
        "gene_ids": list(model.gene_ids),
        "heads": [asdict(head) for head in model.heads],
        "normalize": model.normalize,
    }


def model_from(values: dict[str, object], tensors: dict[str, Tensor]) -> PanelModel:
    """The inverse of `model_to_dict`; LookupError, TypeError or ValueError where it does not hold together."""
    names = Annotated[tuple[str, ...], Within(1, MOST_GENES)]
    genes, ids = checked(values["genes"], names), checked(values["gene_ids"], names)
    heads = checked(values["heads"], Annotated[tuple[Head, ...], Within(1)])
    normalize = checked(values.get("normalize", "all genes"), Normalize)  # runs of older versions name none
    tasks = [head.task for head in heads]
    for listed in (genes, tasks, *(head.classes for head in heads)):
        if len(set(listed)) < len(listed):
            raise ValueError("a name stands twice")
    if len(ids) != len(genes) or any(len(head.classes) == 1 for head in heads):
        raise ValueError("ids without a gene, or a task of one class")
    _check_weights(tensors, len(genes), heads)
    return PanelModel(genes, ids, heads, tensors, normalize)


def _check_weights(tensors: dict[str, Tensor], genes: int, heads: tuple[Head, ...]) -> None:
    """ValueError where these are not the weights of a network for so many genes and these heads: before any is made."""
    replicas, _, hidden = tensors["gene_weights_RAH"].shape
    shapes = {name: (genes,) for name in SCALES if name != "level" or name in tensors}
    shapes |= {"gene_weights_RAH": (replicas, genes, hidden), "bias_RH": (replicas, hidden)}
    for number, head in enumerate(heads):
        shapes[f"head_weights_RHC.{number}"] = (replicas, hidden, head.n_outputs)
        shapes[f"head_bias_RC.{number}"] = (replicas, head.n_outputs)
    if {name: tuple(tensor.shape) for name, tensor in tensors.items()} != shapes:
        raise ValueError("weights of another model")
    if not all(tensor.dtype == torch.float32 and bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise ValueError("weights that are no numbers")


def _reference(folder: Path, genes: int) -> Reference | None:
    if not (folder / "reference.json").exists():  # a run of an older version
        return None
    values = read_json(folder / "reference.json")
    _check_schema(values.get("schema"))
    with reading("reference.json"):
        return Reference.from_dict(values, genes=genes)


def _stability(folder: Path, genes: int) -> Stability | None:
    if not (folder / STABILITY).exists():  # not measured, or not yet
        return None
    values = read_json(folder / STABILITY)
    _check_schema(values.pop("schema", None))
    with reading(STABILITY):
        return Stability.from_dict(values, genes=genes)


def _losses(folder: Path) -> pd.DataFrame:
    if not (folder / "losses.csv").exists():  # a run of an older version
        return pd.DataFrame(columns=list(LOSS_COLUMNS))
    with reading("losses.csv"):
        table = read_csv(
            folder / "losses.csv",
            dtype={"gene": str, "task": str, "class": str, "needed": bool},
            keep_default_na=False,
            na_values={name: [""] for name in ("before", "after", "loss", "low", "high", "p")},
        )
        return table[list(LOSS_COLUMNS)]


def _evaluation(folder: Path, metrics: dict[str, object], groups: int) -> Evaluation:
    _check_schema(metrics.get("schema"))
    old = metrics["schema"] <= ONE_SEED
    with reading("predictions.parquet"):
        predictions = read_parquet(folder / "predictions.parquet")
    with reading("sizes.csv"):
        sizes = read_csv(folder / "sizes.csv", dtype={"task": str})
        sizes = _comparable(sizes, groups) if old else sizes
        sizes[["part", "size", "task", "method", "judge", "metric", "value", "low", "high"]]  # what the curves need
    with reading("metrics.json"):
        scores = pd.DataFrame(metrics["scores"]).astype({"value": float, "low": float, "high": float})
        tests = pd.DataFrame(metrics.get("tests", []), columns=list(TEST_COLUMNS))
        return Evaluation(
            scores=_comparable(scores, groups) if old else scores,
            sizes=sizes,
            classes=pd.DataFrame(metrics["classes"], columns=list(CLASS_COLUMNS)),
            confusion={
                task: pd.DataFrame(found["counts"], index=found["classes"], columns=found["classes"])
                for task, found in metrics["confusion"].items()
            },
            predictions=predictions,
            panels={name: tuple(genes) for name, genes in metrics["panels"].items()},
            tests=tests.astype({"value": float, "p": float, "chance": float, "beaten": bool}),
            folds=tuple(
                FoldResult(tuple(f["held_out"]), int(f["cells"]), tuple(f["genes"]), dict(f["scores"]))
                for f in metrics.get("folds", [])
            ),
            best_all=dict(metrics.get("best_all", {})),
        )


def _comparable(table: pd.DataFrame, groups: int) -> pd.DataFrame:
    """Scores of schema 2 under today's names, without what meant something else then; `groups` were held out.

    A mean over classifiers stood for a panel, one draw of a stratified guess for chance, and classifiers made for panels for all
    genes; intervals were given for however few groups; YOTO's own model was a judge of its panel.
    """
    kept = table[(table["judge"] != "mean") & ~table["method"].isin(["all", "chance"])].assign(groups=groups)
    if 0 < groups < MIN_GROUPS:
        kept[["low", "high"]] = float("nan")
    own = kept["judge"] == "yoto"
    return kept.assign(
        method=kept["method"].mask(own & (kept["method"] == "yoto"), "own"), judge=kept["judge"].mask(own, "own")
    )


def _check_schema(schema: object) -> None:
    if type(schema) is not int or not 1 <= schema <= SCHEMA:  # true is no number
        raise RunError(
            f"The run has schema {json.dumps(schema)}; this version reads up to {SCHEMA}.", hint="Update YOTO."
        )

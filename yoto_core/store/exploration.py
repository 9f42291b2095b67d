"""The files behind the Explore pages: gene profiles and maps, written by the worker and read by the pages.

candidates.csv · genes.csv · classes.csv · replacements.csv · correlations.parquet        with the panel
embedding.parquet · expression.parquet · maps.json                                        after the scores
"""

from pathlib import Path

import pandas as pd

from yoto_core.explore.embedding import CLASS_COLUMNS, Maps
from yoto_core.explore.profiles import Profiles
from yoto_core.files import read_json, reading, write_json, write_text, write_whole
from yoto_core.tables import csv_text, read_csv, read_parquet

MAPS_FILE = "maps.json"
_TABLES = ("candidates", "genes", "classes", "replacements")
_TEXT = {"gene": str, "gene_id": str, "other": str, "other_id": str, "task": str, "class": str}
_TEXT |= {"best_task": str, "best_class": str, "families": str}


def save_profiles(folder: Path, profiles: Profiles) -> None:
    """Write what is known of the panel's genes."""
    for name in _TABLES:
        write_text(folder / f"{name}.csv", csv_text(getattr(profiles, name)))
    _write_parquet(folder / "correlations.parquet", profiles.correlations)


def load_profiles(folder: Path) -> Profiles:
    """Read it back (RunError where the run has none, as runs of earlier versions)."""
    tables = {}
    for name in _TABLES:
        with reading(f"{name}.csv"):
            table = read_csv(folder / f"{name}.csv", dtype=_TEXT, keep_default_na=False, na_values={})
            numbers = [column for column in table if column not in _TEXT]
            tables[name] = table.assign(**{column: pd.to_numeric(table[column]) for column in numbers})
    with reading("correlations.parquet"):
        correlations = read_parquet(folder / "correlations.parquet")
    return Profiles(**tables, correlations=correlations.set_axis(correlations.columns, axis=0))


def load_candidates(folder: Path) -> pd.DataFrame:
    """The genes that the panel was chosen from: gene, gene_id."""
    with reading("candidates.csv"):
        return read_csv(folder / "candidates.csv", dtype=str, keep_default_na=False)


def save_maps(folder: Path, maps: Maps) -> None:
    """Write the maps; maps.json comes last, so that its presence means all are there."""
    _write_parquet(folder / "embedding.parquet", maps.cells)
    _write_parquet(folder / "expression.parquet", maps.expression)
    tables = {name: getattr(maps, name).to_dict("records") for name in ("overall", "classes")}
    write_json(folder / MAPS_FILE, {"of_cells": maps.of_cells, "genes_all": maps.genes_all, **tables})


def has_maps(folder: Path) -> bool:
    """Whether the run's maps are drawn."""
    return (folder / MAPS_FILE).exists()


def load_maps(folder: Path) -> Maps:
    """Read them back (RunError where the run has none)."""
    about = read_json(folder / MAPS_FILE)
    with reading("embedding.parquet"):
        cells = read_parquet(folder / "embedding.parquet")
    with reading("expression.parquet"):
        expression = read_parquet(folder / "expression.parquet")
    with reading(MAPS_FILE):
        overall = pd.DataFrame(about["overall"], columns=["measure", "task", "all", "panel"])
        classes = pd.DataFrame(about["classes"], columns=CLASS_COLUMNS)
        return Maps(cells, expression, overall, classes, about["of_cells"], about["genes_all"])


def _write_parquet(path: Path, table: pd.DataFrame) -> None:
    write_whole(path, lambda part: table.to_parquet(part, index=False))

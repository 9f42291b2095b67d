"""What is said of data, designs and runs, in words and plain tables."""

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.conftest import make_toy
from tests.shared_runs import AGE, CONDITION, TYPE, config_for, finished, save, toy_dataset
from yoto_core import report
from yoto_core.config import SplitConfig
from yoto_core.data.reading import from_anndata
from yoto_core.evaluation.sizes import suggest
from yoto_core.files import write_json
from yoto_core.scores.methods import JUDGE_LABELS, METHODS, headline_rows
from yoto_core.store.history import history
from yoto_core.store.status import Status
from yoto_core.verdicts import needed_rule, verdict


@pytest.fixture(scope="module")
def run():
    return finished()


def test_the_facts_of_a_data_set_are_those_of_its_matrix():
    data = toy_dataset()
    facts = report.describe_data(data)
    counts = data.matrix.toarray()
    assert (facts["cells"], facts["genes"]) == counts.shape
    assert facts["genes_per_cell_median"] == int(np.median((counts > 0).sum(axis=1)))
    assert facts["counts_per_cell_median"] == np.median(counts.sum(axis=1))
    mito = [symbol.startswith("MT-") for symbol in data.genes.symbols]
    assert facts["mitochondrial_percent"] == pytest.approx(100 * counts[:, mito].sum() / counts.sum(), rel=1e-5)
    assert facts["zero_percent"] == pytest.approx(100 * (counts == 0).mean())
    assert facts["undetected_genes"] == 0
    assert [column["name"] for column in facts["columns"]][:2] == ["cell_type", "condition"]
    assert json.loads(json.dumps(facts)) == facts  # plain values, ready for a program


def test_counts_are_not_spoken_of_where_there_are_none():
    adata = make_toy()
    adata.X.data = np.log1p(adata.X.data)
    facts = report.describe_data(from_anndata(adata))
    assert facts["counts_per_cell_median"] is None
    assert facts["mitochondrial_percent"] is None
    assert "log-normalised" in report.data_as_text(facts)


def test_data_in_words_name_matrix_tasks_groups_and_findings():
    text = report.data_as_text(report.describe_data(toy_dataset()))
    assert text.startswith("toy.h5ad: 300 cells × 60 genes, ")
    assert "\nMatrix used: X\n  X: counts, 60 genes (" in text
    assert "\nLikely tasks:\n  cell_type (classification): 4 classes, the smallest with 75 cells\n" in text
    assert "\nLikely groups to hold out:\n  donor (classification): " in text


def test_a_design_is_one_sentence():
    assert report.describe_design(config_for(TYPE, AGE, panel_size=7)) == (
        "7 genes that predict cell_type, age, judged on held-out cells."
    )
    grouped = config_for(CONDITION, panel_size=7, split=SplitConfig(group="donor"))
    assert report.describe_design(grouped) == "7 genes that predict condition, judged on whole held-out donors."


def test_the_score_table_holds_every_method_best_first(run):
    table = report.score_table(run, "cell_type")
    rows = headline_rows(run.evaluation.scores)
    rows = rows[rows["task"] == "cell_type"].set_index("method")["value"]
    assert dict(table["score"]) == {METHODS[method]: value for method, value in rows.items()}
    assert table["score"].is_monotonic_decreasing
    assert list(table.columns) == ["score", "interval", "Random forest", "Nearest neighbours"]
    assert table.loc["Chance", "interval"] == ""
    assert re.fullmatch(r"[01]\.\d{3} to [01]\.\d{3}", table.loc["YOTO panel", "interval"])


def test_all_scores_of_a_task_carry_readable_names(run):
    table = report.all_scores(run.evaluation.scores, "age")
    assert list(table.columns) == ["method", "judge", "metric", "value", "low", "high", "cells", "groups"]
    assert set(table["metric"]) == {"R²", "mean absolute error", "Spearman"}
    assert table["method"].isin(METHODS.values()).all()
    assert table["judge"].isin(JUDGE_LABELS.values()).all()


def test_a_run_in_words_names_every_gene_and_task(run):
    text = report.as_text(run)
    assert text.startswith("Panel of 8 genes from toy.h5ad")
    assert all(gene in text for gene in run.panel.genes)
    for task, metric in (("cell_type", "macro-F1"), ("condition", "macro-F1"), ("age", "R²")):
        assert f"{task}: {metric} on 75 cells" in text
        assert verdict(run, task) in text
    assert needed_rule(run.losses, group="") in text
    assert suggest(run.evaluation.sizes, 8).sentence in text
    assert re.search(r"Training took \d+\.\d s\.", text)
    assert "nan" not in text.lower().replace("nanog", "")


def test_a_stopped_run_in_words_says_what_is_missing(run):
    text = report.as_text(replace(run, evaluation=None))
    assert text.endswith("The run was stopped before its scores were measured.")


def test_runs_are_listed_one_per_line_with_broken_ones(run):
    assert report.runs_as_text([]) == "No runs yet. Try: python -m yoto_core demo"
    folder = save(run)
    broken = save(run)
    (broken / "config.json").write_text("{")
    write_json(broken / "status.json", Status(state="done", created=0.0).__dict__)
    first, second = report.runs_as_text(history()).splitlines()
    assert first.startswith(folder.name)
    assert first.endswith("done         8 genes for cell_type, condition, age")
    assert second.startswith(f"{broken.name}  ?  failed")


@pytest.mark.parametrize(
    ("text", "found"), [("", 3), ("  ", 3), ("cd", 2), ("CD3", 1), ("ensg01", 1), ("(", 0), (".*", 0), ("zz", 0)]
)
def test_genes_are_found_by_a_part_of_symbol_or_id(text, found):
    panel = pd.DataFrame({"gene": ["CD3E", "Cd8a", "LYZ"], "gene_id": ["ENSG01", "ENSG02", ""]})
    assert len(report.find_rows(panel, text)) == found


@pytest.mark.parametrize(
    ("name", "safe"), [("cell_type", "cell_type"), ("../a b", "_a_b"), ("<é>", "_"), ("", "task"), ("x" * 99, "x" * 60)]
)
def test_names_become_file_names_that_every_system_takes(name, safe):
    assert report.file_safe(name) == safe

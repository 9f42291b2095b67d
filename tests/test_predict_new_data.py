"""New data as they come: streamed files, missing, repeated and oddly spelled genes, other values, other cells, own labels."""

import re
from dataclasses import replace

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from tests.conftest import make_toy
from tests.shared_runs import AGE, CONDITION, TYPE, chosen, config_for
from yoto_core import pipeline
from yoto_core.config import GenesConfig
from yoto_core.data.genes import GeneNames
from yoto_core.data.preprocess import log_normalise
from yoto_core.data.reading import from_anndata
from yoto_core.data.scales import COUNTS
from yoto_core.errors import DataError
from yoto_core.evaluation.reference import Reference
from yoto_core.model.forms import as_read
from yoto_core.prediction.cells import cells_of, open_cells
from yoto_core.prediction.crossstudy import (
    classes_side_by_side,
    comparable_tasks,
    judge,
    scores_side_by_side,
)
from yoto_core.prediction.matching import RULES, match_panel, refuse_missing, species_of
from yoto_core.prediction.predict import label, look

HUMAN = ("CD3D", "MS4A1", "LYZ", "NKG7", "PPBP", "CST3")
IDS = tuple(f"ENSG0000000000{i}" for i in range(6))


@pytest.fixture(scope="module")
def plain():
    return chosen(config_for(TYPE, CONDITION, AGE, panel_size=8, genes=GenesConfig(normalize="all genes")))


@pytest.fixture(scope="module")
def by_panel():
    return chosen(config_for(TYPE, panel_size=8, genes=GenesConfig(normalize="panel")))


@pytest.fixture(scope="module")
def by_binary():
    return chosen(config_for(TYPE, panel_size=8, genes=GenesConfig(normalize="binary")))


def labelled(found, adata, **settings):
    return label(found.run.model, adata, reference=found.run.reference, **settings)


def logged(adata):
    """The same cells as logarithms of 10,000 transcripts each."""
    return anndata.AnnData(log_normalise(from_anndata(adata).matrix, COUNTS), obs=adata.obs, var=adata.var)


def names(*symbols, ids=None, repeated=()):
    return GeneNames(tuple(symbols), tuple(ids or [""] * len(symbols)), tuple(repeated))


# --- genes


@pytest.mark.parametrize(
    ("symbols", "ids", "how"),
    [
        (HUMAN, None, "symbol"),
        ([f"x{i}" for i in range(6)], IDS, "Ensembl id"),
        ([f"x{i}" for i in range(6)], [f"{gene}.7" for gene in IDS], "Ensembl id"),
        ([gene.lower() for gene in HUMAN], None, "other case"),
    ],
)
def test_genes_are_found_by_symbol_id_without_version_or_other_case(symbols, ids, how):
    clean = None if ids is None else [gene.partition(".")[0] for gene in ids]
    found = match_panel(HUMAN, IDS, names(*symbols, ids=clean), name="new")
    assert found.places == tuple(range(6))
    assert set(found.how) == {how}


def test_the_exact_symbol_wins_over_another_case_and_a_column_serves_once():
    found = match_panel(("Abc", "ABC"), ("", ""), names("ABC", "Abc"), name="new")
    assert found.places == (1, 0)
    assert match_panel(("Abc", "ABC"), ("", ""), names("Abc", "Z"), name="new").missing == ("ABC",)
    assert match_panel(("Abc", "ABC"), ("", ""), names("ABC", "Z"), name="new").missing == ("Abc",)


def test_a_repeated_panel_gene_is_read_once_with_a_warning():
    found = match_panel(HUMAN, IDS, names(*HUMAN, "LYZ-1", repeated=["LYZ"]), name="new.h5ad")
    assert [f.message for f in found.findings] == ["In new.h5ad LYZ is there more than once."]


def test_repeated_ensembl_ids_are_warned_of_too():
    found = match_panel(HUMAN, IDS, names(*(f"x{i}" for i in range(7)), ids=[*IDS, IDS[2]]), name="new.h5ad")
    assert [f.message for f in found.findings] == ["In new.h5ad LYZ is there more than once."]


def test_how_the_genes_were_found_is_said():
    found = match_panel(HUMAN, IDS, names("CD3D", "ms4a1", "x", ids=["", "", IDS[2]]), name="new")
    assert found.sentence == ("3 of 6 panel genes are there: 1 by symbol, 1 by Ensembl id, 1 spelled in another case.")
    assert found.enough
    assert "without the version" in RULES


def test_no_panel_gene_present_is_refused_with_what_stands_there_instead():
    with pytest.raises(
        DataError,
        match=re.escape("new holds none of the 6 panel genes. Use data in which they were measured: the panel begins"),
    ):
        match_panel(HUMAN, IDS, names("A", "B", "C"), name="new")


def test_another_species_by_ids_is_refused_and_by_spelling_warned_of():
    mouse = [f"ENSMUSG0000000000{i}" for i in range(6)]
    with pytest.raises(
        DataError, match=r"Its genes are spelled as in mouse, the panel's as in human. Use data of the same species."
    ):
        match_panel(HUMAN, IDS, names(*(f"x{i}" for i in range(6)), ids=mouse), name="new")
    found = match_panel(HUMAN, ("",) * 6, names(*(gene.capitalize() for gene in HUMAN)), name="new")
    assert found.findings[0].message == "new: Its genes are spelled as in mouse, the panel's as in human."
    found = match_panel(HUMAN, ("",) * 6, names("Cd3d", *(f"Gene{i}" for i in range(6))), name="new")
    with pytest.raises(
        DataError, match=r"lacks 5 of the 6 .* At least 50% of them must be there. Its genes are spelled"
    ):
        refuse_missing(found, impute=True, name="new")


@pytest.mark.parametrize(
    ("symbols", "species"), [(HUMAN, "human"), ([g.title() for g in HUMAN], "mouse"), (("a1",), ""), (IDS, "human")]
)
def test_species_are_told_by_ids_or_spelling(symbols, species):
    assert species_of(symbols, ()) == species


@pytest.mark.parametrize(
    ("kept", "impute", "sentence"), [(5, False, "take missing ones as average"), (2, True, "At least 50%")]
)
def test_missing_genes_are_refused_unless_averages_are_asked_for_and_half_are_there(kept, impute, sentence):
    found = match_panel(HUMAN, IDS, names(*HUMAN[:kept]), name="new")
    with pytest.raises(DataError, match=f"new lacks {6 - kept} of the 6 panel genes") as caught:
        refuse_missing(found, impute=impute, name="new")
    assert sentence in caught.value.hint
    if kept > 3:
        refuse_missing(found, impute=True, name="new")


def test_a_missing_gene_is_taken_as_average_whatever_its_column_says(plain, toy):
    gene = plain.run.panel.genes[0]
    lacking = labelled(plain, toy[:, toy.var_names != gene].copy(), impute=True)
    assert lacking.matching.missing == (gene,)
    assert f"{gene} is missing and taken as average." in [f.message for f in lacking.findings]
    assert len(lacking.table) == 300
    raw = plain.problem.panel_columns(np.arange(20), plain.order)
    garbage = raw.copy()
    garbage[:, 0] = 99.0
    one, other = (plain.run.model.predict(x, absent=(0,))[0].probabilities for x in (raw, garbage))
    assert (one == other).all()


# --- the form of the input


def test_panel_normalisation_forgets_the_library_and_what_else_was_measured(by_panel, toy):
    whole = labelled(by_panel, toy).table
    alone = toy[:, list(by_panel.run.panel.genes)].copy()
    deeper = alone.copy()
    deeper.X = alone.X * 7
    for other in (alone, deeper):
        found = labelled(by_panel, other).table
        assert (found["cell_type"] == whole["cell_type"]).all()
        assert np.allclose(found["cell_type probability"], whole["cell_type probability"], atol=1e-4)


def test_binary_input_forgets_all_but_whether_a_gene_was_seen(by_binary, toy):
    seen = toy[:, list(by_binary.run.panel.genes)].copy()
    seen.X = sparse.csr_matrix((seen.X > 0).astype(np.float32))
    assert labelled(by_binary, seen).table.equals(labelled(by_binary, toy).table)


def test_plain_normalisation_without_the_other_genes_is_warned_of(plain, toy):
    alone = labelled(plain, toy[:, list(plain.run.panel.genes)].copy())
    assert any("were not normalised over the same genes" in f.message for f in alone.findings)
    assert not any("normalised over" in f.message for f in labelled(plain, toy).findings)


def test_another_normalisation_chooses_the_same_genes(plain):
    for normalize in ("panel", "binary"):
        other = chosen(config_for(TYPE, CONDITION, AGE, panel_size=8, genes=GenesConfig(normalize=normalize)))
        assert other.run.panel.genes == plain.run.panel.genes


def test_each_mask_is_a_panel_of_its_own():
    x = torch.log1p(torch.tensor([[1.0, 3.0, 4.0]]))
    level, masks = torch.tensor([1.0, 1.0, 2.0]), torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]])
    formed = torch.expm1(as_read(x, "panel", level, masks))
    assert formed.shape == (2, 1, 3)
    assert formed[0, 0, :2].tolist() == pytest.approx([0.5, 1.5])
    assert formed[1, 0].tolist() == pytest.approx([0.5, 1.5, 2.0])


# --- values and files


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (lambda x: np.log2(1 + x / x.sum(1, keepdims=True) * 1e4), "log-normalised values"),
        (lambda x: np.log1p(x / x.sum(1, keepdims=True) * 1e6), "log-normalised values"),
        (lambda x: x / x.sum(1, keepdims=True), "normalised values that were not logged"),
    ],
    ids=["log2", "log of cpm", "proportions"],
)
def test_cells_stored_in_another_way_are_labelled_alike_and_that_is_noted(how, kind, plain, toy):
    other = anndata.AnnData(how(toy.X.toarray()), obs=toy.obs, var=toy.var)
    found = labelled(plain, other)
    said = f"X of AnnData holds {kind}, but the model was trained on counts."
    both = "Both are read as log(1 + transcripts per 10,000)."
    assert [(f.level, f.message, f.hint) for f in found.findings] == [("note", said, both)]
    expected = labelled(plain, toy).table
    assert (found.table["cell_type"] == expected["cell_type"]).all()
    assert np.allclose(found.table["cell_type probability"], expected["cell_type probability"], atol=1e-3)


def test_a_model_of_logs_reads_counts_as_they_were_logged(toy):
    of_logs = pipeline.choose_panel(from_anndata(logged(toy)), config_for(TYPE, panel_size=6))
    found = labelled(of_logs, toy)
    said = "X of AnnData holds counts, but the model was trained on log-normalised values."
    assert [(f.level, f.message) for f in found.findings] == [("note", said)]
    assert (found.table["cell_type"] == labelled(of_logs, logged(toy)).table["cell_type"]).all()


def chosen_from(adata, column):
    """A small panel for one column of these cells."""
    return pipeline.choose_panel(from_anndata(adata), config_for(replace(TYPE, obs=column), panel_size=6))


def few_logs(adata, genes=50):
    """Log-normalised values of a few genes, scaled to a total that nobody wrote down."""
    counts = adata.X.toarray()
    values = np.log1p(counts / counts.sum(1, keepdims=True) * 2_431)
    return anndata.AnnData(values, obs=adata.obs, var=adata.var)[:, :genes].copy()


def test_no_share_of_a_total_that_is_not_known_is_spoken_of(plain, toy):
    of_few = pipeline.choose_panel(from_anndata(few_logs(toy)), config_for(TYPE, panel_size=6))
    assert of_few.run.reference.share is None
    assert of_few.run.reference.unit == of_few.run.summary["unit"] == "log(1 + normalised expression)"
    assert Reference.from_dict(of_few.run.reference.to_dict(), genes=6).share is None
    for found in (labelled(of_few, few_logs(toy)), labelled(of_few, toy), labelled(plain, few_logs(toy), impute=True)):
        assert not any("makes up" in f.message for f in found.findings)
    assert not labelled(of_few, few_logs(toy)).findings
    (said,) = [f for f in labelled(of_few, toy).findings if "trained on" in f.message]
    assert said.level == "warning"
    assert said.message == (
        "X of AnnData holds counts (read as log(1 + transcripts per 10,000)), but the model was trained on log-normalised"
        " values (read as log(1 + normalised expression))."
    )


def test_what_older_versions_wrote_of_the_training_cells_is_kept_where_it_was_right(plain):
    values = plain.run.reference.to_dict()
    del values["unit"]
    assert Reference.from_dict(values, genes=8).share == plain.run.reference.share
    assert Reference.from_dict({**values, "kind": "log-normalised"}, genes=8).share is None


def test_a_doubtful_kind_of_new_cells_is_a_doubt_and_can_be_overruled(plain, toy):
    toy.X = toy.X.toarray() * np.random.default_rng(0).uniform(0.6, 1, toy.shape)
    (doubt,) = labelled(plain, toy).findings
    assert doubt.level == "note"
    assert doubt.message.startswith("X of AnnData is read as counts (")
    assert doubt.hint == "If that is wrong, say how to read it, as in “X as counts”."
    assert not labelled(plain, toy, matrix="X as counts").findings


def test_the_matrix_of_new_data_can_be_named(plain, toy):
    toy.layers["other"] = toy.X[::-1].copy()
    of_layer = labelled(plain, toy, matrix="layers/other").table
    assert (of_layer["cell_type"].to_numpy() == labelled(plain, toy).table["cell_type"].to_numpy()[::-1]).all()
    assert look(plain.run.model, toy).chosen.name == "X"
    with pytest.raises(DataError, match=r"The file has no matrix “layers/none”. It has X, layers/other."):
        labelled(plain, toy, matrix="layers/none")


def test_cells_without_any_panel_gene_are_counted(plain, toy):
    toy.X = sparse.csr_matrix(toy.X.toarray() * (np.arange(300) > 1)[:, None])
    said = [f.message for f in labelled(plain, toy).findings]
    assert said == ["2 cells of AnnData show none of the panel's genes."]


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, lambda x: x.toarray()])
def test_a_file_read_in_blocks_gives_what_memory_gives(plain, toy, tmp_path, form):
    toy.X = form(toy.X)
    toy.write_h5ad(tmp_path / "new.h5ad")
    wanted = [3, -1, 0]
    expected = np.concatenate([x for _, x in cells_of(from_anndata(toy)).blocks(wanted)])
    with open_cells(tmp_path / "new.h5ad") as cells:
        parts = list(cells.blocks(wanted, rows=70))
    assert [start for start, _ in parts] == [0, 70, 140, 210, 280]
    assert np.allclose(np.concatenate([x for _, x in parts]), expected, rtol=1e-5)
    assert not expected[:, 1].any()


@pytest.mark.parametrize("bad", [np.nan, -1.0])
def test_impossible_values_deep_in_a_file_are_refused(plain, toy, tmp_path, bad):
    toy.write_h5ad(tmp_path / "new.h5ad")
    with h5py.File(tmp_path / "new.h5ad", "a") as file:
        file["X/data"][-3] = bad
    with pytest.raises(DataError, match=r"NaN|negative|No usable"):
        label(plain.run.model, tmp_path / "new.h5ad")


def test_a_dense_matrix_wider_than_a_read_is_read_in_parts(toy, tmp_path, monkeypatch):
    toy.X = toy.X.toarray()
    toy.write_h5ad(tmp_path / "new.h5ad")
    with open_cells(tmp_path / "new.h5ad") as cells:
        whole = next(cells.blocks([3, 0]))[1]
    monkeypatch.setattr("yoto_core.prediction.cells.DENSE_VALUES", 60 * 7)
    with open_cells(tmp_path / "new.h5ad") as cells:
        assert np.array_equal(next(cells.blocks([3, 0]))[1], whole)


def test_a_matrix_that_does_not_fit_its_cells_is_refused(plain, toy, tmp_path):
    toy.X = toy.X.toarray()
    toy.write_h5ad(tmp_path / "new.h5ad")
    with h5py.File(tmp_path / "new.h5ad", "a") as file:
        del file["X"]
        file["X"] = np.ones((300, 61), dtype=np.float32)
    with pytest.raises(DataError, match="X: 300 × 61 values, but there are 300 cells and 60 genes"):
        label(plain.run.model, tmp_path / "new.h5ad")


def test_a_defect_while_labelling_is_not_blamed_on_the_file(toy, tmp_path):
    toy.write_h5ad(tmp_path / "new.h5ad")
    with pytest.raises(ValueError, match="of ours"), open_cells(tmp_path / "new.h5ad"):
        raise ValueError("of ours")


def test_a_file_cut_short_is_refused(tmp_path):
    make_toy().write_h5ad(tmp_path / "new.h5ad")
    whole = (tmp_path / "new.h5ad").read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="cut short or damaged"), open_cells(tmp_path / "cut.h5ad") as cells:
        list(cells.blocks([0]))


# --- intervals of scores on new cells


def judged_with(found, adata, group):
    return judge(found.run.model, labelled(found, adata), {"cell_type": "cell_type"}, group=group)


@pytest.mark.parametrize(("donors", "interval"), [(4, False), (8, True)])
def test_scores_of_new_cells_are_resampled_by_donor_where_training_held_out_donors(plain, donors, interval):
    new = make_toy(cells=200, seed=8)
    new.obs["donor"] = [f"N{i % donors}" for i in range(200)]
    found = judged_with(plain, new, "donor")
    assert set(found.scores["groups"]) == {donors}
    assert found.scores.set_index("metric")["low"].notna()["macro_f1"] == interval
    assert not found.findings


def test_new_cells_without_donors_get_no_interval_where_training_held_out_donors(plain):
    new = make_toy(cells=200, seed=8)
    del new.obs["donor"]
    found = judged_with(plain, new, "donor")
    assert found.scores["low"].isna().all()
    assert [finding.message for finding in found.findings] == [
        "AnnData has no obs column “donor”, whose groups were held out in training."
    ]
    assert set(judged_with(plain, new, "").scores["groups"]) == {0}


# --- answers


def test_a_threshold_marks_cells_below_it_and_the_second_label_is_another(plain, toy):
    found = labelled(plain, toy, threshold=0.9)
    table = found.table
    assert (table["cell_type not sure"] == (table["cell_type probability"] < 0.9)).all()
    assert (table["cell_type second"].astype(str) != table["cell_type"].astype(str)).all()
    assert (table["cell_type second probability"] <= table["cell_type probability"]).all()
    assert not found.at_threshold(0.0)["cell_type not sure"].any()
    assert found.summary("cell_type", 0.9)["cells"].sum() == 300


def test_cells_like_the_training_cells_are_in_range_and_strange_ones_are_not(plain):
    same, strange = make_toy(cells=200, seed=9), make_toy(cells=200, seed=9)
    values = strange.X.toarray()
    values[:, [list(strange.var_names).index(gene) for gene in plain.run.panel.genes[:3]]] += 300
    strange.X = sparse.csr_matrix(values)
    assert labelled(plain, same).shift.out_of_range < 0.10
    assert labelled(plain, strange).shift.out_of_range > 0.3


def test_the_gene_that_moved_is_named(plain):
    new = make_toy(cells=200, seed=9)
    gene = plain.run.panel.genes[1]
    values = new.X.toarray()
    values[:, list(new.var_names).index(gene)] += 60
    new.X = sparse.csr_matrix(values)
    found = labelled(plain, new).shift
    assert found.genes["gene"].iloc[0] == gene
    assert f"moved most is {gene}, by +" in found.sentence


# --- labels of the new cells


def test_own_labels_are_scored_beside_the_held_out_ones(plain):
    new = make_toy(cells=200, seed=7)
    found = labelled(plain, new)
    judged = judge(plain.run.model, found)
    right = found.table["cell_type"].astype(str) == new.obs["cell_type"].astype(str)
    assert judged.scores.set_index(["task", "metric"])["value"]["cell_type", "accuracy"] == right.mean()
    held_out = judged.scores[judged.scores["metric"] == "accuracy"].assign(value=0.5)
    beside = scores_side_by_side(held_out, judged.scores).set_index(["task", "metric"])
    assert beside["change"]["cell_type", "accuracy"] == pytest.approx(right.mean() - 0.5)
    assert beside["held-out value"].isna()["cell_type", "macro_f1"]


def test_own_labels_give_the_metrics_pages_tables(plain):
    new = make_toy(cells=200, seed=7)
    found = labelled(plain, new)
    judged = judge(plain.run.model, found)
    true, predicted = new.obs["cell_type"].astype(str), found.table["cell_type"].astype(str)
    assert judged.confusion["cell_type"].loc["B", "NK"] == ((true == "B") & (predicted == "NK")).sum()
    assert judged.confusion["cell_type"].to_numpy().sum() == 200
    recall = judged.classes.set_index(["task", "class"])["recall"]["cell_type", "T"]
    assert recall == (predicted[true == "T"] == "T").mean()
    beside = classes_side_by_side(judged.classes.assign(recall=0.5), judged.classes).set_index(["task", "class"])
    assert beside["change"]["cell_type", "T"] == pytest.approx(recall - 0.5)
    assert (judged.predictions["cell_type true"] == true.to_numpy()).all()
    assert (judged.predictions["cell_type probability"] == found.table["cell_type probability"].to_numpy()).all()
    assert np.allclose(judged.predictions["age true"], new.obs["age"])


def test_labels_the_model_does_not_know_are_counted_and_left_out(plain):
    new = make_toy(cells=100, seed=7)
    new.obs["kind"] = new.obs["cell_type"].astype(str).replace("NK", "killer")
    found = judge(plain.run.model, labelled(plain, new), {"cell_type": "kind"})
    said = "25 cells are labelled killer, which the model of cell_type does not know."
    assert [f.message for f in found.findings] == [said]
    assert found.scores["cells"].iloc[0] == 75


def test_true_numbers_may_be_stored_as_categories_of_text(plain):
    new = make_toy(cells=60, seed=7)
    new.obs["years"] = pd.Categorical(new.obs["age"].astype(str))
    found = labelled(plain, new)
    one, other = (judge(plain.run.model, found, {"age": column}).scores["value"] for column in ("age", "years"))
    assert list(one) == list(other)


@pytest.mark.parametrize(("trained", "new"), [(float, str), (str, float), (float, float), (int, float)])
def test_numbered_classes_compare_equal_whether_written_0_or_0_0(trained, new, toy):
    codes = toy.obs["cell_type"].cat.codes
    toy.obs["cluster"] = codes.astype(trained).to_numpy()
    found = chosen_from(toy, "cluster")
    assert found.run.model.heads[0].classes == ("0", "1", "2", "3")
    toy.obs["cluster"] = codes.astype(new).to_numpy()
    judged = judge(found.run.model, labelled(found, toy))
    assert judged.scores["cells"].tolist() == [300] * len(judged.scores)
    assert not judged.findings


def test_a_column_without_any_known_label_is_no_truth_and_refused_when_named(plain):
    new = make_toy(cells=40, seed=7)
    new.obs["cell_type"] = "unheard of"
    found = labelled(plain, new)
    assert "cell_type" not in comparable_tasks(plain.run.model, new.obs)
    with pytest.raises(DataError, match="holds none of the model's labels for cell_type"):
        judge(plain.run.model, found, {"cell_type": "cell_type"})
    with pytest.raises(DataError, match=r"AnnData has no obs column “kind”. It has cell_type, condition, age, donor."):
        judge(plain.run.model, found, {"cell_type": "kind"})
    with pytest.raises(DataError, match=r"The model has no task “kind”. Its tasks are cell_type, condition, age."):
        judge(plain.run.model, found, {"kind": "cell_type"})

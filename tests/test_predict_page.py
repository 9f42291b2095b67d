"""The Predict page as a user meets it: a model, new cells, missing genes, answers, and labels of the new cells."""

import io
import pickle
from pathlib import Path

import anndata
import numpy as np
import pytest

from tests.conftest import make_toy
from tests.shared_app import app, fine, go, messages, visited_server, words
from tests.shared_runs import finished, save, toy_on_disk
from yoto_core.files import home
from yoto_core.store import library, portable
from yoto_core.store.history import delete_run
from yoto_core.store.saved import saved_model

_visited_server = pytest.fixture(autouse=True)(visited_server)


@pytest.fixture(scope="module")
def exported():
    return portable.pack(saved_model(finished()))


def opened(**link):
    return go(app(**link), "Predict")


def with_model(**link):
    return opened(run=save(finished()).name, **link)


def kept(adata, name="new.h5ad", *, scratch):
    adata.write_h5ad(scratch / name)
    with (scratch / name).open("rb") as file:
        return library.keep(file, name)


def send(at, place, name, content):
    at.file_uploader(key=place).upload(name, content)
    return fine(at.run())


def table(at, column):
    """The first table that has this column."""
    return next(frame.value for frame in at.dataframe if column in frame.value)


# --- the model


def test_without_any_model_the_page_says_where_one_comes_from():
    at = opened()
    assert messages(at) == ["There is no trained model yet. Train a panel, or load an exported model."]
    assert fine(at.button(key="first_model").click().run()).header[0].value == "Design"


def test_the_open_run_is_the_model_and_another_can_be_chosen():
    one, other = save(finished()).name, save(finished()).name
    at = opened(run=one)
    choice = at.selectbox[0]
    assert (choice.label, choice.value) == ("Trained model", one)
    assert "8 genes for cell_type, condition, age, made from toy.h5ad (300 cells)." in words(at.text)
    fine(choice.select(other).run())
    assert (at.query_params["model"], at.query_params["run"]) == (other, one)
    delete_run(Path(home() / "runs" / other))
    assert fine(at.run()).selectbox[0].value == one


def test_an_exported_model_labels_cells_and_is_there_after_a_page_switch_and_a_refresh(exported, tmp_path):
    at = opened(cells=kept(make_toy(cells=40, seed=3), scratch=tmp_path))
    send(at, "model_upload", "panel.yoto", exported)
    assert "40 cells" in words(at.text)
    assert at.selectbox[0].options == ["panel.yoto"]
    there_and_back = go(go(at, "Runs"), "Predict")
    refreshed = opened(**at.query_params)
    for later in (there_and_back, refreshed):
        assert later.selectbox[0].options == ["panel.yoto"]
        assert table(later, "mean probability")["cells"].sum() == 40


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda whole: whole[: len(whole) // 2], "bad.yoto is cut short or damaged."),
        (lambda whole: pickle.dumps({"a": 1}), "bad.yoto is a pickle, which can run code; it is not opened."),
        (lambda whole: b"", "bad.yoto is empty (0 bytes)."),
        (lambda whole: b"gene,cell\n", "bad.yoto is not a model file of YOTO."),
    ],
    ids=["cut", "pickle", "empty", "text"],
)
def test_a_broken_model_is_one_sentence_and_is_not_kept(damage, sentence, exported):
    at = send(with_model(), "model_upload", "bad.yoto", damage(exported))
    assert [said.startswith(sentence) for said in messages(at)] == [True]
    assert not at.selectbox
    assert list((home() / "models").iterdir()) == []


def test_links_that_lead_nowhere_are_sentences():
    said = {"model": "The model of this link is not on this machine.", "cells": "The data of this link are not on"}
    for name, sentence in said.items():
        at = fine(app(**{name: "0" * 64}))
        assert messages(at)[0].startswith(sentence)
        assert name not in at.query_params


# --- new cells and their genes


def test_uploaded_cells_are_labelled_and_scored_against_their_own_labels():
    new, buffer = make_toy(cells=200, seed=7), io.BytesIO()
    path = home() / "x.h5ad"
    path.parent.mkdir(parents=True, exist_ok=True)
    new.write_h5ad(path)
    buffer.write(path.read_bytes())
    at = send(with_model(), "new_cells_upload", "new.h5ad", buffer.getvalue())
    assert messages(at) == []
    assert "8 of 8 panel genes are there: 8 by symbol. Read from X (counts), 200 cells." in words(at.text)
    expected = finished().predict(new)
    summary = table(at, "mean probability").set_index("label")
    assert summary["cells"].to_dict() == expected["cell_type"].astype(str).value_counts().to_dict()
    scores = table(at, "held-out value").set_index("metric")
    right = (expected["cell_type"].astype(str) == new.obs["cell_type"].astype(str)).mean()
    assert scores["new value"]["accuracy"] == pytest.approx(right)
    assert scores["held-out value"].notna().all()
    classes = table(at, "new recall")
    assert classes["new cells"].sum() == 200
    assert {"held-out recall", "mistaken_for"} <= set(classes)
    assert "On the new cells a threshold of 0.50 labels" in words(at.text)


def test_a_file_that_cannot_be_read_is_one_sentence_and_leaves_nothing_behind():
    at = send(with_model(), "new_cells_upload", "new.h5ad", b"a,b\n")
    assert [said.startswith("new.h5ad is not an .h5ad file.") for said in messages(at)] == [True]
    assert list((home() / "data").iterdir()) == []


def test_missing_genes_are_listed_with_their_cost_and_averaged_only_on_request(tmp_path):
    gone = list(finished().panel.genes[:2])
    new = make_toy(cells=100, seed=7)
    at = with_model(cells=kept(new[:, ~new.var_names.isin(gone)].copy(), scratch=tmp_path))
    assert messages(at) == ["Choose to take the missing genes as average, or label data in which all were measured."]
    costs = table(at, "cost")
    assert list(costs["gene"]) == gone
    assert costs["cost"].str.startswith("Without ").all()
    assert not at.slider
    at = fine(at.toggle[0].set_value(True).run())
    assert f"{gone[0]}, {gone[1]} are missing and taken as average." in words(at.warning)
    assert table(at, "mean probability")["cells"].sum() == 100


@pytest.mark.parametrize(
    ("left", "sentence"), [(3, "new.h5ad lacks 5 of the 8 panel genes"), (0, "new.h5ad holds none")]
)
def test_too_few_panel_genes_are_refused_whatever_is_asked(left, sentence, tmp_path):
    gone = finished().panel.genes[left:]
    new = make_toy(cells=40, seed=7)
    at = with_model(cells=kept(new[:, ~new.var_names.isin(gone)].copy(), scratch=tmp_path))
    assert [said.startswith(sentence) for said in messages(at)] == [True]
    assert not at.toggle
    assert not at.slider


def test_the_matrix_of_the_new_cells_can_be_chosen(tmp_path):
    new = make_toy(cells=40, seed=7)
    new.layers["other"] = new.X[::-1].copy()
    at = with_model(cells=kept(new, scratch=tmp_path))
    choice = next(box for box in at.selectbox if box.label == "Matrix of the new data")
    at = fine(choice.select("layers/other").run())
    assert "Read from layers/other (counts)" in words(at.text)


def test_doubts_about_the_new_cells_are_shown(tmp_path):
    new = make_toy(cells=60, seed=7)
    new.X = new.X.multiply(np.random.default_rng(0).random(new.shape) < 0.02).tocsr()  # hardly any transcript is caught
    at = with_model(cells=kept(new, scratch=tmp_path))
    assert any("The assay is more or less sensitive than the training data" in said for said in messages(at))


def test_the_cells_of_the_training_are_told_from_new_ones():
    with toy_on_disk().open("rb") as file:
        key = library.keep(file, "toy.h5ad")
    at = with_model(data=key)
    at = fine(at.button(key="loaded").click().run())
    assert at.query_params["cells"] == key
    assert "The model was made with these cells" in words(at.warning)


# --- answers


def test_the_threshold_marks_cells_and_holds_for_every_task(tmp_path):
    at = with_model(cells=kept(make_toy(cells=100, seed=7), scratch=tmp_path))
    expected = finished().predict(anndata.read_h5ad(tmp_path / "new.h5ad"))
    at = fine(at.slider[0].set_value(0.95).run())
    unsure = int((expected["cell_type probability"] < 0.95).sum())
    assert unsure > 0
    assert table(at, "mean probability")["not sure"].sum() == unsure
    at = fine(at.get("button_group")[0].set_value(["age"]).run())
    assert f"100 cells: mean {expected['age'].mean():.4g}" in words(at.text)
    assert table(at, "cell_type not sure")["cell_type not sure"].sum() == unsure


def test_a_number_is_compared_with_the_true_one(tmp_path):
    at = with_model(cells=kept(make_toy(cells=100, seed=7), scratch=tmp_path))
    at = fine(at.get("button_group")[0].set_value(["age"]).run())
    scores = table(at, "held-out value").set_index("metric")
    assert list(scores.index) == ["R²", "mean absolute error", "Spearman"]
    assert np.isfinite(scores["change"]).all()


def test_a_column_without_known_labels_is_a_sentence(tmp_path):
    at = with_model(cells=kept(make_toy(cells=40, seed=7), scratch=tmp_path))
    truth = next(box for box in at.selectbox if box.label.startswith("The column that holds the true"))
    assert truth.value == "cell_type"
    at = fine(truth.select("donor").run())
    assert messages(at)[0].startswith("Column “donor” holds none of the model's labels for cell_type.")
    at = fine(next(box for box in at.selectbox if box.label.startswith("The column")).select("").run())
    assert messages(at) == []

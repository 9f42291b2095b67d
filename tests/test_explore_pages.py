"""The Explore pages as a user meets them, through app.py: figures, selections, gene sets, and data that are hard to show."""

import json
import re
from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from streamlit.testing.v1 import AppTest

from tests.conftest import make_toy
from tests.shared_app import PAGES, app, fine, go, messages, visited_server, words
from tests.shared_runs import (
    LIGHT,
    config_for,
    drawn_maps,
    finished,
    planted_maps,
    save_explored,
    toy_on_disk,
)
from yoto_core import pipeline
from yoto_core.config import SplitConfig, TaskConfig
from yoto_core.data.reading import from_anndata, read_dataset
from yoto_core.errors import ConfigError
from yoto_core.explore.selection import Outline
from yoto_core.store import exploration, library, runs
from yoto_core.worker import carry_out

EXPLORE = ("Panel", "Maps", "Metrics", "Enrichment")
SCRIPT, LONG_NAME = "<script>alert(1)</script>", "x" * 200
HOSTILE = (
    "<img src=x onerror=alert(1)>", "<a href='http://outside.example'>a</a>", "[a](javascript:alert(1))",
    "![i](http://outside.example/i.png)", "**b** :red[x]",
)  # fmt: skip

_visited_server = pytest.fixture(autouse=True)(visited_server)


@pytest.fixture
def explored():
    return save_explored(drawn_maps())


@pytest.fixture
def with_data():
    """The run's data as an upload keeps them, so that the pages can read the file again."""
    with toy_on_disk().open("rb") as file:
        return library.keep(file, "toy.h5ad")


def opened(folder, page, **state):
    at = app(run=folder.name)
    for key, value in state.items():
        at.session_state[key] = value
    return fine(go(at, page))


def figures(at):
    return [element.proto.spec for element in at.get("plotly_chart")]


def tables(at):
    return [table.value for table in at.dataframe]


def test_the_panel_table_holds_what_a_panel_designer_asks_for(explored):
    at = opened(explored, "Panel")
    table = at.dataframe[0].value
    assert list(table["gene"]) == list(finished().panel.genes)
    for column in ("gene_id", "score", "stability", "tasks", "best_class", "best_mean", "best_percent", "highest_mean"):
        assert column in table
    assert table["detection"].between(0, 100).all()
    assert table["reason"].str.len().min() > 20


def test_a_search_finds_a_gene_by_symbol_or_id_and_says_why_another_is_not_there(explored):
    at = opened(explored, "Panel")
    row = finished().panel_table.iloc[3]
    for text in (row["gene"].lower(), row["gene_id"]):
        at.text_input(key="find").set_value(text)
        assert list(fine(at.run()).dataframe[0].value["gene"]) == [row["gene"]]
    at.text_input(key="find").set_value("noise5")
    assert any("NOISE5 was a candidate and was not chosen." in said for said in messages(fine(at.run())))
    at.text_input(key="find").set_value("GENE THAT IS NOT THERE")
    assert any("neither in the panel nor among its 60 candidate genes" in said for said in messages(fine(at.run())))


def test_the_card_of_a_gene_says_where_it_is_what_is_lost_and_what_could_replace_it(explored):
    at = opened(explored, "Panel")
    gene = finished().panel.genes[0]
    reason = finished().panel_table.set_index("gene")["reason"][gene]
    assert "Without it the F1 of " in reason
    assert reason in words(at.text)
    assert any({"Class", "Mean", "% of cells", "Training cells"} <= set(table.columns) for table in tables(at))
    (losses,) = (table for table in tables(at) if "loss" in table)
    assert list(losses["loss"]) == sorted(losses["loss"], reverse=True)
    assert set(losses["task"]) == {"cell_type", "condition", "age"}
    assert len(figures(at)) == 2  # by class, and on the map
    assert any("Correlation" in table for table in tables(at)[1:])


def test_the_unit_of_expression_is_that_of_the_run(explored):
    assert "log(1 + transcripts per 10,000), the class with the highest mean first" in words(
        opened(explored, "Panel").caption
    )
    values = json.loads((explored / "data.json").read_text())
    (explored / "data.json").write_text(json.dumps({**values, "unit": "log(1 + normalised expression)"}))
    at = opened(explored, "Panel")
    assert "log(1 + normalised expression), the class with the highest mean first" in words(at.caption)
    assert "transcripts per" not in words(at.caption)


@pytest.mark.parametrize("tab", ["All genes by class", "Genes that repeat each other"])
def test_all_genes_can_be_compared(tab, explored):
    at = opened(explored, "Panel", panel_tabs=tab)
    assert len(figures(at)) == 1
    assert len(at.dataframe[0].value) == 8


@pytest.mark.parametrize("kind", ["Label", "Prediction", "Right or wrong", "Certainty", "Gene", "Other column"])
def test_the_maps_are_coloured_by_whatever_is_known(kind, explored, with_data):
    at = opened(explored, "Maps", data_key=with_data)
    at.selectbox(key="map_kind").set_value(kind)
    assert len(figures(fine(at.run()))) == 1
    assert [card.label for card in at.metric] == [
        "Nearest neighbours kept", "Clusters match classes (ARI)", "Shared information (NMI)", "Silhouette",
    ]  # fmt: skip
    assert not messages(at)


def test_any_gene_of_the_file_colours_the_maps_and_an_unknown_one_is_a_sentence(explored, with_data):
    at = opened(explored, "Maps", data_key=with_data, map_kind="Gene", map_gene="noise5")
    assert len(figures(at)) == 1
    at = opened(explored, "Maps", data_key=with_data, map_kind="Gene", map_gene="NOBODY")
    assert any("There is no gene NOBODY in the data." in said for said in messages(at))


def around(*corner):
    """A square of side 4 in the units of the planted maps."""
    x, y = corner
    return ((x - 2, y - 2), (x + 2, y - 2), (x + 2, y + 2), (x - 2, y + 2))


def test_a_line_around_an_island_selects_its_class_and_survives_another_colour():
    folder = save_explored(planted_maps())
    at = opened(folder, "Maps", outline=(folder.name, Outline("/all", around(0, 0))))
    for kind in ("Label", "Gene", "Certainty"):
        at.selectbox(key="map_kind").set_value(kind)
        fine(at.run())
        assert "75 cells selected" in words(at.subheader)
        shares = tables(at)[0]
        assert shares[["class", "cells", "selected"]].values.tolist() == [["B", 75, 100.0]]
        assert "held-out cells the model labels" in words(at.text)
    at.button(key="clear").click()
    assert "selected" not in words(fine(at.run()).subheader)


def test_a_line_on_the_panels_map_takes_what_merges_there():
    folder = save_explored(planted_maps())
    at = opened(folder, "Maps", outline=(folder.name, Outline("/panel", around(0, 10))))
    assert "150 cells selected" in words(at.subheader)
    assert sorted(tables(at)[0]["class"]) == ["NK", "T"]


def test_a_line_belongs_to_its_run_and_to_its_map():
    folder = save_explored(planted_maps())
    for outline in (("another run", Outline("/all", around(0, 0))), (folder.name, Outline("X_gone", around(0, 0)))):
        assert "selected" not in words(opened(folder, "Maps", outline=outline).subheader)


def test_an_embedding_of_the_file_can_stand_on_the_left_even_with_gaps(tmp_path):
    adata = make_toy()
    adata.obsm["X_own"] = np.column_stack([np.arange(300.0), np.full(300, np.nan)])
    adata.obsm["X_umap"] = np.random.default_rng(0).normal(size=(300, 3))
    adata.write_h5ad(tmp_path / "toy.h5ad")
    with (tmp_path / "toy.h5ad").open("rb") as file:
        key = library.keep(file, "toy.h5ad")
    folder = save_explored(planted_maps())
    for name in ("X_umap", "X_own"):
        at = opened(folder, "Maps", data_key=key, map_left=name)
        assert at.selectbox(key="map_left").value == name
        assert f"{name} of the file" in figures(at)[0]


def test_a_run_without_maps_says_so(explored):
    (explored / exploration.MAPS_FILE).unlink()
    assert "The maps of this run are not there" in messages(opened(explored, "Maps"))[0]
    assert len(figures(opened(explored, "Panel"))) == 0


def test_enrichment_names_its_background_its_sets_and_what_it_cannot_mean(explored):
    at = opened(explored, "Enrichment")
    assert any(said.startswith("No gene set has 5 to 500 genes in common") for said in messages(at))
    at.button_group(key="enrich_sets").set_value([])
    assert "Choose genes and at least one library" in messages(fine(at.run()))[0]


def with_sets(folder, content, name="mine.gmt"):
    at = opened(folder, "Enrichment")
    at.button_group(key="enrich_sets").set_value([])
    at.file_uploader[0].upload(name, content)
    return fine(at.run())


def gmt(**sets):
    return "\n".join("\t".join((name, "", *genes)) for name, genes in sets.items()).encode()


def test_an_uploaded_set_with_the_panels_genes_comes_up_first(explored):
    panel, noise = finished().panel.genes, [f"NOISE{i}" for i in range(12)]
    at = with_sets(explored, gmt(PLANTED_SET=panel, NOISE_SET=noise, BIG=[*panel, *noise]))
    assert "The clearest: PLANTED_SET · mine.gmt, 8 of its 8 genes." in words(at.text)
    table = tables(at)[0]
    assert table["term"][0] == "PLANTED_SET"
    assert table["genes"][0] == ", ".join(sorted(panel))
    assert "8 genes against a background of 60" in words(at.caption)
    assert any("it does not say that a pathway is active" in said for said in messages(at))
    options = at.selectbox(key="enrich_genes").options
    assert any("needed for condition" in option for option in options)
    assert any("highest in B, cell_type" in option for option in options)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "mine.gmt is empty."),
        (b"just a line", "mine.gmt holds no gene set."),
        (b"\xff\xfe\x00", "mine.gmt is not a text file."),
        (gmt(OTHER=["ZZZ1", "ZZZ2", "ZZZ3", "ZZZ4", "ZZZ5"]), "No gene set has 5 to 500 genes in common with the background."),
    ],
    ids=["empty", "prose", "bytes", "no overlap"],
)  # fmt: skip
def test_any_file_of_sets_leaves_the_page_whole(content, sentence, explored):
    at = with_sets(explored, content)
    assert any(said.startswith(sentence) for said in messages(at))
    assert_plain(at)


def test_a_set_called_like_a_script_comes_up_under_its_own_name(explored):
    panel = finished().panel.genes
    at = with_sets(explored, gmt(**{SCRIPT: panel}))
    assert tables(at)[0]["term"].tolist() == [SCRIPT]
    assert f"The clearest: {SCRIPT} · mine.gmt, 8 of its 8 genes." in words(at.text)
    assert_plain(at)


def test_mouse_names_are_met_with_a_choice_and_never_matched_unasked(explored):
    for name in ("candidates", "genes", "classes", "replacements"):
        table = pd.read_csv(explored / f"{name}.csv", keep_default_na=False)
        table["gene"] = table["gene"].str.capitalize()
        table.to_csv(explored / f"{name}.csv", index=False)
    panel = pd.read_csv(explored / "panel.csv", keep_default_na=False)
    panel.assign(gene=panel["gene"].str.capitalize()).to_csv(explored / "panel.csv", index=False)
    shipped = opened(explored, "Enrichment")
    assert [said.startswith("These gene names are not spelled as human ones") for said in messages(shipped)] == [True]
    at = with_sets(explored, gmt(PLANTED=finished().panel.genes))
    assert any("the shipped sets are human" in said for said in messages(at))
    assert not at.checkbox(key="enrich_case").value
    assert any("match names whatever their case" in said for said in messages(at))
    at.checkbox(key="enrich_case").check()
    assert "8 of its 8 genes" in words(fine(at.run()).text)


def test_without_network_the_page_says_so_and_stays_whole(explored, monkeypatch):
    monkeypatch.setattr("yoto_core.explore.online.ask_enrichr.__kwdefaults__", {"address": "http://127.0.0.1:9"})
    at = with_sets(explored, gmt(PLANTED=finished().panel.genes))
    at.button(key="enrichr").click()
    assert any("Enrichr did not answer" in said for said in messages(fine(at.run())))
    assert "PLANTED" in tables(at)[0]["term"].tolist()


MARKUP = re.compile(r"<[a-z/!]|\]\(|\*\*b|:red\[|javascript:|outside\.example", re.IGNORECASE)
PLAIN = {"text", "code", "arrow_data_frame", "plotly_chart", "selectbox", "multiselect", "text_input", "text_area"}
OURS = ("<script>(() => {", "<script>document.cookie")  # the focus of a new page, and the cookie


def rendered(at):
    """Every text of a page that Streamlit reads as Markdown: words, labels, hints, choices."""
    for node in (*at.main, *at.sidebar):
        for field, value in node.proto.ListFields() if getattr(node, "proto", None) is not None else ():
            shown = field.name in ("body", "text", "caption") and node.type not in PLAIN
            if field.name in ("label", "help", "placeholder") or shown:
                yield str(value)
            elif field.name in ("options", "captions") and node.type not in PLAIN:
                yield from map(str, value)


def assert_plain(at):
    """Nothing of a file is read as markup, in no text of the page and in no chart."""
    for text in rendered(at):
        unmarked = re.sub(r"\\.", "", text)
        assert not MARKUP.search(unmarked) or unmarked.startswith(OURS), text
    for figure in figures(at):
        assert not re.search(r"<(script|img|a )", figure), figure[:2_000]  # plotly reads tags alone


@pytest.mark.parametrize("name", [SCRIPT, *HOSTILE])
@pytest.mark.parametrize(
    "show", ["st.markdown({0!r})", "st.warning({0!r})", "st.checkbox({0!r})", "st.radio('which', [{0!r}, 'b'])",
             "st.button('press', help={0!r})", "st.expander({0!r})", "st.sidebar.caption({0!r})"],
)  # fmt: skip
def test_a_name_that_would_be_rendered_is_found(show, name):
    at = AppTest.from_string(f"import streamlit as st\n{show.format(name)}").run()
    with pytest.raises(AssertionError, match=re.escape(name)):
        assert_plain(at)


def hard_data():
    """108 classes with odd names and gaps, a constant gene, two genes of one name."""
    adata = make_toy(cells=660)
    names = [SCRIPT, *HOSTILE, "😀", LONG_NAME, "7", "nan", *(f"kind {i}" for i in range(98))]
    labels = np.array(names, dtype=object)[np.arange(660) % 108]
    labels[::37] = None
    counts = adata.X.toarray()
    counts[:, 5] = 3
    symbols = list(adata.var_names)
    symbols[8] = symbols[7]
    symbols[9 : 9 + len(HOSTILE)] = HOSTILE
    obs = pd.DataFrame({"many": pd.Categorical(labels)}, index=adata.obs_names)
    return anndata.AnnData(sparse.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=symbols))


def carried_out(adata, config, path):
    adata.write_h5ad(path)
    with path.open("rb") as file:
        kept = library.find(library.keep(file, path.name))[0]
    folder = runs.create_run(config, data_path=kept, data_name=path.name, data_digest=read_dataset(kept).digest)
    status = carry_out(folder)
    assert status.state == "done", status
    return folder


@pytest.mark.filterwarnings("ignore:Variable names are not unique", "ignore:DataFrame is highly fragmented")
def test_hard_data_are_shown_whole_on_every_page(tmp_path):
    adata = hard_data()
    evaluation = replace(LIGHT, maps="yes", alone="no", max_cells=500, bootstrap=50)
    config = config_for(TaskConfig(obs="many"), panel_size=4, evaluation=evaluation)
    config = replace(config, genes=replace(config.genes, include=(adata.var_names[5],)))
    folder = carried_out(adata, config, tmp_path / "hard.h5ad")
    for page in EXPLORE:
        assert_plain(opened(folder, page))
    for tab in ("All genes by class", "Genes that repeat each other"):
        assert_plain(opened(folder, "Panel", panel_tabs=tab))
    for kind in ("Prediction", "Right or wrong", "Certainty", "Gene", "Other column"):
        assert_plain(opened(folder, "Maps", map_kind=kind))
    assert len(tables(opened(folder, "Metrics"))[-1]) > 100


def test_held_out_cells_of_one_class_are_refused_before_a_page_could_show_them():
    adata = make_toy()
    of_one_class = adata.obs["cell_type"].astype(str) + np.where(np.arange(300) % 8 < 4, "1", "2")
    adata.obs["donor"] = of_one_class
    config = replace(config_for(panel_size=3), split=SplitConfig(group="donor", test_percent=12.0))
    with pytest.raises(ConfigError, match="Only one class of “cell_type” is among the held-out"):
        pipeline.design(from_anndata(adata), config)


SAID = {
    "Data": "From labelled single cells to the genes to order",
    "Design": "No data are loaded yet.",
    "Train": ":green-badge[Done]",
    "Panel": "8 genes that predict cell_type, condition, age, judged on held-out cells.",
    "Maps": "What the panel keeps",
    "Metrics": "Class by class",
    "Enrichment": "Your own sets (.gmt)",
    "Predict": "8 genes for cell_type, condition, age, made from toy.h5ad",
    "Runs": "History",
}


def test_every_page_of_the_menu_shows_what_it_is_for_with_an_explored_run(explored):
    assert list(SAID) == list(PAGES)
    for page, sentence in SAID.items():
        at = opened(explored, page)
        assert [heading.value for heading in at.header] == [page]
        assert any(sentence in said for said in (*rendered(at), words(at.text), words(at.info))), page

"""Every page as a user meets it, through app.py: the walk, the gates, bad files, odd names, wrong links."""

import re
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import make_toy
from tests.shared_app import APP, PAGES, app, fine, go, messages, visited_server, words
from tests.shared_runs import CONDITION, PATIENCE, TYPE, chosen, config_for, finished, save, toy_on_disk, wait_for_end
from yoto_core.config import EvaluationConfig, SelectorConfig, TaskConfig
from yoto_core.data.reading import read_dataset
from yoto_core.files import home
from yoto_core.store import library, runs
from yoto_core.store.folders import run_folder
from yoto_core.store.status import read_status
from yoto_core.work import jobs
from yoto_core.worker import carry_out

NEED_RUN = [name for name in PAGES if name in ("Train", "Panel", "Maps", "Metrics", "Enrichment")]
GATED = ["Design", *NEED_RUN]
ODD = [
    "<script>alert(1)</script>",
    "**b** :red[x] $y$",
    "😀 β",
    "[a](http://example.org)",
    "![i](http://example.org/i.png)",
]
ODD_NAMES = ["<img src=x onerror=alert(1)>", "1", "😀", ":red[x] _x_"]


_visited_server = pytest.fixture(autouse=True)(visited_server)


def upload(at, content, name="toy.h5ad"):
    at.file_uploader[0].upload(name, content)
    return at.run()


def with_toy():
    return upload(app(), toy_on_disk().read_bytes())


def opened(adata, tmp_path):
    """The app with these data loaded through a link."""
    adata.write_h5ad(tmp_path / "odd.h5ad")
    with (tmp_path / "odd.h5ad").open("rb") as file:
        return app(data=library.keep(file, "odd.h5ad"))


def input_labelled(at, label):
    return next(item for item in at.number_input if item.label == label)


def form_input(at):
    return next(choice for choice in at.radio if choice.label == "New cells will come from")


def box(at, label):
    return next(box for box in at.selectbox if box.label == label)


def size_input(at):
    return input_labelled(at, "Panel size (genes)")


def folder_of(at):
    return run_folder(at.query_params["run"])


def until(at, ready):
    """Run the page again until it is ready."""
    deadline = time.monotonic() + PATIENCE
    while not ready(fine(at)):
        assert time.monotonic() < deadline, messages(at)
        at.run()
    return at


def badge(at, text):
    return any(text in markdown.value for markdown in at.markdown)


@pytest.mark.parametrize("page", PAGES)
def test_no_page_fails_where_nothing_is_loaded(page):
    assert fine(go(app(), page)).header[0].value == page


def test_the_first_page_offers_upload_and_demo():
    at = fine(app())
    assert at.header[0].value == "Data"
    assert at.file_uploader
    assert at.button(key="demo").label == "Load the demo"
    assert not at.metric


@pytest.mark.parametrize("page", GATED)
def test_a_page_that_lacks_something_says_so_and_leads_there(page):
    at = fine(go(app(), page))
    assert at.header[0].value == page
    assert messages(at) == ["No data are loaded yet." if page == "Design" else "No run is open yet."]
    assert at.button(key="unlock").label == "Load data"
    assert fine(at.button(key="unlock").click().run()).header[0].value == "Data"


@pytest.mark.parametrize("page", NEED_RUN)
def test_with_data_but_no_run_the_way_out_is_the_design(page):
    at = fine(go(with_toy(), page))
    assert messages(at) == ["No run is open yet."]
    assert fine(at.button(key="unlock").click().run()).header[0].value == "Design"


def test_the_demo_is_one_click_away_and_can_be_designed_at_once():
    at = go(app(), "Panel")
    at = fine(at.button(key="unlock_demo").click().run())
    assert at.header[0].value == "Design"
    assert at.query_params["data"] == "demo"
    assert at.multiselect[0].value == ["cell_type", "condition"]
    assert size_input(at).value == 32
    assert at.button(key="train").label == "Train this panel"
    at = fine(go(at, "Data"))
    assert [card.value for card in at.metric][:2] == ["2,800", "14,053"]


def test_an_uploaded_file_is_described():
    at = fine(with_toy())
    assert not messages(at)
    assert "toy.h5ad" in words(at.text)
    assert [card.value for card in at.metric][:2] == ["300", "60"]
    columns = at.dataframe[-1].value.set_index("name")
    assert columns.loc["cell_type", "role"] == "to predict"
    assert columns.loc["donor", "role"] == "groups to hold out"


def test_a_matrix_is_read_as_the_user_says_where_its_values_mislead(tmp_path):
    adata = make_toy()
    adata.X = adata.X.toarray() * np.random.default_rng(0).uniform(0.6, 1, adata.shape)
    at = opened(adata, tmp_path)
    assert "X is read as counts (" in words(at.caption)
    assert "From it the model reads log(1 + transcripts per 10,000)." in words(at.caption)
    reading = next(box for box in at.selectbox if box.label == "Read its values as")
    at = fine(reading.select("natural logarithms").run())
    assert "From it the model reads log(1 + normalised expression)." in words(at.caption)
    assert any("X (log-normalised)" in item.label.replace("\\", "") for item in at.expander)
    reading = next(box for box in at.selectbox if box.label == "Read its values as")
    at = fine(reading.select("").run())
    assert "From it the model reads log(1 + transcripts per 10,000)." in words(at.caption)


def test_the_walk_from_a_file_to_scores():
    at = fine(with_toy())
    at = fine(at.button(key="next_Design").click().run())
    assert at.header[0].value == "Design"
    assert at.multiselect[0].value == ["cell_type"]
    at.multiselect[0].set_value(["condition"])
    size_input(at).set_value(4)
    input_labelled(at, "Random panels").set_value(1)
    input_labelled(at, "Bootstrap draws").set_value(50)
    fine(at.run())
    assert "4 genes that predict condition, judged on whole held-out donors." in words(at.text)
    at = fine(at.button(key="train").click().run())
    assert at.header[0].value == "Train"
    folder = folder_of(at)

    colleague = fine(go(app(run=folder.name), "Train"))  # another tab with the same link sees the same run
    assert colleague.header[0].value == "Train"
    assert folder_of(colleague) == folder  # a link that leads nowhere is taken back

    until(
        at,
        lambda page: not read_status(folder).live and page.button and any(b.key == "next_Panel" for b in page.button),
    )
    assert read_status(folder).state == "done", read_status(folder)
    assert badge(at, "Done")
    assert [card.label for card in at.metric] == ["Genes in the running", "Training cells", "Step", "Loss"]
    assert at.metric[0].value == "4"

    at = fine(at.button(key="next_Panel").click().run())
    assert at.subheader[0].value == "4 genes"
    run = runs.load_run(folder)
    assert list(at.dataframe[0].value["gene"]) == list(run.panel.genes)
    assert any(text.value.startswith("condition: ") for text in at.text)
    at = fine(go(at, "Metrics"))
    assert at.subheader[0].value == "Compared with baselines"
    assert folder_of(at) == folder  # the link goes along


@pytest.fixture
def done():
    return save(finished())


def test_a_link_to_a_run_opens_every_page(done):
    at = app(run=done.name)
    for page in PAGES:
        fine(go(at, page))
        assert at.header[0].value == page
        assert at.query_params["run"] == done.name
    assert "done" in words(at.sidebar.caption)
    assert "8 genes for cell_type, condition, age" in words(at.sidebar.text)


def test_a_gene_is_found_by_a_part_of_its_name(done):
    at = fine(go(app(run=done.name), "Panel"))
    gene = finished().panel.genes[3]
    at.text_input(key="find").set_value(gene.lower())
    assert list(fine(at.run()).dataframe[0].value["gene"]) == [gene]
    at.text_input(key="find").set_value("nothing like it (")
    assert not any(gene in str(table.value) for table in fine(at.run()).dataframe)


def test_scores_of_every_task_can_be_read(done):
    at = fine(go(app(run=done.name), "Metrics"))
    for task in ("condition", "age", "cell_type"):
        at.button_group(key="task").set_value(task)
        fine(at.run())
        assert any(text.value.startswith(f"{task}: ") for text in at.text)


def test_a_run_stopped_before_its_scores_still_shows_its_panel():
    folder = save(finished(), scored=False)
    at = fine(go(app(run=folder.name), "Panel"))
    assert len(at.dataframe[0].value) == 8
    assert any("not measured" in text.value for text in at.text)
    at = fine(go(at, "Metrics"))
    assert messages(at)[0].startswith("The scores of this run are not there")


def test_a_run_without_a_panel_leads_to_its_progress():
    folder = runs.create_run(config_for(), data_path=toy_on_disk(), data_name="toy", data_digest="0")
    for page in ("Panel", "Metrics"):
        at = fine(go(app(run=folder.name), page))
        assert messages(at) == ["This run has no panel yet."]
    assert fine(at.button(key="unlock").click().run()).header[0].value == "Train"


def test_a_failed_run_shows_its_sentence_and_the_way_back():
    folder = runs.create_run(
        config_for(TYPE, panel_size=60),
        data_path=toy_on_disk(),
        data_name="toy",
        data_digest=read_dataset(toy_on_disk()).digest,
    )
    carry_out(folder)
    at = fine(go(app(run=folder.name), "Train"))
    assert messages(at)[0].startswith("The panel size is 60 but there are 60 candidate genes.")
    assert "**Next:** Choose at most 59." in messages(at)[0]
    assert at.button(key="redesign").label == "Change the design"


def test_stop_ends_a_run_that_works():
    config = replace(config_for(CONDITION, panel_size=3), evaluation=EvaluationConfig(random_panels=50))
    folder = runs.create_run(
        config, data_path=toy_on_disk(), data_name="toy", data_digest=read_dataset(toy_on_disk()).digest
    )
    jobs.launch(folder)
    at = fine(go(app(run=folder.name), "Train"))
    until(at, lambda page: badge(page, "Running"))
    fine(at.button(key="stop").click().run())
    assert wait_for_end(folder).state == "stopped"
    at = fine(at.run())
    assert badge(at, "Stopped")
    assert any("Stopped on request" in message for message in messages(at))


def cut(content):
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "bad.h5ad is empty (0 bytes)."),
        (b"gene,cell\n1,2\n", "bad.h5ad is not an .h5ad file."),
        (cut(toy_on_disk().read_bytes()), "bad.h5ad is cut short or damaged"),
        (toy_on_disk().read_bytes()[:100], "bad.h5ad is cut short or damaged"),
    ],
    ids=["empty", "text", "half", "head"],
)
def test_a_file_that_cannot_be_read_is_one_sentence_and_leaves_nothing(content, sentence):
    at = fine(upload(app(), content, "bad.h5ad"))
    (message,) = messages(at)
    assert message.startswith(sentence)
    assert "Next:" in message
    assert "data" not in at.query_params
    assert list((home() / "data").iterdir()) == []
    assert messages(fine(go(at, "Design"))) == ["No data are loaded yet."]


def test_every_data_set_is_described_by_its_own_facts(tmp_path):
    other = make_toy(cells=200)
    other.obs = other.obs.rename(columns={"cell_type": "kind"})
    other.write_h5ad(tmp_path / "other.h5ad")
    at = with_toy()
    at = fine(upload(at, (tmp_path / "other.h5ad").read_bytes(), "other.h5ad"))
    assert "other.h5ad" in words(at.text)
    assert at.metric[0].value == "200"
    assert set(at.dataframe[-1].value["name"]) == {"kind", "condition", "age", "donor"}
    assert "kind" in fine(go(at, "Design")).multiselect[0].options


def test_scores_that_arrive_later_are_seen():
    folder = save(finished(), scored=False)
    at = fine(go(app(run=folder.name), "Panel"))
    assert any("not measured" in text.value for text in at.text)
    runs.save_evaluation(folder, finished())
    assert any(text.value.startswith("cell_type: macro-F1") for text in fine(at.run()).text)


def test_a_bad_file_after_a_good_one_loses_nothing():
    at = fine(with_toy())
    key = at.query_params["data"]
    at = fine(upload(at, b"no", "bad.h5ad"))
    assert any(message.startswith("bad.h5ad is not an .h5ad file.") for message in messages(at))
    assert at.query_params["data"] == key
    assert fine(go(at, "Design")).multiselect[0].value == ["cell_type"]


@pytest.mark.parametrize("k", [0, 60, 1000, 5000])
def test_a_panel_size_out_of_range_is_not_taken(k):
    at = fine(go(with_toy(), "Design"))
    assert (size_input(at).min, size_input(at).max) == (1, 59)
    size_input(at).set_value(12)
    assert size_input(fine(at.run())).value == 12
    size_input(at).set_value(k)
    assert size_input(fine(at.run())).value == SelectorConfig().panel_size


def test_no_task_at_all_is_a_sentence():
    at = fine(go(with_toy(), "Design"))
    at.multiselect[0].set_value([])
    assert messages(fine(at.run()))[0].startswith("No task is chosen.")


def test_an_unknown_gene_in_the_list_is_a_sentence_with_a_near_name():
    at = fine(go(with_toy(), "Design"))
    at.text_area[0].set_value("STIM9 T1")
    message = messages(fine(at.run()))[0]
    assert message.startswith("Gene STIM9, to be included, is not in the data.")
    assert "Did you mean STIM" in message


def test_a_column_with_one_class_is_not_offered(tmp_path):
    adata = make_toy()
    adata.obs["same"] = "a"
    at = fine(go(opened(adata, tmp_path), "Design"))
    assert at.multiselect[0].options == ["cell_type", "condition", "age", "donor"]


@pytest.mark.parametrize("columns", [[], ["same"]], ids=["none", "constant"])
def test_data_without_anything_to_predict_are_a_sentence(columns, tmp_path):
    adata = make_toy()
    adata.obs = pd.DataFrame(dict.fromkeys(columns, "a"), index=adata.obs_names)
    at = opened(adata, tmp_path)
    for page in ("Data", "Design"):
        fine(go(at, page))
    assert messages(at)[0].startswith("No obs column looks like something to predict.")


def test_classes_too_small_to_split_are_a_sentence(tmp_path):
    adata = make_toy()
    adata.obs["cell_type"] = ["a"] * 297 + ["b", "c", "d"]
    at = fine(go(opened(adata, tmp_path), "Design"))
    at.multiselect[0].set_value(["cell_type"])
    assert "Column “cell_type” has 4 classes, of which 1 have 5 cells or more." in messages(fine(at.run()))[0]


def odd_data():
    adata = make_toy()
    adata.obs = pd.DataFrame(
        {
            ODD_NAMES[0]: pd.Categorical(np.array(ODD)[np.arange(300) % 5]),
            ODD_NAMES[1]: pd.Categorical((np.arange(300) % 3).astype(str)),
            ODD_NAMES[2]: adata.obs["age"].to_numpy(),
            ODD_NAMES[3]: [f"{name}{i}" for i, name in enumerate(ODD * 60)],
        },
        index=adata.obs_names,
    )
    names = list(adata.var_names)
    names[:3] = ["<b>G1</b>", "[G2](http://example.org)", "😀"]
    adata.var_names = names
    adata.layers["**counts** <b> :red[x]"] = adata.X  # HDF5 takes no / in a name
    del adata.X
    return adata


def markdown_of(at):
    """Everything on the page that Streamlit reads as Markdown, labels included."""
    read = [
        element.value
        for kind in (at.markdown, at.caption, at.error, at.warning, at.info, at.success)
        for element in kind
    ]
    labelled = [
        e.label for kind in (at.expander, at.button, at.multiselect, at.selectbox, at.number_input) for e in kind
    ]
    return [str(text) for text in (*read, *labelled)]


def assert_no_markup_from_files(at):
    for text in markdown_of(fine(at)):
        text = re.sub(r"\\.", "", text)  # what is escaped is shown as it is
        for mark in ("<script", "<img", "<b>", "](http", "**b**", ":red[", "**counts**"):
            assert mark not in text, text


def test_odd_names_and_classes_are_shown_as_they_are_on_every_page(tmp_path):
    at = opened(odd_data(), tmp_path)
    for page in ("Data", "Design"):
        assert_no_markup_from_files(go(at, page))
    at.multiselect[0].set_value(ODD_NAMES[:3])
    assert_no_markup_from_files(at.run())

    tasks = [TaskConfig(obs=ODD_NAMES[0]), TaskConfig(obs=ODD_NAMES[1])]
    config = config_for(*tasks, panel_size=3)
    path = library.find(at.query_params["data"])[0]
    folder = runs.create_run(config, data_path=path, data_name="odd.h5ad", data_digest=read_dataset(path).digest)
    assert carry_out(folder).state == "done"
    at = app(run=folder.name)
    for page in PAGES:
        assert_no_markup_from_files(go(at, page))


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        ({"run": "latest"}, "“latest” is not a run id."),
        ({"run": "<script>alert(1)</script>"}, "“<script>alert(1)</script>” is not a run id."),
        ({"run": "0" * 32}, f"There is no run {'0' * 32} on this machine."),
        ({"data": "../../etc/passwd"}, "The data of this link are not on this machine."),
        ({"data": "f" * 64}, "The data of this link are not on this machine."),
    ],
)
@pytest.mark.parametrize("page", ["Data", "Panel"])
def test_a_link_that_leads_nowhere_is_a_sentence(page, link, sentence):
    at = AppTest.from_file(APP, default_timeout=PATIENCE)
    at.query_params.update(link)
    if page != "Data":
        at.switch_page(PAGES[page])
    at = fine(at.run())
    assert messages(at)[0].startswith(sentence)
    assert all("<script" not in error.value.replace("\\<", "") for error in at.error)
    assert not {"run", "data"} & set(at.query_params)
    assert messages(fine(at.run())) != messages(app(**link))  # it is said once


@pytest.mark.parametrize("name", ["config.json", "status.json", "panel.csv", "model.json", "metrics.json", "data.json"])
def test_a_damaged_run_is_a_sentence_on_every_page(done, name):
    (done / name).write_text("{")
    said = f"{name} of the run is damaged."
    told = {page: messages(fine(go(app(run=done.name), page))) for page in PAGES}
    if name == "data.json":  # without it the run cannot even be opened, which is said where the link leads
        assert messages(fine(app(run=done.name)))[0].startswith(said)
        assert told["Panel"] == ["No run is open yet."]
    else:
        for page in ("Panel", "Maps", "Metrics", "Enrichment", "Predict"):
            assert any(text.startswith(said) for text in told[page]), page


def test_a_run_deleted_while_it_is_open_is_a_sentence(done):
    at = fine(go(app(run=done.name), "Panel"))
    for path in done.iterdir():
        path.unlink()
    done.rmdir()
    at = fine(at.run())
    assert any(message.startswith("There is no run") for message in messages(at))


@pytest.mark.parametrize("page", ["Data", "Design", "Runs"])
def test_data_deleted_while_they_are_loaded_are_a_sentence_and_no_longer_loaded(page):
    at = fine(with_toy())
    for path in (home() / "data").iterdir():
        path.unlink()
    at = fine(go(at, page))
    assert any(message.startswith("The data of this link are not on this machine.") for message in messages(at))
    assert messages(fine(go(at, "Design"))) == ["No data are loaded yet."]


def test_two_tabs_do_not_see_each_others_data(done):
    first, second = with_toy(), fine(app())
    assert "data" in first.query_params
    assert "data" not in second.query_params
    assert not second.metric


def test_the_design_stays_when_pages_are_changed():
    at = fine(go(with_toy(), "Design"))
    at.multiselect[0].set_value(["condition", "age"])
    size_input(at).set_value(7)
    form_input(at).set_value("all genes")
    fine(at.run())
    fine(go(at, "Data"))
    fine(go(at, "Design"))
    assert at.multiselect[0].value == ["condition", "age"]
    assert size_input(at).value == 7
    assert form_input(at).value == "all genes"


def test_the_toy_panel_of_the_app_tests_is_the_shared_one(done):
    assert runs.load_run(done).panel == chosen(finished().config).run.panel


def with_columns(tmp_path, **columns):
    adata = make_toy()
    adata.obs = adata.obs.assign(**columns)
    return fine(go(opened(adata, tmp_path), "Design"))


def test_the_first_question_is_where_new_cells_come_from_and_a_targeted_assay_is_the_usual_answer():
    at = fine(go(with_toy(), "Design"))
    assert at.subheader[0].value == "Where will new cells come from?"
    assert form_input(at).value == "panel"
    assert form_input(at).options == [
        "An imaging or other targeted assay: only the panel is measured",
        "Sequencing: all genes are measured",
        "Another technology: genes are detected or not",
    ]


def test_the_way_scores_are_made_says_what_it_means_and_what_it_takes():
    at = fine(go(with_toy(), "Design"))
    scheme = box(at, "Scores come from")
    assert scheme.options[0] == "Automatic: leave one donor out (6 donors)"
    assert "Cross-validation in 6 folds (one donor each): about" in words(at.caption)
    box(at, "Hold out whole groups of").set_value("")
    assert box(fine(at.run()), "Scores come from").options[0] == "Automatic: one split (no groups held out)"
    assert "Folds" not in [item.label for item in at.number_input]
    box(at, "Scores come from").set_value("cross-validation")
    assert input_labelled(fine(at.run()), "Folds").value == 5
    input_labelled(at, "Folds").set_value(3)
    assert "Cross-validation in 3 folds: about" in words(fine(at.run()).caption)


def test_small_classes_can_be_judged_by_cross_validation_with_one_click(tmp_path):
    labels = [f"small{i // 8}" if i < 16 else f"large{i % 2}" for i in range(300)]
    at = with_columns(tmp_path, cell_type=labels)
    box(at, "Hold out whole groups of").set_value("")
    fine(at.run())
    assert "2 classes of cell_type have fewer than 20 held-out cells." in words(at.caption)
    fine(at.button(key="offer_cross_validation").click().run())
    assert box(at, "Scores come from").value == "cross-validation"
    assert "offer_cross_validation" not in [button.key for button in at.button]
    assert "2 classes of cell_type have fewer than 20 cells in all." in words(at.caption)


def test_a_group_that_becomes_a_task_is_no_longer_held_out_and_that_is_said():
    at = fine(go(with_toy(), "Design"))
    assert box(at, "Hold out whole groups of").value == "donor"
    at.multiselect[0].set_value(["cell_type", "donor"])
    fine(at.run())
    assert not messages(at)
    assert box(at, "Hold out whole groups of").value == ""
    assert "donor" not in box(at, "Hold out whole groups of").options
    assert "donor is to be predicted now, so its groups are no longer held out." in words(at.caption)


def test_a_column_of_few_numbers_says_how_it_is_taken(tmp_path):
    at = with_columns(tmp_path, age_days=np.arange(300) % 10)
    at.multiselect[0].set_value(["cell_type", "age_days"])
    assert "10 different numbers: predicted as a number" in words(fine(at.run()).caption)
    kinds = [kind for kind in at.selectbox if kind.label == "Predict"]
    assert kinds[1].options == ["classes", "a number"]
    kinds[1].set_value("classification")
    assert "10 different numbers: predicted as 10 classes" in words(fine(at.run()).caption)


def test_repeats_of_a_comparison_say_what_they_vary():
    at = fine(go(with_toy(), "Design"))
    vary = next(choice for choice in at.radio if choice.label == "Repeats vary")
    assert vary.options == ["the training (same held-out cells)", "the split (other held-out cells)", "both"]
    vary.set_value("split")
    assert "Every donor is left out in turn whatever the split" in words(fine(at.run()).caption)
    input_labelled(at, "Repeats").set_value(1)
    assert not [choice for choice in fine(at.run()).radio if choice.label == "Repeats vary"]
    assert "1 training, one after the other" not in words(at.caption)


def test_the_start_says_what_leaves_the_machine_and_on_which_click():
    (said,) = [caption.value for caption in app().caption if "machine" in caption.value]
    assert said.endswith(
        "Everything happens on this machine. One button asks another host: on the Enrichment page you may send gene names to Enrichr."
    )

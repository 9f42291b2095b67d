"""The app in a real browser on a real server: first visits, the whole walk, refresh, stop, and nothing from outside."""

import os
import pickle
import re
from dataclasses import replace
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import psutil
import pytest

from tests.conftest import make_toy
from tests.shared_browser import LONG, PAGES, Server, badge, messages, opened, press, send, settled, title, visit
from tests.shared_runs import (
    CONDITION,
    LIGHT,
    TYPE,
    config_for,
    finished,
    planted_maps,
    save,
    save_explored,
    toy_dataset,
    toy_on_disk,
    wait_for,
    wait_for_end,
)
from yoto_core.config import EvaluationConfig, TaskConfig
from yoto_core.data.reading import read_dataset
from yoto_core.store import runs
from yoto_core.store.folders import runs_folder
from yoto_core.store.labels import LONGEST, rename
from yoto_core.store.status import read_status
from yoto_core.work import jobs

pytestmark = pytest.mark.browser


def launched(config, *, path=None):
    path = path or toy_on_disk()
    folder = runs.create_run(config, data_path=path, data_name=Path(path).name, data_digest=read_dataset(path).digest)
    jobs.launch(folder)
    return folder


def long_config():
    """A run that is certainly still at work when a browser comes to look."""
    return replace(config_for(CONDITION, panel_size=3), evaluation=EvaluationConfig(random_panels=50))


@pytest.mark.parametrize("path", PAGES)
def test_the_very_first_visit_may_be_to_any_page(path, context, tmp_path):
    fresh = Server(tmp_path / "fresh")
    try:
        page = visit(opened(context), f"{fresh.url}/{path}")
        title(page, PAGES[path])
        menu = page.locator("[data-testid='stSidebarNavLink']").all_inner_texts()
        assert [entry.split("\n")[-1] for entry in menu] == list(PAGES.values())  # our menu, not the folder's
        assert page.title() == f"{PAGES[path]} – YOTO"
        assert page.get_by_text("Page not found").count() == 0
    finally:
        fresh.close()
    assert "Traceback" not in fresh.said()


def test_a_first_visit_by_link_keeps_the_link(context, tmp_path):
    fresh = Server(tmp_path / "fresh")
    try:
        page = visit(opened(context), f"{fresh.url}/design?data=demo")
        title(page, "Design")
        assert "data=demo" in page.url
        page.get_by_role("button", name="Train this panel").wait_for()
    finally:
        fresh.close()


def test_the_demo_walks_from_one_click_to_real_scores(page, server, home):
    visit(page, server.url)
    press(page, "Load the demo")
    page.get_by_text("14,053").wait_for()
    press(page, "Design a panel")
    title(page, "Design")
    press(page, "Train this panel")
    title(page, "Train")
    page.wait_for_url(re.compile(r"run=[0-9a-f]{32}"))
    page.get_by_text("Genes in the running").wait_for()
    run_id = re.search(r"run=([0-9a-f]{32})", page.url)[1]

    page.reload()  # a refreshed tab finds its run again, in the middle of the work
    title(page, "Train")
    assert run_id in page.url
    page.get_by_role("button", name="View the panel now").click(timeout=LONG)  # while scores are still being made
    title(page, "Panel")
    page.get_by_text("32 genes that predict cell_type, condition, judged on held-out cells.").wait_for()
    visit(page, f"{server.url}/train?run={run_id}")
    page.get_by_role("button", name="Read the panel").click(timeout=LONG)  # appears by itself at the end
    title(page, "Panel")
    folder = home / "runs" / run_id
    assert read_status(folder).state == "done"
    run = runs.load_run(folder)
    assert len(set(run.panel.genes)) == 32
    page.get_by_text("32 genes that predict cell_type, condition, judged on held-out cells.").wait_for()

    with page.expect_download() as waiting:
        press(page, "Gene table (CSV)")
    table = pd.read_csv(waiting.value.path(), keep_default_na=False)
    assert list(table["gene"]) == list(run.panel.genes)
    with page.expect_download() as waiting:
        press(page, "Cells × panel (.h5ad)")
    assert waiting.value.suggested_filename == "yoto_panel_32.h5ad"
    assert read_dataset(waiting.value.path()).n_genes == 32

    visit(page, f"{server.url}/metrics?run={run_id}")
    title(page, "Metrics")
    page.get_by_text("Compared with baselines").wait_for()
    page.locator(".js-plotly-plot").first.wait_for()
    assert run_id in page.url
    assert not messages(page)


def test_stop_ends_the_training_and_says_so(page, server, home):
    folder = launched(long_config())
    visit(page, f"{server.url}/train?run={folder.name}")
    page.get_by_test_id("stMain").get_by_role("button", name="Stop").click()
    page.get_by_test_id("stMain").get_by_text("Stopped on request.").wait_for(timeout=LONG)
    badge(page, "Stopped")
    assert read_status(folder).state == "stopped"


def test_two_tabs_watch_one_run(context, server, home):
    folder = launched(config_for(CONDITION, panel_size=3))
    tabs = [visit(opened(context), f"{server.url}/train?run={folder.name}") for _ in range(2)]
    for tab in tabs:
        badge(tab, "Done")
        tab.get_by_role("button", name="Read the panel").wait_for()


def test_a_killed_run_is_seen_without_a_refresh(page, server, home):
    folder = launched(long_config())
    visit(page, f"{server.url}/train?run={folder.name}")
    badge(page, "Running")
    os.kill(read_status(folder).pid, 9)
    page.get_by_text("The process that ran it is gone.").wait_for()
    page.get_by_role("button", name="Change the design").or_(
        page.get_by_role("button", name="Read the panel")
    ).wait_for()


def test_an_exported_model_labels_new_cells_on_another_day(page, server, home, tmp_path):
    run, new = finished(config_for(TYPE, panel_size=4)), make_toy(cells=120, seed=8)
    new.write_h5ad(tmp_path / "new.h5ad")
    (tmp_path / "bad.yoto").write_bytes(pickle.dumps({"panel": 1}))
    visit(page, f"{server.url}/predict?run={save(run).name}")
    with page.expect_download() as waiting:
        press(page, "Model (.yoto)")
    waiting.value.save_as(tmp_path / "panel.yoto")

    visit(page, f"{server.url}/predict")  # as a colleague would, without the run
    page.get_by_text("Load an exported model (.yoto)").click()
    places = page.locator("input[type=file]")
    places.nth(0).set_input_files(tmp_path / "bad.yoto")
    page.get_by_text("bad.yoto is a pickle, which can run code; it is not opened.").wait_for()
    places.nth(0).set_input_files(tmp_path / "panel.yoto")
    page.get_by_text("4 genes for cell_type, made from toy.h5ad").wait_for()
    places.nth(1).set_input_files(tmp_path / "new.h5ad")
    page.get_by_text("4 of 4 panel genes are there: 4 by symbol.").wait_for()
    expected = run.predict(new)
    unsure = int((expected["cell_type probability"] < 0.5).sum())
    page.get_by_text(f"{unsure} of 120 cells (").wait_for()
    page.get_by_text("On the new cells a threshold of 0.50 labels").wait_for()
    page.locator(".js-plotly-plot").nth(4).wait_for()  # trade-off, shift, two confusions, certainty
    assert not messages(settled(page))

    page.get_by_role("link", name="Runs").click()
    title(page, "Runs")
    page.get_by_role("link", name="Predict").click()
    title(page, "Predict")
    page.get_by_text("Labelling new.h5ad").wait_for()
    page.reload()
    page.get_by_text("On the new cells a threshold of 0.50 labels").wait_for()
    settled(page)
    with page.expect_download() as waiting:
        press(page, "Predictions (CSV)")
    table = pd.read_csv(waiting.value.path(), index_col="cell")
    assert (table["cell_type"] == expected["cell_type"].astype(str)).all()
    with page.expect_download() as waiting:
        press(page, "New cells with predictions (.h5ad)")
    labelled = anndata.read_h5ad(waiting.value.path())
    assert (labelled.obs["yoto cell_type"].astype(str) == expected["cell_type"].astype(str)).all()


def test_a_run_outlives_a_killed_server_and_the_next_one_shows_it(context, home, server, tmp_path, monkeypatch):
    first = Server(tmp_path / "fresh")
    monkeypatch.setenv("YOTO_HOME", str(first.home))
    folder = launched(config_for(CONDITION, panel_size=3))
    jobs.stop(folder)
    wait_for_end(folder)
    page = visit(opened(context), f"{first.url}/train?run={folder.name}")
    press(page, "Resume")  # by the server: the worker is its child
    worker = wait_for(folder, lambda status: bool(status.phase) and status.live).pid
    assert first.process.pid in [parent.pid for parent in psutil.Process(worker).parents()]
    first.process.kill()
    first.close()
    assert psutil.pid_exists(worker)
    following = Server(first.home)
    try:
        page = visit(opened(context), f"{following.url}/train?run={folder.name}")
        badge(page, "Done")
    finally:
        following.close()
    assert read_status(folder).pid == worker
    assert runs.load_run(folder).evaluation is not None


def test_a_browser_knows_its_runs_after_a_refresh_and_nobody_elses(browser, context, tmp_path, monkeypatch):
    monkeypatch.setenv("YOTO_SHARED", "1")
    shared = Server(tmp_path / "fresh")
    monkeypatch.setenv("YOTO_HOME", str(shared.home))
    folder = launched(config_for(CONDITION, panel_size=3))
    jobs.stop(folder)
    wait_for_end(folder)
    try:
        page = visit(opened(context), f"{shared.url}/train?data=demo&run={folder.name}")
        press(page, "Run again")
        page.wait_for_url(lambda url: folder.name not in url)
        page = visit(opened(context), f"{shared.url}/runs")  # another tab
        page.get_by_role("heading", name="History").wait_for()
        stranger = browser.new_context()
        stranger.set_default_timeout(LONG)
        other = visit(opened(stranger), f"{shared.url}/runs")
        other.get_by_text("There are no runs yet.").wait_for()
        stranger.close()
    finally:
        shared.close()
    for run in runs_folder().iterdir():
        jobs.stop(run)
        wait_for_end(run)


def test_a_run_is_deleted_after_it_was_asked_for_twice(page, server, home):
    folder = launched(config_for(CONDITION, panel_size=3))
    jobs.stop(folder)
    wait_for_end(folder)
    visit(page, f"{server.url}/runs?run={folder.name}")
    press(page, "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    page.get_by_role("dialog").wait_for(state="detached")
    assert folder.exists()
    press(page, "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").wait_for(state="detached")
    settled(page)
    assert not folder.exists()
    assert folder.name not in page.url


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"gene,cell\n1,2\n", "wrong.h5ad is not an .h5ad file."),
        (b"", "wrong.h5ad is empty (0 bytes)."),
        (toy_on_disk().read_bytes()[:5000], "wrong.h5ad is cut short or damaged"),
    ],
    ids=["text", "empty", "cut"],
)
def test_a_wrong_file_is_one_sentence_and_a_right_one_still_works_after_it(content, sentence, page, server, tmp_path):
    (tmp_path / "wrong.h5ad").write_bytes(content)
    visit(page, server.url)
    send(page, tmp_path / "wrong.h5ad")
    page.get_by_text(sentence).wait_for()
    assert len(messages(settled(page))) == 1
    send(page, toy_on_disk())
    page.get_by_text("What is in it").wait_for()
    page.get_by_text(sentence).wait_for(state="detached")
    assert not messages(settled(page))


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("run=<script>alert(1)</script>", "“<script>alert(1)</script>” is not a run id."),
        ("run=" + "0" * 32, "There is no run"),
        ("data=../../etc/passwd", "The data of this link are not on this machine."),
    ],
)
def test_a_wrong_link_is_a_sentence(query, sentence, page, server):
    visit(page, f"{server.url}/panel?{query}")
    page.get_by_text(sentence).wait_for()
    title(page, "Panel")
    assert page.get_by_text("No run is open yet.").count() == 1


def test_text_from_files_is_never_rendered(page, server, home, tmp_path):
    adata = make_toy()
    bad = "<img src='http://outside.example/x.png' onerror='window.hacked=1'>"
    names = [bad, "<b>bold</b>", "[link](http://outside.example)", "![i](http://outside.example/i.png)"]
    adata.obs["cell_type"] = pd.Categorical(np.array(names)[np.arange(300) % 4])
    adata.obs = adata.obs.rename(columns={"cell_type": "<b>type <img src=x onerror='window.hacked=1'>"})
    adata.layers["**counts** <b>layer"] = adata.X.copy()
    del adata.X
    adata.var_names = ["<b>G0</b>", "![i](http://outside.example/g.png)", *adata.var_names[2:]]
    path = tmp_path / "![i](http:__outside.example_f.png) <b>f<b>.h5ad"
    adata.write_h5ad(path)

    visit(page, server.url)
    send(page, path)
    page.get_by_text("What is in it").wait_for()
    press(settled(page), "Design a panel")
    title(page, "Design")
    cells = re.search("data=([0-9a-f]+)", page.url)[1]
    evaluation = replace(LIGHT, maps="yes")
    config = config_for(TaskConfig(obs=adata.obs.columns[0]), CONDITION, panel_size=4, evaluation=evaluation)
    config = replace(config, genes=replace(config.genes, include=tuple(adata.var_names[:2])))
    folder = launched(config, path=path)
    visit(page, f"{server.url}/train?run={folder.name}")
    badge(page, "Done")
    rename(folder, bad[:LONGEST])
    for place, heading in PAGES.items():
        visit(page, f"{server.url}/{place if place != 'data' else ''}?run={folder.name}&cells={cells}")
        title(page, heading)
        if place == "predict":
            page.get_by_text("Is it calibrated on the new cells?").wait_for()
        if place in {"maps", "metrics"}:
            page.locator(".js-plotly-plot").last.wait_for()
        assert page.evaluate("window.hacked") is None
        assert page.locator("img[src*='outside.example'], a[href*='outside.example']").count() == 0
        assert page.get_by_text("bold", exact=True).count() == 0  # <b>bold</b> is shown with its brackets


def test_a_table_offers_no_download_that_would_write_formulas(page, server, home):
    visit(page, f"{server.url}/panel?run={save_explored(planted_maps()).name}")
    table = page.get_by_test_id("stDataFrame").first
    table.hover()
    tools = table.locator("xpath=ancestor::*[@data-testid='stFullScreenFrame']").first.get_by_test_id(
        "stElementToolbarButton"
    )
    page.get_by_role("button", name="Search").first.wait_for()
    offered = [tool.inner_html() for tool in tools.all() if tool.is_visible()]
    assert offered
    assert not [tool for tool in offered if "Download" in tool]
    assert page.get_by_role("button", name=re.compile("Download as CSV")).count() == 0


def draw_around(page, side, middle, reach):
    """Draw a lasso with the mouse around a place on one of the two maps, in the units of that map."""
    chart = page.locator(".js-plotly-plot").first
    chart.locator("canvas").first.wait_for()
    box = chart.bounding_box()
    x, y = page.evaluate(
        """([side, x, y]) => {
            const layout = document.querySelector('.js-plotly-plot')._fullLayout, end = side === 'left' ? '' : '2';
            const across = layout['xaxis' + end], down = layout['yaxis' + end];
            return [x.map(v => across._offset + across.l2p(v)), y.map(v => down._offset + down.l2p(v))];
        }""",
        [side, *(list(middle[i] + reach * turn) for i, turn in enumerate((np.cos(TURNS), np.sin(TURNS))))],
    )
    places = [(box["x"] + a, box["y"] + b) for a, b in zip(x, y, strict=True)]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place)
    page.mouse.up()


TURNS = np.linspace(0, 2 * np.pi, 9)


@pytest.mark.parametrize(
    ("side", "middle", "classes"), [("left", (0, 0), {"B": 75}), ("right", (0, 10), {"NK": 75, "T": 75})]
)
def test_a_lasso_tells_the_classes_inside_and_stays_when_the_colours_change(side, middle, classes, page, server, home):
    folder = save_explored(planted_maps())
    visit(page, f"{server.url}/maps?run={folder.name}")
    title(page, "Maps")
    draw_around(settled(page), side, middle, 2.5)
    said = f"{75 * len(classes)} cells selected"
    page.get_by_role("heading", name=said).wait_for()

    for kind, beside in (("Gene", "STIM1"), ("Right or wrong", "Held-out cells only")):
        page.get_by_label("Colour by").fill(kind)
        page.get_by_role("option", name=kind, exact=True).click()
        page.get_by_test_id("stMain").get_by_text(beside, exact=True).first.wait_for()  # the page has taken it in
        settled(page)
        page.get_by_role("heading", name=said).wait_for()
    with page.expect_download() as waiting:
        press(page, "Classes of the selection (CSV)")
    table = pd.read_csv(waiting.value.path(), keep_default_na=False)
    assert dict(zip(table["class"], table["cells"], strict=True)) == classes

    press(page, "Clear selection")
    page.get_by_role("heading", name=said).wait_for(state="detached")


def test_the_page_works_on_a_narrow_screen_and_in_the_dark(browser, server):
    context = browser.new_context(viewport={"width": 420, "height": 800}, color_scheme="dark")
    context.set_default_timeout(LONG)
    page = visit(opened(context), f"{server.url}/design?data=demo")
    page.get_by_role("button", name="Train this panel").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    background = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    assert background == "rgb(18, 24, 29)"
    context.close()


def test_the_toy_of_the_browser_tests_is_the_shared_one():
    assert toy_dataset().n_cells == 300

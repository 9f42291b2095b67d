"""How long the Explore pages take: their work alone, and each page in a real browser, on the demo and on 100,000 cells.

    python -W ignore -m tests.benchmarks.pages [--home DIR] [--cells 100000] [--genes 20000]

Both runs go through the worker as any run does; with --home they are kept there and used again. A page's time is that from
a click in the menu until the page is still and its figures stand: the first visit, then the median of three more, beside
the processor time that the server spent on those; a change of colour is timed inside the page. Compare only figures of one table.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import psutil
from playwright.sync_api import Page, sync_playwright
from scipy import sparse

from tests.benchmarks.machine import describe_machine
from tests.shared_browser import FLAGS, Server, browser_path, settled
from yoto_core.config import EvaluationConfig, RunConfig, SelectorConfig, TaskConfig
from yoto_core.data.reading import read_dataset
from yoto_core.demo import DEMO_FILE, demo_config
from yoto_core.explore import enrichment
from yoto_core.explore.selection import Outline
from yoto_core.plots import confusion, maps, palettes, vector
from yoto_core.store import library, runs
from yoto_core.store.status import read_status

PAGES = ("Panel", "Maps", "Metrics", "Enrichment")
TRANSCRIPTS, CLASSES, BLOCK = 1_800, 20, 5_000  # per cell; of the synthetic data; cells made at once


def seconds(work: Callable[[], object]) -> float:
    """The median of three."""
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def recolour(cells: int, classes: int) -> float:
    """From values to the figure's JSON, as one change of colour on the Maps page."""
    rng = np.random.default_rng(0)
    places = rng.normal(size=(cells, 2))
    names = [f"class {i}" for i in range(classes)]
    paint = maps.Paint("class", pd.Series(rng.choice(names, cells)), palettes.class_colors(names))
    return seconds(lambda: maps.map_figure(maps.map_table(places, places, paint), paint, ("a", "b"), "light").to_json())


def work_table() -> dict[str, float]:
    """Seconds of what the pages ask the core for."""
    symbols = read_dataset(DEMO_FILE).genes.symbols
    libraries = {library.label: enrichment.shipped_sets(library.name) for library in enrichment.LIBRARIES}
    names = [f"class {i}" for i in range(34)]
    counts = pd.DataFrame(np.random.default_rng(0).integers(0, 9, (34, 34)), index=names, columns=names)
    figure = confusion.confusion_figure(confusion.confusion_table(confusion.by_similarity(counts)), "light")
    line = Outline("/all", tuple((np.cos(t), np.sin(t)) for t in np.linspace(0, 6, 200)))
    places = np.random.default_rng(0).normal(size=(1_000_000, 2))
    return {
        "enrichment of 200 genes in all shipped sets": seconds(
            lambda: enrichment.enrich(symbols[:200], symbols, libraries)
        ),
        "recolour 2,800 cells, 13 classes": recolour(2_800, 13),
        "recolour 40,000 cells, 34 classes": recolour(40_000, 34),
        "recolour 300,000 cells (40,000 drawn), 102 classes": recolour(300_000, 102),
        "lasso of 200 corners over 1,000,000 cells": seconds(lambda: line.holds(places)),
        "confusion of 34 classes as SVG": seconds(lambda: vector.draw(figure, "svg")),
    }


def make_file(path: Path, cells: int, genes: int) -> None:
    """Sparse counts of cells × genes: 20 classes of falling size, 60 genes of its own in each, 1,800 transcripts per cell."""
    rng = np.random.default_rng(0)
    common = 0.8 ** np.arange(CLASSES)
    label = np.sort(rng.choice(CLASSES, cells, p=common / common.sum()))
    usual, blocks = rng.lognormal(0, 1.6, genes), []
    for members in np.bincount(label, minlength=CLASSES):
        rate = usual.copy()
        rate[rng.choice(genes, 60, replace=False)] *= 12
        edges = np.cumsum(rate / rate.sum())
        for start in range(0, members, BLOCK):
            here = min(BLOCK, members - start)
            drawn = np.minimum(np.searchsorted(edges, rng.random(here * TRANSCRIPTS)), genes - 1)
            rows = np.repeat(np.arange(here), TRANSCRIPTS)
            ones = np.ones(drawn.size, dtype=np.float32)
            blocks.append(sparse.coo_matrix((ones, (rows, drawn)), shape=(here, genes)).tocsr())
    obs = pd.DataFrame({"cell_type": pd.Categorical([f"type {code}" for code in label])})
    obs.index = [f"cell{i}" for i in range(cells)]
    real = read_dataset(DEMO_FILE).genes.symbols[:genes]  # so that gene sets find theirs
    var = pd.DataFrame(index=[*real, *(f"GENE{i}" for i in range(genes - len(real)))])
    anndata.AnnData(sparse.vstack(blocks, format="csr"), obs=obs, var=var).write_h5ad(path)


def synthetic_run(cells: int, genes: int) -> str:
    """The id of a finished run of 32 genes on synthetic data, with few comparisons."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{cells} x {genes}.h5ad"
        make_file(path, cells, genes)
        with path.open("rb") as file:
            key = library.keep(file, path.name)
    light = EvaluationConfig(alone="no", random_panels=1, bootstrap=50, max_cells=1_000)
    config = RunConfig(tasks=(TaskConfig(obs="cell_type"),), selector=SelectorConfig(panel_size=32), evaluation=light)
    return run_of(library.find(key)[0], library.find(key)[1], config)


def run_of(path: Path, name: str, config: RunConfig) -> str:
    """The id of a run that the worker has finished."""
    folder = runs.create_run(config, data_path=path, data_name=name, data_digest=read_dataset(path).digest)
    subprocess.run([sys.executable, "-W", "ignore", "-m", "yoto_core.worker", str(folder)], check=True)
    assert read_status(folder).state == "done", read_status(folder)
    return folder.name


def prepared(home: Path, cells: int, genes: int) -> dict[str, str]:
    """Both runs, made where the home does not have them yet: what they are -> id."""
    os.environ["YOTO_HOME"] = str(home)
    known, big = home / "pages.json", f"{cells:,} cells × {genes:,} genes"
    ids = json.loads(known.read_text()) if known.exists() else {}
    if "demo" not in ids:
        light = replace(demo_config().evaluation, alone="no", random_panels=1)
        ids["demo"] = run_of(DEMO_FILE, "demo", replace(demo_config(), evaluation=light))
    if big not in ids:
        ids[big] = synthetic_run(cells, genes)
    home.mkdir(exist_ok=True)
    known.write_text(json.dumps(ids))
    return {name: ids[name] for name in ("demo", big)}


def stands(page: Page, title: str) -> None:
    """Wait until a page is there, still, and its first figure drawn (or said why there is none)."""
    page.get_by_role("heading", name=title, exact=True, level=2).wait_for()
    settled(page)
    page.locator(".js-plotly-plot .main-svg, [data-testid='stAlert']").first.wait_for()


def visit(page: Page, title: str) -> float:
    """Seconds from a click in the menu to the page."""
    started = time.perf_counter()
    page.get_by_test_id("stSidebarNavLink").filter(has_text=title).click()
    stands(page, title)
    return time.perf_counter() - started


# From the next click until new maps stand, the script has ended and two more frames were shown: timed in the page itself, as
# asking from outside while the browser draws takes longer than what is asked about.
RECOLOURED = """() => {
  const before = document.querySelector('.gl-canvas');
  const ended = () => document.querySelector('[data-testid=stApp]').dataset.testScriptState === 'notRunning';
  const stands = () => !before.isConnected && document.querySelector('.gl-canvas') && ended();
  window.recoloured = new Promise(done => document.addEventListener('click', () => {
    const clicked = performance.now();
    const look = () => stands()
      ? requestAnimationFrame(() => requestAnimationFrame(() => done((performance.now() - clicked) / 1000)))
      : requestAnimationFrame(look);
    look();
  }, {once: true, capture: true}));
}"""


def change_colour(page: Page, kind: str, sign: str) -> float:
    """Seconds from the choice of another colour to the maps in it."""
    page.get_by_label("Colour by").fill(kind)
    option = page.get_by_role("option", name=kind, exact=True)
    option.wait_for()
    page.evaluate(RECOLOURED)
    option.click()
    taken = page.evaluate("window.recoloured")
    page.get_by_test_id("stWidgetLabel").get_by_text(sign, exact=True).wait_for()
    stands(page, "Maps")
    return taken


def page_rows(page: Page, server: Server, run_id: str) -> list[tuple[str, float, float, float]]:
    """Per page and for a change of colour: what, first seconds, later seconds, processor seconds of the server."""
    process, rows = psutil.Process(server.process.pid), []

    def measure(label: str, away: Callable[[], float], there: Callable[[], float]) -> None:
        taken, spent = [], []
        for _ in range(4):
            away()
            before = process.cpu_times()
            taken.append(there())
            after = process.cpu_times()
            spent.append(after.user + after.system - before.user - before.system)
        rows.append((label, taken[0], statistics.median(taken[1:]), statistics.median(spent[1:])))

    page.goto(f"{server.url}/metrics?run={run_id}")
    stands(page, "Metrics")
    for title in PAGES:
        other = "Metrics" if title != "Metrics" else "Enrichment"
        measure(title, partial(visit, page, other), partial(visit, page, title))
    visit(page, "Maps")
    change_colour(page, "Gene", "Gene")
    label, gene = partial(change_colour, page, "Label", "Task"), partial(change_colour, page, "Gene", "Gene")
    measure("maps: from label to gene", label, gene)
    label()
    measure("maps: from gene to label", gene, label)
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="where the runs are kept; a temporary folder if not given")
    parser.add_argument("--cells", type=int, default=100_000)
    parser.add_argument("--genes", type=int, default=20_000)
    asked = parser.parse_args()
    print(describe_machine(DEMO_FILE))
    for label, value in work_table().items():
        print(f"{label:<52}{value:8.2f} s")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver:
        home = (asked.home or Path(temporary) / "home").resolve()
        browser = driver.chromium.launch(executable_path=browser_path(driver), args=FLAGS)
        for name, run_id in prepared(home, asked.cells, asked.genes).items():
            server = Server(home)
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.thrown = []
            page.set_default_timeout(60_000)
            rows = page_rows(page, server, run_id)
            memory = psutil.Process(server.process.pid).memory_full_info().rss / 1e9
            peak = peak_memory(server.process.pid)
            print(f"\n{name}: load {os.getloadavg()[0]:.1f}, server {memory:.2f} GB, at most {peak:.2f} GB")
            print(f"{'':<32}{'first':>8}{'warm':>8}{'server':>8}  seconds")
            for label, first, later, spent in rows:
                print(f"{label:<32}{first:8.2f}{later:8.2f}{spent:8.2f}")
            page.close()
            server.close()
        browser.close()


def peak_memory(pid: int) -> float:
    """The most memory (GB) that a process has held, as Linux tells; NaN elsewhere."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1e6


if __name__ == "__main__":
    main()

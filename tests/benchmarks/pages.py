"""How long the Explore pages work for: gene sets, maps, recolouring and pictures, on the demo's size and on 40,000 cells.

    python -m tests.benchmarks.pages

Times are medians of three on this machine, without the browser; compare only figures of one table.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from tests.benchmarks.machine import describe_machine
from yoto_core.data.reading import read_dataset
from yoto_core.demo import DEMO_FILE
from yoto_core.explore import enrichment
from yoto_core.explore.selection import Outline
from yoto_core.plots import confusion, maps, palettes, vector


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


def main() -> None:
    """Print the table."""
    print(describe_machine(DEMO_FILE))
    symbols = read_dataset(DEMO_FILE).genes.symbols
    libraries = {library.label: enrichment.shipped_sets(library.name) for library in enrichment.LIBRARIES}
    names = [f"class {i}" for i in range(34)]
    counts = pd.DataFrame(np.random.default_rng(0).integers(0, 9, (34, 34)), index=names, columns=names)
    figure = confusion.confusion_figure(confusion.confusion_table(confusion.by_similarity(counts)), "light")
    line = Outline("left", tuple((np.cos(t), np.sin(t)) for t in np.linspace(0, 6, 200)))
    places = np.random.default_rng(0).normal(size=(1_000_000, 2))
    rows = {
        "enrichment of 200 genes in all shipped sets": seconds(
            lambda: enrichment.enrich(symbols[:200], symbols, libraries)
        ),
        "recolour 2,800 cells, 13 classes": recolour(2_800, 13),
        "recolour 40,000 cells, 34 classes": recolour(40_000, 34),
        "recolour 300,000 cells (40,000 drawn), 102 classes": recolour(300_000, 102),
        "lasso of 200 corners over 1,000,000 cells": seconds(lambda: line.holds(places)),
        "confusion of 34 classes as SVG": seconds(lambda: vector.draw(figure, "svg")),
    }
    for label, value in rows.items():
        print(f"{label:<52}{value:8.2f} s")


if __name__ == "__main__":
    main()

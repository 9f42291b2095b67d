"""The part of the Design page that trains one design several times over: sizes, seeds and sets of tasks."""

import streamlit as st

from pages.ui import messages, nav, state
from yoto_core.config import RunConfig
from yoto_core.data.genes import split_list
from yoto_core.data.reading import Dataset
from yoto_core.errors import ConfigError
from yoto_core.work.sweep import Sweep, start_sweep

TOGETHER, ALONE = "All tasks together", "All together, and each task alone"


def show(config: RunConfig, data: Dataset) -> None:
    """A folded form; what it starts is followed on the Runs page."""
    with st.expander("Compare several panels at once", icon=":material/stacked_line_chart:"):
        left, middle, right = st.columns(3, gap="medium")
        typed = left.text_input(
            "Panel sizes", f"{max(1, config.selector.panel_size // 2)}, {config.selector.panel_size}", key="sweep_sizes",
            help="One training scores every smaller size too, so only the largest is trained.",
        )  # fmt: skip
        each = left.toggle("Train each size for itself", key="sweep_each", help="Slower; shows what that would gain.")
        seeds = middle.number_input(
            "Repeats", 1, 10, 3, key="sweep_seeds", help="The same training with different seeds: how far chance goes."
        )
        choice = TOGETHER
        if len(config.tasks) > 1:
            choice = right.radio("Tasks", [TOGETHER, ALONE], key="sweep_tasks")
        with messages.errors_shown(stop=False):
            sweep = Sweep(_sizes(typed), tuple(range(config.seed, config.seed + seeds)), _sets(config, choice), each)
            number = len(sweep.plan(config))
            st.caption(f"{number:,} training{'s' if number > 1 else ''}, one after the other where there is no room.")
            for planned in sweep.plan(config)[:: len(sweep.seeds)]:
                state.findings(planned)  # a design that does not fit is refused here, not by its run
            if st.button("Train and compare", icon=":material/play_arrow:", key="sweep_start"):
                sweep_id = start_sweep(
                    sweep, config, data_path=state.dataset_path(), data_name=data.name, data_digest=data.digest,
                    owner=state.owner(),
                )  # fmt: skip
                state.set_config(config)
                nav.go("Runs", sweep=sweep_id)


def _sets(config: RunConfig, choice: str) -> tuple[tuple[str, ...], ...]:
    names = tuple(task.obs for task in config.tasks)
    return (names, *((name,) for name in names)) if choice == ALONE else (names,)


def _sizes(typed: str) -> tuple[int, ...]:
    try:
        sizes = tuple(int(text) for text in split_list(typed))
    except ValueError:
        raise ConfigError(
            f"“{typed}” is not a list of sizes.", hint="Write whole numbers, for instance 8, 16, 32."
        ) from None
    if any(size < 1 for size in sizes):
        raise ConfigError("A panel size is below 1.", hint="Write whole numbers of 1 and more.")
    return sizes

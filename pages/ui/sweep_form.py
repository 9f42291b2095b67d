"""The part of the Design page that trains one design several times over: sizes, repeats and sets of tasks."""

from collections.abc import Sequence

import streamlit as st

from pages.ui import messages, nav, state
from pages.ui.design_form import Asked
from yoto_core.config import RunConfig
from yoto_core.data.folds import fold_count
from yoto_core.data.genes import split_list
from yoto_core.data.reading import Dataset
from yoto_core.errors import ConfigError
from yoto_core.words import counted, group_words
from yoto_core.work.sweep import Sweep, Vary, start_sweep

TOGETHER, ALONE = "All tasks together", "All together, and each task alone"
MOST_REPEATS = 10
VARY: dict[Vary, str] = {
    "training": "the training (same held-out cells)",
    "split": "the split (other held-out cells)",
    "both": "both",
}


def show(asked: Asked, data: Dataset) -> None:
    """A folded form over a design; what it starts is followed on the Runs page."""
    config = asked.config
    with st.expander("Compare several panels at once", icon=":material/stacked_line_chart:"):
        left, middle, right = st.columns(3, gap="medium")
        typed = left.text_input(
            "Panel sizes", f"{max(1, config.selector.panel_size // 2)}, {config.selector.panel_size}", key="sweep_sizes",
            help="One training scores every smaller size too, so only the largest is trained.",
        )  # fmt: skip
        each = left.toggle(
            "Train each size separately", key="sweep_each", help="Takes longer; shows what that would gain."
        )
        repeats = middle.number_input(
            "Repeats", 1, MOST_REPEATS, 3, key="sweep_repeats", help="How much results vary between seeds."
        )
        vary: Vary = "training"
        if repeats > 1:
            vary = right.radio("Repeats vary", list(VARY), format_func=VARY.__getitem__, key="sweep_vary")
            if vary != "training" and fold_count(asked.n_groups, config.split) == asked.n_groups:
                one = group_words(config.split.group)[0]
                said = f"Every {one} is left out in turn whatever the split: only the cells that steer the training differ."
                right.caption(messages.plain(said))
        choice = TOGETHER
        if len(config.tasks) > 1:
            choice = middle.radio("Tasks", [TOGETHER, ALONE], key="sweep_tasks")
        with messages.errors_shown(stop=False):
            sweep = Sweep(_sizes(typed), int(repeats), _sets(config, choice), each, vary)
            planned = sweep.plan(config)
            order = ", one after the other where there is no room" if len(planned) > 1 else ""
            st.caption(f"{counted(len(planned), 'training')}{order}.")
            _check(planned[:: sweep.repeats])
            if st.button("Train and compare", icon=":material/play_arrow:", key="sweep_start"):
                _check(planned)  # another split may hold out other classes
                sweep_id = start_sweep(
                    sweep, config, data_path=state.dataset_path(), data_name=data.name, data_digest=data.digest,
                    owner=state.owner(),
                )  # fmt: skip
                state.set_config(config)
                nav.go("Runs", sweep=sweep_id)


def _check(planned: Sequence[RunConfig]) -> None:
    """A design that does not fit the data is refused here, not by its run (ConfigError)."""
    for config in planned:
        state.design(config)


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

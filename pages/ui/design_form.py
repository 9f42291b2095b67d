"""The inputs of the Design page: tasks, panel size, held-out groups, genes, and everything advanced."""

from dataclasses import replace
from typing import Any

import streamlit as st

from pages.ui import state
from pages.ui.widgets import advanced_inputs, setting_input
from yoto_core.config import GenesConfig, RunConfig, SelectorConfig, SplitConfig, TaskConfig
from yoto_core.data.genes import FAMILIES, split_list
from yoto_core.data.reading import Dataset
from yoto_core.demo import demo_config
from yoto_core.errors import ConfigError

CELLS = "single cells"


def ask(data: Dataset, columns: list[dict[str, Any]]) -> RunConfig:
    """Show the form over the last accepted design, or a sensible first one, and return what it says now."""
    key = state.design_key(data.digest)
    start = state.config() or _first_design(columns)
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.subheader("What must the panel predict?", anchor=False)
        tasks = _tasks(columns, start, key)
    with right:
        st.subheader("How large, and judged on which cells?", anchor=False)
        size = setting_input(
            SelectorConfig, "panel_size", start.selector.panel_size, key=f"{key}_size", high=max(1, data.n_genes - 1)
        )
        group = _group(columns, start, key)
        form = setting_input(GenesConfig, "normalize", start.genes.normalize, key=f"{key}_normalize")
    genes = _genes(start, key)
    config = replace(
        start,
        tasks=tasks,
        selector=replace(start.selector, panel_size=size),
        split=replace(start.split, group=group),
        genes=replace(genes, matrix=state.matrix(), normalize=form),
    )
    with st.expander("Advanced settings", icon=":material/settings:"):
        return advanced_inputs(config, key=key)


def _first_design(columns: list[dict[str, Any]]) -> RunConfig:
    if state.is_demo():
        return demo_config()
    likely = [column for column in columns if column["role"] == "task"][:1]
    if not likely:
        raise ConfigError(
            "No obs column looks like something to predict.", hint="Add a label column to obs and load again."
        )
    return RunConfig(tasks=tuple(TaskConfig(obs=column["name"], kind=column["kind"]) for column in likely))


def _tasks(columns: list[dict[str, Any]], start: RunConfig, key: str) -> tuple[TaskConfig, ...]:
    known = {column["name"]: column for column in columns if column["levels"] > 1}
    before = {task.obs: task for task in start.tasks if task.obs in known}
    chosen = st.multiselect(
        "Columns to predict", list(known), default=list(before), key=f"{key}_tasks", persist_state="session",
        help="Likely tasks come first. One panel serves all of them.",
    )  # fmt: skip
    tasks = []
    for name in chosen:
        held = before.get(name, TaskConfig(obs=name, kind=known[name]["kind"]))
        with st.container(border=True):
            title, kind_at, weight_at = st.columns([4, 3, 2], vertical_alignment="center")
            title.text(name)
            title.caption(f"{known[name]['levels']:,} values, {known[name]['missing']:,} cells without")
            with kind_at:
                kind = setting_input(TaskConfig, "kind", held.kind, key=f"{key}_kind_{name}")
            with weight_at:
                weight = setting_input(TaskConfig, "weight", held.weight, key=f"{key}_weight_{name}")
            tasks.append(TaskConfig(obs=name, kind=kind, weight=weight))
    return tuple(tasks)


def _group(columns: list[dict[str, Any]], start: RunConfig, key: str) -> str:
    groups = [column["name"] for column in columns if column["role"] == "group"]
    others = [c["name"] for c in columns if c["role"] != "group" and c["kind"] == "classification" and c["levels"] > 1]
    options = ["", *groups, *others]
    spec = SplitConfig.__dataclass_fields__["group"].metadata
    first = start.split.group or (groups[0] if groups and state.config() is None else "")
    return st.selectbox(
        spec["label"], options, index=options.index(first) if first in options else 0, key=f"{key}_group",
        format_func=lambda name: name or CELLS, help=spec["help"], persist_state="session",
    )  # fmt: skip


def _genes(start: RunConfig, key: str) -> GenesConfig:
    with st.expander("Genes to keep in or out", icon=":material/checklist:"):
        families = st.multiselect(
            "Leave out families", list(FAMILIES), default=list(start.genes.exclude_families),
            format_func=lambda name: FAMILIES[name][0], key=f"{key}_families", persist_state="session",
        )  # fmt: skip
        left, right = st.columns(2)
        text = "Symbols or Ensembl ids, separated by spaces, commas or lines."
        include = left.text_area(
            "Must be in", "\n".join(start.genes.include), help=text, key=f"{key}_include", persist_state="session"
        )
        exclude = right.text_area(
            "Must not be in", "\n".join(start.genes.exclude), help=text, key=f"{key}_exclude", persist_state="session"
        )
    return replace(
        start.genes, include=split_list(include), exclude=split_list(exclude), exclude_families=tuple(families)
    )

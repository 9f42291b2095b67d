"""The inputs of the Design page: where new cells come from, tasks, size, how it is judged, genes, and all that is advanced."""

from collections.abc import Sequence, Set
from dataclasses import dataclass, fields, replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from pages.ui import messages, state
from pages.ui.widgets import advanced_inputs, setting_input
from yoto_core.config import GenesConfig, Normalize, RunConfig, SelectorConfig, SplitConfig, TaskConfig, choices
from yoto_core.data.checks import Finding
from yoto_core.data.folds import fold_count
from yoto_core.data.genes import FAMILIES, split_list
from yoto_core.data.kinds import kind_sentence, takes_both_kinds
from yoto_core.data.reading import Dataset
from yoto_core.demo import demo_config
from yoto_core.errors import ConfigError
from yoto_core.evaluation.forecast import Workload, costs_sentence, scheme_text
from yoto_core.pipeline import Design
from yoto_core.words import counted, sentence_case

CELLS = "none: cells are split one by one"
# What each origin of new cells costs. The figures are of README, “what each ingredient is worth”: the panel's own model on
# one split of fourteen labels, normalised over the panel alone against over all genes.
ORIGINS = {
    "panel": "Xenium, MERSCOPE, CosMx, qPCR and the like. In benchmarks (README) this costs the panel's own model .001 of"
    " macro-F1 from 16 genes on, .04 with 4 genes; what it costs on your data is on the Metrics page after the run.",
    "all genes": "Only where every new cell is sequenced like these, so that its total over all genes is known.",
    "binary": "Where technologies differ so much that amounts cannot be compared. Costs more than the other two.",
}


@dataclass(frozen=True)
class Asked:
    """What the form says, and its places that are filled once the design has met the data."""

    config: RunConfig
    n_groups: int | None  # groups to hold out, None where cells are split one by one
    costs: DeltaGenerator


def ask(data: Dataset, columns: list[dict[str, Any]]) -> Asked:
    """Show the form over the last accepted design, or a sensible first one, and return what it says now."""
    key = state.design_key(data.digest)
    start = state.config() or _first_design(columns)
    st.subheader("Where will new cells come from?", anchor=False)
    origin = _origin(start.genes.normalize, key)
    left, right = st.columns([6, 5], gap="large")
    with left:
        st.subheader("What must the panel predict?", anchor=False)
        tasks = _tasks(data, columns, start, key)
    with right:
        st.subheader("How large, and judged on which cells?", anchor=False)
        size = setting_input(
            SelectorConfig, "panel_size", start.selector.panel_size, key=f"{key}_size", high=max(1, data.n_genes - 1)
        )
        group = _group(columns, start, {task.obs for task in tasks}, key)
        n_groups = next((column["levels"] for column in columns if column["name"] == group), None)
        split = _scheme(replace(start.split, group=group), n_groups, key)
        costs = st.empty()
    genes = _genes(start, key)
    config = replace(
        start,
        tasks=tasks,
        selector=replace(start.selector, panel_size=size),
        split=split,
        genes=replace(genes, matrix=state.matrix(), normalize=origin),
    )
    with st.expander("Advanced settings", icon=":material/settings:"):
        return Asked(advanced_inputs(config, key=key), n_groups, costs)


def show_costs(asked: Asked, design: Design, cells: int) -> None:
    """How long the scores will take, beside the choice of how they are made."""
    outputs = [target.n_outputs for target in design.targets]
    work = Workload.of(asked.config, outputs, cells, design.candidates.n_genes, asked.n_groups)
    asked.costs.caption(messages.plain(costs_sentence(work, asked.config.split, asked.n_groups)))


def offers(findings: Sequence[Finding], data: Dataset) -> None:
    """A button for everything that one click can do about the findings."""
    key = state.design_key(data.digest)
    if any(finding.offer == "cross-validation" for finding in findings):
        st.button(
            "Use cross-validation", icon=":material/autorenew:", key="offer_cross_validation",
            help="Every cell is judged once.", on_click=state.set_widget, args=(f"{key}_scheme", "cross-validation"),
        )  # fmt: skip


def _origin(held: Normalize, key: str) -> Normalize:
    words = GenesConfig.__dataclass_fields__["normalize"].metadata
    options = list(ORIGINS)
    return st.radio(
        words["label"], options, index=options.index(held), captions=list(ORIGINS.values()), help=words["help"],
        format_func=lambda name: sentence_case(words["names"][name]), key=f"{key}_normalize", persist_state="session",
        label_visibility="collapsed",
    )  # fmt: skip


def _first_design(columns: list[dict[str, Any]]) -> RunConfig:
    if state.is_demo():
        return demo_config()
    likely = [column for column in columns if column["role"] == "task"][:1]
    if not likely:
        raise ConfigError(
            "No obs column looks like something to predict.", hint="Add a label column to obs and load again."
        )
    return RunConfig(tasks=tuple(TaskConfig(obs=column["name"], kind=column["kind"]) for column in likely))


def _tasks(data: Dataset, columns: list[dict[str, Any]], start: RunConfig, key: str) -> tuple[TaskConfig, ...]:
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
            with kind_at:
                kind = setting_input(TaskConfig, "kind", held.kind, key=f"{key}_kind_{name}")
            with weight_at:
                weight = setting_input(TaskConfig, "weight", held.weight, key=f"{key}_weight_{name}")
            title.text(name)
            levels, missing = known[name]["levels"], known[name]["missing"]
            said = kind_sentence(data.obs[name], kind) if takes_both_kinds(data.obs[name]) else f"{levels:,} values"
            st.caption(f"{said}, {counted(missing, 'cell')} without" if missing else said)
            tasks.append(TaskConfig(obs=name, kind=kind, weight=weight))
    return tuple(tasks)


def _group(columns: list[dict[str, Any]], start: RunConfig, tasks: Set[str], key: str) -> str:
    groups = [column["name"] for column in columns if column["role"] == "group"]
    others = [c["name"] for c in columns if c["role"] != "group" and c["kind"] == "classification" and c["levels"] > 1]
    options = ["", *(name for name in (*groups, *others) if name not in tasks)]
    spec = SplitConfig.__dataclass_fields__["group"].metadata
    first = start.split.group or (groups[0] if groups and state.config() is None else "")
    held = state.widget(f"{key}_group", first)
    if held not in options:
        state.set_widget(f"{key}_group", "")
    group = st.selectbox(
        spec["label"], options, index=options.index(first) if first in options else 0, key=f"{key}_group",
        format_func=lambda name: name or CELLS, help=spec["help"], persist_state="session",
    )  # fmt: skip
    if held in tasks:
        st.caption(messages.plain(f"{held} is to be predicted now, so its groups are no longer held out."))
    return group


def _scheme(held: SplitConfig, n_groups: int | None, key: str) -> SplitConfig:
    """How the scores are made, in words that say what each choice means for these groups."""
    spec = next(spec for spec in fields(SplitConfig) if spec.name == "scheme")
    options = choices(SplitConfig, spec)
    scheme = st.selectbox(
        spec.metadata["label"], options, index=options.index(held.scheme), key=f"{key}_scheme",
        format_func=lambda name: sentence_case(scheme_text(replace(held, scheme=name), n_groups)),
        help=spec.metadata["help"], persist_state="session",
    )  # fmt: skip
    split = replace(held, scheme=scheme)
    if scheme != "cross-validation" or fold_count(n_groups, split) == n_groups:
        return split
    return replace(split, folds=setting_input(SplitConfig, "folds", held.folds, key=f"{key}_folds"))


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

"""The Runs page's history: the table, what can be done with a run, and leftovers."""

from datetime import datetime

import streamlit as st

from pages.ui import downloads, messages, nav, state
from pages.ui.watch import STATES
from yoto_core.store import runs
from yoto_core.store.folders import run_folder, runs_folder
from yoto_core.store.history import Row, delete_run, history_table, leftovers, sweep_leftovers
from yoto_core.store.labels import LONGEST, NOT_YOURS, rename
from yoto_core.words import counted, size_text

LAST = ("data", "tasks", "minutes", "megabytes")  # columns that a narrow window leaves to be scrolled to
LISTED = 5  # runs that the question before a deletion names


def choose(rows: list[Row]) -> list[Row]:
    """The history as a table, and the runs of the chosen rows, or else the open one."""
    table = history_table(rows)
    columns = st.column_config
    table = table.assign(state=[STATES[row.status.state][0] for row in rows])
    event = st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        column_order=["name", "state", "scores", "genes", "seed", "split_seed", "created", *LAST],
        height=min(38 + 35 * len(rows), 420),
        on_select="rerun",
        selection_mode="multi-row",
        placeholder="",
        column_config={
            "name": columns.TextColumn("Name", width=175),
            "state": columns.TextColumn("State", width=90),
            "scores": columns.TextColumn(
                "Scores",
                width=250,
                help="Of the panel on held-out cells, task by task: macro-F1, or R² where it says so.",
            ),
            "genes": columns.NumberColumn("Genes", width=60),
            "tasks": columns.TextColumn("Predicts", width=85),
            "data": columns.TextColumn("Data", width=90),
            "seed": columns.NumberColumn("Seed", width=55, help="Of the training."),
            "split_seed": columns.NumberColumn(
                "Split", width=50, help="Seed of the split: another holds out other cells."
            ),
            "created": columns.DatetimeColumn("Made", format="D MMM YYYY, HH:mm", width=130),
            "minutes": columns.NumberColumn("Minutes", format="%.1f", width=70),
            "megabytes": columns.NumberColumn("MB", format="%.1f", width=50, help="Size on disk."),
        },
        key=f"runs_{len(rows)}_{rows[0].run_id}",  # a selection is by place: none is kept once places have changed
        alt="Runs, newest first",
    )
    downloads.table_button("Runs (CSV)", table, "yoto_runs.csv")
    selected = [rows[place] for place in event.selection.rows if place < len(rows)]
    opened = state.run_folder()
    return selected or [row for row in rows if opened is not None and row.run_id == opened.name]


def actions(chosen: list[Row]) -> None:
    """What can be done with one run, or with several."""
    live = any(row.status.live for row in chosen)
    mine = all(state.may_change(runs_folder() / row.run_id) for row in chosen)
    with st.container(border=True):
        st.text(chosen[0].name if len(chosen) == 1 else f"{len(chosen):,} runs")
        if len(chosen) == 1:
            status = chosen[0].status
            said = "" if status.state == "done" else f" {status.message} {status.hint}".rstrip()
            st.caption(messages.plain(f"{STATES[status.state][0]}.{said}"))
        with st.container(horizontal=True, vertical_alignment="bottom"), messages.errors_shown(stop=False):
            if len(chosen) == 1:
                _open_and_copy(chosen[0])
                if mine:
                    _rename(chosen[0])
            why_not = NOT_YOURS if not mine else "Stop it first." if live else None
            if st.button("Delete", icon=":material/delete:", key="delete", disabled=why_not is not None, help=why_not):
                _confirm(chosen)


def _open_and_copy(row: Row) -> None:
    if st.button("Open", type="primary", icon=":material/open_in_new:", key="open"):
        state.open_run(row.run_id)
        nav.go("Panel" if row.status.has_panel else "Train")
    if st.button("New design from it", icon=":material/content_copy:", key="duplicate"):
        config = runs.read_config(run_folder(row.run_id))
        state.open_run(row.run_id)
        state.reuse_design(config)
        nav.go("Design")


def _rename(row: Row) -> None:
    with st.popover("Rename", icon=":material/edit:"), st.form(f"rename_{row.run_id}", border=False):
        name = st.text_input("Name", row.label.name, max_chars=LONGEST, placeholder=row.name, width=400)
        if st.form_submit_button("Save the name"):
            rename(run_folder(row.run_id), name, owner=state.owner())
            st.rerun()


@st.dialog("Delete for good?")
def _confirm(chosen: list[Row]) -> None:
    for row in chosen[:LISTED]:
        st.text(row.name)
        made = f"{datetime.fromtimestamp(row.status.created):%d %b %Y, %H:%M}"
        st.caption(f"{STATES[row.status.state][0]}, made {made}, {size_text(row.disk)}")
    if len(chosen) > LISTED:
        st.text(f"and {len(chosen) - LISTED:,} more")
    st.write("Panel, model and scores are removed from this machine. The data file stays.")
    with st.container(horizontal=True), messages.errors_shown(stop=False):
        if st.button("Delete", type="primary", icon=":material/delete:", key="delete_sure"):
            opened = state.run_folder()
            for row in chosen:
                delete_run(run_folder(row.run_id), owner=state.owner())
                if opened is not None and opened.name == row.run_id:
                    state.close_run()
            st.rerun()
        if st.button("Keep", key="delete_not"):
            st.rerun()


def leftovers_button() -> None:
    """Offer to remove what crashed saves and uploads left; nothing where there is nothing."""
    found = leftovers()
    if found:
        st.caption(
            f"Crashed saves left {counted(len(found), 'unfinished file')}, {size_text(sum(file.disk for file in found))}."
        )
        if st.button("Remove them", icon=":material/mop:", key="sweep_leftovers"):
            with messages.errors_shown():
                sweep_leftovers()
            st.rerun()

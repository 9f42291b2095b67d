"""The Runs page's history: the table, what can be done with a run, and leftovers."""

import streamlit as st

from pages.ui import messages, nav, state
from pages.ui.watch import STATES
from yoto_core.store import runs
from yoto_core.store.folders import run_folder
from yoto_core.store.history import Row, delete_run, history_table, leftovers, shared, sweep_leftovers
from yoto_core.store.labels import LONGEST, rename


def choose(rows: list[Row]) -> Row | None:
    """The history as a table, and the run of the chosen row, or else the open one."""
    table = history_table(rows)
    event = st.dataframe(
        table.assign(state=[STATES[row.status.state][0] for row in rows]),
        hide_index=True,
        width="stretch",
        column_order=["name", "state", "score", "genes", "tasks", "data", "seed", "created", "minutes", "megabytes"],
        height=min(38 + 35 * len(rows), 420),
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "name": st.column_config.TextColumn("Name", width="medium"),
            "data": st.column_config.TextColumn("Data", width="small"),
            "tasks": st.column_config.TextColumn("Predicts", width="small"),
            "genes": st.column_config.NumberColumn("Genes", width="small"),
            "seed": st.column_config.NumberColumn("Seed", width="small"),
            "score": st.column_config.NumberColumn(
                "Score", format="%.2f", help="Headline score on held-out cells, mean over tasks."
            ),
            "state": "State",
            "created": st.column_config.DatetimeColumn("Made", format="D MMM YYYY, HH:mm"),
            "minutes": st.column_config.NumberColumn("Minutes", format="%.1f", width="small"),
            "megabytes": st.column_config.NumberColumn("MB", format="%.1f", width="small", help="Size on disk."),
        },
        key="runs",
        alt="Runs, newest first",
    )
    selected = [place for place in event.selection.rows if place < len(rows)]
    if selected:
        return rows[selected[0]]
    opened = state.run_folder()
    return next((row for row in rows if opened is not None and row.run_id == opened.name), None)


def actions(row: Row) -> None:
    """Open, name, copy, delete."""
    folder, live = run_folder(row.run_id), row.status.live
    with st.container(border=True):
        st.text(row.name)
        st.caption(messages.plain(f"{STATES[row.status.state][0]}. {row.status.message} {row.status.hint}".strip()))
        with st.container(horizontal=True, vertical_alignment="bottom"), messages.errors_shown(stop=False):
            if st.button("Open", type="primary", icon=":material/open_in_new:", key="open"):
                state.open_run(row.run_id)
                nav.go("Panel" if row.status.has_panel else "Train")
            if st.button("New design from it", icon=":material/content_copy:", key="duplicate"):
                config = runs.read_config(folder)
                state.open_run(row.run_id)
                state.reuse_design(config)
                nav.go("Design")
            with st.popover("Rename", icon=":material/edit:"), st.form(f"rename_{row.run_id}", border=False):
                name = st.text_input("Name", row.label.name, max_chars=LONGEST)
                if st.form_submit_button("Save the name"):
                    rename(folder, name)
                    st.rerun()
            if st.button(
                "Delete", icon=":material/delete:", key="delete", disabled=live,
                help="Stop it first." if live else None,
            ):  # fmt: skip
                _confirm(row)


@st.dialog("Delete this run?")
def _confirm(row: Row) -> None:
    st.text(row.name)
    st.write("Its panel, model and scores are removed from this machine. The data file stays.")
    with st.container(horizontal=True), messages.errors_shown(stop=False):
        if st.button("Delete for good", type="primary", key="delete_sure"):
            opened = state.run_folder()
            delete_run(run_folder(row.run_id))
            if opened is not None and opened.name == row.run_id:
                state.close_run()
            st.rerun()
        if st.button("Keep it", key="delete_not"):
            st.rerun()


def leftovers_button() -> None:
    """Offer to remove what crashed saves left; nothing where there is nothing, or where the server is shared."""
    if shared():
        return
    found = leftovers()
    if found:
        size = sum(leftover.disk for leftover in found) / 1e6
        st.caption(f"{len(found):,} unfinished files of crashed saves take {size:.1f} MB.")
        if st.button("Remove them", icon=":material/mop:", key="sweep_leftovers"):
            with messages.errors_shown():
                sweep_leftovers()
            st.rerun()

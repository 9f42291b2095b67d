"""What is kept of uploads on the Data page: how much room there is, which files take it, and how to be rid of them."""

from datetime import datetime

import pandas as pd
import streamlit as st

from pages.ui import messages, state
from yoto_core.limits import MB, Limits, shared
from yoto_core.store import storage
from yoto_core.store.shelves import ENDINGS, kept_entries
from yoto_core.store.storage import KeptFile
from yoto_core.words import counted, size_text

LISTED = 5  # files that the question before a removal names
KINDS = {"data": "Cells", "models": "Model"}


def limits() -> None:
    """What an upload must keep to, beside the upload box."""
    with messages.errors_shown(stop=False):
        if said := Limits.from_environment().sentence():
            st.caption(said)


def show() -> None:
    """The kept files of this browser, or of this machine, folded away; nothing where nothing is kept."""
    if not any(kept_entries(shelf) for shelf in ENDINGS):
        return
    unfolded = st.expander("Storage", icon=":material/database:", key="storage", on_change="rerun")
    if unfolded.open:
        with unfolded, messages.errors_shown(stop=False):
            _files(storage.inventory(state.owner()))


def _files(files: list[KeptFile]) -> None:
    allowed = Limits.from_environment()
    st.caption(" ".join(_totals(files, allowed)))
    if not files:
        return
    columns = st.column_config
    event = st.dataframe(
        pd.DataFrame(
            {
                "name": [file.name for file in files],
                "kind": [KINDS[file.shelf] for file in files],
                "megabytes": [file.disk / MB for file in files],
                "used": [datetime.fromtimestamp(file.used) for file in files],
                "runs": [", ".join(file.runs) or "–" for file in files],
            }
        ),
        hide_index=True,
        width="stretch",
        height=min(38 + 35 * len(files), 320),
        on_select="rerun",
        selection_mode="multi-row",
        placeholder="",
        column_config={
            "name": columns.TextColumn("File", width="medium"),
            "kind": columns.TextColumn("Holds", width=70),
            "megabytes": columns.NumberColumn("MB", format="%.1f", width=70),
            "used": columns.DatetimeColumn("Last used", format="D MMM YYYY, HH:mm", width=140),
            "runs": columns.TextColumn("Runs made of it", width="medium"),
        },
        key=f"kept_{len(files)}_{files[0].key[:12]}",  # a selection is by place: none is kept once places have changed
        alt="Kept files, those used last first",
    )
    chosen = [files[place] for place in event.selection.rows if place < len(files)]
    idle = [file for file in files if not file.runs and not file.in_work and file.key not in state.in_use()]
    with st.container(horizontal=True):
        busy = any(file.in_work for file in chosen)
        if st.button(
            "Remove the chosen", icon=":material/delete:", key="remove_chosen", disabled=not chosen or busy,
            help="A run that waits or works needs one of them." if busy else "Choose rows first." if not chosen else None,
        ):  # fmt: skip
            _confirm(chosen)
        if st.button(
            f"Remove all that no run needs ({len(idle):,})",
            icon=":material/mop:",
            key="remove_idle",
            disabled=not idle,
            help="What is loaded in this tab stays.",
        ):
            _confirm(idle)


def _totals(files: list[KeptFile], allowed: Limits) -> list[str]:
    own = f"{counted(len(files), 'file')}, {size_text(sum(file.disk for file in files))}"
    said = [
        f"Yours: {own}{f' of {size_text(allowed.browser * MB)}' if allowed.browser else ''}." if shared() else f"{own}."
    ]
    if shared():
        room = f" of {size_text(allowed.kept * MB)}" if allowed.kept else ""
        said.append(f"Everybody's on this server: {size_text(storage.total())}{room}.")
    elif allowed.kept:
        said.append(f"At most {size_text(allowed.kept * MB)} are kept.")
    if allowed.days:
        said.append(f"A file goes {allowed.days:,} days after its last use.")
    return [*said, "Runs keep their panel and scores when their data are removed."]


@st.dialog("Remove for good?")
def _confirm(chosen: list[KeptFile]) -> None:
    for file in chosen[:LISTED]:
        st.text(file.name)
        made = f", {counted(len(file.runs), 'run')} made of it" if file.runs else ""
        st.caption(f"{size_text(file.disk)}{made}")
    if len(chosen) > LISTED:
        st.text(f"and {len(chosen) - LISTED:,} more")
    st.write("Runs stay. Their maps keep what was drawn, but a run cannot be made again without its data.")
    with st.container(horizontal=True), messages.errors_shown(stop=False):
        if st.button("Remove", type="primary", icon=":material/delete:", key="remove_sure"):
            for file in chosen:
                storage.remove(file.key, file.shelf, owner=state.owner())
            st.rerun()
        if st.button("Keep", key="remove_not"):
            st.rerun()

"""What is loaded and what is running, on every page, with a stop button at hand; and the news when a run has ended."""

import streamlit as st

from pages.ui import messages, nav, state
from pages.ui.watch import STATES
from yoto_core.errors import YotoError
from yoto_core.store.folders import run_folder
from yoto_core.store.history import Row, history_row, shared
from yoto_core.store.status import Status, read_status
from yoto_core.work import jobs, queue
from yoto_core.work.queue import Job

EVERY = 2.0  # seconds between two looks at runs that work
SHOWN = 4  # runs at once; the Runs page has them all
TITLE = "YOTO – gene panels"


def show() -> None:
    """The sidebar below the menu."""
    with st.sidebar, messages.errors_shown(stop=False):
        data = state.dataset_name()
        if data:
            st.caption("Data")
            st.text(data)
        folder = state.run_folder()
        status = read_status(folder) if folder is not None else None
        if status is not None:
            st.caption("Run")
            st.text(STATES[status.state][0])
        _title(folder.name if folder else "", status)
        queue.tend()
        _announce()
        if _mine():
            st.fragment(_running, run_every=EVERY)()


def _title(run_id: str, status: Status | None) -> None:
    """The name of the tab says whether the open run still works, and when it has ended."""
    if status is not None and status.live:
        st.set_page_config(page_title=f"… {TITLE}")
    elif status is not None and run_id in state.watched():
        st.set_page_config(page_title=f"{STATES[status.state][0]} – {TITLE}")


def _mine() -> list[Job]:
    """Runs that wait or work: all of this machine, or on a shared server those of this tab and the open one."""
    found, opened = queue.live_jobs(), state.run_folder()
    return [job for job in found if not shared() or job.owner == state.owner() or job.folder == opened]


def _running() -> None:
    """Every run that waits or works, looked at again every two seconds."""
    found = sorted(_mine(), key=lambda job: (job.status.state != "running", job.status.submitted or 0.0))
    seen = state.watched()
    seen |= {job.folder.name for job in found}
    st.caption("At work")
    for job in found[:SHOWN]:
        with messages.errors_shown(stop=False):
            _job(history_row(job.folder))
    if len(found) > SHOWN:
        st.caption(f"and {len(found) - SHOWN:,} more")
    if _just_ended():
        st.rerun()


def _job(row: Row) -> None:
    status = row.status
    folder = run_folder(row.run_id)
    place = queue.position(folder) if status.waiting else None
    share = status.done / status.total if status.total else 0.0
    said = f"Waiting, number {place} in the queue" if place else status.message
    st.progress(min(share, 1.0), text=messages.plain(f"{row.name}: {said}"))
    with st.container(horizontal=True):
        if st.button("Show", key=f"show_{row.run_id}", icon=":material/visibility:"):
            state.open_run(row.run_id)
            nav.go("Train")
        if st.button("Stop", key=f"stop_{row.run_id}", icon=":material/stop_circle:"):
            jobs.stop(folder)
            st.toast("Stopping …")


def _just_ended() -> list[str]:
    live = {job.folder.name for job in queue.live_jobs()}
    return [run_id for run_id in state.watched() if run_id not in live and run_id not in state.announced()]


def _announce() -> None:
    """Say once that a run has ended which this tab has seen at work."""
    for run_id in _just_ended():
        state.announced().add(run_id)
        try:
            row = history_row(run_folder(run_id))
        except YotoError:  # deleted meanwhile
            continue
        st.toast(messages.plain(f"{row.name}: {STATES[row.status.state][0]}"), duration="long")

"""What is loaded and what is running, on every page, with a stop button at hand; and the news when a run has ended."""

from collections.abc import Callable
from pathlib import Path

import streamlit as st

from pages.ui import messages, nav, state
from pages.ui.watch import STATES
from yoto_core.errors import YotoError
from yoto_core.store.folders import run_folder
from yoto_core.store.history import history_row, shared
from yoto_core.store.status import read_status
from yoto_core.work import jobs, queue
from yoto_core.work.queue import Job
from yoto_core.work.sweep import standing, stop_sweep

EVERY = 2.0  # seconds between two looks at runs that work
SHOWN = 4  # runs and comparisons at once; the Runs page has them all
TITLE = "YOTO – gene panels"


def show() -> None:
    """The sidebar below the menu."""
    with st.sidebar, messages.errors_shown(stop=False):
        if data := state.dataset_name():
            st.caption("Data")
            st.text(data)
        queue.tend()
        _announce()
        if folder := state.run_folder():
            _opened(folder)
        if _mine():
            st.fragment(_at_work, run_every=EVERY)()
        _remember_browser()


def _opened(folder: Path) -> None:
    """The open run; the name of the tab says whether it still works, and when it has ended."""
    status = read_status(folder)
    word = STATES[status.state][0]
    st.caption("Run" if status.live else f"Run · {word.lower()}")
    st.text(history_row(folder).name)
    if status.live:
        st.set_page_config(page_title=f"… {TITLE}")
    elif folder.name in state.announced():
        st.set_page_config(page_title=f"{word} – {TITLE}")


def _mine() -> list[Job]:
    """Runs that wait or work: all of this machine, or on a shared server those of this browser and the open one."""
    found, opened = queue.live_jobs(), state.run_folder()
    return [job for job in found if not shared() or job.owner == state.owner() or job.folder == opened]


def _at_work() -> None:
    """Every run that waits or works, looked at again every two seconds; the runs of a comparison are one job."""
    queue.tend()
    found = sorted(_mine(), key=lambda job: (job.status.state != "running", job.status.submitted or 0.0))
    begun = state.watch({job.folder.name: job.status.state for job in found})
    once = {job.sweep or job.folder.name: job for job in reversed(found)}
    shown = sorted(once.values(), key=found.index)
    st.caption("At work")
    for job in shown[:SHOWN]:
        with messages.errors_shown(stop=False):
            (_sweep if job.sweep else _run)(job)
    if len(shown) > SHOWN:
        st.caption(f"and {len(shown) - SHOWN:,} more")
    if begun or state.just_ended():
        st.rerun()


def _run(job: Job) -> None:
    place = queue.position(job.folder) if job.status.waiting else None
    said = f"waiting, number {place} in the queue" if place else job.status.message
    run_id = job.folder.name

    def open_it() -> None:
        state.open_run(run_id)
        nav.go("Train")

    _job(run_id, f"{history_row(job.folder).name}: {said}", job.status.share, open_it, lambda: jobs.stop(job.folder))


def _sweep(job: Job) -> None:
    now = standing(job.sweep)
    said = f"Comparison: {now.ended:,} of {now.total:,} runs have ended"
    _job(job.sweep, said, now.done, lambda: nav.go("Runs", sweep=job.sweep), lambda: stop_sweep(job.sweep))


def _job(key: str, said: str, share: float, open_it: Callable[[], None], stop_it: Callable[[], None]) -> None:
    st.progress(share, text=messages.plain(said))
    with st.container(horizontal=True):
        if st.button("Show", key=f"show_{key}", icon=":material/visibility:", type="tertiary"):
            open_it()
        if st.button("Stop", key=f"stop_{key}", icon=":material/stop_circle:", type="tertiary"):
            stop_it()
            st.toast("Stopping …")


def _announce() -> None:
    """Say once that a run has ended which this tab has seen at work."""
    for run_id in state.just_ended():
        state.announce(run_id)
        try:
            row = history_row(run_folder(run_id))
        except YotoError:  # deleted meanwhile
            continue
        st.toast(messages.plain(f"{row.name}: {STATES[row.status.state][0]}"), duration="long")


def _remember_browser() -> None:
    """Leave a cookie that tells this browser from others, so that a refreshed tab still knows its runs."""
    if state.dataset_key() and not state.is_known():  # before there are data, there is nothing to own
        cookie = f"{state.COOKIE}={state.owner()}; path=/; max-age=31536000; samesite=strict"
        st.html(f"<script>document.cookie = '{cookie}'</script>", unsafe_allow_javascript=True)

"""What is loaded and what is running, on every page, with a stop button at hand; and the news when a run has ended."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from pages.ui import messages, nav, state
from pages.ui.watch import STATES
from yoto_core.errors import YotoError
from yoto_core.limits import shared
from yoto_core.store.folders import run_folder
from yoto_core.store.history import history_row
from yoto_core.store.status import read_status
from yoto_core.work import jobs, queue
from yoto_core.work.queue import Job
from yoto_core.work.sweep import may_change_sweep, standing, stop_sweep

EVERY = 4.0  # seconds between two looks at runs that work
SHOWN = 4  # runs and comparisons at once; the Runs page has them all
TITLE = "YOTO"


@dataclass(frozen=True)
class Work:
    """A run or a comparison that waits or works, in words."""

    key: str  # the id of the run or of the sweep
    is_sweep: bool
    owner: str
    states: Mapping[str, str]  # of its runs by their ids
    said: str
    share: float  # how much of it is over, 0 to 1


def show(heading: str) -> None:
    """The sidebar below the menu; the name of the tab is that of the page, and says how the open run stands."""
    st.set_page_config(page_title=f"{heading} – {TITLE}")
    with st.sidebar, messages.errors_shown(stop=False):
        if data := state.dataset_name():
            st.caption("Data")
            st.text(data)
        _all_work.clear()
        _announce()
        if folder := state.run_folder():
            _opened(folder, heading)
        if _mine():
            st.fragment(_at_work, run_every=EVERY)([True])
        _remember_browser()


# Looked at once for all who watch: the time is the worker's. Every page begins with a look of its own.
@st.cache_resource(ttl=EVERY / 2, show_spinner=False)
def _all_work() -> tuple[Work, ...]:
    queue.tend(within=0.0)
    found = sorted(queue.live_jobs(), key=lambda job: (job.status.state != "running", job.status.submitted or 0.0))
    together: dict[str, list[Job]] = {}
    for job in found:
        together.setdefault(job.sweep or job.folder.name, []).append(job)
    return tuple(_work(key, jobs_now) for key, jobs_now in together.items())


def _work(key: str, jobs_now: list[Job]) -> Work:
    first = jobs_now[0]
    if first.sweep:
        now = standing(first.sweep)
        said, share = f"Comparison: {now.ended:,} of {now.total:,} runs have ended", now.done
    else:
        place = queue.position(first.folder)
        doing = f"waiting, number {place} in the queue" if place else first.status.message
        said, share = f"{history_row(first.folder).name}: {doing}", first.status.share
    states = {job.folder.name: job.status.state for job in jobs_now}
    return Work(key, bool(first.sweep), first.owner, states, said, share)


def _opened(folder: Path, heading: str) -> None:
    """The open run; the name of the tab says whether it still works, and when it has ended."""
    status = read_status(folder)
    word = STATES[status.state][0]
    st.caption("Run" if status.live else f"Run · {word.lower()}")
    st.text(history_row(folder).name)
    if status.live:
        st.set_page_config(page_title=f"… {heading} – {TITLE}")
    elif folder.name in state.announced():
        st.set_page_config(page_title=f"{word} – {heading} – {TITLE}")


def _mine() -> list[Work]:
    """All work of this machine, or on a shared server that of this browser and the open run."""
    opened = state.run_folder()
    return [
        work
        for work in _all_work()
        if not shared() or work.owner == state.owner() or (opened is not None and opened.name in work.states)
    ]


def _at_work(with_page: list[bool]) -> None:
    """Every run that waits or works, looked at again every few seconds; the runs of a comparison are one job.

    `with_page` holds something the first time, when the page below is drawn in the same go: it sees what is new by itself, and
    beginning again would lose the click that it was asked for by.
    """
    found = _mine()
    begun = state.watch({run_id: now for work in found for run_id, now in work.states.items()})
    st.caption("At work")
    for work in found[:SHOWN]:
        with messages.errors_shown(stop=False):
            _show_work(work)
    if len(found) > SHOWN:
        st.caption(f"and {len(found) - SHOWN:,} more")
    if not with_page and (begun or _just_ended()):
        st.rerun()
    with_page.clear()


def _show_work(work: Work) -> None:
    st.progress(work.share, text=messages.plain(work.said))
    with st.container(horizontal=True):
        if st.button("Show", key=f"show_{work.key}", icon=":material/visibility:", type="tertiary"):
            if work.is_sweep:
                nav.go("Runs", sweep=work.key)
            state.open_run(work.key)
            nav.go("Train")
        may_stop = (
            may_change_sweep(work.key, state.owner()) if work.is_sweep else state.may_change(run_folder(work.key))
        )
        if may_stop and st.button("Stop", key=f"stop_{work.key}", icon=":material/stop_circle:", type="tertiary"):
            if work.is_sweep:
                stop_sweep(work.key, owner=state.owner())
            else:
                jobs.stop(run_folder(work.key), owner=state.owner())
            st.toast("Stopping …")


def _just_ended() -> list[str]:
    return state.watched_but_not({run_id for work in _all_work() for run_id in work.states})


def _announce() -> None:
    """Say once that runs have ended which this tab has seen at work: each by its name, or how many."""
    said = []
    for run_id in _just_ended():
        state.announce(run_id)
        with contextlib.suppress(YotoError):  # deleted meanwhile
            row = history_row(run_folder(run_id))
            said.append(f"{row.name}: {STATES[row.status.state][0]}")
    for text in said if len(said) <= SHOWN else [f"{len(said):,} runs have ended"]:
        st.toast(messages.plain(text), duration="long")


def _remember_browser() -> None:
    """Leave a cookie that tells this browser from others, so that a refreshed tab still knows its runs."""
    if state.dataset_key() and not state.is_known():  # before there are data, there is nothing to own
        cookie = f"{state.COOKIE}={state.owner()}; path=/; max-age=31536000; samesite=strict"
        secure = "(location.protocol === 'https:' ? '; secure' : '')"
        st.html(f"<script>document.cookie = '{cookie}' + {secure}</script>", unsafe_allow_javascript=True)

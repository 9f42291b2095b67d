"""A run while it works: where it stands, how long it still takes, and its curves."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from pages.ui import messages, state
from yoto_core.files import open_ordinary, reading
from yoto_core.plots.style import Theme
from yoto_core.plots.training import training_figure
from yoto_core.store.history import history_row
from yoto_core.store.runs import read_history
from yoto_core.store.status import Status, read_status, stop_asked
from yoto_core.words import printable
from yoto_core.work import jobs, queue

PHASES = {
    "reading": "Read the data",
    "preparing": "Split the cells",
    "training": "Choose the genes",
    "scoring": "Score panel and baselines",
    "saving": "Save",
    "mapping": "Draw the maps",
    "stability": "Measure stability",
}
EVERY = 2.0  # seconds between two looks at a run that works
CURVES_EVERY = 4.0  # seconds between two drawings of its curves
LOG_SHOWN = 20_000  # bytes at the end of the log
SILENT = 20.0  # seconds without a sign of life after which it is said
STATES = {
    "queued": ("Waiting to start", "blue"),
    "running": ("Running", "blue"),
    "done": ("Done", "green"),
    "stopped": ("Stopped", "orange"),
    "failed": ("Failed", "red"),
    "interrupted": ("Interrupted", "red"),
}


@dataclass(frozen=True)
class Look:
    """A run at one moment."""

    name: str
    status: Status
    place: int | None  # in the queue
    stopping: bool


# Looked at once for all who watch: the time is the worker's. Every page begins with a look of its own.
@st.cache_resource(ttl=EVERY / 2, max_entries=64, show_spinner=False)
def look(folder: Path) -> Look:
    """Where a run stands now (RunError where it cannot be read)."""
    status = read_status(folder)
    place = queue.position(folder) if status.waiting else None
    return Look(history_row(folder).name, status, place, status.state == "running" and stop_asked(folder))


def show(folder: Path, now: Look) -> None:
    """Which run it is, how far it is, and how it ended."""
    head, button = st.columns([5, 1], vertical_alignment="center")
    with head.container(horizontal=True, vertical_alignment="center"):
        st.text(now.name, width="content")
        label, color = STATES[now.status.state]
        st.badge(label, color=color)
    if not now.status.live:
        _ending(now.status)
        return
    _progress(now)
    if state.may_change(folder) and button.button(
        "Stopping …" if now.stopping else "Stop",
        icon=":material/stop_circle:",
        width="stretch",
        key="stop",
        disabled=now.stopping,
    ):
        jobs.stop(folder, owner=state.owner())
        st.toast("Stopping …")


def _progress(now: Look) -> None:
    status = now.status
    if now.place is not None:
        room = queue.max_runs()
        st.info(
            f"Number {now.place:,} in the queue: {f'{room:,} runs work' if room > 1 else 'one run works'} at a time here."
            " It starts by itself; you may close this page meanwhile.",
            icon=":material/hourglass_empty:",
        )
        return
    done = list(PHASES).index(status.phase) if status.phase in PHASES else 0
    steps = " → ".join(f"**{name}**" if i == done else f":gray[{name}]" for i, name in enumerate(PHASES.values()))
    st.markdown(steps)
    text = messages.plain(status.message)
    if status.eta is not None and status.eta >= 1:
        text += f" · about {messages.duration(status.eta)} left in this step"
    silent = time.time() - status.heartbeat
    if silent > SILENT:
        text += f" · no word for {messages.duration(silent)}: the machine is busy or asleep"
    st.progress(min(1.0, status.done / status.total) if status.total else 0.0, text=text)


def _ending(status: Status) -> None:
    text = messages.plain(status.message)
    took = status.finished - status.started if status.finished and status.started else 0.0
    if took >= 1:  # it may be negative where the clock was set back
        text += f" It took {messages.duration(took)}."
    if status.hint:
        text += f"\n\n**Next:** {messages.plain(status.hint)}"
    show = {"done": st.success, "stopped": st.warning}.get(status.state, st.error)
    show(text)


def show_curves(folder: Path) -> None:
    """How the training goes, and the log folded away."""
    found = _drawn(folder, state.theme())
    if found is not None:
        last, figure = found
        cards = st.columns(4)
        cards[0].metric("Genes in the running", f"{last['active_genes']:,.0f}", border=True)
        cards[1].metric("Training cells", f"{last['cells']:,.0f}", border=True)
        cards[2].metric("Step", f"{last['step']:,.0f}", border=True)
        cards[3].metric("Loss", f"{last['loss']:.3f}", border=True)
        st.plotly_chart(
            figure, key="training", config={"displayModeBar": False},
            alt="Active genes and validation scores over training steps",
        )  # fmt: skip
    if state.may_change(folder):  # it may name folders of the server
        _log(folder / "log.txt")


@st.cache_resource(ttl=EVERY / 2, max_entries=64, show_spinner=False)
def _drawn(folder: Path, theme: Theme) -> tuple[pd.Series, go.Figure] | None:
    history = read_history(folder)
    return (history.iloc[-1], training_figure(history, theme)) if len(history) else None


def begin() -> None:
    """Forget what others have seen: the page that is opened now shows the run as it is now."""
    look.clear()
    _drawn.clear()


def _log(path: Path) -> None:
    if not path.exists():
        return
    unfolded = st.expander("Log", icon=":material/terminal:", key="log", on_change="rerun")
    if unfolded.open:
        with reading(path.name), open_ordinary(path) as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - LOG_SHOWN))
            unfolded.code(printable(log.read().decode("utf-8", "replace")), language=None)

"""A run while it works: where it stands, how long it still takes, and its curves."""

import time
from datetime import timedelta
from pathlib import Path

import streamlit as st

from pages.ui import state
from pages.ui.messages import plain
from yoto_core.plots.training import training_figure
from yoto_core.store.runs import read_history
from yoto_core.store.status import Status
from yoto_core.work import jobs, queue

PHASES = {
    "reading": "Read the data",
    "preparing": "Split the cells",
    "training": "Choose the genes",
    "scoring": "Score panel and rivals",
    "saving": "Save",
    "mapping": "Draw the maps",
}
SILENT = 20.0  # seconds without a sign of life after which it is said
STATES = {
    "queued": ("Waiting to start", "blue"),
    "running": ("Running", "blue"),
    "done": ("Done", "green"),
    "stopped": ("Stopped", "orange"),
    "failed": ("Failed", "red"),
    "interrupted": ("Interrupted", "red"),
}


def show(folder: Path, status: Status) -> None:
    """Everything the Train page shows of a run at this moment."""
    label, color = STATES[status.state]
    head, button = st.columns([5, 1], vertical_alignment="center")
    head.badge(label, color=color)
    if status.live:
        _progress(folder, status)
        if button.button("Stop", icon=":material/stop_circle:", width="stretch", key="stop"):
            jobs.stop(folder)
            st.toast("Stopping after this step …")
    else:
        _ending(status)
    history = read_history(folder)
    if len(history):
        last = history.iloc[-1]
        cards = st.columns(4)
        cards[0].metric("Genes in the running", f"{last['active_genes']:,.0f}", border=True)
        cards[1].metric("Training cells", f"{last['cells']:,.0f}", border=True)
        cards[2].metric("Step", f"{last['step']:,.0f}", border=True)
        cards[3].metric("Loss", f"{last['loss']:.3f}", border=True)
        figure = training_figure(history, state.theme())
        st.plotly_chart(
            figure,
            key="training",
            config={"displayModeBar": False},
            alt="Active genes and validation scores over training steps",
        )
    with st.expander("Log", icon=":material/terminal:"):
        log = folder / "log.txt"
        st.code(log.read_text(encoding="utf-8", errors="replace")[-20_000:] if log.exists() else "", language=None)


def _progress(folder: Path, status: Status) -> None:
    place = queue.position(folder) if status.waiting else None
    if place is not None:
        room = queue.max_runs()
        st.info(
            f"Number {place} in the queue. {room} run{'s' if room > 1 else ''} at once; this page may be closed meanwhile.",
            icon=":material/hourglass_empty:",
        )
        return
    done = list(PHASES).index(status.phase) if status.phase in PHASES else 0
    steps = " → ".join(f"**{name}**" if i == done else f":gray[{name}]" for i, name in enumerate(PHASES.values()))
    st.markdown(steps)
    text = plain(status.message)
    if status.eta is not None and status.eta >= 1:
        text += f" · about {timedelta(seconds=round(status.eta))} left in this step"
    silent = time.time() - status.heartbeat
    if silent > SILENT:
        text += f" · no word for {silent:.0f} seconds: the machine is busy or asleep"
    st.progress(status.done / status.total if status.total else 0.0, text=text)


def _ending(status: Status) -> None:
    took = (
        f" It took {timedelta(seconds=round(status.finished - status.started))}."
        if status.finished and status.started
        else ""
    )
    text = plain(f"{status.message} {status.hint}".strip() + took)
    show = {"done": st.success, "stopped": st.warning}.get(status.state, st.error)
    show(text)

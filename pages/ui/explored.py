"""What the Explore pages share: a run's profiles and maps, cached by their files, and one colour per class."""

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from pages.ui import state
from yoto_core.data.stored import stored_colors
from yoto_core.errors import YotoError
from yoto_core.explore.embedding import Maps
from yoto_core.explore.profiles import Profiles
from yoto_core.pipeline import Run
from yoto_core.plots.palettes import Look, class_colors
from yoto_core.store import exploration

LOOKS: tuple[Look, ...] = ("standard", "colour-blind safe", "greyscale")


def profiles() -> Profiles:
    """What is known of the genes of the open run (RunError where it was not written down)."""
    folder = state.run_folder()
    return _profiles(str(folder), _changed(folder / "genes.csv"))


def maps() -> Maps | None:
    """The maps of the open run, or None where they are not drawn (RunError where they are damaged)."""
    folder = state.run_folder()
    if not exploration.has_maps(folder):
        return None
    return _maps(str(folder), _changed(folder / exploration.MAPS_FILE))


def maps_or_none() -> Maps | None:
    """The same for pages to which maps are only an extra."""
    try:
        return maps()
    except YotoError:
        return None


def classes_of(run: Run, task: str) -> tuple[str, ...]:
    """The classes of a task of the run; none for a number."""
    return next((tuple(t["classes"]) for t in run.summary["tasks"] if t["task"] == task), ())


def colors(run: Run, column: str, classes: Sequence[str]) -> dict[str, str]:
    """Class -> colour: the same on every page; the file's own where it has some."""
    data = state.run_data(run)
    own = _own_colors(run.summary["digest"], column, _data=data) if data is not None else {}
    return class_colors(classes, own, look())


def look() -> Look:
    """The palette that the user chose."""
    return state.widget("look", LOOKS[0])


def look_input() -> None:
    """Which palette all figures use."""
    st.selectbox("Colours", LOOKS, key="look", persist_state="session", help="For classes, on every page.")


def _changed(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@st.cache_resource(max_entries=8, show_spinner=False)
def _profiles(folder: str, changed: int) -> Profiles:
    return exploration.load_profiles(Path(folder))


@st.cache_resource(max_entries=4, show_spinner="Reading the maps …")
def _maps(folder: str, changed: int) -> Maps:
    return exploration.load_maps(Path(folder))


@st.cache_data(max_entries=64, show_spinner=False)
def _own_colors(digest: str, column: str, *, _data: object) -> dict[str, str]:
    return stored_colors(state.dataset_path(), column, _data.obs)

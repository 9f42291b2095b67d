"""The one door to session state: which data, which design and which run this tab is looking at.

The session holds ids and the design; what they stand for is read in `once`, for all tabs together. `?data=`,
`?run=`, `?model=` and `?cells=` in the address bring a refreshed tab, or a colleague's, back to the same place.
"""

import secrets
from collections.abc import Callable, Mapping, Set
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from pages.ui import once, uploads
from yoto_core.config import RunConfig
from yoto_core.data.checks import Finding, check_data
from yoto_core.data.reading import Dataset
from yoto_core.errors import MachineError, RunError, YotoError, memory_named
from yoto_core.explore.selection import Outline
from yoto_core.files import read_json, reading
from yoto_core.pipeline import Design, Run
from yoto_core.prediction.cells import open_cells
from yoto_core.store import labels, library
from yoto_core.store.folders import RUN_ID, runs_folder
from yoto_core.store.folders import run_folder as folder_of
from yoto_core.store.saved import SavedModel
from yoto_core.store.status import read_status

COOKIE = "yoto_owner"

_DATA, _MATRIX, _CONFIG, _RUN, _NOTICE = "data_key", "matrix", "config", "run_id", "notice"
_DRAFT, _ROUND, _OWNER = "draft", "design_round", "owner"
_WATCHED, _ANNOUNCED = "watched", "announced"
_OUTLINE = "outline"  # (run id, Outline)
_NEW_CELLS = "new_cells"
_MODEL, _UPLOADED_MODELS = "model_key", "uploaded_models"
LINKED = ("data", "run", "model", "cells")  # what the address may name


def follow_link() -> None:
    """Take over what the address names, once per value, then keep the address up to date."""
    data, run, model, cells = (st.query_params.get(name) for name in LINKED)
    _drop_what_is_gone()
    try:
        if data and data != dataset_key():
            library.find(data)
            _choose_data(data)
        if run and run != st.session_state.get(_RUN):
            open_run(run)
        if model and model != st.session_state.get(_MODEL):
            choose_model(model)
        if cells and cells != new_cells():
            choose_new_cells(cells)
    except YotoError as error:
        st.session_state[_NOTICE] = error
    _write_link()


def link() -> dict[str, str]:
    """The address of this place: query parameters."""
    found = (dataset_key(), *(st.session_state.get(name) for name in (_RUN, _MODEL, _NEW_CELLS)))
    return {name: value for name, value in zip(LINKED, found, strict=True) if value}


def take_notice() -> YotoError | None:
    """An error that a link caused, once."""
    return st.session_state.pop(_NOTICE, None)


def dataset_key() -> str | None:
    """The key of the loaded data, or None."""
    return st.session_state.get(_DATA)


def dataset_name() -> str | None:
    """What the loaded data are called, or None."""
    key = dataset_key()
    return name_of(key) if key else None


def name_of(key: str) -> str:
    """What this browser calls kept data (DataError where they are gone)."""
    return library.find(key, owner())[1]


def dataset_path() -> Path:
    """Where the loaded data lie."""
    return library.find(dataset_key())[0]


def dataset() -> Dataset:
    """The loaded data (DataError where the chosen matrix cannot be used)."""
    return once.data(dataset_key(), matrix=matrix(), owner=owner())


def facts() -> dict[str, Any]:
    """What `report.describe_data` says of the loaded data."""
    return once.facts(dataset())


def data_findings() -> tuple[Finding, ...]:
    """What is worth knowing about the loaded data."""
    return check_data(dataset())


def matrix() -> str:
    """The matrix that the user chose, or "auto"."""
    return st.session_state.get(_MATRIX, "auto")


def choose_matrix(name: str) -> None:
    """Read another matrix of the same file."""
    st.session_state[_MATRIX] = name
    for design in (_CONFIG, _DRAFT):
        st.session_state.pop(design, None)


def take_upload(file: UploadedFile | None) -> bool:
    """Keep a newly uploaded file and make it the loaded data; True where there was a new one.

    Raises:
        DataError: The file cannot be read; what was loaded before stays loaded.
    """
    return _take(file, "upload", lambda key: once.data(key, matrix="auto", owner=owner()), _choose_data)


def open_demo() -> None:
    """Make the shipped data the loaded data."""
    _choose_data(library.DEMO_KEY)


def in_use() -> set[str]:
    """The keys of kept files that this tab looks at."""
    return {key for name in (_DATA, _NEW_CELLS, _MODEL) if (key := st.session_state.get(name))}


def is_demo() -> bool:
    """Whether the loaded data are the shipped ones."""
    return dataset_key() == library.DEMO_KEY


def config() -> RunConfig | None:
    """The design as last accepted, or None."""
    return st.session_state.get(_CONFIG)


def set_config(value: RunConfig) -> None:
    """Accept a design."""
    st.session_state[_CONFIG] = value


def draft() -> RunConfig | None:
    """What the design form said last in this tab, or None."""
    return st.session_state.get(_DRAFT)


def set_draft(value: RunConfig) -> None:
    """Note what the design form says."""
    st.session_state[_DRAFT] = value


def design_key(digest: str) -> str:
    """What the keys of the form's inputs begin with: another one for other data, and for a design taken from a run."""
    return f"design_{digest[:12]}_{st.session_state.get(_ROUND, 0)}"


def reuse_design(value: RunConfig) -> None:
    """Begin a new design from that of a run."""
    st.session_state[_MATRIX] = value.genes.matrix
    st.session_state[_CONFIG] = st.session_state[_DRAFT] = value
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1


def owner() -> str:
    """What tells the runs of this browser from those of others: a random cookie, which is in no link."""
    if _OWNER not in st.session_state:
        st.session_state[_OWNER] = _cookie() or secrets.token_hex(16)
    return st.session_state[_OWNER]


def may_change(folder: Path) -> bool:
    """Whether this browser may stop, resume, rename or delete a run (`labels.may_change`)."""
    return labels.may_change(folder, owner())


def is_known() -> bool:
    """Whether the browser has sent the cookie that says whose runs are whose."""
    return _cookie() == owner()


def watch(states: Mapping[str, str]) -> bool:
    """Note the runs that this tab sees at work; True where one of them has begun since it last looked."""
    watched = st.session_state.setdefault(_WATCHED, {})
    begun = any(watched.get(run_id, now) != now for run_id, now in states.items())
    watched.update(states)
    announced().difference_update(states)  # these were resumed
    return begun


def watched_but_not(live: Set[str]) -> list[str]:
    """Runs that this tab has seen at work and that are not among these."""
    return sorted(st.session_state.get(_WATCHED, {}).keys() - live)


def announce(run_id: str) -> None:
    """Note that this tab has told the end of a run."""
    del st.session_state[_WATCHED][run_id]
    announced().add(run_id)


def announced() -> set[str]:
    """Runs whose end this tab has told."""
    return st.session_state.setdefault(_ANNOUNCED, set())


def design(value: RunConfig) -> Design:
    """A design on the loaded data (ConfigError where it does not fit)."""
    return once.design(dataset(), value)


def run_folder() -> Path | None:
    """The folder of the open run, or None."""
    run_id = st.session_state.get(_RUN)
    try:
        return folder_of(run_id) if run_id else None
    except RunError as error:
        st.session_state.pop(_RUN)
        st.session_state[_NOTICE] = error
        _write_link()
        return None


def run_is_live() -> bool:
    """Whether the open run waits or works."""
    folder = run_folder()
    try:
        return folder is not None and read_status(folder).live
    except RunError:  # the pages say so
        return False


def run() -> Run:
    """The open run, read back from its folder (RunError where that is not possible)."""
    return once.run(run_folder())


def open_run(run_id: str) -> None:
    """Look at another run, and at its data where they are still here (RunError where there is no such run)."""
    about = read_json(folder_of(run_id) / "data.json")
    with reading("data.json"):
        data = library.key_of(about["path"])
    if data:
        _choose_data(data)
    if run_id != st.session_state.get(_RUN):
        st.session_state.pop(_MODEL, None)  # who opens a run means its model
    st.session_state[_RUN] = run_id
    _write_link()


def run_data(found: Run) -> Dataset | None:
    """The data of a run as it read them, or None where they are no longer here or have changed."""
    try:
        data = once.data(dataset_key() or "", matrix=found.config.genes.matrix, owner=owner())
    except YotoError:
        return None
    return data if data.digest == found.summary["digest"] else None


def outline() -> Outline | None:
    """The line drawn around cells on the maps of the open run, or None."""
    run_id, found = st.session_state.get(_OUTLINE, (None, None))
    return found if run_id == st.session_state.get(_RUN) else None


def take_outline(chart: str, left: str, right: str) -> None:
    """Callback of a chart with two named maps: keep the line itself, as the points are forgotten with the next colour."""
    selection = st.session_state[chart]["selection"]
    drawn = [*selection.get("lasso", ()), *selection.get("box", ())]
    if not drawn:
        return
    x, y, name = drawn[-1]["x"], drawn[-1]["y"], left if drawn[-1].get("xref", "x") == "x" else right
    if len(x) == 2:  # a box is given by two corners
        x, y = (x[0], x[1], x[1], x[0]), (y[0], y[0], y[1], y[1])
    corners = tuple((float(a), float(b)) for a, b in zip(x, y, strict=True))
    st.session_state[_OUTLINE] = (st.session_state.get(_RUN), Outline(name, corners))


def forget_outline() -> None:
    """Select nothing."""
    st.session_state.pop(_OUTLINE, None)


def widget(key: str, default: Any) -> Any:
    """What an input elsewhere says, or what it would say at first."""
    return st.session_state.get(key, default)


def set_widget(key: str, value: Any) -> None:
    """Callback of a button that fills in an input elsewhere on its page."""
    st.session_state[key] = value


def close_run() -> None:
    """Look at no run."""
    st.session_state.pop(_RUN, None)
    _write_link()


def model_key() -> str | None:
    """What names the model that labels new cells: the one chosen, else the open run where it has a panel, or None."""
    chosen, opened = st.session_state.get(_MODEL), run_folder()
    if chosen and RUN_ID.fullmatch(chosen) and not (runs_folder() / chosen).is_dir():  # deleted since
        chosen = None
    has_panel = opened is not None and (opened / "panel.csv").exists()
    return chosen or (opened.name if has_panel else None)


def choose_model(key: str) -> None:
    """Label new cells with the model of a run or of an uploaded file (RunError where there is none)."""
    if RUN_ID.fullmatch(key):
        folder_of(key)
    else:
        st.session_state[_UPLOADED_MODELS] = {**uploaded_models(), key: library.find_model(key, owner())[1]}
    st.session_state[_MODEL] = key
    _write_link()


def uploaded_models() -> dict[str, str]:
    """Key -> file name of the exported models that this tab has loaded."""
    return st.session_state.get(_UPLOADED_MODELS, {})


def uploaded_model(key: str) -> SavedModel:
    """An exported model by its key (RunError where there is none, or it cannot be used)."""
    return once.uploaded_model(key, owner=owner())


def take_model(file: UploadedFile | None) -> bool:
    """Keep a newly uploaded .yoto file and choose it; True where there was a new one.

    Raises:
        RunError: It holds no model that can be used; what was chosen before stays chosen.
    """
    return _take(file, "model_upload", uploaded_model, choose_model, "models")


def new_cells() -> str | None:
    """The key of the new cells to be labelled, or None."""
    return st.session_state.get(_NEW_CELLS)


def choose_new_cells(key: str) -> None:
    """Label these data (DataError where there are none)."""
    library.find(key)
    st.session_state[_NEW_CELLS] = key
    _write_link()


def take_new_cells(file: UploadedFile | None) -> bool:
    """Keep a newly uploaded file as the new cells; True where there was one.

    Raises:
        DataError: The file cannot be read; what was chosen before stays chosen.
    """
    return _take(file, "new_cells_upload", _look_at_cells, choose_new_cells)


def theme() -> str:
    """How the browser shows the app: light or dark."""
    return st.context.theme.type or "light"


def _take(
    file: UploadedFile | None,
    box: str,
    try_out: Callable[[str], object],
    choose: Callable[[str], None],
    shelf: library.Shelf = "data",
) -> bool:
    """Keep a newly uploaded file, see that it can be used, and choose it; one of no use is forgotten again.

    Where the machine was the reason, the file stays: it may be of use with more memory, and to others. Either way its bytes
    are let go from memory, and what was wrong with it is said for as long as its name stands in the upload box (the key of
    which is `box`).
    """
    seen = f"{box}_seen"
    taken, refused = st.session_state.get(seen, (None, None))
    if file is None or file.file_id == taken:
        if file is not None and refused is not None:
            raise refused
        return False
    refused = None
    try:  # a rerun may break in on this: then the next one begins anew, and the bytes must still be there
        _keep_and_try(file, try_out, choose, shelf)
    except YotoError as error:
        refused = type(error)(error.args[0], hint=error.hint)  # the error itself holds on to what was being read
    uploads.let_go(file, st.session_state.get(box))  # a page is given a copy of what the box holds
    st.session_state[seen] = (file.file_id, refused)
    if refused is not None:
        raise refused
    return True


def _keep_and_try(
    file: UploadedFile, try_out: Callable[[str], object], choose: Callable[[str], None], shelf: library.Shelf
) -> None:
    kept = library.take_in(file, file.name, shelf=shelf, owner=owner())
    try:
        with memory_named(file.name):
            try_out(kept.key)
    except MachineError:
        raise
    except YotoError:
        library.forget(kept)
        raise
    choose(kept.key)


def _look_at_cells(key: str) -> None:
    path, name = library.find(key, owner())
    with open_cells(path, name=name):
        pass


def _drop_what_is_gone() -> None:
    """Look no longer at files that were removed, here or in another tab, or that nobody used for too long."""
    finders = {_DATA: library.find, _NEW_CELLS: library.find, _MODEL: _find_model}
    for name, find in finders.items():
        try:
            if key := st.session_state.get(name):
                find(key)
        except YotoError as error:
            st.session_state[_NOTICE] = error
            st.session_state.pop(name)


def _find_model(key: str) -> None:
    if not RUN_ID.fullmatch(key):
        library.find_model(key)


def _cookie() -> str:
    """Whose this browser says it is; anything but what was once given to it counts as nothing."""
    held = str(st.context.cookies.get(COOKIE, ""))
    return held if RUN_ID.fullmatch(held) else ""


def _choose_data(key: str) -> None:
    if key != dataset_key():
        for name in (_MATRIX, _CONFIG, _DRAFT, _RUN):
            st.session_state.pop(name, None)
    st.session_state[_DATA] = key
    _write_link()


def _write_link() -> None:
    """Keep the address up to date at once: the next rerun reads it again."""
    others = {name: value for name, value in st.query_params.to_dict().items() if name not in LINKED}
    st.query_params.from_dict({**others, **link()})

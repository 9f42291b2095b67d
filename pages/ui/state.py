"""The one door to session state: which data, which design and which run this tab is looking at.

The session holds ids and the design; the data lie in a cache keyed by their content, runs in their folders. `?data=` and
`?run=` in the address bring a refreshed tab, or a colleague's, back to the same place.
"""

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from yoto_core import library, pipeline
from yoto_core.checks import Finding, check_data
from yoto_core.config import RunConfig
from yoto_core.errors import RunError, YotoError
from yoto_core.folders import read_json
from yoto_core.folders import run_folder as folder_of
from yoto_core.pipeline import Run
from yoto_core.reading import Dataset, read_dataset
from yoto_core.report import describe_data
from yoto_core.runs import load_run

_DATA, _MATRIX, _CONFIG, _RUN, _NOTICE, _UPLOAD = "data_key", "matrix", "config", "run_id", "notice", "upload_id"


def follow_link() -> None:
    """Take over what the address names, once per value, then keep the address up to date."""
    data, run = st.query_params.get("data"), st.query_params.get("run")
    try:
        if data and data != dataset_key():
            library.find(data)
            _choose_data(data)
        if run and run != st.session_state.get(_RUN):
            open_run(run)
    except YotoError as error:
        st.session_state[_NOTICE] = error
    _write_link()


def link() -> dict[str, str]:
    """The address of this place: query parameters."""
    found = {"data": dataset_key(), "run": st.session_state.get(_RUN)}
    return {name: value for name, value in found.items() if value}


def take_notice() -> YotoError | None:
    """An error that a link caused, once."""
    return st.session_state.pop(_NOTICE, None)


def dataset_key() -> str | None:
    """The key of the loaded data, or None."""
    return st.session_state.get(_DATA)


def dataset_name() -> str | None:
    """What the loaded data are called, or None."""
    key = dataset_key()
    return library.find(key)[1] if key else None


def dataset_path() -> Path:
    """Where the loaded data lie."""
    return library.find(dataset_key())[0]


def dataset() -> Dataset:
    """The loaded data (DataError where the chosen matrix cannot be used)."""
    path, name = library.find(dataset_key())
    return _read(str(path), path.stat().st_mtime_ns, matrix(), name)


def facts() -> dict[str, Any]:
    """What `report.describe_data` says of the loaded data."""
    data = dataset()
    return _facts(data.digest, _data=data)


def data_findings() -> tuple[Finding, ...]:
    """What is worth knowing about the loaded data."""
    return check_data(dataset())


def matrix() -> str:
    """The matrix that the user chose, or "auto"."""
    return st.session_state.get(_MATRIX, "auto")


def choose_matrix(name: str) -> None:
    """Read another matrix of the same file."""
    st.session_state[_MATRIX] = name
    st.session_state.pop(_CONFIG, None)


def take_upload(file: UploadedFile | None) -> bool:
    """Keep a newly uploaded file and make it the loaded data; True where there was a new one.

    Raises:
        DataError: The file cannot be read; what was loaded before stays loaded.
    """
    if file is None or file.file_id == st.session_state.get(_UPLOAD):
        return False
    key = library.keep(file, file.name)
    path, name = library.find(key)
    _read(str(path), path.stat().st_mtime_ns, "auto", name)
    st.session_state[_UPLOAD] = file.file_id
    _choose_data(key)
    return True


def open_demo() -> None:
    """Make the shipped data the loaded data."""
    _choose_data(library.DEMO_KEY)


def is_demo() -> bool:
    """Whether the loaded data are the shipped ones."""
    return dataset_key() == library.DEMO_KEY


def config() -> RunConfig | None:
    """The design as last accepted, or None."""
    return st.session_state.get(_CONFIG)


def set_config(value: RunConfig) -> None:
    """Accept a design."""
    st.session_state[_CONFIG] = value


def findings(value: RunConfig) -> tuple[Finding, ...]:
    """What is worth knowing about a design on the loaded data (ConfigError where it does not fit)."""
    data = dataset()
    return _design(data.digest, value, _data=data)


def run_folder() -> Path | None:
    """The folder of the open run, or None."""
    run_id = st.session_state.get(_RUN)
    try:
        return folder_of(run_id) if run_id else None
    except RunError as error:
        st.session_state.pop(_RUN)
        st.session_state[_NOTICE] = error
        return None


def run() -> Run:
    """The open run, read back from its folder (RunError where that is not possible)."""
    folder = run_folder()
    newest = max(path.stat().st_mtime_ns for path in folder.iterdir())
    return _load(str(folder), newest)


def open_run(run_id: str) -> None:
    """Look at another run, and at its data where they are still here (RunError where there is no such run)."""
    data = library.key_of(read_json(folder_of(run_id) / "data.json")["path"])
    if data:
        _choose_data(data)
    st.session_state[_RUN] = run_id
    _write_link()


def theme() -> str:
    """How the browser shows the app: light or dark."""
    return st.context.theme.type or "light"


def _choose_data(key: str) -> None:
    if key != dataset_key():
        for name in (_MATRIX, _CONFIG, _RUN):
            st.session_state.pop(name, None)
    st.session_state[_DATA] = key
    _write_link()


def _write_link() -> None:
    """Keep the address up to date at once: the next rerun reads it again."""
    others = {name: value for name, value in st.query_params.to_dict().items() if name not in ("data", "run")}
    st.query_params.from_dict({**others, **link()})


@st.cache_resource(max_entries=3, show_spinner="Reading the data …")
def _read(path: str, _changed: int, matrix: str, name: str) -> Dataset:
    return read_dataset(path, matrix=matrix, name=name)


@st.cache_resource(max_entries=8, show_spinner=False)
def _facts(_digest: str, *, _data: Dataset) -> dict[str, Any]:
    return describe_data(_data)


@st.cache_resource(max_entries=8, show_spinner=False)
def _load(folder: str, _changed: int) -> Run:
    return load_run(folder)


@st.cache_resource(max_entries=8, show_spinner="Checking the design …")
def _design(_digest: str, value: RunConfig, *, _data: Dataset) -> tuple[Finding, ...]:
    return pipeline.design(_data, value).findings

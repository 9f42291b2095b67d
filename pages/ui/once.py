"""What all tabs read together: data and runs, from disk into memory once for as long as they stay as they are.

Streamlit leaves arguments that begin with _ out of a cache's key: what tells two entries apart must not. What is remembered
carries no name that a user gave to a file: the next who asks may be another user, who has another name for it. The name is
there only to be told in an error, which is not remembered.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from yoto_core import pipeline
from yoto_core.config import RunConfig
from yoto_core.data.reading import Dataset, read_dataset
from yoto_core.data.scales import Scale
from yoto_core.pipeline import Design, Run
from yoto_core.report import describe_data
from yoto_core.store import library
from yoto_core.store.portable import load_model
from yoto_core.store.runs import load_run
from yoto_core.store.saved import SavedModel


def data(key: str, *, matrix: str, owner: str) -> Dataset:
    """The data of this key under their owner's name (DataError where there are none, or the matrix cannot be used)."""
    path, name = library.find(key, owner)
    return replace(_data(str(path), path.stat().st_mtime_ns, matrix, _name=name), name=name)


def facts(found: Dataset) -> dict[str, Any]:
    """What `report.describe_data` says of the data."""
    return {**_facts(found.digest, found.scale, _data=found), "name": found.name}


def design(found: Dataset, config: RunConfig) -> Design:
    """A config on these data (ConfigError where it does not fit)."""
    return _design(found.digest, found.scale, config, _data=found)


def run(folder: Path) -> Run:
    """A run as its folder has it now (RunError where it cannot be read)."""
    # Not the status, which changes with every sign of life, nor files that are being written.
    settled = [path for path in folder.iterdir() if not path.name.startswith(".") and path.name != "status.json"]
    return _run(str(folder), max(path.stat().st_mtime_ns for path in settled))


def uploaded_model(key: str, *, owner: str) -> SavedModel:
    """The exported model of this key (RunError, with its owner's name, where there is none, or it cannot be used)."""
    path, name = library.find_model(key, owner)
    return _uploaded_model(str(path), path.stat().st_mtime_ns, _name=name)


@st.cache_resource(max_entries=3, show_spinner="Reading the data …")
def _data(path: str, changed: int, matrix: str, *, _name: str) -> Dataset:
    return replace(read_dataset(path, matrix=matrix, name=_name), name="")


@st.cache_resource(max_entries=8, show_spinner=False)
def _facts(digest: str, scale: Scale, *, _data: Dataset) -> dict[str, Any]:
    return describe_data(replace(_data, name=""))


@st.cache_resource(max_entries=8, show_spinner="Checking the design …")
def _design(digest: str, scale: Scale, config: RunConfig, *, _data: Dataset) -> Design:
    return pipeline.design(_data, config)


@st.cache_resource(max_entries=8, show_spinner=False)
def _run(folder: str, changed: int) -> Run:
    return load_run(folder)


@st.cache_resource(max_entries=8, show_spinner=False)
def _uploaded_model(path: str, changed: int, *, _name: str) -> SavedModel:
    return load_model(path, name=_name)

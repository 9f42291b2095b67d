"""What the Predict page asks of the core, asked once per model, file and choice and then remembered."""

from dataclasses import dataclass, field

import streamlit as st

from pages.ui import messages, once, state
from yoto_core.errors import YotoError
from yoto_core.files import read_json
from yoto_core.prediction.crossstudy import CrossStudy
from yoto_core.prediction.predict import Labelled, Look
from yoto_core.progress import Progress
from yoto_core.store import library
from yoto_core.store.folders import RUN_ID, run_folder
from yoto_core.store.saved import SavedModel, saved_model


@dataclass(frozen=True)
class Question:
    """One model asked about one file: what tells two answers apart. `cells` is a key of the library."""

    saved: SavedModel = field(repr=False, compare=False)
    model: str  # key and version
    cells: str
    name: str  # of the cells, as who asks knows them: it stands in the answers' sentences, and none may be another's
    matrix: str = "auto"
    impute: bool = False

    @property
    def key(self) -> tuple[str, str, str, str, bool]:
        """All of it but the model itself."""
        return self.model, self.cells, self.name, self.matrix, self.impute


def model(key: str) -> tuple[str, SavedModel]:
    """The model of a run (by its id) or of an uploaded file, and its version (RunError where it cannot be read)."""
    if RUN_ID.fullmatch(key):
        run = once.run(run_folder(key))
        version = f"{key} {run.evaluation is not None}"  # scores follow the panel
        return version, _model_of_run(version, _run=run)
    return key, state.uploaded_model(key)


def look_at(asked: Question) -> Look:
    """Which matrix of the new data would be read and which panel genes it holds (DataError where nothing can be)."""
    return _look(asked.key, _asked=asked)


def label(asked: Question) -> Labelled:
    """The new cells' labels (DataError where they cannot be labelled); progress is shown while they are made."""
    known = _place_for_labels(asked.key)
    if not known:
        bar = st.progress(0.0, text="Labelling the cells …")

        def on_progress(progress: Progress) -> None:
            bar.progress(progress.done / progress.total, text=messages.plain(progress.message))

        path, _ = library.find(asked.cells)
        known.append(
            asked.saved.label(path, impute=asked.impute, matrix=asked.matrix, name=asked.name, on_progress=on_progress)
        )
        bar.empty()
    return known[0]


def judge(asked: Question, labelled: Labelled, task: str, column: str) -> CrossStudy:
    """One task's answers against a column of the new cells' obs (DataError where it holds no label that is known)."""
    return _judge(asked.key, task, column, _asked=asked, _labelled=labelled)


def are_training_cells(saved: SavedModel, key: str, cells: str) -> bool:
    """Whether these data are known to be the ones that a model was made from: its run names them, or they are loaded."""
    try:
        if RUN_ID.fullmatch(key) and library.key_of(read_json(run_folder(key) / "data.json")["path"]) == cells:
            return True
        return cells == state.dataset_key() and state.dataset().digest == saved.about.get("digest")
    except YotoError:  # the loaded data may be of no use themselves
        return False


@st.cache_resource(max_entries=8, show_spinner=False)
def _model_of_run(version: str, *, _run: object) -> SavedModel:
    return saved_model(_run)


@st.cache_resource(max_entries=8, show_spinner="Looking for the panel's genes …")
def _look(key: tuple[object, ...], *, _asked: Question) -> Look:
    path, _ = library.find(_asked.cells)
    return _asked.saved.look(path, matrix=_asked.matrix, name=_asked.name)


@st.cache_resource(max_entries=2, show_spinner=False)
def _place_for_labels(key: tuple[object, ...]) -> list[Labelled]:
    """An empty place that `label` fills: a function that shows its progress cannot be cached itself."""
    return []


@st.cache_resource(max_entries=8, show_spinner="Comparing with the cells' own labels …")
def _judge(key: tuple[object, ...], task: str, column: str, *, _asked: Question, _labelled: Labelled) -> CrossStudy:
    return _asked.saved.judge(_labelled, {task: column})

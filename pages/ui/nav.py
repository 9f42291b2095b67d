"""Which pages there are, how to get from one to the next, and what each needs before it can show anything.

With a folder called pages/, Streamlit starts in its older multipage mode until a session has called `st.navigation`: a
first visit by deep link would then run a page without app.py. Every page therefore begins with `ensure_router()`.
"""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from pages.ui import messages, state
from yoto_core.files import ASSETS
from yoto_core.report import config_changes
from yoto_core.store.runs import read_config

_ROUTED = "_routed"
FIRST = "start"  # reserved by the first page, which lives at the root of the address, where it needs no name
ICON, LOGO = ASSETS / "icon.png", ASSETS / "logo.svg"
STYLE = ASSETS / "style.css"
# The focus goes to the heading when another page has come, so that a screen reader and the keyboard go on from there; not
# at the first page of a tab, nor when the same page is drawn again.
_ARRIVE = """<script>(() => {
    const title = "%s", before = window.yotoPage;
    window.yotoPage = title;
    if (before === undefined || before === title) return;
    const look = frames => {
        const heading = [...document.querySelectorAll("[data-testid=stMain] h2")].find(h => h.textContent.trim() === title);
        if (heading) {
            heading.tabIndex = -1;
            heading.focus({preventScroll: true});
        } else if (frames && window.yotoPage === title) requestAnimationFrame(() => look(frames - 1));
    };
    look(600);
})()</script>"""


@dataclass(frozen=True)
class Step:
    """One screen: its file, its name in the menu and in the address, and its purpose in one line."""

    file: str
    title: str
    path: str
    icon: str
    section: str
    purpose: str


STEPS = (
    Step("pages/1_data.py", "Data", "data", ":material/upload_file:", "Prepare", "Load labelled cells and check them."),
    Step(
        "pages/2_design.py", "Design", "design", ":material/tune:", "Prepare",
        "Say what the panel must predict and how large it may be.",
    ),
    Step("pages/3_train.py", "Train", "train", ":material/play_circle:", "Prepare", "Let the model choose the genes."),
    Step("pages/4_panel.py", "Panel", "panel", ":material/format_list_numbered:", "Explore", "The genes to order, and why."),
    Step(
        "pages/5_maps.py", "Maps", "maps", ":material/scatter_plot:", "Explore",
        "The same cells by all genes and by the panel alone.",
    ),
    Step(
        "pages/6_metrics.py", "Metrics", "metrics", ":material/monitoring:", "Explore",
        "How well the panel predicts cells it has never seen.",
    ),
    Step(
        "pages/7_enrichment.py", "Enrichment", "enrichment", ":material/hub:", "Explore",
        "What the chosen genes are known for.",
    ),
    Step(
        "pages/10_predict.py", "Predict", "predict", ":material/label:", "Decide",
        "Label new cells with the trained model, from the panel's genes alone.",
    ),
    Step(
        "pages/9_runs.py", "Runs", "runs", ":material/history:", "Decide",
        "Every run so far: open, compare, name, copy or delete it.",
    ),
)  # fmt: skip


def ensure_router() -> None:
    """First statement of every page: hand over to app.py where Streamlit ran the page alone."""
    if not st.session_state.get(_ROUTED):
        configure()
        st.navigation(sections(), position="hidden")
        st.rerun()


def configure() -> None:
    """Title, width, style and icon; the icon is a file of ours, as Streamlit would fetch its named ones from the network."""
    st.set_page_config(page_title="YOTO – gene panels", page_icon=ICON, layout="wide")
    st.logo(LOGO, size="large", icon_image=ICON)
    st.html(STYLE)


def mark_routed() -> None:
    """Called by app.py once navigation stands."""
    st.session_state[_ROUTED] = True


def sections() -> dict[str, list[st.Page]]:
    """The menu."""
    pages = dict(zip(STEPS, _pages(), strict=True))
    found = {
        name: [page for step, page in pages.items() if step.section == name]
        for name in ("Prepare", "Explore", "Decide")
    }
    # Whoever asks for the first page by its name shall find it too.
    found["Prepare"].append(st.Page(_to_the_first, url_path=STEPS[0].path, visibility="hidden"))
    return found


def go(title: str, **more: str) -> None:
    """Open another page and keep the link, or add to it."""
    st.switch_page(file_of(title), query_params={**state.link(), **more})


def file_of(title: str) -> str:
    """The file of a page."""
    return _step(title).file


def header(title: str) -> None:
    """The page's title and purpose; the focus is on the title where the page is a new one."""
    step = _step(title)
    st.header(step.title, anchor=False)
    st.caption(step.purpose)
    with st.container(key="arrival"):
        st.html(_ARRIVE % step.title, unsafe_allow_javascript=True)


def next_button(label: str, title: str) -> None:
    """The button at the end of a page that leads on."""
    if st.button(label, type="primary", icon=":material/arrow_forward:", key=f"next_{title}"):
        go(title)


def require_data() -> None:
    """Stop the page with a way out where no data are loaded."""
    if state.dataset_key() is None:
        _locked("No data are loaded yet.", "Load data", "Data")


def require_run(*, with_panel: bool) -> None:
    """Stop the page with a way out where no run is open, or where it has no panel yet."""
    folder = state.run_folder()
    if folder is None:
        require_first_step("No run is open yet.")
    elif with_panel and not (folder / "panel.csv").exists():
        _locked("This run has no panel yet.", "See how it goes", "Train")
    _say_where_design_differs(folder)


def require_first_step(reason: str) -> None:
    """Stop the page where nothing is there to be shown, with the step that comes first."""
    has_data = state.dataset_key() is not None
    _locked(reason, *(("Design a panel", "Design") if has_data else ("Load data", "Data")))


def _say_where_design_differs(folder: Path) -> None:
    """Results belong to the config of their run: say so where the form has moved on."""
    draft = state.draft()
    with messages.errors_shown(stop=False):
        changes = config_changes(read_config(folder), draft) if draft else ()
        if changes:
            st.info(
                f"The design has changed since this run ({messages.plain('; '.join(changes))}). What is shown here belongs"
                " to the run as it was made.",
                icon=":material/history:",
            )


def _locked(reason: str, label: str, title: str) -> None:
    st.info(reason, icon=":material/lock:")
    with st.container(horizontal=True):
        if st.button(label, type="primary", key="unlock"):
            go(title)
        if state.dataset_key() is None and st.button("Load the demo", icon=":material/science:", key="unlock_demo"):
            state.open_demo()
            go("Design")
    st.stop()


def _step(title: str) -> Step:
    return next(step for step in STEPS if step.title == title)


def _to_the_first() -> None:
    go(STEPS[0].title)


def _pages() -> list[st.Page]:
    busy = _step("Train") if state.run_is_live() else None
    return [
        st.Page(
            step.file, title=step.title, url_path=FIRST if step is STEPS[0] else step.path,
            icon="spinner" if step is busy else step.icon, default=step is STEPS[0],
        )
        for step in STEPS
    ]  # fmt: skip

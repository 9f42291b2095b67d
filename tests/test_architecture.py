"""The rules of the house, held by the syntax tree: over whatever files are there."""

import ast
import dataclasses
import graphlib
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = sorted((ROOT / "yoto_core").rglob("*.py"))
PAGES = sorted((ROOT / "pages").rglob("*.py"))
APP = [path for path in (ROOT / "app.py",) if path.is_file()]
SCREENS = [path for path in PAGES if path.parent == ROOT / "pages"]
HEAVY = {"torch", "scipy", "sklearn", "scanpy"}
STATE_DOORS = {"pages/ui/state.py", "pages/ui/nav.py"}
# joblib may share work among threads, as scikit-learn does with it; reading and writing with it is refused by call.
UNSAFE_IMPORTS = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
PAGE_LINES = 120
# From the ground up: a room may import from its own floor and from those below it, never from above.
FLOORS = (
    (
        "errors",
        "config",
        "limits",
        "memory",
        "records",
        "files",
        "progress",
        "runtime",
        "demo",
        "quiet",
        "words",
        "tables",
    ),
    ("data",),
    ("scores",),
    ("plots",),
    ("model",),
    ("evaluation",),
    ("prediction", "explore"),
    ("pipeline",),
    ("store",),
    ("report", "verdicts", "work"),
    ("worker", "__main__", "__init__"),
)


def name(path):
    return path.relative_to(ROOT).as_posix()


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(path):
    """The dotted name of every module that a file imports, anywhere in it; `from a import b` gives a and a.b."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base]).rstrip(".")
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def tops(path):
    return {module.split(".")[0] for module in imported(path)}


def modules():
    """Every module of the core by its dotted name."""
    return {name(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in CORE}


def floor(module):
    """How high a module of the core stands."""
    room = module.removeprefix("yoto_core").lstrip(".").split(".")[0] or "__init__"
    return next(height for height, rooms in enumerate(FLOORS) if room in rooms)


def inner_imports():
    """Module of the core -> the modules of the core that it imports; the package's own front page apart."""
    known = modules()
    graph = {module: imported(path) & set(known) - {module} for module, path in known.items()}
    packages = {module for module, path in known.items() if path.name == "__init__.py"}
    # `from yoto_core.plots import style` names the package too; its front page is imported by all it holds.
    return {
        module: {other for other in others if not (other in packages and module.startswith(f"{other}."))}
        for module, others in graph.items()
    }


# --- the reader of imports itself


def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.test_architecture.ROOT", tmp_path)
    path = tmp_path / "yoto_core" / "plots" / "a.py"
    path.parent.mkdir(parents=True)
    path.write_text("import os.path\nfrom x import y\nfrom . import s\nfrom ..q import r\ndef f():\n    import late\n")
    assert imported(path) == {
        "os.path", "x", "x.y", "yoto_core.plots", "yoto_core.plots.s", "yoto_core.q", "yoto_core.q.r", "late",
    }  # fmt: skip


# --- one way


@pytest.mark.parametrize("path", CORE, ids=name)
def test_the_core_never_imports_the_app(path):
    assert not tops(path) & {"streamlit", "pages", "app", "tests"}


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_pages_never_import_the_app_or_the_tests(path):
    assert not tops(path) & {"app", "tests"}


@pytest.mark.parametrize("path", [path for path in PAGES if path not in SCREENS], ids=name)
def test_shared_parts_of_the_screen_import_no_screen(path):
    assert not {module for module in imported(path) if module.startswith("pages.") and module.split(".")[1] != "ui"}


def test_the_core_has_no_circle():
    graphlib.TopologicalSorter(inner_imports()).prepare()  # raises CycleError, which names the circle


def test_a_circle_would_be_found():
    with pytest.raises(graphlib.CycleError):
        graphlib.TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


def test_errors_and_config_stand_at_the_bottom():
    graph = inner_imports()
    assert graph["yoto_core.errors"] == set()
    assert graph["yoto_core.config"] == {"yoto_core.errors"}


def test_rooms_below_import_no_room_above():
    graph = inner_imports()
    assert graph["yoto_core.model.selector"] == set()
    for module, others in graph.items():
        for other in others:
            assert floor(other) <= floor(module), f"{module} imports {other}, which stands above it"


# --- what is small stays small


@pytest.mark.parametrize("path", SCREENS + APP, ids=name)
def test_a_page_is_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= PAGE_LINES


@pytest.mark.parametrize("path", PAGES + APP, ids=name)
def test_pages_do_no_computing(path):
    assert not tops(path) & HEAVY


@pytest.mark.parametrize("path", PAGES + APP, ids=name)
def test_session_state_has_one_door(path):
    touches = [
        node for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute) and node.attr == "session_state"
    ]
    assert not touches or name(path) in STATE_DOORS


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_every_table_and_every_chart_says_in_words_what_it_shows(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            shows = node.func.attr in {"dataframe", "data_editor", "plotly_chart"}
            assert not shows or "alt" in {keyword.arg for keyword in node.keywords}, node.lineno


# --- nothing that runs is read from a file, nothing that a file says is run


@pytest.mark.parametrize("path", CORE + PAGES + APP, ids=name)
def test_nothing_is_unpickled_and_no_html_is_let_through(path):
    assert not tops(path) & UNSAFE_IMPORTS
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in {"torch.load", "torch.save", "np.load", "joblib.load", "joblib.dump"}
            assert node.attr not in {"read_pickle", "to_pickle"}
        if isinstance(node, ast.keyword):
            assert node.arg not in {"unsafe_allow_html", "allow_pickle"}, node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec"}


# --- documented and annotated


def public(path):
    """The public functions, classes and methods of a file."""
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from (
                    inner
                    for inner in node.body
                    if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and not inner.name.startswith("_")
                )


@pytest.mark.parametrize("path", CORE, ids=name)
def test_every_module_and_everything_public_in_it_is_documented(path):
    assert ast.get_docstring(tree(path)), "the module"
    assert [node.name for node in public(path) if not ast.get_docstring(node)] == []


@pytest.mark.parametrize("path", CORE, ids=name)
def test_every_public_function_is_annotated(path):
    for node in public(path):
        if isinstance(node, ast.ClassDef):
            continue
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
        bare = [arg.arg for arg in arguments if arg and arg.annotation is None and arg.arg not in {"self", "cls"}]
        assert bare == [], node.name
        assert node.returns is not None, node.name


@pytest.mark.parametrize("module", sorted(modules()))
def test_every_record_is_frozen(module):
    if module.endswith(("__main__", "worker")):  # entry points do their work when imported as such
        return
    loaded = importlib.import_module(module)
    for thing in vars(loaded).values():
        if isinstance(thing, type) and thing.__module__ == module and dataclasses.is_dataclass(thing):
            assert thing.__dataclass_params__.frozen, thing.__name__


def test_every_setting_in_the_core_has_a_label_and_a_help_sentence():
    owners = [
        thing
        for module in modules()
        if not module.endswith(("__main__", "worker"))
        for thing in vars(importlib.import_module(module)).values()
        if isinstance(thing, type) and dataclasses.is_dataclass(thing)
    ]
    settings = [
        spec for owner in owners for spec in dataclasses.fields(owner) if {"label", "help"} & set(spec.metadata)
    ]
    assert settings
    assert [
        spec.name for spec in settings if not (spec.metadata["label"] and spec.metadata["help"].endswith("."))
    ] == []


@pytest.mark.parametrize("path", CORE, ids=name)
def test_no_error_is_an_assert(path):
    assert not [node.lineno for node in ast.walk(tree(path)) if isinstance(node, ast.Assert)]


def test_there_is_no_other_top_level_folder():
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "__"))}
    assert folders <= {"pages", "yoto_core", "assets", "tests", "shared"}

"""Would a test notice? One change at a time in one module of the core, and the tests that run the changed line.

    python -m tests.benchmarks.mutation [ROOM ...] [--sample N] [--seed S] [--wording]

ROOM names modules by their beginning (`scores`, `data.splits`, `words`); without one, all those of `TESTS`. A change swaps a
comparison, an operator, `and` with `or`, `min` with `max`; moves a number; drops a `not`, a bound of a slice, a call or a raise;
returns None; or makes a condition always true or false. With `--wording` the text of raised errors is changed too. Docstrings,
annotations and decorators stay.

Each mutant is written into a copy of the tree in a temporary folder and tried in a process of its own, which ends at the first
failing test. Which tests those are is seen by running the stated files once on the unchanged copy, with every line of the core
noted by test (what a fixture or a cached function ran counts for every test that uses it; what other processes run does not).
A change outside functions concerns all tests of the stated files. A mutant that takes five times as long, and a minute, is caught.
"""

import argparse
import ast
import functools
import importlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
# Module -> the files of tests that concern it.
TESTS = {
    "scores.all_genes": ("all_genes",),
    "scores.baselines": ("baselines",),
    "scores.judges": ("judges", "baselines"),
    "scores.methods": ("verdict_words",),
    "scores.metrics": ("metrics", "losses"),
    "scores.significance": ("chance",),
    "data.splits": ("splits", "checks", "stability"),
    "data.folds": ("folds",),
    "data.shuffling": ("chance", "stability"),
    "data.targets": ("targets", "checks", "metrics"),
    "data.scales": ("matrices", "preprocess", "reading"),
    "data.matrices": ("matrices",),
    "data.preprocess": ("preprocess", "checks"),
    "data.columns": ("columns",),
    "evaluation.losses": ("loss_numbers", "losses"),
    "evaluation.attribution": ("attribution", "losses"),
    "evaluation.stability": ("stability",),
    "evaluation.forecast": ("forecast",),
    "model.panel": ("panel",),
    "model.separation": ("separation", "start"),
    "model.discriminant": ("separation", "start"),
    "model.calibration": ("calibration",),
    "model.forms": ("forms",),
    "words": ("words",),
    "verdicts": ("verdict_words",),
    "errors": ("errors", "errors_and_config"),
    "files": ("files", "runs"),
}
# What the core and the tests load anyway: loaded once, before the processes part.
LOADED_ONCE = ("anndata", "hypothesis", "joblib", "psutil", "scanpy", "scipy.stats", "sklearn.ensemble", "torch")
TIMES, GRACE = 5.0, 60.0  # a mutant's limit: that many times the unchanged tests, and seconds
MEMORY = 12 * 2**30  # bytes of addresses that a mutant may ask for
LEFT_OUT = ("__pycache__", ".*")

SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
NAMES |= {"minimum": "maximum", "maximum": "minimum", "argmin": "argmax", "argmax": "argmin"}


@dataclass(frozen=True)
class Mutant:
    """One change to a module."""

    module: str
    line: int
    what: str
    source: str = field(repr=False)  # of the whole module
    lines: frozenset[int] = field(repr=False)  # that show it when they run; none where it shows on import


@dataclass(frozen=True)
class Runs:
    """What tests did on the unchanged tree."""

    lines: dict[str, dict[str, set[int]]] = field(repr=False)  # test -> file of the core -> lines run
    seconds: dict[str, float] = field(repr=False)  # test -> how long it took, slowed down by being watched

    def concerned(self, mutant: Mutant) -> list[str]:
        """The tests that could notice, the quickest first."""
        name, files = file_of(mutant.module), tuple(f"tests/test_{stem}.py:" for stem in TESTS[mutant.module])
        here = [test for test in self.lines if test.startswith(files)]
        if mutant.lines:
            here = [test for test in here if self.lines[test].get(name, set()) & mutant.lines]
        return sorted(here, key=self.seconds.__getitem__)


def file_of(module: str) -> str:
    """The file of a module of the core, from the root."""
    return f"yoto_core/{module.replace('.', '/')}.py"


# --- the changes


@dataclass(frozen=True)
class _Site:
    """One place of a tree and what to put there."""

    owner: ast.AST
    name: str
    place: int | None
    new: Any
    node: ast.AST  # what is changed
    what: str
    function: ast.AST | None  # the innermost one around it
    on_import: bool  # whether it shows when the module is loaded, not when the function runs


def mutants_of(module: str, source: str, *, wording: bool = False) -> Iterator[Mutant]:
    """Every change to one module."""
    tree = ast.parse(source)
    for site in _sites(tree, None, on_import=True, wording=wording):
        value = getattr(site.owner, site.name)
        old = value if site.place is None else value[site.place]
        _put(site, site.new)
        changed = ast.unparse(ast.fix_missing_locations(tree))
        _put(site, old)
        around = site.function if site.on_import else site.node
        start = around.body[0].lineno if isinstance(around, ast.FunctionDef) else getattr(around, "lineno", 0)
        lines = frozenset(range(start, around.end_lineno + 1)) if around is not None else frozenset()
        yield Mutant(module, site.node.lineno, site.what, changed, lines)


def _put(site: _Site, node: Any) -> None:
    if site.place is None:
        setattr(site.owner, site.name, node)
    else:
        getattr(site.owner, site.name)[site.place] = node


def _sites(node: ast.AST, function: ast.AST | None, *, on_import: bool, wording: bool) -> Iterator[_Site]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_params", "format_spec"):
            continue
        inside, at_import = function, on_import
        if isinstance(node, ast.FunctionDef | ast.Lambda):
            inside, at_import = node, name == "args"  # defaults are made when the module is loaded
        for place, child in enumerate(value if isinstance(value, list) else [value]):
            if not isinstance(child, ast.AST) or _is_left(child):
                continue
            for new, what in _changes(node, name, child, wording=wording):
                where = place if isinstance(value, list) else None
                shown = child if hasattr(child, "lineno") else node  # operators have no place of their own
                yield _Site(node, name, where, new, shown, what, inside, at_import)
            yield from _sites(child, inside, on_import=at_import, wording=wording)


def _is_left(node: ast.AST) -> bool:
    """Docstrings, what only says how a record is printed, and the guard of a `zip` whose parts are of one length."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True
    if isinstance(node, ast.keyword) and node.arg == "strict":
        return True
    return isinstance(node, ast.Call) and ast.unparse(node.func) in {"field", "TypeVar"}


def _changes(owner: ast.AST, name: str, node: ast.AST, *, wording: bool) -> Iterator[tuple[Any, str]]:
    """What may stand in place of one node, and how to say so."""
    swapped = SWAPS.get(type(node))
    if swapped and not (isinstance(owner, ast.BinOp) and _is_text(owner)):
        yield swapped(), f"{type(node).__name__} → {swapped.__name__} in {_short(owner)}"
    if isinstance(owner, ast.If | ast.IfExp | ast.While) and name == "test":
        for value in (True, False):
            yield ast.Constant(value), f"{value} for {_short(node)}"
    if isinstance(owner, ast.comprehension) and name == "ifs":
        yield ast.Constant(value=True), f"without “if {_short(node)}”"
    if isinstance(owner, ast.Slice) and name in ("lower", "upper", "step"):
        yield None, f"without bound {_short(node)} in [{_short(owner)}]"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand, f"{_short(node.operand)} for {_short(node)}"
    if isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield ast.copy_location(ast.Pass(), node), f"without {_short(node)}"
    if isinstance(node, ast.Return) and node.value is not None and _short(node.value) != "None":
        yield ast.Return(ast.Constant(None)), f"None for {_short(node)}"
    if isinstance(node, ast.Name) and node.id in NAMES and isinstance(owner, ast.Call):
        yield ast.Name(NAMES[node.id], ast.Load()), f"{NAMES[node.id]} for {_short(owner)}"
    if isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield ast.Attribute(node.value, NAMES[node.attr], ast.Load()), f"{NAMES[node.attr]} for {_short(owner)}"
    if isinstance(node, ast.Constant):
        for value in _values(node.value):
            yield ast.Constant(value), f"{value!r} for {node.value!r} in {_short(owner)}"
    if wording and isinstance(node, ast.Raise):
        yield from _reworded(node)


def _values(value: object) -> Iterator[object]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value * 1.5 if value else 1.0


def _reworded(node: ast.Raise) -> Iterator[tuple[ast.Raise, str]]:
    """The same error with one of its texts changed."""
    texts = [text for text in ast.walk(node) if isinstance(text, ast.Constant) and isinstance(text.value, str)]
    for place, text in enumerate(texts):
        if len(text.value) > 3:
            changed = ast.parse(ast.unparse(node)).body[0]
            again = [
                text for text in ast.walk(changed) if isinstance(text, ast.Constant) and isinstance(text.value, str)
            ]
            again[place].value = f"{text.value[:2]}…{text.value[3:]}"
            yield ast.copy_location(changed, node), f"another word in “{text.value}”"


def _is_text(node: ast.BinOp) -> bool:
    """Whether it joins texts: no other operator would do."""
    return any(
        isinstance(side, ast.JoinedStr) or isinstance(getattr(side, "value", 0), str)
        for side in (node.left, node.right)
    )


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 70 else f"{text[:69]}…"


# --- one run of tests, in a process of its own


class _Notes:
    """A plugin of pytest: which lines of the core each test runs, and how long it takes."""

    def __init__(self, tree: Path) -> None:
        self.core, self.root = f"{tree}/yoto_core/", f"{tree}/"
        self.now: dict[str, set[int]] = {}
        self.shared: dict[str, dict[str, set[int]]] = {}  # fixture -> what it ran
        self.lines: dict[str, dict[str, list[int]]] = {}
        self.seconds: dict[str, float] = {}

    def cache(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """In place of functools.cache: what was run once counts for everybody who asks again."""
        kept: dict[object, tuple[Any, dict[str, set[int]]]] = {}

        @functools.wraps(function)
        def asked(*args: Any, **more: Any) -> Any:
            key = (args, tuple(sorted(more.items())))
            if key not in kept:
                kept[key] = self._apart(lambda: function(*args, **more))
            else:
                self._add(kept[key][1])
            return kept[key][0]

        return asked

    def _apart(self, work: Callable[[], Any]) -> tuple[Any, dict[str, set[int]]]:
        before, self.now = self.now, {}
        try:
            value = work()
        finally:
            done, self.now = self.now, before
            self._add(done)
        return value, done

    def _add(self, more: dict[str, set[int]]) -> None:
        for name, lines in more.items():
            self.now.setdefault(name, set()).update(lines)

    def _called(self, frame: Any, _event: str, _arg: object) -> Callable[..., Any] | None:
        name = frame.f_code.co_filename
        return self._line if name.startswith(self.core) else None

    def _line(self, frame: Any, _event: str, _arg: object) -> Callable[..., Any]:
        self.now.setdefault(frame.f_code.co_filename.removeprefix(self.root), set()).add(frame.f_lineno)
        return self._line

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """Note what a fixture runs, as it may serve later tests too."""
        before, self.now = self.now, {}
        try:
            return (yield)
        finally:
            done, self.now = self.now, before
            self.shared[f"{fixturedef.baseid} {fixturedef.argname}"] = done
            self._add(done)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
        """Watch one test."""
        self.now, started = {}, time.monotonic()
        sys.settrace(self._called)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            for name, lines in self.shared.items():
                base, fixture = name.rsplit(" ", 1)
                if fixture in item.fixturenames and item.nodeid.startswith(base):
                    self._add(lines)
            self.lines[item.nodeid] = {name: sorted(lines) for name, lines in self.now.items()}
            self.seconds[item.nodeid] = time.monotonic() - started


class _Wanted:
    """A plugin of pytest: only these tests, in this order; all where none of them is left."""

    def __init__(self, tests: list[str]) -> None:
        self.place = {test: place for place, test in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Choose and sort."""
        wanted = [item for item in items if item.nodeid in self.place]
        items[:] = sorted(wanted, key=lambda item: self.place[item.nodeid]) or items


def _tested(tree: Path, files: Collection[str], tests: list[str] | None, out: Path) -> None:
    """Run tests of a copy in this process; it ends with pytest's exit code. Without `tests`: all, with notes in `out`."""
    os.setsid()
    os.chdir(tree)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    log = os.open(out.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    scratch = {"TMPDIR": out.parent / "tmp", "HOME": out.parent / "home", "PYTHONPATH": tree}
    os.environ.update({name: str(path) for name, path in scratch.items()}, PYTHONDONTWRITEBYTECODE="1")
    tempfile.tempdir, sys.dont_write_bytecode = None, True
    sys.path[:] = [str(tree), *(path for path in sys.path if path and Path(path).resolve() != ROOT)]
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "yoto_core", "pages")]:
        del sys.modules[name]
    plugin: _Notes | _Wanted = _Notes(tree) if tests is None else _Wanted(tests)
    if isinstance(plugin, _Notes):
        functools.cache = plugin.cache
    code = pytest.main(["-x", "--assert=plain", "-p", "no:cacheprovider", *files], plugins=[plugin])
    if isinstance(plugin, _Notes):
        out.write_text(json.dumps({"lines": plugin.lines, "seconds": plugin.seconds}))
    os._exit(int(code))


def _exit_code(limit: float | None, *told: Any) -> int | None:
    """How a run of tests ends; None where it is ended at its limit (seconds)."""
    process = multiprocessing.get_context("fork").Process(target=_tested, args=told)
    process.start()
    process.join(limit)
    code = process.exitcode
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # with whatever it started
    process.join()
    return code


# --- the table


def watched(tree: Path, scratch: Path, stems: Collection[str]) -> Runs:
    """Run every file of tests once, as it is, with notes."""
    lines: dict[str, dict[str, set[int]]] = {}
    seconds: dict[str, float] = {}
    for stem in sorted(stems):
        out = scratch / f"{stem}.json"
        if _exit_code(None, tree, (f"tests/test_{stem}.py",), None, out):
            sys.exit(
                f"tests/test_{stem}.py fails on the unchanged tree:\n{out.with_suffix('.log').read_text()[-3000:]}"
            )
        found = json.loads(out.read_text())
        seconds |= found["seconds"]
        for test, files in found["lines"].items():
            lines[test] = {name: set(numbers) for name, numbers in files.items()}
    return Runs(lines, seconds)


def survives(mutant: Mutant, runs: Runs, tree: Path, scratch: Path) -> bool:
    """Whether no test fails on a mutant."""
    tests = runs.concerned(mutant)
    if not tests:
        return True
    path = tree / file_of(mutant.module)
    kept = path.read_text(encoding="utf-8")
    path.write_text(mutant.source, encoding="utf-8")
    try:
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        limit = GRACE + TIMES * sum(runs.seconds[test] for test in tests)
        return _exit_code(limit, tree, files, tests, scratch / "mutant") == 0
    finally:
        path.write_text(kept, encoding="utf-8")


def main() -> None:
    """Print, per module, how many of its mutants are caught, and those that are not."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("rooms", nargs="*", metavar="ROOM")
    parser.add_argument("--sample", type=int, default=20, help="mutants per module at most; 0 for all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--wording", action="store_true", help="change the text of raised errors too")
    told = parser.parse_args()
    modules = [
        name for name in TESTS if not told.rooms or any(f"{name}.".startswith(f"{room}.") for room in told.rooms)
    ]
    if not modules:
        sys.exit(f"No module begins so. Known are {', '.join(TESTS)}.")
    for name in LOADED_ONCE:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory(prefix="yoto-mutation-") as folder:
        scratch, tree = Path(folder), Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        for name in ("tmp", "home"):
            (scratch / name).mkdir()
        runs = watched(tree, scratch, {stem for module in modules for stem in TESTS[module]})
        caught, tried = 0, 0
        for module in modules:
            source = (tree / file_of(module)).read_text(encoding="utf-8")
            every = list(mutants_of(module, source, wording=told.wording))
            chance = random.Random(f"{told.seed} {module}")
            some = chance.sample(every, min(told.sample or len(every), len(every)))
            left = [mutant for mutant in some if survives(mutant, runs, tree, scratch)]
            caught, tried = caught + len(some) - len(left), tried + len(some)
            share = f"{1 - len(left) / len(some):.0%}" if some else "–"
            print(f"{module}: {len(some)} of {len(every)} mutants, {len(some) - len(left)} caught, {share}", flush=True)
            for mutant in sorted(left, key=lambda mutant: mutant.line):
                unseen = "" if runs.concerned(mutant) else " (no test runs this line)"
                print(f"    {file_of(module)}:{mutant.line}: {mutant.what}{unseen}", flush=True)
        print(f"all: {caught} of {tried} caught, {caught / max(tried, 1):.0%}; seed {told.seed}")


if __name__ == "__main__":
    main()

"""What is declared is what is imported: nothing comes along by luck, and nothing is installed for nobody."""

import ast
import re
import sys
from importlib import metadata

import pytest

from yoto_core.files import PROJECT

OURS = {"app", "pages", "yoto_core", "tests"}
APP = (PROJECT / "requirements.txt", ["app.py", "pages/**/*.py", "yoto_core/**/*.py"])
TESTS = (PROJECT / "tests" / "requirements.txt", ["tests/**/*.py"])
# Declared and never imported by name, and why.
USED_OTHERWISE = {
    "pyarrow": "pandas reads and writes parquet with it",
    "pytest-xdist": "the Makefile runs the tests in two processes",
    "ruff": "the Makefile checks the code with it",
}


def declared(path):
    """Distribution -> its bounds, as a requirements file has them."""
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return {re.split(r"[<>=!~]", line)[0].lower(): line for line in lines if line}


def imported(patterns):
    """Distribution -> the files that import it; modules of Python's own and of this project left out."""
    homes, found = metadata.packages_distributions(), {}
    for path in (path for pattern in patterns for path in PROJECT.glob(pattern)):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            else:
                continue
            for name in {name.partition(".")[0] for name in names} - OURS - set(sys.stdlib_module_names):
                for home in homes.get(name, [name]):
                    found.setdefault(home.lower(), set()).add(str(path.relative_to(PROJECT)))
    return found


def test_whatever_the_app_imports_is_declared():
    path, patterns = APP
    assert {name: files for name, files in imported(patterns).items() if name not in declared(path)} == {}


def test_whatever_the_tests_import_is_declared():
    both = declared(APP[0]) | declared(TESTS[0])
    assert {name: files for name, files in imported(TESTS[1]).items() if name not in both} == {}


@pytest.mark.parametrize(("path", "patterns"), [APP, TESTS], ids=["app", "tests"])
def test_whatever_is_declared_is_used(path, patterns):
    assert set(declared(path)) - set(imported(patterns)) - set(USED_OTHERWISE) == set()


@pytest.mark.parametrize("path", [APP[0], TESTS[0]], ids=["app", "tests"])
def test_every_requirement_has_a_lower_bound_and_is_met_here(path):
    for name, line in declared(path).items():
        assert re.search(r"(>=|==)[0-9]", line), line
        installed = tuple(int(part) for part in re.findall(r"[0-9]+", metadata.version(name))[:2])
        lowest = tuple(int(part) for part in re.search(r"[>=]=([0-9.]+)", line)[1].split(".")[:2])
        assert installed >= lowest, line


def test_no_reason_outlives_its_requirement():
    assert set(USED_OTHERWISE) <= set(declared(APP[0]) | declared(TESTS[0]))

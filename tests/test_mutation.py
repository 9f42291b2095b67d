"""The tool that changes one thing at a time: what it changes, and that the files it names are there."""

import ast

import pytest

from tests.benchmarks.mutation import ROOT, TESTS, Runs, file_of, mutants_of

SOURCE = '''
"""A module."""

LIMIT = 5


def chosen(values: list[int], most: int = 3, *, strict: bool = True) -> list[int]:
    """Some of them."""
    if not values and strict:
        raise ValueError(f"no {values} of {most}, which is too few")
    values.sort()
    return [min(value, LIMIT) - 1 for value in values[:most] if value > 0]
'''


def made(**more):
    return [(mutant.line, mutant.what) for mutant in mutants_of("words", SOURCE, **more)]


def test_every_kind_of_change_is_made_once():
    assert sorted(made()) == sorted(
        [
            (4, "6 for 5 in LIMIT = 5"),
            (7, "4 for 3 in values: list[int], most: int=3, *, strict: bool=True"),
            (7, "False for True in values: list[int], most: int=3, *, strict: bool=True"),
            (9, "True for not values and strict"),
            (9, "False for not values and strict"),
            (9, "And → Or in not values and strict"),
            (9, "values for not values"),
            (10, "without raise ValueError(f'no {values} of {most}, which is too few')"),
            (11, "without values.sort()"),
            (12, "None for return [min(value, LIMIT) - 1 for value in values[:most] if value > 0]"),
            (12, "max for min(value, LIMIT)"),
            (12, "Sub → Add in min(value, LIMIT) - 1"),
            (12, "2 for 1 in min(value, LIMIT) - 1"),
            (12, "without bound most in [:most]"),
            (12, "without “if value > 0”"),
            (12, "Gt → GtE in value > 0"),
            (12, "1 for 0 in value > 0"),
        ]
    )


def test_words_of_errors_are_changed_where_it_is_asked():
    assert set(made(wording=True)) - set(made()) == {
        (10, "another word in “ of ”"),
        (10, "another word in “, which is too few”"),
    }


def test_every_mutant_is_another_program_that_python_can_read():
    sources = [mutant.source for mutant in mutants_of("words", SOURCE, wording=True)]
    trees = {ast.dump(ast.parse(source)) for source in (SOURCE, *sources)}
    assert len(trees) == len(sources) + 1


def test_a_default_concerns_who_runs_the_function_and_a_constant_everybody():
    lines = {mutant.what.partition(" in ")[0]: mutant.lines for mutant in mutants_of("words", SOURCE)}
    assert lines["6 for 5"] == frozenset()
    assert lines["4 for 3"] == frozenset(range(8, 13))
    assert lines["Gt → GtE"] == {12}


def test_only_tests_of_the_stated_files_that_run_the_line_are_asked_the_quickest_first():
    file = file_of("words")
    lines = {f"tests/test_{test}": {file: {number}} for test, number in (("words.py::a", 12), ("words.py::b", 12))}
    lines |= {"tests/test_words.py::c": {file: {4}}, "tests/test_splits.py::d": {file: {12}}}
    runs = Runs(lines, dict(zip(lines, (2.0, 1.0, 3.0, 0.5), strict=True)))
    late = next(mutant for mutant in mutants_of("words", SOURCE) if mutant.line == 12)
    early = next(mutant for mutant in mutants_of("words", SOURCE) if mutant.line == 4)
    assert runs.concerned(late) == ["tests/test_words.py::b", "tests/test_words.py::a"]
    assert len(runs.concerned(early)) == 3


@pytest.mark.parametrize("module", TESTS)
def test_the_stated_files_are_there_and_the_module_can_be_changed(module):
    path = ROOT / file_of(module)
    assert all((ROOT / "tests" / f"test_{stem}.py").is_file() for stem in TESTS[module])
    assert next(mutants_of(module, path.read_text(encoding="utf-8")))

"""The errors that a user meets: their families, and which errors of a library are the machine's fault."""

import errno
import os

import pytest

from yoto_core.errors import (
    NO_MEMORY,
    ConfigError,
    DataError,
    MachineError,
    PlaceError,
    RunError,
    YotoError,
    limit_of,
    memory_named,
    out_of_memory,
)


def test_a_place_that_refuses_is_a_matter_of_the_run_and_of_the_machine():
    assert all(issubclass(kind, YotoError) for kind in (DataError, ConfigError, RunError, MachineError))
    assert PlaceError.__mro__[1:3] == (RunError, MachineError)
    assert not issubclass(DataError, MachineError)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
        *(
            kind(f"[x] {words.upper()}: you tried 5 bytes")
            for words in NO_MEMORY
            for kind in (OSError, RuntimeError, ImportError)
        ),
    ],
    ids=repr,
)
def test_every_way_to_say_that_memory_was_refused_is_understood_also_behind_another_error(error):
    assert out_of_memory(error)
    outer, middle = ValueError("outer"), KeyError("middle")
    outer.__cause__, middle.__cause__ = middle, error
    assert out_of_memory(outer)
    said = limit_of(outer, "cells.h5ad")
    assert type(said) is MachineError
    assert str(said) == "cells.h5ad needs more memory than this machine has. Close other programs or use fewer cells."
    assert type(limit_of(error, "cells.h5ad", PlaceError)) is PlaceError


@pytest.mark.parametrize(
    "error", [None, ValueError(NO_MEMORY[0]), OSError("x"), RuntimeError("x"), OSError(errno.EIO, "x")]
)
def test_other_errors_do_not_speak_of_memory(error):
    assert out_of_memory(error) is False


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_a_system_that_refuses_is_named_with_its_reason(number):
    said = limit_of(OSError(number, "x"), "cells.h5ad", PlaceError)
    assert type(said) is PlaceError
    assert said.args[0] == f"cells.h5ad cannot be read ({os.strerror(number)})."
    assert said.hint == "Check the rights to the file and the disk it is on, then try again."


@pytest.mark.parametrize("number", [0, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL])
def test_what_broken_bytes_or_a_path_can_cause_is_not_the_machine(number):
    assert limit_of(OSError(number, "x"), "cells.h5ad") is None
    assert limit_of(OSError("no number"), "cells.h5ad") is None
    assert limit_of(ValueError("x"), "cells.h5ad") is None


def test_memory_that_is_refused_is_named_by_the_thing_and_nothing_else_is_changed():
    refused = MemoryError()
    with (
        pytest.raises(MachineError, match=r"^The map needs more memory than this machine has\.") as said,
        memory_named("The map"),
    ):
        raise refused
    assert said.value.__cause__ is refused
    for error in (ValueError("of ours"), DataError("The file is 5.", hint="Take 4."), KeyboardInterrupt()):
        with pytest.raises(type(error)) as met, memory_named("The map"):
            raise error
        assert met.value is error


def test_an_error_of_ours_is_not_renamed_though_memory_is_behind_it():
    ours = DataError("The file is too large.", hint="Take fewer cells.")
    ours.__cause__ = MemoryError()
    with pytest.raises(DataError) as met, memory_named("The map"):
        raise ours
    assert met.value is ours

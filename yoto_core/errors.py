"""The errors a user can cause and mend.

YotoError           what is wrong, and in `hint` what to do next
├── DataError       the file, the matrix or the labels
├── ConfigError     a setting, alone or against the data
├── RunError        a saved run, or the place it is saved to
│   └── PlaceError  … where the machine is the reason: also a MachineError
│       └── HeldError   … and another process is at it
└── MachineError    memory, or the operating system: nothing is wrong with what was asked, and nothing is removed for it

Anything else that is raised is a defect of ours and keeps its traceback.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

# What is said in words where memory was refused, by torch, numpy, HDF5, the system, and the loader of libraries.
NO_MEMORY = (
    "can't allocate memory", "unable to allocate", "memory allocation failed", "cannot allocate memory",
    "failed to map segment",
)  # fmt: skip

# Errors of the system that broken bytes or a path can cause; most libraries give none at all for those.
NOT_THE_MACHINE = (None, 0, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL)


class YotoError(Exception):
    """Base class: the message names the thing and its value, `hint` the next step."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        """One line for a shell or a log: what is wrong and what next."""
        return f"{self.args[0]} {self.hint}"


class DataError(YotoError):
    """The file cannot be read, or what it holds cannot be used."""


class ConfigError(YotoError):
    """A setting is outside its bounds, or does not fit the data."""


class RunError(YotoError):
    """A run folder is missing, broken, newer than this program, or cannot be written."""


class MachineError(YotoError):
    """This machine has too little memory, or its system refused: the same may well work elsewhere or later."""


class PlaceError(RunError, MachineError):
    """The place of a run refuses: the disk is full, or rights, memory or the system are in the way."""


class HeldError(PlaceError):
    """Another process is deciding about the same runs, and has not come to an end."""


def limit_of(error: BaseException, thing: str, kind: type[MachineError] = MachineError) -> MachineError | None:
    """What to say where the machine is the reason for an error met while reading `thing`; None where it is not."""
    if out_of_memory(error):
        return kind(
            f"{thing} needs more memory than this machine has.", hint="Close other programs or use fewer cells."
        )
    if isinstance(error, OSError) and error.errno not in NOT_THE_MACHINE:
        return kind(
            f"{thing} cannot be read ({os.strerror(error.errno)}).",
            hint="Check the rights to the file and the disk it is on, then try again.",
        )
    return None


def out_of_memory(error: BaseException | None) -> bool:
    """Whether this error, or the one behind it, says that memory was refused: every library has its own way to."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        if isinstance(error, OSError | RuntimeError | ImportError) and any(
            words in str(error).lower() for words in NO_MEMORY
        ):
            return True
        error = error.__cause__
    return False


@contextmanager
def memory_named(thing: str) -> Iterator[None]:
    """Say in one sentence (MachineError) that `thing` needs more memory than there is; other errors pass."""
    try:
        yield
    except YotoError:
        raise
    except Exception as error:
        if not out_of_memory(error):
            raise
        raise limit_of(error, thing) from error

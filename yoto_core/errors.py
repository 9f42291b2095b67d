"""The errors a user can cause and mend.

YotoError           what is wrong, and in `hint` what to do next
├── DataError       the file, the matrix or the labels
├── ConfigError     a setting, alone or against the data
└── RunError        a saved run, or the place it is saved to

Anything else that is raised is a defect of ours and keeps its traceback.
"""


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

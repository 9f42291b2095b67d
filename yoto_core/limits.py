"""How much may be uploaded and kept, and for how long: settings of a server, read from its environment.

A megabyte is a million bytes, as Streamlit's upload box counts. What holds without a variable is meant for one's own machine, where
nothing is removed by itself; with `YOTO_SHARED=1` there are limits to everything.
"""

import os
from dataclasses import dataclass

from yoto_core.errors import ConfigError
from yoto_core.words import size_text

MB = 1_000_000  # bytes
DAY = 86_400.0  # seconds
SHARED = "YOTO_SHARED"
# Variable of each limit. In config.toml `maxUploadSize` is the largest file that Streamlit itself takes.
VARIABLES = {
    "upload": "YOTO_UPLOAD_MB", "waiting": "YOTO_WAITING_MB", "browser": "YOTO_BROWSER_MB", "kept": "YOTO_KEPT_MB",
    "days": "YOTO_KEPT_DAYS",
}  # fmt: skip
OWN_MACHINE = {"upload": 4000, "waiting": 8000, "browser": 0, "kept": 0, "days": 0}
SHARED_SERVER = {"upload": 2000, "waiting": 4000, "browser": 10_000, "kept": 100_000, "days": 30}
ENDLESS = ("browser", "kept", "days")  # of which 0 means no limit


@dataclass(frozen=True)
class Limits:
    """Megabytes and days; 0 means no limit where `ENDLESS` says so."""

    upload: int  # of one file
    waiting: int  # in memory at once, sent by all browsers and not yet on the disk; one browser may hold `upload` of it
    browser: int  # kept files of one browser
    kept: int  # all kept files
    days: int  # since its last use, after which a file that no waiting or working run needs is removed

    @classmethod
    def from_environment(cls) -> "Limits":
        """The limits of this server (ConfigError where a variable holds something else than a whole number)."""
        asked = os.environ.get(SHARED, "")
        if asked not in ("", "0", "1"):
            raise ConfigError(
                f"{SHARED} is “{asked}”.", hint="Set it to 1 for a server that several people use, or to 0."
            )
        usual = SHARED_SERVER if shared() else OWN_MACHINE
        found = {
            name: _number(variable, usual[name], zero_allowed=name in ENDLESS) for name, variable in VARIABLES.items()
        }
        if not is_set(VARIABLES["waiting"]):
            found["waiting"] = max(found["waiting"], found["upload"])
        if found["waiting"] < found["upload"]:
            raise ConfigError(
                f"{VARIABLES['waiting']} is {found['waiting']:,} MB, less than one upload of {found['upload']:,} MB.",
                hint=f"Set it to {found['upload']} or more, or {VARIABLES['upload']} to less.",
            )
        return cls(**found)

    def sentence(self) -> str:
        """What a user should know before an upload; nothing where one file's size is the only limit: the upload box says it."""
        if not (self.browser or self.kept or self.days):
            return ""
        said = [f"At most {size_text(self.upload * MB)} per file"]
        if self.browser:
            said.append(f"{size_text(self.browser * MB)} for all your files")
        if self.kept:
            said.append(f"{size_text(self.kept * MB)} on this server")
        kept = f"Files are removed {self.days:,} days after their last use." if self.days else ""
        return f"{', '.join(said)}. {kept}".rstrip()


def shared() -> bool:
    """Whether several people use this server, to whom each other's runs and files are a stranger's: `YOTO_SHARED=1`.

    Anything but nothing and 0 counts: who meant to say yes in another word must not be laid open.
    """
    return os.environ.get(SHARED, "") not in ("", "0")


def is_set(variable: str) -> bool:
    """Whether a variable of the environment says anything."""
    return bool(os.environ.get(variable, "").strip())


def _number(variable: str, usual: int, *, zero_allowed: bool) -> int:
    if not is_set(variable):
        return usual
    asked = os.environ[variable].strip()
    if not (asked.isascii() and asked.isdigit()) or (int(asked) == 0 and not zero_allowed):
        unit = "days" if variable.endswith("DAYS") else "megabytes"
        least = "0 for no limit" if zero_allowed else "1 or more"
        raise ConfigError(f"{variable} is “{asked[:40]}”.", hint=f"Give a whole number of {unit}, {least}.")
    return int(asked)

"""Findings and errors, always with their next step; text from files is shown as it is, never as Markdown."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import streamlit as st

from pages.ui import state
from yoto_core.data.checks import Finding
from yoto_core.errors import YotoError


def plain(text: str) -> str:
    """Text with every Markdown and directive character made harmless."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]()<>#+-.!|~$:^=&" else char for char in text).replace("\n", " ")


def duration(seconds: float) -> str:
    """A time span in words: 7 seconds, 1 min 36 s, 2 h 5 min."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} second{'' if rest == 1 else 's'}"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def show_error(error: YotoError) -> None:
    """What is wrong and what next."""
    st.error(f"{plain(str(error.args[0]))}\n\n**Next:** {plain(error.hint)}", icon=":material/error:")


@contextmanager
def errors_shown(*, stop: bool = True) -> Iterator[None]:
    """Show an error of the block's as a message, and by default end the page there."""
    try:
        yield
    except YotoError as error:
        show_error(error)
        if stop:
            st.stop()


def show_notice() -> None:
    """The error of a link that led nowhere, once."""
    error = state.take_notice()
    if error is not None:
        show_error(error)


def show_findings(findings: Iterable[Finding]) -> None:
    """Warnings first; notes in grey."""
    for finding in sorted(findings, key=lambda finding: finding.level != "warning"):
        text = plain(f"{finding.message} {finding.hint}".strip())
        if finding.level == "warning":
            st.warning(text, icon=":material/warning:")
        else:
            st.caption(f":material/info: {text}")

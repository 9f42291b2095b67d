"""Keep garbage collection cheap.

Streamlit collects all garbage after every script run, each tick of a timed fragment included, by walking through every
object of the process. With torch, scanpy and plotly loaded that takes a tenth of a second and more, in which no other
session is served and a core is taken from the training beside it. Libraries stay for ever: they need no walking through.
"""

import gc
import sys

import streamlit as st


def spare() -> None:
    """Leave out what is loaded by now; called on every run, it acts only where libraries were loaded since."""
    _leave_out(len(sys.modules))


@st.cache_resource(max_entries=1, show_spinner=False)
def _leave_out(modules: int) -> None:
    gc.collect()
    gc.freeze()

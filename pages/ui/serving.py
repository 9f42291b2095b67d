"""What a server does before it serves: say what is wrong with its settings, clear up, and put a guard before uploads."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.middleware import Middleware
from streamlit import config

from pages.ui.uploads import Guard
from pages.ui.visitors import Front
from yoto_core.errors import ConfigError, RunError
from yoto_core.limits import VARIABLES, Limits, is_set
from yoto_core.store.history import sweep_leftovers
from yoto_core.store.storage import remove_expired

LARGEST = "server.maxUploadSize"  # MB; Streamlit's own limit, which its upload box shows


def settings() -> dict[str, Any]:
    """The arguments of `st.App`; a setting that makes no sense ends the program with one sentence."""
    try:
        limits = Limits.from_environment()
    except ConfigError as error:
        print(f"yoto: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    largest = limits.upload if is_set(VARIABLES["upload"]) else min(limits.upload, config.get_option(LARGEST))
    config.set_option(LARGEST, largest)
    return {"middleware": [Middleware(Front), Middleware(Guard)], "lifespan": _lifespan}


@asynccontextmanager
async def _lifespan(_app: object) -> AsyncIterator[dict[str, Any]]:
    await asyncio.to_thread(_clear_up)
    yield {}


def _clear_up() -> None:
    """Remove what crashed processes left, and what nobody has used for too long."""
    try:
        sweep_leftovers()
        remove_expired(Limits.from_environment())
    except RunError as error:  # a disk that refuses must not keep the server from starting
        print(f"yoto: {error}", file=sys.stderr)

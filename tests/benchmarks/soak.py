"""People come and go for half an hour: does the server end as it began?

    python -W ignore -m tests.benchmarks.load soak [--minutes 30]

Each visitor loads a file, reads a finished run, labels new cells, starts a training, stops it and leaves. Once a minute the
table says what the server holds; at the end, what grew per hour once everything was in use, and what was left behind.
"""

import argparse
import asyncio
import os
import re
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import psutil

from tests.conftest import make_toy
from tests.shared_browser import Server
from tests.shared_runs import PATIENCE, drawn_maps, finished, save_explored, wait_for_end
from tests.shared_sessions import Session, opened
from yoto_core.store.folders import run_folder
from yoto_core.store.history import history, leftovers
from yoto_core.store.status import read_status

FILES = 3  # that visitors load
AT_ONCE = 3  # visitors
HOLDS_SESSIONS = 2  # seconds that the server keeps a session that has left
WARM = 0.25  # of the time, before growth is counted


@dataclass(frozen=True)
class Held:
    """What a server and its home hold at one moment."""

    megabytes: float
    files: int
    threads: int
    children: int
    sessions: int
    disk: float  # megabytes under its home


def held(server: Server) -> Held:
    """What the server holds now."""
    process = psutil.Process(server.process.pid)
    with urllib.request.urlopen(f"{server.url}/_stcore/metrics?families=active_sessions", timeout=PATIENCE) as answer:
        sessions = re.search(r"^active_sessions (\d+)", answer.read().decode(), re.MULTILINE)
    disk = sum(path.stat().st_size for path in server.home.rglob("*") if path.is_file())
    return Held(
        process.memory_info().rss / 1e6, process.num_fds(), process.num_threads(),
        len(process.children(recursive=True)), int(sessions[1]) if sessions else 0, disk / 1e6,
    )  # fmt: skip


def made_files(folder: Path) -> list[Path]:
    """Toys to load, each of other cells."""
    paths = [folder / f"cells {seed}.h5ad" for seed in range(FILES)]
    for seed, path in enumerate(paths):
        make_toy(seed=seed).write_h5ad(path)
    return paths


async def visit(url: str, run_id: str, file: Path) -> list[str]:
    """One visitor, from the first page to the last; returns what went wrong."""
    async with opened(url) as tab:
        await tab.upload("Labelled cells (.h5ad)", file)
        await tab.until(lambda tab: "What it can be used for" in tab.words())
        await tab.visit("design")
        await tab.press("Train this panel")
        started = await stopped_from_its_page(tab)
        for page in ("panel", "maps", "metrics", "enrichment", "runs"):
            await tab.visit(page, run=run_id)
        await tab.visit("predict", run=run_id)
        await tab.upload("File (.h5ad)", file)
        await tab.until(lambda tab: tab.offers("Predictions (CSV)"))
        errors = list(tab.errors)
    status = await asyncio.to_thread(wait_for_end, run_folder(started))
    return errors if status.state in ("stopped", "done") else [*errors, f"a training: {status}"]


async def stopped_from_its_page(tab: Session) -> str:
    """Stop the run whose page is open, and return its id."""
    await tab.until(lambda tab: "run=" in tab.query and tab.page == "train")
    await tab.until(lambda tab: tab.offers("Stop"))
    await tab.press("Stop", key="stop")
    return re.search("run=([0-9a-f]{32})", tab.query)[1]


async def come_and_go(url: str, run_id: str, files: Sequence[Path], rounds: int) -> list[str]:
    """So many rounds of visitors, a few at once; returns what went wrong."""
    errors: list[str] = []
    for _ in range(rounds):
        for found in await asyncio.gather(
            *(visit(url, run_id, files[i % len(files)]) for i in range(AT_ONCE)), return_exceptions=True
        ):
            errors += [f"{type(found).__name__}: {found}"] if isinstance(found, BaseException) else found
    return errors


def line(minute: float, visitors: int, now: Held) -> str:
    """One line of the table."""
    return (
        f"| {minute:.0f} | {visitors} | {now.megabytes:.0f} | {now.files} | {now.threads} | {now.children} | "
        f"{now.sessions} | {now.disk:.1f} |"
    )


async def soak(server: Server, run_id: str, files: Sequence[Path], minutes: float) -> None:
    """Print the table and the verdict."""
    print("\n| minute | visitors so far | MB | open files | threads | children | sessions | MB of disk |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    begun, seen, errors, visitors = time.monotonic(), [], [], 0
    while (now := (time.monotonic() - begun) / 60) < minutes:
        errors += await come_and_go(server.url, run_id, files, 1)
        visitors += AT_ONCE
        if now >= len(seen):
            seen.append((now, held(server)))
            print(line(now, visitors, seen[-1][1]), flush=True)
    await asyncio.sleep(2 * HOLDS_SESSIONS)
    errors += await come_and_go(server.url, run_id, files, 1)  # what has left is forgotten when another one comes
    await asyncio.sleep(2 * HOLDS_SESSIONS)
    print(line(minutes, visitors + AT_ONCE, held(server)))
    warm = [(minute / 60, now) for minute, now in seen if minute >= WARM * minutes]
    for field in fields(Held):
        slope = np.polyfit([hour for hour, _ in warm], [getattr(now, field.name) for _, now in warm], 1)[0]
        print(f"{field.name}: {slope:+.1f} per hour")
    states = [read_status(run_folder(row.run_id)).state for row in history()]
    print(f"runs: {len(states)}, still at work {sum(state in ('queued', 'running') for state in states)}")
    print(f"leftovers: {len(leftovers())}, errors: {len(errors)}, in the log: {server.said().count('Traceback')}")
    for error in errors[:5]:
        print(f"    {error[:2000]}")


def main(arguments: Sequence[str]) -> None:
    """Start a server of its own and soak it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    asked = parser.parse_args(arguments)
    os.environ |= {"YOTO_MAX_RUNS": "2", "STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": str(HOLDS_SESSIONS)}
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["YOTO_HOME"] = str(Path(temporary) / "home")
        files = made_files(Path(temporary))
        run_id = save_explored(drawn_maps()).name
        finished.cache_clear()
        server = Server(Path(temporary) / "home")
        try:
            asyncio.run(soak(server, run_id, files, asked.minutes))
        finally:
            server.close()

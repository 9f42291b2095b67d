"""Twenty people on one server: what a click costs them, whether anything breaks, and what the server holds.

    python -W ignore -m tests.benchmarks.load [--sessions 20] [--think 8]
    python -W ignore -m tests.benchmarks.load soak [--minutes 30]         (see `soak`)

One server, one home with finished runs of the shipped data. Sessions (`tests.shared_sessions`) read them page by page and
change an input on each, thinking in between; a click's time is that from the request until the page's script has ended.
First one alone, then one beside three trainings, then twenty, then twenty beside three trainings, and again with one real
browser, which takes a good part of two processors itself.
Compare only figures of one table.
"""

import argparse
import asyncio
import os
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
from playwright.sync_api import sync_playwright

from tests.benchmarks import soak
from tests.benchmarks.jobs import new_run
from tests.benchmarks.machine import describe_machine
from tests.benchmarks.pages import peak_memory, run_of, stands, visit
from tests.shared_browser import FLAGS, Server, browser_path
from tests.shared_sessions import Session, opened
from yoto_core.demo import DEMO_FILE, demo_config
from yoto_core.store.status import read_status
from yoto_core.work import queue

FINISHED = 10  # runs to read, more than any cache of the server holds
TRAININGS = 3
HOLDS_SESSIONS = 5  # seconds that this server keeps a session that has left
MAPS = (("Colour by", "Gene"), ("Colour by", "Label"))
WALK = (
    "panel", "maps", *MAPS, "metrics", ("Numbers", "Counts"), ("Numbers", "Shares"),
    "enrichment", ("Figure", "Dots"), "runs",
)  # fmt: skip
PAGES = ("Panel", "Maps", "Metrics", "Enrichment")  # what the browser opens


@dataclass
class Taken:
    """What so many sessions met: seconds of every click, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def click(session: Session, step: str | tuple[str, str]) -> float:
    """One step of the walk: another page, or another choice on this one."""
    return await (session.visit(step) if isinstance(step, str) else session.choose(*step))


async def read(session: Session, think: Callable[[], float], taken: Taken) -> None:
    """Walk once through all that a finished run has to show."""
    for step in WALK:
        await asyncio.sleep(think())
        taken.seconds.append(await click(session, step))


async def reader(session: Session, think: Callable[[], float], goes_on: Callable[[int], bool], taken: Taken) -> None:
    """Read again and again; an error ends the reading and is kept."""
    rounds = 0
    try:
        while goes_on(rounds):
            await read(session, think, taken)
            rounds += 1
    except (AssertionError, TimeoutError, OSError) as error:
        taken.errors.append(f"{type(error).__name__}: {error}")
    taken.errors += session.errors


def thinking(seed: int, seconds: float) -> Callable[[], float]:
    """Seconds between two clicks: half of them shorter than `seconds`, few much longer."""
    chance = random.Random(seed)
    return lambda: chance.lognormvariate(0.0, 0.7) * seconds


@asynccontextmanager
async def tabs(
    url: str, run_ids: Sequence[str], number: int, memory: Callable[[], None]
) -> AsyncIterator[list[Session]]:
    """So many tabs, opened one after the other; `memory` is noted after each has read its run once without thinking."""
    async with AsyncExitStack() as stack:
        found = []
        for i in range(number):
            found.append(await stack.enter_async_context(opened(url, "panel", run=run_ids[i % len(run_ids)])))
            await read(found[-1], lambda: 0.0, Taken())
            memory()
        yield found


async def phase(sessions: Sequence[Session], think: float, goes_on: Callable[[int], bool]) -> Taken:
    """All sessions read at once, each with its own pace."""
    taken = Taken()
    async with asyncio.TaskGroup() as group:
        for i, session in enumerate(sessions):
            group.create_task(reader(session, thinking(i, think), goes_on, taken))
    return taken


def trainings() -> list[Path]:
    """So many runs at work."""
    folders = [new_run(demo_config()) for _ in range(TRAININGS)]
    queue.submit(*folders)
    return folders


def at_work(folders: Sequence[Path]) -> bool:
    """Whether one of them still works."""
    return any(read_status(folder).live for folder in folders)


def not_done(folders: Sequence[Path]) -> list[str]:
    """What became of those that did not end well."""
    ended = [read_status(folder) for folder in folders]
    return [f"a training: {status.state}: {status.message}" for status in ended if status.state != "done"]


def browse(url: str, run_id: str, over: threading.Event, taken: Taken) -> None:
    """One real browser that goes from page to page until it is over; seconds until each page is drawn."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=browser_path(driver), args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.thrown = []
        page.set_default_timeout(120_000)
        page.goto(f"{url}/metrics?run={run_id}")
        stands(page, "Metrics")
        try:
            while not over.wait(2.0):
                taken.seconds.append(visit(page, PAGES[len(taken.seconds) % len(PAGES)]))
        except AssertionError as error:
            taken.errors.append(str(error))
        finally:
            browser.close()


def row(what: str, taken: Taken) -> None:
    """One line of the table."""
    ninety_fifth = float(np.percentile(taken.seconds, 95))
    print(
        f"| {what} | {len(taken.seconds):,} | {statistics.median(taken.seconds):.2f} | {ninety_fifth:.2f} | "
        f"{max(taken.seconds):.2f} | {len(taken.errors)} |",
        flush=True,
    )
    for error in taken.errors[:5]:
        print(f"    {error[:300]}")


def megabytes(process: psutil.Process) -> float:
    """What a process holds."""
    return process.memory_info().rss / 1e6


def processor_seconds(process: psutil.Process | None = None) -> float:
    """What a process, by default this one, has used of the processors so far."""
    return sum((process or psutil.Process()).cpu_times()[:2])


async def left_alone(url: str, process: psutil.Process) -> float:
    """Megabytes once every session has left and is forgotten."""
    await asyncio.sleep(2 * HOLDS_SESSIONS)
    for _ in range(2):  # sessions that have left are forgotten when another one comes or goes
        async with opened(url, "runs"):
            pass
        await asyncio.sleep(1.0)
    return megabytes(process)


async def measure(server: Server, run_ids: Sequence[str], number: int, think: float) -> None:
    """Print the tables."""
    process = psutil.Process(server.process.pid)
    async with opened(server.url):
        idle = megabytes(process)
    print("\n| sessions | clicks | median, s | 95th percentile, s | longest, s | errors |\n|---|---|---|---|---|---|")
    held: list[float] = []
    async with tabs(server.url, run_ids, 1, lambda: held.append(megabytes(process))) as alone:
        row("one alone", await phase(alone, think / 8, lambda rounds: rounds < 3))
        folders = trainings()
        beside = await phase(alone, think / 8, lambda _: at_work(folders))
        beside.errors += not_done(folders)
        row(f"one, {TRAININGS} trainings", beside)
    async with tabs(server.url, run_ids, number, lambda: held.append(megabytes(process))) as all_of_them:
        row(f"{number}", await phase(all_of_them, think, lambda rounds: rounds < 1))
        spent, served, began = processor_seconds(), processor_seconds(process), time.perf_counter()
        folders = trainings()
        crowded = await phase(all_of_them, think, lambda _: at_work(folders))
        crowded.errors += not_done(folders)
        took = time.perf_counter() - began
        spent, served = processor_seconds() - spent, processor_seconds(process) - served
        row(f"{number}, {TRAININGS} trainings", crowded)
        folders, over, drawn = trainings(), threading.Event(), Taken()
        browser = asyncio.create_task(asyncio.to_thread(browse, server.url, run_ids[0], over, drawn))
        crowded = await phase(all_of_them, think, lambda _: at_work(folders))
        over.set()
        await browser
        crowded.errors += not_done(folders)
        row(f"{number}, {TRAININGS} trainings and a browser", crowded)
        row("the browser: a page drawn", drawn)
        full = megabytes(process)
    after = await left_alone(server.url, process)
    slope = float(np.polyfit(range(1, number), held[2:], 1)[0]) if number > 2 else float("nan")
    print(
        f"\nof one processor, {number} sessions beside trainings: the server {served / took:.0%}, they themselves {spent / took:.0%}"
    )
    print(f"log of the server: {server.said().count('Traceback')} errors")
    print("\n| the server holds | MB |\n|---|---|")
    print(f"| before anybody has come | {idle:.0f} |")
    print(f"| … one has read a run | {held[0]:.0f} |")
    print(f"| … each further session that has read one | {slope:+.1f} |")
    print(f"| with {number} sessions, after the last training | {full:.0f} |")
    print(f"| once all have left | {after:.0f} |")
    print(f"| at most | {1000 * peak_memory(process.pid):.0f} |")


def main() -> None:
    """Make the finished runs, start the server, and measure."""
    if sys.argv[1:2] == ["soak"]:
        print(describe_machine())
        soak.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="where the runs are kept; a temporary folder if not given")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--think", type=float, default=8.0, help="median seconds between two clicks of a session")
    asked = parser.parse_args()
    os.environ |= {
        "YOTO_MAX_RUNS": str(TRAININGS), "STREAMLIT_SERVER_DISCONNECTED_SESSION_TTL": str(HOLDS_SESSIONS)
    }  # fmt: skip
    print(describe_machine(DEMO_FILE))
    with tempfile.TemporaryDirectory() as temporary:
        home = (asked.home or Path(temporary) / "home").resolve()
        os.environ["YOTO_HOME"] = str(home)
        first = run_of(DEMO_FILE, "demo", demo_config())
        run_ids = [first, *(f"{i:032x}" for i in range(1, FINISHED))]
        for run_id in run_ids[1:]:
            shutil.copytree(home / "runs" / first, home / "runs" / run_id)
        server = Server(home)
        try:
            asyncio.run(measure(server, run_ids, asked.sessions, asked.think))
        finally:
            server.close()


if __name__ == "__main__":
    main()

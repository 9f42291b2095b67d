"""Runs as jobs: how soon they start and stop, what watching costs, and what hundreds of them leave behind.

    python -W ignore -m tests.benchmarks.jobs [CYCLES]

Times are of this machine under its present load; compare only figures of one table. Watchers are ten sessions of the Train
page that run again every second in a process of their own, as a server does for ten browsers.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import psutil

from tests.benchmarks.machine import describe_machine
from yoto_core.config import RunConfig
from yoto_core.data.reading import read_dataset
from yoto_core.demo import DEMO_FILE, demo_config
from yoto_core.files import home, write_json
from yoto_core.store import runs
from yoto_core.store.history import history, history_table, leftovers
from yoto_core.store.status import Status, read_status
from yoto_core.work import jobs

PROJECT = Path(__file__).resolve().parents[2]
WATCHERS = 10
WATCH = """
import sys, time
from pathlib import Path
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest
sessions = []
for _ in range(int(sys.argv[2])):
    at = AppTest.from_file("app.py", default_timeout=60)
    at.query_params["run"] = sys.argv[1]
    PagesManager.uses_pages_directory = False
    sessions.append(at.run().switch_page("pages/3_train.py"))
while True:
    begun = time.monotonic()
    for at in sessions:
        at.run()
    time.sleep(max(0.0, 1.0 - (time.monotonic() - begun)))
"""


def new_run(config: RunConfig) -> Path:
    """A run of the shipped data."""
    digest = read_dataset(DEMO_FILE).digest
    return runs.create_run(config, data_path=DEMO_FILE, data_name="demo", data_digest=digest)


def until(folder: Path, ready: object) -> Status:
    """The first status that is ready."""
    while not ready(status := read_status(folder)):
        time.sleep(0.01)
    return status


def start_and_stop() -> tuple[float, float]:
    """Seconds from launch to first progress, and from a request to end in the middle of the training to its end."""
    folder = new_run(demo_config())
    begun = time.perf_counter()
    jobs.launch(folder)
    until(folder, lambda status: status.phase or not status.live)
    first = time.perf_counter() - begun
    until(folder, lambda status: status.phase == "training" or not status.live)
    asked = time.perf_counter()
    jobs.stop(folder)
    until(folder, lambda status: not status.live)
    return first, time.perf_counter() - asked


def page_with_history(number: int) -> tuple[float, float]:
    """Seconds to list so many finished runs from cold, and to run the Runs page with them."""
    first = new_run(demo_config())
    (first / "panel.csv").write_text("x" * 5000)
    done = replace(read_status(first), state="done", started=1.0, finished=60.0, score=0.8, has_panel=True)
    write_json(first / "status.json", done.__dict__)
    for i in range(number - 1):
        shutil.copytree(first, first.with_name(f"{i:032x}"))
    begun = time.perf_counter()
    history_table(history())
    listed = time.perf_counter() - begun
    code = (
        "import time\nfrom streamlit.runtime.pages_manager import PagesManager\nfrom streamlit.testing.v1 import AppTest\n"
        "at = AppTest.from_file('app.py', default_timeout=60).run()\nPagesManager.uses_pages_directory = False\n"
        "at.switch_page('pages/9_runs.py').run()\n"
        "t = time.perf_counter(); at.run(); print(time.perf_counter() - t)\nassert not at.exception"
    )
    said = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=PROJECT, capture_output=True, text=True)
    return listed, float(said.stdout.split()[-1])


def watchers_cost(config: RunConfig, pairs: int = 3) -> tuple[float, float]:
    """Median seconds of training alone and with ten sessions that watch, alternating."""
    alone, watched = [], []
    for _ in range(pairs):
        for number, times in ((0, alone), (WATCHERS, watched)):
            folder = new_run(config)
            command = [sys.executable, "-W", "ignore", "-c", WATCH, folder.name, str(number)]
            watching = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.DEVNULL) if number else None
            time.sleep(15 if number else 0)  # until all sessions have opened the page
            jobs.launch(folder)
            until(folder, lambda status: status.has_panel or not status.live)
            times.append(runs.read_history(folder).shape[0] and runs.load_run(folder).timing.get("training_seconds"))
            if not times[-1]:
                until(folder, lambda status: not status.live)
                times[-1] = runs.load_run(folder).timing["training_seconds"]
            jobs.stop(folder)
            until(folder, lambda status: not status.live)
            if watching:
                watching.kill()
                watching.wait()
    return statistics.median(alone), statistics.median(watched)


def cycles(number: int) -> dict[str, int]:
    """Start and stop so many runs at random moments; count what is left."""
    for i in range(number):
        folder = new_run(demo_config())
        jobs.launch(folder)
        time.sleep(0.02 * (i % 10))
        jobs.stop(folder)
        until(folder, lambda status: not status.live)
    until_gone = time.monotonic() + 10
    workers: list[psutil.Process] = []
    while time.monotonic() < until_gone:
        workers = [p for p in psutil.Process().children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE]
        if not workers:
            break
        time.sleep(0.1)
    states = [row.status.state for row in history()]
    return {
        "processes left": len(workers),
        "temporary files left": len(leftovers()) + len(list(home().rglob("*.part"))),
        "runs that are neither stopped nor done": sum(state not in ("stopped", "done") for state in states),
    }


def main() -> None:
    """Print the table."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    print(describe_machine(DEMO_FILE))
    print("\n| measure | found | wanted |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["YOTO_HOME"] = folder
        found = [start_and_stop() for _ in range(3)]
        print(f"| launch to first progress, median of 3 | {statistics.median(f for f, _ in found):.2f} s | < 3 s |")
        print(f"| stop to stopped, median of 3 | {statistics.median(s for _, s in found):.2f} s | < 2 s |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["YOTO_HOME"] = folder
        listed, page = page_with_history(500)
        print(f"| list of 500 finished runs, cold | {listed:.2f} s | < 1 s |")
        print(f"| Runs page with them | {page:.2f} s | < 1 s |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["YOTO_HOME"] = folder
        for name, left in cycles(number).items():
            print(f"| {number} start/stop cycles: {name} | {left} | 0 |", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["YOTO_HOME"] = folder
        alone, watched = watchers_cost(demo_config())
        print(f"| training alone, median of 3 | {alone:.2f} s | |")
        print(f"| training with {WATCHERS} watching | {watched:.2f} s ({watched / alone - 1:+.1%}) | < +5 % |")


if __name__ == "__main__":
    main()

"""Runs as jobs: how soon they start and stop, what watching costs, and what hundreds of them leave behind.

    python -W ignore -m tests.benchmarks.jobs [CYCLES [PAIRS]]      (200 and 5; 0 leaves a part out)

Times are of this machine under its present load; compare only figures of one table. Watchers are real sessions of a real
server (`watchers`); a training with them and one without take turns, and each pair is compared with itself.
"""

import os
import random
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
from tests.shared_browser import Server
from yoto_core.config import RunConfig
from yoto_core.data.reading import read_dataset
from yoto_core.demo import DEMO_FILE, demo_config
from yoto_core.files import home, write_json
from yoto_core.store import runs
from yoto_core.store.folders import run_folder
from yoto_core.store.history import Row, history, history_table, leftovers
from yoto_core.store.status import Status, read_status
from yoto_core.work import jobs

PROJECT = Path(__file__).resolve().parents[2]
WATCHERS = 10
LONGER = 20  # times the demo's training: long enough that a status file every quarter of a second tells its length


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
    done = replace(
        read_status(first),
        state="done",
        started=1.0,
        finished=60.0,
        scores=(("cell_type", "macro_f1", 0.8),),
        has_panel=True,
    )
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


def training_seconds(address: str, serving: psutil.Process, watching: int) -> tuple[float, float]:
    """While so many sessions watch, all open by then: seconds of the last two thirds of one training, and the server's."""
    demo = demo_config()
    long = replace(demo.training, steps=LONGER * demo.training.steps, fit_steps=LONGER * demo.training.fit_steps)
    folder = new_run(replace(demo, training=long))
    jobs.launch(folder)
    command = [sys.executable, "-m", "tests.benchmarks.watchers", address, folder.name, str(watching)]
    watchers = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)
    watchers.stdout.readline()
    if (now := read_status(folder)).phase == "training" and now.done * 3 > now.total:
        raise SystemExit("The sessions were open too late: let the training be longer.")
    until(folder, lambda status: status.phase == "training" and status.done * 3 >= status.total)
    begun, used = time.perf_counter(), sum(serving.cpu_times()[:2])
    until(folder, lambda status: status.phase != "training" or not status.live)
    taken, used = time.perf_counter() - begun, sum(serving.cpu_times()[:2]) - used
    watchers.kill()
    watchers.communicate()
    jobs.stop(folder)
    until(folder, lambda status: not status.live)
    return taken, used


def watchers_cost(pairs: int) -> list[tuple[float, float, float]]:
    """Seconds of training alone, with ten sessions that watch, and of the server meanwhile; the first two take turns."""
    server = Server(home())
    address, serving, found = server.url, psutil.Process(server.process.pid), []
    try:
        training_seconds(address, serving, WATCHERS)  # the server loads what it needs once
        for pair in range(pairs):
            order = (0, WATCHERS) if pair % 2 else (WATCHERS, 0)
            times = {number: training_seconds(address, serving, number) for number in order}
            found.append((times[0][0], *times[WATCHERS]))
    finally:
        server.close()
    return found


def cycles(number: int) -> dict[str, int]:
    """Start and stop so many runs at random moments, from before the first sign of life to the middle of the training."""
    chance = random.Random(0)
    for _ in range(number):
        folder = new_run(demo_config())
        jobs.launch(folder)
        time.sleep(chance.expovariate(2.0))
        jobs.stop(folder)
        until(folder, lambda status: not status.live)
    deadline = time.monotonic() + 10
    while (workers := psutil.Process().children(recursive=True)) and time.monotonic() < deadline:
        time.sleep(0.1)
    states = [row.status.state for row in history()]
    return {
        "processes left, zombies included": len(workers),
        "temporary files left": len(leftovers()) + len([path for path in home().rglob(".*") if path.is_file()]),
        "runs that are neither stopped nor done": sum(state not in ("stopped", "done") for state in states),
        "runs that say they have a panel and cannot be read": sum(not readable(row) for row in history()),
    }


def readable(row: Row) -> bool:
    """Whether a run without a panel says so, and one with a panel can be loaded."""
    folder = run_folder(row.run_id)
    return bool(runs.load_run(folder).panel.genes) if row.status.has_panel else not (folder / "panel.csv").exists()


def main() -> None:
    """Print the table."""
    number, pairs = (int(word) for word in [*sys.argv[1:], *("200", "5")[len(sys.argv) - 1 :]])
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
        for name, left in (cycles(number) if number else {}).items():
            print(f"| {number} start/stop cycles: {name} | {left} | 0 |", flush=True)
    if not pairs:
        return
    with tempfile.TemporaryDirectory() as folder:
        os.environ["YOTO_HOME"] = folder
        found = watchers_cost(pairs)
        costs = [watched / alone - 1 for alone, watched, _ in found]
        alone, watched, used = (statistics.median(times) for times in zip(*found, strict=True))
        print(f"| two thirds of a long training alone, median of {pairs} | {alone:.1f} s | |")
        print(f"| the same with {WATCHERS} watching | {watched:.1f} s | |")
        print(f"| what the server needs meanwhile, of one processor | {used / watched:.1%} | |")
        each = ", ".join(f"{cost:+.1%}" for cost in sorted(costs))
        print(f"| what watching costs, median of the pairs ({each}) | {statistics.median(costs):+.1%} | < +5 % |")


if __name__ == "__main__":
    main()

"""Odd and hostile input without end: how often each kind was read or refused, and that nothing else ever happened.

    python -W ignore -m tests.benchmarks.fuzz [KIND …] [--seconds 60] [--seed 0]

Each kind works in a process of its own, so that a crash of a library would be seen, and named by its seed.
"""

import argparse
import importlib
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.benchmarks.machine import describe_machine
from yoto_core.demo import DEMO_FILE

# What is made odd -> the module of tests/fuzz and its function.
KINDS = {
    "data files, structure": ("files", "case"),
    "data files, bytes": ("files", "flipped"),
    "zarr stores and archives": ("files", "container"),
    "models, one bit": ("models", "flipped"),
    "models, values": ("models", "changed"),
    "run folders, a damaged file": ("models", "folder_with_damage"),
    "run folders, no file in its place": ("models", "folder_without_a_file"),
    "gene sets": ("texts", "gene_sets"),
    "notes on kept files": ("texts", "notes"),
}


def work(kind: str, seconds: float, first: int) -> None:
    """Make and read cases of one kind for so long; every seed is said before it is tried, and the outcomes at the end."""
    module, name = KINDS[kind]
    case, found = getattr(importlib.import_module(f"tests.fuzz.{module}"), name), Counter()
    with tempfile.TemporaryDirectory() as folder:
        case(first, Path(folder))  # whatever is loaded once
        before, until, seed = peak(), time.monotonic() + seconds, first
        while time.monotonic() < until:
            print(f"seed {seed}", flush=True)
            found[case(seed, Path(folder))] += 1
            seed += 1
    said = ", ".join(f"{number:,} {outcome}" for outcome, number in sorted(found.items()))
    print(f"| {kind} | {sum(found.values()):,} | {said} | {peak() - before:.0f} MB |", flush=True)


def peak() -> float:
    """The most memory (MB) that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        return work(asked.work, asked.seconds, asked.seed)
    print(describe_machine(DEMO_FILE))
    print("\n| input | cases | came out | memory beyond the first case, at most |\n|---|---|---|---|", flush=True)
    for kind in asked.kinds or KINDS:
        own = ["--work", kind, "--seconds", str(asked.seconds), "--seed", str(asked.seed)]
        command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.fuzz", *own]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        if done.returncode:
            print(f"| {kind} | | ended with code {done.returncode} at {lines[-1] if lines else 'its start'} | |")
            print(done.stderr[-2_000:], file=sys.stderr)
        else:
            print(lines[-1], flush=True)
    return None


if __name__ == "__main__":
    main()

"""What a table was measured on."""

import os
import platform
from pathlib import Path

from yoto_core.data.reading import read_dataset
from yoto_core.runtime import versions


def describe_machine(*files: Path) -> str:
    """Processors, load, versions and data digests, one line each."""
    libraries = ", ".join(f"{name} {version}" for name, version in versions().items() if name != "platform")
    lines = [
        f"machine: {platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}",
        f"versions: {libraries}",
        *(f"data: {path.name} {read_dataset(path).digest[:12]}" for path in files),
    ]
    return "\n".join(lines)

"""Where a computation runs: seed, threads, device and the versions that a run records."""

import os
import platform
from importlib import metadata

import numpy as np
import torch

RECORDED = ("torch", "numpy", "scipy", "pandas", "anndata", "scanpy", "scikit-learn", "streamlit")


def prepare(seed: int, threads: int) -> torch.Generator:
    """Fix every source of chance and the thread count, and hand out the one generator that training draws from.

    Results are equal bit for bit for the same data, config, seed and thread count.
    """
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=True)
    torch.manual_seed(seed)
    return torch.Generator(device="cpu").manual_seed(seed)


def random_state(seed: int, purpose: str) -> np.random.Generator:
    """A numpy generator of its own for each purpose, so that drawing more in one place changes nothing in another."""
    return np.random.default_rng([seed, *purpose.encode()])


def device() -> torch.device:
    """The device named by `YOTO_DEVICE` (cpu, cuda or mps); the processor unless asked otherwise."""
    return torch.device(os.environ.get("YOTO_DEVICE", "cpu"))


def versions() -> dict[str, str]:
    """Versions of Python and of every library that can change a result."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in RECORDED:
        found[name] = metadata.version(name)
    return found

"""Where a computation runs: its sources of chance and the versions that a run records."""

import platform
from importlib import metadata

import numpy as np
import torch
from threadpoolctl import threadpool_limits

# A decorator. Linear algebra is small here: its own threads only wait for one another, and for those of the comparisons most
# of all (the demo's scores take 40 seconds with them and 15 without, on two processors).
one_thread_each = threadpool_limits.wrap(limits=1, user_api="blas")

RECORDED = ("torch", "numpy", "scipy", "pandas", "anndata", "scanpy", "scikit-learn", "streamlit")


def prepare(seed: int) -> torch.Generator:
    """Fix every source of chance, and hand out the one generator that training draws from.

    One thread: the steps are too small to share (two threads are slower, and far slower on a busy machine), and results
    are equal bit for bit whatever the machine's number of processors. Nothing else is needed for that on a processor;
    torch's own switch for it would load a compiler first, which takes seconds.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return torch.Generator(device="cpu").manual_seed(seed)


def random_state(seed: int, purpose: str) -> np.random.Generator:
    """A numpy generator of its own for each purpose, so that drawing more in one place changes nothing in another."""
    return np.random.default_rng([seed, *purpose.encode()])


def versions() -> dict[str, str]:
    """Versions of Python and of every library that can change a result."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in RECORDED:
        found[name] = metadata.version(name)
    return found

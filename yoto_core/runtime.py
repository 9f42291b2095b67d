"""Where a computation runs: its sources of chance and the versions that a run records."""

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata

import numpy as np
import torch
from threadpoolctl import threadpool_limits

RECORDED = ("torch", "numpy", "scipy", "pandas", "anndata", "scanpy", "scikit-learn", "streamlit")


_settling = threading.Lock()  # held while threads are set, never while anything is computed


class _Blas:
    """Linear algebra has one number of threads per process: the first to limit it does, the last to be done undoes it.

    A thread that lives as long as the limit sets it and takes it back: threadpoolctl hears one thread at a time.
    """

    users = 0
    done = threading.Event()
    keeper: threading.Thread

    @classmethod
    def limit(cls) -> None:
        if not cls.users:
            limited, cls.done = threading.Event(), threading.Event()
            cls.keeper = threading.Thread(target=_keep_blas, args=(limited, cls.done), daemon=True)
            cls.keeper.start()
            limited.wait()
        cls.users += 1

    @classmethod
    def release(cls) -> None:
        cls.users -= 1
        if not cls.users:
            cls.done.set()
            cls.keeper.join()


def _keep_blas(limited: threading.Event, done: threading.Event) -> None:
    try:
        with threadpool_limits(limits=1, user_api="blas"):
            limited.set()
            done.wait()
    finally:
        limited.set()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Compute with one thread of torch and of linear algebra, and leave both as they were; also a decorator.

    The steps are too small to share: threads of their own only wait for one another, and for those of the comparisons most
    of all (the demo's scores take 40 seconds with them and 15 without, on two processors). With one, results are equal
    bit for bit whatever the machine's number of processors. Nothing else is needed for that on a processor; torch's own
    switch for it would load a compiler first, which takes seconds.

    Whoever calls may compute in other threads meanwhile, or run this in several at once.
    """
    with _settling:
        before = torch.get_num_threads()
        _Blas.limit()
    try:
        with threadpool_limits(limits=1, user_api="blas"):  # where the caller limits it, only this thread is heard
            if before > 1:
                _limit_torch_here(before)
            yield
    finally:
        with _settling:
            if before > 1:
                torch.set_num_threads(before)
            _Blas.release()


def _limit_torch_here(before: int) -> None:
    """One thread for what this thread asks of torch; `before` stays the number that threads started from now on get.

    torch keeps its number of threads per thread, and the last one set anywhere for threads that have not used it yet.
    """
    with _settling:
        torch.set_num_threads(1)
        elsewhere = threading.Thread(target=torch.set_num_threads, args=(before,))
        elsewhere.start()
        elsewhere.join()


def draws(seed: int) -> torch.Generator:
    """Chance for one purpose: torch's own is the caller's, and shared by all threads."""
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

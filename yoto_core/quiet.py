"""Warnings of libraries that nothing of ours can answer, silenced block by block."""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Python's filters belong to the whole process: two blocks that overlapped in two threads would leave one's filters behind.
_one_at_a_time = threading.RLock()


@contextmanager
def ignored(message: str = "", category: type[Warning] = Warning) -> Iterator[None]:
    """Ignore warnings that begin with `message` (a regular expression) and are of `category`, in this block alone."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=message, category=category)
        yield

"""Silenced warnings: only what is named, only in the block, and whatever other threads do meanwhile."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from yoto_core.quiet import ignored


def test_only_what_is_named_is_ignored_and_only_in_the_block():
    with ignored("The least", UserWarning):
        warnings.warn("The least populated class has 1 member", UserWarning, stacklevel=1)
        with pytest.raises(UserWarning, match="another"):
            warnings.warn("another", UserWarning, stacklevel=1)
    with pytest.raises(UserWarning, match="The least"):
        warnings.warn("The least populated class has 1 member", UserWarning, stacklevel=1)


def test_blocks_of_many_threads_leave_the_filters_as_they_were():
    before, together = list(warnings.filters), threading.Barrier(8, timeout=60)

    def silence(number):
        together.wait()
        for _ in range(200):
            with ignored(f"thread {number}"):
                warnings.warn(f"thread {number}", UserWarning, stacklevel=1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(silence, range(8)))
    assert list(warnings.filters) == before

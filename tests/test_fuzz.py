"""Files made wrong by chance: each is read, or refused in one sentence, and nothing beside it is touched."""

import pytest

from tests.fuzz import files


def cases(case, folder, seeds):
    """How often each outcome came, after every case was named by its seed where it raised."""
    found = {}
    for seed in seeds:
        try:
            said = case(seed, folder)
        except Exception as error:
            raise AssertionError(f"the case of seed {seed}") from error
        found[said] = found.get(said, 0) + 1
    return found


@pytest.mark.parametrize("first", range(0, 300, 100))
def test_a_data_file_of_any_structure_is_read_or_refused(first, tmp_path):
    found = cases(files.case, tmp_path, range(first, first + 100))
    assert set(found) == {"read", "sentence"}, found

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


@pytest.mark.parametrize("case", [files.case, files.flipped], ids=["structure", "bytes"])
def test_a_data_file_is_read_or_refused_in_a_sentence_whatever_is_wrong_with_it(case, tmp_path):
    assert set(cases(case, tmp_path, range(100))) == {"read", "sentence"}

"""Files made wrong by chance: each is read, or refused in one sentence, and nothing beside it is touched."""

import pytest

from tests.fuzz import files, models, texts


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


def test_stores_and_archives_are_refused_whole_and_nothing_of_them_leaves_its_place(tmp_path):
    assert cases(files.container, tmp_path, range(100)) == {"sentence": 100}


def test_a_model_file_with_one_changed_bit_is_the_same_model_or_a_sentence(tmp_path):
    assert cases(models.flipped, tmp_path, range(500))["sentence"] > 300


def test_a_model_file_with_odd_values_works_as_a_whole_or_is_refused(tmp_path):
    assert set(cases(models.changed, tmp_path, range(300))) == {"read", "sentence"}


def test_a_damaged_run_costs_its_own_row_and_nothing_else(tmp_path):
    assert set(cases(models.folder_with_damage, tmp_path, range(60))) == {"read", "sentence"}


def test_what_is_no_file_in_a_run_folder_costs_its_own_row_and_keeps_nobody_waiting(tmp_path):
    every = len(models.files_of(models.copy_of_a_run("f" * 32))) * len(models.NO_FILES)
    assert set(cases(models.folder_without_a_file, tmp_path, range(every))) == {"read", "sentence"}


def test_gene_sets_of_any_kind_are_tested_or_refused_in_a_sentence(tmp_path):
    assert set(cases(texts.gene_sets, tmp_path, range(300))) == {"read", "sentence"}


def test_a_damaged_note_on_a_kept_file_hides_nothing_and_loses_nothing(tmp_path):
    assert cases(texts.notes, tmp_path, range(200))["read"] > 150

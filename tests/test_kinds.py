"""Columns of numbers that can be taken as numbers or as classes."""

import numpy as np
import pandas as pd
import pytest

from yoto_core.data.kinds import kind_sentence, takes_both_kinds

TEN = pd.Series(np.arange(300) % 10)


@pytest.mark.parametrize(
    ("values", "both"),
    [
        (TEN, True),
        (TEN * 0.5, True),
        (pd.Series(pd.Categorical(TEN)), True),
        (TEN.where(TEN > 0), True),
        (TEN.astype(str), False),
        (pd.Series(pd.Categorical(TEN.astype(str))), False),
        (TEN > 4, False),
        (TEN % 2, False),
        (pd.Series(np.arange(300)), False),
        (TEN * 1j, False),
    ],
    ids=["whole", "halves", "categories", "gaps", "text", "categories of text", "yes and no", "two", "many", "complex"],
)
def test_numbers_that_are_few_can_be_taken_both_ways(values, both):
    assert takes_both_kinds(values) is both


def test_how_numbers_are_taken_is_one_sentence():
    assert kind_sentence(TEN, "classification") == "10 different numbers: predicted as 10 classes"
    assert kind_sentence(TEN, "regression") == "10 different numbers: predicted as a number"

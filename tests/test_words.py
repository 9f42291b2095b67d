"""Numbers and nouns as people write them."""

import math

import numpy as np
import pandas as pd
import pytest

from yoto_core.words import (
    counted,
    group_words,
    number_text,
    one_line,
    printable,
    sentence_case,
    size_text,
    without_minus_zero,
)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("donor", ("donor", "donors")),
        ("Donor_ID", ("donor", "donors")),
        ("mouse.id", ("mouse", "mice")),
        ("batch", ("batch", "batches")),
        ("orig.ident", ("group of orig.ident", "groups of orig.ident")),
        ("id", ("group of id", "groups of id")),
    ],
)
def test_groups_are_called_what_people_call_them(column, words):
    assert group_words(column) == words


def test_numbers_agree_with_their_nouns():
    assert [counted(n, "cell") for n in (0, 1, 1200)] == ["0 cells", "1 cell", "1,200 cells"]
    assert [counted(n, "class", "classes") for n in (1, 2)] == ["1 class", "2 classes"]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.844, 2, "0.84"),
        (-0.004, 2, "0.00"),
        (-0.0, 3, "0.000"),
        (-0.004, 3, "−0.004"),
        (-1.26, 1, "−1.3"),
        (0.4, 0, "0"),
        (-0.4, 0, "0"),
        (math.nan, 2, "–"),
    ],
)
def test_a_score_has_a_real_minus_and_never_a_minus_zero(value, digits, text):
    assert number_text(value, digits) == text


def test_a_score_has_two_decimals_where_nothing_else_is_said():
    assert number_text(0.8449) == "0.84"
    assert number_text(0.0) == "0.00"


@pytest.mark.parametrize(
    ("text", "begun"), [("all genes of IFNB1", "All genes of IFNB1"), ("é", "É"), ("A", "A"), ("", "")]
)
def test_a_sentence_begins_with_a_capital_and_names_keep_theirs(text, begun):
    assert sentence_case(text) == begun


def test_a_signed_difference_has_its_plus_and_zero_has_no_sign():
    assert [number_text(value, 1, signed=True) for value in (1.26, -1.26, 0.04, -0.04)] == [
        "+1.3",
        "−1.3",
        "0.0",
        "0.0",
    ]


def test_a_column_shows_no_minus_zero():
    shown = without_minus_zero(pd.Series([-0.004, -0.0, -0.2, 0.126, np.nan]), 2)
    assert [f"{value:.2f}" for value in shown] == ["0.00", "0.00", "-0.20", "0.13", "nan"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),  # colour
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),  # the window's title
        ("\x9b2J", "\\x9b2J"),  # clears the screen where eight-bit codes are taken
        ("gpj.\u202eexe", "gpj.\\u202eexe"),  # shown backwards
        ("a\rb", "a\\rb"),
        ("a\u2028b", "a\\u2028b"),
        ("\udcff", "\\udcff"),  # a name that is no text
        ("CD8⁺ T, βeta, 細胞, 👩\u200d🔬", "CD8⁺ T, βeta, 細胞, 👩\u200d🔬"),
    ],
)
def test_text_for_a_terminal_steers_nothing(text, shown):
    assert printable(text) == shown
    assert one_line(text) == shown


def test_only_a_name_loses_its_line_breaks():
    assert printable("a\nb") == "a\nb"
    assert one_line("a\nb") == "a\\nb"


def test_bytes_are_written_as_streamlits_upload_box_writes_them():
    sizes = (0, 512, 999, 1_000, 1_536, 3_100_000, 4e9, 12.4e9, 2e12)
    assert [size_text(size) for size in sizes] == [
        "0 bytes", "512 bytes", "999 bytes", "1 kB", "1.5 kB", "3.1 MB", "4 GB", "12 GB", "2 TB",
    ]  # fmt: skip

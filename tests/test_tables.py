"""Tables as CSV: nothing in them is a formula, and everything comes back as it was."""

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yoto_core.tables import csv_text, read_csv

FORMULAS = ("=1+1", "@SUM(A1)", "+1", "-1", "\tx", "\r=x", "\n=x", "＝1", "＋1", "－1", "＠a", "'=1", "''-x")
TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"))


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_heading_or_row_name_begins_as_a_formula_does(text):
    table = pd.DataFrame(
        {text: [text, "plain"], "class": pd.Categorical([text, "other"])}, index=pd.Index([text, "cell"])
    )
    rows = list(csv.reader(io.StringIO(csv_text(table, index_label=text), newline="")))
    assert [row[0] for row in rows[:2]] == [f"'{text}"] * 2
    assert rows[0][1] == f"'{text}"
    assert rows[1] == [f"'{text}"] * 3
    assert rows[2] == ["cell", "plain", "other"]


def test_numbers_dates_and_missing_values_stay_what_they_are():
    table = pd.DataFrame(
        {
            "loss": [-0.5, np.nan],
            "count": [-3, 4],
            "text": ["'quoted'", None],
            "whole": pd.array([-1, None], dtype="Int64"),
            "flag": [True, False],
        }
    )
    assert csv_text(table) == "loss,count,text,whole,flag\n-0.5,-3,'quoted',-1,True\n,4,,,False\n"


@given(texts=st.lists(TEXTS, min_size=1, max_size=6), heading=TEXTS.filter(lambda text: text not in ("", "other")))
@example(texts=["\r", "a\rb", "'", "'=", "", "NA", '"', ","], heading="=x")
def test_what_is_written_is_read_back_unchanged(texts, heading, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "table.csv"
    path.write_bytes(csv_text(pd.DataFrame({heading: texts, "other": "k"})).encode())
    found = read_csv(path, dtype=str, keep_default_na=False)
    assert list(found) == [heading, "other"]
    assert list(found[heading]) == texts
    assert list(found["other"]) == ["k"] * len(texts)


def test_an_empty_table_keeps_its_headings():
    assert csv_text(pd.DataFrame({"=a": [], "b": []})) == "'=a,b\n"

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from yoto_core.data.genes import (
    FAMILIES,
    GeneNames,
    families_of,
    match_genes,
    name_genes,
    split_list,
    unique_names,
    without_version,
)

IDS = [f"ENSG{i:011d}" for i in range(4)]
SYMBOLS = ["MS4A1", "CD8A", "NKG7", "LYZ"]
NAMES = GeneNames(("MS4A1", "CD8A", "Actb", "ACTB", "A", "A-1"), (*IDS, "", ""), ("A",))


# --- names of the data


@given(
    st.lists(st.sampled_from(["a", "b", "a-1", "a-2", "a-1-1", "", "-1"]), max_size=40) | st.lists(st.text(max_size=2))
)
def test_names_become_unique_and_those_that_were_stay_as_they_are(names):
    unique = unique_names(names)
    assert len(unique) == len(set(unique)) == len(names)
    times = Counter(names)
    first = {name: names.index(name) for name in names}
    for i, (old, new) in enumerate(zip(names, unique, strict=True)):
        assert new == old if times[old] == 1 or first[old] == i else new.startswith(f"{old}-")


def test_a_suffix_already_taken_is_passed_over():
    assert unique_names(["a", "a", "a-1", "a"]) == ["a", "a-2", "a-1", "a-3"]


def test_a_name_repeated_a_hundred_thousand_times_is_no_obstacle():
    assert unique_names(["a"] * 100_000)[-1] == "a-99999"


def test_symbols_stay_and_ids_are_found_in_a_usual_column():
    names = name_genes(pd.DataFrame({"gene_ids": IDS}, index=SYMBOLS))
    assert names == GeneNames(tuple(SYMBOLS), tuple(IDS), ())


@pytest.mark.parametrize("column", ["feature_name", "gene_symbols", "gene_name", "symbol"])
@pytest.mark.parametrize("kind", [list, pd.Categorical, lambda values: pd.array(values, dtype="string")])
def test_where_ensembl_ids_name_the_genes_their_symbols_are_shown(column, kind):
    names = name_genes(pd.DataFrame({column: kind(SYMBOLS)}, index=IDS))
    assert names == GeneNames(tuple(SYMBOLS), tuple(IDS), ())


def test_a_gene_without_symbol_is_shown_by_its_id():
    names = name_genes(pd.DataFrame({"symbol": ["MS4A1", None, np.nan, ""]}, index=IDS))
    assert names.symbols == ("MS4A1", *IDS[1:])


def test_ids_without_any_symbol_column_are_shown_themselves_and_lose_their_version_as_ids():
    names = name_genes(pd.DataFrame(index=[f"{gene}.7" for gene in IDS]))
    assert names.symbols[0] == f"{IDS[0]}.7"
    assert names.ids == tuple(IDS)


def test_genes_without_ids_have_empty_ones():
    assert name_genes(pd.DataFrame(index=SYMBOLS)).ids == ("",) * 4


def test_a_missing_id_is_empty():
    assert name_genes(pd.DataFrame({"gene_ids": [IDS[0], None, np.nan, IDS[3]]}, index=SYMBOLS)).ids[1:3] == ("", "")


def test_repeated_symbols_are_told_apart_and_named():
    names = name_genes(pd.DataFrame({"gene_ids": IDS}, index=["A", "B", "A", "A"]))
    assert names.symbols == ("A", "B", "A-1", "A-2")
    assert names.repeated == ("A",)


def test_numbers_as_names_are_read_as_text():
    assert name_genes(pd.DataFrame(index=[1, 2, 3])).symbols == ("1", "2", "3")


def test_no_genes_have_no_names():
    assert name_genes(pd.DataFrame(index=pd.Index([], dtype=object))) == GeneNames((), (), ())


@pytest.mark.parametrize(
    ("gene_id", "bare"),
    [
        ("ENSG00000000003.15", "ENSG00000000003"),
        ("ENSMUSG00000000001.4", "ENSMUSG00000000001"),
        ("ENSG00000000003", "ENSG00000000003"),
        ("RP11-34P13.7", "RP11-34P13.7"),
        ("AC012345.1", "AC012345.1"),
        ("", ""),
    ],
)
def test_only_ensembl_ids_lose_a_version(gene_id, bare):
    assert without_version(gene_id) == bare


# --- families


@pytest.mark.parametrize(
    ("symbol", "families"),
    [
        *((symbol, ("mito",)) for symbol in ("MT-CO1", "mt-Nd1")),
        *((symbol, ("ribo",)) for symbol in ("RPS6", "RPL13A", "Rpl3", "RPLP0", "RPSA", "MRPL12", "RPS4Y1", "RPS27L")),
        *((symbol, ("haemoglobin",)) for symbol in ("HBB", "HBA1", "HBG2", "Hba-a1", "Hbb-bs")),
        *((symbol, ("malat",)) for symbol in ("MALAT1", "Neat1", "XIST")),
        *((symbol, ("unnamed",)) for symbol in ("LOC101", "LINC00342", "RP11-34P13.7", "AC012345.1", "C1orf56")),
        *((symbol, ("unnamed",)) for symbol in ("1810011O10Rik", "KIAA0319", "CTD-2014D20.1")),
        *(
            (symbol, ())
            for symbol in ("MS4A1", "MT1X", "MTOR", "HBEGF", "HBP1", "RPE", "RPA1", "NEAT1L", "CTSD", "ACTB")
        ),
        # Kinases of ribosomal protein S6, not ribosomal proteins.
        *((symbol, ()) for symbol in ("RPS6KA1", "RPS6KB2", "Rps6ka3", "")),
    ],
)
def test_families_are_known_by_the_symbol(symbol, families):
    assert families_of(symbol) == families


def test_every_family_has_a_description():
    assert all(description for description, _ in FAMILIES.values())


# --- lists that people paste


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (["CD8A", "MS4A1"], (1, 0)),
        (["cd8a", " MS4A1 "], (1, 0)),
        ([IDS[1], f"{IDS[0]}.12"], (1, 0)),
        (["Actb"], (2,)),
        (["ACTB"], (3,)),
        (["CD8A", "CD8A", "cd8a", IDS[1]], (1,)),
        (["A-1"], (5,)),
        (["", "  "], ()),
    ],
    ids=str,
)
def test_genes_are_found_by_symbol_or_id_each_once_and_in_order(wanted, found):
    match = match_genes(wanted, NAMES)
    assert match.found == found
    assert not match.missing


@pytest.mark.parametrize("typed", ["MS4A11", "ms4a11", "MS4A"])
def test_a_missing_gene_comes_with_near_names_whatever_its_case(typed):
    match = match_genes([typed, "CD8A"], NAMES)
    assert match.found == (1,)
    assert match.missing[typed][0] == "MS4A1"


def test_a_name_like_no_other_has_no_near_names():
    assert match_genes(["QQQQQQQ"], NAMES).missing == {"QQQQQQQ": ()}


def test_an_empty_id_is_never_matched():
    assert match_genes([""], NAMES).found == ()


def test_near_names_are_looked_for_only_for_the_first_missing_ones():
    missing = match_genes([f"MS4A1{i}" for i in range(500)], NAMES).missing
    assert len(missing) == 500
    assert missing["MS4A10"] == ("MS4A1",)
    assert missing["MS4A1499"] == ()


@pytest.mark.parametrize(
    "text",
    [
        "MS4A1,CD8A",
        "MS4A1 CD8A",
        "MS4A1\nCD8A\n",
        "MS4A1;\tCD8A;",
        "# mine\nMS4A1 # B cells\r\n\r\nCD8A, MS4A1",
        " MS4A1 , CD8A ",
    ],
)
def test_a_pasted_list_is_split_at_anything_usual(text):
    assert split_list(text) == ("MS4A1", "CD8A")


@pytest.mark.parametrize("text", ["", "  \n", "# nothing", ",;,"])
def test_an_empty_list_holds_no_names(text):
    assert split_list(text) == ()

"""A panel holds exactly as many distinct genes as asked, each with its id, its score and whether it was asked for."""

from dataclasses import replace

import pytest

from yoto_core.model.panel import Panel

PANEL = Panel(("A", "B", "C"), ("ENSG1", "", "ENSG3"), (0.9, 0.5, 0.1), (False, True, False), 3)


@pytest.mark.parametrize(
    "change",
    [
        {"panel_size": 2},
        {"panel_size": 4},
        {"genes": ("A", "B", "A")},
        {"genes": ("A", "B")},
        {"gene_ids": ("ENSG1", "")},
        {"scores": (0.9, 0.5, 0.1, 0.0)},
        {"included": ()},
    ],
    ids=str,
)
def test_a_panel_of_another_number_of_distinct_genes_cannot_be_made(change):
    size = change.get("panel_size", 3)
    with pytest.raises(AssertionError, match=rf"^a panel of {size} must hold that many distinct genes, got \('A', 'B'"):
        replace(PANEL, **change)


def test_a_smaller_panel_is_the_beginning_of_a_larger_one():
    assert PANEL.at_size(2) == Panel(("A", "B"), ("ENSG1", ""), (0.9, 0.5), (False, True), 2)
    with pytest.raises(AssertionError, match="a panel of 4"):
        PANEL.at_size(4)


def test_the_table_has_one_row_per_gene_the_best_one_first():
    assert PANEL.table().to_dict("list") == {
        "rank": [1, 2, 3],
        "gene": ["A", "B", "C"],
        "gene_id": ["ENSG1", "", "ENSG3"],
        "score": [0.9, 0.5, 0.1],
        "included": [False, True, False],
    }

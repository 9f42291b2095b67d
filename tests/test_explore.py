"""Selections, colours, sentences and tables of the Explore pages, with planted answers."""

import numpy as np
import pandas as pd
import pytest

from yoto_core.data.sampling import stratified
from yoto_core.explore import embedding
from yoto_core.explore.profiles import Profiles, correlations, redundant_pairs
from yoto_core.explore.selection import Outline
from yoto_core.explore.sentences import mistake_sentences, mistakes, outside_sentence
from yoto_core.plots import calibration, confusion, palettes


def test_a_constant_gene_correlates_with_nothing():
    from scipy import sparse

    x = np.array([[1, 0], [1, 2], [1, 5]], dtype=np.float32)
    assert correlations(sparse.csr_matrix(x), x)[0].tolist() == [0, 0]


def test_redundant_pairs_name_the_lower_ranked_gene_to_drop():
    table = pd.DataFrame([[1, 0.9, 0], [0.9, 1, 0.2], [0, 0.2, 1]], index=list("abc"), columns=list("abc"))
    assert redundant_pairs(table).to_dict("records") == [{"keep": "a", "drop": "b", "correlation": 0.9}]


def test_equal_neighbourhoods_are_kept_and_disjoint_ones_are_not():
    first = np.array([[1], [0], [3], [2]])
    assert embedding.kept_neighbours(first, first) == 1
    assert embedding.kept_neighbours(first, np.array([[2], [3], [0], [1]])) == 0


def test_a_box_around_everything_holds_everything_and_a_line_nothing():
    places = np.array([[0.0, 0.0], [1.0, 1.0]])
    box = ((-1.0, -1.0), (2.0, -1.0), (2.0, 2.0), (-1.0, 2.0))
    assert Outline("left", box).holds(places).all()
    assert not Outline("left", box[:2]).holds(places).any()


def test_a_draw_keeps_rare_classes():
    codes = np.repeat([0, 1], [10_000, 30])
    kept = stratified(codes, 500)
    assert len(kept) == 500
    assert (codes[kept] == 1).sum() == 30


@pytest.mark.parametrize("n", [1, 8, 9, 20, 28, 102, 150])
@pytest.mark.parametrize("look", ["standard", "colour-blind safe", "greyscale"])
def test_no_colour_repeats(n, look):
    colors = palettes.palette(n, look)
    assert len(colors) == len(set(colors)) == n


def test_the_file_s_own_colours_win_where_it_has_all():
    own = {"a": "#111111", "b": "#222222"}
    assert palettes.class_colors(["a", "b"], own)["a"] == "#111111"
    assert palettes.class_colors(["a", "b", "c"], own)["a"] == palettes.OKABE_ITO[0]
    assert palettes.class_colors(["a", "b"], own, "greyscale")["a"] != "#111111"


def test_classes_that_are_mistaken_for_each_other_stand_side_by_side():
    names = list("abcd")
    counts = pd.DataFrame([[5, 0, 4, 0], [0, 9, 0, 0], [4, 0, 5, 0], [0, 0, 0, 9]], index=names, columns=names)
    order = list(confusion.by_similarity(counts).index)
    assert abs(order.index("a") - order.index("c")) == 1


def test_the_worst_class_comes_first_with_what_it_is_taken_for():
    names = list("ab")
    counts = pd.DataFrame([[9, 1], [8, 2]], index=names, columns=names)
    assert mistakes(counts).loc[0, ["class", "mistaken_for"]].tolist() == ["b", "a"]
    assert mistake_sentences(counts)[0] == "b: 20% of its 10 held-out cells are found; 80% are taken for a."
    assert "one class only" in mistake_sentences(counts.iloc[:1].reindex(names, fill_value=0))[0]


def test_classes_of_few_cells_do_not_lead_and_are_said_to_be_rough():
    names = list("abc")
    counts = pd.DataFrame([[9, 1, 0], [0, 12, 8], [1, 2, 0]], index=names, columns=names)
    said = mistake_sentences(counts)
    assert said[0].startswith("b: 60% of its 20 held-out cells are found; 40% are taken for c.")
    assert said[-1] == "1 class has fewer than 10 held-out cells: shares of so few are rough."
    assert not any(sentence.startswith("c:") for sentence in said)


def test_a_search_outside_the_panel_says_what_the_gene_could_replace():
    empty = pd.DataFrame()
    candidates = pd.DataFrame({"gene": ["A", "B"], "gene_id": ["ENSG1", "ENSG2"]})
    near = pd.DataFrame({"gene": ["A", "C"], "other": ["B", "B"], "other_id": "", "correlation": [0.5, 0.75]})
    profiles = Profiles(empty, empty, empty, near, candidates)
    for name in ("b", " ENSG2 "):
        said = "B was a candidate and was not chosen. It could replace C (correlation 0.75)."
        assert outside_sentence(profiles, name) == said
    assert outside_sentence(profiles, "X") == "“X” is neither in the panel nor among its 2 candidate genes."


def test_a_model_that_claims_what_it_keeps_is_well_calibrated():
    table = pd.DataFrame({"t true": ["a"] * 10, "t predicted": ["a"] * 9 + ["b"], "t probability": [0.9] * 10})
    found = calibration.calibration_table(table, "t")
    assert calibration.calibration_error(found) == pytest.approx(0)
    assert "at its word" in calibration.calibration_sentence(found)

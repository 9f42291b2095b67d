"""Stability: how often other cells give the same panel, beside what shuffled labels give."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import make_toy
from tests.shared_runs import CONDITION, TYPE, chosen, config_for, toy_dataset
from yoto_core import pipeline
from yoto_core.config import EvaluationConfig, SplitConfig, TrainingConfig
from yoto_core.data.preprocess import expression_of
from yoto_core.data.problem import Problem
from yoto_core.data.reading import from_anndata
from yoto_core.data.splits import Split
from yoto_core.evaluation import stability
from yoto_core.evaluation.stability import Stability, measure_stability
from yoto_core.model.training import choose_genes
from yoto_core.progress import Stopped, never, silent

QUICK = TrainingConfig(steps=25, fit_steps=10, replicas=2)


def measured(found, config=None, **told):
    given = {"on_progress": silent, "should_stop": never, **told}
    return measure_stability(found.problem, config or found.run.config, found.order, **given)


@pytest.fixture(scope="module")
def planted():
    """Twelve of sixty genes mark a class; a panel of twelve."""
    found = chosen(config_for(TYPE, panel_size=12, training=QUICK))
    return found, measured(found)


def test_planted_genes_are_stable_and_shuffled_labels_are_not(planted):
    found, result = planted
    shares = dict(zip(found.run.panel.genes, result.genes, strict=True))
    markers = [share for gene, share in shares.items() if not gene.startswith("NOISE")]
    assert np.mean(markers) > 0.9
    assert result.mean == pytest.approx(np.mean(list(shares.values())))
    assert result.shuffled < result.mean - 0.2
    assert result.shuffled_overlap < result.overlap - 0.2
    assert result.subsamples == 20
    assert result.groups == 0


def test_every_share_is_a_count_over_the_subsamples(planted):
    _, result = planted
    assert all(float(20 * share).is_integer() and 0 <= share <= 1 for share in result.genes)


def test_measuring_twice_gives_the_same_whatever_the_number_of_threads(planted):
    found, result = planted
    again = measured(found, replace(found.run.config, threads=2))
    assert again == result


def test_stability_of_shuffled_labels_is_near_its_own_reference():
    adata = make_toy(cells=400)
    rng = np.random.default_rng(5)
    adata.obs["cell_type"] = rng.permutation(adata.obs["cell_type"].to_numpy())
    config = config_for(TYPE, panel_size=6, training=QUICK)
    found = pipeline.choose_panel(from_anndata(adata), config)
    result = measured(found)
    assert result.mean == pytest.approx(result.shuffled, abs=0.2)


# --- what is drawn, and what is made of the panels


def divided(groups=None, *, train=80, validation=20, tasks=(TYPE,)):
    """A problem of the toy with these parts (cells one after the other) and a group per cell."""
    data = toy_dataset()
    fitted = pipeline.design(data, config_for(*tasks))
    every = np.arange(300)
    split = Split(every[:train], every[train : train + validation], every[train + validation :], groups)
    return Problem(expression_of(data, fitted.candidates), fitted.candidates, fitted.targets, split)


def test_a_subsample_is_four_fifths_of_the_cells_that_are_not_held_out():
    drawn = [stability._subsample(divided(), np.random.default_rng(seed)) for seed in range(3)]
    for cells in drawn:
        assert len(cells) == len(set(cells.tolist())) == 80
        assert (np.diff(cells) > 0).all()
        assert cells.max() < 100
    assert drawn[0].tolist() != drawn[1].tolist()
    assert any((cells >= 80).any() for cells in drawn)  # validation cells too
    assert len(stability._subsample(divided(train=1, validation=0), np.random.default_rng(0))) == 1


@pytest.mark.parametrize(("number", "kept"), [(3, 2), (4, 3), (5, 4), (10, 8), (12, 10)])
def test_a_subsample_is_all_cells_of_four_fifths_of_the_groups_and_never_of_all(number, kept):
    groups = np.arange(300) % number
    problem = divided(groups)
    cells = stability._subsample(problem, np.random.default_rng(0))
    found = np.unique(groups[cells])
    assert len(found) == kept
    assert cells.tolist() == [cell for cell in range(100) if groups[cell] in found]
    assert stability._groups(problem).tolist() == list(range(number))


def test_of_two_groups_none_is_left_out():
    assert stability._groups(divided(np.arange(300) % 2)).tolist() == []
    assert len(stability._subsample(divided(np.arange(300) % 2), np.random.default_rng(0))) == 80
    held_out = np.where(np.arange(300) < 100, np.arange(300) % 2, 2)  # the third is held out whole
    assert stability._groups(divided(held_out)).tolist() == []


def test_a_task_of_which_too_little_is_left_takes_no_part():
    targets = divided(tasks=(TYPE, CONDITION)).targets
    one_class = np.flatnonzero(targets[1].values == 0)
    assert [target.task for target in stability._tasks_of(targets, one_class)] == ["cell_type"]
    assert stability._tasks_of(targets, np.array([0])) == ()


def test_cells_too_few_to_divide_or_to_learn_from_give_an_empty_panel():
    config = config_for(TYPE, panel_size=3, training=QUICK)
    for cells in ([5], [0, 4, 8, 12]):  # one cell, and cells of one class
        selection = stability._Selection(np.array(cells), seed=0)
        assert stability._select(divided(), config, selection, never).tolist() == []


def test_shares_and_overlaps_are_counted_over_the_panels_that_were_chosen(monkeypatch):
    a, b, c, none = np.array([1, 2]), np.array([1, 3]), np.array([4, 2]), np.array([], dtype=int)
    # Twenty subsamples, of which one gave no panel; then for each of four shuffles its own panel and those of two subsamples.
    panels = [*[a] * 8, *[b] * 8, none, *[c] * 3, *[a, a, b, a, c, none, none, b, b, b, c, c]]
    asked = []
    monkeypatch.setattr(stability, "_run_all", lambda _problem, _config, listed, *_: asked.extend(listed) or panels)
    problem, config = divided(), config_for(TYPE)
    result = measure_stability(problem, config, np.array([2, 1, 9]), on_progress=silent, should_stop=never)
    assert result.genes == pytest.approx((11 / 19, 16 / 19, 0))
    assert result.mean == pytest.approx(27 / 19 / 3)
    assert result.subsamples == 19
    assert result.overlap == pytest.approx((28 + 28 + 3 + 64 / 3 + 24 / 3) / 171)
    # Shares of the panel chosen from shuffled labels; the third shuffle left none, but its subsamples overlap all the same.
    assert result.shuffled == pytest.approx(np.mean([1, 1 / 2, 1 / 2, 0, 0]))
    assert result.shuffled_overlap == pytest.approx(np.mean([1 / 3, 1, 1]))
    assert result.groups == 0
    assert [selection.shuffle for selection in asked] == [None] * 20 + [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert [place for place, selection in enumerate(asked) if selection.cells is None] == [20, 23, 26, 29]
    assert len({selection.seed for selection in asked}) == 32
    monkeypatch.setattr(stability, "_run_all", lambda *_: [none] * 32)
    empty = measure_stability(problem, config, np.array([2, 1]), on_progress=silent, should_stop=never)
    assert np.isnan([*empty.genes, empty.overlap, empty.shuffled, empty.shuffled_overlap]).all()
    assert empty.subsamples == 0


def test_whole_donors_are_left_out_where_donors_are_held_out(monkeypatch):
    found = chosen(
        config_for(CONDITION, panel_size=3, training=QUICK, split=SplitConfig(group="donor", scheme="one split"))
    )
    seen = []

    def noted(problem, config, **told):
        seen.append(problem.split)
        return choose_genes(problem, config, **told)

    monkeypatch.setattr(stability, "choose_genes", noted)
    result = measured(found)
    groups = found.problem.split.groups
    free = np.unique(groups[np.concatenate([found.problem.split.train, found.problem.split.validation])])
    assert result.groups == len(free)
    for split in seen[:20]:
        used = np.concatenate([split.train, split.validation])
        kept = np.unique(groups[used])
        assert len(kept) == round(0.8 * len(free))
        assert sorted(used) == [cell for cell in range(300) if groups[cell] in kept]
        assert not set(used) & set(found.problem.split.test)


def test_two_donors_are_too_few_to_leave_one_out_and_cells_are_left_out_instead():
    adata = make_toy()
    adata.obs["donor"] = [f"D{i % 3}" for i in range(300)]
    split = SplitConfig(group="donor", scheme="one split")
    found = pipeline.choose_panel(from_anndata(adata), config_for(CONDITION, panel_size=3, training=QUICK, split=split))
    assert measured(found).groups == 0


def test_progress_is_told_after_every_selection_and_a_stop_ends_it():
    found = chosen(config_for(CONDITION, panel_size=3, training=QUICK))
    seen = []
    measured(found, on_progress=seen.append)
    assert [report.done for report in seen] == list(range(1, 33))
    assert {(report.phase, report.total) for report in seen} == {("stability", 32)}
    with pytest.raises(Stopped):
        measured(found, should_stop=lambda: True)


def test_it_comes_back_from_its_plain_values(planted):
    _, result = planted
    assert Stability.from_dict(result.to_dict(), genes=12) == result
    with pytest.raises(ValueError, match="12 shares for 3 genes"):
        Stability.from_dict(result.to_dict(), genes=3)


def test_a_run_that_asks_for_it_has_it_in_its_table():
    adata = make_toy()
    light = EvaluationConfig(random_panels=1, bootstrap=50)
    import yoto_core

    run = yoto_core.select(adata, config_for(CONDITION, panel_size=3, training=QUICK, evaluation=light))
    assert list(run.panel_table["stability"]) == list(run.stability.genes)
    assert run.at_size(2).stability is None

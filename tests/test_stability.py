"""Stability: how often other cells give the same panel, beside what shuffled labels give."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import make_toy
from tests.shared_runs import CONDITION, TYPE, chosen, config_for
from yoto_core import pipeline
from yoto_core.config import EvaluationConfig, SplitConfig, TrainingConfig
from yoto_core.data.reading import from_anndata
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

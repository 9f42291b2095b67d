"""Whether a config fits its data, in sentences: small classes, few groups, labels that follow from the donor."""

from dataclasses import replace

import pandas as pd
import pytest

from tests.conftest import make_toy
from tests.shared_runs import AGE, CONDITION, TYPE, config_for
from yoto_core.config import RunConfig, SplitConfig, TaskConfig
from yoto_core.data.checks import Finding, check_fit
from yoto_core.data.preprocess import choose_candidates
from yoto_core.data.reading import from_anndata
from yoto_core.data.splits import split_cells
from yoto_core.data.targets import encode_target, without_unseen
from yoto_core.errors import ConfigError


def findings_for(config: RunConfig, **columns: object) -> tuple[Finding, ...]:
    """What is said of a config on the toy whose obs columns are replaced by these."""
    adata = make_toy()
    adata.obs = adata.obs.assign(**columns)
    data = from_anndata(adata)
    encoded = [encode_target(data.obs, task, min_class_cells=config.split.min_class_cells) for task in config.tasks]
    split = split_cells(data.obs, encoded, config.split)
    targets = [without_unseen(target, split.train) for target in encoded]
    return check_fit(config, choose_candidates(data, split.train, config.genes), targets, split)


def said(findings: tuple[Finding, ...]) -> list[str]:
    return [f"{finding.message} {finding.hint}".strip() for finding in findings]


def donors(number: int) -> list[str]:
    return [f"D{i // 4 % number}" for i in range(300)]


BY_DONOR = SplitConfig(group="donor", scheme="one split")
ONE_SPLIT = SplitConfig(scheme="one split")
CROSSED = SplitConfig(scheme="cross-validation")


@pytest.mark.parametrize(
    ("missing", "tasks", "sentence"),
    [
        (15, (TYPE,), "15 cells have no cell_type and take no part."),
        (1, (TYPE,), "1 cell has no cell_type and takes no part."),
        (15, (TYPE, CONDITION), "15 cells have no cell_type; they still train the other tasks."),
        (1, (TYPE, CONDITION), "1 cell has no cell_type; it still trains the other tasks."),
    ],
)
def test_cells_without_a_label_train_other_tasks_only_where_there_are_some(missing, tasks, sentence):
    labels = make_toy().obs["cell_type"].astype(object)
    labels.iloc[:missing] = None
    assert sentence in said(findings_for(config_for(*tasks), cell_type=labels))


def test_a_class_left_out_is_counted_in_the_singular():
    labels = make_toy().obs["cell_type"].astype(object)
    labels.iloc[0] = "lone"
    found = said(findings_for(config_for(TYPE), cell_type=labels))
    assert (
        "Class “lone” of cell_type has 1 cell and is left out. A class needs 5 cells, some of them among the training"
        " cells." in found
    )


def small_classes(number):
    """So many classes of 8 cells, the rest of the cells in two large ones."""
    return [f"small{i // 8}" if i < 8 * number else f"large{i % 2}" for i in range(300)]


@pytest.mark.parametrize(
    ("number", "start"), [(1, "1 class of cell_type has fewer"), (3, "3 classes of cell_type have fewer")]
)
def test_small_classes_come_with_the_offer_of_cross_validation(number, start):
    found = findings_for(config_for(TYPE, split=ONE_SPLIT), cell_type=small_classes(number))
    (finding,) = [finding for finding in found if "fewer than 20" in finding.message]
    assert finding.message.startswith(start)
    assert finding.hint == "Use cross-validation: every cell is judged once."
    assert finding.offer == "cross-validation"


def test_with_cross_validation_small_classes_are_counted_over_all_cells_and_nothing_is_offered():
    found = findings_for(config_for(TYPE, split=CROSSED), cell_type=small_classes(1))
    assert said(found) == [
        "1 class of cell_type has fewer than 20 cells in all. Its score is rough; the interval says how rough."
    ]
    assert not any(finding.offer for finding in found)


def test_classes_that_no_held_out_cell_has_are_named_and_offered_cross_validation():
    groups, kinds = donors(10), make_toy().obs["cell_type"].astype(object)
    kinds = [
        f"only {group}" if group in ("D1", "D2") and i % 4 else kind
        for i, (group, kind) in enumerate(zip(groups, kinds, strict=True))
    ]
    found = findings_for(config_for(TYPE, split=BY_DONOR), donor=groups, cell_type=kinds)
    (finding,) = [finding for finding in found if finding.message.startswith("No held-out cell is")]
    assert finding.message.endswith(("It is not scored.", "They are not scored."))
    assert finding.offer == "cross-validation"


@pytest.mark.parametrize(("number", "start"), [(4, "Held out: 1 of 4 donors (D"), (9, "Held out: 2 of 9 donors (D")])
def test_with_one_split_and_few_donors_it_is_said_what_is_held_out(number, start):
    found = findings_for(config_for(TYPE, split=BY_DONOR), donor=donors(number))
    (finding,) = [finding for finding in found if finding.message.startswith("Held out")]
    assert finding.message.startswith(start)
    says = "One donor says" if number == 4 else "2 donors say"
    assert finding.message.endswith(f"{says} little about others: no interval can be given with fewer than 5.")
    assert finding.offer == "cross-validation"


@pytest.mark.parametrize(
    ("number", "scheme"), [(4, "auto"), (9, "cross-validation"), (30, "one split")], ids=["few", "folds", "many"]
)
def test_where_every_donor_is_judged_or_many_are_held_out_nothing_is_said_of_the_held_out_part(number, scheme):
    split = replace(BY_DONOR, scheme=scheme)
    found = findings_for(config_for(TYPE, split=split), donor=donors(number))
    assert not [finding for finding in found if finding.message.startswith("Held out")]


@pytest.mark.parametrize(
    ("missing", "words"), [(1, "1 cell has no donor and takes"), (9, "9 cells have no donor and take")]
)
def test_cells_without_a_group_take_no_part(missing, words):
    groups = [None if i < missing else name for i, name in enumerate(donors(6))]
    assert any(words in text for text in said(findings_for(config_for(TYPE, split=BY_DONOR), donor=groups)))


def test_a_label_that_follows_from_the_donor_is_said():
    groups = pd.Series(donors(6), index=make_toy().obs_names)
    condition = groups.map({"D0": "a", "D1": "a", "D2": "a", "D3": "b", "D4": "b", "D5": "b"})
    found = findings_for(config_for(CONDITION, split=SplitConfig(group="donor")), donor=groups, condition=condition)
    (finding,) = [finding for finding in found if finding.message.startswith("Every donor")]
    assert finding.level == "warning"
    assert finding.message == (
        "Every donor has one condition only: with 6 donors it cannot be told for sure whether the panel tells condition"
        " or donors apart."
    )


def test_a_number_that_follows_from_the_donor_is_said_too():
    groups = pd.Series(donors(6), index=make_toy().obs_names)
    age = groups.str[1:].astype(float) + 30
    found = findings_for(config_for(AGE, split=SplitConfig(group="donor")), donor=groups, age=age)
    assert any(finding.message.startswith("Every donor has one age only") for finding in found)


def test_a_label_that_varies_within_donors_is_not_suspected():
    found = findings_for(config_for(TYPE, CONDITION, AGE, split=SplitConfig(group="donor")))
    assert not [finding for finding in found if finding.message.startswith("Every")]


def test_classes_that_are_the_donors_themselves_cannot_be_judged_on_other_donors():
    groups = donors(6)
    task = TaskConfig(obs="cell_type")
    with pytest.raises(ConfigError, match="Every class of “cell_type” is in one donor only") as caught:
        findings_for(
            config_for(task, split=SplitConfig(group="donor")), donor=groups, cell_type=[f"c{g}" for g in groups]
        )
    assert "Split by single cells" in caught.value.hint

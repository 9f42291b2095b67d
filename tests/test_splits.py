import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import make_toy
from yoto_core.config import SplitConfig, TaskConfig
from yoto_core.data.splits import split_again, split_cells, split_folds, strata
from yoto_core.data.targets import UNLABELLED, Target, encode_target, without_unseen
from yoto_core.errors import ConfigError

OBS = make_toy().obs
CELL_TYPE, CONDITION = TaskConfig(obs="cell_type"), TaskConfig(obs="condition")
AGE = TaskConfig(obs="age", kind="regression")


def split(obs, *tasks, seed=0, **settings):
    targets = [encode_target(obs, task, min_class_cells=4) for task in tasks or (CELL_TYPE,)]
    return split_cells(obs, targets, SplitConfig(seed=seed, **settings)), targets


def parts(made):
    return made.train, made.validation, made.test


def check_parts(made, usable):
    """Sorted, disjoint, none empty, and together all usable cells."""
    for part in parts(made):
        assert len(part)
        assert (np.diff(part) > 0).all()
    assert sorted(np.concatenate(parts(made))) == list(usable)


@pytest.mark.parametrize(
    "tasks", [(CELL_TYPE,), (AGE,), (CELL_TYPE, CONDITION, AGE)], ids=["classes", "numbers", "three"]
)
@pytest.mark.parametrize("group", ["", "donor"])
def test_parts_are_disjoint_and_cover_all_cells(tasks, group):
    made, _ = split(OBS, *tasks, group=group)
    check_parts(made, range(len(OBS)))


@pytest.mark.parametrize("percent", [5, 10, 15, 20, 25, 30, 35, 40, 45, 50])
def test_the_shares_are_those_that_were_asked_for(percent):
    made, _ = split(OBS, test_percent=percent, validation_percent=percent)
    assert len(made.test) / len(OBS) == pytest.approx(percent / 100, abs=0.01)
    rest = len(made.train) + len(made.validation)
    assert len(made.validation) / rest == pytest.approx(percent / 100, abs=0.02)


def test_class_shares_are_kept_for_every_task():
    made, targets = split(OBS, CELL_TYPE, CONDITION)
    for target in targets:
        whole = target.counts(np.arange(len(OBS))) / len(OBS)
        for part in parts(made):
            assert target.counts(part) / len(part) == pytest.approx(whole, abs=0.05)


def test_numbers_are_spread_over_the_parts():
    made, _ = split(OBS, AGE)
    for part in parts(made):
        assert OBS["age"].to_numpy()[part].mean() == pytest.approx(OBS["age"].mean(), abs=3)


@pytest.mark.parametrize("seed", range(5))
def test_a_class_that_is_rare_in_one_of_two_tasks_reaches_training_and_test(seed):
    rng = np.random.default_rng(seed)
    obs = pd.DataFrame({"many": rng.integers(0, 10, 400).astype(str), "rare": "common"})
    obs.loc[rng.choice(400, 8, replace=False), "rare"] = "rare"  # spread over ten classes of the other task
    for names in (("many", "rare"), ("rare", "many")):
        made, targets = split(obs, *(TaskConfig(obs=name) for name in names), seed=seed)
        target = targets[names.index("rare")]
        assert target.counts(made.test)[1] == 2
        assert target.counts(made.train)[1] >= 4


def test_the_smallest_class_allowed_reaches_training_and_test():
    obs = pd.DataFrame({"cell_type": ["a"] * 50 + ["b"] * 60 + ["c"] * 4})
    for seed in range(10):
        made, (target,) = split(obs, seed=seed)
        assert target.counts(made.test)[2] == 1
        assert target.counts(made.train)[2] >= 2


def test_the_same_seed_gives_the_same_parts_and_another_seed_others():
    for group in ("", "donor"):
        first, again, other = (split(OBS, seed=seed, group=group)[0] for seed in (1, 1, 2))
        assert all(np.array_equal(a, b) for a, b in zip(parts(first), parts(again), strict=True))
        assert not np.array_equal(first.test, other.test)


def strata_of(*columns, kinds=None):
    kinds = kinds or ["classification"] * len(columns)
    return strata(
        [
            Target(f"t{i}", kind, 1.0, ("a", "b", "c") if kind == "classification" else (), np.array(column))
            for i, (column, kind) in enumerate(zip(columns, kinds, strict=True))
        ]
    )


def groups_of(codes):
    """The places that share a code, in the order of their first."""
    return sorted(sorted(np.flatnonzero(codes == code).tolist()) for code in np.unique(codes))


def test_a_combination_of_classes_is_a_stratum_from_five_cells_on():
    one = [0] * 10 + [1] * 10
    joint = strata_of(one, [0] * 5 + [1] * 5 + [0] * 5 + [1] * 5)
    assert groups_of(joint) == [[*range(5)], [*range(5, 10)], [*range(10, 15)], [*range(15, 20)]]
    # Four cells are too few to spread: they fall back to the rarer of their two classes, here that of the second task.
    rare = strata_of(one, [0] * 6 + [1] * 4 + [0] * 10)
    assert groups_of(rare) == [[*range(6)], [*range(6, 10)], [*range(10, 20)]]
    # The rarest class of two tasks gathers its rare combinations, whatever the other task says.
    both = strata_of([0] * 10 + [1] * 10, [0] * 8 + [1] * 4 + [0] * 8)
    assert groups_of(both) == [[*range(8)], [8, 9, 10, 11], [*range(12, 20)]]


def test_numbers_are_a_stratum_per_fifth_and_cells_without_one_are_apart():
    fifths = strata_of(np.arange(50.0), kinds=["regression"])
    assert groups_of(fifths) == [[*range(start, start + 10)] for start in range(0, 50, 10)]
    gaps = strata_of([*np.arange(45.0), *[np.nan] * 5], kinds=["regression"])
    assert [45, 46, 47, 48, 49] in groups_of(gaps)


def test_a_cell_without_a_label_falls_back_to_the_task_that_has_one():
    # Place 20 has no label of the first task, and its combination is rare: it goes with its class of the second.
    first, second = [0] * 10 + [1] * 10 + [UNLABELLED], [0, 1] * 10 + [2]
    codes = strata_of(first, second)
    assert (codes == codes[20]).sum() == 1
    assert len(np.unique(codes)) == 5


def test_cells_without_a_label_take_part():
    obs = OBS.copy()
    obs.loc[obs.index[:100], "cell_type"] = None
    made, _ = split(obs)
    check_parts(made, range(len(obs)))
    assert 0.2 < np.mean(made.test < 100) < 0.5


# --- groups


@pytest.mark.parametrize("seed", range(4))
def test_groups_never_straddle_and_those_held_out_are_named(seed):
    made, _ = split(OBS, group="donor", seed=seed)
    donors = [set(OBS["donor"].iloc[part]) for part in parts(made)]
    assert not donors[0] & donors[1] | donors[1] & donors[2] | donors[0] & donors[2]
    assert set(made.held_out) == donors[2]
    assert np.array_equal(made.groups, OBS["donor"].cat.codes)


@given(
    sizes=st.lists(st.integers(1, 25), min_size=2, max_size=9),
    missing=st.integers(0, 10),
    seed=st.integers(0, 99),
    test=st.integers(5, 50),
    validation=st.integers(5, 50),
)
def test_any_groups_are_held_out_whole_or_refused_in_words(sizes, missing, seed, test, validation):
    donor = [f"d{i}" for i, size in enumerate(sizes) for _ in range(size)] + [None] * missing
    donor += ["more"] * max(0, 12 - len(donor))
    obs = pd.DataFrame({"donor": donor, "cell_type": ["a", "b"] * (len(donor) // 2) + ["a"] * (len(donor) % 2)})
    settings = {"group": "donor", "seed": seed, "test_percent": test, "validation_percent": validation}
    try:
        made, _ = split(obs, **settings)
    except ConfigError:
        with pytest.raises(ConfigError, match="cannot be split into two parts"):
            split(obs, **settings)
        return
    check_parts(made, np.flatnonzero(obs["donor"].notna()))
    donors = obs["donor"].to_numpy()
    assert not set(donors[made.test]) & set(donors[np.concatenate([made.train, made.validation])])
    assert set(made.held_out) == set(donors[made.test])


def test_cells_without_a_group_take_no_part():
    obs = OBS.copy()
    obs.loc[obs.index[:30], "donor"] = None
    made, _ = split(obs, group="donor")
    check_parts(made, range(30, len(obs)))
    assert (made.groups[:30] == -1).all()


@pytest.mark.parametrize(("percent", "held_out"), [(25, "b"), (40, "b"), (10, "a")])
def test_of_groups_of_different_size_the_one_nearest_to_the_wanted_share_is_held_out(percent, held_out):
    donor = ["a"] * 10 + ["b"] * 30 + ["c"] * 80
    made, _ = split(pd.DataFrame({"donor": donor, "cell_type": ["x", "y"] * 60}), group="donor", test_percent=percent)
    assert made.held_out == (held_out,)


def test_the_largest_group_is_not_always_the_one_held_out():
    obs = pd.DataFrame(
        {"donor": ["large"] * 120 + list(np.repeat(list("abcdefgh"), 15)), "cell_type": ["x", "y"] * 120}
    )
    for seed in range(5):
        made, _ = split(obs, group="donor", seed=seed)
        assert "large" not in made.held_out
        assert 0.1 < len(made.test) / len(obs) < 0.3


def test_of_two_groups_one_is_held_out_and_cells_of_the_other_steer():
    obs = pd.DataFrame({"donor": ["p"] * 30 + ["q"] * 30, "cell_type": ["x", "y"] * 30})
    made, _ = split(obs, group="donor")
    check_parts(made, range(60))
    assert made.held_out in (("p",), ("q",))
    assert len(made.test) == 30


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (np.arange(60) % 3, {"0", "1", "2"}),
        (pd.Categorical(np.arange(60) % 3, categories=[0, 1, 2, 99]), {"0", "1", "2"}),
        (np.arange(60) % 2 == 0, {"False", "True"}),
        (pd.array(np.arange(60) % 3, dtype="Int64"), {"0", "1", "2"}),
        ([1, "a", 2.5] * 20, {"1", "a", "2.5"}),
    ],
    ids=["int", "category", "bool", "Int64", "mixed"],
)
def test_groups_of_any_type_are_named_by_their_text(values, names):
    obs = pd.DataFrame({"donor": values, "cell_type": list("xyxxyy") * 10})
    made, _ = split(obs, group="donor")
    assert set(made.held_out) < names


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["d"] * 60,
            r"“donor” has 1 group; holding one out needs two\. Choose another group column, or split by cell\.",
        ),
        ([None] * 60, r"“donor” has 0 groups; holding one out needs two\."),
        (pd.Categorical(["d"] * 60, categories=["d", "e"]), r"“donor” has 1 group; holding one out needs two\."),
    ],
    ids=["one", "none", "one of two categories"],
)
def test_a_group_column_that_cannot_be_held_out_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        split(pd.DataFrame({"donor": values, "cell_type": ["x", "y"] * 30}), group="donor")


def test_a_missing_group_column_is_refused():
    with pytest.raises(
        ConfigError, match=r"The data has no obs column “mouse” to hold out\. Choose one of its columns\."
    ):
        split(OBS, group="mouse")


@pytest.mark.parametrize(("second", "cells"), [("x", "1 cell"), ("y", "2 cells")])
def test_groups_that_leave_too_few_cells_are_refused(second, cells):
    obs = pd.DataFrame({"donor": ["p", "q"] + [None] * 58, "cell_type": ["x", second, *["x", "y"] * 29]})
    with pytest.raises(
        ConfigError, match=rf"{cells} cannot be split into two parts\. Choose larger classes or another"
    ):
        split(obs, group="donor")


# --- small data


@given(
    sizes=st.lists(st.integers(4, 9), min_size=2, max_size=8),
    others=st.integers(1, 4),
    seed=st.integers(0, 99),
    test=st.integers(5, 50),
    validation=st.integers(5, 50),
)
def test_data_as_small_as_the_settings_allow_can_be_split(sizes, others, seed, test, validation):
    obs = pd.DataFrame({"cell_type": np.repeat([f"c{i}" for i in range(len(sizes))], sizes)})
    obs["other"] = np.arange(len(obs)) % (others + 1)
    tasks = [CELL_TYPE]
    if obs["other"].value_counts().ge(4).sum() > 1:
        tasks.append(TaskConfig(obs="other"))
    made, targets = split(obs, *tasks, seed=seed, test_percent=test, validation_percent=validation)
    check_parts(made, range(len(obs)))
    assert without_unseen(targets[0], made.train).classes


# --- folds of a cross-validation


def folds_of(obs, *tasks, **settings):
    targets = [encode_target(obs, task, min_class_cells=4) for task in tasks or (CELL_TYPE,)]
    return split_folds(obs, targets, SplitConfig(**settings)), targets


@pytest.mark.parametrize("settings", [{}, {"group": "donor", "scheme": "one split"}, {"scheme": "one split"}])
def test_one_split_is_the_split_of_before(settings):
    (made,), targets = folds_of(OBS, **settings)
    wanted = split_cells(OBS, targets, SplitConfig(**settings))
    for part, same in zip(parts(made), parts(wanted), strict=True):
        assert np.array_equal(part, same)


@pytest.mark.parametrize(
    ("settings", "number"),
    [
        ({"scheme": "cross-validation", "folds": 4}, 4),
        ({"group": "donor"}, 6),
        ({"group": "donor", "scheme": "cross-validation", "folds": 3}, 6),
    ],
)
def test_every_cell_is_held_out_once_and_each_fold_is_a_whole_split(settings, number):
    made, _ = folds_of(OBS, **settings)
    assert len(made) == number
    assert sorted(np.concatenate([fold.test for fold in made])) == list(range(len(OBS)))
    for fold in made:
        check_parts(fold, range(len(OBS)))
        if fold.groups is not None:
            (name,) = fold.held_out
            assert set(OBS["donor"].iloc[fold.test]) == {name}
            assert not set(fold.groups[fold.test]) & set(fold.groups[np.concatenate([fold.train, fold.validation])])


def test_many_donors_share_the_folds_whole():
    obs = OBS.assign(donor=[f"D{i % 15}" for i in range(len(OBS))])
    made, _ = folds_of(obs, group="donor", scheme="cross-validation", folds=5)
    assert sorted(name for fold in made for name in fold.held_out) == sorted({f"D{i}" for i in range(15)})
    assert len(made) == 5
    assert sorted(np.concatenate([fold.test for fold in made])) == list(range(len(OBS)))


def test_the_first_fold_lacks_the_fewest_classes_in_training():
    obs = OBS.copy()
    labels = obs["cell_type"].astype(str)
    labels[(obs["donor"] == "D0").to_numpy()] = "Only in D0"
    obs["cell_type"] = labels
    made, (target,) = folds_of(obs, group="donor")
    lacking = [int((target.counts(fold.train) == 0).sum()) for fold in made]
    assert lacking[0] == 0
    assert max(lacking) == 1


def test_of_folds_that_lack_no_class_the_first_is_the_one_of_average_size():
    sizes = {"a": 20, "b": 36, "c": 90, "d": 31, "e": 8}  # 37 on average
    donor = [name for name, cells in sizes.items() for _ in range(cells)]
    obs = pd.DataFrame({"donor": donor, "cell_type": [*"xy"] * 92 + ["x"]})
    made, _ = folds_of(obs, group="donor")
    assert [fold.held_out[0] for fold in made] == ["b", "a", "c", "d", "e"]  # the others in the order of their names


def test_folds_follow_their_own_seed():
    first, again, other = (folds_of(OBS, scheme="cross-validation", seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first[0].test, again[0].test)
    assert not np.array_equal(np.sort(first[0].test), np.sort(other[0].test))


def test_dividing_again_keeps_the_held_out_cells_and_whole_donors():
    made, targets = split(OBS, group="donor", scheme="one split")
    free = np.sort(np.concatenate([made.train, made.validation]))
    again = split_again(made, targets, SplitConfig(group="donor"), free, seed=7)
    assert np.array_equal(again.test, made.test)
    assert sorted(np.concatenate([again.train, again.validation])) == list(free)
    assert not set(made.groups[again.train]) & set(made.groups[again.validation])

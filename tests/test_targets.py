import numpy as np
import pandas as pd
import pytest

from tests.conftest import make_toy
from yoto_core.config import TaskConfig
from yoto_core.data.targets import MIN_LABELLED, UNLABELLED, class_codes, encode_target, without_unseen
from yoto_core.errors import ConfigError

N = np.arange(60)


def classes(values, *, least=5, weight=1.0):
    return encode_target(pd.DataFrame({"label": values}), TaskConfig(obs="label", weight=weight), min_class_cells=least)


def numbers(values):
    return encode_target(pd.DataFrame({"age": values}), TaskConfig(obs="age", kind="regression"), min_class_cells=5)


# --- classes


def test_classes_are_sorted_and_their_codes_say_where_they_are():
    obs = make_toy().obs
    target = encode_target(obs, TaskConfig(obs="cell_type", weight=2), min_class_cells=5)
    assert (target.task, target.kind, target.weight) == ("cell_type", "classification", 2.0)
    assert target.classes == ("B", "Mono", "NK", "T")
    assert target.n_outputs == 4
    assert [target.classes[code] for code in target.values] == list(obs["cell_type"])
    assert target.values.dtype == np.int64
    assert target.labelled.all()
    assert target.dropped == {}
    assert target.counts(np.arange(8)).tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (N % 3, ("0", "1", "2")),
        ((N % 3).astype(np.uint8), ("0", "1", "2")),
        (N % 2 == 0, ("False", "True")),
        (pd.array(N % 2 == 0, dtype="boolean"), ("False", "True")),
        (pd.array(N % 3, dtype="Int64"), ("0", "1", "2")),
        (pd.Categorical(N % 3), ("0", "1", "2")),
        (pd.Categorical(N % 3, categories=[2, 1, 0, 9], ordered=True), ("0", "1", "2")),
        (pd.Categorical((N % 3).astype(str), categories=["never", "2", "1", "0"]), ("0", "1", "2")),
        (pd.array((N % 3).astype(str), dtype="string"), ("0", "1", "2")),
        (N % 2 / 2, ("0.0", "0.5")),
        (pd.to_datetime(np.where(N % 2, "2020-01-01", "2021-01-01")), ("2020-01-01 00:00:00", "2021-01-01 00:00:00")),
        ([1, "a", 2.5, True] * 15, ("1", "2.5", "True", "a")),
    ],
    ids=[
        "int",
        "uint8",
        "bool",
        "boolean",
        "Int64",
        "category",
        "ordered",
        "unused",
        "string",
        "float",
        "dates",
        "mixed",
    ],
)
def test_labels_of_any_type_become_classes_named_by_their_text(values, names):
    target = classes(values)
    assert target.classes == names
    assert [target.classes[code] for code in target.values] == [str(value) for value in pd.Series(values)]


@pytest.mark.parametrize(
    "values",
    [
        pd.Series(np.where(N < 20, None, np.where(N % 2, "a", "b")), dtype=object),
        np.where(N < 20, np.nan, N % 2),
        pd.Categorical(np.where(N < 20, None, np.where(N % 2, "a", "b"))),
        pd.array([None if i < 20 else i % 2 == 0 for i in N], dtype="boolean"),
        pd.array([None if i < 20 else i % 2 for i in N], dtype="Int64"),
        pd.array([None if i < 20 else "ab"[i % 2] for i in N], dtype="string"),
        pd.Series([pd.NaT if i < 20 else pd.Timestamp(2020, 1, 1 + i % 2) for i in N]),
    ],
    ids=["object", "float", "category", "boolean", "Int64", "string", "dates"],
)
def test_cells_without_a_value_are_unlabelled_whatever_the_type(values):
    target = classes(values)
    assert len(target.classes) == 2
    assert (target.values[:20] == UNLABELLED).all()
    assert target.labelled.tolist() == [False] * 20 + [True] * 40
    assert target.counts(N).tolist() == [20, 20]


@pytest.mark.parametrize(
    "values",
    [
        N % 3 * 1.0,
        np.where(N % 4 == 3, np.nan, N % 4),
        pd.Categorical(N % 3 * 1.0),
        pd.array(N % 3 * 1.0, dtype="Float32"),
        pd.Series(N % 3 * 1.0, dtype=object),
    ],
    ids=["float", "with gaps", "category", "Float32", "object"],
)
def test_whole_numbers_are_named_without_decimals_whatever_their_type(values):
    assert classes(values).classes == ("0", "1", "2")


def test_models_of_older_versions_called_0_by_another_name():
    names = pd.Series(["0", "1", "x", None], dtype=object)
    assert class_codes(names, ("0.0", "1.0")).tolist() == [0, 1, UNLABELLED, UNLABELLED]
    assert class_codes(pd.Series(["0.0", "1.0", "x.0"]), ("0", "1", "x")).tolist() == [0, 1, 2]
    assert class_codes(pd.Series(["0.0", "1"]), ("0", "0.0", "1")).tolist() == [1, 2]


def test_classes_with_too_few_cells_are_left_out_and_named():
    target = classes(["a"] * 20 + ["b"] * 4 + ["c"] * 31 + ["d"] + [None] * 4)
    assert target.classes == ("a", "c")
    assert target.dropped == {"b": 4, "d": 1}
    assert target.counts(N).tolist() == [20, 31]
    assert not target.labelled[20:24].any()
    assert not target.labelled[55:].any()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "🧬", "x" * 200, " ", ""])
def test_any_text_can_be_a_class(name):
    assert set(classes(np.where(N % 2, name, "other")).classes) == {name, "other"}


def test_a_missing_column_is_refused_with_those_that_are_there():
    with pytest.raises(
        ConfigError, match=r"The data has no obs column “celltype”\. It has cell_type, condition, age, donor\."
    ):
        encode_target(make_toy().obs, TaskConfig(obs="celltype"), min_class_cells=5)


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize(
    "values", [[None] * 60, [np.nan] * 60, pd.Categorical([None] * 60), pd.array([pd.NA] * 60, dtype="Int64")]
)
def test_a_column_without_values_is_refused(kind, values):
    with pytest.raises(ConfigError, match=r"Column “a” has no value in any cell\. Choose another column\."):
        encode_target(pd.DataFrame({"a": values}), TaskConfig(obs="a", kind=kind), min_class_cells=5)


@pytest.mark.parametrize(
    "values", [["x"] * 60, ["x"] * 30 + [None] * 30, pd.Categorical(["x"] * 60, categories=["x", "y"])]
)
def test_a_column_with_one_class_is_refused(values):
    with pytest.raises(ConfigError, match=r"Column “label” has one class, “x”\. Choose a column with two or more\."):
        classes(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (N, r"Column “label” has 60 classes, of which 0 have 5 cells or more\. Choose a column with at least two"),
        (
            ["a"] * 56 + ["b"] * 4,
            r"Column “label” has 2 classes, of which 1 have 5 cells or more\. .*or merge its classes\.",
        ),
    ],
    ids=["one cell each", "one large"],
)
def test_a_column_without_two_large_classes_is_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        classes(values)


# --- numbers


@pytest.mark.parametrize(
    "values",
    [
        N,
        N.astype(np.uint8),
        N.astype(np.float32),
        N.astype(str),
        pd.Categorical(N),
        pd.Categorical(N.astype(str)),
        pd.array(N, dtype="Int64"),
        pd.array(N, dtype="Float32"),
        pd.array(N.astype(str), dtype="string"),
        list(N.astype(object)),
    ],
    ids=["int", "uint8", "float32", "text", "category", "category of text", "Int64", "Float32", "string", "object"],
)
def test_numbers_of_any_type_are_read_as_they_are(values):
    target = numbers(values)
    assert (target.kind, target.classes, target.n_outputs) == ("regression", (), 1)
    assert target.values.dtype == np.float64
    assert target.values.tolist() == N.tolist()
    assert target.labelled.all()


@pytest.mark.parametrize(
    "values",
    [
        np.where(N < 20, np.nan, N),
        pd.array([None if i < 20 else i for i in N], dtype="Int64"),
        pd.Series([None if i < 20 else str(i) for i in N], dtype=object),
        pd.Categorical([None if i < 20 else i for i in N]),
    ],
    ids=["float", "Int64", "text", "category"],
)
def test_cells_without_a_number_are_unlabelled(values):
    target = numbers(values)
    assert np.isnan(target.values[:20]).all()
    assert target.labelled.tolist() == [False] * 20 + [True] * 40


def test_yes_and_no_can_be_read_as_one_and_nought():
    assert numbers(N % 2 == 0).values.tolist() == (N % 2 == 0).astype(float).tolist()
    assert numbers(pd.array(N % 2 == 0, dtype="boolean")).values.tolist() == (N % 2 == 0).astype(float).tolist()


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (["34 years", *N[1:].astype(str)], "34 years"),
        ([*N[1:].astype(str), "unknown"], "unknown"),
        (["", *N[1:].astype(str)], ""),
        ([np.inf, *N[1:]], "inf"),
        ([-np.inf, *N[1:]], "-inf"),
        (pd.date_range("2020", periods=60), "2020-01-01 00:00:00"),
        (pd.to_timedelta(N, unit="D"), "0 days 00:00:00"),
        (N * 1j, "0j"),
    ],
    ids=["unit", "word", "blank", "inf", "-inf", "date", "span", "complex"],
)
def test_what_is_not_a_number_is_refused_with_its_value(values, shown):
    with pytest.raises(
        ConfigError, match=rf"Column “age” holds “{shown}”, which is not a number\. .*choose classification\."
    ):
        numbers(values)


@pytest.mark.parametrize("labelled", [1, 2, MIN_LABELLED - 1])
def test_too_few_numbers_are_refused_with_the_limit(labelled):
    cells = "1 cell" if labelled == 1 else f"{labelled} cells"
    with pytest.raises(
        ConfigError, match=rf"Column “age” has a number in {cells}\. A number needs at least 20 cells\."
    ):
        numbers(np.where(labelled > N, N, np.nan))


def test_just_enough_numbers_are_taken():
    assert numbers(np.where(N < MIN_LABELLED, N, np.nan)).labelled.sum() == MIN_LABELLED


def test_a_number_that_never_changes_is_refused():
    with pytest.raises(ConfigError, match=r"Column “age” is 7 in every cell\. Choose a column whose numbers differ\."):
        numbers(np.full(60, 7.0))


# --- what the training cells do not carry


def test_a_class_that_no_training_cell_carries_is_left_out_and_named():
    target = classes(["a"] * 20 + ["b"] * 20 + ["c"] * 20)
    seen = without_unseen(target, np.concatenate([N[:10], N[40:]]))
    assert seen.classes == ("a", "c")
    assert seen.dropped == {"b": 20}
    assert [seen.classes[code] for code in seen.values[seen.labelled]] == ["a"] * 20 + ["c"] * 20


def test_classes_left_out_twice_are_named_together():
    target = classes(["a"] * 20 + ["b"] * 17 + ["c"] * 20 + ["rare"] * 3)
    assert without_unseen(target, np.concatenate([N[:10], N[40:]])).dropped == {"rare": 3, "b": 17}


def test_nothing_changes_where_all_classes_train():
    target = classes(N % 3)
    assert without_unseen(target, N[:10]) is target


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            N[:20],
            r"“label” keeps one class, “a”, among the training cells\. Hold out another group, or drop this task\.",
        ),
        (N[40:], r"“label” keeps no class among the training cells\. Hold out another group, or drop this task\."),
    ],
    ids=["one", "none"],
)
def test_too_few_classes_among_the_training_cells_are_refused(cells, message):
    with pytest.raises(ConfigError, match=message):
        without_unseen(classes(["a"] * 20 + ["b"] * 20 + [None] * 20), cells)


@pytest.mark.parametrize("cells", [N[:20], N[50:]], ids=["constant", "unlabelled"])
def test_numbers_that_do_not_differ_among_the_training_cells_are_refused(cells):
    target = numbers([5.0] * 20 + list(range(30)) + [None] * 10)
    assert without_unseen(target, N[:25]) is target
    with pytest.raises(
        ConfigError, match=r"“age” has no two different numbers among the training cells\. Hold out another"
    ):
        without_unseen(target, cells)

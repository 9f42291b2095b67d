import numpy as np
import pandas as pd
import pytest

from tests.conftest import make_toy
from yoto_core.data.columns import describe_columns, likely_kind, values_to_paint

N = 400
ROW = np.arange(N)
NUMBERS = np.random.default_rng(0).normal(size=N)


def advice(name, values):
    (column,) = describe_columns(pd.DataFrame({name: values}))
    return column


def test_the_toy_offers_its_tasks_first_then_its_groups():
    columns = describe_columns(make_toy().obs)
    assert [(c.name, c.role, c.kind) for c in columns] == [
        ("cell_type", "task", "classification"),
        ("condition", "task", "classification"),
        ("age", "task", "regression"),
        ("donor", "group", "classification"),
    ]
    assert columns[0].reason == "4 classes, the smallest with 75 cells"
    assert columns[2].reason.startswith("numbers from 20")
    assert columns[3].reason == "6 groups of cells measured together: hold whole ones out"


@pytest.mark.parametrize(
    ("name", "values", "role", "reason"),
    [
        ("cell_type", ROW % 3, "task", "3 classes, the smallest with 133 cells"),
        (
            "cell_type",
            np.where(ROW == 7, "x", np.where(ROW % 2, "a", "b")),
            "task",
            "3 classes, the smallest with 1 cell",
        ),
        ("stage", NUMBERS, "task", "numbers from -"),
        ("empty", [None] * N, "neither", "no cell has a value"),
        ("empty", [np.nan] * N, "neither", "no cell has a value"),
        ("species", ["human"] * N, "neither", "every cell has the same value"),
        ("cell_type_ontology_term_id", ROW % 3, "neither", "repeats another column as ontology ids"),
        *(
            (name, NUMBERS, "neither", "describes the measurement of the cell, not the cell")
            for name in ("n_genes", "nCount_RNA", "total_counts", "pct_counts_mt", "percent_mito", "log1p_total_counts")
        ),
        ("S_score", NUMBERS, "neither", "describes the measurement of the cell, not the cell"),
        ("predicted_doublet", ROW % 2, "task", "2 classes, the smallest with 200 cells"),
        ("doublet_score", NUMBERS, "neither", "describes the measurement of the cell, not the cell"),
        ("name", [f"cell{i}" for i in ROW], "neither", "almost every cell has a value of its own"),
        ("name", [f"cell{i}" for i in ROW // 3], "neither", "134 classes are more than 100"),
        *(
            (name, ROW % 8, "group", "8 groups of cells measured together")
            for name in ("donor", "Donor_ID", "orig.ident")
        ),
        *((name, ROW % 8, "group", "8 groups of") for name in ("sample", "batch", "patient_id", "mouse", "individual")),
        ("donor", [f"d{i}" for i in ROW // 3], "group", "134 groups of cells measured together"),
        ("donor", ["d"] * N, "neither", "every cell has the same value"),
        ("donor", [f"d{i}" for i in ROW], "neither", "almost every cell has a value of its own"),
        ("rare", np.where(ROW < 2, "a", "b"), "neither", "99.5% of cells share one value"),
        ("rare", np.where(ROW < 4, "a", "b"), "task", "2 classes, the smallest with 4 cells"),  # 99 % and no more
        ("name", [f"kind{i % 100}" for i in ROW], "task", "100 classes, the smallest with 4 cells"),
        ("name", [f"kind{i % 101}" for i in ROW], "neither", "101 classes are more than 100"),
        ("donor", [f"d{i % 200}" for i in ROW], "group", "200 groups of cells measured together"),
        ("donor", [f"d{i % 201}" for i in ROW], "neither", "almost every cell has a value of its own"),
    ],
)
def test_each_column_gets_a_role_and_the_reason(name, values, role, reason):
    column = advice(name, values)
    assert (column.role, column.reason[: len(reason)]) == (role, reason)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (ROW % 2 == 0, "classification"),
        (pd.array(ROW % 2 == 0, dtype="boolean"), "classification"),
        (ROW % 20, "classification"),
        (ROW % 50, "classification"),
        (ROW % 100, "classification"),
        (ROW % 101, "regression"),
        (pd.array(ROW % 101, dtype="Int64"), "regression"),
        (NUMBERS, "regression"),
        (pd.array(NUMBERS, dtype="Float32"), "regression"),
        (np.where(ROW < 350, np.nan, NUMBERS), "regression"),
        (ROW % 20 / 2, "regression"),
        (ROW % 4 / 2, "classification"),
        (ROW % 50 * 1.0, "classification"),
        (np.where(ROW % 9 == 0, np.nan, ROW % 9), "classification"),
        (pd.Categorical(ROW), "classification"),
        (ROW.astype(str), "classification"),
        (pd.date_range("2020", periods=N), "classification"),
        ([1, "a", None, 2.5] * 100, "classification"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_numbers_with_many_values_are_predicted_as_numbers(values, kind):
    assert likely_kind(pd.Series(values)) == kind
    assert advice("thing", values).kind == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *(
            (name, "regression")
            for name in ("age", "Age", "donor_age", "AgeYears", "BMI", "time_h", "days.post.injury")
        ),
        *((name, "regression") for name in ("dose", "dpt_pseudotime", "Weight (kg)", "hypoxia score", "week")),
        *(
            (name, "classification")
            for name in ("leiden", "stage", "dosage_group", "age_bin", "weekend", "percentage2")
        ),
    ],
)
def test_few_whole_numbers_named_like_a_quantity_are_numbers(name, kind):
    assert advice(name, ROW % 10 + 20).kind == kind
    assert advice(name, ROW % 4).kind == "classification"
    assert advice(name, (ROW % 10).astype(str)).kind == "classification"


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        (
            "age",
            ROW % 10 + 20,
            "10 numbers from 20 to 29, taken as a number; choose classification on the Design page to predict them as classes",
        ),
        ("age", NUMBERS, "numbers from -"),
        (
            "leiden",
            ROW % 10 * 1.0,
            "10 classes, the smallest with 40 cells: numbers 0 to 9, taken as classes; choose regression on the Design page to"
            " predict a number",
        ),
        ("leiden", (ROW % 10).astype(str), "10 classes, the smallest with 40 cells"),
    ],
)
def test_what_numbers_are_taken_as_is_said_with_the_other_choice(name, values, reason):
    assert advice(name, values).reason[: len(reason)] == reason


def test_whole_numbers_are_painted_under_the_names_of_their_classes():
    assert values_to_paint(pd.Series([0.0, 1.0, np.nan])).tolist() == ["0", "1", None]
    assert values_to_paint(pd.Series([0.0, 1.0, np.nan, 2.5])).tolist() == ["0.0", "1.0", None, "2.5"]


def test_counts_leave_out_missing_values_and_categories_without_cells():
    values = pd.Categorical(["a"] * 6 + ["b"] * 3 + [None], categories=["a", "b", "never"])
    column = advice("cell_type", values)
    assert (column.levels, column.missing, column.smallest) == (2, 1, 3)


def test_a_number_has_no_smallest_class():
    assert advice("age", NUMBERS).smallest == 0


def test_names_that_people_mean_come_before_others():
    obs = pd.DataFrame(dict.fromkeys(["zz", "age", "leiden", "Cell_Type", "condition", "louvain"], ROW % 3))
    names = [column.name for column in describe_columns(obs)]
    assert names == ["Cell_Type", "leiden", "louvain", "condition", "age", "zz"]


def test_names_of_few_cells_are_not_offered_as_classes():
    assert advice("name", [f"cell{i}" for i in range(60)]).role == "neither"


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "🧬 état", "x" * 200, "", "a b\tc", "{}"])
def test_any_column_name_is_kept_as_it_is(name):
    assert advice(name, ROW % 3).name == name


def test_no_columns_get_no_advice():
    assert describe_columns(pd.DataFrame(index=range(5))) == ()


@pytest.mark.parametrize("dtype", [object, "string", "category", str])
def test_text_of_any_type_is_a_class(dtype):
    column = advice("thing", pd.Series(np.where(ROW % 2, "a", "b"), dtype=dtype))
    assert (column.role, column.kind, column.levels) == ("task", "classification", 2)


def test_the_profile_of_classes_counts_the_largest_first():
    assert advice("cell_type", [*"aaabbc", None]).profile == (3, 2, 1)


def test_the_profile_of_a_number_counts_from_low_to_high():
    values = [*range(10)] * 2 + [*range(100, 141)] + [float("nan"), float("inf")]
    assert advice("age", pd.array(values, dtype="float64")).profile == (14, 6, *[0] * 12, 5, 7, 7, 7, 7, 8)


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "complex128"])
def test_any_kind_of_number_has_a_profile(dtype):
    values = pd.Series([*range(200)]).astype(dtype)
    if dtype != "complex128":
        values[0] = pd.NA
    assert sum(advice("total", values).profile) == (199 if dtype != "complex128" else 200)

"""Every setting of a run, with the words and bounds that the form, the check and the shell share.

A setting is a field of a frozen dataclass made by `setting(...)`. The dataclass checks itself on construction;
whether a setting fits a data set is asked once, in `checks.check_fit`.
"""

import math
from collections.abc import Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from numbers import Real
from typing import Any, Literal, get_args, get_origin, get_type_hints

from yoto_core.errors import ConfigError

TaskKind = Literal["classification", "regression"]
Normalize = Literal["all genes", "panel", "binary"]
Scheme = Literal["auto", "one split", "cross-validation"]


def setting(
    default: Any,
    *,
    label: str,
    help: str,
    low: float | None = None,
    high: float | None = None,
    advanced: bool = True,
    names: Mapping[str, str] | None = None,
) -> Any:
    """A dataclass field that carries its own label, help text, bounds (inclusive), audience and names of its choices."""
    words = {"label": label, "help": help, "low": low, "high": high, "advanced": advanced, "names": names or {}}
    return field(default=default, metadata=words)


def choices(cls: type, spec: Field) -> tuple[str, ...]:
    """The allowed values of a `Literal` field, or nothing for any other field."""
    hint = get_type_hints(cls)[spec.name]
    return get_args(hint) if get_origin(hint) is Literal else ()


def check_bounds(config: Any) -> None:
    """Refuse a value of the wrong type, outside its bounds, or not among the choices (ConfigError)."""
    hints = get_type_hints(type(config))
    for spec in fields(config):
        if "label" not in spec.metadata:
            continue
        value, label = getattr(config, spec.name), spec.metadata["label"]
        allowed = choices(type(config), spec)
        if allowed:
            if value not in allowed:
                raise ConfigError(f"{label}: “{value}” is not a choice.", hint=f"Use one of {', '.join(allowed)}.")
            continue
        wanted = hints[spec.name]
        if wanted is str and not isinstance(value, str):
            raise ConfigError(f"{label} is “{value}”, not a name.", hint="Give a name, or “” for none.")
        if wanted in (int, float):
            _check_number(value, wanted, spec)


def _check_number(value: Any, wanted: type, spec: Field) -> None:
    label, low, high = (spec.metadata[key] for key in ("label", "low", "high"))
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ConfigError(f"{label} is “{value}”, not a number.", hint="Give a number.")
    if wanted is int and math.isfinite(value) and int(value) != value:
        raise ConfigError(f"{label} is {value}, not a whole number.", hint="Give a whole number.")
    if not low <= value <= high:
        raise ConfigError(f"{label} is {_show(value)}.", hint=f"Choose a value from {_show(low)} to {_show(high)}.")


def _show(value: float) -> str:
    """A number as a person writes it: 2,147,483,647 and 0.5, not 2.14748e+09."""
    return f"{int(value):,}" if math.isfinite(value) and value == int(value) else f"{value:g}"


def _plain(value: Any, wanted: Any) -> Any:
    if wanted is int and isinstance(value, Real):
        return int(value)
    if wanted is float and isinstance(value, Real):
        return float(value)
    return tuple(value) if isinstance(value, list) else value


class Settings:
    """Base of every section: it checks its own fields as soon as it is made."""

    def __post_init__(self) -> None:
        check_bounds(self)
        # NumPy numbers and lists are taken too, and kept as what JSON gives back: equal configs compare equal.
        for name, wanted in get_type_hints(type(self)).items():
            object.__setattr__(self, name, _plain(getattr(self, name), wanted))


@dataclass(frozen=True, kw_only=True)
class TaskConfig(Settings):
    """One obs column that the panel must predict."""

    obs: str
    kind: TaskKind = setting(
        "classification",
        label="Predict",
        help="Classes to tell apart, or a number to predict.",
        names={"classification": "classes", "regression": "a number"},
    )
    weight: float = setting(
        1.0, label="Weight", help="How much this task counts against the others.", low=0.01, high=100.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.obs or not isinstance(self.obs, str):
            raise ConfigError("A task names no obs column.", hint="Name the column to predict.")


@dataclass(frozen=True, kw_only=True)
class GenesConfig(Settings):
    """Which genes may enter the panel, and which must."""

    matrix: str = setting(
        "auto",
        label="Expression matrix",
        help="“auto” takes the best of layers/counts, raw.X and X: counts, else logs, else normalised values; or name one."
        " Where values mislead, add how to read them, as in “X as counts” or “X as logarithms in base 2”.",
    )
    min_cells_percent: float = setting(
        0.5,
        label="Detected in at least (% of training cells)",
        help="Genes seen in fewer training cells (and in fewer than 3) are not candidates.",
        low=0.0,
        high=50.0,
    )
    normalize: Normalize = setting(
        "panel",
        label="New cells will come from",
        help="How the model reads a cell; the genes chosen are the same. A targeted assay measures nothing but the panel, so"
        " cells are normalised over the panel's genes alone. Sequencing measures all genes, and cells are normalised over all"
        " of them. Where the technology differs much, only whether a gene is detected is read, which costs some accuracy.",
        advanced=False,
        names={
            "panel": "an imaging or other targeted assay: only the panel is measured",
            "all genes": "sequencing: all genes are measured",
            "binary": "another technology: genes are detected or not",
        },
    )
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    exclude_families: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("include", "exclude", "exclude_families"):
            listed = getattr(self, name)
            if not isinstance(listed, tuple) or not all(isinstance(item, str) for item in listed):
                raise ConfigError(f"genes.{name} is “{listed}”, not a list of names.", hint="Give a list of names.")
        both = sorted(set(self.include) & set(self.exclude))
        if both:
            raise ConfigError(f"{both[0]} is both included and excluded.", hint="Remove it from one of the two lists.")


@dataclass(frozen=True, kw_only=True)
class SplitConfig(Settings):
    """Which cells are held out for the final scores, and which steer the training."""

    group: str = setting(
        "",
        label="Hold out whole groups of",
        help="An obs column such as donor: all cells of a group stay on one side. Empty: cells are split one by one.",
        advanced=False,
    )
    test_percent: float = setting(
        25.0,
        label="Held-out cells (%)",
        help="Cells that training never sees; every score is measured on them.",
        low=5.0,
        high=50.0,
    )
    validation_percent: float = setting(
        15.0,
        label="Validation cells (% of the rest)",
        help="Cells that training watches to follow its progress and choose its final state.",
        low=5.0,
        high=50.0,
    )
    min_class_cells: int = setting(
        5,
        label="Smallest class (cells)",
        help="Classes with fewer labelled cells cannot be split; their cells count as unlabelled for that task.",
        low=4,
        high=1000,
    )
    scheme: Scheme = setting(
        "auto",
        label="Scores come from",
        help="One split judges the panel on one held-out part. Cross-validation holds out every part in turn, whole donors"
        " where there are donors, and chooses the panel anew each time: every cell is judged once. “Automatic” cross-validates"
        " where whole groups are held out and there are fewer than 8 of them.",
        advanced=False,
        names={"auto": "automatic", "one split": "one split", "cross-validation": "cross-validation"},
    )
    folds: int = setting(
        5,
        label="Folds",
        help="Parts of a cross-validation; fewer than 8 groups (donors) are left out one by one instead.",
        low=2,
        high=20,
        advanced=False,
    )
    seed: int = setting(
        0,
        label="Split seed",
        help="Another number holds out other cells or groups; the seed of the training is a setting of its own.",
        low=0,
        high=2**31 - 1,
    )


@dataclass(frozen=True, kw_only=True)
class SelectorConfig(Settings):
    """How the genes are chosen."""

    panel_size: int = setting(
        32,
        label="Panel size (genes)",
        help="How many genes the panel holds, exactly.",
        low=1,
        high=1000,
        advanced=False,
    )
    schedule: Literal["annealed", "fixed"] = setting(
        "annealed",
        label="Schedule",
        help="annealed: all genes at first, fewer at every step; fixed: the panel size from the first step, as in the paper.",
    )


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig(Settings):
    """What the panel is compared with, and how carefully."""

    alone: Literal["yes", "no"] = setting(
        "yes",
        label="Train each task alone",
        help="Several tasks share the panel; a panel of the same size for each task alone shows what the sharing costs.",
    )
    maps: Literal["yes", "no"] = setting(
        "yes",
        label="Draw the maps",
        help="Maps of the cells by all genes and by the panel alone, with numbers for what the panel keeps.",
    )
    stability: Literal["yes", "no"] = setting(
        "yes",
        label="Measure stability",
        help="Chooses the panel again from subsamples of the training cells, and from shuffled labels for comparison. It takes"
        " about as long as all other scores, and starts when they are there.",
    )
    subsamples: int = setting(
        20,
        label="Subsamples",
        help="How many subsamples (80 % of the training cells, whole groups where groups are held out) stability is"
        " measured on.",
        low=20,
        high=200,
    )
    random_panels: int = setting(
        3, label="Random panels", help="Random panels of the same size whose scores are averaged.", low=1, high=50
    )
    bootstrap: int = setting(
        1000,
        label="Bootstrap draws",
        help="Resamples of the held-out cells behind each 95 % interval.",
        low=50,
        high=5000,
    )
    max_cells: int = setting(
        20_000,
        label="Training cells for comparisons",
        help="Baselines and independent classifiers learn from at most this many training cells.",
        low=500,
        high=1_000_000,
    )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Settings):
    """How the model learns; the defaults are those of the benchmark."""

    steps: int = setting(300, label="Choosing steps", help="Steps in which genes compete.", low=1, high=100_000)
    fit_steps: int = setting(
        400,
        label="Fitting steps",
        help="Steps in which the model learns to read the chosen genes.",
        low=1,
        high=100_000,
    )
    batch_size: int = setting(128, label="Cells per step", help="Cells in one gradient step.", low=8, high=8192)
    replicas: int = setting(
        8,
        label="Replicas",
        help="Models that learn side by side on resampled cells and vote on the genes.",
        low=1,
        high=64,
    )
    pool: int = setting(
        512,
        label="First pool (genes)",
        help="How many genes, ordered in advance, enter the competition.",
        low=2,
        high=20_000,
    )
    hidden: int = setting(16, label="Encoder width", help="Units of the shared encoder.", low=2, high=1024)
    learning_rate: float = setting(
        0.01, label="Learning rate", help="Step size for the network's weights.", low=1e-6, high=1.0
    )
    score_learning_rate: float = setting(
        0.02, label="Score learning rate", help="Step size for the gene scores.", low=1e-6, high=10.0
    )
    noise_start: float = setting(
        0.5,
        label="Noise at the start",
        help="Gumbel noise on the scores: how freely genes are tried.",
        low=0.001,
        high=10.0,
    )
    noise_end: float = setting(
        0.1, label="Noise at the end", help="Gumbel noise in the last steps.", low=0.001, high=10.0
    )
    temperature: float = setting(
        0.5, label="Temperature", help="Softness of the ranking in the backward pass.", low=0.001, high=100.0
    )


@dataclass(frozen=True, kw_only=True)
class RunConfig(Settings):
    """One run, whole: with the data it is all that the result depends on."""

    tasks: tuple[TaskConfig, ...]
    genes: GenesConfig = GenesConfig()
    split: SplitConfig = SplitConfig()
    selector: SelectorConfig = SelectorConfig()
    training: TrainingConfig = TrainingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    seed: int = setting(
        0, label="Training seed", help="The same seed gives the same panel on the same split.", low=0, high=2**31 - 1
    )
    threads: int = setting(
        2,
        label="Threads",
        help="Processor threads for the comparisons; the panel does not depend on it.",
        low=1,
        high=256,
    )

    # Read from a run's folder: earlier versions let tasks share columns, and what they made stays readable.
    stored: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        names = [task.obs for task in self.tasks]
        if not names:
            raise ConfigError("No task is chosen.", hint="Choose at least one obs column to predict.")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ConfigError(f"Task “{twice}” is named twice.", hint="Name each obs column once.")
        if not self.stored:
            _check_columns(names)
        if self.split.group in names:
            raise ConfigError(
                f"“{self.split.group}” is both a task and the held-out group.",
                hint="Held-out groups are never seen in training; choose another group column or drop the task.",
            )
        if len(self.genes.include) > self.selector.panel_size:
            raise ConfigError(
                f"{len(self.genes.include)} genes must be included but the panel holds {self.selector.panel_size}.",
                hint="Raise the panel size or include fewer genes.",
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, ready for JSON; `from_dict` gives an equal config back."""
        return {name: value for name, value in asdict(self).items() if name != "stored"}

    @classmethod
    def from_dict(cls, values: dict[str, Any], *, stored: bool = False) -> "RunConfig":
        """The inverse of `to_dict`; an unknown section or field is a ConfigError.

        A `stored` one is taken although its tasks share columns of the answers.
        """
        if not isinstance(values, Mapping) or not isinstance(values.get("tasks", ()), list | tuple):
            raise ConfigError("These are not the settings of a run.", hint="Use a config.json of this program.")
        values = dict(values)
        tasks = tuple(_build(TaskConfig, task) for task in values.pop("tasks", ()))
        made = {name: _build(kind, values.pop(name)) for name, kind in section_types().items() if name in values}
        if "stored" in values:
            raise ConfigError("There is no setting “stored”.", hint="Use a config.json of this program.")
        return _build(cls, {"tasks": tasks, **made, **values, "stored": stored})

    def with_value(self, path: str, text: str) -> "RunConfig":
        """A copy with one `section.field` (or `seed`, `threads`) read from text, as the shell's --set gives it."""
        section, _, name = path.rpartition(".")
        target = getattr(self, section, None) if section in SECTIONS else self if not section else None
        spec = next((s for s in fields(target) if s.name == name and "label" in s.metadata), None) if target else None
        if spec is None:
            raise ConfigError(f"There is no setting “{path}”.", hint=f"Settings are {', '.join(setting_paths())}.")
        kind = get_type_hints(type(target))[name]
        try:
            value = kind(text) if kind in (int, float) else text
        except ValueError:
            whole = "whole " if kind is int else ""
            raise ConfigError(f"{path} is “{text}”, not a {whole}number.", hint=f"Give a {whole}number.") from None
        changed = replace(target, **{name: value})
        return replace(self, **{section: changed}) if section else changed


def answer_columns(task: str) -> tuple[str, ...]:
    """Every column that tables of answers have for a task: labels of new cells, held-out predictions, and the maps."""
    parts = ("probability", "second", "second probability", "not sure", "true", "predicted")
    return (task, *(f"{task} {part}" for part in parts))


def _check_columns(tasks: list[str]) -> None:
    """Refuse tasks whose answers would stand in one column (ConfigError); obs of an .h5ad knows no slash, but “_”."""
    taken = dict.fromkeys(("cell", "cell_index"), "")
    for task in tasks:
        for column in answer_columns(task):
            other = taken.setdefault(column.replace("/", "_"), task)
            if not other:
                raise ConfigError(
                    f"Task “{task}” is called as the answers call their cells.",
                    hint="Rename this obs column and load the data again.",
                )
            if other != task:
                raise ConfigError(
                    f"Tasks “{other}” and “{task}” would both write their answers to a column “{column}”.",
                    hint="Rename one of the two obs columns and load the data again.",
                )


SECTIONS = ("genes", "split", "selector", "training", "evaluation")


def section_types() -> dict[str, type[Settings]]:
    """The sections of a run's config by name."""
    hints = get_type_hints(RunConfig)
    return {name: hints[name] for name in SECTIONS}


def setting_paths() -> tuple[str, ...]:
    """Every `section.field` that the shell's --set takes."""
    owners = {"": RunConfig, **section_types()}
    return tuple(
        f"{section}.{spec.name}".lstrip(".")
        for section, owner in owners.items()
        for spec in fields(owner)
        if "label" in spec.metadata
    )


def _build(cls: type, values: Any) -> Any:
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"The settings hold “{values}” where a section is meant.", hint="Use a config.json of this program."
        )
    known = {spec.name for spec in fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ConfigError(f"There is no setting “{unknown[0]}”.", hint=f"Known here: {', '.join(sorted(known))}.")
    if cls is TaskConfig and "obs" not in values:
        raise ConfigError("A task names no obs column.", hint="Name the column to predict.")
    return cls(**values)

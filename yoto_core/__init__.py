"""YOTO's core: from labelled single cells to a gene panel and the model that reads it.

>>> import yoto_core
>>> run = yoto_core.select(adata, yoto_core.RunConfig(tasks=(yoto_core.TaskConfig(obs="cell_type"),)))  # doctest: +SKIP
>>> run.panel.genes, run.evaluation.scores, run.predict(new_adata)  # doctest: +SKIP
"""

from importlib import import_module

_HOMES = {
    "select": "pipeline",
    "Run": "pipeline",
    "load_run": "store.portable",
    "load_model": "store.portable",
    "export_model": "store.portable",
    "saved_model": "store.saved",
    "read_dataset": "data.reading",
    "Panel": "model.panel",
    "RunConfig": "config",
    "TaskConfig": "config",
    "GenesConfig": "config",
    "SplitConfig": "config",
    "SelectorConfig": "config",
    "TrainingConfig": "config",
    "EvaluationConfig": "config",
    "Progress": "progress",
    "Stopped": "progress",
    "YotoError": "errors",
    "DataError": "errors",
    "ConfigError": "errors",
    "RunError": "errors",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    """Load a public name on first use: a worker must report that it lives before torch has loaded."""
    if name not in _HOMES:
        raise AttributeError(f"module 'yoto_core' has no attribute {name!r}")
    return getattr(import_module(f"yoto_core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]

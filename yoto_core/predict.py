"""Label new cells with a trained panel: find the panel's genes in the new data, normalise alike, ask the model."""

import pandas as pd

from yoto_core.errors import DataError
from yoto_core.genes import match_genes
from yoto_core.panel_model import PanelModel
from yoto_core.preprocess import log_normalise
from yoto_core.reading import Dataset


def predict(model: PanelModel, data: Dataset) -> pd.DataFrame:
    """One row per cell: for each task its label or number, and for classes the model's probability.

    Raises:
        DataError: A panel gene is not in the data.
    """
    places, missing = [], []
    for gene, gene_id in zip(model.genes, model.gene_ids, strict=True):
        found = match_genes([gene], data.genes).found or match_genes([gene_id], data.genes).found
        places.append(found[0] if found else -1)
        if not found:
            missing.append(gene)
    if missing:
        raise DataError(
            f"{data.name} lacks {len(missing)} of the {len(model.genes)} panel genes (first: {missing[0]}).",
            hint="Use data in which every panel gene was measured.",
        )
    x = log_normalise(data.matrix, data.kind)[:, places].toarray()
    table = {}
    for answer in model.predict(x):
        table[answer.task] = answer.labels
        if answer.probabilities is not None:
            table[f"{answer.task} probability"] = answer.probabilities.max(1)
    return pd.DataFrame(table, index=data.obs.index)

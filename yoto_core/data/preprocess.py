"""From stored values to what the model reads: log-normalised expression of the candidate genes.

The library size is a property of each cell alone; which genes are candidates is learned from training cells only.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse

from yoto_core.config import GenesConfig
from yoto_core.data.genes import FAMILIES, families_of, match_genes
from yoto_core.data.reading import Dataset
from yoto_core.data.scales import Scale, factors, logged, unlogged
from yoto_core.errors import ConfigError

MIN_CELLS = 3


@dataclass(frozen=True)
class Candidates:
    """The genes offered to the selector."""

    genes: np.ndarray = field(repr=False)  # position of each candidate among the genes of the data
    symbols: tuple[str, ...] = field(repr=False)
    ids: tuple[str, ...] = field(repr=False)
    included: tuple[int, ...]  # candidates that the panel must hold

    @property
    def n_genes(self) -> int:
        """Number of candidate genes."""
        return len(self.genes)


def choose_candidates(data: Dataset, training_cells: np.ndarray, config: GenesConfig) -> Candidates:
    """Genes detected in enough training cells, less the excluded ones, with the included ones whatever their detection.

    Raises:
        ConfigError: A listed gene or family does not exist, a gene is on both lists, or no gene is left.
    """
    included = _listed(data, config.include, "included")
    excluded = set(_listed(data, config.exclude, "excluded"))
    both = next((gene for gene in included if gene in excluded), None)
    if both is not None:  # by symbol here and by id there
        raise ConfigError(
            f"{data.genes.symbols[both]} is both included and excluded.", hint="Remove it from one of the two lists."
        )
    unknown = next((name for name in config.exclude_families if name not in FAMILIES), None)
    if unknown is not None:
        raise ConfigError(f"There is no gene family “{unknown}”.", hint=f"Families are {', '.join(FAMILIES)}.")
    detected = np.bincount(data.matrix[training_cells].indices, minlength=data.n_genes)
    keep = detected >= max(MIN_CELLS, config.min_cells_percent / 100 * len(training_cells))
    if config.exclude_families:
        unwanted = set(config.exclude_families)
        keep &= np.array([not unwanted & set(families_of(symbol)) for symbol in data.genes.symbols])
    keep[list(excluded)] = False
    keep[list(included)] = True
    genes = np.flatnonzero(keep)
    if not genes.size:
        raise ConfigError(
            f"No candidate gene is left: none is detected in {config.min_cells_percent:g} % of the training cells"
            f" (at least {MIN_CELLS}) and not excluded.",
            hint="Lower that percentage or exclude fewer genes.",
        )
    position = {gene: i for i, gene in enumerate(genes)}
    return Candidates(
        genes=genes,
        symbols=tuple(data.genes.symbols[gene] for gene in genes),
        ids=tuple(data.genes.ids[gene] for gene in genes),
        included=tuple(position[gene] for gene in included),
    )


def expression_of(data: Dataset, candidates: Candidates) -> sparse.csr_matrix:
    """(cells, candidates) float32: what the model and every rival read."""
    return log_normalise(data.matrix, data.scale)[:, candidates.genes]


def log_normalise(matrix: sparse.csr_matrix, scale: Scale) -> sparse.csr_matrix:
    """log(1 + transcripts per 10,000) of stored values (cells × genes), or as near to it as their scale lets one come.

    The result shares its pattern of non-zeros with `matrix`, and its values too where they are stored as wanted.
    """
    factor = factors(_totals(matrix, scale), scale)
    if isinstance(factor, np.ndarray):
        factor = np.repeat(factor, np.diff(matrix.indptr)).astype(np.float32)
    values = logged(unlogged(matrix.data, scale), factor, scale)
    return sparse.csr_matrix((values, matrix.indices, matrix.indptr), shape=matrix.shape)


def gene_values(data: Dataset, name: str) -> np.ndarray | None:
    """(cells,) log-normalised expression of one gene by symbol or id; None where the data do not have it."""
    found = match_genes([name], data.genes).found
    if not found:
        return None
    values = unlogged(data.matrix[:, found[0]].toarray().ravel().astype(np.float64), data.scale)
    return logged(values, factors(_totals(data.matrix, data.scale), data.scale), data.scale)


def _totals(matrix: sparse.csr_matrix, scale: Scale) -> np.ndarray:
    """(cells,) sum over all genes before any logarithm, where every cell has its own; () where it is not asked for."""
    if scale.total != "own":
        return np.empty(0)
    linear = sparse.csr_matrix((unlogged(matrix.data, scale), matrix.indices, matrix.indptr), shape=matrix.shape)
    return np.asarray(linear.sum(axis=1), dtype=np.float64).ravel()


def _listed(data: Dataset, names: tuple[str, ...], verb: str) -> tuple[int, ...]:
    match = match_genes(names, data.genes)
    if match.missing:
        name, near = next(iter(match.missing.items()))
        hint = f"Did you mean {' or '.join(near)}?" if near else "Check the spelling, or remove it from the list."
        more = f" (and {len(match.missing) - 1} more)" if len(match.missing) > 1 else ""
        raise ConfigError(f"Gene {name}, to be {verb}, is not in the data{more}.", hint=hint)
    return match.found

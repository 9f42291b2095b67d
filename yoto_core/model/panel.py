"""The panel: which genes, in which order of importance, and the proof that there are exactly as many as asked."""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Panel:
    """`panel_size` distinct genes, best first."""

    genes: tuple[str, ...]
    gene_ids: tuple[str, ...]  # "" where unknown
    scores: tuple[float, ...]  # the model's scores, which give the order
    included: tuple[bool, ...]  # asked for by the user
    panel_size: int

    def __post_init__(self) -> None:
        columns = (self.genes, self.gene_ids, self.scores, self.included)
        if any(len(column) != self.panel_size for column in columns) or len(set(self.genes)) != self.panel_size:
            raise AssertionError(f"a panel of {self.panel_size} must hold that many distinct genes, got {self.genes}")

    def at_size(self, k: int) -> "Panel":
        """The first k genes."""
        columns = (self.genes, self.gene_ids, self.scores, self.included)
        return Panel(*(column[:k] for column in columns), panel_size=k)

    def table(self) -> pd.DataFrame:
        """One row per gene: rank, gene, gene_id, score, included."""
        return pd.DataFrame(
            {
                "rank": range(1, self.panel_size + 1),
                "gene": self.genes,
                "gene_id": self.gene_ids,
                "score": self.scores,
                "included": self.included,
            }
        )

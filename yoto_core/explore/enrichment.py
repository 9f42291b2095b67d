"""Which known gene sets does a list hold more of than chance would give? Over-representation, on this machine.

The test is gseapy's one-sided hypergeometric one. Three things are done here because gseapy does them otherwise: sets are
cut to the background and filtered by size first, the Benjamini-Hochberg correction counts every tested set (gseapy counts
only sets with a hit), and names are compared as they are spelled unless asked otherwise (gseapy guesses).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import gseapy
import numpy as np
import pandas as pd
from scipy import stats

from yoto_core.errors import ConfigError, DataError
from yoto_core.files import ASSETS

FOLDER = ASSETS / "gene_sets"
MIN_SET, MAX_SET = 5, 500  # genes of a set within the background
MOST_SETS = 100_000  # of one file; the whole of MSigDB holds a third of that
COLUMNS = ["library", "term", "hits", "set_size", "p_value", "adjusted_p", "odds_ratio", "genes"]
CAVEAT = (
    "A panel is chosen because its genes tell these labels apart, so sets that describe the labels are expected to come"
    " up, whatever else is true. Enrichment says what the chosen genes are known for; it does not say that a pathway is"
    " active in these cells, and sets that are missing may only be redundant for the prediction."
)


@dataclass(frozen=True)
class Library:
    """A collection of gene sets that is shipped with the project; all are human."""

    name: str
    label: str
    file: str
    licence: str


LIBRARIES = (
    Library("hallmark", "Hallmark (MSigDB 7.0)", "hallmark_msigdb_v7.0_human.gmt", "CC BY 4.0"),
    Library("go_bp", "GO Biological Process (2021)", "go_bp_enrichr_2021_human.gmt", "CC BY 4.0"),
    Library("reactome", "Reactome", "reactome_pathways_human.gmt", "CC BY 4.0"),
    Library("wikipathways", "WikiPathways (MSigDB 7.2)", "wikipathways_msigdb_v7.2_human.gmt", "CC0, CC BY 4.0"),
)

GeneSets = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Enrichment:
    """One row per tested set with at least one gene of the list, best first, and what the test rests on."""

    table: pd.DataFrame = field(repr=False)
    tested: int  # sets within the size limits, over all libraries: what the correction counts
    left_out: int  # sets outside the limits
    query: int  # genes of the list that are in the background
    dropped: tuple[str, ...]  # genes of the list that are not
    background: int  # genes

    def significant(self, cutoff: float = 0.05) -> pd.DataFrame:
        """The rows whose corrected p-value is at most `cutoff`."""
        return self.table[self.table["adjusted_p"] <= cutoff]


def parse_gmt(text: str, name: str) -> dict[str, tuple[str, ...]]:
    """Gene sets of a GMT file: tab-separated lines of name, description and genes.

    Raises:
        DataError: No line holds a set, which names what was found instead; or there are more sets than can be tested.
    """
    sets: dict[str, dict[str, None]] = {}  # the genes of a set in their order, each once
    for line in text.lstrip("\ufeff").splitlines():
        term, *rest = (part.strip() for part in line.split("\t"))
        genes = dict.fromkeys(filter(None, (gene.partition(",")[0].strip() for gene in rest[1:])))
        if term and genes:
            sets.setdefault(term, {}).update(genes)
    if len(sets) > MOST_SETS:
        raise DataError(f"{name} holds {len(sets):,} gene sets.", hint=f"Use a file of at most {MOST_SETS:,}.")
    if not sets:
        found = "is empty" if not text.strip() else "holds no gene set"
        raise DataError(
            f"{name} {found}.", hint="A GMT file has one set per line: name, description, genes, with tabs."
        )
    return {term: tuple(genes) for term, genes in sets.items()}


def shipped_sets(name: str) -> dict[str, tuple[str, ...]]:
    """The gene sets of a shipped library."""
    library = next(library for library in LIBRARIES if library.name == name)
    return parse_gmt((FOLDER / library.file).read_text(encoding="utf-8"), library.label)


def uploaded_sets(content: bytes, name: str) -> dict[str, tuple[str, ...]]:
    """The gene sets of a user's file (DataError where it is no text or holds none)."""
    try:
        return parse_gmt(content.decode("utf-8"), name)
    except UnicodeDecodeError:
        raise DataError(f"{name} is not a text file.", hint="Save it as a GMT file in UTF-8.") from None


def not_human(symbols: Iterable[str]) -> bool:
    """Whether most symbols are spelled as in mouse or rat (Gad1) rather than as in human (GAD1)."""
    names = [symbol for symbol in symbols if any(char.isalpha() for char in symbol)]
    return bool(names) and np.mean([symbol[1:] != symbol[1:].upper() for symbol in names]) > 0.5


def enrich(
    genes: Sequence[str],
    background: Iterable[str],
    libraries: Mapping[str, GeneSets],
    *,
    ignore_case: bool = False,
    min_set: int = MIN_SET,
    max_set: int = MAX_SET,
) -> Enrichment:
    """Test every set of the libraries for genes of a list.

    Args:
        genes: The list, e.g. a panel.
        background: What it could have been chosen from; genes outside it are left out everywhere.
        libraries: Name -> its gene sets.
        ignore_case: Match symbols whatever their case; for mouse symbols against human sets this is a comparison of
            spellings, not of orthologs.
        min_set: Sets with fewer genes of the background are not tested.
        max_set: Sets with more are not tested either.

    Raises:
        ConfigError: No gene of the list is in the background, or no set is left to test.
    """
    key = str.upper if ignore_case else str
    # gseapy folds the case by a guess of its own: names of one case leave it nothing to guess.
    code = {key(gene): f"G{i}" for i, gene in enumerate(dict.fromkeys(background))}
    shown = {code[key(gene)]: gene for gene in genes if key(gene) in code}
    if not shown:
        raise ConfigError("None of these genes is in the background.", hint="Choose another background.")
    within = {
        (library, term): found
        for library, sets in libraries.items()
        for term, members in sets.items()
        if (found := sorted({code[key(gene)] for gene in members if key(gene) in code}))
    }
    tested = {place: found for place, found in within.items() if min_set <= len(found) <= max_set}
    if not tested:
        raise ConfigError(
            f"No gene set has {min_set} to {max_set} genes in common with the background.",
            hint="The shipped sets are human, in capitals: match names whatever their case, or choose other sets.",
        )
    total = sum(len(sets) for sets in libraries.values())
    return Enrichment(
        table=_test(shown, list(code.values()), tested),
        tested=len(tested),
        left_out=total - len(tested),
        query=len(shown),
        dropped=tuple(gene for gene in dict.fromkeys(genes) if key(gene) not in code),
        background=len(code),
    )


def _test(shown: Mapping[str, str], background: list[str], tested: Mapping[tuple[str, str], list[str]]) -> pd.DataFrame:
    places = {str(number): place for number, place in enumerate(tested)}
    sets = {number: tested[place] for number, place in places.items()}
    result = gseapy.enrich(list(shown), sets, background=background, outdir=None, no_plot=True, verbose=False)
    if result.res2d is None:  # no set holds any gene of the list
        return pd.DataFrame(columns=COLUMNS)
    found = result.res2d
    p_values = found["P-value"].to_numpy(dtype=float)
    every = np.ones(len(tested))  # a set without a hit has p = 1 and still counts
    every[: len(p_values)] = p_values
    table = pd.DataFrame(
        {
            "library": [places[term][0] for term in found["Term"]],
            "term": [places[term][1] for term in found["Term"]],
            "hits": [int(overlap.partition("/")[0]) for overlap in found["Overlap"]],
            "set_size": [len(sets[term]) for term in found["Term"]],
            "p_value": p_values,
            "adjusted_p": stats.false_discovery_control(every)[: len(p_values)],
            "odds_ratio": found["Odds Ratio"].to_numpy(dtype=float),
            "genes": [", ".join(sorted(shown[gene] for gene in genes.split(";"))) for genes in found["Genes"]],
        }
    )
    return table.sort_values(["p_value", "library", "term"], kind="stable", ignore_index=True)

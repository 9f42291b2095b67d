"""Where is each panel gene in new data? By symbol or Ensembl id, with everything doubtful said.

`RULES` says how, in the words that the user reads. Spelling that tells of another species is a warning, as matching by
letters is not orthology; ids of another species never match.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

from yoto_core.data.checks import Finding
from yoto_core.data.genes import ENSEMBL_ID, GeneNames, without_version
from yoto_core.errors import DataError

How = Literal["symbol", "Ensembl id", "other case", "missing"]

FOUND: dict[How, str] = {
    "symbol": "by symbol", "Ensembl id": "by Ensembl id", "other case": "spelled in another case", "missing": "",
}  # fmt: skip
SMALLEST_SHARE = 0.5  # of the panel's genes; with fewer the model would mostly answer from averages
SPECIES = {"ENSG": "human", "ENSMUSG": "mouse", "ENSRNOG": "rat", "ENSDARG": "zebrafish"}
MIN_SPELLINGS = 5  # symbols with letters enough to tell a species by
RULES = (
    "Each gene is looked for by its exact symbol, then by its Ensembl id without the version, then by either in another case"
    " (cd3d for CD3D). A column of the new data serves one panel gene only, and of repeated ones the first is read."
)


@dataclass(frozen=True)
class Matching:
    """One entry per panel gene: its column in the new data (-1 where missing) and how it was found."""

    genes: tuple[str, ...]
    places: tuple[int, ...]
    how: tuple[How, ...]
    findings: tuple[Finding, ...]
    species: str = ""  # in words, where the spelling of the genes tells of two species

    @property
    def missing(self) -> tuple[str, ...]:
        """Panel genes that the new data lack, in the order of the panel."""
        return tuple(gene for gene, place in zip(self.genes, self.places, strict=True) if place < 0)

    @property
    def enough(self) -> bool:
        """Whether at least half of the panel is there, as the model needs."""
        return len(self.genes) - len(self.missing) >= SMALLEST_SHARE * len(self.genes)

    @property
    def sentence(self) -> str:
        """How many panel genes are there, and how they were found."""
        ways = [(self.how.count(way), way) for way in get_args(How)]
        found = ", ".join(f"{times:,} {text}" for times, way in ways if times and (text := FOUND[way]))
        here, total = len(self.genes) - len(self.missing), len(self.genes)
        return f"{here:,} of {total:,} panel genes are there: {found}."

    @property
    def absent(self) -> tuple[int, ...]:
        """Their places in the panel."""
        return tuple(i for i, place in enumerate(self.places) if place < 0)


def match_panel(genes: Sequence[str], gene_ids: Sequence[str], names: GeneNames, *, name: str) -> Matching:
    """Find every panel gene among the genes of new data called `name`.

    Raises:
        DataError: Not one panel gene is there.
    """
    symbols = {symbol: i for i, symbol in reversed(list(enumerate(names.symbols)))}
    ids = {gene_id: i for i, gene_id in reversed(list(enumerate(names.ids))) if gene_id}
    folded = {text.upper(): i for text, i in (*ids.items(), *symbols.items())}
    clean = [without_version(gene_id) for gene_id in gene_ids]
    # One way after the other for the whole panel: no gene takes a column that another one names more exactly.
    ways: tuple[tuple[How, dict[str, int], Sequence[str]], ...] = (
        ("symbol", symbols, genes),
        ("Ensembl id", ids, clean),
        ("Ensembl id", ids, [without_version(gene) for gene in genes]),
        ("symbol", symbols, clean),
        ("other case", folded, [gene.upper() for gene in genes]),
        ("other case", folded, [gene_id.upper() for gene_id in clean]),
    )
    places, how = [-1] * len(genes), ["missing"] * len(genes)
    for way, known, wanted in ways:
        for i, text in enumerate(wanted):
            at = known.get(text) if places[i] < 0 and text else None
            if at is not None and at not in places:
                places[i], how[i] = at, way
    matching = Matching(tuple(genes), tuple(places), tuple(how), (), _two_species(genes, gene_ids, names))
    if len(matching.missing) == len(genes):
        begin = f"Use data in which they were measured: the panel begins with {', '.join(genes[:3])}; the file with {', '.join(names.symbols[:3])}."
        hint = f"{matching.species} Use data of the same species." if matching.species else begin
        raise DataError(f"{name} holds none of the {len(genes)} panel genes.", hint=hint)
    return replace(matching, findings=tuple(_findings(matching, gene_ids, names, name)))


def refuse_missing(matching: Matching, *, impute: bool, name: str) -> None:
    """Refuse data that lack too much of the panel, or anything of it where averages were not asked for (DataError)."""
    lost, total = len(matching.missing), len(matching.genes)
    if not lost:
        return
    what = f"{name} lacks {lost} of the {total} panel genes (first: {matching.missing[0]})."
    if not matching.enough:
        raise DataError(
            what,
            hint=f"At least {SMALLEST_SHARE:.0%} of them must be there. "
            + (f"{matching.species} Use data of the same species." if matching.species else "Use data that hold them."),
        )
    if not impute:
        raise DataError(
            what,
            hint="Use data in which all were measured, or take missing ones as average (--impute; in Python impute=True).",
        )


def species_of(symbols: Sequence[str], ids: Sequence[str]) -> str:
    """human, mouse, … by Ensembl ids, else human or mouse by spelling (CD3D, Cd3d); "" where neither tells."""
    for gene_id in (*ids[:200], *symbols[:200]):
        if ENSEMBL_ID.fullmatch(gene_id):
            return SPECIES.get(gene_id.rstrip("0123456789.").partition(".")[0], gene_id.partition("G0")[0])
    words = [symbol for symbol in symbols if sum(map(str.isalpha, symbol)) >= 3]
    if len(words) < MIN_SPELLINGS:
        return ""
    upper = sum(word.isupper() for word in words) / len(words)
    title = sum(word[0].isupper() and any(map(str.islower, word[1:])) for word in words) / len(words)
    return "human" if upper > 0.7 else "mouse" if title > 0.7 else ""


def averaged_findings(matching: Matching) -> tuple[Finding, ...]:
    """What is to be said once missing genes were taken as average."""
    if not matching.missing:
        return ()
    doubt = "Labels that rest on them are worse than on held-out cells."
    return (Finding("warning", f"{_few(matching.missing)} missing and taken as average.", doubt),)


def _two_species(genes: Sequence[str], gene_ids: Sequence[str], names: GeneNames) -> str:
    """Where the new data spell their genes as in another species: a sentence that says so."""
    mine, theirs = species_of(genes, gene_ids), species_of(names.symbols, names.ids)
    if not (mine and theirs and mine != theirs):
        return ""
    return f"Its genes are spelled as in {theirs}, the panel's as in {mine}."


def _findings(matching: Matching, gene_ids: Sequence[str], names: GeneNames, name: str) -> list[Finding]:
    rows = list(zip(matching.genes, gene_ids, matching.places, matching.how, strict=True))
    found = []
    if matching.species:
        doubt = "They are matched by letters, which is not orthology: labels across species are a guess."
        found.append(Finding("warning", f"{name}: {matching.species}", doubt))
    recased = [gene for gene, _, _, how in rows if how == "other case"]
    if recased:
        found.append(Finding("note", f"Of {name} {_few(recased)} spelled in another case than in the panel."))
    repeated = {*names.repeated, *(gene_id for gene_id, times in Counter(names.ids).items() if gene_id and times > 1)}
    twice = [gene for gene, _, at, _ in rows if at >= 0 and {names.symbols[at], names.ids[at]} & repeated]
    if twice:
        doubt = "The first column of each is read; check that it is the right one."
        found.append(Finding("warning", f"In {name} {_few(twice)} there more than once.", doubt))
    unlike = [
        gene for gene, gene_id, at, how in rows
        if how in ("symbol", "other case") and gene_id and names.ids[at] and names.ids[at] != without_version(gene_id)
    ]  # fmt: skip
    if unlike:
        doubt = "They are matched by symbol; check that they are the same genes."
        found.append(Finding("warning", f"In {name} {_few(unlike)} there under another Ensembl id.", doubt))
    return found


def _few(genes: Sequence[str]) -> str:
    """The first three names and how many more there are, with the verb that follows."""
    rest = len(genes) - 3
    names = ", ".join(genes[:3]) + (f" and {rest:,} more" if rest > 0 else "")
    return f"{names} {'is' if len(genes) == 1 else 'are'}"

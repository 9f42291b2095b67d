"""Gene names: symbols and Ensembl ids side by side, families, and matching of a pasted list."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

ENSEMBL_ID = re.compile(r"ENS[A-Z]*G\d{11}(\.\d+)?")
SYMBOL_COLUMNS = (
    "feature_name", "gene_symbols", "gene_symbol", "gene_name", "gene_names", "gene_short_name", "symbol", "hgnc_symbol",
)  # fmt: skip
ID_COLUMNS = ("ensembl_id", "gene_ids", "gene_id", "ensembl", "feature_id")

NEAR_SEARCHES = 10

# Families that panel designers leave out: abundant, housekeeping or without a usable name. Case follows the species.
FAMILIES: dict[str, tuple[str, re.Pattern[str]]] = {
    "mito": ("mitochondrial (MT-)", re.compile(r"MT-", re.IGNORECASE)),
    "ribo": ("ribosomal (RPS, RPL, MRPS, MRPL)", re.compile(r"M?RP[SL](?!6K)\d|RPLP\d|RPSA$", re.IGNORECASE)),
    "haemoglobin": ("haemoglobin (HBA, HBB, …)", re.compile(r"HB[ABDEGMQZ]\d?$|HB[AB]-", re.IGNORECASE)),
    "malat": ("MALAT1, NEAT1, XIST", re.compile(r"(MALAT1|NEAT1|XIST)$", re.IGNORECASE)),
    "unnamed": (
        "unnamed loci (LOC, LINC, RP11-, AC…, orf, Rik)",
        re.compile(r"LOC\d|LINC\d|(RP|CT[ABCD])\w*-\d|A[CLP]\d{6}|[A-Z0-9]+orf\d|.*Rik$|KIAA\d|FLJ\d|DKFZ|FAM\d"),
    ),
}


@dataclass(frozen=True)
class GeneNames:
    """Unique display names of all genes, their ids ("" where unknown) and the names that had to be told apart."""

    symbols: tuple[str, ...]
    ids: tuple[str, ...]
    repeated: tuple[str, ...]


def name_genes(var: pd.DataFrame) -> GeneNames:
    """Symbols to show and ids to order by, from `var_names` and the usual columns of `var`.

    Where `var_names` are Ensembl ids, a symbol column is shown instead; repeated names get -1, -2, … in file order.
    """
    names = [str(name) for name in var.index]
    if names and sum(bool(ENSEMBL_ID.fullmatch(name)) for name in names[:200]) > min(len(names), 200) / 2:
        symbols, ids = _column(var, SYMBOL_COLUMNS) or names, names
    else:
        symbols, ids = names, _column(var, ID_COLUMNS) or [""] * len(names)
    symbols = [symbol or gene_id for symbol, gene_id in zip(symbols, ids, strict=True)]
    repeated = tuple(name for name, times in Counter(symbols).items() if times > 1)
    return GeneNames(tuple(unique_names(symbols)), tuple(without_version(gene_id) for gene_id in ids), repeated)


def unique_names(names: Sequence[str]) -> list[str]:
    """The same names, where a repeated one gets the first free suffix of -1, -2 and so on."""
    if len(set(names)) == len(names):
        return list(names)
    taken, result, seen, suffix = set(names), [], set(), Counter()
    for name in names:
        unique = name
        while unique in seen or (unique != name and unique in taken):
            suffix[name] += 1
            unique = f"{name}-{suffix[name]}"
        seen.add(unique)
        result.append(unique)
    return result


def without_version(gene_id: str) -> str:
    """An Ensembl id without its version: ENSG00000000003.15 becomes ENSG00000000003."""
    return gene_id.partition(".")[0] if ENSEMBL_ID.fullmatch(gene_id) else gene_id


def families_of(symbol: str) -> tuple[str, ...]:
    """The families that a gene belongs to by its symbol."""
    return tuple(name for name, (_, pattern) in FAMILIES.items() if pattern.match(symbol))


@dataclass(frozen=True)
class Match:
    """A pasted gene list held against the data: positions of those found, and the missing names with the nearest ones.

    Nearest names are looked for only for the first few missing ones: each search costs a tenth of a second.
    """

    found: tuple[int, ...]
    missing: dict[str, tuple[str, ...]]


def match_genes(wanted: Iterable[str], names: GeneNames) -> Match:
    """Find genes by symbol or Ensembl id; versions are ignored, case only where the exact spelling is not there."""
    exact = {name: position for position, name in enumerate(names.ids) if name}
    exact |= {name: position for position, name in enumerate(names.symbols)}
    folded = {name.upper(): position for name, position in exact.items()}
    spellings = {name.upper(): name for name in names.symbols}
    found, missing = [], {}
    for name in dict.fromkeys(without_version(item.strip()) for item in wanted if item.strip()):
        position = exact.get(name, folded.get(name.upper()))
        if position is None:
            search = len(missing) < NEAR_SEARCHES
            near = difflib.get_close_matches(name.upper(), spellings, n=3) if search else ()
            missing[name] = tuple(spellings[spelling] for spelling in near)
        else:
            found.append(position)
    return Match(tuple(dict.fromkeys(found)), missing)


def split_list(text: str) -> tuple[str, ...]:
    """Names from a pasted or saved list: separated by commas, semicolons, spaces or lines; # starts a comment."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return tuple(dict.fromkeys(name for line in lines for name in re.split(r"[,;\s]+", line) if name))


def _column(var: pd.DataFrame, names: Sequence[str]) -> list[str] | None:
    for name in names:
        if name in var:
            return [str(value) if pd.notna(value) else "" for value in var[name]]
    return None

"""Gene sets found in a list: how strongly, and with how many genes."""

import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from yoto_core.plots.style import HIGHLIGHT, MUTED, Theme, ground_scale, literal, styled

SHOWN = 20
CUTOFF = 0.05
LONGEST = 44  # letters of a name; what is told on hovering is whole
COLLECTION = re.compile("(HALLMARK|WP|REACTOME|KEGG|BIOCARTA|PID|GOBP|GOCC|GOMF)_")  # how MSigDB's names of sets begin
IDENTIFIER = re.compile(r" \((GO:\d+)\)$")


def term_table(table: pd.DataFrame) -> pd.DataFrame:
    """The best 20 sets, best first: term, library, hits, set_size, share (of the set found), adjusted_p, strength (-log10), genes."""
    best = table.head(SHOWN).copy()
    best["share"] = best["hits"] / best["set_size"].clip(lower=1)
    best["strength"] = -np.log10(best["adjusted_p"].clip(lower=1e-300))
    columns = ["term", "library", "hits", "set_size", "share", "adjusted_p", "strength", "genes"]
    return best[columns].reset_index(drop=True)


def bar_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """A bar per set, its length -log10 of the corrected p-value; grey short of the line at 0.05."""
    colors = [HIGHLIGHT[theme] if p <= CUTOFF else MUTED for p in table["adjusted_p"]]
    figure = go.Figure(
        go.Bar(
            x=table["strength"], y=_names(table), orientation="h", marker={"color": colors}, text=table["hits"],
            textposition="outside", cliponaxis=False, customdata=_details(table),
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>corrected p %{customdata[2]}<extra></extra>",
        )
    )  # fmt: skip
    if len(table):
        figure.add_vline(x=-np.log10(CUTOFF), line={"color": MUTED, "width": 1, "dash": "dash"})
    return _terms(figure, table, theme, "−log10 of the corrected p-value (number: genes found; dashed line: p = 0.05)")


def dot_figure(table: pd.DataFrame, theme: Theme) -> go.Figure:
    """A dot per set: its place is the share of the set that was found, its size the genes, its colour the p-value."""
    figure = go.Figure(
        go.Scatter(
            x=table["share"], y=_names(table), mode="markers", customdata=_details(table),
            marker={
                "size": 8 + 22 * np.sqrt(table["hits"] / max(1, table["hits"].max())), "color": table["strength"], "cmin": 0,
                "colorscale": ground_scale(theme), "line": {"width": 1, "color": MUTED},
                "colorbar": {"title": {"text": "−log10<br>corrected p"}, "thickness": 12},
            },
            hovertemplate="%{customdata[0]}<br>%{customdata[1]}<br>corrected p %{customdata[2]}<extra></extra>",
        )
    )  # fmt: skip
    figure.update_xaxes(tickformat=".0%")
    return _terms(figure, table, theme, "share of the set's genes that were found (size: how many)")


def short_name(term: str, library: str) -> str:
    """A set's name as people say it, and its library: "HALLMARK_HYPOXIA" becomes "Hypoxia · Hallmark"."""
    name = IDENTIFIER.sub("", term)
    if COLLECTION.match(name):
        name = COLLECTION.sub("", name).replace("_", " ").capitalize()
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1].rstrip()}…"
    return f"{name} · {library.partition(' (')[0]}"


def _names(table: pd.DataFrame) -> list[str]:
    """Short and distinct: two sets of a library may be cut to one name."""
    names = [short_name(row.term, row.library) for row in table.itertuples()]
    found = []
    for place, name in enumerate(names):
        term, dot, library = name.rpartition(" · ")
        found.append(literal(name if names.count(name) == 1 else f"{term} ({place + 1}){dot}{library}"))
    return found


def _details(table: pd.DataFrame) -> list[list[str]]:
    return [
        [literal(f"{row.term} ({row.library})"), literal(f"{row.hits} of {row.set_size}: {row.genes}"), f"{row.adjusted_p:.2g}"]
        for row in table.itertuples()
    ]  # fmt: skip


def _terms(figure: go.Figure, table: pd.DataFrame, theme: Theme, title: str) -> go.Figure:
    figure.update_yaxes(autorange="reversed", type="category", dtick=1)
    figure.update_xaxes(title=title, rangemode="tozero")
    return styled(figure, theme, height=110 + 26 * max(3, len(table)))

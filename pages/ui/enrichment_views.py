"""The parts of the Enrichment page: which genes, against what, in which sets; the result; and the way out to Enrichr."""

from collections.abc import Iterable

import streamlit as st

from pages.ui import charts, downloads, explored, messages, state
from yoto_core.errors import YotoError
from yoto_core.explore import enrichment
from yoto_core.explore.enrichment import LIBRARIES, Enrichment
from yoto_core.explore.online import ask_enrichr
from yoto_core.explore.profiles import Profiles
from yoto_core.pipeline import Run
from yoto_core.plots.enrichment import bar_figure, dot_figure, short_name, term_table

LARGEST = 50  # MB of a user's gene sets
LABELS = {library.name: library.label for library in LIBRARIES}
ALL_SETS = "all genes of the chosen sets (as Enrichr does; makes p-values too small)"


def genes_input(run: Run, profiles: Profiles) -> tuple[str, ...]:
    """The panel, the genes that one task needs, or those highest in one class."""
    groups = {f"whole panel ({run.panel.panel_size:,} genes)": run.panel.genes}
    needed = run.losses[run.losses["needed"].astype(bool)]
    for task in run.config.tasks:
        found = tuple(needed.loc[needed["task"] == task.obs, "gene"].drop_duplicates())
        if found:
            groups[f"needed for {task.obs} ({len(found):,})"] = found
    best = profiles.genes
    for (task, name), rows in best[best["best_class"] != ""].groupby(["best_task", "best_class"]):
        groups[f"highest in {name}, {task} ({len(rows):,})"] = tuple(rows["gene"])
    chosen = st.selectbox("Genes", list(groups), key="enrich_genes", persist_state="session")
    if len(groups[chosen]) < 5:
        st.caption(f"{len(groups[chosen])} genes are few: single hits decide.")
    return groups[chosen]


def background_input(run: Run, profiles: Profiles) -> tuple[str, ...] | None:
    """What the list could have been chosen from; None for all genes of the chosen sets."""
    candidates, data = tuple(profiles.candidates["gene"]), state.run_data(run)
    options = {f"the {len(candidates):,} candidate genes of this run": candidates}
    if data is not None:
        options[f"all {data.n_genes:,} genes of the file"] = data.genes.symbols
    options[ALL_SETS] = None
    help = "The genes that the list could have been chosen from. A panel can only hold candidate genes."
    return options[st.selectbox("Background", list(options), key="enrich_background", help=help)]


def libraries_input() -> dict[str, enrichment.GeneSets]:
    """The shipped libraries that are ticked, and the user's own file."""
    chosen = st.pills(
        "Gene sets", list(LABELS), selection_mode="multi", default=list(LABELS), format_func=LABELS.get, key="enrich_sets",
        persist_state="session", wrap=True,
    )  # fmt: skip
    libraries = {LABELS[name]: _shipped(name) for name in chosen}
    own = st.file_uploader("Your own sets (.gmt)", type=["gmt", "txt"], key="gmt", max_upload_size=LARGEST)
    if own is not None:
        try:
            libraries[own.name] = enrichment.uploaded_sets(own.getvalue(), own.name)
        except YotoError as error:
            messages.show_error(error)
    return libraries


def case_input(symbols: Iterable[str]) -> bool:
    """Whether case is ignored: offered, never done unasked, where the symbols are not spelled as human ones."""
    if not _not_human(tuple(symbols)):
        return False
    st.warning(
        "These gene names are not spelled as human ones, and the shipped sets are human. Load sets of your species, or"
        " compare by spelling.",
        icon=":material/pets:",
    )
    return st.checkbox(
        "Match names whatever their case (Gad1 = GAD1)", key="enrich_case",
        help="This compares spellings, not orthologs: most mouse genes share the name of their human ortholog, some do not.",
    )  # fmt: skip


def cannot_meet(symbols: Iterable[str], libraries: dict, *, ignore_case: bool) -> bool:
    """Whether the names are of another species than all of the sets, so that there is nothing to test as they are spelled."""
    return not ignore_case and _not_human(tuple(symbols)) and set(libraries) <= set(LABELS.values())


def test(
    genes: tuple[str, ...], background: tuple[str, ...] | None, libraries: dict, *, ignore_case: bool
) -> Enrichment:
    """The tested sets, kept for the same question."""
    if background is None:
        background = tuple(
            dict.fromkeys(gene for sets in libraries.values() for found in sets.values() for gene in found)
        )
    key = tuple((name, hash(tuple(sets.items()))) for name, sets in libraries.items())
    return _test(genes, background, key, ignore_case=ignore_case, _libraries=libraries)


def result(found: Enrichment) -> None:
    """What was tested, the best sets as a figure, all of them as a table, and what it can mean."""
    good = found.significant()
    st.subheader("What comes up", anchor=False)
    if len(good):
        best = good.iloc[0]
        st.text(
            f"{len(good):,} of {found.tested:,} tested sets hold more of these genes than chance (corrected p ≤ 0.05)."
            f" The clearest: {short_name(best['term'], best['library'])}, {best['hits']} of its {best['set_size']} genes."
        )
    else:
        st.text(f"None of the {found.tested:,} tested sets holds more of these genes than chance would give.")
    st.caption(
        f"{found.query:,} genes against a background of {found.background:,}; sets with {enrichment.MIN_SET} to"
        f" {enrichment.MAX_SET} genes in the background ({found.left_out:,} smaller or larger ones are left out). One-sided"
        " hypergeometric test, p-values corrected over all tested sets (Benjamini-Hochberg)."
        + (messages.plain(f" Not in the background: {', '.join(found.dropped)}.") if found.dropped else "")
    )
    st.info(enrichment.CAVEAT, icon=":material/psychology_alt:")
    if not len(found.table):
        return
    kind = st.segmented_control("Figure", ["Bars", "Dots"], default="Bars", required=True, key="enrich_kind")
    terms = term_table(found.table)
    figure = bar_figure if kind == "Bars" else dot_figure
    charts.chart(
        lambda theme: figure(terms, theme), key="enrich_figure", alt="The gene sets that come up, the clearest first",
        table=found.table, name="yoto_enrichment",
    )  # fmt: skip
    _table(found)


def _table(found: Enrichment) -> None:
    st.subheader("All sets with a hit", anchor=False)
    number = st.column_config.NumberColumn
    choice = st.dataframe(
        found.table, hide_index=True, width="stretch", on_select="rerun", selection_mode="single-row", key="enrich_table",
        column_config={
            "library": "Library", "term": st.column_config.TextColumn("Set", width="large"),
            "hits": number("Found", help="Genes of the list that are in the set."),
            "set_size": number("Of", help="Genes of the set that are in the background."),
            "p_value": number("p", format="%.1e"), "adjusted_p": number("Corrected p", format="%.1e"),
            "odds_ratio": number("Odds ratio", format="%.1f", help="How much likelier a gene of the list is in the set than another."),
            "genes": "Genes",
        },
        alt="Gene sets with at least one gene of the list",
    )  # fmt: skip
    if not choice["selection"]["rows"]:
        st.caption("Choose a row to see its genes.")
        return
    row = found.table.iloc[choice["selection"]["rows"][0]]
    st.text(f"{row['term']}: {row['genes']}")
    profiles = explored.profiles().genes
    here = profiles[profiles["gene"].isin(row["genes"].split(", "))]
    names = {"gene": "Gene", "best_task": "Task", "best_class": "Highest in", "best_percent": "% of its cells"}
    st.dataframe(
        here[list(names)].rename(columns=names), hide_index=True, alt="Genes of the set, and where each is highest"
    )


def online(genes: tuple[str, ...]) -> None:
    """Enrichr, only on a click that says what it does."""
    with st.expander("Ask Enrichr online", icon=":material/public:"):
        st.warning(
            f"This sends {len(genes):,} gene names to maayanlab.cloud. Nothing else of your data leaves this machine, and"
            " nothing is sent before you press the button.",
            icon=":material/lock_open:",
        )
        library = st.text_input("Library", "GO_Biological_Process_2023", key="enrichr_library")
        if st.button("Send the gene names to Enrichr", icon=":material/send:", key="enrichr"):
            with messages.errors_shown(stop=False):
                with st.spinner("Waiting for Enrichr, at most a few seconds …"):
                    table = ask_enrichr(genes, library)
                st.caption("Enrichr uses a background of its own: its p-values differ from those above.")
                st.dataframe(table, hide_index=True, width="stretch", alt="Enrichr's answer")
                downloads.table_button("Enrichr's answer (CSV)", table, "yoto_enrichr.csv")


@st.cache_resource(max_entries=8, show_spinner=False)
def _shipped(name: str) -> enrichment.GeneSets:
    return enrichment.shipped_sets(name)


@st.cache_data(max_entries=8, show_spinner=False)
def _not_human(symbols: tuple[str, ...]) -> bool:
    return enrichment.not_human(symbols)


@st.cache_resource(max_entries=32, show_spinner="Testing the gene sets …")
def _test(
    genes: tuple[str, ...], background: tuple[str, ...], key: tuple, *, ignore_case: bool, _libraries: dict
) -> Enrichment:
    return enrichment.enrich(genes, background, _libraries, ignore_case=ignore_case)

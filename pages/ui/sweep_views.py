"""A comparison of several panels on the Runs page: one progress bar, one table, one chart."""

from datetime import datetime

import streamlit as st

from pages.ui import downloads, messages, state
from yoto_core.plots.sweep import sweep_figure
from yoto_core.report import METRIC_LABELS
from yoto_core.store.history import Row
from yoto_core.words import without_minus_zero
from yoto_core.work.sweep import Vary, comparison, may_change_sweep, standing, stop_sweep, summary, sweep_rows, varied

FIGURES = {"mean": "Mean", "lowest": "Lowest", "highest": "Highest"}
DIFFER: dict[Vary | None, str] = {
    None: "Nothing is repeated.",
    "training": "Repeats differ in the training; the held-out cells are the same.",
    "split": "Repeats differ in the split: each holds out other cells.",
    "both": "Repeats differ in the training and in the split: each holds out other cells.",
}


def show(rows: list[Row]) -> None:
    """One sweep of these runs, or the one that the link names; nothing where there is none."""
    asked = st.query_params.get("sweep", "")
    sweeps: dict[str, list[Row]] = {asked: sweep_rows(asked)} if asked else {}
    for row in rows:
        if row.label.sweep and row.label.sweep != asked:
            sweeps.setdefault(row.label.sweep, []).append(row)
    ids = [sweep_id for sweep_id, runs in sweeps.items() if runs]
    if not ids:
        return
    with st.expander("Comparisons of several panels", icon=":material/stacked_line_chart:", expanded=asked in ids):
        chosen = st.selectbox("Comparison", ids, key=f"sweep_{asked}", format_func=lambda sweep: _title(sweeps[sweep]))
        live = standing(chosen).live
        st.fragment(lambda: _progress_and_table(chosen, live=live), run_every=2.0 if live else None)()


def _title(rows: list[Row]) -> str:
    sizes = sorted({size for row in rows for size in row.label.sizes})
    first = min(row.status.created for row in rows)
    made = f"{datetime.fromtimestamp(first):%d %b, %H:%M}"
    tasks = ", ".join(sorted({task for row in rows for task in row.tasks}))
    return f"{', '.join(map(str, sizes))} genes for {tasks}, made {made}"


def _progress_and_table(sweep_id: str, *, live: bool) -> None:
    with messages.errors_shown():
        now = standing(sweep_id)
        if now.live:
            st.progress(now.done, text=f"{now.ended:,} of {now.total:,} runs have ended")
            mine = may_change_sweep(sweep_id, state.owner())
            if mine and st.button("Stop all", icon=":material/stop_circle:", key="sweep_stop"):
                stop_sweep(sweep_id, owner=state.owner())
        table = comparison(sweep_rows(sweep_id))
        seen = summary(table)
        if len(seen):
            st.plotly_chart(
                sweep_figure(seen, state.theme()), key="sweep_chart", config={"displayModeBar": False},
                alt="Score against panel size for every set of tasks",
            )  # fmt: skip
            st.dataframe(
                seen.assign(
                    metric=seen["metric"].map(METRIC_LABELS),
                    **{name: without_minus_zero(seen[name], 3) for name in FIGURES},
                ),
                hide_index=True, width="stretch", alt="Scores of every size and set of tasks",
                column_config={
                    "tasks": "Trained for", "genes": "Genes",
                    "trained_for": st.column_config.NumberColumn("Size trained", help="Smaller sizes are its first genes."),
                    "task": "Task", "metric": "Score", "repeats": "Repeats",
                    **{name: st.column_config.NumberColumn(label, format="%.3f") for name, label in FIGURES.items()},
                },
            )  # fmt: skip
            st.caption(
                f"Scores of YOTO's own model on held-out cells; lowest and highest over the repeats. {DIFFER[varied(table)]}"
            )
            downloads.table_button("Every run (CSV)", table, "yoto_comparison.csv")
        if not now.live and table["value"].isna().any():
            lacking = table[table["value"].isna()]["run"].nunique()
            st.caption(f"{lacking:,} of {now.total:,} runs ended without scores; the history below says why.")
    if live and not now.live:
        st.rerun()

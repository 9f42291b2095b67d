"""A comparison of several panels on the Runs page: one progress bar, one table, one chart."""

from datetime import datetime

import streamlit as st

from pages.ui import downloads, messages, state
from yoto_core.plots.sweep import sweep_figure
from yoto_core.store.folders import run_folder
from yoto_core.store.history import Row, history_row
from yoto_core.work.sweep import comparison, standing, stop_sweep, summary


def show(rows: list[Row]) -> None:
    """The chosen sweep of these runs; nothing where there is none."""
    sweeps: dict[str, list[Row]] = {}
    for row in rows:
        if row.label.sweep:
            sweeps.setdefault(row.label.sweep, []).append(row)
    if not sweeps:
        return
    st.subheader("Comparison", anchor=False)
    asked = st.query_params.get("sweep")
    ids = list(sweeps)
    chosen = ids[0] if len(ids) == 1 else st.selectbox(
        "Which", ids, index=ids.index(asked) if asked in ids else 0, key="sweep",
        format_func=lambda sweep: _title(sweeps[sweep]), label_visibility="collapsed",
    )  # fmt: skip
    live = standing(sweeps[chosen]).live
    names = [row.run_id for row in sweeps[chosen]]
    st.fragment(lambda: _progress_and_table(names, live=live), run_every=2.0 if live else None)()


def _title(rows: list[Row]) -> str:
    sizes = sorted({size for row in rows for size in row.label.sizes})
    first = min(row.status.created for row in rows)
    made = f"{datetime.fromtimestamp(first):%d %b, %H:%M}"
    tasks = ", ".join(sorted({task for row in rows for task in row.tasks}))
    return f"{', '.join(map(str, sizes))} genes for {tasks}, made {made}"


def _progress_and_table(run_ids: list[str], *, live: bool) -> None:
    with messages.errors_shown():
        rows = [history_row(run_folder(run_id)) for run_id in run_ids]
        now = standing(rows)
        if now.live:
            st.progress(now.done, text=f"{now.ended:,} of {now.total:,} runs have ended")
            if st.button("Stop all", icon=":material/stop_circle:", key="sweep_stop"):
                stop_sweep(rows)
        table = comparison(rows)
        seen = summary(table)
        if len(seen):
            st.plotly_chart(
                sweep_figure(seen, state.theme()), key="sweep_chart", config={"displayModeBar": False},
                alt="Score against panel size for every set of tasks",
            )  # fmt: skip
            st.dataframe(
                seen, hide_index=True, width="stretch", alt="Scores of every size and set of tasks",
                column_config={
                    "tasks": "Trained for", "genes": "Genes",
                    "trained_for": st.column_config.NumberColumn("Size trained", help="Smaller sizes are its first genes."),
                    "task": "Task", "metric": "Score", "seeds": "Repeats",
                    "mean": st.column_config.NumberColumn("Mean", format="%.3f"),
                    "lowest": st.column_config.NumberColumn("Lowest", format="%.3f"),
                    "highest": st.column_config.NumberColumn("Highest", format="%.3f"),
                },
            )  # fmt: skip
            st.caption("Scores of YOTO's own model on held-out cells; lowest and highest over the repeats.")
            downloads.table_button("Every run (CSV)", table, "yoto_comparison.csv")
        elif not now.live:
            st.caption("None of these runs has scores.")
    if live and not now.live:
        st.rerun()

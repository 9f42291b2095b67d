"""The same cells by all genes and by the panel alone: what stays together, and what merges."""

import streamlit as st

from pages.ui import explored, map_views, messages, nav, state

nav.ensure_router()
nav.header("Maps")
messages.show_notice()
nav.require_run(with_panel=True)

with messages.errors_shown():
    run, maps = state.run(), explored.maps()
if maps is None:
    st.info(
        "The maps of this run are not there: they are drawn last, after the scores, where the design asks for them.",
        icon=":material/hourglass_empty:",
    )
    st.stop()

with messages.errors_shown():
    paint = map_views.paint_input(run, maps)
    left = map_views.left_map_input(run, maps)
    inside = map_views.inside(run, maps)
    map_views.pictures(run, maps, paint, left, inside)
if inside is not None:
    map_views.selection(run, maps, inside)
map_views.numbers(run, maps)
nav.next_button("See how well it predicts", "Metrics")

"""The frame of the app: page list, link and navigation; every screen is a file in pages/."""

import streamlit as st

from pages.ui import nav, state

st.set_page_config(page_title="YOTO – gene panels", page_icon=":material/genetics:", layout="wide")
state.follow_link()
page = st.navigation(nav.sections())
nav.mark_routed()
nav.sidebar()
page.run()

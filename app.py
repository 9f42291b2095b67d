"""The frame of the app: page list, link and navigation; every screen is a file in pages/."""

import streamlit as st

from pages.ui import collector, nav, sidebar, state

collector.spare()
nav.configure()
state.follow_link()
page = st.navigation(nav.sections())
nav.mark_routed()
sidebar.show()
page.run()

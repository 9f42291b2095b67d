"""The server, and the frame of the app: page list, link and navigation; every screen is a file in pages/."""

import streamlit as st

if __name__ == "__main__":  # in every tab
    from pages.ui import collector, nav, sidebar, state

    collector.spare()
    nav.configure()
    state.follow_link()
    page = st.navigation(nav.sections())
    nav.mark_routed()
    sidebar.show(page.title)
    page.run()
else:  # once, by `streamlit run`
    from pages.ui import serving

    app = st.App(__file__, **serving.settings())

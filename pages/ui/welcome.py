"""What a newcomer reads before any data are loaded."""

import streamlit as st

STEPS = (
    (
        ":material/tune:",
        "Say what must survive",
        "Choose the labels that a handful of genes must still predict: cell type, condition, stage, age. As many at once as"
        " you like, and how many genes you can order.",
    ),
    (
        ":material/play_circle:",
        "Let the model choose",
        "One model picks exactly that many genes and learns to predict every label from them alone. The same model labels"
        " your cells when the assay comes back.",
    ),
    (
        ":material/monitoring:",
        "See whether to trust it",
        "Each panel stands beside Wilcoxon markers, forest importance, variable and random genes, scored on cells or donors"
        " that nothing has seen.",
    ),
)


def show() -> None:
    """The product in three steps, and where the data stay."""
    st.space("small")
    st.subheader("From labelled single cells to the genes to order", anchor=False)
    for column, (icon, title, text) in zip(st.columns(len(STEPS)), STEPS, strict=True):
        with column.container(border=True, height="stretch"):
            st.markdown(f"{icon} **{title}**")
            st.caption(text)
    st.caption(
        ":material/lock: Everything happens on this machine. One button asks another host: on the Enrichment page you may send gene names to Enrichr."
    )

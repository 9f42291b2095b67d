"""Inputs built from the settings themselves: label, help and bounds are the config's own words."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar, get_type_hints

import streamlit as st

from yoto_core.config import RunConfig, choices, section_types
from yoto_core.data.matrices import READINGS, Verdict, parse_choice

T = TypeVar("T")


def setting_input(owner: type, name: str, value: Any, *, key: str, high: float | None = None) -> Any:
    """One input for the field `name` of a config class; `high` lowers its upper bound to what the data allow."""
    spec = next(spec for spec in fields(owner) if spec.name == name)
    words, allowed = spec.metadata, choices(owner, spec)
    if allowed:
        return st.selectbox(
            words["label"], allowed, index=allowed.index(value), help=words["help"], key=key, persist_state="session",
            format_func=lambda choice: words["names"].get(choice, choice),
        )  # fmt: skip
    kind = get_type_hints(owner)[name]
    if kind is str:
        return st.text_input(words["label"], value, help=words["help"], key=key, persist_state="session")
    top = kind(words["high"] if high is None else min(high, words["high"]))
    step = 1 if kind is int else None
    return st.number_input(
        words["label"], kind(words["low"]), top, min(kind(value), top), step=step, help=words["help"], key=key,
        format=None if kind is int else "%g", persist_state="session",
    )  # fmt: skip


def advanced_inputs(config: RunConfig, *, key: str) -> RunConfig:
    """Every advanced setting, section by section; returns the config with what was entered."""
    for section, owner in section_types().items():
        names = [
            s.name for s in fields(owner) if "label" in s.metadata and s.metadata["advanced"] and s.name != "matrix"
        ]
        st.markdown(f"**{section.capitalize()}**")
        columns = st.columns(4)
        held = getattr(config, section)
        values = {}
        for i, name in enumerate(names):
            with columns[i % 4]:
                values[name] = setting_input(owner, name, getattr(held, name), key=f"{key}_{section}_{name}")
        config = replace(config, **{section: replace(held, **values)})
    return replace(config, seed=setting_input(RunConfig, "seed", config.seed, key=f"{key}_seed"))


def matrix_input(label: str, verdicts: Sequence[Verdict], wanted: str, *, key: str, keep: bool = False) -> str:
    """Which matrix of a file to use and how to read it, in the form that the core takes: “auto”, “X”, “X as counts”.

    With `keep` the choice outlives a change of pages by itself.
    """
    kept = "session" if keep else None
    usable = ["auto", *(verdict.name for verdict in verdicts if verdict.usable)]
    name, reading = parse_choice(wanted, tuple(verdict.name for verdict in verdicts))
    left, right = st.columns(2)
    with left:
        chosen = st.selectbox(
            label, usable, index=usable.index(name) if name in usable else 0, key=key, persist_state=kept,
            help="auto takes the best of layers/counts, raw.X and X: counts, else logs, else normalised values; of two of one"
            " kind the one with more genes.",
        )  # fmt: skip
    readings = ["", *READINGS]
    with right:
        asked = st.selectbox(
            "Read its values as", readings, index=readings.index(reading), key=f"{key}_reading", persist_state=kept,
            format_func=lambda choice: choice or "what they look like",
            help="What was found is said in the table, with the evidence. Choose here where you know better.",
        )  # fmt: skip
    return f"{chosen} as {asked}" if asked else chosen

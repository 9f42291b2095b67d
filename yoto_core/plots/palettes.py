"""Which colour stands for which class: palettes that do not repeat, the file's own colours, and two for other eyes.

Okabe & Ito's eight up to eight classes, then scanpy's palettes of 20 (after Vega), 28 (Zeileis et al. 2009) and 102 (after
jgbarah and godsnotwheregodsnot), copied from scanpy (BSD 3-Clause) so that a page need not import it.
"""

import colorsys
from collections.abc import Mapping, Sequence
from typing import Literal

from plotly.colors import sample_colorscale

from yoto_core.plots.style import GROUND, MUTED, OKABE_ITO

Look = Literal["standard", "colour-blind safe", "greyscale"]
MISSING = "(missing)"
SEEN = 1.4  # contrast to both grounds from which a dot is seen without effort; 1 is none


def _colors(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SCANPY_20 = _colors(
    "#1f77b4 #ff7f0e #279e68 #d62728 #aa40fc #8c564b #e377c2 #b5bd61 #17becf #aec7e8 #ffbb78 #98df8a #ff9896 "
    "#c5b0d5 #c49c94 #f7b6d2 #dbdb8d #9edae5 #ad494a #8c6d31 "
)
SCANPY_28 = _colors(
    "#023fa5 #7d87b9 #bec1d4 #d6bcc0 #bb7784 #8e063b #4a6fe3 #8595e1 #b5bbe3 #e6afb9 #e07b91 #d33f6a #11c638 "
    "#8dd593 #c6dec7 #ead3c6 #f0b98d #ef9708 #0fcfc0 #9cded6 #d5eae7 #f3e1eb #f6c4e1 #f79cd4 #7f7f7f #c7c7c7 "
    "#1ce6ff #336600 "
)
SCANPY_102 = _colors(
    "#ffff00 #1ce6ff #ff34ff #ff4a46 #008941 #006fa6 #a30059 #ffdbe5 #7a4900 #0000a6 #63ffac #b79762 #004d43 "
    "#8fb0ff #997d87 #5a0007 #809693 #6a3a4c #1b4400 #4fc601 #3b5dff #4a3b53 #ff2f80 #61615a #ba0900 #6b7900 "
    "#00c2a0 #ffaa92 #ff90c9 #b903aa #d16100 #ddefff #000035 #7b4f4b #a1c299 #300018 #0aa6d8 #013349 #00846f "
    "#372101 #ffb500 #c2ffed #a079bf #cc0744 #c0b9b2 #c2ff99 #001e09 #00489c #6f0062 #0cbd66 #eec3ff #456d75 "
    "#b77b68 #7a87a1 #788d66 #885578 #fad09f #ff8a9a #d157a0 #bec459 #456648 #0086ed #886f4c #34362d #b4a8bd "
    "#00a6aa #452c2c #636375 #a3c8c9 #ff913f #938a81 #575329 #00fecf #b05b6f #8cd0ff #3b9700 #04f757 #c8a1a1 "
    "#1e6e00 #7900d7 #a77500 #6367a9 #a05837 #6b002c #772600 #d790ff #9b9700 #549e79 #fff69f #201625 #72418f "
    "#bc23ff #99adc0 #3a2465 #922329 #5b4534 #fde8dc #404e55 #0089a3 #cb7e98 #a4e804 #324e72 "
)


def palette(n: int, look: Look = "standard") -> tuple[str, ...]:
    """N different colours (hex).

    Colour-blind safe beyond eight is an ordered scale from dark to light (cividis), which everybody can read; so is greyscale.
    """
    if look == "greyscale":
        return tuple(sample_colorscale(["#1f1f1f", "#c9c9c9"], _even(n), colortype="rgb"))
    if n <= len(OKABE_ITO):
        return OKABE_ITO[:n]
    if look == "colour-blind safe":
        return tuple(sample_colorscale("cividis", _even(n), colortype="rgb"))
    for colors in (SCANPY_20, SCANPY_28, SCANPY_102):
        if n <= len(colors):
            return _seen_first(colors)[:n]
    return (*_seen_first(SCANPY_102), *(_hue(i) for i in range(n - len(SCANPY_102))))


def class_colors(
    classes: Sequence[str], own: Mapping[str, str] | None = None, look: Look = "standard"
) -> dict[str, str]:
    """Class -> colour, the same on every page; the file's own colours where it has one for each, in the standard look."""
    colors = dict(zip(classes, palette(len(classes), look), strict=True))
    if look == "standard" and own and all(name in own for name in classes):
        colors = {name: own[name] for name in classes}
    return {**colors, MISSING: MUTED}


def contrast(first: str, second: str) -> float:
    """How much lighter one colour (hex) is than another, 1 (alike) to 21 (WCAG 2.1, contrast ratio)."""
    lights = sorted(_light(color) + 0.05 for color in (first, second))
    return lights[1] / lights[0]


def _seen_first(colors: Sequence[str]) -> tuple[str, ...]:
    """The same colours, those last that fade on white or on the dark ground: they are used only where all are needed."""
    return tuple(sorted(colors, key=lambda color: min(contrast(color, ground) for ground in GROUND.values()) < SEEN))


def _light(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _even(n: int) -> list[float]:
    return [i / max(1, n - 1) for i in range(n)]


def _hue(i: int) -> str:
    """One more colour by the golden ratio around the circle of hues."""
    red, green, blue = colorsys.hls_to_rgb(0.618034 * i % 1, (0.35, 0.5, 0.65)[i % 3], 0.65)
    return f"#{round(255 * red):02x}{round(255 * green):02x}{round(255 * blue):02x}"

"""Where the names of groups of cells are written on a map: at the thick of each group, and never over one another."""

import numpy as np

LETTER, LINE = 0.56, 1.35  # width of a letter and height of a line, in font sizes
ROUNDS = 200


def crowd(places: np.ndarray) -> tuple[float, float] | None:
    """The middle of the most crowded part of places (cells, 2); None where no cell has a place.

    A group in two islands is named on the larger one, not between them.
    """
    places = places[np.isfinite(places).all(axis=1)]
    if not len(places):
        return None
    counts, rows, columns = np.histogram2d(places[:, 0], places[:, 1], bins=4)
    row, column = np.unravel_index(counts.argmax(), counts.shape)
    inside = (places >= (rows[row], columns[column])) & (places <= (rows[row + 1], columns[column + 1]))
    x, y = np.median(places[inside.all(axis=1)], axis=0)
    return float(x), float(y)


def spread(anchors: np.ndarray, letters: np.ndarray, size: float, shape: tuple[float, float]) -> np.ndarray:
    """(n, 2) how far each name must move from its anchor (n, 2; pixels) so that no two overlap where there is room.

    Names that overlap push each other apart, by the shorter way, until none does or the rounds are over.

    Args:
        anchors: Where the names would stand.
        letters: (n,) how many letters each has.
        size: Font size in pixels.
        shape: Width and height of the map, which no name leaves.
    """
    half = np.column_stack([letters * size * LETTER, np.full(len(letters), size * LINE)]) / 2
    edge = np.maximum(np.array(shape) - half, half)
    where = np.clip(anchors + np.arange(len(anchors))[:, None] * 1e-3, half, edge)  # equal anchors must part somehow
    need = half[:, None] + half[None, :]
    for _ in range(ROUNDS):
        apart = where[:, None] - where[None, :]
        over = need - np.abs(apart)
        touching = (over > 0).all(axis=2) & ~np.eye(len(where), dtype=bool)
        if not touching.any():
            break
        along = np.where(over[..., 0] < over[..., 1], 0, 1)[..., None] == np.arange(2)
        push = np.where(touching[..., None] & along, np.sign(apart) * over / 2, 0)
        where = np.clip(where + 0.5 * push.sum(axis=1), half, edge)
    return where - anchors

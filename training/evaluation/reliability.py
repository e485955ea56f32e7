"""The reliability plot: how often what is called 70 percent is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

BINS = 10
SIDE, EDGE, HISTOGRAM = 300, 50, 60
INK, PALE, ACCENT, BAR = (40, 40, 40), (215, 215, 215), (0, 90, 181), (150, 180, 210)


def bins(probability: NDArray[np.float64], present: NDArray[np.bool_]) -> list[tuple[float, float, int]]:
    """(mean probability, frequency, cases) of each bin of equal width that holds any."""
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    rows = (place == b for b in range(BINS))
    return [(float(probability[r].mean()), float(present[r].mean()), int(r.sum())) for r in rows if r.any()]


def reliability_plot(
    path: Path, curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.bool_]]], errors: Mapping[str, str]
) -> None:
    """Draw one panel per calibration.

    Parameters
    ----------
    path : Path
        PNG file to write.
    curves : mapping of str to (probability, present)
        The cases of each calibration.
    errors : mapping of str to str
        The calibration error of each, for its title.
    """
    width, height = SIDE + 2 * EDGE, SIDE + 2 * EDGE + HISTOGRAM
    image = Image.new("RGB", (width * max(1, len(curves)), height), "white")
    draw = ImageDraw.Draw(image)
    for number, (name, (probability, present)) in enumerate(curves.items()):
        _panel(draw, number * width + EDGE, EDGE, f"{name}: {errors.get(name, '')}", bins(probability, present))
    temporary = path.with_suffix(".tmp")
    image.save(temporary, format="PNG")
    temporary.replace(path)


def _panel(draw: ImageDraw.ImageDraw, left: int, top: int, title: str, found: list[tuple[float, float, int]]) -> None:
    font = ImageFont.load_default(13)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * SIDE, top + (1 - y) * SIDE

    for k in range(BINS + 1):
        draw.line([at(k / BINS, 0), at(k / BINS, 1)], PALE)
        draw.line([at(0, k / BINS), at(1, k / BINS)], PALE)
    draw.line([at(0, 0), at(1, 1)], INK)
    draw.rectangle([at(0, 1), at(1, 0)], outline=INK)
    draw.text((left, top - 24), title, INK, font)
    for tick in (0.0, 0.5, 1.0):
        draw.text((at(tick, 0)[0] - 9, at(tick, 0)[1] + HISTOGRAM + 6), f"{tick:g}", INK, font)
        draw.text((left - 30, at(0, tick)[1] - 8), f"{tick:g}", INK, font)
    draw.text((left + SIDE / 2 - 70, top + SIDE + HISTOGRAM + 24), "probability said, cases (log)", INK, font)
    most = np.log1p(max((n for _, _, n in found), default=1))
    for said, true, count in found:
        tall = (HISTOGRAM - 6) * np.log1p(count) / most
        x, base = at(np.floor(min(said, 0.9999) * BINS) / BINS, 0)[0], top + SIDE + HISTOGRAM
        draw.rectangle([x + 2, base - tall, x + SIDE / BINS - 2, base], fill=BAR)
        cx, cy = at(said, true)
        draw.ellipse([cx - 5, cy - 5, cx + 5, cy + 5], fill=ACCENT)
    draw.line([at(*p[:2]) for p in found], ACCENT, 2)

"""Room at the lower edge of a canvas, where the window of HU, a letter and the scale bar stand side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import floor, log10

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QFont, QFontMetricsF, QGuiApplication

LARGEST_BAR = 153.0
"""Pixels of the longest scale bar that napari draws by itself, with the width of its line."""
LINE = 3.0
GAP = 16.0
"""Pixels between two texts that stand side by side: closer ones are read as one."""
NICE = (5, 2, 1)
SMALLEST_MM = 1e-3
Measure = Callable[[str], float]


@lru_cache(maxsize=256)
def text_width(text: str, points: int) -> float:
    """Pixels that napari's canvas takes for a text: it sizes points for 72 to an inch and measures them with Qt."""
    metrics = QFontMetricsF(QFont(QGuiApplication.font().family(), points))
    return metrics.boundingRect(QRectF(0, 0, 1000, 1000), Qt.AlignmentFlag.AlignLeft, text).width() * 96 / 72


def room_beside(width: float, middle: float, padding: float) -> float:
    """Pixels between one that stands at the side and one of ``middle`` pixels in the centre."""
    return (width - middle) / 2 - padding - GAP


def room_between(width: float, side: float, padding: float) -> float:
    """Pixels in the centre between two of ``side`` pixels at the left and the right."""
    return width - 2 * (padding + side + GAP)


def bar_length(zoom: float, room: float, measure: Measure) -> float | None:
    """Length in mm of the longest scale bar for ``room`` pixels; None where napari's own choice fits.

    Parameters
    ----------
    zoom : float
        Pixels per mm.
    room : float
        Pixels for the bar, and for its text above it.
    measure : callable
        Pixels of a text.
    """
    if room >= LARGEST_BAR or zoom <= 0:
        return None
    longest = max((room - LINE) / zoom, SMALLEST_MM)
    for power in range(floor(log10(longest)), floor(log10(SMALLEST_MM)) - 1, -1):
        for digit in NICE:
            length = digit * 10.0**power
            if length <= longest and measure(bar_text(length)) <= room:
                return length
    return SMALLEST_MM


def bar_text(length: float) -> str:
    """What napari writes above a scale bar of so many mm, in the unit it takes."""
    if length >= 1000:
        return f"{length / 1000:g} m"
    return f"{length:g} mm" if length >= 1 else f"{length * 1000:g} µm"


def window_place(text: str, beside: float, between: float, measure: Measure) -> tuple[str, str]:
    """Where the window of HU is written, and how it is broken into lines.

    Parameters
    ----------
    text : str
        Its parts are two spaces apart.
    beside : float
        Pixels left of the letter in the middle of the lower edge.
    between : float
        Pixels above that letter.
    measure : callable
        Pixels of a text.

    Returns
    -------
    tuple of str
        A position of napari's ("bottom_center" is above the letter, which was there first), and the text.
    """
    lines = _broken(text, beside, measure)
    if len(lines) <= 2 and all(measure(line) <= beside for line in lines):
        return "bottom_left", "\n".join(lines)
    return "bottom_center", "\n".join(_broken(text, between, measure))


def _broken(text: str, room: float, measure: Measure) -> list[str]:
    """Lines of as many parts as there is room for, and of one at least."""
    gap = "  " if "  " in text else " "
    lines = [""]
    for part in text.split(gap):
        longer = f"{lines[-1]}{gap}{part}" if lines[-1] else part
        if lines[-1] and measure(longer) > room:
            lines.append(part)
        else:
            lines[-1] = longer
    return lines

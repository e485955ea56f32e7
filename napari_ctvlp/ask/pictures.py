"""Pictures of key slices, for reports: the slice through an organ in its window, the organ outlined."""

from __future__ import annotations

import base64
import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.anatomy.windows import window_of
from napari_ctvlp.scan.types import OrganMasks, Scan

Plane = Literal["axial", "coronal", "sagittal"]
Picture = NDArray[np.uint8]

AXES: dict[Plane, int] = {"axial": 0, "coronal": 1, "sagittal": 2}
EDGES: dict[Plane, tuple[str, str, str, str]] = {
    "axial": ("R", "L", "A", "P"),
    "coronal": ("R", "L", "S", "I"),
    "sagittal": ("A", "P", "S", "I"),
}
"""Patient directions at the left, right, top and bottom edge of each plane."""
WIDEST = 1.5
"""Width over height of the box that a picture fits into: slices through a few centimetres are wide and low."""
LETTER_SIZE = 18
"""Pixels of a letter in a picture."""
GAP = 4
"""Pixels between a letter and the edge."""
OUTLINE = (230, 159, 0)  # Okabe-Ito orange, the window's accent


def key_slice(scan: Scan, masks: OrganMasks, organ: str, plane: Plane = "axial", height: int = 260) -> Picture:
    """The slice through the middle of an organ, in the window it is read in, with the organ outlined.

    Parameters
    ----------
    scan : Scan
    masks : OrganMasks
        Hold the organ, with its statistics.
    organ : str
    plane : str
        "axial", "coronal" or "sagittal"; patient right is on the left, as radiologists look at it.
    height : int
        Pixels of the box that the picture fits into, `WIDEST` times as wide; a millimetre is as long both ways.

    Returns
    -------
    (rows, columns, 3) uint8
    """
    from PIL import Image
    from scipy.ndimage import binary_erosion

    statistics = masks.statistics[organ]
    axis = AXES[plane]
    index = statistics.centroid_index[axis]
    rows, columns = (scan.spacing[k] for k in range(3) if k != axis)
    hu = np.take(scan.hu, index, axis).astype(np.float32)
    inside = np.take(masks.labels, index, axis) == statistics.label
    low, high = window_of(organ).limits
    grey = np.clip((hu - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    extent = (hu.shape[1] * columns, hu.shape[0] * rows)
    scale = min(WIDEST * height / extent[0], height / extent[1])
    size = (max(1, round(scale * extent[0])), max(1, round(scale * extent[1])))
    picture = np.array(Image.fromarray(grey).resize(size, Image.Resampling.BILINEAR).convert("RGB"))
    mask = np.array(Image.fromarray(inside.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR))
    large = mask > 127
    picture[large & ~binary_erosion(large, border_value=1)] = OUTLINE
    return picture


def lettered(picture: Picture, plane: Plane) -> Picture:
    """A copy with the patient's directions written at the edges; a low or narrow one gets black margins for them."""
    from PIL import Image, ImageDraw, ImageFont

    margins = [LETTER_SIZE + 2 * GAP if length < 4 * LETTER_SIZE else 0 for length in picture.shape[:2]]
    image = Image.fromarray(np.pad(picture, [(m, m) for m in (*margins, 0)]))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(LETTER_SIZE)
    width, height, gap = image.width, image.height, GAP
    places = (
        ((float(gap), height / 2), "lm"),
        ((float(width - gap), height / 2), "rm"),
        ((width / 2, float(gap)), "mt"),
        ((width / 2, float(height - gap)), "mb"),
    )
    for letter, (place, anchor) in zip(EDGES[plane], places, strict=True):
        draw.text(place, letter, fill="white", font=font, anchor=anchor, stroke_width=1, stroke_fill="black")
    return np.asarray(image)


def data_uri(picture: Picture) -> str:
    """The picture as a PNG inside a ``data:`` address, so that a page needs no other file."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")

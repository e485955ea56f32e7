"""Pictures of what an encoder missed: of the abnormalities that it sees worst, the case that it was surest was none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import binary_dilation

from napari_ctvlp.anatomy import display_name
from napari_ctvlp.anatomy.windows import BONE, LUNG, SOFT_TISSUE
from training.data.store import WorldStore
from training.engine.metrics import auc, enough

from .calibration import Calibrator
from .cases import Question

SIDE, HIGHEST = 260, 200
"""Pixels of one picture, at most."""
RIM = (255, 190, 40)


@dataclass(frozen=True)
class Miss:
    """A finding that was there and scored low."""

    abnormality: str
    organ: str
    scan: int
    probability: float
    auc: float


def misses(questions: Mapping[str, Question], calibrate: Calibrator, scans: int, most: int = 8) -> list[Miss]:
    """The lowest positive case of each of the ``most`` abnormalities with the lowest AUC, worst first.

    Parameters
    ----------
    questions : mapping of str to Question
        Of synthetic scans, each of which is a patient of its own.
    calibrate : Calibrator
        Scores to probabilities.
    scans : int
        How many scans there were.
    most : int
    """
    number = sorted(str(n) for n in range(scans))  # patients are numbered in the order of their names
    found = []
    for q in questions.values():
        if not enough(q.present, q.patient):
            continue
        probability = calibrate(q.keys, q.scores)
        case = int(np.flatnonzero(q.present)[probability[q.present].argmin()])
        value = float(auc(probability, q.present, np.ones((1, len(probability))))[0])
        organ = str(q.keys[case]).split("/")[0]
        found.append(Miss(q.name, organ, int(number[int(q.patient[case])]), float(probability[case]), value))
    return sorted(found, key=lambda miss: miss.auc)[:most]


def _slice(store: WorldStore, miss: Miss) -> Image.Image | None:
    """The axial slice with most of the finding, its rim marked."""
    hu = np.asarray(store.load(miss.scan).hu)
    lesion = np.zeros(hu.shape, bool)
    for finding in store.findings(miss.scan):
        if finding["abnormality"] == miss.abnormality and miss.organ in (finding["organ"], *finding["also"]):
            lesion[tuple(slice(a, b) for a, b in finding["box"])] |= finding["mask"]
    if not lesion.any():
        return None
    height = int(lesion.sum((1, 2)).argmax())
    inside = float(hu[lesion].mean())
    window = LUNG if inside < -300 else BONE if inside > 200 else SOFT_TISSUE
    grey = np.clip((hu[height].astype(float) - window.limits[0]) / window.width, 0, 1) * 255
    pixels = np.repeat(grey[..., None], 3, 2).astype(np.uint8)
    rim: NDArray[np.bool_] = binary_dilation(lesion[height], iterations=2) & ~binary_dilation(lesion[height])
    pixels[rim] = RIM
    scale = min(SIDE / pixels.shape[1], HIGHEST / pixels.shape[0])
    size = (int(scale * pixels.shape[1]), int(scale * pixels.shape[0]))
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


def draw_misses(path: Path, store: WorldStore, found: list[Miss]) -> None:
    """Write a sheet of four in a row."""
    drawn = [(miss, picture) for miss in found if (picture := _slice(store, miss)) is not None]
    if not drawn:
        return
    columns, height = 4, max(picture.height for _, picture in drawn) + 34
    sheet = Image.new("RGB", (columns * SIDE, -(-len(drawn) // columns) * height), (20, 20, 20))
    pen = ImageDraw.Draw(sheet)
    for n, (miss, picture) in enumerate(drawn):
        x, y = n % columns * SIDE, n // columns * height
        sheet.paste(picture, (x, y + 34))
        pen.text(
            (x + 4, y + 3), f"{miss.abnormality.replace('_', ' ')}, {display_name(miss.organ)}", fill=(235, 235, 235)
        )
        pen.text((x + 4, y + 17), f"probability {miss.probability:.2f} (AUC {miss.auc:.2f})", fill=(190, 190, 190))
    temporary = path.with_suffix(".tmp")
    sheet.save(temporary, "PNG")
    temporary.replace(path)

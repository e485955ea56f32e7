"""What published encoders share: the text by meaning, the check of HU."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from napari_ctvlp.encoder.contract import FloatArray, OrganStatus, ScanEmbedding
from napari_ctvlp.encoder.sides import tell_sides
from napari_ctvlp.encoder.text import TextTower, base_text_folder
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import geometry
from napari_ctvlp.scan.audit import rescale_suspicion
from napari_ctvlp.scan.types import OrganMasks, Scan

SMALLEST_ML = 0.15
"""Organs smaller than this are "too small", for any encoder."""


def organ_status(masks: OrganMasks, name: str, *, known: bool, seen: bool) -> OrganStatus:
    """Whether an organ's embedding can be trusted; ``seen`` says whether enough of it reached the network."""
    statistics = masks.statistics.get(name)
    if not known:
        return OrganStatus.UNKNOWN
    if not seen or (statistics is not None and statistics.volume_ml < SMALLEST_ML):
        return OrganStatus.TOO_SMALL
    return OrganStatus.CUT if statistics is not None and statistics.touches_edge else OrganStatus.COMPLETE


class Meaning:
    """Texts by meaning alone, by the sentence model that the package ships, loaded on first use.

    The thresholds of name evidence (`napari_ctvlp.ask.rank`) were chosen with it, so that they hold for every encoder.
    """

    def __init__(self) -> None:
        self._tower: TextTower | None = None

    def __call__(self, texts: Sequence[str]) -> FloatArray:
        """(n, 384) float32 unit vectors."""
        if self._tower is None:
            self._tower = TextTower.from_folder(base_text_folder())
        return np.asarray(self._tower(list(texts)).numpy(), np.float32)


class SideCheck:
    """Compares left and right texts with the organs of the first scan that has pairs; warns where they look swapped."""

    def __init__(self) -> None:
        self._done = False

    def __call__(self, embedding: ScanEmbedding) -> None:
        """Look at one embedding; does nothing once a scan was compared."""
        if self._done:
            return
        sides = tell_sides(embedding)
        self._done = sides is not None
        if sides is not None and sides.swapped:
            warnings.warn(
                f"{embedding.encoder.card.name} takes left for right in {sides.pairs - sides.right} of {sides.pairs} "
                "pairs of organs of this scan: its weights may expect another orientation.",
                stacklevel=3,
            )


def check_hounsfield(scan: Scan) -> None:
    """Refuse a scan whose rescaling looks wrong: a published encoder would answer all the same.

    Raises
    ------
    UserError
        Saying what is suspected.
    """
    low, high = float(scan.hu.min()), float(scan.hu.max())
    suspicion = rescale_suspicion(geometry.sparse(scan.hu), low, high)
    if suspicion:
        raise UserError(f"{scan.name}: {suspicion}; this encoder needs Hounsfield units, so correct the file first.")

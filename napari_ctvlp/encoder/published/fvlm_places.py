"""Where in an organ fVLM sees what is asked: the tokens of its windows, each pooled as if it were the whole organ."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from napari_ctvlp.encoder.contract import Cells, FloatArray
from napari_ctvlp.scan.types import OrganMasks

from . import fvlm_windows as windows


@dataclass(frozen=True, eq=False)
class FvlmPlaces:
    """The tokens of a scan's organs in the space of the text: 48 mm from foot to head, 16 and 32 mm across.

    Attributes
    ----------
    found : mapping of str to Cells
        By name of a mask.
    """

    found: Mapping[str, Cells]

    def cells(self, organ: str) -> Cells:
        """The tokens that an organ reaches into; none where it is not in the masks or not one of fVLM's."""
        if organ in self.found:
            return self.found[organ]
        return Cells(np.zeros((0, 3)), np.zeros((0, 1), np.float32), np.ones(3))


def cells_of(
    masks: OrganMasks,
    members: Collection[str],
    resized: windows.Resized,
    window: windows.Window,
    organ: int,
    vectors: FloatArray,
) -> dict[str, Cells]:
    """Share the places of one of fVLM's organs among the masks that make it up.

    Parameters
    ----------
    masks : OrganMasks
    members : collection of str
        Names of the masks that make up the organ.
    resized, window
        The grid, and which part of it was seen.
    organ : int
        Index of the organ.
    vectors : (n, d) float32
        Of the tokens that the organ reaches, in their order.

    Returns
    -------
    dict of str to Cells
        By name of a mask.
    """
    centres, steps = windows.token_centres(resized, window)
    centres = centres[windows.window_tokens(resized, window, organ).numpy()]
    found = {}
    for label, name in masks.names.items():
        if name in members:
            here = windows.places_of(resized, window, organ, label)
            found[name] = Cells(centres[here], vectors[here], steps)
    return found

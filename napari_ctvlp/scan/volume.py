"""A canonical volume while it is being filled: stored slabs in, Hounsfield units at their canonical place out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import geometry
from napari_ctvlp.scan.audit import AuditFacts, audit_volume
from napari_ctvlp.scan.geometry import AIR_HU, TILT_LIMIT_DEGREES, Affine
from napari_ctvlp.scan.types import Scan, StoredGrid

_PADDING_HU = -1500
"""Air and its noise hardly reach it; scanners write -2000, -2048 or -3024 outside a round field of view."""

_PADDING_SHARE = 1e-3


class CanonicalVolume:
    """An (I, P, L) int16 array that is filled slab by slab in the order of the file, with a tally of what went in.

    Parameters
    ----------
    shape : (x, y, z)
        Shape as stored.
    affine : (4, 4)
        Stored index to LPS mm.
    name : str
        Display name, used in messages.
    """

    def __init__(self, shape: tuple[int, int, int], affine: Affine, name: str) -> None:
        self.name = name
        self.stored = StoredGrid(shape, affine, geometry.axcodes(affine))
        turn = geometry.reorientation(affine)
        self.hu: NDArray[np.int16] = np.empty(turn.canonical_shape(shape), np.int16)
        self.affine = turn.canonical_affine(affine, shape)
        self._view = turn.stored_view(self.hu)
        self.low, self.high = np.inf, -np.inf
        self.missing = self.clipped = self.padded = 0

    def put(self, start: int, stop: int, values: NDArray[Any], slope: float = 1.0, inter: float = 0.0) -> None:
        """Store slices start..stop of the file: (x, y, stop - start) values, rescaled here and nowhere else.

        Not-a-number becomes -1024; anything beyond int16 is clipped and counted.
        """
        if (slope, inter) == (1.0, 0.0) and values.dtype.kind == "i" and values.dtype.itemsize <= 2:
            self._tally(values)
            self._view[:, :, start:stop] = values
            return
        if slope == 1.0 and float(inter).is_integer() and abs(inter) < 2**30 and values.dtype.kind in "iu":
            self._put_whole(start, stop, values, int(inter))
            return
        hu = values.astype(np.float64, order="K")  # of this slab only
        if (slope, inter) != (1.0, 0.0):
            hu *= slope
            hu += inter
        if values.dtype.kind == "f":
            unknown = ~np.isfinite(hu)
            count = int(np.count_nonzero(unknown))
            if count:
                self.missing += count
                self._tally(hu[~unknown])
                hu[unknown] = AIR_HU
            else:
                self._tally(hu)
        else:
            self._tally(hu)
        np.rint(hu, out=hu)
        if self.low < -32768 or self.high > 32767:
            self.clipped += int(np.count_nonzero((hu < -32768) | (hu > 32767)))
            np.clip(hu, -32768, 32767, out=hu)
        self._view[:, :, start:stop] = hu

    def _put_whole(self, start: int, stop: int, values: NDArray[Any], inter: int) -> None:
        """Store whole numbers that are only shifted: twice as fast as by floats, and most CT is so."""
        hu: NDArray[np.signedinteger] = values.astype(np.int32 if values.dtype.itemsize <= 2 else np.int64, order="K")
        hu += inter
        self._tally(hu)
        if self.low < -32768 or self.high > 32767:
            self.clipped += int(np.count_nonzero((hu < -32768) | (hu > 32767)))
            np.clip(hu, -32768, 32767, out=hu)
        self._view[:, :, start:stop] = hu

    def _tally(self, values: NDArray[Any]) -> None:
        if values.size:
            self.low = min(self.low, float(values.min()))
            self.high = max(self.high, float(values.max()))

    def finish(
        self, facts: AuditFacts, *, source: Path, name: str = "", window: tuple[float, float] | None = None
    ) -> Scan:
        """Straighten what is tilted, flatten padding, audit, and hand out the scan.

        Raises
        ------
        UserError
            If no voxel holds a number.
        """
        if not np.isfinite(self.low):
            raise UserError(f"{self.name}: every voxel is NaN (not a number); export the scan again.")
        notes = list(facts.notes)
        if self.missing:
            share = 100 * self.missing / self.hu.size
            notes.append(f"{self.missing} voxels ({share:.1f} %) held no number (NaN) and were set to {AIR_HU} HU")
        if self.clipped:
            notes.append(f"{self.clipped} voxels lay outside -32768..32767 and were clipped")
        before = (self.low, self.high)
        if flat := self._flatten_padding():
            notes.append(flat)
        tilt = geometry.tilt_degrees(self.stored.affine)
        if tilt > TILT_LIMIT_DEGREES:
            onto, shape = geometry.straight_grid(self.affine, self.hu.shape, self.name)
            hu = geometry.resample(self.hu, self.affine, onto, shape, order=1, fill=AIR_HU)
        else:
            onto, hu = self.affine, self.hu
        facts = AuditFacts(
            stored=self.stored,
            orientation_known=facts.orientation_known,
            slope=facts.slope,
            inter=facts.inter,
            rescale=facts.rescale,
            slices=facts.slices,
            stored_range=before,
            notes=tuple(notes),
        )
        audit = audit_volume(hu, onto, facts)
        spacing = geometry.voxel_sizes(onto)
        return Scan(hu, spacing, onto, name or self.name, self.stored, audit, window, str(source))

    def _flatten_padding(self) -> str:
        """Set the filling outside a round field of view to -1024 HU; what was done, or ""."""
        if self.low > _PADDING_HU:
            return ""
        sample = geometry.sparse(self.hu)
        outside = sample <= _PADDING_HU
        share = float(outside.mean())
        tissue = float(((sample > -300) & (sample < 300)).mean())
        # a scan whose intercept was applied twice also lies at -2000, and must stay as it is to be told
        if share < _PADDING_SHARE or tissue < 0.01:
            return ""
        value = int(np.median(sample[outside]))
        for start, stop in geometry.slabs(self.hu.shape[0], self.hu[0].size):
            part = self.hu[start:stop]
            part[part <= _PADDING_HU] = AIR_HU
        return f"{100 * share:.0f} % lie outside the field of view (stored as {value} HU) and were set to {AIR_HU} HU"

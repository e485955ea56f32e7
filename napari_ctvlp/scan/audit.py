"""What a scan was as stored, and whether it is plausible for CT. Nothing here names a patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.scan import geometry
from napari_ctvlp.scan.geometry import TILT_LIMIT_DEGREES, Affine
from napari_ctvlp.scan.types import Audit, AuditItem, StoredGrid


@dataclass(frozen=True, eq=False)
class AuditFacts:
    """What only the reader knows; every field may be left out for a plain array.

    Attributes
    ----------
    stored : StoredGrid or None
        The grid of the file.
    orientation_known : bool
        False when the header did not say how the patient lies.
    slope, inter : float
        Rescaling that was applied.
    rescale : str
        Words about it; "" makes them from slope and inter.
    slices : str
        Words about the positions of the slices; "" for a file that is a grid by itself.
    stored_range : (low, high) or None
        Range before padding was flattened.
    notes : tuple of str
        Anything else that was done while reading.
    """

    stored: StoredGrid | None = None
    orientation_known: bool = True
    slope: float = 1.0
    inter: float = 0.0
    rescale: str = ""
    slices: str = ""
    stored_range: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def audit_volume(hu: NDArray[np.int16], affine: Affine, facts: AuditFacts | None = None) -> Audit:
    """Audit a canonical volume.

    Parameters
    ----------
    hu : (I, P, L) array
        Hounsfield units.
    affine : (4, 4)
        Array index to LPS mm.
    facts : AuditFacts, optional
        What the reader knows beyond the array.

    Returns
    -------
    Audit
        Items in the order orientation, spacing, field of view, HU range, rescale, slices, tilt; then notes.
    """
    facts = facts or AuditFacts()
    stored = facts.stored or StoredGrid(hu.shape, affine, geometry.axcodes(affine))
    sample = geometry.sparse(hu)
    low, high = facts.stored_range or (float(hu.min()), float(hu.max()))
    suspicion = rescale_suspicion(sample, low, high)
    items = (
        _orientation(stored, facts.orientation_known),
        _spacing(affine, hu.shape),
        _field_of_view(affine, hu.shape),
        _range(sample, low, high, suspicion),
        _rescale(facts, suspicion),
        AuditItem("slices", facts.slices or f"{hu.shape[0]} slices on one regular grid"),
        _tilt(stored.affine),
        *(AuditItem("note", note, "note") for note in facts.notes),
    )
    return Audit(items)


def rescale_suspicion(sample: NDArray[np.int16], low: float, high: float) -> str:
    """Why the rescaling of these values looks wrong, or "".

    A body has soft tissue near 0..60 HU and fat near -100 HU, air is at -1000 HU. Values as stored, without the
    intercept of -1024, put tissue near 1000 and air near 0; an intercept applied twice puts tissue near -1000 and air
    near -2000.
    """
    tissue = _share(sample, -200, 200)
    if low <= -1900 and tissue < 0.01 and _share(sample, -1250, -850) > 0.05:
        return "the intercept looks applied twice (tissue near -1000 HU, air near -2000 HU)"
    # two peaks with a gap between them; an MR fills the gap
    peak = _share(sample, 850, 1250)
    if low >= 0 and peak > 0.05 and _share(sample, 0, 300) > 0.02 and peak > 2 * _share(sample, 400, 800):
        return "the intercept looks not applied (air near 0, tissue near 1000)"
    return ""


def _share(sample: NDArray[np.int16], low: float, high: float) -> float:
    return float(((sample >= low) & (sample <= high)).mean())


def _orientation(stored: StoredGrid, known: bool) -> AuditItem:
    if not known:
        text = f"{stored.axcodes} assumed: the header does not say how the patient lies, left and right may be swapped"
        return AuditItem("orientation", text, "warning")
    return AuditItem("orientation", f"stored as {stored.axcodes}, shown as IPL")


def _spacing(affine: Affine, shape: tuple[int, ...]) -> AuditItem:
    sizes = geometry.voxel_sizes(affine)
    text = f"{' x '.join(f'{s:.4g}' for s in sizes)} mm (I x P x L), {' x '.join(map(str, shape))} voxels"
    return AuditItem("spacing", text, "note" if max(sizes) > 6 or min(sizes) < 0.2 else "ok")


def _field_of_view(affine: Affine, shape: tuple[int, ...]) -> AuditItem:
    extent = [n * s for n, s in zip(shape, geometry.voxel_sizes(affine), strict=True)]
    text = " x ".join(f"{e:.0f}" for e in extent) + " mm"
    return AuditItem("field of view", text, "note" if min(extent) < 30 or max(extent[1:]) > 900 else "ok")


def _range(sample: NDArray[np.int16], low: float, high: float, suspicion: str) -> AuditItem:
    text = f"{low:.5g} to {high:.5g} HU"
    if suspicion:
        return AuditItem("HU range", f"{text}: not as in CT, see rescale", "warning")
    if high - low <= 10:
        return AuditItem("HU range", f"{text}: not Hounsfield units (normalised or a mask?)", "warning")
    if low >= 0:
        return AuditItem(
            "HU range", f"{text}: no negative value, so this looks like MR or a windowed picture", "warning"
        )
    if high < -500 or low > 300 or high > 32000:
        return AuditItem("HU range", f"{text}: implausible for CT", "warning")
    if _share(sample, -200, 200) < 0.005:
        return AuditItem("HU range", f"{text}: hardly any voxel has the HU of soft tissue", "warning")
    if low > -300:
        return AuditItem("HU range", f"{text}: plausible for CT, but without any air", "note")
    return AuditItem("HU range", f"{text}, plausible for CT")


def _rescale(facts: AuditFacts, suspicion: str) -> AuditItem:
    none = (facts.slope, facts.inter) == (1.0, 0.0)
    text = facts.rescale or (
        "none given in the file" if none else f"slope {facts.slope:.6g}, intercept {facts.inter:.6g}, applied once"
    )
    return AuditItem("rescale", f"{text}; {suspicion}" if suspicion else text, "warning" if suspicion else "ok")


def _tilt(affine: Affine) -> AuditItem:
    tilt = geometry.tilt_degrees(affine)
    if tilt > TILT_LIMIT_DEGREES:
        kind = "slanted slices (gantry tilt)" if geometry.shear_degrees(affine) > TILT_LIMIT_DEGREES else "rotated grid"
        return AuditItem("tilt", f"{tilt:.1f} degrees, {kind}: resampled onto a straight grid", "warning")
    if tilt > 0.05:
        return AuditItem("tilt", f"{tilt:.2f} degrees, kept in the affine and not drawn", "note")
    return AuditItem("tilt", "none")

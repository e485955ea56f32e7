"""The built-in sample: a synthetic CT of the abdomen with organ masks; no patient."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as ndi

from napari_ctvlp.anatomy.schemes import SCHEMES
from napari_ctvlp.scan.audit import audit_volume
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import OrganMasks, Scan, StoredGrid

__all__ = ["KNOWN_FINDINGS", "KnownFinding", "load_sample", "scan_of"]

SOURCE = "sample"
"""Stands for the path of the sample in saved sessions."""
NOISE_SEED = 20240501
NOISE_HU = 9.0
POINT_SPREAD_VOXELS = 0.42


@dataclass(frozen=True)
class KnownFinding:
    """A finding of the sample.

    ``centre`` is a voxel index (I, P, L) and ``size_mm`` the diameter of the largest lesion, of a calcified vessel
    the extent.
    """

    organ: str
    abnormality: str
    centre: tuple[int, int, int]
    size_mm: float


def _known() -> tuple[KnownFinding, ...]:
    rows = json.loads(files(__package__).joinpath("findings.json").read_text(encoding="utf-8"))
    return tuple(KnownFinding(r["organ"], r["abnormality"], tuple(r["centre"]), float(r["size_mm"])) for r in rows)


KNOWN_FINDINGS: tuple[KnownFinding, ...] = _known()
"""All that is abnormal in the sample; every other organ is normal."""


def load_sample() -> tuple[Scan, OrganMasks]:
    """The synthetic sample scan with its organ masks; the same bits every time.

    Returns
    -------
    Scan
        About (150, 100, 120) voxels of 3 mm, axes I, P, L.
    OrganMasks
        TotalSegmentator v2 names, with statistics.
    """
    with as_file(files(__package__).joinpath("body.npz")) as path, np.load(path) as stored:
        clean, labels, spacing = stored["hu"], np.ascontiguousarray(stored["labels"]), float(stored["spacing"])
    scan, masks = scan_of(_imaged(clean), labels, spacing, "synthetic sample")
    masks = replace(
        masks,
        scheme="TotalSegmentator v2 (made with the sample)",
        notes=("made by a program; no patient",),
        source=SOURCE,
    )
    return replace(scan, window=(40.0, 400.0), source=SOURCE), masks


def scan_of(
    hu: NDArray[np.int16],
    labels: NDArray[np.uint8],
    spacing: float,
    name: str,
    organs: Mapping[int, str] | None = None,
) -> tuple[Scan, OrganMasks]:
    """A volume that is no file as what readers give, the middle of the volume at the origin.

    Parameters
    ----------
    hu, labels : (I, P, L)
        HU and labels.
    spacing : float
        Isotropic, in mm.
    name : str
        Of the scan.
    organs : mapping of int to str, optional
        Label to organ; TotalSegmentator v2 by default.
    """
    affine = _affine(hu.shape, spacing)
    scan = Scan(
        hu=hu,
        spacing=(spacing, spacing, spacing),
        affine=affine,
        name=name,
        stored=StoredGrid((hu.shape[0], hu.shape[1], hu.shape[2]), affine, "IPL"),
        audit=audit_volume(hu, affine),
    )
    table = SCHEMES["totalsegmentator_v2"] if organs is None else organs
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=256)).tolist()
    names = {n: table[n] for n in present if n in table}
    scheme = "TotalSegmentator v2" if organs is None else "names given"
    masks = OrganMasks(labels, names, scheme, (), organ_statistics(scan, labels, names))
    return scan, masks


def _imaged(clean: NDArray[np.int16]) -> NDArray[np.int16]:
    """Blur by the scanner's point spread and add correlated noise of a fixed seed."""
    hu = ndi.gaussian_filter(clean.astype(np.float32), POINT_SPREAD_VOXELS, truncate=3.0)
    noise = np.random.default_rng(NOISE_SEED).standard_normal(hu.shape, dtype=np.float32)
    noise = ndi.gaussian_filter(noise, (0.0, 0.55, 0.55), truncate=3.0)
    hu += noise * np.float32(NOISE_HU / float(noise.std()))
    return np.clip(np.rint(hu), -1024, 3071).astype(np.int16)


def _affine(shape: tuple[int, ...], spacing: float) -> NDArray[np.float64]:
    """Array index (i, p, l) to LPS mm, the middle of the volume at the origin."""
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = -spacing, spacing, spacing, 1.0
    middle = (np.asarray(shape, float) - 1) / 2
    affine[:3, 3] = -(affine[:3, :3] @ middle)
    return affine

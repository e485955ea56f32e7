"""Files in the forms that hospitals and other programs give them in: real ones for a real scan, else made from it.

All is written beside the pictures, which are not kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np
import SimpleITK
from pydicom.dataset import Dataset
from skimage.measure import find_contours

from napari_ctvlp.scan.nifti_out import write_straight_masks, write_straight_scan
from napari_ctvlp.scan.types import OrganMasks, Scan
from tests.conftest import SHARED
from tests.scan.makers import RAS_LPS, dicom_slice, stored_as
from tests.scan.test_rtstruct import write as write_structures

from .driver import Driver

DRAWN = ("liver", "spleen", "kidney_left", "kidney_right")
"""Organs that an RTSTRUCT of the tour holds."""
OTHERS = 3
"""Slices of the other series in a DICOM folder."""

P = ParamSpec("P")
T = TypeVar("T")


def written_by_the_tour(make: Callable[Concatenate[Driver, P], T]) -> Callable[Concatenate[Driver, P], T]:
    """What a function takes is the tour's own time, and no stall of the window."""

    @wraps(make)
    def unwatched(driver: Driver, *args: P.args, **named: P.kwargs) -> T:
        with driver.watchdog.paused():
            return make(driver, *args, **named)

    return unwatched


def opened(driver: Driver) -> tuple[Scan, OrganMasks]:
    """What the first window has open."""
    scan, masks = driver.widget.session.scan, driver.widget.session.masks
    assert scan is not None and masks is not None
    return scan, masks


def is_real(driver: Driver) -> bool:
    """Whether the tour goes through the real scan, of which there are real files in other forms."""
    return Path(opened(driver)[0].source).is_relative_to(SHARED)


@written_by_the_tour
def pair(driver: Driver) -> tuple[Path, Path]:
    """Scan and masks as NIfTI, alone together in a folder."""
    folder = _folder(driver, "both")
    if is_real(driver):
        given = SHARED / "ct" / "ts_abdomen"
        return _copies(folder, given / "ct.nii.gz", given / "seg_v2_multilabel.nii.gz")
    scan, masks = opened(driver)
    write_straight_scan(folder / "ct.nii.gz", scan)
    write_straight_masks(folder / "seg.nii.gz", scan, masks)
    return folder / "ct.nii.gz", folder / "seg.nii.gz"


@written_by_the_tour
def nrrd(driver: Driver) -> tuple[Path, Path]:
    """Scan as NRRD, and a segmentation as Slicer writes it."""
    if is_real(driver):
        given = SHARED / "ct" / "ts_abdomen_nrrd"
        return given / "ct.nrrd", given / "seg_v2_multilabel.nrrd"
    folder, (scan, masks) = _folder(driver, "nrrd"), opened(driver)
    SimpleITK.WriteImage(_image(scan.hu, scan), str(folder / "ct.nrrd"), useCompression=True)
    image = _image(masks.labels, scan)
    for n, (label, name) in enumerate(masks.names.items()):
        for key, text in (("ID", f"Segment_{n}"), ("Name", name), ("LabelValue", str(label)), ("Layer", "0")):
            image.SetMetaData(f"Segment{n}_{key}", text)
    SimpleITK.WriteImage(image, str(folder / "ct.seg.nrrd"), useCompression=True)
    return folder / "ct.nrrd", folder / "ct.seg.nrrd"


@written_by_the_tour
def metaimage(driver: Driver) -> Path:
    """A scan as MetaImage, without masks."""
    if is_real(driver):
        return SHARED / "ct" / "elastix_right_lung.mha"
    path = _folder(driver, "mha") / "torso.mha"
    SimpleITK.WriteImage(_image(opened(driver)[0].hu, opened(driver)[0]), str(path), useCompression=True)
    return path


@written_by_the_tour
def two_series(driver: Driver) -> Path:
    """A DICOM folder with two series, the larger one first."""
    folder = _folder(driver, "dicom")
    if is_real(driver):
        for name in ("ts_upper_abdomen_j2k", "dcmqi_ct_3slice"):
            _copies(folder / name, *(SHARED / "dicom" / name).iterdir())
        return folder
    scan, _ = opened(driver)
    _write_series(folder / "a", scan, scan.hu, "Torso 3.0", uid="1.2.3.4")
    _write_series(folder / "b", scan, scan.hu[:OTHERS], "Monitoring", uid="1.2.3.5")
    return folder


@written_by_the_tour
def series_with_seg(driver: Driver) -> tuple[Path, Path | None]:
    """One DICOM series with the DICOM SEG that belongs to it; None where the tour has to write it first."""
    if is_real(driver):
        return SHARED / "dicom" / "dcmqi_ct_3slice", SHARED / "dicom" / "dcmqi_seg" / "liver.dcm"
    return _folder(driver, "dicom") / "a", None


@written_by_the_tour
def structures(driver: Driver, scan: Scan, masks: OrganMasks) -> Path:
    """An RTSTRUCT for a DICOM series: contours around some organs, half a voxel from the voxels inside."""
    drawn = []
    for organ in DRAWN:
        label = next((n for n, name in masks.names.items() if name == organ), None)
        if label is None:
            continue
        contours = []
        for plane in np.flatnonzero((masks.labels == label).any((1, 2))):
            for line in find_contours(np.pad(masks.labels[plane] == label, 1).astype(float), 0.5):
                contours.append(_contour(scan, int(plane), line[:-1] - 1))
        drawn.append((organ, contours))
    return write_structures(_folder(driver, "structures") / "rtstruct.dcm", drawn)


def _contour(scan: Scan, plane: int, line: np.ndarray) -> Dataset:
    points = [scan.affine @ [plane, p, left, 1] for p, left in line]
    contour = Dataset()
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(points)
    contour.ContourData = [f"{value:.4f}" for point in points for value in point[:3]]
    return contour


def _write_series(folder: Path, scan: Scan, hu: np.ndarray, name: str, *, uid: str) -> None:
    folder.mkdir(exist_ok=True)
    for k, plane in enumerate(hu):
        stored = (plane.astype(np.int32) + 1024).astype(np.int16)
        position = (scan.affine @ [k, 0, 0, 1])[:3]
        tags = {"SeriesInstanceUID": uid, "SeriesDescription": name, "SliceThickness": scan.spacing[0]}
        data = dicom_slice(stored, position, spacing=scan.spacing[1:], number=k + 1, **tags)
        data.save_as(folder / f"IM{k:04d}", enforce_file_format=True)


def _image(canonical: np.ndarray, scan: Scan) -> SimpleITK.Image:
    """A canonical array as an ITK image, stored left to right, front to back, feet to head."""
    data, ras = stored_as(canonical, scan.affine, "LPS")
    lps = RAS_LPS @ ras
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(data.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    return image


def _folder(driver: Driver, name: str) -> Path:
    folder = driver.files / name
    folder.mkdir(exist_ok=True)
    return folder


def _copies(folder: Path, *paths: Path) -> tuple[Path, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    made = [Path(shutil.copy(path, folder / path.name)) for path in paths]
    return made[0], made[1]

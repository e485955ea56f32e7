"""Organ masks and maps as NIfTI files, on the grid and with the affine of the scan's own file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.atomic import build_file, check_places
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.geometry import RAS_LPS, Affine
from napari_ctvlp.scan.nifti import is_nifti_name
from napari_ctvlp.scan.stored import masks_on_stored_grid, on_stored_grid
from napari_ctvlp.scan.types import OrganMasks, Scan

Colours = Mapping[str, Any]


def write_masks_nifti(path: str | Path, scan: Scan, masks: OrganMasks, colours: Colours | None = None) -> None:
    """Write all organs as one label file, with their names in it as TotalSegmentator writes them.

    Parameters
    ----------
    path : str or Path
        Ends in .nii or .nii.gz.
    scan : Scan
        Gives grid and affine: those of the file it was read from.
    masks : OrganMasks
    colours : mapping of str to RGB in 0..1, optional
        For viewers that read them; grey where missing.

    Raises
    ------
    UserError
        Another ending, or a place that cannot be written to.
    """
    from nibabel.nifti1 import Nifti1Extension

    labels = masks_on_stored_grid(scan, masks)
    table = Nifti1Extension(0, _label_table(masks.names, colours or {}))
    _write(Path(path), labels, scan, "organ masks", table)


def write_map_nifti(
    path: str | Path, scan: Scan, values: NDArray[np.floating], *, affine: Affine | None = None, what: str = "map"
) -> None:
    """Write a map of values (similarity, score) as float32.

    Parameters
    ----------
    path : str or Path
        Ends in .nii or .nii.gz.
    scan : Scan
        Gives grid and affine: those of the file it was read from.
    values : (I, P, L) float array
        On the grid of the scan, or of ``affine``; interpolated linearly where that is another grid than the file's.
    affine : (4, 4), optional
        Index of ``values`` to LPS mm.
    what : str
        Goes into the header (79 letters at most).

    Raises
    ------
    UserError
        Another ending, or a place that cannot be written to.
    """
    data = on_stored_grid(scan, np.asarray(values, np.float32), order=1, affine=affine)
    _write(Path(path), data, scan, what)


def write_grid_nifti(path: str | Path, values: NDArray[np.floating], affine: Affine, *, what: str = "") -> None:
    """Write values on a grid of their own as float32: what an encoder is fed, voxel by voxel.

    Parameters
    ----------
    path : str or Path
        Ends in .nii or .nii.gz.
    values : (I, P, L) float array
    affine : (4, 4)
        Index to LPS mm.
    what : str
        Goes into the header (79 letters at most).

    Raises
    ------
    UserError
        Another ending, or a place that cannot be written to.
    """
    _save(Path(path), np.asarray(values, np.float32), RAS_LPS @ affine, what)


def write_straight_masks(path: Path, scan: Scan, masks: OrganMasks) -> None:
    """Write masks as the project holds them, voxel for voxel, with their names: what reads back as the very same."""
    from nibabel.nifti1 import Nifti1Extension

    _save(path, masks.labels, RAS_LPS @ scan.affine, "organ masks", Nifti1Extension(0, _label_table(masks.names, {})))


def write_straight_scan(path: Path, scan: Scan) -> None:
    """Write the voxels of a scan as the project holds them, for other programs: int16 HU, (I, P, L), no name in it."""
    import nibabel

    affine = RAS_LPS @ scan.affine
    image = nibabel.Nifti1Image(scan.hu, affine, dtype=np.int16)
    image.set_sform(affine, 1)
    image.header.set_xyzt_units("mm")
    build_file(path, lambda temporary: nibabel.save(image, temporary))


def check_targets(*paths: Path | None) -> None:
    """Refuse, before the work starts, what could not be written as NIfTI when it is done; None is passed over.

    Raises
    ------
    UserError
        Another ending, or a place that cannot be written to.
    """
    for path in paths:
        if path is not None:
            _check_name(path)
    check_places(*paths)


def _check_name(path: Path) -> None:
    if not is_nifti_name(path):
        raise UserError(f"{path.name}: call the file .nii or .nii.gz to write NIfTI.")


def _write(path: Path, data: NDArray[Any], scan: Scan, what: str, extension: Any = None) -> None:
    _save(path, data, RAS_LPS @ scan.stored.affine, what, extension)


def _save(path: Path, data: NDArray[Any], affine: Affine, what: str, extension: Any = None) -> None:
    import nibabel

    _check_name(path)
    image = nibabel.Nifti1Image(data, affine, dtype=data.dtype)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    if not np.allclose(image.get_qform(), affine, rtol=0, atol=1e-3):
        image.set_qform(None)  # it has no shear, and a wrong place must not be called valid
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = what.encode("ascii", "replace")[:79]
    if extension is not None:
        image.header.extensions.append(extension)
    build_file(path, lambda temporary: nibabel.save(image, temporary))


def _label_table(names: Mapping[int, str], colours: Colours) -> bytes:
    """Label table of a Caret XML extension, the form that TotalSegmentator and Connectome Workbench use."""
    root = ElementTree.Element("CaretExtension")
    volume = ElementTree.SubElement(root, "VolumeInformation", Index="0")
    table = ElementTree.SubElement(volume, "LabelTable")
    for label, name in sorted(names.items()):
        red, green, blue = (f"{float(c):.4f}" for c in tuple(colours.get(name, (0.6, 0.6, 0.6)))[:3])
        node = ElementTree.SubElement(table, "Label", Key=str(label), Red=red, Green=green, Blue=blue, Alpha="1")
        node.text = name
    ElementTree.SubElement(volume, "StudyMetaDataLinkSet")
    ElementTree.SubElement(volume, "VolumeType").text = "Label"
    return b'<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root, encoding="utf-8")

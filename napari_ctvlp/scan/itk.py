"""NRRD and MetaImage files, scans and label maps, through SimpleITK (an extra: it is large)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import geometry
from napari_ctvlp.scan.audit import AuditFacts
from napari_ctvlp.scan.itk_data import check_voxels
from napari_ctvlp.scan.types import LabelledGrid, Scan
from napari_ctvlp.scan.volume import CanonicalVolume

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
INSTALL = 'pip install "napari-ctvlp[itk]"'


def is_itk_name(path: Path) -> bool:
    """Whether a file is called like an NRRD or a MetaImage file."""
    return path.name.lower().endswith(SUFFIXES)


def looks_like_itk(path: Path) -> bool:
    """Whether a file starts as NRRD or MetaImage does; loads nothing."""
    if not is_itk_name(path) or not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(64)
    return start.startswith(b"NRRD") or re.match(rb"\s*(ObjectType|NDims|Comment)\s*=", start) is not None


def itk_stem(path: Path) -> str:
    """Name without .nrrd, .seg.nrrd, .mha, ..."""
    return re.sub(r"(\.seg)?\.(nrrd|nhdr|mha|mhd)$", "", path.name, flags=re.I)


def read_itk_scan(path: Path) -> Scan:
    """Read a CT volume; see ``read_scan``.

    Raises
    ------
    UserError
        SimpleITK is not installed, the file is damaged, holds colours, or is no volume.
    """
    image = _read(path)
    if image.GetNumberOfComponentsPerPixel() != 1:
        raise UserError(
            f"{path.name}: holds {image.GetNumberOfComponentsPerPixel()} values a voxel, not Hounsfield units; save "
            "the scan as one 3D volume."
        )
    stored = _array(image)
    affine = _affine(image, path.name)
    volume = CanonicalVolume((stored.shape[2], stored.shape[1], stored.shape[0]), affine, path.name)
    for start, stop in geometry.slabs(stored.shape[0], stored[0].size):
        volume.put(start, stop, stored[start:stop].T)
    facts = AuditFacts(orientation_known=_orientation_known(image, path))
    return volume.finish(facts, source=path, name=itk_stem(path))


def read_itk_labels(path: Path) -> LabelledGrid:
    """Read a label map, with the names that 3D Slicer writes into a .seg.nrrd.

    Overlapping segments lie in layers there; the first keeps a voxel.

    Raises
    ------
    UserError
        SimpleITK is not installed, the file is damaged, or its values are no labels.
    """
    image = _read(path)
    layers = _array(image)
    affine = _affine(image, path.name)
    if layers.ndim == 3:
        layers = layers[..., None]
    segments = _segments({key: str(image.GetMetaData(key)) for key in image.GetMetaDataKeys()})
    notes: tuple[str, ...] = ()
    if layers.shape[3] == 1:
        labels = _whole(layers[..., 0], path.name)
        names = {value: name for _, value, name in segments}
    else:
        found = segments or [(n, 1, f"segment {n + 1}") for n in range(layers.shape[3])]
        labels, names, taken = _flattened(layers, found, path.name)
        notes = (f"{taken} voxels belong to several segments; the first keeps them",) if taken else ()
    stored = (labels.shape[2], labels.shape[1], labels.shape[0])
    turn = geometry.reorientation(affine)
    canonical: NDArray[Any] = np.empty(turn.canonical_shape(stored), labels.dtype)
    turn.stored_view(canonical)[...] = labels.T
    # 3D Slicer crops what it writes to the segments
    return LabelledGrid(canonical, turn.canonical_affine(affine, stored), names, notes, tight=bool(segments))


def _read(path: Path) -> Any:
    try:
        import SimpleITK
    except ImportError as error:
        raise UserError(f"{path.name}: NRRD and MetaImage files need SimpleITK; install it with {INSTALL}.") from error
    if not path.is_file():
        raise UserError(f"{path.name}: there is no such file.")
    if path.stat().st_size == 0:
        raise UserError(f"{path.name}: is an empty file; copy or download it again.")
    check_voxels(path)
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)  # they quote paths, and go to the terminal
    try:
        image = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise UserError(
            f"{path.name}: cannot be read as NRRD or MetaImage (damaged, truncated, or its data file is missing); "
            "export it again."
        ) from error
    while image.GetDimension() > 3 and image.GetSize()[-1] == 1:
        image = image[..., 0]
    size = image.GetSize()
    if image.GetDimension() != 3 or min(size) < 2:
        text = " x ".join(map(str, size))
        raise UserError(f"{path.name}: is no 3D volume ({text} voxels); save one volume as a 3D file.")
    return image


def _array(image: Any) -> NDArray[Any]:
    """(z, y, x) values, or (z, y, x, component); a view that lives as long as the image."""
    import SimpleITK

    array: NDArray[Any] = SimpleITK.GetArrayFromImage(image)
    return array


def _affine(image: Any, name: str) -> geometry.Affine:
    """(x, y, z) index to LPS mm, which is ITK's own frame."""
    affine = np.eye(4)
    affine[:3, :3] = np.asarray(image.GetDirection(), float).reshape(3, 3) * np.asarray(image.GetSpacing(), float)
    affine[:3, 3] = image.GetOrigin()
    geometry.check_affine(affine, name)
    return affine


def _orientation_known(image: Any, path: Path) -> bool:
    """An NRRD may be silent about its space; a MetaImage has no way to be."""
    return path.suffix.lower() not in (".nrrd", ".nhdr") or "NRRD_space" in image.GetMetaDataKeys()


def _whole(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.dtype.kind == "f":
        whole = np.rint(np.nan_to_num(values))
        if float(np.abs(values - whole).max()) > 1e-3:
            raise UserError(f"{name}: holds values between whole numbers, so it is no label file; give organ masks.")
        values = whole.astype(np.int64)
    if values.size and int(values.min()) < 0:
        raise UserError(f"{name}: holds negative numbers, so it is no label file; give organ masks, not a scan.")
    return values


def _segments(keys: Mapping[str, str]) -> list[tuple[int, int, str]]:
    """(layer, label, name) of each segment that 3D Slicer describes, in its order."""
    found = []
    for number in sorted(int(m[1]) for key in keys if (m := re.fullmatch(r"Segment(\d+)_ID", key))):
        start = f"Segment{number}_"
        name = keys.get(f"{start}Name") or keys[f"{start}ID"]
        # files of Slicer before 4.11 hold one segment a layer, and do not say so
        layer, label = keys.get(f"{start}Layer", str(number)), keys.get(f"{start}LabelValue", "1")
        if layer.isdigit() and label.isdigit() and int(label) > 0:
            found.append((int(layer), int(label), name))
    return found


def _flattened(
    layers: NDArray[Any], segments: list[tuple[int, int, str]], name: str
) -> tuple[NDArray[np.uint8], dict[int, str], int]:
    """Segments of several layers in one label map, numbered in their order; and how many voxels were taken already."""
    if len(segments) > 255:
        raise UserError(f"{name}: holds {len(segments)} segments, more than the 255 that can be shown.")
    labels = np.zeros(layers.shape[:3], np.uint8)
    names: dict[int, str] = {}
    taken = 0
    for number, (layer, value, words) in enumerate(segments, 1):
        if layer >= layers.shape[3]:
            raise UserError(f"{name}: its header speaks of a layer that it does not hold; export it again.")
        inside = layers[..., layer] == value
        free = inside & (labels == 0)
        taken += int(np.count_nonzero(inside)) - int(np.count_nonzero(free))
        labels[free] = number
        names[number] = words
    return labels, names, taken

"""What napari calls: readers and sample data. Light: everything else is imported when a file is really read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_ctvlp.scan.types import Scan

LayerData = tuple[Any, ...]
Paths = str | Path | Sequence[str] | Sequence[Path]
NOTHING: list[LayerData] = [(None,)]
"""What a reader gives back when it claimed a path and adds no layer (npe2's convention)."""


def get_reader(path: Paths) -> Callable[[Paths], list[LayerData]] | None:
    """Reader for NIfTI, NRRD, MetaImage and DICOM files, and for folders of them; None for everything else.

    Looks at names and first bytes only, and never raises.
    """
    from napari_ctvlp.scan.itk import looks_like_itk
    from napari_ctvlp.scan.pairs import holds_volumes
    from napari_ctvlp.scan.reader import looks_like_dicom

    try:
        one = _one(path)
        known = looks_like_nifti(one) or looks_like_itk(one) or looks_like_dicom(one)
        known = known or (one.is_dir() and holds_volumes(one))
    except (OSError, TypeError, ValueError, IndexError):
        return None
    return read if known else None


def looks_like_nifti(path: Path) -> bool:
    """Whether there is a file of such a name; what is wrong inside is told when it is read."""
    name = path.name.lower()
    return name.endswith((".nii", ".nii.gz")) and path.is_file()


def _one(path: Paths) -> Path:
    from napari_ctvlp.scan.reader import looks_like_dicom

    if isinstance(path, str | Path):
        return Path(path)
    paths = [Path(p) for p in path]
    # several files dropped together are slices of one DICOM series: the first one leads to the rest
    if len(paths) > 1 and (len({p.parent for p in paths}) > 1 or not looks_like_dicom(paths[0])):
        raise ValueError("several files that are not slices of one folder")
    return paths[0]


def read(path: Paths) -> list[LayerData]:
    """Read what `get_reader` claimed; bad input becomes one notification and no layer."""
    from napari.utils.notifications import show_error

    from napari_ctvlp.errors import UserError

    try:
        return _read(_one(path))
    except UserError as error:
        show_error(str(error))
        return NOTHING


def _read(path: Path) -> list[LayerData]:
    from napari_ctvlp.scan import read_scan
    from napari_ctvlp.scan.layers import scan_layer
    from napari_ctvlp.scan.pairs import kind_of

    if path.is_dir():
        return _read_folder(path)
    if kind_of(path) == "masks":
        return _read_masks(path)
    return [scan_layer(read_scan(path))]


def _read_folder(path: Path) -> list[LayerData]:
    from napari.utils.notifications import show_info

    from napari_ctvlp.errors import UserError
    from napari_ctvlp.opening import open_masks
    from napari_ctvlp.scan import list_series, read_masks, read_scan
    from napari_ctvlp.scan.layers import scan_layer
    from napari_ctvlp.scan.pairs import SeveralFound, sort_out

    try:
        given = sort_out([path])
    except SeveralFound as several:
        if (dock := open_dock()) is None:
            raise UserError(
                f"{several.found}; open one of them, or the folder with the dock “CT query” open."
            ) from several
        dock.session.several_found.emit(several)
        return NOTHING
    if given.scan is None:
        return _read_masks(path)
    series = None
    if given.scan.is_dir() and len(found := list_series(given.scan)) > 1:
        dock = open_dock()
        if dock is not None:
            masks = given.masks
            dock.offer_series(given.scan, found, None if masks is None else lambda: open_masks(dock.session, masks))
            return NOTHING
        largest = max(found, key=lambda one: one.n_slices)
        series = largest.key
        others = "; ".join(str(one) for one in found if one is not largest)
        show_info(
            f"{given.scan.name} holds {len(found)} series; opened the largest, {largest}. "
            f"Others: {others}. With the dock “CT query” open there is a choice."
        )
    scan = read_scan(given.scan, series=series)
    layers: list[LayerData] = [scan_layer(scan)]
    return layers if given.masks is None else [*layers, _masks_layer(scan, read_masks(given.masks, scan))]


def _read_masks(path: Path) -> list[LayerData]:
    """Masks on the grid of the open scan; without one, on their own grid, for the scan that is opened next."""
    from napari_ctvlp.errors import UserError
    from napari_ctvlp.scan import read_masks
    from napari_ctvlp.scan.reader import looks_like_dicom

    scan = _open_scan()
    if scan is not None:
        return [_masks_layer(scan, read_masks(path, scan))]
    if path.is_dir() or looks_like_dicom(path):
        raise UserError(f"{path.name}: organ masks need a scan; open the scan first.")
    from napari_ctvlp.anatomy import organ_colour
    from napari_ctvlp.scan.layers import lone_layer
    from napari_ctvlp.scan.lone import read_lone_masks

    lone = read_lone_masks(path)
    return [lone_layer(lone, {name: organ_colour(name) for name in lone.names.values()})]


def _masks_layer(scan: Scan, masks: Any) -> LayerData:
    from napari_ctvlp.anatomy import organ_colour
    from napari_ctvlp.scan.layers import masks_layer

    return masks_layer(scan, masks, {name: organ_colour(name) for name in masks.names.values()})


def open_dock() -> Any:
    """The dock "CT query" of the viewer in front, if it is open."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None:
        return None
    from napari_ctvlp._qt.main_widget import CtvlpWidget

    return next((w for w in viewer.window.dock_widgets.values() if isinstance(w, CtvlpWidget)), None)


def _open_scan() -> Scan | None:
    """The topmost scan of the viewer in front."""
    import napari

    viewer = napari.current_viewer()
    if viewer is None:
        return None
    from napari_ctvlp._qt.layer_lookup import layers_with_scans, scan_of

    found = layers_with_scans(viewer.layers)
    return scan_of(found[-1]) if found else None


def sample_torso() -> list[LayerData]:
    """The built-in synthetic scan and its organ masks."""
    from napari_ctvlp.sample import load_sample
    from napari_ctvlp.scan.layers import scan_layer

    scan, masks = load_sample()
    return [scan_layer(scan), _masks_layer(scan, masks)]

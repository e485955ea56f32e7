"""Reading one DICOM series: choose it, put its slices in order, check that they form a grid, decode."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from napari_ctvlp.scan.audit import AuditFacts
from napari_ctvlp.scan.geometry import AIR_HU, Affine, check_affine
from napari_ctvlp.scan.headers import Slice, is_dicom, quiet
from napari_ctvlp.scan.series import Series, find_series, list_series, slice_step
from napari_ctvlp.scan.types import Scan
from napari_ctvlp.scan.volume import CanonicalVolume

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["is_dicom", "list_series", "read_dicom"]

_STEP_TOLERANCE = 0.1
"""Share of the slice distance by which it may vary: scanners round positions to 0.1 mm."""


def read_dicom(path: Path, *, series: str | int | None = None) -> Scan:
    """Read a CT series from a folder, or the series that one file belongs to; see ``read_scan``."""
    folder = find_series(path)
    home = path if path.is_dir() else path.parent
    chosen = _choose(path, folder.series, series)
    name = home.name if len(folder.series) == 1 else f"{home.name} series {chosen.info.key}"
    notes = list(folder.skipped)
    if chosen.info.modality != "CT":
        notes.append(f"the files call themselves {chosen.info.modality}, not CT")
    if chosen.slices[0].frames > 1:
        return _read_frames(chosen.slices[0].path, name, notes)
    slices, affine, words = series_grid(chosen, name)
    return _read_slices(slices, affine, words, name, notes, home)


def _choose(path: Path, found: tuple[Series, ...], asked: str | int | None) -> Series:
    if asked is not None:
        for one in found:
            if one.info.key == str(asked).strip():
                return one
        offer = "; ".join(str(s.info) for s in found)
        raise UserError(f'{path.name}: holds no series "{asked}"; there is {offer}.')
    if path.is_file():
        for one in found:
            if any(s.path == path for s in one.slices):
                return one
        raise UserError(f"{path.name}: is no slice of a CT series; give a file or a folder of one.")
    if len(found) == 1:
        return found[0]
    offer = "; ".join(str(s.info) for s in found[:12])
    more = f"; and {len(found) - 12} more" if len(found) > 12 else ""
    raise UserError(f"{path.name}: holds {len(found)} series, choose one with --series N ({offer}{more}).")


def series_grid(series: Series, name: str) -> tuple[list[Slice], Affine, str]:
    """Slices in order along their normal, the affine of (column, row, slice) to LPS mm, and words about the slices.

    Raises
    ------
    UserError
        One slice only, several at one place, missing ones, uneven distances, a stack that is not straight.
    """
    normal = series.slices[0].normal
    slices = sorted(series.slices, key=lambda s: float(s.position @ normal))
    if len(slices) < 2:
        raise UserError(f"{name}: holds a single slice; a scan needs at least two.")
    along = np.asarray([s.position @ normal for s in slices])
    step = slice_step(slices)
    _check_steps(along, step, normal, name)
    positions = np.asarray([s.position for s in slices])
    between = (positions[-1] - positions[0]) / (len(slices) - 1)
    off = positions - positions[0] - np.arange(len(slices))[:, None] * between
    across = off - np.outer(off @ normal, normal)
    if np.linalg.norm(across, axis=1).max() > max(1.0, 2 * min(slices[0].spacing)):
        raise UserError(
            f"{name}: its slices do not lie one behind the other in a straight line; export the series again."
        )
    affine = np.eye(4)
    row_spacing, column_spacing = slices[0].spacing
    affine[:3, 0] = slices[0].orientation[:3] * column_spacing
    affine[:3, 1] = slices[0].orientation[3:] * row_spacing
    affine[:3, 2] = between
    affine[:3, 3] = positions[0]
    check_affine(affine, name)
    words = f"{len(slices)} slices, {step:.4g} mm apart, none missing"
    if slices[0].thickness and abs(slices[0].thickness - step) > 0.01:
        words += f" (each {slices[0].thickness:.4g} mm thick)"
    return slices, affine, words


def _check_steps(along: NDArray[np.float64], step: float, normal: NDArray[np.float64], name: str) -> None:
    axis = int(np.abs(normal).argmax())
    letter, sign = "xyz"[axis], float(np.sign(normal[axis]))
    steps = np.diff(along)
    same = steps < max(1e-3, 0.02 * step)
    if same.any() or step <= 0:
        first = int(same.argmax())
        count = int(np.count_nonzero(np.abs(along - along[first]) < max(1e-3, 0.02 * step)))
        raise UserError(
            f"{name}: {count} slices lie at one place ({letter} = {sign * along[first]:.1f} mm), as when files "
            "were copied or several phases share a series; put each phase into a folder of its own."
        )
    ratio = steps / step
    gaps = ratio > 1.5
    uneven = np.abs(ratio - np.rint(ratio)) > _STEP_TOLERANCE
    if uneven.any():
        raise UserError(
            f"{name}: its slices lie unevenly, {steps.min():.4g} to {steps.max():.4g} mm apart, so distances would be "
            "wrong; export one series with even spacing."
        )
    if gaps.any():
        missing = int((np.rint(ratio[gaps]) - 1).sum())
        places = [f"{sign * along[i]:.1f} and {sign * along[i + 1]:.1f}" for i in np.flatnonzero(gaps)[:4]]
        more = " and elsewhere" if int(gaps.sum()) > 4 else ""
        raise UserError(
            f"{name}: {missing} {'slice is' if missing == 1 else 'slices are'} missing, between {letter} = "
            f"{', '.join(places)} mm{more}; copy the whole series again."
        )


def _read_slices(slices: list[Slice], affine: Affine, words: str, name: str, notes: list[str], source: Path) -> Scan:
    volume: CanonicalVolume | None = None
    rescales: set[tuple[float, float]] = set()
    padding = 0
    window: tuple[float, float] | None = None
    frame = ""
    given = True
    for index, one in enumerate(slices):
        data, pixels = _decode(one.path)
        if volume is None:
            volume = CanonicalVolume((pixels.shape[1], pixels.shape[0], len(slices)), affine, name)
            window = _window(data)
            frame = str(data.get("FrameOfReferenceUID") or "")
        slope, inter, here = _rescale(data, one.path.name)
        given &= here
        rescales.add((slope, inter))
        outside = _outside(data, pixels)
        if outside is not None and abs(slope) > 0:
            # straight to air, whatever number stands for "no data": it is never tissue
            padding += int(np.count_nonzero(outside))
            air = (AIR_HU - inter) / slope
            pixels = (
                np.where(outside, int(air), pixels.astype(np.int32))
                if air.is_integer()
                else np.where(outside, air, pixels)
            )
        volume.put(index, index + 1, pixels.T[:, :, None], slope, inter)
    assert volume is not None
    if padding:
        share = 100 * padding / volume.hu.size
        notes.append(f"{share:.0f} % lie outside the field of view (padding in the files) and were set to {AIR_HU} HU")
    slope, inter = next(iter(rescales))
    text = "none in the headers" if not given else ""
    if len(rescales) > 1:
        text = f"{len(rescales)} different slopes and intercepts, each applied once to its slice"
    facts = AuditFacts(slope=slope, inter=inter, rescale=text, slices=words, notes=tuple(notes))
    return dataclasses.replace(volume.finish(facts, source=source, window=window), frame=frame)


def _decode(path: Path) -> tuple[Dataset, NDArray[Any]]:
    """A file and its stored values (rows, columns), not rescaled."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with quiet():
            data = dcmread(path, force=True)
            if "PixelData" not in data:
                raise UserError(f"{path.name}: holds no pixel data; copy the series again.")
            if str(data.get("PhotometricInterpretation", "MONOCHROME2")) != "MONOCHROME2":
                raise UserError(f"{path.name}: its grey values are not stored as in CT; export the original series.")
            _check_decoder(data, path.name)
            pixels = data.pixel_array
    except UserError:
        raise
    except (OSError, EOFError, InvalidDicomError) as error:
        raise UserError(f"{path.name}: cannot be read (damaged or truncated); copy the series again.") from error
    except (ValueError, RuntimeError, AttributeError, KeyError, NotImplementedError, TypeError) as error:
        raise UserError(
            f"{path.name}: its pixel data cannot be decoded (damaged or truncated); copy the series again."
        ) from error
    if pixels.ndim != 2:
        raise UserError(f"{path.name}: holds {pixels.ndim}D pixel data where one slice was expected.")
    return data, pixels


def _check_decoder(data: Dataset, name: str) -> None:
    """Say which package is missing before pydicom fails with a page of text."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import UID

    syntax = UID(getattr(data.file_meta, "TransferSyntaxUID", "1.2.840.10008.1.2"))
    if not syntax.is_compressed:
        return
    try:
        if get_decoder(syntax).is_available:
            return
    except NotImplementedError:
        pass
    raise UserError(
        f'{name}: is compressed as "{syntax.name}"; install python-gdcm to read it (pip install python-gdcm).'
    )


def _rescale(data: Dataset, name: str) -> tuple[float, float, bool]:
    """Slope and intercept of a slice, and whether the header gives them."""
    slope, inter = data.get("RescaleSlope"), data.get("RescaleIntercept")
    given = slope is not None or inter is not None
    try:
        factor, offset = float(1 if slope is None else slope), float(0 if inter is None else inter)
    except (TypeError, ValueError):
        factor = offset = np.nan
    if not np.isfinite([factor, offset]).all() or factor == 0:
        raise UserError(f"{name}: its rescale slope or intercept is not a usable number; export the series again.")
    return factor, offset, given


def _outside(data: Dataset, pixels: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Pixels that hold the padding value, or None."""
    value = data.get("PixelPaddingValue")
    if value is None or pixels.dtype.kind not in "iu":
        return None
    try:
        wrapped = np.asarray(int(value) & 0xFFFFFFFF, np.uint32).astype(pixels.dtype)  # readers disagree on its sign
    except (TypeError, ValueError):
        return None
    found = pixels == wrapped
    return found if found.any() else None


def _window(data: Dataset) -> tuple[float, float] | None:
    """The first (level, width) that the file asks for."""
    try:
        values = [data.get(tag) for tag in ("WindowCenter", "WindowWidth")]
        level, width = (float(v if isinstance(v, str | float | int) else v[0]) for v in values)
    except (TypeError, ValueError, IndexError):
        return None
    return (level, width) if width > 0 and np.isfinite([level, width]).all() else None


def _read_frames(path: Path, name: str, notes: list[str]) -> Scan:
    """An enhanced multi-frame CT: highdicom knows how its frames lie and rescales them."""
    from highdicom import imread

    try:
        with quiet():
            image = imread(path)
            _check_decoder(image, path.name)
            grid = image.get_volume(dtype=np.float32, apply_real_world_transform=False, apply_modality_transform=True)
    except UserError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        RuntimeError,
        AttributeError,
        KeyError,
        TypeError,
        NotImplementedError,
    ) as error:
        raise UserError(
            f"{path.name}: its frames form no regular volume that can be read; export it as single CT slices."
        ) from error
    affine = np.asarray(grid.affine, np.float64)
    check_affine(affine, name)
    frames, rows, columns = grid.array.shape
    volume = CanonicalVolume((frames, rows, columns), affine, name)
    for index in range(columns):
        volume.put(index, index + 1, grid.array[:, :, index : index + 1])
    facts = AuditFacts(
        rescale="applied once per frame",
        slices=f"{frames} frames of one file on a regular grid",
        notes=tuple(notes),
    )
    frame = str(image.get("FrameOfReferenceUID") or "")
    return dataclasses.replace(volume.finish(facts, source=path), frame=frame)

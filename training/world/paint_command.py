"""``python -m training.world paint SCAN MASKS --abnormality NAME``: abnormalities in a real scan, written as files."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from training.world.findings.catalogue import ABNORMALITIES
from training.world.materials import ID
from training.world.paint import PaintedScan, Wish, paint_scan

if TYPE_CHECKING:
    from napari_ctvlp.scan import OrganMasks, Scan
    from training.world.scene import PaintedFinding

FILES = ("ct.nii.gz", "masks.nii.gz", "lesions.nii.gz", "findings.json")
CARET_CODE = 30
"""Of the NIfTI header extension in which TotalSegmentator keeps label names."""


@dataclass(frozen=True)
class PaintConfig:
    """Paint abnormalities into a real CT with organ masks."""

    scan: Annotated[Path, tyro.conf.Positional]
    """NIfTI file, DICOM folder or one DICOM file."""
    masks: Annotated[Path, tyro.conf.Positional]
    """Multi-label NIfTI, or folder of one-organ masks."""
    abnormality: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default=())
    """What to paint, such as "renal cyst" or "stone:kidney_left"; may be given several times."""
    out: Path = Path("painted")
    """Folder for the painted scan, its masks, the lesions' masks and their list."""
    seed: int = 0
    """Shapes, sizes and places are drawn from it."""


def paint_command(config: PaintConfig) -> PaintedScan:
    """Read, paint, write ``FILES`` and print what was painted.

    Raises
    ------
    UserError
        For a name that is unknown or says too little, input that cannot be read, a wish that finds no place, or a
        folder that cannot be written to.
    """
    from napari_ctvlp.scan import read_masks, read_scan

    if not config.abnormality:
        raise UserError('Say what to paint, such as --abnormality "renal cyst".')
    wishes = [wish_of(text) for text in config.abnormality]
    scan = read_scan(config.scan)
    masks = read_masks(config.masks, scan)
    painted = paint_scan(scan, masks, wishes, config.seed)
    if painted.left_out:
        slug, organ = painted.left_out[0]
        where = organ or "/".join(ABNORMALITIES[slug].organs[:3])
        raise UserError(
            f"{_words(slug)} finds no place in this scan: {where} is missing, cut by the field of view or has no room; "
            "try another seed or organ."
        )
    write_painted(config.out, scan, masks, painted)
    for f in painted.findings:
        print(f"{_words(f.abnormality)} in {f.organ}: {f.size_mm:.0f} mm, {f.severity}, at voxel (I, P, L) {f.centre}")
    print(f"{config.out}: {', '.join(FILES)}")
    return painted


def wish_of(text: str) -> Wish:
    """(slug, organ or None) of "NAME" or "NAME:ORGAN", by slugs and by the words of the abnormality dictionary.

    Raises
    ------
    UserError
        Naming what is nearest, when no or several abnormalities go by this name.
    """
    name, _, place = text.partition(":")
    organ = _organ(place) if place.strip() else None
    slugs, named = _slugs(name, organ)
    can = [s for s in slugs if organ is None or organ in ABNORMALITIES[s].organs]
    if slugs and not can:
        fit = ", ".join(ABNORMALITIES[slugs[0]].organs[:4])
        raise UserError(f'"{_words(slugs[0])}" cannot be painted in {organ}; it can be in {fit}.')
    if not can:
        near = ", ".join(_nearest(name, _known_words()))
        raise UserError(f'"{name.strip()}" is no abnormality that can be painted; nearest: {near}.')
    if len(can) > 1:
        raise UserError(
            f'"{name.strip()}" may mean {", ".join(_words(s) for s in can)}; say which, or add an organ as in '
            f'"{name.strip()}:{ABNORMALITIES[can[0]].organs[0]}".'
        )
    if organ is None and len(named) == 1 and named[0] in ABNORMALITIES[can[0]].organs:
        organ = named[0]
    return can[0], organ


def _slugs(name: str, organ: str | None) -> tuple[list[str], tuple[str, ...]]:
    """Slugs that a name may mean, and the organs that it names besides."""
    from napari_ctvlp.anatomy import display_name
    from napari_ctvlp.anatomy.query import parse_query

    plain = "_".join(name.lower().replace("-", " ").replace("_", " ").split())
    if plain in ABNORMALITIES:
        return [plain], ()
    if not plain:
        return [], ()
    for text in (name, f"{name} {display_name(organ)}" if organ else ""):
        if text:
            query = parse_query(text)
            slugs = [k for k in query.abnormalities if k in ABNORMALITIES]
            if slugs:
                return slugs, query.organs
    words = set(plain.split("_"))
    # "cyst" is no name of its own: all that hold the word, of which an organ may leave one
    return [s for s in ABNORMALITIES if words <= set(s.split("_"))], ()


def _organ(place: str) -> str:
    from napari_ctvlp.anatomy import to_v2

    organ = to_v2(place)
    if organ not in ID:
        near = ", ".join(n.replace(" ", "_") for n in _nearest(place.replace("_", " "), [_words(n) for n in ID]))
        raise UserError(f'"{place.strip()}" is no organ of TotalSegmentator v2; nearest: {near}.')
    return organ


def _known_words() -> list[str]:
    from napari_ctvlp.anatomy import load_dictionary

    known = [_words(s) for s in ABNORMALITIES]
    return known + [w for a in load_dictionary() if a.key in ABNORMALITIES for w in a.said]


def _nearest(word: str, known: Iterable[str], count: int = 3) -> list[str]:
    from rapidfuzz import fuzz, process

    found = process.extract(word.lower(), list(dict.fromkeys(known)), scorer=fuzz.token_sort_ratio, limit=count)
    return [match for match, *_ in found]


def _words(slug: str) -> str:
    return slug.replace("_", " ")


def write_painted(out: Path, scan: Scan, masks: OrganMasks, painted: PaintedScan) -> None:
    """Write ``FILES`` on the grid and affine of the scan's file; each is complete or not there.

    Raises
    ------
    UserError
        When the place cannot be written to.
    """
    temporary: Path | None = None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        _write_volume(temporary / FILES[0], scan, painted.hu, order=1)
        _write_volume(temporary / FILES[1], scan, painted.labels, names=painted.names)
        lesions = {n: f"{f.abnormality} in {f.organ}" for n, f in enumerate(painted.findings, 1)}
        _write_volume(temporary / FILES[2], scan, painted.lesions, names=lesions)
        text = json.dumps(as_json(scan, painted), indent=1)
        (temporary / FILES[3]).write_text(text + "\n", encoding="utf-8")
        out.mkdir(exist_ok=True)
        for name in FILES:  # the list last: who finds it finds the rest
            (temporary / name).replace(out / name)
    except OSError as error:
        raise UserError(f"{out.name} cannot be written: {error.strerror or 'unknown reason'}.") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def as_json(scan: Scan, painted: PaintedScan) -> dict[str, Any]:
    """What was painted where, as plain values; voxel indices are those of the written files."""
    contrast = painted.contrast
    return {
        "phase": contrast.phase,
        "noise_hu": round(painted.noise_hu, 1),
        "findings": [_row(scan, n, f, painted) for n, f in enumerate(painted.findings, 1)],
    }


def _row(scan: Scan, number: int, finding: PaintedFinding, painted: PaintedScan) -> dict[str, Any]:
    values = painted.hu[finding.slices][finding.mask.numpy()]
    point = scan.affine @ np.array([*finding.centre, 1.0])
    stored = np.linalg.inv(scan.stored.affine) @ point
    return {
        "lesion": number,
        "organ": finding.organ,
        "abnormality": finding.abnormality,
        "also": list(finding.also),
        "severity": finding.severity,
        "count": finding.count,
        "size_mm": round(finding.size_mm, 1),
        "volume_factor": None if finding.volume_factor is None else round(finding.volume_factor, 3),
        "mean_hu": round(float(values.mean()), 1),
        "voxels": int(values.size),
        "centre_voxel": [round(float(v)) for v in stored[:3]],
        "centre_lps_mm": [round(float(v), 1) for v in point[:3]],
    }


def _write_volume(
    path: Path, scan: Scan, volume: NDArray[Any], names: dict[int, str] | Any = None, order: int = 0
) -> None:
    """A canonical volume as NIfTI in the axis order and with the affine of the scan's file."""
    import nibabel as nib
    from nibabel.nifti1 import Nifti1Extension

    from napari_ctvlp.scan import geometry

    stored = scan.stored
    turn = geometry.reorientation(stored.affine)
    straight = turn.canonical_affine(stored.affine, stored.shape)
    size = turn.canonical_shape(stored.shape)
    if volume.shape != size or not geometry.same_grid(scan.affine, straight, size):
        # a tilted scan was laid on a straight grid when it was read; its file's own grid is tilted
        fill = geometry.AIR_HU if order else 0
        volume = geometry.resample(volume, scan.affine, straight, size, order=order, fill=fill)
    data = np.ascontiguousarray(turn.stored_view(volume))
    affine = geometry.RAS_LPS @ stored.affine
    image = nib.Nifti1Image(data, affine, dtype=data.dtype)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    image.header.set_xyzt_units("mm")
    if names:
        image.header.extensions.append(Nifti1Extension(CARET_CODE, _caret(names)))
    nib.save(image, path)


def _caret(names: dict[int, str]) -> bytes:
    """Label names in the form that TotalSegmentator writes and connectome tools read."""
    from xml.sax.saxutils import escape

    rows = "".join(
        f'<Label Key="{n}" Red="1" Green="1" Blue="1" Alpha="1">{escape(names[n])}</Label>' for n in sorted(names)
    )
    table = f'<LabelTable><Label Key="0" Red="0" Green="0" Blue="0" Alpha="0">background</Label>{rows}</LabelTable>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?><CaretExtension><VolumeInformation Index="0">'
        f"{table}<VolumeType>Label</VolumeType></VolumeInformation></CaretExtension>"
    ).encode()

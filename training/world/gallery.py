"""Contact sheets: slices of synthetic scans as a radiologist would look at them, with what was painted marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.world.brushes import shell
from training.world.findings.kinds import LOBES
from training.world.materials import ID
from training.world.sample import WorldSample
from training.world.scene import PaintedFinding

Window = tuple[float, float]
"""Level and width in HU."""
SOFT: Window = (40, 400)
LUNG: Window = (-550, 1500)
BONE: Window = (400, 1800)
BRAIN: Window = (40, 100)
WINDOWS: dict[str, Window] = {
    "lung": LUNG,
    "pleura": LUNG,
    "spine": BONE,
    "ribs": BONE,
    "hip and femur": BONE,
    "brain": BRAIN,
}
"""Windows by anatomy; soft tissue for the others."""
_MARK = (255, 176, 0)
_GAP = 3


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet: an RGB image and a caption below it."""

    picture: NDArray[np.uint8]
    caption: str


def windowed(hu: Tensor, window: Window) -> NDArray[np.uint8]:
    """HU to grey levels."""
    level, width = window
    grey = ((hu.float() - (level - width / 2)) / width).clamp(0, 1) * 255
    out: NDArray[np.uint8] = grey.round().to(torch.uint8).cpu().numpy()
    return out


def three_planes(
    hu: Tensor, centre: Sequence[int], window: Window, mask: Tensor | None = None, field: int | None = None
) -> NDArray[np.uint8]:
    """Axial, coronal and sagittal slices through a voxel, side by side, RGB; the rim of ``mask`` is marked.

    Parameters
    ----------
    hu : (I, P, L) tensor
        The scan. Patient right is on the left of the axial and coronal pictures; anterior is up, and left in the
        sagittal one.
    centre : (int, int, int)
        Voxel that the planes meet in.
    window : (float, float)
        Level and width in HU.
    mask : (I, P, L) bool, optional
        What is marked.
    field : int, optional
        Side of a square cut around the centre, in voxels; whole slices by default.
    """
    pictures = []
    for axis in range(3):
        grey = windowed(hu.select(axis, int(centre[axis])), window)
        picture = np.repeat(grey[..., None], 3, axis=2)
        if mask is not None:
            rim = shell(mask.select(axis, int(centre[axis]))[None])[0].cpu().numpy()
            picture[rim] = _MARK
        where = [int(centre[k]) for k in range(3) if k != axis]
        if field is not None:
            picture = _cut(picture, where, field)
        pictures.append(picture)
    height = max(p.shape[0] for p in pictures)
    padded = [np.pad(p, ((0, height - p.shape[0]), (0, _GAP), (0, 0))) for p in pictures]
    return np.concatenate(padded, axis=1)


def _cut(picture: NDArray[np.uint8], centre: Sequence[int], field: int) -> NDArray[np.uint8]:
    half = field // 2
    wide = np.pad(picture, ((half, half), (half, half), (0, 0)))
    return wide[centre[0] : centre[0] + 2 * half, centre[1] : centre[1] + 2 * half]


def volume_of(finding: PaintedFinding, like: Tensor) -> Tensor:
    """A finding's mask in the whole scan."""
    mask = torch.zeros(like.shape, dtype=torch.bool, device=like.device)
    mask[finding.slices] = finding.mask
    return mask


def sample_tile(sample: WorldSample, extent_mm: float = 420.0) -> Tile:
    """A scan in three planes through the body's middle, each cut or padded to a square: soft tissue, and lung window
    where there is lung."""
    hu = sample.hu
    middle = [n // 2 for n in hu.shape]
    body = torch.nonzero((hu > -300).any(0)).float().mean(0)
    middle[1:] = [int(v) for v in body.tolist()]
    field = int(extent_mm / sample.spacing) // 2 * 2
    picture = three_planes(hu, middle, SOFT, field=field)
    lung = torch.isin(sample.labels[middle[0]], torch.tensor([ID[o] for o in LOBES], dtype=torch.uint8))
    if int(lung.sum()) > 0.04 * int((hu[middle[0]] > -300).sum()):
        picture[:, : picture.shape[1] // 3] = three_planes(hu, middle, LUNG, field=field)[:, : picture.shape[1] // 3]
    found = ", ".join(sorted({f.abnormality for f in sample.findings})) or "healthy"
    return Tile(picture, f"seed {sample.seed}: {sample.sex}, {sample.age:.0f} years, {sample.phase}; {found}")


def finding_tile(hu: Tensor, finding: PaintedFinding, window: Window, field: int, caption: str) -> Tile:
    """A finding in three planes, plain above and with its rim marked below.

    The planes go through the middle of the largest piece in each direction, so that scattered findings are seen.
    """
    mask = volume_of(finding, hu)
    centre = [int(mask.sum(tuple(k for k in range(3) if k != axis)).argmax()) for axis in range(3)]
    plain = three_planes(hu, centre, window, field=field)
    marked = three_planes(hu, centre, window, mask, field)
    return Tile(np.concatenate([plain, marked]), caption)


def write_sheet(tiles: Sequence[Tile], path: Path, columns: int = 3, width: int = 480, colours: int = 64) -> None:
    """Write tiles as one PNG with captions, row by row.

    Parameters
    ----------
    tiles : sequence of Tile
        Scaled to one width.
    path : Path
        Written atomically.
    columns, width : int
        Tiles a row, and pixels a tile.
    colours : int
        Colours of the palette: noise does not compress, fewer grey levels do.
    """
    from PIL import Image, ImageDraw

    line = 15
    pictures = []
    for tile in tiles:
        picture = Image.fromarray(tile.picture)
        size = (width, max(1, round(picture.height * width / picture.width)))
        pictures.append(picture.resize(size, Image.Resampling.BICUBIC))
    rows = [pictures[k : k + columns] for k in range(0, len(pictures), columns)]
    heights = [max(p.height for p in row) + line + _GAP for row in rows]
    sheet = Image.new("RGB", (columns * (width + _GAP), sum(heights)), (24, 24, 24))
    draw: Any = ImageDraw.Draw(sheet)
    top = 0
    for number, (row, height) in enumerate(zip(rows, heights, strict=True)):
        for column, picture in enumerate(row):
            left = column * (width + _GAP)
            sheet.paste(picture, (left, top))
            caption = tiles[number * columns + column].caption
            draw.text((left + 2, top + picture.height + 1), caption[: width // 6], fill=(230, 230, 230))
        top += height
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    sheet.quantize(colours, dither=Image.Dither.NONE).save(temporary, format="PNG", optimize=True)
    temporary.replace(path)


def around(finding: PaintedFinding, spacing: float, least_mm: float = 110.0, most_mm: float = 330.0) -> int:
    """Side in voxels of a square that shows a finding with some of what is around it."""
    extent = max(b - a for a, b in finding.box) * spacing
    return int(min(most_mm, max(least_mm, 1.7 * extent)) / spacing) // 2 * 2

"""What lies under the cursor, in patient coordinates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_ctvlp.scan.types import OrganMasks, Scan


def cursor_text(
    scan: Scan, masks: OrganMasks | None, voxel: Sequence[float], display_name: Callable[[str], str]
) -> str:
    """HU, LPS position in mm (as in DICOM) and organ at a voxel position (I, P, L; fractions allowed); else empty."""
    index = tuple(int(v) for v in np.floor(np.asarray(voxel, float) + 0.5))
    if len(index) != 3 or any(i < 0 or i >= n for i, n in zip(index, scan.hu.shape, strict=True)):
        return ""
    x, y, z = (scan.affine @ [*voxel, 1.0])[:3]
    place = (
        f"{'L' if x >= 0 else 'R'} {abs(x):.1f}  {'P' if y >= 0 else 'A'} {abs(y):.1f}  "
        f"{'S' if z >= 0 else 'I'} {abs(z):.1f} mm"
    )
    organ = ""
    if masks is not None and (label := int(masks.labels[index])):
        organ = f"  ·  {display_name(masks.names.get(label, f'label {label}'))}"
    return f"{int(scan.hu[index])} HU  ·  {place}{organ}"

"""``python -m training.world realism``: HU histograms of a real scan with masks beside those of synthetic ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from training.world.imaging.contrast import Phase
from training.world.realism import compare, table


@dataclass(frozen=True)
class RealismConfig:
    """Compare the HU of a real scan's organs with those of synthetic scans."""

    scan: Annotated[Path, tyro.conf.Positional]
    """A CT: NIfTI file or DICOM folder."""
    masks: Annotated[Path, tyro.conf.Positional]
    """Its organ masks."""
    phase: Phase = "native"
    """Contrast phase of the scan."""
    samples: int = 20
    """Synthetic scans to compare with."""
    spacing: float = 3.0
    """Voxel size in mm that both are compared at."""


def realism_command(config: RealismConfig) -> None:
    """Print the table."""
    rows = compare(config.scan, config.masks, config.phase, samples=config.samples, spacing=config.spacing)
    print(table(rows))

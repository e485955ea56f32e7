"""Which scans a segmenter is trained or judged on, as the command line names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from napari_ctvlp.errors import UserError
from napari_ctvlp.folders import cache_folder
from training.data.prepared import PreparedStore
from training.data.records import ScanSource
from training.data.store import WorldStore
from training.world.findings.plan import FLOOR

from .task import TaskStore, is_task

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Scans:
    """Scans with organ masks; those of different splits share no patient."""

    data: str = "world"
    """"world" for synthetic scans, a folder that ``python -m training.prepare`` wrote, or one in the layout of nnU-Net
    or the Medical Segmentation Decathlon (dataset.json, imagesTr, labelsTr)."""
    count: int = 100
    """The first so many."""
    seed: int = 0
    """Of synthetic scans."""
    bodies: int = 60
    """Anatomies of synthetic scans."""
    abnormal: float = 1.0
    """Factor on the usual rates of abnormalities of synthetic scans."""
    rarest: float = FLOOR
    """Least chance of any abnormality in a synthetic scan, before that factor."""
    folder: Path | None = None
    """Where synthetic or resampled scans are kept; in the user's cache folder (CTVLP_CACHE_DIR) by default."""

    def store(self, split: Split, spacing: float) -> ScanSource:
        """The scans, made where they are not there yet.

        Parameters
        ----------
        split : str
        spacing : float
            Voxel size in mm of the network.

        Raises
        ------
        UserError
            When prepared scans are missing or have other voxels.
        """
        if self.count < 1:
            raise UserError(f"{self.count} scans: give one or more.")
        if self.data == "world":
            recipe = f"{split}-{self.seed}-{self.bodies}-{self.abnormal:g}-{self.rarest:g}-{spacing:g}"
            folder = self.folder or cache_folder("segmentation-scans") / recipe
            world = WorldStore(
                folder, split, self.count, self.seed, self.bodies, spacing, self.abnormal, rarest=self.rarest
            )
            world.prepare()
            return cast(ScanSource, world)
        if is_task(Path(self.data)):
            task = TaskStore(
                Path(self.data), split, self.count, spacing, self.folder or cache_folder("segmentation-scans")
            )
            task.prepare()
            return cast(ScanSource, task)
        prepared = PreparedStore(Path(self.data), split)
        prepared.prepare()
        if abs(prepared.spacing - spacing) > 1e-3:
            raise UserError(
                f"'{Path(self.data).name}' holds scans of {prepared.spacing:g} mm and the encoder sees {spacing:g} mm: "
                f"prepare them with --spacing {spacing:g}."
            )
        return cast(ScanSource, FirstOf(prepared.folder, split, most=self.count))

    def told(self, split: Split, count: int) -> str:
        """In words."""
        if self.data != "world":
            return f"{count} scans for {split} of {Path(self.data).name}"
        return f"{count} synthetic {split} scans (seed {self.seed}, {self.bodies} bodies, abnormal {self.abnormal:g})"


@dataclass(frozen=True)
class FirstOf(PreparedStore):
    """The first studies of a prepared store."""

    most: int = 1

    @property
    def count(self) -> int:
        """How many there are."""
        return min(self.most, len(self._index))

"""A tiny phantom in the shape of a store, with organs on either side and lesions, and a small encoder."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import torch

from napari_ctvlp.encoder.native_files import NativeParts, read_folder
from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.encoder.registry import SHIPPED
from napari_ctvlp.encoder.vision import VisionConfig
from napari_ctvlp.encoder.vit import VitConfig
from training.data.records import LabelledScan
from training.segmentation.targets import LABELS

SMALL = VisionConfig(widths=(8, 16, 24), blocks=(1, 1, 1), heads=2, hidden=16, dim=8, spacing=6.0)
SMALL_VIT = dataclasses.replace(
    SMALL, backbone="vit", vit=VitConfig(patch=4, width=24, depth=2, heads=2, pooled=(1, 2))
)


class Phantom:
    """Scans of a body with a kidney on either side, of one attenuation, and a spleen in every second scan."""

    spacing: ClassVar[float] = 6.0
    twins: ClassVar[bool] = False

    def __init__(self, count: int = 4) -> None:
        self.count = count

    def prepare(self) -> None:
        """Nothing to make."""

    def _boxes(self, index: int) -> dict[str, tuple[slice, slice, slice]]:
        move = index % 3
        boxes = {
            "kidney_right": (slice(6 + move, 16 + move), slice(14, 22), slice(5, 12)),
            "kidney_left": (slice(6 + move, 16 + move), slice(14, 22), slice(20, 27)),
        }
        return boxes | ({"spleen": (slice(18, 26), slice(4, 12), slice(18, 28))} if index % 2 == 0 else {})

    def load(self, index: int) -> LabelledScan:
        """A scan of 30 x 26 x 32 voxels."""
        hu = np.full((30, 26, 32), -1000, np.int16)
        hu[:, 2:24, 2:30] = -80
        hu[:, 12:14, 15:17] = 600  # a spine, behind which left is left
        labels = np.zeros(hu.shape, np.uint8)
        for organ, box in self._boxes(index).items():
            hu[box], labels[box] = (150 if organ == "spleen" else 60), LABELS[organ]
        for finding in self.findings(index):
            hu[tuple(slice(a, b) for a, b in finding["box"])][finding["mask"]] = 900
        return LabelledScan(hu, labels, {})

    def voxels(self, index: int) -> np.ndarray:
        """Of each label."""
        return np.bincount(self.load_labels(index).ravel(), minlength=256)

    def load_labels(self, index: int) -> np.ndarray:
        """Labels alone."""
        labels = np.zeros((30, 26, 32), np.uint8)
        for organ, box in self._boxes(index).items():
            labels[box] = LABELS[organ]
        return labels

    def report(self, index: int) -> str:
        """None."""
        return ""

    def findings(self, index: int) -> list[dict]:
        """A stone in the left kidney of the first scan, of all but a corner of its box, and a large spleen."""
        if index:
            return []
        mask = np.ones((2, 3, 2), bool)
        mask[0, 0, 0] = False
        stone = {"abnormality": "kidney_stone", "box": [(8, 10), (16, 19), (22, 24)], "mask": mask}
        grown = {"abnormality": "splenomegaly", "box": [(18, 26), (4, 12), (18, 28)], "mask": np.ones((8, 8, 10), bool)}
        return [stone | {"volume_factor": None}, grown | {"volume_factor": 2.0}]


@pytest.fixture
def phantom() -> Phantom:
    return Phantom()


@pytest.fixture(scope="session")
def parts() -> NativeParts:
    """An untrained encoder of 6 mm with the shipped text model."""
    torch.manual_seed(0)
    shipped = read_folder(SHIPPED / "starter")
    model = NativeModel(SMALL, shipped.model.text_projection.in_features)
    return dataclasses.replace(shipped, model=model)

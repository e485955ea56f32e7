"""Scans with masks of any kind, in the layout of the Medical Segmentation Decathlon and of nnU-Net.

A folder holds ``dataset.json``, which names the labels, ``imagesTr`` and ``labelsTr``; tumours of real patients are
published so (Antonelli et al., "The Medical Segmentation Decathlon", Nature Communications 2022; Isensee et al.,
"nnU-Net", Nature Methods 2021). Cases are drawn into splits by their names, a case in each being a patient.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from napari_ctvlp.anatomy.schemes import to_v2
from napari_ctvlp.encoder.preprocess import resample_hu, resample_labels
from napari_ctvlp.errors import UserError
from napari_ctvlp.scan import read_scan
from napari_ctvlp.scan.labelled import read_labelled
from napari_ctvlp.scan.labels import onto_scan, to_uint8
from napari_ctvlp.scan.types import Scan
from training.data.manifest import split_of
from training.data.prepared import encoded, write_bytes
from training.data.records import LabelledScan
from training.data.seeding import derived_seed

DESCRIPTION = "dataset.json"
SHARES = (0.7, 0.1, 0.2)
"""Of the cases for training, validation and test."""
ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Case:
    """One scan and its masks."""

    name: str
    image: Path
    labels: Path


def is_task(folder: Path) -> bool:
    """Whether a folder is laid out so."""
    return (folder / DESCRIPTION).is_file()


@dataclass(frozen=True)
class TaskStore:
    """The cases of one split, resampled once and kept.

    Attributes
    ----------
    folder : Path
        With ``dataset.json``.
    split : str
        "train", "validation" or "test".
    most : int
        The first so many.
    spacing : float
        Voxel size in mm.
    cache : Path
        Where resampled scans are kept, under names that say nothing of the patient.
    """

    folder: Path
    split: Literal["train", "validation", "test"]
    most: int
    spacing: float
    cache: Path
    twins: ClassVar[bool] = False

    @cached_property
    def _told(self) -> dict[str, Any]:
        path = self.folder / DESCRIPTION
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UserError(f"{DESCRIPTION} in '{self.folder.name}' cannot be read as JSON.") from error
        if not isinstance(told, dict) or not isinstance(told.get("labels"), dict):
            raise UserError(f"{DESCRIPTION} in '{self.folder.name}' names no labels.")
        channels = told.get("channel_names", told.get("modality", {}))
        if not isinstance(channels, dict) or [str(c).upper() for c in channels.values()] not in ([], ["CT"]):
            raise UserError(f"'{self.folder.name}' does not hold CT alone: {DESCRIPTION} names {channels}.")
        return told

    @cached_property
    def names(self) -> dict[int, str]:
        """Name of each label but the background; organs by their TotalSegmentator v2 names."""
        found: dict[int, str] = {}
        for key, value in self._told["labels"].items():
            # the Decathlon writes {"1": "liver"}, nnU-Net {"liver": 1}
            number, name = (key, value) if str(key).isdigit() else (value, key)
            if not str(number).isdigit() or not 0 <= int(number) < 256 or str(name).lower() == "ignore":
                raise UserError(
                    f"{DESCRIPTION} in '{self.folder.name}': the label {key!r} is {value!r}. Labels are numbers from 0 "
                    "to 255; regions of several labels and labels to ignore cannot be learned from."
                )
            if int(number):
                found[int(number)] = to_v2(str(name))
        if not found or len(set(found.values())) < len(found):
            raise UserError(f"{DESCRIPTION} in '{self.folder.name}' must name each label, and each otherwise.")
        return found

    @cached_property
    def cases(self) -> tuple[Case, ...]:
        """Cases of the split, by name."""
        found = []
        for labels in sorted((self.folder / "labelsTr").glob("*")):
            ending = next((end for end in ENDINGS if labels.name.endswith(end)), None)
            if ending is None or labels.name.startswith("."):
                continue
            name = labels.name.removesuffix(ending)
            images = [self.folder / "imagesTr" / f"{name}{channel}{ending}" for channel in ("_0000", "")]
            image = next((one for one in images if one.is_file()), None)
            if image is None:
                raise UserError(f"labelsTr/{labels.name} in '{self.folder.name}' has no image in imagesTr.")
            if split_of(name, SHARES) == self.split:
                found.append(Case(name, image, labels))
        if not found:
            raise UserError(f"'{self.folder.name}' has no cases for {self.split} in imagesTr and labelsTr.")
        return tuple(found[: self.most])

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.cases)

    def prepare(self) -> None:
        """Resample what is not kept yet; what a kill leaves is whole or not there.

        Raises
        ------
        UserError
            When a case cannot be read, naming its file.
        """
        self.cache.mkdir(parents=True, exist_ok=True)
        missing = [i for i in range(self.count) if not self._place(i, "labels").is_file()]
        for index in tqdm(missing, desc=f"{self.split} cases", unit="case", disable=not missing):
            case = self.cases[index]
            scan = read_scan(case.image)
            hu = resample_hu(scan.hu, scan.spacing, self.spacing).round_().clamp_(-32768, 32767).to(torch.int16)
            labels = resample_labels(labels_on(case.labels, scan), scan.spacing, self.spacing)
            write_bytes(self._place(index, "hu"), encoded(hu.numpy(), "npy"))
            write_bytes(self._place(index, "labels"), encoded(labels.numpy(), "npy"))

    def _place(self, index: int, what: str) -> Path:
        """By what the files are now: a changed one is read again."""
        case = self.cases[index]
        states = [(path.stat().st_size, path.stat().st_mtime_ns) for path in (case.image, case.labels)]
        return self.cache / f"{derived_seed(str(case.image.resolve()), states, self.spacing):016x}.{what}.npy"

    def load(self, index: int) -> LabelledScan:
        """One case, as memory maps; labels are those of `names`."""
        hu, labels = (np.load(self._place(index, what), mmap_mode="r") for what in ("hu", "labels"))
        return LabelledScan(hu, labels, {})

    def voxels(self, index: int) -> NDArray[np.int64]:
        """(256,) voxels of each label."""
        return np.bincount(np.asarray(self.load(index).labels).ravel(), minlength=256)

    def report(self, index: int) -> str:
        """There is none."""
        return ""


def labels_on(path: Path, scan: Scan) -> NDArray[np.uint8]:
    """(I, P, L) labels of a file on the grid of its scan, by their own numbers; they may all be 0.

    Raises
    ------
    UserError
        When the file cannot be read, lies elsewhere, or holds labels above 255.
    """
    grid = read_labelled(path, scan)
    labels, renumbered = to_uint8(grid.labels, path.name)
    if renumbered is not None:
        raise UserError(f"{path.name}: holds labels above 255.")
    on_scan, _ = onto_scan(labels, grid.affine, scan, path.name, [], tight=grid.tight)
    return on_scan


def label_table(names: Mapping[int, str], wanted: tuple[str, ...], folder: str) -> NDArray[np.uint8]:
    """(256,) class of each label, counted from 1 in the order of the wanted names; 0 for the others.

    Raises
    ------
    UserError
        Naming what the scans have no masks of.
    """
    number = {name: label for label, name in names.items()}
    lacking = [name for name in wanted if name not in number]
    if lacking:
        raise UserError(f"'{folder}' has no masks of {', '.join(lacking)}: it names {', '.join(number)}.")
    table = np.zeros(256, np.uint8)
    table[[number[name] for name in wanted]] = np.arange(1, len(wanted) + 1)
    return table

"""What is known of one scan: per organ its state and sentences, and the scan's volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.anatomy.schemes import SCHEMES
from training.world.report.sentences import organ_sentences
from training.world.sample import WorldSample

from .seeding import generator

AT_LEAST = 8
"""Scans that show an abnormality in an organ, from which on it is a class unless told otherwise."""


@dataclass(frozen=True)
class OrganRecord:
    """What is known of one organ of a scan: its v2 name, its abnormalities (none: normal) and its sentences.

    ``known`` is false where the state cannot be told, as in a crop that may have cut the abnormality away. ``told`` are
    the abnormalities of which it is known whether the organ has them, where that is not so of all. Of each in
    ``one_of`` it is known that an organ of the scan whose record has it there has it, and not which.
    """

    organ: str
    abnormalities: tuple[str, ...]
    texts: tuple[str, ...]
    known: bool = True
    told: tuple[str, ...] | None = None
    one_of: tuple[str, ...] = ()

    def tells(self, abnormality: str) -> bool:
        """Whether it is known if the organ has an abnormality."""
        return self.known and (self.told is None or abnormality in self.told)


@dataclass(frozen=True, eq=False)
class LabelledScan:
    """One scan; ``hu`` (int16) and ``labels`` (uint8) are (I, P, L) at the source's spacing, ``organs`` by label."""

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    organs: Mapping[int, OrganRecord]


class ScanSource(Protocol):
    """Numbered scans, from disk or made when asked for."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    @property
    def spacing(self) -> float:
        """Voxel size in mm, isotropic."""
        ...

    @property
    def twins(self) -> bool:
        """Whether scan 2k + 1 is scan 2k without some of its abnormalities."""
        ...

    def load(self, index: int) -> LabelledScan:
        """One scan."""
        ...

    def voxels(self, index: int) -> NDArray[np.int64]:
        """(256,) number of voxels of each label of a scan."""
        ...

    def report(self, index: int) -> str:
        """The report of a scan."""
        ...


def organ_records(sample: WorldSample) -> dict[int, OrganRecord]:
    """The organs of a synthetic scan by label, with sentences drawn from its seed."""
    names = SCHEMES["totalsegmentator_v2"]
    said = organ_sentences(sample, generator(sample.seed, "text"))
    present = np.flatnonzero(np.bincount(sample.labels.cpu().numpy().ravel(), minlength=256))
    return {
        int(n): OrganRecord(names[int(n)], said[names[int(n)]].abnormalities, said[names[int(n)]].texts)
        for n in present
        if int(n) in names and names[int(n)] in said
    }


def patient_names(store: ScanSource) -> list[str]:
    """The patient of each scan of a store; a synthetic scan is a patient of its own."""
    return [str(store.record(i)["patient"]) if hasattr(store, "record") else str(i) for i in range(store.count)]


def patients_of(store: ScanSource) -> NDArray[np.int64]:
    """(scans,) number of the patient of each scan, in the order of their first scans."""
    number: dict[str, int] = {}
    return np.array([number.setdefault(name, len(number)) for name in patient_names(store)], np.int64)

"""Scans made by the synthetic world when a step asks for them: training without files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training.world.findings.plan import FLOOR
from training.world.report.report import make_report
from training.world.sample import make_sample
from training.world.scene import as_array

from .records import LabelledScan, organ_records
from .seeding import generator
from .store import BODY_BANK, number_of, scan_seed


@dataclass(eq=False)
class WorldStream:
    """The scans that a ``WorldStore`` of the same recipe would hold, made anew and never written.

    Attributes
    ----------
    split, count, seed, bodies, spacing, abnormal, rarest, twins
        As of ``WorldStore``.
    device : str
        Where the volumes are made; they are handed out as NumPy arrays.
    keep : int
        Scans that stay in memory.
    """

    split: str
    count: int
    seed: int = 0
    bodies: int = 60
    spacing: float = 3.0
    abnormal: float = 1.0
    rarest: float = FLOOR
    twins: bool = False
    device: str = "cpu"
    keep: int = 64
    first_body: int = 0
    _reports: dict[int, str] = field(default_factory=dict, repr=False)
    _findings: dict[int, list[dict[str, Any]]] = field(default_factory=dict, repr=False)
    _scans: OrderedDict[int, LabelledScan] = field(default_factory=OrderedDict, repr=False)
    _ahead: dict[int, Future[LabelledScan]] = field(default_factory=dict, repr=False)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1), repr=False)

    def __reduce__(self) -> tuple[type[WorldStream], tuple[Any, ...]]:
        """In another process: the same scans, made anew there."""
        kind = (self.split, self.count, self.seed, self.bodies, self.spacing, self.abnormal, self.rarest, self.twins)
        return WorldStream, (*kind, self.device, self.keep, self.first_body)

    def prepare(self) -> None:
        """Nothing to do: scans are made when they are asked for."""

    def expect(self, indices: Iterable[int]) -> None:
        """Begin to make scans that will be asked for soon, in the background."""
        for index in indices:
            if index not in self._scans and index not in self._ahead:
                self._ahead[index] = self._pool.submit(self.make, index)

    def load(self, index: int) -> LabelledScan:
        """One scan."""
        if index not in self._scans:
            ahead = self._ahead.pop(index, None)
            self._scans[index] = ahead.result() if ahead is not None else self.make(index)
            while len(self._scans) > self.keep:
                gone, _ = self._scans.popitem(last=False)
                self._findings.pop(gone, None)
        return self._scans[index]

    def voxels(self, index: int) -> NDArray[np.int64]:
        """(256,) number of voxels of each label of a scan."""
        return np.bincount(self.load(index).labels.ravel(), minlength=256)

    def report(self, index: int) -> str:
        """The report of a scan."""
        self.load(index)
        return self._reports[index]

    def findings(self, index: int) -> list[dict[str, Any]]:
        """The painted findings of a scan, as ``WorldStore.findings`` gives them."""
        self.load(index)
        return self._findings[index]

    def make(self, index: int) -> LabelledScan:
        """One scan, made anew whatever is in memory."""
        number, twin = number_of(index, self.twins)
        seed = scan_seed(self.seed, self.split, number, self.bodies, self.first_body)
        with torch.no_grad():
            sample = make_sample(
                seed,
                spacing=self.spacing,
                body=seed % BODY_BANK,
                abnormal=self.abnormal,
                rarest=self.rarest,
                twin=twin,
                device=self.device,
            )
        self._findings[index] = [f.as_dict() | {"mask": as_array(f.mask)} for f in sample.findings]
        self._reports[index] = make_report(sample, generator(seed, "report")).text
        return LabelledScan(as_array(sample.hu), as_array(sample.labels), organ_records(sample))

"""Scans made by the synthetic world, kept on disk: made once, in parallel, safe under a kill at any moment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from napari_ctvlp.errors import UserError
from training.world.findings.plan import FLOOR

from .prepared import write_json
from .records import LabelledScan, OrganRecord
from .seeding import derived_seed

BODY_BANK = 3000
"""Bodies of the world; each split draws from a third of its own."""
SPLITS = ("train", "validation", "test")
TOGETHER = 8
"""Scans that a process makes one after the other."""
WORLD_VERSION = 2
"""Raised when the same seed would give another scan."""


def scan_seed(seed: int, split: str, index: int, bodies: int, first_body: int = 0) -> int:
    """Seed of a scan, a pure function of its arguments; modulo ``BODY_BANK`` it is the number of its body."""
    most = BODY_BANK // len(SPLITS)
    if bodies > most:
        raise UserError(f"At most {most} bodies a split, not {bodies}.")
    if not 0 <= first_body <= most - bodies:
        raise UserError(f"Bodies {first_body} to {first_body + bodies - 1}: a split has those of 0 to {most - 1}.")
    body = SPLITS.index(split) * most + first_body + index % bodies
    return body + BODY_BANK * (derived_seed(seed, split, index) % 2**40)


def number_of(index: int, twins: bool) -> tuple[int, bool]:
    """Number of a scan in its world, and whether it is the twin of that number."""
    return (index // 2, index % 2 == 1) if twins else (index, False)


@dataclass(frozen=True)
class WorldStore:
    """Synthetic scans 0 .. count - 1 of one world, in a folder.

    With twins, scans 2k and 2k + 1 are those of number k of the world, the second without some of the abnormalities.

    Attributes
    ----------
    folder : Path
        Where the scans lie.
    split : str
        "train", "validation" or "test": scans of different splits share neither seed nor anatomy.
    count, seed, bodies : int
        Scan i is a pure function of (seed, split, i) and one of ``bodies`` anatomies.
    spacing : float
        Voxel size in mm.
    abnormal : float
        Factor on the usual rates of abnormalities.
    rarest : float
        Least chance of any abnormality in a scan that shows its organs, before that factor.
    twins : bool
        Whether scans come in twos, ``make_sample``'s ``twin`` beside the scan itself.
    """

    folder: Path
    split: str
    count: int
    seed: int = 0
    bodies: int = 60
    spacing: float = 3.0
    abnormal: float = 1.0
    rarest: float = FLOOR
    twins: bool = False
    first_body: int = 0
    """Number of the first of its bodies."""
    growing: bool = False
    """Whether others make its scans meanwhile, so that one that is not there is waited for."""

    def prepare(self, workers: int | None = None, first: int | None = None) -> None:
        """Make what is missing, of the ``first`` so many in the order of their making or of all, in parallel, with a
        progress bar."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._claim()
        chunks, wanted = self.missing(first), self.count if first is None else min(first, self.count)
        if not chunks:
            return
        workers = workers or os.cpu_count() or 1
        there = wanted - sum(map(len, chunks))
        bar = tqdm(total=wanted, initial=there, desc=f"{self.split} scans", unit="scan")
        # spawned, because torch's threads do not survive a fork
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool, bar:
            for done in as_completed([pool.submit(make_scans, self, chunk) for chunk in chunks]):
                bar.update(done.result())

    @property
    def order(self) -> list[int]:
        """All scans, in the order of their making: those of one body together, so that each body is built once."""
        return sorted(range(self.count), key=lambda i: (number_of(i, self.twins)[0] % self.bodies, i))

    def missing(self, first: int | None = None) -> list[list[int]]:
        """Scans that are not there, of the ``first`` so many in their order or of all, in parts for one process."""
        missing = [i for i in self.order[:first] if not self._stem(i).with_suffix(".json").is_file()]
        return [missing[k : k + TOGETHER] for k in range(0, len(missing), TOGETHER)]

    @property
    def failed(self) -> Path:
        """File that says why others could not make scans."""
        return self.folder / "failed.txt"

    def _wait_for(self, index: int) -> None:
        """Until a scan is there."""
        there = self._stem(index).with_suffix(".json")
        while not there.is_file():
            if self.failed.is_file():
                said = self.failed.read_text(encoding="utf-8")
                raise UserError(f"Scans could not be made in '{self.folder}' ({said}): --resume tries again.")
            time.sleep(0.1)

    def _claim(self) -> None:
        recipe = {
            "world": WORLD_VERSION,
            "split": self.split,
            "seed": self.seed,
            "bodies": self.bodies,
            "spacing": self.spacing,
            "abnormal": self.abnormal,
        }
        if self.rarest != FLOOR:
            recipe["rarest"] = self.rarest
        if self.first_body:
            recipe["first_body"] = self.first_body
        path = self.folder / "recipe.json"
        if not path.is_file():
            write_json(path, recipe)
            return
        try:
            found = json.loads(path.read_bytes())
        except ValueError as error:  # a kill of a version that did not write it whole
            raise UserError(
                f"'{self.folder.name}' does not tell of what recipe its scans are (recipe.json is damaged): remove the "
                "folder, or choose another."
            ) from error
        if found != recipe:
            raise UserError(f"'{self.folder.name}' holds scans of another recipe: choose another folder.")

    def _stem(self, index: int) -> Path:
        number, twin = number_of(index, self.twins)
        return self.folder / (f"{number:06d}-twin" if twin else f"{number:06d}")

    def _read(self, index: int) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self._stem(index).with_suffix(".json").read_text(encoding="utf-8"))
        return value

    def records(self, index: int) -> dict[int, OrganRecord]:
        """The organs of a scan by label."""
        organs = self._read(index)["organs"]
        return {
            int(k): OrganRecord(v["organ"], tuple(v["abnormalities"]), tuple(v["texts"])) for k, v in organs.items()
        }

    def findings(self, index: int) -> list[dict[str, Any]]:
        """The painted findings of a scan: fields of ``PaintedFinding``, with ``mask`` as a boolean array."""
        found: list[dict[str, Any]] = self._read(index)["findings"]
        with np.load(self._stem(index).with_suffix(".lesions.npz")) as masks:
            for number, finding in enumerate(found):
                shape = [b - a for a, b in finding["box"]]
                bits = np.unpackbits(masks[str(number)], count=int(np.prod(shape)))
                finding["mask"] = bits.reshape(shape).astype(bool)
        return found

    def report(self, index: int) -> str:
        """The report of a scan."""
        return str(self._read(index)["report"])

    def load(self, index: int) -> LabelledScan:
        """One scan, as memory maps; where others make scans, once it is there.

        Raises
        ------
        UserError
            When they cannot.
        """
        if self.growing:
            self._wait_for(index)
        stem = self._stem(index)
        hu = np.load(stem.with_suffix(".hu.npy"), mmap_mode="r")
        labels = np.load(stem.with_suffix(".labels.npy"), mmap_mode="r")
        return LabelledScan(hu, labels, self.records(index))

    def voxels(self, index: int) -> NDArray[np.int64]:
        """(256,) number of voxels of each label of a stored scan."""
        return _voxels(self._stem(index).with_suffix(".labels.npy"))


@cache
def _voxels(labels: Path) -> NDArray[np.int64]:
    return np.bincount(np.load(labels).ravel(), minlength=256)


def make_scans(store: WorldStore, indices: Sequence[int]) -> int:
    """Make some scans, in a process of its own, and say how many."""
    import torch

    from training.world.report.report import make_report
    from training.world.sample import make_sample
    from training.world.scene import as_array

    from .records import organ_records
    from .seeding import generator

    torch.set_num_threads(1)
    for index in indices:
        number, twin = number_of(index, store.twins)
        seed = scan_seed(store.seed, store.split, number, store.bodies, store.first_body)
        sample = make_sample(
            seed, spacing=store.spacing, body=seed % BODY_BANK, abnormal=store.abnormal, rarest=store.rarest, twin=twin
        )
        report = make_report(sample, generator(seed, "report"))
        stem = store._stem(index)
        _write_array(stem.with_suffix(".hu.npy"), as_array(sample.hu))
        _write_array(stem.with_suffix(".labels.npy"), as_array(sample.labels))
        found = [f.as_dict() for f in sample.findings]
        masks = {str(n): np.packbits(as_array(f.mask)) for n, f in enumerate(sample.findings)}
        with stem.with_suffix(".tmp").open("wb") as handle:
            np.savez_compressed(handle, allow_pickle=False, **masks)
        stem.with_suffix(".tmp").replace(stem.with_suffix(".lesions.npz"))
        about = {"seed": seed, "phase": sample.phase, "sex": sample.sex, "age": round(sample.age), "arms": sample.arms}
        record = {
            "about": about,
            "organs": {str(k): _without_known(r) for k, r in organ_records(sample).items()},
            "findings": found,
            "report": report.text,
        }
        temporary = stem.with_suffix(".json.tmp")
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(stem.with_suffix(".json"))  # last: a scan exists once its record does
    return len(indices)


def _without_known(record: OrganRecord) -> dict[str, Any]:
    return {"organ": record.organ, "abnormalities": record.abnormalities, "texts": record.texts}


def _write_array(path: Path, array: NDArray[np.generic]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as handle:
        np.save(handle, np.ascontiguousarray(array))
    temporary.replace(path)

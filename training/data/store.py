"""Scans made by the synthetic world, kept on disk: made once, in parallel, safe under a kill at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from napari_ctvlp.errors import UserError

from .seeding import derived_seed, generator

BODY_BANK = 3000
"""Bodies of the world; each split draws from a third of its own."""
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class OrganRecord:
    """What is known of one organ of a stored scan: its v2 name, its abnormalities (none: normal) and its sentences.

    ``known`` is false where the state cannot be told, as in a crop that may have cut the abnormality away.
    """

    organ: str
    abnormalities: tuple[str, ...]
    texts: tuple[str, ...]
    known: bool = True


@cache
def voxels_by_label(store: WorldStore, index: int) -> NDArray[np.int64]:
    """(256,) number of voxels of each label of a stored scan."""
    return np.bincount(np.load(store.folder / f"{index:06d}.labels.npy").ravel(), minlength=256)


@dataclass(frozen=True, eq=False)
class StoredScan:
    """One scan of the store; ``hu`` (int16) and ``labels`` (uint8) are (I, P, L) memory maps at the store's spacing."""

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    organs: dict[int, OrganRecord]


@dataclass(frozen=True)
class WorldStore:
    """Synthetic scans ``first .. first + count - 1`` of one world, in a folder.

    Attributes
    ----------
    folder : Path
        Where the scans lie.
    count, seed, bodies : int
        Scan i is a pure function of (seed, split, i) and one of ``bodies`` anatomies.
    split : str
        "train", "validation" or "test": scans of different splits share neither seed nor anatomy.
    spacing : float
        Voxel size in mm.
    """

    folder: Path
    split: str
    count: int
    seed: int = 0
    bodies: int = 60
    spacing: float = 3.0

    def prepare(self, workers: int | None = None) -> None:
        """Make what is missing, in parallel, with a progress bar."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._claim()
        missing = [i for i in range(self.count) if not self._record(i).is_file()]
        if not missing:
            return
        workers = workers or os.cpu_count() or 1
        bar = tqdm(total=self.count, initial=self.count - len(missing), desc=f"{self.split} scans", unit="scan")
        # spawned, because torch's threads do not survive a fork; scans of one body go together, so that each body is
        # built once
        missing.sort(key=lambda i: (i % self.bodies, i))
        chunks = [missing[k : k + 8] for k in range(0, len(missing), 8)]
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool, bar:
            for done in as_completed([pool.submit(_make, self, chunk) for chunk in chunks]):
                bar.update(done.result())

    def scan_seed(self, index: int) -> int:
        """Seed of a scan; modulo ``BODY_BANK`` it is the number of its body."""
        if self.bodies > BODY_BANK // len(SPLITS):
            raise ValueError(f"At most {BODY_BANK // len(SPLITS)} bodies.")
        body = SPLITS.index(self.split) * (BODY_BANK // len(SPLITS)) + index % self.bodies
        return body + BODY_BANK * (derived_seed(self.seed, self.split, index) % 2**40)

    def _claim(self) -> None:
        recipe = {"split": self.split, "seed": self.seed, "bodies": self.bodies, "spacing": self.spacing}
        path = self.folder / "recipe.json"
        if path.is_file():
            if json.loads(path.read_text()) != recipe:
                raise UserError(f"'{self.folder.name}' holds scans of another recipe: choose another --run folder.")
        else:
            path.write_text(json.dumps(recipe))

    def _record(self, index: int) -> Path:
        return self.folder / f"{index:06d}.json"

    def records(self, index: int) -> dict[int, OrganRecord]:
        """The organs of a scan by label."""
        value = json.loads(self._record(index).read_text())
        return {int(k): OrganRecord(v["organ"], tuple(v["abnormalities"]), tuple(v["texts"])) for k, v in value.items()}

    def load(self, index: int) -> StoredScan:
        """One scan, as memory maps."""
        stem = self.folder / f"{index:06d}"
        hu = np.load(stem.with_suffix(".hu.npy"), mmap_mode="r")
        labels = np.load(stem.with_suffix(".labels.npy"), mmap_mode="r")
        return StoredScan(hu, labels, self.records(index))


def _make(store: WorldStore, indices: Sequence[int]) -> int:
    import torch

    from napari_ctvlp.anatomy.schemes import SCHEMES
    from training.world.sample import make_sample
    from training.world.sentences import organ_sentences

    torch.set_num_threads(1)
    names = SCHEMES["totalsegmentator_v2"]
    for index in indices:
        seed = store.scan_seed(index)
        sample = make_sample(seed, spacing=store.spacing, body_bank=BODY_BANK)
        sentences = organ_sentences(sample, generator(seed, "text"))
        organs = {
            int(label): {"organ": names[label], "abnormalities": said.abnormalities, "texts": said.texts}
            for label in np.unique(sample.labels)
            if label and (said := sentences.get(names[int(label)])) is not None
        }
        stem = store.folder / f"{index:06d}"
        _write_array(stem.with_suffix(".hu.npy"), sample.hu)
        _write_array(stem.with_suffix(".labels.npy"), sample.labels)
        temporary = stem.with_suffix(".json.tmp")
        temporary.write_text(json.dumps(organs))
        temporary.replace(stem.with_suffix(".json"))  # last: a scan exists once its record does
    return len(indices)


def _write_array(path: Path, array: NDArray[np.generic]) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as handle:
        np.save(handle, np.ascontiguousarray(array))
    temporary.replace(path)

"""The prepared store: scans on the training grid, compressed in blocks, so that a crop reads only what it needs.

A folder holds ``store.json`` (what all studies share), ``index.json`` (the studies in the order of the manifest) and in
``studies/`` per study a record and two volumes whose names carry the hash of what they were made from. A study exists
once its record does, and a record never names a volume that is not complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError

from .own_labels import records_of_labels
from .records import LabelledScan, OrganRecord

VERSION = 1
"""Raised when the same inputs would give another record or volume."""
AIR = -1024
CHUNK, BLOCK = 128, 32
FORMATS = ("blosc2", "npy")


def stored_format() -> str:
    """How volumes are written here: "blosc2", or plain "npy" memory maps where it is not installed."""
    try:
        import blosc2  # noqa: F401
    except ImportError:
        return "npy"
    return "blosc2"


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write a file such that after a kill or power cut it is there whole or not at all."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as handle:
        handle.write(data)
        handle.flush()
        os.fsync(handle.fileno())
    temporary.replace(path)
    settle(path.parent)


def settle(folder: Path) -> None:
    """Have the disk keep the names of a folder's files as they are now."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders, and its renames are journalled
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write JSON by :func:`write_bytes`."""
    write_bytes(path, json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def encoded(volume: NDArray[np.generic], kind: str) -> bytes:
    """A volume as the bytes of its file.

    int16 by LZ4 with bitshuffle, which reads three times as fast as ZSTD; labels by ZSTD, which makes them a few
    hundredths of their size, unshuffled, since runs of one byte need no shuffling and read twice as fast without.
    """
    volume = np.ascontiguousarray(volume)
    if kind == "npy":
        from io import BytesIO

        buffer = BytesIO()
        np.save(buffer, volume)
        return buffer.getvalue()
    import blosc2

    if volume.dtype == np.uint8:
        codec, shuffle = blosc2.Codec.ZSTD, blosc2.Filter.NOFILTER
    else:
        codec, shuffle = blosc2.Codec.LZ4, blosc2.Filter.BITSHUFFLE
    settings = blosc2.CParams(codec=codec, clevel=5, filters=[shuffle], nthreads=1)
    array = blosc2.asarray(volume, chunks=(CHUNK,) * 3, blocks=(BLOCK,) * 3, cparams=settings)
    return cast(bytes, array.to_cframe())


@dataclass(frozen=True)
class StoredVolume:
    """A volume in its file: slicing reads the blocks that it touches, ``np.asarray`` reads all."""

    path: Path
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Three."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of voxels."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        try:
            return np.asarray(self._open()[key])
        except UserError:
            raise
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{self.path.name}: this volume of the prepared store is missing or damaged; run "
                "python -m training.prepare again with --check."
            ) from error

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        whole = self[:, :, :]
        return whole if dtype is None else whole.astype(dtype, copy=False)

    def _open(self) -> Any:
        if self.path.suffix == ".npy":
            return np.load(self.path, mmap_mode="r")
        try:
            import blosc2
        except ImportError as error:
            raise UserError("This prepared store is compressed: pip install blosc2 to read it.") from error
        return blosc2.open(str(self.path), mode="r", mmap_mode="r", dparams=blosc2.DParams(nthreads=1))


@dataclass(frozen=True)
class PreparedStore:
    """The studies of a prepared folder, as training reads them.

    Attributes
    ----------
    folder : Path
        What ``python -m training.prepare`` wrote.
    split : str, optional
        "train", "validation" or "test"; by default all studies.
    own : bool
        What is known of organs comes from the manifest's own labels, in place of what the rules read in the reports.
    """

    folder: Path
    split: str | None = None
    own: bool = False
    twins: ClassVar[bool] = False

    @cached_property
    def _about(self) -> dict[str, Any]:
        return _read(self.folder / "store.json", self.folder)

    @cached_property
    def _index(self) -> tuple[tuple[str, str], ...]:
        index = _read(self.folder / "index.json", self.folder)["studies"]
        return tuple((s["key"], s["study"]) for s in index if self.split in (None, s["split"]))

    @property
    def studies(self) -> tuple[str, ...]:
        """Names of the studies, by index."""
        return tuple(study for _, study in self._index)

    @property
    def count(self) -> int:
        """How many studies there are."""
        return len(self._index)

    @property
    def spacing(self) -> float:
        """Voxel size in mm, isotropic."""
        return float(self._about["spacing"])

    def prepare(self) -> None:
        """Check that there are studies: they are made by ``python -m training.prepare``."""
        if not self.count:
            raise UserError(f"'{self.folder.name}' holds no studies{f' for {self.split}' if self.split else ''}.")

    def record(self, index: int) -> dict[str, Any]:
        """All that is stored of a study but its volumes."""
        return _read(self.folder / "studies" / f"{self._index[index][0]}.json", self.folder)

    def records(self, index: int) -> dict[int, OrganRecord]:
        """The organs of a study by label."""
        return self._known(self.record(index))

    def report(self, index: int) -> str:
        """The report of a study, as far as it states findings."""
        return str(self.record(index)["report"])

    def labels(self, index: int) -> Mapping[str, int]:
        """The manifest's own labels of a study."""
        found: dict[str, int] = self.record(index)["labels"]
        return found

    def load(self, index: int) -> LabelledScan:
        """One study; its volumes are read when they are sliced."""
        record = self.record(index)
        hu, labels = self._volumes(record)
        return LabelledScan(cast(NDArray[np.int16], hu), cast(NDArray[np.uint8], labels), self._known(record))

    def _known(self, record: Mapping[str, Any]) -> dict[int, OrganRecord]:
        if self.own:
            return records_of_labels(record["labels"], {int(k): o["organ"] for k, o in record["organs"].items()})
        return _organ_records(record)

    def voxels(self, index: int) -> NDArray[np.int64]:
        """(256,) number of voxels of each label of a study."""
        counts = np.zeros(256, np.int64)
        record = self.record(index)
        for label, organ in record["organs"].items():
            counts[int(label)] = organ["voxels"]
        counts[0] = int(np.prod(record["shape"])) - counts.sum()
        return counts

    def crop(
        self, index: int, start: Sequence[int], size: Sequence[int]
    ) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
        """HU and labels of ``size`` voxels from ``start``, which may lie outside: -1024 HU and 0 there."""
        hu, labels = self._volumes(self.record(index))
        return _cut(hu, start, size, AIR), _cut(labels, start, size, 0)

    def _volumes(self, record: Mapping[str, Any]) -> tuple[StoredVolume, StoredVolume]:
        shape = tuple(record["shape"])
        places = [self.folder / "studies" / record["files"][kind][0] for kind in ("hu", "labels")]
        return StoredVolume(places[0], shape, np.dtype(np.int16)), StoredVolume(places[1], shape, np.dtype(np.uint8))


def _cut(volume: StoredVolume, start: Sequence[int], size: Sequence[int], fill: int) -> NDArray[Any]:
    low = [min(max(0, s), n) for s, n in zip(start, volume.shape, strict=True)]
    high = [max(a, min(n, s + m)) for a, s, m, n in zip(low, start, size, volume.shape, strict=True)]
    part = (
        volume[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] if all(map(int.__lt__, low, high)) else None
    )
    if part is not None and part.shape == tuple(size):
        return part
    result = np.full(tuple(size), fill, volume.dtype)
    if part is not None:
        result[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))] = part
    return result


def _organ_records(record: Mapping[str, Any]) -> dict[int, OrganRecord]:
    """What is known of a study's organs, also of those that its field of view cuts (``complete`` of the record).

    A crop that cuts an organ makes its abnormalities unknown, since they may lie in the rest (``data/batch.py``). The
    field of view does not: the report was written from this very scan, and what it says of a cut organ was seen in the
    part that is there. To leave such organs out would lose the lungs of every abdominal scan and the liver of every
    chest scan. Where one report was written from several series, ``masks`` of the manifest should hold the organs that
    the series of the row was read for.
    """
    return {
        int(label): OrganRecord(o["organ"], tuple(o["abnormalities"]), tuple(o["texts"]), bool(o["known"]))
        for label, o in record["organs"].items()
    }


def _read(path: Path, folder: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(
            f"'{folder.name}' is no finished prepared store ({path.name} is missing or damaged); run "
            "python -m training.prepare on it again."
        ) from error
    return value

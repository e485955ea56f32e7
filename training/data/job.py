"""A study to be prepared: where its files go, what they are made from, and whether they are there and whole."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from napari_ctvlp.encoder.preprocess import VERSION as PREPROCESSING
from napari_ctvlp.errors import UserError
from training.reports.labels import Statement

from .manifest import Study
from .prepared import VERSION, StoredVolume


@dataclass(frozen=True)
class Settings:
    """What makes the same files another prepared study."""

    spacing: float
    kind: str
    margin: float = 10.0
    """mm kept around the body."""
    keep_doubtful: bool = False
    """Whether studies stay whose audit warns of a guessed orientation or of values that are not HU."""


@dataclass(frozen=True)
class Job:
    """A study with its split, its place, and what else was read in its report."""

    study: Study
    split: str
    folder: Path
    settings: Settings
    reader: str
    """Version of what reads reports."""
    extra: tuple[Statement, ...] = ()
    check: bool = False
    """Whether volumes are read to see that they are whole."""

    @property
    def key(self) -> str:
        """Name of its files."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", self.study.study)[:60].strip("._") or "study"
        return f"{plain}-{digest_of(self.study.study)[:6]}"

    @property
    def record(self) -> Path:
        """Its record."""
        return self.folder / "studies" / f"{self.key}.json"

    @property
    def volume_hash(self) -> str:
        """Of what its volumes are made from."""
        files = [_identity(self.study.image), _identity(self.study.masks)]
        return digest_of(VERSION, PREPROCESSING, self.settings, self.study.series, files)

    @property
    def text_hash(self) -> str:
        """Of what the rest of its record is made from."""
        s = self.study
        return digest_of(VERSION, self.reader, s.study, s.patient, s.report, sorted(s.labels.items()), self.split)


def digest_of(*what: object) -> str:
    """A short name for values, the same in every process."""
    return hashlib.blake2b(repr(what).encode(), digest_size=12).hexdigest()


def _identity(path: Path) -> list[tuple[str, int, int]]:
    """Names, sizes and times of a file or of all files in a folder; contents would cost as much as preparing."""
    try:
        files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
        return [(str(f.relative_to(path)), s.st_size, s.st_mtime_ns) for f, s in ((f, f.stat()) for f in files)]
    except OSError:
        return []


def missing_part(job: Job, *, check: bool = False) -> str:
    """What of a study has to be made: "" for nothing, "texts" for its record, "all"; ``check`` reads its volumes."""
    try:
        record = json.loads(job.record.read_bytes())
        whole = record["volume_hash"] == job.volume_hash and all(
            (job.record.parent / file[0]).stat().st_size == file[1] for file in record["files"].values()
        )
        whole = whole and not (check and damaged(job.record.parent, record))
        return "all" if not whole else "texts" if record["text_hash"] != job.text_hash else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "all"


def damaged(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether a study's volumes are not what was written: by their checksum, or by reading where there is none yet."""
    for kind, (name, _, *checksum) in record["files"].items():
        if checksum:
            if crc32((folder / name).read_bytes()) != checksum[0]:
                return True
            continue
        try:
            dtype = np.dtype(np.int16 if kind == "hu" else np.uint8)
            np.asarray(StoredVolume(folder / name, tuple(record["shape"]), dtype))
        except UserError:
            return True
    return False

"""``python -m training.retrieve ENCODER``: find scans by their reports, and reports by their scans.

For encoders of this project whose method aligns whole scans with whole reports by the head that is exported: ``t3d``
and ``clip``. Held-out scans are those of the synthetic world or of a folder that ``python -m training.prepare`` wrote;
they must be others than the encoder was trained on.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from napari_ctvlp.encoder.native_files import NativeParts, read_folder
from napari_ctvlp.encoder.registry import list_entries
from napari_ctvlp.errors import UserError
from napari_ctvlp.files import write_whole
from napari_ctvlp.folders import cache_folder
from training.data.prepared import PreparedStore
from training.data.records import patients_of
from training.data.store import WorldStore
from training.evaluation.retrieval import Recall, recalls, reports_of, scan_vectors

WHOLE = ("t3d", "clip", "siglip")
"""Methods that train the exported head on whole scans."""
DIRECTIONS = ("scan to report", "report to scan")
Found = dict[str, list[Recall]]


@dataclass(frozen=True)
class RetrieveConfig:
    """How well whole scans and whole reports find one another."""

    encoder: Annotated[str, tyro.conf.Positional]
    """Folder of an encoder of this project, or the name of an installed one."""
    data: str = "world"
    """"world" for synthetic scans, or a folder that ``python -m training.prepare`` wrote: its validation split."""
    scans: int = 200
    """Number of synthetic scans."""
    bodies: int = 40
    """Anatomies among them."""
    seed: int = 0
    """Of the synthetic scans."""
    device: str = "cpu"
    """Where scans are encoded, such as cpu or cuda."""
    cache: Path | None = None
    """Where synthetic scans are kept; the user's cache folder (CTVLP_CACHE_DIR) by default."""
    out: Path | None = None
    """JSON file to write."""


def read_parts(name: str, why: str = "whole scans are looked for by those alone") -> NativeParts:
    """An encoder of this project by its name or folder; ``why`` says in a message what needs one of those.

    Raises
    ------
    UserError
        When it is none.
    """
    entry = list_entries().get(name)
    place = Path(name) if entry is None else entry.place
    if place is None or (entry is not None and not (place / "config.json").is_file()):
        raise UserError(f"{name} is no encoder of this project: {why}.")
    return read_folder(place)


def retrieve(config: RetrieveConfig) -> Found:
    """Encode, compare, print, and write what was asked for.

    Raises
    ------
    UserError
        When the encoder cannot be read, or there are fewer than two different reports.
    """
    parts = read_parts(config.encoder)
    store: PreparedStore | WorldStore
    if config.data == "world":
        spacing, cache = parts.model.vision.config.spacing, config.cache or cache_folder("calibration-scans")
        store = WorldStore(cache, "validation", config.scans, config.seed, config.bodies, spacing)
    else:
        store = PreparedStore(Path(config.data), "validation")
    store.prepare()
    reports = [store.report(i).strip() for i in range(store.count)]
    told = [i for i, report in enumerate(reports) if report]
    if len({reports[i] for i in told}) < 2:
        raise UserError(
            f"{len(told)} of {store.count} scans have a report, and fewer than two differ: nothing to find."
        )
    images = scan_vectors(parts, store, config.device)[told]
    texts = reports_of(parts, [reports[i] for i in told])
    _, number = np.unique([reports[i] for i in told], return_inverse=True)
    right = number[:, None] == number[None]
    _, patient = np.unique(patients_of(store)[told], return_inverse=True)
    similarity = images @ texts.T
    found = {
        name: recalls(matrix, right, patient.astype(np.int64))
        for name, matrix in zip(DIRECTIONS, (similarity, similarity.T), strict=True)
    }
    method = trained_by(parts)
    print(f"{len(told)} scans with their reports, {len(set(number))} of which differ; {len(set(patient))} patients")
    if method and method not in WHOLE:
        print(f"note: {parts.provenance.name} was trained by {method}, not on whole scans: expect chance.")
    for name, rows in found.items():
        for row in rows:
            print(
                f"  {name:<15} R@{row.at:<3} {row.value:.3f} ({row.low:.3f}-{row.high:.3f})   chance {row.chance:.3f}"
                f"{'' if row.low > row.chance else '   not above chance'}"
            )
    if config.out is not None:
        data = {
            "encoder": parts.provenance.name,
            "method": method,
            "scans": len(told),
            "recall": {name: [asdict(row) for row in rows] for name, rows in found.items()},
        }
        write_whole(config.out, json.dumps(data, indent=1) + "\n")
    return found


def trained_by(parts: NativeParts) -> str:
    """The method that an encoder was trained by, as its card tells; "" where it does not."""
    training = parts.provenance.training
    told = training.get("config", training)
    return str(told.get("method", "")) if isinstance(told, dict) else ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    try:
        retrieve(tyro.cli(RetrieveConfig, args=arguments, description=__doc__))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()

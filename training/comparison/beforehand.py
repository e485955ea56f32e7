"""What is known of a comparison before anything is trained: on which data it rests, and whether it can be judged."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.anatomy import load_dictionary
from napari_ctvlp.errors import UserError
from training.config import PretrainConfig
from training.data.prepared import PreparedStore, write_json
from training.data.records import ScanSource
from training.data.texts import Classes
from training.engine.metrics import FEWEST, enough
from training.evaluation.cases import data_hash
from training.history import flat
from training.settings import as_written, read_config

FILE = "data.json"
"""In a run's folder: what it was trained on, where its settings do not say all of that."""


@dataclass(frozen=True)
class Data:
    """Digests of what runs are trained on ("" for the world, of which their settings tell) and asked about."""

    train: str
    test: str


def data_of(train: object, test: ScanSource) -> Data:
    """The digests of a comparison's scans."""
    return Data(data_hash(train) if isinstance(train, PreparedStore) else "", data_hash(test))


def check_judged(store: ScanSource, classes: Classes, patients: NDArray[np.int64]) -> None:
    """Refuse test scans that would say nothing of any abnormality, before runs are trained for them.

    Raises
    ------
    UserError
    """
    known: dict[str, list[tuple[bool, int]]] = {}
    asked = {(organ, entry.key) for entry in load_dictionary() for organ in entry.organs} & set(classes.states)
    of_organ: dict[str, list[str]] = {}
    for organ, key in asked:
        of_organ.setdefault(organ, []).append(key)
    for number in range(store.count):
        for record in store.records(number).values():  # type: ignore[attr-defined]
            for key in of_organ.get(record.organ, ()) if record.known else ():
                known.setdefault(key, []).append((key in record.abnormalities, int(patients[number])))
    for cases in known.values():
        present, scan = (np.array(values) for values in zip(*cases, strict=True))
        if enough(present, scan):
            return
    raise UserError(
        f"No abnormality that is trained can be judged: none is in {FEWEST} test patients and absent from {FEWEST} "
        f"others, of {len(np.unique(patients))}; take more test scans, or lower --at-least where none is trained."
    )


def told(config: PretrainConfig) -> dict[str, object]:
    """What the settings of a run come to: without the ways to it, and where its scans lie."""
    return {name: value for name, value in flat(asdict(as_written(config))).items() if name != "world.folder"}


def is_of(folder: Path, config: PretrainConfig, data: Data) -> bool:
    """Whether a folder holds a run of these settings and this data, or none yet."""
    written = folder / "config.json"
    if not written.is_file():
        return True
    kept = json.loads((folder / FILE).read_bytes())["train"] if (folder / FILE).is_file() else ""
    return kept == data.train and told(read_config(written)) == told(config)


def note_data(folder: Path, data: Data) -> None:
    """Write down what a run is trained on."""
    write_json(folder / FILE, {"train": data.train})

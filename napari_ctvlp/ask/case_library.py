"""Known examples: organs of other scans of which somebody said what is there and what is not.

A case library is a folder of files of taught findings (`napari_ctvlp.ask.taught_file`), which hold embeddings, findings
and hashes, and nothing that tells who a patient is. That an organ looks like another to an encoder says that the two
are alike in what the encoder heeds, and no more: every answer says among how many examples the nearest were found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_ctvlp.ask.taught_file import read_taught
from napari_ctvlp.ask.teach import EncoderKey
from napari_ctvlp.encoder.contract import EncoderCard, FloatArray, ScanEmbedding
from napari_ctvlp.errors import UserError

MOST = 5
"""Examples that are shown of one organ."""


@dataclass(frozen=True, eq=False)
class KnownOrgan:
    """One organ of one scan with all that is known of it.

    ``findings`` are pairs of a name and whether it is there; ``vector`` is the (d,) embedding, of unit length; ``scan``
    is a hash.
    """

    organ: str
    scan: str
    findings: tuple[tuple[str, bool], ...]
    vector: FloatArray


@dataclass(frozen=True, eq=False)
class CaseLibrary:
    """What a folder holds for one encoder; ``notes`` tell what could not be used, and why."""

    name: str
    encoder: EncoderKey
    organs: tuple[KnownOrgan, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Nearest:
    """The examples most like an organ, nearest first, with their cosines; ``among`` is how many there were."""

    found: tuple[tuple[KnownOrgan, float], ...]
    among: int


def read_library(folder: str | Path, card: EncoderCard) -> CaseLibrary:
    """Read the taught findings of a folder that were taught with this encoder.

    Other JSON files may lie beside them. What two files say of the same organ and scan is joined; where they disagree
    about a finding, that finding is left out.

    Raises
    ------
    UserError
        When the folder cannot be read, or holds no example for this encoder.
    """
    folder, key = Path(folder), EncoderKey.of(card)
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".json")
    except OSError as error:
        raise UserError(f"{folder.name}: this folder cannot be read; choose the one with the files.") from error
    said: dict[tuple[str, str], dict[str, set[bool]]] = {}
    names: dict[str, str] = {}
    vectors: dict[tuple[str, str], FloatArray] = {}
    refused, foreign = [], 0
    for path in paths:
        try:
            findings = read_taught(path)
        except UserError as error:
            if not str(error).endswith("holds no taught findings."):  # other JSON has its place in a folder
                refused.append(str(error))
            continue
        for finding in findings:
            if finding.encoder != key or finding.dim not in (0, card.dim):
                foreign += 1
                continue
            name = names.setdefault(finding.name.casefold(), finding.name)
            for example in finding.examples:
                place = (example.organ, example.scan)
                said.setdefault(place, {}).setdefault(name, set()).add(example.present)
                vectors[place] = example.vector
    organs, disputed = _agreed(said, vectors)
    notes = list(refused)
    if foreign:
        notes.append(f"{foreign} findings were taught with another encoder and mean nothing to {key}.")
    if disputed:
        notes.append(f"{disputed} examples are left out: files disagree about what is there.")
    if not organs:
        why = f" ({notes[0].rstrip('.')})" if notes else ""
        raise UserError(
            f"{folder.name}: holds no examples for {key}{why}; choose a folder of files that were saved under Teach."
        )
    return CaseLibrary(folder.name, key, organs, tuple(notes))


def _agreed(
    said: dict[tuple[str, str], dict[str, set[bool]]], vectors: dict[tuple[str, str], FloatArray]
) -> tuple[tuple[KnownOrgan, ...], int]:
    organs, disputed = [], 0
    for (organ, scan), findings in said.items():
        clear = tuple((name, present.copy().pop()) for name, present in findings.items() if len(present) == 1)
        disputed += len(findings) - len(clear)
        if clear:
            # what is there before what is not
            organs.append(KnownOrgan(organ, scan, tuple(sorted(clear, key=lambda f: not f[1])), vectors[organ, scan]))
    return tuple(organs), disputed


def nearest(library: CaseLibrary, embedding: ScanEmbedding, organs: Iterable[str], own_scan: str) -> Nearest:
    """The known examples of the same organs that look most like them.

    Parameters
    ----------
    library : CaseLibrary
        Of the encoder that made the embedding.
    embedding : ScanEmbedding
    organs : iterable of str
        Of the embedding; each is compared with examples of its own name alone.
    own_scan : str
        Hash of the open scan, whose own examples are left out.
    """
    rows = dict(zip(embedding.organs, embedding.vectors, strict=True))
    wanted = {organ: rows[organ] for organ in organs if organ in rows}
    known = [k for k in library.organs if k.organ in wanted and k.scan != own_scan]
    cosines = [float(np.dot(wanted[k.organ], k.vector)) for k in known]
    order = np.argsort([-c for c in cosines], kind="stable")[:MOST]
    return Nearest(tuple((known[i], cosines[i]) for i in order), len(known))


def nearest_as_json(library: CaseLibrary, near: Nearest) -> dict[str, Any]:
    """The nearest examples as plain values, ready for JSON.

    Returns
    -------
    dict
        ``library`` (the folder's name), ``among``, ``examples`` (organ, scan, findings with name and present, cosine),
        ``notes``.
    """
    rows = [
        {
            "organ": known.organ,
            "scan": known.scan,
            "findings": [{"name": name, "present": present} for name, present in known.findings],
            "cosine": round(cosine, 4),
        }
        for known, cosine in near.found
    ]
    return {"library": library.name, "among": near.among, "examples": rows, "notes": list(library.notes)}

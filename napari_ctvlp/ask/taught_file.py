"""Taught findings as a file to share: JSON with the examples, from which everybody fits the same probe.

``{"format": 1, "kind": "taught findings", "findings": [{"name", "encoder": {"name", "revision", "preprocessing"},
"examples": [{"organ", "present", "scan", "vector"}]}]}``. A vector is base64 of little-endian float32; ``scan`` is a
hash. The name of the finding is the only free text.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_ctvlp.anatomy.organs import ORGANS
from napari_ctvlp.ask.teach import EncoderKey, Example, TaughtFinding, checked_name
from napari_ctvlp.encoder.contract import EncoderCard
from napari_ctvlp.errors import UserError
from napari_ctvlp.files import write_whole

FORMAT = 1
KIND = "taught findings"
SUFFIX = ".taught.json"
MOST_EXAMPLES = 2000
LARGEST = 64 << 20
"""Bytes; a file of this kind is some kilobytes an example."""
_HASH = re.compile(r"[0-9a-f]{8,64}")


def write_taught(path: str | Path, findings: Sequence[TaughtFinding]) -> Path:
    """Write findings with their examples; a name without an ending gets `SUFFIX`.

    Raises
    ------
    UserError
        When there is none, or the place cannot be written to.
    """
    if not findings:
        raise UserError("No finding has been taught yet, so there is nothing to write.")
    path = Path(path)
    if not path.name.lower().endswith(".json"):
        path = path.with_name(path.name + SUFFIX)
    data = {"format": FORMAT, "kind": KIND, "findings": [as_json(f) for f in findings]}
    write_whole(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    return path


def read_taught(path: str | Path, card: EncoderCard | None = None) -> tuple[TaughtFinding, ...]:
    """Read and check taught findings.

    Parameters
    ----------
    path : str or Path
    card : EncoderCard, optional
        Refuse findings that were taught with another encoder than this card's.

    Raises
    ------
    UserError
        When the file cannot be read, is none of this kind, is damaged, or belongs to another encoder.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path.name}: is too large for a file of taught findings.")
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UserError(f"{path.name} cannot be read: {error.strerror or 'unknown reason'}.") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path.name}: holds no taught findings (it is not JSON).") from error
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise UserError(f"{path.name}: holds no taught findings.")
    if data.get("format") != FORMAT:
        raise UserError(f"{path.name}: has format {data.get('format')!r}; this version reads {FORMAT}.")
    try:
        findings = tuple(from_json(item) for item in data["findings"])
    except (KeyError, TypeError, ValueError, AttributeError, UserError) as error:
        raise UserError(f"{path.name}: is damaged ({_words(error)}); ask for the file again.") from error
    if card is not None:
        for finding in findings:
            if finding.encoder != EncoderKey.of(card):
                raise UserError(
                    f"{path.name}: {finding.name} was taught with {finding.encoder} and means nothing to "
                    f"{EncoderKey.of(card)}; choose that encoder, or teach it again."
                )
            if finding.dim not in (0, card.dim):
                raise UserError(f"{path.name}: is damaged (its embeddings have another length than {card.name}'s).")
    return findings


def _words(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error).rstrip(".") or "odd content"


def as_json(finding: TaughtFinding) -> dict[str, Any]:
    """A finding as plain values."""
    encoder = finding.encoder
    return {
        "name": finding.name,
        "encoder": {"name": encoder.name, "revision": encoder.revision, "preprocessing": encoder.preprocessing},
        "examples": [
            {
                "organ": e.organ,
                "present": e.present,
                "scan": e.scan,
                "vector": base64.b64encode(e.vector.astype("<f4").tobytes()).decode("ascii"),
            }
            for e in finding.examples
        ],
    }


def from_json(item: Any) -> TaughtFinding:
    """A finding from plain values.

    Raises
    ------
    ValueError, TypeError, KeyError, UserError
        When they are not as `as_json` gives them.
    """
    told = item["encoder"]
    encoder = EncoderKey(*(_text(told[field], field) for field in ("name", "revision", "preprocessing")))
    if len(item["examples"]) > MOST_EXAMPLES:
        raise ValueError(f"more than {MOST_EXAMPLES} examples")
    examples = tuple(_example(e) for e in item["examples"])
    if len({e.vector.size for e in examples}) > 1:
        raise ValueError("its embeddings have different lengths")
    return TaughtFinding(checked_name(_text(item["name"], "name")), encoder, examples)


def _example(item: Any) -> Example:
    organ, scan = _text(item["organ"], "organ"), _text(item["scan"], "scan")
    if organ not in ORGANS:
        raise ValueError("an example is of no known organ")
    if not _HASH.fullmatch(scan):
        raise ValueError("an example's scan is no hash")
    if not isinstance(item["present"], bool):
        raise ValueError("an example does not say whether the finding is present")
    try:
        data = base64.b64decode(_text(item["vector"], "vector"), validate=True)
    except binascii.Error as error:
        raise ValueError("an embedding is not base64") from error
    vector = np.frombuffer(data, "<f4").astype(np.float32)
    if not vector.size or not np.isfinite(vector).all() or abs(float(np.linalg.norm(vector)) - 1) > 1e-2:
        raise ValueError("an embedding is not of unit length")
    return Example(organ, item["present"], scan, vector)


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{what} is no text")
    return value

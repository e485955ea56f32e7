"""What of a scan makes its places quickly again, on disk: for an encoder of this project, the scan as it was resampled.

A file is called by a hash of scan and encoder, serves whatever masks, and holds no name; but it is an image. Feature
maps would save more and are not kept: in float32 they take four times as much, and in float16 a map would not be what
it was.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.atomic import write_bytes
from napari_ctvlp.errors import UserError
from napari_ctvlp.folders import prune_folder
from napari_ctvlp.scan.fingerprint import array_hash, combined_hash, scan_hash
from napari_ctvlp.scan.types import Scan

from .contract import Dense, ScanEncoder

logger = logging.getLogger(__name__)

FORMAT = "1"
"""Changes whenever files written before must not be read any more."""
SUFFIX = ".places.safetensors"
Arrays = Mapping[str, NDArray[Any]]


def _path(folder: Path, encoder: ScanEncoder, scan: Scan) -> Path:
    card = encoder.card
    parts = (FORMAT, scan_hash(scan), repr(scan.spacing), card.name, card.revision, card.preprocessing)
    return folder / f"{combined_hash(*parts).split(':')[1]}{SUFFIX}"


def put(folder: Path, encoder: ScanEncoder, scan: Scan, dense: Dense | None, limit: int) -> bool:
    """Keep what a dense embedding says is worth it; whether something was written.

    Parameters
    ----------
    folder : Path
    encoder, scan
        What made ``dense``, and of what.
    dense : Dense or None
    limit : int
        Bytes that all such files may take together; the ones used longest ago go first.
    """
    from safetensors.numpy import save

    arrays: Arrays = getattr(dense, "kept", None) or {}
    if not arrays:
        return False
    path = _path(folder, encoder, scan)
    try:
        if path.exists():
            os.utime(path)
            return False
        whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        hashes = {name: array_hash(array) for name, array in whole.items()}  # safetensors checks none
        data = bytes(save(whole, {"hashes": json.dumps(hashes)}))
        if len(data) > limit:
            return False
        folder.mkdir(parents=True, exist_ok=True)
        write_bytes(path, data)
        prune_folder(folder, SUFFIX, limit)
    except (OSError, UserError) as error:
        logger.warning("the scan as resampled could not be cached: %s", error)
        return False
    return True


def get(folder: Path, encoder: ScanEncoder, scan: Scan) -> Arrays:
    """What was kept of a scan; nothing where there is no file, or none that is whole."""
    from safetensors.numpy import load

    path = _path(folder, encoder, scan)
    try:
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        hashes = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["hashes"])
        arrays = load(data)
        if {name: array_hash(array) for name, array in arrays.items()} != hashes:
            raise ValueError("values have changed")
    except FileNotFoundError:
        return {}
    except Exception as error:  # a damaged file can fail anywhere in its parser; it is only a copy
        logger.warning("a scan that was cached as resampled is damaged (%s)", type(error).__name__)
        with suppress(OSError):
            path.unlink()
        return {}
    with suppress(OSError):
        os.utime(path)  # used now
    return arrays

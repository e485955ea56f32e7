"""Embeddings of scans seen before, on disk.

A file is called by a hash of everything its embedding depends on and holds numbers only: no name of a patient, a file
or an organ. What cannot be read or does not fit is made again; what cannot be written is not worth an error.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from napari_ctvlp.atomic import write_bytes
from napari_ctvlp.errors import UserError
from napari_ctvlp.folders import cache_folder, prune_folder
from napari_ctvlp.scan.fingerprint import array_hash, combined_hash, masks_hash, scan_hash
from napari_ctvlp.scan.types import OrganMasks, Scan

from . import kept_places
from .contract import Cancelled, Dense, OrganStatus, Progress, ScanEmbedding, ScanEncoder

logger = logging.getLogger(__name__)

FORMAT = "2"
"""Changes whenever files written before must not be read any more."""
LIMIT_BYTES = 1 << 30
SUFFIX = ".safetensors"


def embedding_key(encoder: ScanEncoder, scan: Scan, masks: OrganMasks) -> str:
    """Hash (hex) of voxels, masks, what is known of each organ, encoder revision and preprocessing version."""
    card = encoder.card
    parts = [FORMAT, scan_hash(scan), repr(scan.spacing), masks_hash(masks)]
    parts += [card.name, card.revision, card.preprocessing, *card.organs]
    for name in masks.names.values():  # an organ's status follows from these two
        known = masks.statistics.get(name)
        parts.append("" if known is None else f"{known.volume_ml:.6g} {known.touches_edge}")
    return combined_hash(*parts).split(":")[1]


class EmbeddingCache:
    """A folder of embeddings, bounded in size; the ones used longest ago go first.

    Parameters
    ----------
    folder : Path, optional
        The user's cache folder by default.
    limit : int
        Bytes that all files together may take.
    """

    def __init__(self, folder: Path | None = None, limit: int = LIMIT_BYTES) -> None:
        self.folder = cache_folder("embeddings") if folder is None else folder
        self.limit = limit

    def encode_scan(
        self,
        encoder: ScanEncoder,
        scan: Scan,
        masks: OrganMasks,
        *,
        progress: Progress | None = None,
        cancelled: Cancelled | None = None,
    ) -> ScanEmbedding:
        """The embedding of a scan: from the cache, else made by ``encoder.encode_scan`` and kept."""
        key = embedding_key(encoder, scan, masks)
        known = self.get(key, encoder, scan, masks)
        if known is not None:
            if progress is not None:
                progress(1.0)
            return known
        made = encoder.encode_scan(scan, masks, progress=progress, cancelled=cancelled)
        self.put(key, made, masks)
        self.keep_places(encoder, scan, made.dense)
        return made

    def keep_places(self, encoder: ScanEncoder, scan: Scan, dense: Dense | None) -> None:
        """Keep what makes places quickly again; such files may take half of the room."""
        if kept_places.put(self.folder, encoder, scan, dense, self.limit // 2):
            prune_folder(self.folder, SUFFIX, self.limit)

    def get(self, key: str, encoder: ScanEncoder, scan: Scan, masks: OrganMasks) -> ScanEmbedding | None:
        """What is kept under a key; None where nothing is, or nothing whole."""
        path = self.folder / f"{key}{SUFFIX}"
        try:
            known = _unpack(path.read_bytes(), encoder, scan, masks, self)
        except FileNotFoundError:
            return None
        except Exception as error:  # a damaged file can fail anywhere in its parser; it is only a copy
            logger.warning("a cached embedding is damaged (%s) and is made again", type(error).__name__)
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # used now
        return known

    def put(self, key: str, embedding: ScanEmbedding, masks: OrganMasks) -> None:
        """Keep an embedding; where the disk is full or may not be written to, it is only logged."""
        place = {name: i for i, name in enumerate(masks.names.values())}
        if any(organ not in place for organ in chain(embedding.organs, *embedding.groups.values())):
            return  # organs that the encoder names otherwise could not be told again without their names
        try:
            data = _pack(embedding, place)
            if len(data) > self.limit:
                return
            self.folder.mkdir(parents=True, exist_ok=True)
            write_bytes(self.folder / f"{key}{SUFFIX}", data)
            prune_folder(self.folder, SUFFIX, self.limit)
        except (OSError, UserError) as error:
            logger.warning("the embedding could not be cached: %s", error)


class PlacesAgain:
    """Embeddings of places for a scan whose organs came from the cache; encodes it when they are first asked for.

    They are made from the network's feature maps, which are too large to keep on disk for a question that may never
    come; an encoder that makes these alone, from what was kept of the scan, takes a fraction of the time. Holds scan
    and masks weakly: what is closed is not encoded again.
    """

    def __init__(self, encoder: ScanEncoder, scan: Scan, masks: OrganMasks, cache: EmbeddingCache) -> None:
        self._encoder, self._scan, self._masks = encoder, weakref.ref(scan), weakref.ref(masks)
        self._cache = cache
        self._lock = threading.Lock()
        self._dense: Any = None

    @property
    def made(self) -> Any:
        """What the encoder made, None before it was asked for."""
        return self._dense

    def cells(self, organ: str) -> Any:
        """The places of an organ, as the encoder's own embedding would give them."""
        return self._again().cells(organ)

    def ready(self, organs: Sequence[str]) -> None:
        """Make the places of several organs, where the encoder's own embedding can do that."""
        ready = getattr(self._again(), "ready", None)
        if ready is not None:
            ready(organs)

    def judged(self, organ: str, abnormality: str) -> Any:
        """What the encoder's own embedding would say of the places of an organ; None where it does not."""
        judge = getattr(self._again(), "judged", None)
        return None if judge is None else judge(organ, abnormality)

    def _again(self) -> Any:
        with self._lock:
            if self._dense is None:
                scan, masks = self._scan(), self._masks()
                if scan is None or masks is None:
                    raise ReferenceError("the scan of this embedding is closed")
                again = getattr(self._encoder, "dense_again", None)
                if again is None:
                    self._dense = self._encoder.encode_scan(scan, masks).dense
                else:
                    kept = kept_places.get(self._cache.folder, self._encoder, scan)
                    self._dense = again(scan, masks, kept)
                    if not kept:
                        self._cache.keep_places(self._encoder, scan, self._dense)
            return self._dense


def _pack(embedding: ScanEmbedding, place: dict[str, int]) -> bytes:
    from safetensors.numpy import save

    arrays = {"vectors": np.ascontiguousarray(embedding.vectors, np.float32)}
    about = {
        "dense": json.dumps(embedding.dense is not None),
        "organs": json.dumps([place[organ] for organ in embedding.organs]),
        "groups": json.dumps({name: [place[o] for o in organs] for name, organs in embedding.groups.items()}),
        "status": json.dumps([status.name for status in embedding.status]),
        "hashes": json.dumps({name: array_hash(array) for name, array in arrays.items()}),  # safetensors checks none
    }
    return bytes(save(arrays, about))


def _unpack(data: bytes, encoder: ScanEncoder, scan: Scan, masks: OrganMasks, cache: EmbeddingCache) -> ScanEmbedding:
    from safetensors.numpy import load

    length = int.from_bytes(data[:8], "little")
    about = json.loads(data[8 : 8 + length])["__metadata__"]
    arrays = load(data)
    if {name: array_hash(array) for name, array in arrays.items()} != json.loads(about["hashes"]):
        raise ValueError("values have changed")
    names = tuple(masks.names.values())
    organs = tuple(names[i] for i in json.loads(about["organs"]))
    groups = {name: tuple(names[i] for i in places) for name, places in json.loads(about["groups"]).items()}
    status = tuple(OrganStatus[name] for name in json.loads(about["status"]))
    vectors = arrays["vectors"]
    if not len(organs) == len(status) == len(vectors) or vectors.shape[1:] != (encoder.card.dim,):
        raise ValueError("rows and organs do not agree")
    dense: Any = PlacesAgain(encoder, scan, masks, cache) if json.loads(about["dense"]) else None
    return ScanEmbedding(organs, vectors, status, encoder, dense, groups)

"""What a map of similarity costs on a scan of about 512 x 512 x 600: of one organ and of several, and of a cached scan.

Run: ``python -m tests.benchmarks.bench_locate`` (a minute or two)

- first: nothing was asked of the scan before; again: the same question once more
- cached: the scan is opened from the cache of embeddings, and this is its first question
- beside: the scan encoded anew, which a cached one needed before its first map
"""

from __future__ import annotations

import dataclasses
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import TypeVar

import numpy as np

from napari_ctvlp.ask import prepare, rank_organs
from napari_ctvlp.ask.locate import locate
from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.encoder.cache import EmbeddingCache
from napari_ctvlp.sample import load_sample
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import OrganMasks, Scan

QUESTIONS = ("stone in the left kidney", "liver", "lungs", "bones")
"""A finding that places are judged by; likeness in one organ, in four and in eight, the most that are looked into."""
ROUNDS = 3
T = TypeVar("T")


def large_scan(factor: int = 4) -> tuple[Scan, OrganMasks]:
    """The sample on finer voxels: the same body, ``factor`` times as many voxels along each axis."""
    scan, masks = load_sample()
    hu, labels = scan.hu, masks.labels
    for axis in range(3):
        hu, labels = np.repeat(hu, factor, axis), np.repeat(labels, factor, axis)
    affine = scan.affine.copy()
    affine[:3, :3] /= factor
    spacing = tuple(s / factor for s in scan.spacing)
    fine = dataclasses.replace(scan, hu=hu, affine=affine, spacing=(spacing[0], spacing[1], spacing[2]))
    return fine, dataclasses.replace(masks, labels=labels, statistics=organ_statistics(fine, labels, masks.names))


def timed(work: Callable[[], T]) -> tuple[T, tuple[float, float]]:
    """A result, the seconds it took and those of processor time, which other programs lengthen less."""
    start, own = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - start, time.process_time() - own)


def told(times: list[tuple[float, float]]) -> str:
    """Medians, in words."""
    wall, own = (median(values) for values in zip(*times, strict=True))
    return f"{wall:5.2f} s ({own:.2f} s)"


def main() -> None:
    """Measure and print."""
    scan, masks = large_scan()
    encoder = load_encoder("starter", device="cpu")
    prepare(encoder)
    print(
        f"{scan.hu.shape} voxels of {scan.spacing[0]:.2f} mm, median of {ROUNDS}: wall (processor time of all threads)"
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CTVLP_CACHE_DIR"] = folder
        encode = EmbeddingCache().encode_scan
        base = encode(encoder, scan, masks)
        kept = base.dense.kept  # type: ignore[union-attr]
        anew = [timed(lambda: encoder.encode_scan(scan, masks))[1] for _ in range(ROUNDS)]
        print(f"encoded anew {told(anew)}", flush=True)
        for text in QUESTIONS:
            times: dict[str, list[tuple[float, float]]] = {"first": [], "again": [], "cached": []}
            for _ in range(ROUNDS):
                dense = encoder.dense_again(scan, masks, kept)  # type: ignore[attr-defined]
                fresh, cached = dataclasses.replace(base, dense=dense), encode(encoder, scan, masks)
                for what, embedding in (("first", fresh), ("again", fresh), ("cached", cached)):
                    ranking = rank_organs(embedding, text)
                    located, took = timed(partial(locate, embedding, masks, ranking, scan.spacing))
                    times[what].append(took)
            drawn = "" if located is None else f"{len(located.organs)} organs, step {located.step}"
            print(
                f"{text:<26}" + "".join(f"{what} {told(took)}   " for what, took in times.items()) + drawn, flush=True
            )


if __name__ == "__main__":
    main()

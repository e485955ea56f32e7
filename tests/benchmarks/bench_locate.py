"""What a map of similarity costs on a scan of about 512 x 512 x 600: the first for an organ, and the same again.

Run: ``python -m tests.benchmarks.bench_locate``
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from napari_ctvlp.ask import rank_organs
from napari_ctvlp.ask.locate import locate
from napari_ctvlp.encoder import load_encoder
from napari_ctvlp.sample import load_sample
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import OrganMasks, Scan

QUESTIONS = ("left kidney", "stone in the left kidney", "liver cyst", "calcification of the aorta", "lung nodule")
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


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """A result and the seconds it took."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    scan, masks = large_scan()
    encoder = load_encoder("starter", device="cpu")
    embedding, encoding = timed(lambda: encoder.encode_scan(scan, masks))
    print(f"{scan.hu.shape} voxels of {scan.spacing[0]:.2f} mm; encoding took {encoding:.1f} s")
    for text in QUESTIONS:
        ranking = rank_organs(embedding, text)
        located, first = timed(lambda ranking=ranking: locate(embedding, masks, ranking, scan.spacing))
        _, again = timed(lambda ranking=ranking: locate(embedding, masks, ranking, scan.spacing))
        drawn = "" if located is None else f"{located.values.shape}, step {located.step}, {len(located.organs)} organs"
        print(f"{text:<28}{first:6.2f} s first {again:6.2f} s again   {drawn}")


if __name__ == "__main__":
    main()

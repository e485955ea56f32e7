"""A training crop from the prepared store against decoding the .nii.gz and cropping: medians in one process.

    python -m tests.benchmarks.bench_store [--rounds 15]

The scan is 240 x 256 x 256 int16 with the noise of a real CT, with a label volume beside it, already on the training
grid, so that decoding is all that the other loaders do: what released training code does for every sample, and the same
by this package's own fast reader (isal). Everything is read warm, one thread each; a crop is HU and labels of 128^3.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from training.data.job import Settings
from training.data.manifest import Manifest, Study
from training.data.preparation import prepare_studies
from training.data.prepared import PreparedStore

SHAPE = (240, 256, 256)
SIZE = (128, 128, 128)
SPACING = 1.5


def make_files(folder: Path) -> tuple[Path, Path]:
    """Write a body with organs as boxes on a lattice, and its masks."""
    import nibabel as nib

    rng = np.random.default_rng(0)
    i, p, left = np.ogrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j, -1 : 1 : SHAPE[2] * 1j]
    hu = np.where((p / 0.9) ** 2 + (left / 0.95) ** 2 + 0 * i < 1, 40.0, -1000.0).astype(np.float32)
    labels = np.zeros(SHAPE, np.uint8)
    for n in range(60):
        corner = [(n // 20) * 70 + 20, (n // 5 % 4) * 45 + 40, (n % 5) * 38 + 35]
        box = tuple(slice(c, c + 30) for c in corner)
        labels[box] = n + 1
        hu[box] += n
    hu += rng.normal(0, 18, SHAPE).astype(np.float32)
    affine = np.array([[0, 0, -SPACING, 0], [0, -SPACING, 0, 0], [-SPACING, 0, 0, 0], [0, 0, 0, 1.0]])
    paths = folder / "ct.nii.gz", folder / "seg.nii.gz"
    for path, data in zip(paths, (np.rint(hu).astype(np.int16), labels), strict=True):
        nib.save(nib.Nifti1Image(data, affine), path)
    return paths


def nibabel_crop(paths: tuple[Path, Path], start: list[int]) -> None:
    """The usual loader: decode both files to float, then slice."""
    import nibabel as nib

    cut = tuple(slice(s, s + n) for s, n in zip(start, SIZE, strict=True))
    for path in paths:
        np.ascontiguousarray(nib.load(path).get_fdata(dtype=np.float32)[cut])


def integer_crop(paths: tuple[Path, Path], start: list[int]) -> None:
    """The same without floats."""
    import nibabel as nib

    cut = tuple(slice(s, s + n) for s, n in zip(start, SIZE, strict=True))
    for path in paths:
        np.ascontiguousarray(np.asarray(nib.load(path).dataobj)[cut])


def isal_crop(paths: tuple[Path, Path], start: list[int]) -> None:
    """The fastest decoder measured: isal, no checks, no copies."""
    from isal import igzip

    for path, kind in zip(paths, (np.int16, np.uint8), strict=True):
        data = np.frombuffer(igzip.decompress(path.read_bytes()), kind, offset=352).reshape(SHAPE, order="F")
        np.ascontiguousarray(data[tuple(slice(s, s + n) for s, n in zip(start, SIZE, strict=True))])


def median_ms(work: Callable[[list[int]], object], starts: list[list[int]]) -> float:
    """Median time over the places, after one to warm up."""
    work(starts[0])
    times = []
    for start in starts:
        began = time.perf_counter()
        work(start)
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_files(folder)
        studies = (Study(1, "one", "one", *paths),)
        stores = {}
        for kind in ("blosc2", "npy"):
            began = time.perf_counter()
            prepare_studies(Manifest(studies, ()), folder / kind, Settings(SPACING, kind), workers=0)
            stores[kind] = PreparedStore(folder / kind)
            size = sum(p.stat().st_size for p in (folder / kind / "studies").iterdir()) / 1e6
            print(f"prepared as {kind}: {time.perf_counter() - began:.1f} s, {size:.1f} MB")
        print(f"as .nii.gz: {sum(p.stat().st_size for p in paths) / 1e6:.1f} MB")
        rng = np.random.default_rng(1)
        shape = stores["blosc2"].load(0).hu.shape
        starts = [[int(rng.integers(0, n - s + 1)) for n, s in zip(shape, SIZE, strict=True)] for _ in range(rounds)]
        few = starts[: max(3, rounds // 3)]
        ours = median_ms(lambda s: stores["blosc2"].crop(0, s, SIZE), starts)
        print(f"{'prepared store, blosc2':<34} {ours:8.1f} ms")
        others: dict[str, tuple[Callable[[list[int]], object], list[list[int]]]] = {
            "prepared store, .npy": (lambda s: stores["npy"].crop(0, s, SIZE), starts),
            "nibabel get_fdata, then crop": (lambda s: nibabel_crop(paths, s), few),
            "nibabel integers, then crop": (lambda s: integer_crop(paths, s), few),
            "isal, then crop": (lambda s: isal_crop(paths, s), few),
        }
        for label, (work, places) in others.items():
            took = median_ms(work, places)
            print(f"{label:<34} {took:8.1f} ms   {took / ours:6.1f}x")


if __name__ == "__main__":
    main()

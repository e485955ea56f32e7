"""Synthetic scans per second: one core, two cores, a GPU where there is one; and the heavy passes beside SciPy's.

``python -m tests.benchmarks.bench_world``
"""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch
from scipy import ndimage as ndi

from training.data.seeding import generator
from training.world.report.report import make_report
from training.world.sample import PROCEDURAL, make_sample

SHAPE = (192, 192, 192)
SPACING = 2.0
BODY = 3
REGIONS = ("chest", "abdomen", "abdomen and pelvis", "trunk")


def one(seed: int, device: str = "cpu") -> float:
    """Seconds for one sample with its report."""
    began = time.perf_counter()
    sample = make_sample(
        seed, spacing=SPACING, shape=SHAPE, region=REGIONS[seed % len(REGIONS)], body=BODY, device=device
    )
    make_report(sample, generator(seed, "report"))
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def many(seeds: list[int]) -> list[float]:
    """The same on one core, for several seeds, after the body is there."""
    torch.set_num_threads(1)
    PROCEDURAL.body(BODY, SPACING)
    one(10_000)
    return [one(s) for s in seeds]


def scipy_passes() -> float:
    """Seconds of the elastic lookup and the blur alone, as they are usually written with SciPy, on one core."""
    rng = np.random.default_rng(0)
    body = PROCEDURAL.body(BODY, SPACING).labels[200:392]
    began = time.perf_counter()
    knots = rng.standard_normal((3, 12, 12, 12), dtype=np.float32)
    bend = [ndi.zoom(k, np.array(SHAPE) / 12, order=1) for k in knots]
    place = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in SHAPE), indexing="ij")
    labels = ndi.map_coordinates(body, [p + 3 * b for p, b in zip(place, bend, strict=True)], order=0)
    hu = np.arange(256, dtype=np.float32)[labels]
    hu = ndi.gaussian_filter(hu, 0.7)
    hu += ndi.gaussian_filter(rng.standard_normal(SHAPE, dtype=np.float32), 0.6)
    return time.perf_counter() - began


def torch_passes() -> float:
    """The whole sample of a healthy body: lookup, rendering, scanner."""
    began = time.perf_counter()
    make_sample(1, spacing=SPACING, shape=SHAPE, region="abdomen", body=BODY, abnormal=0.0)
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    PROCEDURAL.body(BODY, SPACING)
    body = time.perf_counter() - began
    single = many(list(range(12)))
    began = time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(many, [[0], [1]]))  # start the processes and build their bodies
        began = time.perf_counter()
        pair = [t for part in pool.map(many, [list(range(10)), list(range(10, 20))]) for t in part]
    plain = [f() for f in (scipy_passes, torch_passes) for _ in range(3)]
    rows = [
        ("a new body, head to knee", f"{body:.2f} s"),
        ("sample with report, one core", f"{statistics.median(single):.2f} s (slowest {max(single):.2f})"),
        ("samples a second, one core", f"{1 / statistics.mean(single):.2f}"),
        ("samples a second, two cores", f"{2 / statistics.mean(pair):.2f}"),
        ("healthy sample, one core", f"{statistics.median(plain[3:]):.2f} s"),
        ("SciPy: lookup, blur, noise alone", f"{statistics.median(plain[:3]):.2f} s"),
    ]
    if torch.cuda.is_available():
        for seed in range(5):
            one(seed, "cuda")
        gpu = [one(seed, "cuda") for seed in range(20)]
        name = torch.cuda.get_device_name()
        rows.append((f"sample with report, {name}", f"{1000 * statistics.median(gpu):.0f} ms"))
    print(f"{SHAPE[0]}x{SHAPE[1]}x{SHAPE[2]} at {SPACING:g} mm, medians\n\n| | |\n|---|---|")
    for row in rows:
        print(f"| {row[0]} | {row[1]} |")


if __name__ == "__main__":
    main()

"""Encoding a 512 x 512 x 600 scan: time, peak memory, and what 117 organs cost against 10.

Run: ``python -m tests.benchmarks.bench_encode``. Each figure is the median of rounds in fresh processes, interleaved.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ctvlp.scan.types import OrganMasks, Scan

SHAPE, SPACING = (600, 512, 512), (1.0, 0.8, 0.8)
ROUNDS = 3


def large_case(organs: int = 117) -> tuple[Scan, OrganMasks]:
    """Noise under box-shaped organs that fill two thirds of a 512 x 512 x 600 scan."""
    import numpy as np

    from napari_ctvlp.anatomy.schemes import SCHEMES
    from napari_ctvlp.scan.types import Audit, OrganMasks, Scan, StoredGrid

    rng = np.random.default_rng(0)
    hu = rng.integers(-1000, 1000, (SHAPE[0], 64, 64), dtype=np.int16)
    hu = np.ascontiguousarray(np.tile(hu, (1, 8, 8)))
    labels = np.zeros(SHAPE, np.uint8)
    inner = labels[:, 64:448, 64:448]
    for n, part in enumerate(np.array_split(np.arange(SHAPE[0]), organs)):
        inner[part[0] : part[-1] + 1] = n + 1
    names = {n + 1: name for n, name in enumerate(list(SCHEMES["totalsegmentator_v2"].values())[:organs])}
    affine = np.array([[0, 0, SPACING[2], 0], [0, SPACING[1], 0, 0], [-SPACING[0], 0, 0, 0], [0, 0, 0, 1.0]])
    scan = Scan(hu, SPACING, affine, "bench", StoredGrid(SHAPE, affine, "IPL"), Audit(()))
    return scan, OrganMasks(labels, names, "bench")


def one(organs: int) -> dict[str, float]:
    """Encode once in this process."""
    from napari_ctvlp.encoder import load_encoder

    scan, masks = large_case(organs)
    encoder = load_encoder(device="cpu")
    began = time.perf_counter()
    embedding = encoder.encode_scan(scan, masks)
    seconds = time.perf_counter() - began
    assert len(embedding.organs) == organs
    return {"seconds": seconds, "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}


def main() -> None:
    """Print the table."""
    results: dict[int, list[dict[str, float]]] = {10: [], 117: []}
    for _ in range(ROUNDS):
        for organs in results:
            done = subprocess.run(
                [sys.executable, "-m", __spec__.name, str(organs)], capture_output=True, text=True, check=True
            )
            results[organs].append(json.loads(done.stdout.splitlines()[-1]))
    print("| organs | seconds (median) | peak RSS, GB (median) |\n|---|---|---|")
    medians = {}
    for organs, rows in results.items():
        medians[organs] = statistics.median(r["seconds"] for r in rows)
        print(f"| {organs} | {medians[organs]:.1f} | {statistics.median(r['peak_gb'] for r in rows):.2f} |")
    print(f"\n117 organs cost {medians[117] / medians[10]:.2f} times 10 organs")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one(int(sys.argv[1]))))
    else:
        main()

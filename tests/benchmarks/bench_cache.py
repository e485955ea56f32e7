"""A scan seen before: from "scan and masks are in memory" to the ranked answer, against encoding it.

``python -m tests.benchmarks.bench_cache`` (512 x 512 x 600 voxels, 117 organs; a minute or two)
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time

from tests.benchmarks.bench_encode import large_case


def main() -> None:
    """Print both times and their ratio."""
    from napari_ctvlp.ask import prepare, rank_organs
    from napari_ctvlp.encoder import load_encoder
    from napari_ctvlp.encoder.cache import EmbeddingCache

    scan, masks = large_case()
    encoder = load_encoder("starter", device="cpu")
    prepare(encoder)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CTVLP_CACHE_DIR"] = folder
        times = []
        for _ in range(6):
            start = time.perf_counter()
            embedding = EmbeddingCache().encode_scan(encoder, scan, masks)
            matched = rank_organs(embedding, "stone in the left kidney").matched
            times.append(time.perf_counter() - start)
    first, again = times[0], statistics.median(times[1:])
    print(f"{scan.hu.shape} voxels, {len(masks.names)} organs, question answered: {matched}")
    print(f"encoded {first:.2f} s, from the cache {1000 * again:.0f} ms: {first / again:.0f} times faster")


if __name__ == "__main__":
    main()

"""Opening a 512 x 512 x 600 int16 .nii.gz: ``read_scan`` against ``nibabel.load(...).get_fdata()``.

    python -m tests.benchmarks.bench_open [--slices 600] [--rounds 5] [--plain]

Each opening runs in a process of its own, the contenders take turns, and medians are compared, so that a busy machine
slows both alike. Peak memory is the growth of the resident set from just before opening to its highest mark. The scan
is made here: a body of soft tissue, bone and lung with the noise of a real CT inside a round field of view.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CONTENDERS = ("nibabel get_fdata", "nibabel dataobj int16", "read_scan")


def make_scan(path: Path, slices: int, size: int = 512) -> int:
    """Write the scan as nibabel does by default; returns the raw size in bytes."""
    import nibabel as nib

    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    radius = np.hypot(x, y)
    volume = np.empty((size, size, slices), np.int16, order="F")
    noise = rng.normal(0, 14, (16, size, size)).astype(np.float32)
    for k in range(slices):
        wobble = 1 + 0.05 * np.sin(k / 40)
        hu = np.full((size, size), -1000, np.float32)
        hu[(x / 0.8) ** 2 + (y / 0.55) ** 2 < wobble] = -95  # fat
        hu[(x / 0.74) ** 2 + (y / 0.49) ** 2 < wobble] = 45  # soft tissue
        if k > slices // 2:
            hu[((abs(x) - 0.35) / 0.25) ** 2 + (y / 0.35) ** 2 < wobble] = -860  # lungs
        hu[x**2 + ((y - 0.3) / 1.2) ** 2 < 0.012] = 350  # spine
        hu += np.roll(noise[k % 16], (37 * k, 61 * k), (0, 1))
        hu[radius > 1] = -1024
        volume[:, :, k] = np.clip(np.rint(hu), -1024, 3071).T
    nib.save(nib.Nifti1Image(volume, np.diag([-0.75, -0.75, 1.0, 1.0])), path)
    return volume.nbytes


def resident() -> tuple[float, float]:
    """Resident memory now and at its highest, in MB (Linux)."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line)
    return int(lines["VmRSS"].split()[0]) / 1024, int(lines["VmHWM"].split()[0]) / 1024


def open_once(contender: str, path: Path) -> None:
    """Open the scan and print seconds and MB as JSON; run in a process of its own."""
    import isal.igzip  # noqa: F401  (imports are not what is measured)
    import nibabel as nib

    from napari_ctvlp.scan import read_scan

    before, _ = resident()
    start = time.perf_counter()
    if contender == "read_scan":
        volume = read_scan(path).hu
    elif contender == "nibabel get_fdata":
        volume = nib.load(path).get_fdata()
    else:
        volume = np.asanyarray(nib.load(path).dataobj)
        if isinstance(volume, np.memmap):  # of a plain file: nothing has been read yet
            volume = np.array(volume)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "mb": resident()[1] - before, "dtype": str(volume.dtype)}))


def main() -> None:
    """Make the scan, let the contenders take turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plain", action="store_true", help="write .nii instead of .nii.gz")
    parser.add_argument("--open", nargs=2, metavar=("CONTENDER", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open:
        open_once(options.open[0], Path(options.open[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("scan.nii" if options.plain else "scan.nii.gz")
        raw = make_scan(path, options.slices) / 2**20
        packed = path.stat().st_size / 2**20
        print(f"{path.name}: 512 x 512 x {options.slices} int16, {raw:.0f} MB raw, {packed:.0f} MB on disk")
        results: dict[str, list[dict[str, float]]] = {c: [] for c in CONTENDERS}
        for _ in range(options.rounds):
            for contender in CONTENDERS:
                command = [sys.executable, "-m", __spec__.name, "--open", contender, str(path)]
                output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
                results[contender].append(json.loads(output))
    print(f"\n{'':24}{'seconds':>9}{'times faster':>14}{'peak MB':>9}{'x raw int16':>13}")
    base = statistics.median(r["seconds"] for r in results[CONTENDERS[0]])
    for contender, runs in results.items():
        seconds, peak = (statistics.median(r[key] for r in runs) for key in ("seconds", "mb"))
        print(f"{contender:24}{seconds:9.2f}{base / seconds:14.2f}{peak:9.0f}{peak / raw:13.2f}")


if __name__ == "__main__":
    main()

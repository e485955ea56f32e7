"""Contrast of 16,384 pairs with gradients: peak memory of the chunked losses against the full matrix.

Run: ``python -m tests.benchmarks.bench_contrast``. Each figure is the growth of the peak RSS in a fresh process.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

PAIRS, DIM = 16384, 256


def peak_mb() -> float:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one(kind: str) -> dict[str, float]:
    """Loss and gradients once in this process; every eighth pair shares its text with another one."""
    import torch
    import torch.nn.functional as F

    from training.objectives.contrast import (
        chunked_contrast,
        chunked_sigmoid_contrast,
        sigmoid_contrast,
        symmetric_contrast,
    )

    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = F.normalize(torch.randn(PAIRS, DIM), dim=1).requires_grad_()
    texts = F.normalize(torch.randn(PAIRS, DIM), dim=1).requires_grad_()
    scale, bias = torch.tensor(14.0, requires_grad=True), torch.tensor(-10.0, requires_grad=True)
    key = torch.arange(PAIRS) % (PAIRS * 7 // 8)

    def loss(rows: torch.Tensor, columns: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
        if kind == "chunked":
            return chunked_contrast(rows, columns, scale, number, number)
        if kind == "chunked sigmoid":
            return chunked_sigmoid_contrast(rows, columns, scale, bias, number, number)
        same = number[:, None] == number[None]
        if kind == "full":
            return symmetric_contrast(scale * rows @ columns.T, same.float())
        return sigmoid_contrast(scale * rows @ columns.T + bias, same)

    loss(images[:64], texts[:64], key[:64]).backward()  # what libraries need once
    images.grad = texts.grad = scale.grad = None
    before, began = peak_mb(), time.perf_counter()
    value = loss(images, texts, key)
    value.backward()
    assert images.grad is not None and texts.grad is not None and scale.grad is not None
    return {
        "peak_mb": peak_mb() - before,
        "seconds": time.perf_counter() - began,
        "value": value.item(),
        "gradient": float(images.grad.norm() + texts.grad.norm() + scale.grad.norm()),
    }


def main() -> None:
    """Print the table."""
    results: dict[str, dict[str, float]] = {}
    for kind in ("full", "chunked", "full sigmoid", "chunked sigmoid"):
        command = [sys.executable, "-m", __spec__.name, kind]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results[kind] = json.loads(done.stdout.splitlines()[-1])
    print(f"{PAIRS} pairs, {DIM} channels, forward and backward\n")
    print("| loss | peak, MB | seconds | value | gradient norm |\n|---|---|---|---|---|")
    for kind, r in results.items():
        print(f"| {kind} | {r['peak_mb']:.0f} | {r['seconds']:.1f} | {r['value']:.6f} | {r['gradient']:.6f} |")
    for kind in ("", " sigmoid"):
        full, chunked = results[f"full{kind}"], results[f"chunked{kind}"]
        off = max(abs(chunked[k] / full[k] - 1) for k in ("value", "gradient"))
        print(
            f"\nchunked{kind}: {full['peak_mb'] / chunked['peak_mb']:.1f} times less memory (goal: 8), off by {off:.1e}"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one(sys.argv[1])))
    else:
        main()

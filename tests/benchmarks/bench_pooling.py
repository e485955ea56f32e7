"""Organ pooling of 104 organs, forward and backward, against a loop with boolean masks that gives the same numbers.

Run: ``python -m tests.benchmarks.bench_pooling``. Times are processor time of one thread, the median of rounds that
take turns; memory is the growth of the peak RSS in a fresh process. Feature maps are channels-last, as the vision tower
makes them, and, for comparison, channels-first, where both first have to turn them round. A loop that only takes the
mean stands beside: it shows that the loop's time is the masks', not the attention's.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

from napari_ctvlp.encoder.pooling import OrganAttention
from napari_ctvlp.encoder.tokens import OrganIndex, index_organs

ORGANS, CHANNELS, STRIDE, ROUNDS = 104, 256, 4, 3
BATCH, GRID = 2, (32, 32, 32)
MEAN, LOOP, OURS = "mask loop, mean only", "mask loop", "OrganAttention"
LAYOUTS = {"channels last": torch.channels_last_3d, "channels first": torch.contiguous_format}


def made_up() -> tuple[Tensor, Tensor]:
    """Features (B, C, i, p, l) and labels (B, I, P, L): the organs are the cells around random points."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(BATCH, CHANNELS, *GRID, generator=generator)
    points = torch.rand(ORGANS, 3, generator=generator)
    axis = (torch.arange(GRID[0] * STRIDE // 2) + 0.5) / (GRID[0] * STRIDE // 2)
    place = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).flatten(0, 2)
    distance, nearest = torch.cat([torch.stack(torch.cdist(p, points).min(1), 1) for p in place.split(8192)]).unbind(1)
    labels = torch.where(distance < 0.11, nearest + 1, 0).to(torch.uint8).view(3 * (len(axis),))
    for along in range(3):
        labels = labels.repeat_interleave(2, along)
    return features, labels.expand(BATCH, -1, -1, -1).contiguous()


def masks_of(index: OrganIndex) -> list[tuple[Tensor, Tensor]]:
    """Per organ, a boolean mask over all tokens and the log of its voxels in each token under it."""
    tokens, result = index.levels[0], []
    for organ in range(len(index.label)):
        own = tokens.segment == organ
        mask = torch.zeros(BATCH * GRID[0] * GRID[1] * GRID[2], dtype=torch.bool)
        mask[tokens.token[own]] = True
        result.append((mask, tokens.log_count[own]))
    return result


def candidates(labels: Tensor) -> dict[str, Callable[[Tensor], Tensor]]:
    """What is compared, from features to rows of organs; which tokens lie under which organ is known beforehand."""
    torch.manual_seed(0)
    attention = OrganAttention(CHANNELS, 5)
    index = index_organs(labels, [GRID], [STRIDE], 3.0)
    tokens, organs, masks = index.levels[0], len(index.label), masks_of(index)

    def mean_loop(features: Tensor) -> Tensor:
        rows = features.permute(0, 2, 3, 4, 1).reshape(-1, CHANNELS)
        return torch.stack([count.softmax(0) @ rows[mask] for mask, count in masks])

    def attention_loop(features: Tensor) -> Tensor:
        rows = features.permute(0, 2, 3, 4, 1).reshape(-1, CHANNELS)
        scores = torch.cat([rows.new_zeros(len(rows), 1), attention.key(rows)], 1)
        pooled = []
        for mask, count in masks:
            own = rows[mask]
            weights = (scores[mask] + count[:, None]).softmax(0)
            pooled.append(torch.cat([(weights.T @ own).flatten(), own.amax(0)]))
        return torch.stack(pooled)

    def attended(features: Tensor) -> Tensor:
        return attention(features, tokens, organs)

    return {MEAN: mean_loop, LOOP: attention_loop, OURS: attended}


def seconds(pool: Callable[[Tensor], Tensor], features: Tensor) -> tuple[float, Tensor, Tensor]:
    """Forward and backward once: time, rows and the gradient of the features."""
    leaf = features.clone().requires_grad_()
    began = time.process_time()
    rows = pool(leaf)
    rows.square().mean().backward()
    assert leaf.grad is not None
    return time.process_time() - began, rows.detach(), leaf.grad


def one(name: str, layout: str) -> float:
    """Growth of the peak RSS in MB."""
    torch.set_num_threads(1)
    features, labels = made_up()
    pool = candidates(labels)[name]
    leaf = features.contiguous(memory_format=LAYOUTS[layout]).requires_grad_()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pool(leaf).square().mean().backward()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def main() -> None:
    """Print the table."""
    # first, as a process starts with the peak of the one that made it
    peaks = {}
    rows = [(layout, name) for layout in LAYOUTS for name in (MEAN, LOOP, OURS)]
    for layout, name in rows:
        command = [sys.executable, "-m", __spec__.name, name, layout]
        peaks[layout, name] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    torch.set_num_threads(1)
    features, labels = made_up()
    pools = candidates(labels)
    laid_out = {layout: features.contiguous(memory_format=form) for layout, form in LAYOUTS.items()}
    times: dict[tuple[str, str], list[float]] = {row: [] for row in rows}
    results: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}
    index_times = []
    for _ in range(ROUNDS):
        for layout, name in rows:
            taken, pooled, gradient = seconds(pools[name], laid_out[layout])
            results[layout, name] = pooled, gradient
            times[layout, name].append(taken)
        began = time.process_time()
        index_organs(labels, [GRID], [STRIDE], 3.0)
        index_times.append(time.process_time() - began)
    print(f"{ORGANS} organs, batch {BATCH}, {GRID} tokens of {CHANNELS} channels, forward and backward")
    finding = statistics.median(index_times) * 1000
    print(f"finding the tokens of {tuple(labels.shape)} labels, once a batch: {finding:.0f} ms\n")
    print(
        "| feature maps | pooling | ms (median) | times faster than the mask loop | peak, MB |\n|---|---|---|---|---|"
    )
    for layout, name in rows:
        if name == OURS:
            for a, b in zip(results[layout, LOOP], results[layout, OURS], strict=True):
                torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
        middle = statistics.median(times[layout, name])
        ratio = statistics.median(times[layout, LOOP]) / middle
        print(f"| {layout} | {name} | {middle * 1000:.0f} | {ratio:.1f} | {peaks[layout, name]:.0f} |", flush=True)
    print("\ngoal: 40 times, and less memory than the mask loop")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one(*sys.argv[1:])))
    else:
        main()

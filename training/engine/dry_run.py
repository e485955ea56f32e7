"""What a run will take: from steps that are measured, in crops as they are drawn and in the largest."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass, replace

import torch

from training.data.batch import Batch
from training.data.loader import workers_of
from training.data.records import ScanSource

from .estimate import WEIGHT_BYTES, at_mean, mean_voxels, rest_of, spoken, spoken_bytes
from .feeding import feed_of
from .loop import Run, gradient_step
from .processes import rank
from .step import StepResult


def peak_memory(device: torch.device) -> int:
    """Most bytes in use so far: of the GPU, or of this process on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def clock(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.monotonic()


@dataclass(frozen=True)
class Measured:
    """One step: its batch, what came of it, and seconds to make the batch and to take the step."""

    batch: Batch
    result: StepResult
    load: float
    step: float

    def each(self, workers: int) -> float:
        """Seconds from step to step, where so many workers make batches ahead."""
        return max(self.step, self.load / workers) if workers else self.load + self.step


def measure(run: Run, step: int, *, largest: bool = False) -> Measured:
    """Take a step, in the ``largest`` crops or as they are drawn, twice and time it the second time, since a run has
    its sentences embedded before the first one."""
    run.step, device = step, run.learner.device
    feed = replace(feed_of(run), largest=largest)
    if not run.config.world.stream:
        feed[step]  # the scans of a run lie on a disk, and these have to be made first
    began = clock(device)
    batch = feed[step]
    load = clock(device) - began
    gradient_step(run, batch)
    began = clock(device)
    result = gradient_step(run, batch)
    return Measured(batch, result, load, clock(device) - began)


def at_mean_crop(run: Run, usual: Measured, large: Measured) -> Measured:
    """A step at the mean of all crops of the run, as to its times."""
    mean = mean_voxels(run.config, run.store.spacing)
    few, many = (math.prod(m.batch.labels.shape[1:]) for m in (usual, large))
    load, step = (at_mean(mean, (few, getattr(usual, what)), (many, getattr(large, what))) for what in ("load", "step"))
    return replace(usual, load=load, step=step)


def dry_run(run: Run, held_out: ScanSource | None = None) -> dict[str, float]:
    """Measure steps, of each kind where they alternate, and what a run takes beside them; print and return parameters,
    bytes and rows of a step, and hours of all steps and of all else."""
    config, device = run.config, run.learner.device
    run.learner.train()
    workers, every = workers_of(config.loader, device), config.optim.alternate
    usual = measure(run, 0)
    large = measure(run, 0, largest=True)
    mean = at_mean_crop(run, usual, large)
    result, each, whole = usual.result, mean.each(workers), ""
    if every:
        other = measure(run, every - 1)
        each = (each * (every - 1) + other.each(workers)) / every
        size = "x".join(str(n) for n in other.batch.image.shape)
        whole = f"Every {every}th step is of whole volumes: input {size}, {other.step:.2f} s a step.\n"
    run.step = 0
    parameters = sum(p.numel() for p in run.learner.parameters())
    peak = peak_memory(device) + 2 * WEIGHT_BYTES * parameters  # the optimiser's averages come with its first step
    rest = rest_of(run, held_out)
    found = {
        "parameters": parameters,
        "rows": result.rows,
        "input_bytes": large.batch.image.nbytes + large.batch.labels.nbytes,
        "peak_bytes": peak,
        "load_seconds": mean.load,
        "step_seconds": mean.step,
        "hours": each * config.optim.steps / 3600,
        "making_hours": rest.making / 3600,
        "other_hours": ((rest.validation or 0.0) + (rest.last or 0.0)) / 3600,
        "disk_bytes": rest.disk,
    }
    if rank() == 0:
        ahead = f" ({workers} at a time, ahead of the steps)" if workers else ""
        trained = "x".join(str(n) for n in large.batch.image.shape)
        beside = [
            f"{what} about {spoken(seconds)}" if seconds is not None else f"{what} not estimated in several processes"
            for what, seconds in (
                ("making scans", rest.making),
                ("validation", rest.validation),
                ("the last stage", rest.last),
            )
        ]
        print(
            f"Method {config.method} on {device}: {parameters / 1e6:.2f} M parameters, "
            f"{len(run.classes.organs)} organs, {len(run.classes.states)} classes.\n"
            f"A step: {config.optim.batch} scans, {result.rows} rows, loss {float(result.loss):.3f}; in the largest "
            f"crops input {trained} ({found['input_bytes'] / 1e6:.0f} MB a process), peak memory {peak / 1e9:.2f} GB.\n"
            f"{whole}Time: in the mean {mean.step:.2f} s a step and {mean.load:.2f} s to make its batch{ahead}; "
            f"{config.optim.steps} steps take about {spoken(each * config.optim.steps)}.\n"
            f"Besides: {', '.join(beside)}.\n"
            f"Disk: about {spoken_bytes(rest.disk)} for scans that are not there yet, checkpoints and the last stage.\n"
            "Nothing was trained."
        )
    if not math.isfinite(float(result.loss)):
        print("The loss is not finite.")
    return found

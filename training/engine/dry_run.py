"""What a run will take, from one step that is measured."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass

import torch

from training.data.batch import Batch
from training.data.loader import workers_of

from .feeding import batch_of
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


def measure(run: Run, step: int) -> Measured:
    """Take a step twice and time it the second time, since a run has its sentences embedded before the first one."""
    run.step, device = step, run.learner.device
    if not run.config.world.stream:
        batch_of(run, step)  # the scans of a run lie on a disk, and these have to be made first
    began = clock(device)
    batch = batch_of(run, step)
    load = clock(device) - began
    gradient_step(run, batch)
    began = clock(device)
    result = gradient_step(run, batch)
    return Measured(batch, result, load, clock(device) - began)


def dry_run(run: Run) -> dict[str, float]:
    """Measure one step, of each kind where they alternate; print and return parameters, bytes and rows of a step, and
    hours."""
    config, device = run.config, run.learner.device
    run.learner.train()
    workers, every = workers_of(config.loader, device), config.optim.alternate
    usual = measure(run, 0)
    batch, result, load, step = usual.batch, usual.result, usual.load, usual.step
    each, whole = usual.each(workers), ""
    if every:
        other = measure(run, every - 1)
        each = (each * (every - 1) + other.each(workers)) / every
        size = "x".join(str(n) for n in other.batch.image.shape)
        whole = f"Every {every}th step is of whole volumes: input {size}, {other.step:.2f} s a step.\n"
    run.step = 0
    parameters = sum(p.numel() for p in run.learner.parameters())
    found = {
        "parameters": parameters,
        "rows": result.rows,
        "input_bytes": batch.image.nbytes + batch.labels.nbytes,
        "peak_bytes": peak_memory(device),
        "load_seconds": load,
        "step_seconds": step,
        "hours": each * config.optim.steps / 3600,
    }
    if rank() == 0:
        ahead = f" ({workers} at a time, ahead of the steps)" if workers else ""
        trained = "x".join(str(n) for n in batch.image.shape)
        print(
            f"Method {config.method} on {device}: {parameters / 1e6:.2f} M parameters, "
            f"{len(run.classes.organs)} organs, {len(run.classes.states)} classes.\n"
            f"A step: {config.optim.batch} scans, input {trained} ({found['input_bytes'] / 1e6:.0f} MB a process), "
            f"{result.rows} rows, loss {float(result.loss):.3f}; peak memory {found['peak_bytes'] / 1e9:.2f} GB.\n"
            f"{whole}Time: {step:.2f} s a step and {load:.2f} s to make its batch{ahead}; {config.optim.steps} steps "
            f"take about {found['hours']:.1f} h, without making scans, validation and the last stage.\n"
            "Nothing was trained."
        )
    if not math.isfinite(float(result.loss)):
        print("The loss is not finite.")
    return found

"""A training step with the text tower frozen and trained: the shape of the starter, the shipped sentence model.

Run: ``python -m tests.benchmarks.bench_text``. Scans of the synthetic world are made once and not timed; the texts of a
frozen tower are in its bank before the clock starts, as in a run. A step is loss, gradient and optimiser; CPU seconds
are the ones to compare where other work shares the machine.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import torch

from training.config import PretrainConfig, TextConfig
from training.data.batch import Batch
from training.engine import loop
from training.engine.dry_run import peak_memory
from training.engine.feeding import batch_of
from training.pretrain import begin

ROUNDS = 3
WAYS = {
    "frozen": TextConfig(),
    "last 2 of 6 layers trained": TextConfig(train=2),
    "all trained": TextConfig(train="all"),
    "all trained, 32 texts kept at once": TextConfig(train="all", micro=32),
}


def begun(text: TextConfig) -> loop.Run:
    """A run that nothing is written of."""
    run, _, _ = begin(replace(PretrainConfig(), text=text, dry_run=True, device="cpu"), "cpu")
    run.learner.train()
    return run


def texts_of_step(run: loop.Run, batch: Batch) -> tuple[int, int]:
    """Texts that a step asks for, and how many of them are distinct; an untimed step."""
    bank, asked = run.vocabulary.bank, []
    run.vocabulary = replace(run.vocabulary, bank=lambda texts: asked.extend(texts) or bank(texts))  # type: ignore
    loop.gradient_step(run, batch)
    run.vocabulary = replace(run.vocabulary, bank=bank)
    return len(asked), len(set(asked))


def measured(name: str) -> tuple[float, float, float]:
    """Seconds and CPU seconds of a step (medians), and most GB of memory, in a process of its own."""
    run = begun(WAYS[name])
    batch = batch_of(run, 0)
    asked, distinct = texts_of_step(run, batch)
    wall, cpu = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter(), time.process_time()
        run.step = 0  # the same texts each time
        loop.advance(run, batch)
        wall.append(time.perf_counter() - began[0])
        cpu.append(time.process_time() - began[1])
    print(f"{name}: {len(batch.scans)} scans, {asked} texts, {distinct} distinct, {torch.get_num_threads()} threads")
    return statistics.median(wall), statistics.median(cpu), peak_memory(torch.device("cpu")) / 1e9


def main() -> None:
    """Print the table."""
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=fresh, max_tasks_per_child=1) as pool:
        rows = [(name, *pool.submit(measured, name).result()) for name in WAYS]
    print("\n| text tower | s a step (median) | CPU s | against frozen (CPU) | peak memory |\n|---|---|---|---|---|")
    for name, wall, cpu, memory in rows:
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {cpu / rows[0][2]:.1f} x | {memory:.1f} GB |")


if __name__ == "__main__":
    main()

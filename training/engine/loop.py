"""The loop: steps, averaged weights, validation, checkpoints; a resumed run goes on to the same bits on a CPU."""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.errors import UserError
from training.config import PretrainConfig
from training.data.batch import Batch
from training.data.loader import batches
from training.data.records import ScanSource
from training.data.seeding import is_whole_step
from training.data.texts import Bank, Classes
from training.objectives.base import Objective, Term
from training.objectives.gather import gather_rows, processes

from .averages import follow_average
from .checkpoint import has_checkpoint, save_checkpoint
from .feeding import feed_of, needs_of
from .log import Log, log
from .memory import out_of_memory_told
from .network import Learner
from .organs import Seen, last_seen
from .processes import anyone, rank, share_state, wait
from .resume import refusal_told, take_over
from .sentences import Vocabulary
from .shard import Shards, clip_gradients, in_one_piece, load_optimizer, shard, states, step
from .step import StepResult, StepSettings, training_step
from .text import StepBank, optimizer_groups

LOG_EVERY = 10
"""Steps between two lines of the log; "loading" is the share of their time that was spent waiting for batches."""


@dataclass
class Run:
    """A run under way: what is trained, on what, and where it is written."""

    config: PretrainConfig
    learner: Learner
    average: NativeModel
    store: ScanSource
    vocabulary: Vocabulary
    optimizer: torch.optim.Optimizer
    heads: Objective
    """The method with averaged parameters, where it has any of its own."""
    average_text: TextTower | None = None
    """Of the text tower, where it is trained."""
    step: int = 0
    skipped: int = 0
    """Steps left out because they gave no finite numbers."""
    skipped_in_a_row: int = 0
    seen: deque[Seen] = field(default_factory=deque)
    """What the last steps compared, for the table of organs."""
    shards: Shards | None = None
    """Where each process holds its part of the weights."""

    @property
    def folder(self) -> Path:
        return self.config.run

    @property
    def done(self) -> bool:
        return self.step >= self.config.optim.steps

    @property
    def classes(self) -> Classes:
        return self.vocabulary.classes


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to two percent."""
    optim = config.optim
    rise = min(1.0, (step + 1) / max(1, optim.warmup))
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / (optim.horizon or optim.steps))))
    return optim.learning_rate * rise * (0.98 * fall + 0.02)


def start(config: PretrainConfig, learner: Learner, store: ScanSource, vocabulary: Vocabulary) -> Run:
    """A fresh run, or with ``config.resume`` the one that its last checkpoint left."""
    if config.optim.alternate and not (config.optim.alternate > 1 and learner.needs.organs and learner.needs.whole):
        raise UserError(
            "--optim.alternate takes 2 or more, and a method that looks at organs and at whole volumes: --method ours."
        )
    share_state(learner)
    optimizer = torch.optim.AdamW(optimizer_groups(learner, learner.text, config), lr=config.optim.learning_rate)
    average = copy.deepcopy(learner.model).requires_grad_(False)
    heads = copy.deepcopy(learner.objective).requires_grad_(False)
    average_text = None if learner.text is None else copy.deepcopy(learner.text).requires_grad_(False)
    seen = last_seen(config.optim.batch)
    run = Run(config, learner, average, store, vocabulary, optimizer, heads, average_text, seen=seen)
    state = take_over(run) if config.resume else None
    if config.optim.shard and processes() > 1:
        shard(run)
    if state is not None:
        with refusal_told(config):
            load_optimizer(run, state["optimizer"])
    return run


def checkpoint(run: Run) -> None:
    """Write what :func:`start` needs to go on; all draws are functions of seed and step, so there is no more."""
    found = states(run)
    if rank() == 0:
        save_checkpoint(
            run.folder,
            {
                "method": run.config.method,
                **found,
                "classes": asdict(run.classes),
                "step": run.step,
                "skipped": run.skipped,
                "skipped_in_a_row": run.skipped_in_a_row,
            },
        )


def gradient_step(run: Run, batch: Batch) -> StepResult:
    """Loss of a batch, with its gradient in the parameters."""
    config = run.config
    needs = needs_of(run)
    progress = run.step / max(1, config.optim.steps)
    optim = config.optim
    settings = StepSettings(
        config.seed,
        run.step,
        progress,
        optim.micro,
        optim.half,
        needs,
        lesions=optim.lesions,
        evidence=optim.evidence or 0.0,
    )
    reports = batch.reports if needs.whole else None
    run.learner.zero_grad(set_to_none=True)
    momentum = run.average.text_projection
    slow: Bank | None = run.average_text
    if run.shards is not None and run.average_text is not None:
        slow = StepBank(run.average_text, half=False)
    with out_of_memory_told(config, run.step):
        return training_step(
            run.learner, batch, run.vocabulary, settings, momentum=momentum, slow=slow, reports=reports
        )


def advance(run: Run, batch: Batch) -> StepResult:
    """One optimiser step, or none where the loss or its gradient is not finite."""
    for group in run.optimizer.param_groups:
        group["lr"] = learning_rate(run.config, run.step) * group.get("factor", 1.0)
    result = gradient_step(run, batch)
    finite = bool(torch.isfinite(result.loss))
    if finite:
        finite = bool(torch.isfinite(clip_gradients(run.learner, 1.0)))
    if finite:
        with out_of_memory_told(run.config, run.step):
            step(run)
        run.skipped_in_a_row = 0
    else:
        run.skipped += 1
        run.skipped_in_a_row += 1
    run.step += 1
    if finite:
        run.learner.follow()
        follow_average(run)
        if result.seen is not None:
            run.seen.append(result.seen)
    else:
        run.learner.follow(0.0)
        _tell_skipped(run, batch, result)
    return result


def scan_name(store: ScanSource, index: int) -> str:
    """How a person finds a scan again."""
    studies = getattr(store, "studies", None)
    return f"scan {index}" if studies is None else str(studies[index])


def _tell_skipped(run: Run, batch: Batch, result: StepResult) -> None:
    step = gather_rows(torch.tensor(batch.scans, device=run.learner.device))[0].tolist()
    names = ", ".join(scan_name(run.store, i) for i in dict.fromkeys(result.broken or step))
    log(run.folder, {"step": run.step, "skipped": names})
    if run.skipped_in_a_row >= run.config.optim.patience:
        raise UserError(
            f"{run.skipped_in_a_row} steps in a row gave no finite loss or gradient; the last was step {run.step} with "
            f"{names}. The last checkpoint is whole: look at these, or lower --optim.learning-rate, and --resume."
        )
    if rank() == 0:
        tqdm.write(f"step {run.step} left out, loss or gradient not finite: {names}")


def train(run: Run, validate: Callable[[Run], dict[str, Any]]) -> None:
    """Train until the last step, or until ``config.minutes`` are over; the bar shows each loss beside chance."""
    config, steps = run.config, range(run.step, run.config.optim.steps)
    if not steps and not has_checkpoint(config.run):
        checkpoint(run)  # of a run of the last stage alone, so that it is told from none
    # TQDM_DISABLE of the environment holds where nothing else is said
    quiet = {"disable": True} if rank() > 0 else {}
    bar = tqdm(total=config.optim.steps, initial=run.step, unit="step", dynamic_ncols=True, **quiet)
    with (
        bar,
        closing(Log(run.folder, run.step)) as writer,
        batches(feed_of(run), steps, config.loader, run.learner.device) as made,
    ):
        _train(run, made, validate, writer, bar)
    if not run.done and rank() == 0:
        print(f"Stopped after {config.minutes:g} minutes at step {run.step}; go on with --resume.")


def _train(
    run: Run,
    made: Iterator[Batch],
    validate: Callable[[Run], dict[str, Any]],
    writer: Log,
    bar: tqdm[Any],
) -> None:
    config = run.config
    began = time.monotonic()
    waited = stepped = 0.0
    terms: dict[str, Term] = {}  # the last of each, since kinds of steps may alternate
    while not run.done:
        run.learner.train()
        before = time.monotonic()
        batch = next(made)
        loaded = time.monotonic()
        result = advance(run, batch)
        waited, stepped = waited + loaded - before, stepped + time.monotonic() - loaded
        terms |= result.terms
        bar.set_postfix({k: f"{float(t.value.detach()):.2f}/{t.chance:.2f}" for k, t in terms.items()}, refresh=False)
        bar.update()
        if run.step % LOG_EVERY == 0:
            losses: dict[str, Any] = {
                k: {"loss": round(float(t.value.detach()), 4), "chance": round(t.chance, 4)} for k, t in terms.items()
            }
            if every := config.optim.alternate:
                losses["whole_steps"] = sum(is_whole_step(n, every) for n in range(run.step - LOG_EVERY, run.step))
            terms.clear()
            share = {
                "seconds": round(time.monotonic() - began, 1),
                "loading": round(waited / max(waited + stepped, 1e-9), 3),
                "rows": result.rows,
            }
            waited = stepped = 0.0
            writer({"step": run.step, **share, **({"left_out": run.skipped} if run.skipped else {}), **losses})
        if run.step % config.validate_every == 0 and not run.done:
            bar.clear()
            looked = in_one_piece(run)
            if rank() == 0:
                writer({"step": run.step, "validation": validate(looked)})
            wait()
        over = config.minutes is not None and time.monotonic() - began > config.minutes * 60
        over = anyone(over, run.learner.device) if config.minutes is not None else False
        if run.step % config.checkpoint_every == 0 or run.done or over:
            checkpoint(run)
        if over:
            break

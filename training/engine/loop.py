"""The loop: steps, averaged weights, validation, checkpoints; a resumed run goes on to the same bits on a CPU."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from napari_ctvlp.encoder.native import NativeModel
from training.config import PretrainConfig
from training.data.batch import training_batch
from training.data.records import ScanSource
from training.data.seeding import scans_of_step
from training.data.stream import WorldStream
from training.data.texts import Classes, TextBank

from .checkpoint import load_checkpoint, save_checkpoint
from .step import Wordings, training_loss


@dataclass
class Run:
    """A run under way: what is trained, on what, and where it is written."""

    config: PretrainConfig
    model: NativeModel
    average: NativeModel
    store: ScanSource
    classes: Classes
    wordings: Wordings
    bank: TextBank
    step: int = 0

    @property
    def folder(self) -> Path:
        return self.config.run

    @property
    def done(self) -> bool:
        return self.step >= self.config.optim.steps


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Linear warm-up, then half a cosine down to two percent."""
    optim = config.optim
    rise = min(1.0, (step + 1) / optim.warmup)
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / (optim.horizon or optim.steps))))
    return optim.learning_rate * rise * (0.98 * fall + 0.02)


def start(
    config: PretrainConfig,
    model: NativeModel,
    store: ScanSource,
    classes: Classes,
    wordings: Wordings,
    bank: TextBank,
) -> tuple[Run, torch.optim.Optimizer]:
    """A fresh run, or with ``config.resume`` the one that its last checkpoint left."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": config.optim.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=config.optim.learning_rate,
    )
    run = Run(config, model, copy.deepcopy(model).requires_grad_(False), store, classes, wordings, bank)
    if config.resume:
        state = load_checkpoint(config.run)
        model.load_state_dict(state["model"])
        run.average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        run.step = int(state["step"])
    return run, optimizer


def checkpoint(run: Run, optimizer: torch.optim.Optimizer) -> None:
    """Write what :func:`start` needs to go on."""
    save_checkpoint(
        run.folder / "last.pt",
        {
            "model": run.model.state_dict(),
            "average": run.average.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": run.step,
        },
    )


def log(folder: Path, line: dict[str, Any]) -> None:
    """Append one line to the run's ``log.jsonl``."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(line) + "\n")


def train(run: Run, optimizer: torch.optim.Optimizer, validate: Callable[[Run], dict[str, Any]]) -> None:
    """Train until the last step, or until ``config.minutes`` are over; the bar shows each loss beside chance."""
    config = run.config
    began = time.monotonic()
    bar = tqdm(total=config.optim.steps, initial=run.step, unit="step", dynamic_ncols=True)
    windows = run.model.vision.config.windows
    while not run.done:
        run.model.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, run.step)
        if isinstance(run.store, WorldStream) and run.step + 1 < config.optim.steps:
            run.store.expect(scans_of_step(config.seed, run.step + 1, run.store.count, config.optim.batch))
        batch = training_batch(run.store, config.seed, run.step, config.optim.batch, windows)
        loss, terms = training_loss(
            run.model,
            batch,
            run.classes,
            run.wordings,
            run.bank,
            seed=config.seed,
            step=run.step,
            optim=config.optim,
        )
        if not torch.isfinite(loss):
            raise RuntimeError(f"The loss is {loss.item()} at step {run.step}; the last checkpoint is whole.")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        if not torch.isfinite(norm):
            raise RuntimeError(f"The gradient is not finite at step {run.step}; the last checkpoint is whole.")
        optimizer.step()
        run.step += 1
        decay = min(config.optim.ema, run.step / (run.step + 10))
        with torch.no_grad():
            for mean, value in zip(run.average.parameters(), run.model.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)
        shown = {k: f"{float(t.value.detach()):.2f}/{t.chance:.2f}" for k, t in terms.items()}
        bar.set_postfix(shown, refresh=False)
        bar.update()
        if run.step % 10 == 0:
            losses = {
                k: {"loss": round(float(t.value.detach()), 4), "chance": round(t.chance, 4)} for k, t in terms.items()
            }
            log(run.folder, {"step": run.step, "seconds": round(time.monotonic() - began, 1), **losses})
        if run.step % config.validate_every == 0 and not run.done:
            bar.clear()
            log(run.folder, {"step": run.step, "validation": validate(run)})
        over = config.minutes is not None and time.monotonic() - began > config.minutes * 60
        if run.step % config.checkpoint_every == 0 or run.done or over:
            checkpoint(run, optimizer)
        if over and not run.done:
            bar.close()
            print(f"Stopped after {config.minutes:g} minutes at step {run.step}; go on with --resume.")
            return
    bar.close()

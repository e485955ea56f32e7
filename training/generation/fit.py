"""How a writer learns; a run that was killed goes on to the same bits."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from napari_ctvlp.errors import UserError
from training.data.seeding import derived_seed
from training.engine.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint

from .batches import Batch, Examples, organ_batch, report_batch
from .tokens import Tokens
from .writer import Writer

SAID_EVERY = 50


@dataclass(frozen=True)
class FitConfig:
    """How long and how fast a writer learns."""

    steps: int = 1000
    batch: int = 8
    """Reports a step."""
    organs: int = 64
    """Single organs a step; 0: learn from whole reports alone."""
    learning_rate: float = 1e-3
    warmup: int = 50
    weight_decay: float = 0.05
    checkpoint_every: int = 100


def rate(config: FitConfig, step: int) -> float:
    """Share of the learning rate at a step: a rise over ``warmup`` steps, then half a cosine."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(1, config.steps - config.warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def fit(
    writer: Writer, tokens: Tokens, examples: Examples, config: FitConfig, run: Path, seed: int, begun: str = ""
) -> None:
    """Train a writer in place, from the last checkpoint in ``run`` where there is one.

    Every step is a pure function of (seed, step) and what came before: batches, wordings and dropout.

    Parameters
    ----------
    writer, tokens, examples
        What learns, and what from.
    config : FitConfig
    run : Path
        Folder for checkpoints and ``log.jsonl``.
    seed : int
    begun : str
        What the run was begun with: one that was begun with something else does not go on.

    Raises
    ------
    UserError
        When no scan has a report, the loss is not finite, or the checkpoint is of another run.
    """
    if not any(examples.reports):
        raise UserError("None of the training scans has a report that states findings: there is nothing to learn from.")
    optimiser = torch.optim.AdamW(_groups(writer, config.weight_decay), lr=config.learning_rate, betas=(0.9, 0.98))
    step = 0
    if has_checkpoint(run):
        state = load_checkpoint(run)
        if state["begun"] != begun:
            raise UserError(
                f"'{run.name}' was begun with another encoder, other data or other settings: give the same ones, or "
                "choose another --out."
            )
        writer.load_state_dict(state["writer"])
        optimiser.load_state_dict(state["optimiser"])
        step = int(state["step"])
        print(f"going on from step {step}")
    since, losses = time.monotonic(), []
    writer.train()
    while step < config.steps:
        torch.manual_seed(derived_seed(seed, "dropout", step))
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * rate(config, step)
        most = writer.config.most
        parts = {"report": report_batch(examples, tokens, most, seed, step, config.batch)}
        if config.organs and (said := organ_batch(examples, tokens, most, seed, step, config.organs)) is not None:
            parts["organ"] = said
        terms = {name: _loss(writer, part) for name, part in parts.items()}
        loss = torch.stack(list(terms.values())).sum()
        if not bool(torch.isfinite(loss)):
            raise UserError(f"The loss is not finite at step {step}: try a lower --fit.learning-rate.")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(writer.parameters(), 1.0)
        optimiser.step()
        step += 1
        losses.append({name: float(term.detach()) for name, term in terms.items()})
        if step % SAID_EVERY == 0 or step == config.steps:
            _say(run, step, losses, (time.monotonic() - since) / len(losses))
            since, losses = time.monotonic(), []
        if step % config.checkpoint_every == 0 or step == config.steps:
            kept = {"writer": writer.state_dict(), "optimiser": optimiser.state_dict()}
            save_checkpoint(run, {"step": step, "begun": begun, **kept})
    writer.eval()


def _loss(writer: Writer, batch: Batch) -> Tensor:
    device = writer.organ.weight.device
    loss: Tensor = writer(*(part.to(device) for part in (batch.vectors, batch.slot, batch.there, batch.tokens)))
    return loss


def _groups(writer: Writer, decay: float) -> list[dict[str, object]]:
    """Matrices decay; biases and norms do not."""
    flat = [p for p in writer.parameters() if p.ndim < 2]
    return [
        {"params": [p for p in writer.parameters() if p.ndim >= 2], "weight_decay": decay},
        {"params": flat, "weight_decay": 0.0},
    ]


def _say(run: Path, step: int, losses: list[dict[str, float]], seconds: float) -> None:
    means = {name: sum(one[name] for one in losses) / len(losses) for name in losses[0]}
    told = ", ".join(f"{name} {value:.3f}" for name, value in means.items())
    print(f"step {step}: cross-entropy a token: {told}; {seconds:.2f} s a step", flush=True)
    with (run / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps({"step": step, **{k: round(v, 5) for k, v in means.items()}}) + "\n")

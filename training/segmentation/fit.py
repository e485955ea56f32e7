"""Fitting a segmenter: Dice and cross entropy on crops; a run that was stopped goes on to the same bits."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from napari_ctvlp.errors import UserError
from training.data.records import ScanSource
from training.engine.checkpoint import has_checkpoint, load_checkpoint, save_checkpoint

from .crops import step_crops
from .network import Segmenter
from .targets import Target

TOLD_EVERY = 25
"""Steps between two lines."""
SETTLED = 0.5
"""Share of the steps after which figures of normalisation no longer change."""


@dataclass(frozen=True)
class Optim:
    """How it is trained."""

    steps: int = 1000
    batch: int = 2
    """Crops a step."""
    crop: int = 64
    """Voxels along each side of a crop."""
    learning_rate: float = 3e-3
    """Of decoder and encoder alike, after the first steps; it falls to zero along a cosine."""
    foreground: float = 8.0
    """How much more a voxel of a class counts in the cross entropy than one of background, and Dice than the cross
    entropy: with 1 only the largest organs were found after a hundred steps."""
    weight_decay: float = 0.01
    warmup: int = 20
    """Steps in which the rate rises."""
    checkpoint_every: int = 50

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rise = min(1.0, (step + 1) / max(1, self.warmup))
        return self.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def check(self) -> None:
        """Refuse what cannot be trained with.

        Raises
        ------
        UserError
            Naming the setting.
        """
        for name in ("steps", "batch", "crop", "foreground", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UserError(f"--optim.{name.replace('_', '-')} must be 1 or more, not {getattr(self, name)}.")


def fit_segmenter(
    network: Segmenter,
    store: ScanSource,
    target: Target,
    shown: NDArray[np.bool_],
    optim: Optim,
    folder: Path,
    *,
    seed: int = 0,
    settings: str = "",
    resume: bool = False,
    device: str = "cpu",
) -> list[float]:
    """Train a segmenter in place.

    Parameters
    ----------
    network : Segmenter
        Frozen weights, those without gradient, stay as they are.
    store, target, shown
        See `training.segmentation.crops.step_crops`.
    optim : Optim
    folder : Path
        Where checkpoints lie.
    seed : int
        Of the crops.
    settings : str
        What a run that goes on must have been begun with.
    resume : bool
        Go on with the run in the folder.
    device : str

    Returns
    -------
    list of float
        The loss of each step that was made here.

    Raises
    ------
    UserError
        When there is a run already, none to go on with, one of other settings, its folder cannot be made, or the loss
        is no longer finite.
    """
    from monai.losses import DiceLoss

    least = 2 * network.vision.strides[-1]
    if optim.crop < least:
        raise UserError(f"--optim.crop {optim.crop}: this encoder needs crops of {least} voxels or more a side.")
    network.to(device).train()
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=optim.learning_rate, weight_decay=optim.weight_decay)
    begin = 0
    if resume:
        state = load_checkpoint(folder)
        if state["settings"] != settings:
            raise UserError(f"The run in '{folder.name}' has other settings: --resume goes on with the same ones.")
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        begin = int(state["step"])
    elif has_checkpoint(folder):
        raise UserError(f"There is a run in '{folder.name}': go on with --resume, or choose another --run.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"'{folder}' cannot be written ({error.strerror}): choose another --out.") from error
    # over the crops of a batch together: in a single crop most organs are absent, of which Dice says nothing
    dice = DiceLoss(include_background=False, to_onehot_y=True, softmax=True, batch=True)
    weight = torch.tensor([1.0] + [optim.foreground] * (network.classes - 1), device=device)
    losses: list[float] = []
    since, told = time.monotonic(), 0
    for step in range(begin, optim.steps):
        if step >= SETTLED * optim.steps:
            network.settle()
        image, classes = (
            part.to(device)
            for part in step_crops(
                store,
                target,
                shown,
                network.vision.windows,
                seed=seed,
                step=step,
                batch=optim.batch,
                size=optim.crop,
            )
        )
        for group in optimiser.param_groups:
            group["lr"] = optim.rate(step)
        logits = network(image)
        entropy = F.cross_entropy(logits, classes[:, 0].long(), weight)
        loss = dice(logits, classes) + entropy / optim.foreground
        if not torch.isfinite(loss):
            raise UserError(f"The loss of step {step + 1} is not finite: lower --optim.learning-rate.")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 12.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        done = step + 1
        if done % TOLD_EVERY == 0 or done == optim.steps:
            seconds = (time.monotonic() - since) / max(1, len(losses) - told)
            print(
                f"step {done:>5} of {optim.steps}  loss {np.mean(losses[told:]):.3f}  {seconds:.2f} s a step",
                flush=True,
            )
            since, told = time.monotonic(), len(losses)
        if done % optim.checkpoint_every == 0 or done == optim.steps:
            save_checkpoint(
                folder,
                {
                    "step": done,
                    "settings": settings,
                    "network": network.state_dict(),
                    "optimiser": optimiser.state_dict(),
                },
            )
    network.eval()
    return losses

"""A step that does not fit on the GPU ends the run in one sentence that says what to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from napari_ctvlp.errors import UserError
from training.config import PretrainConfig
from training.objectives.gather import processes


def advice(config: PretrainConfig) -> str:
    """What lowers the memory of a step of this run, the cheapest first."""
    optim, model = config.optim, config.model
    ways = [] if optim.checkpointing else ["switch on --optim.checkpointing"]
    if processes() > 1 and not optim.shard:
        ways.append("switch on --optim.shard")
    micro = optim.micro or optim.batch
    if micro > 1:
        ways.append(f"lower --optim.micro to {micro // 2}")
        ways.append(f"lower --optim.batch (now {optim.batch})")
    size = "--model.vit.width" if model.backbone == "vit" else "--model.widths"
    ways.append(f"choose a smaller model ({size})")
    return ", ".join(ways[:-1]) + f" or {ways[-1]}" if len(ways) > 1 else ways[0]


@contextmanager
def out_of_memory_told(config: PretrainConfig, step: int) -> Iterator[None]:
    """Turn the GPU's refusal into a sentence.

    Raises
    ------
    UserError
        For ``torch.OutOfMemoryError``. Checkpoints are whole before a step begins, so the last one is safe.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        last = "; the last checkpoint is whole: then --resume" if (config.run / "last.pt").is_file() else ""
        raise UserError(f"The GPU's memory does not hold step {step + 1}: {advice(config)}{last}.") from error

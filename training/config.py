"""What a pretraining run is: one frozen dataclass a concern; the command line is made from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from napari_ctvlp.encoder.vit import VitConfig


@dataclass(frozen=True)
class WorldConfig:
    """Synthetic scans to learn from."""

    train_scans: int = 1500
    """Scans made once and kept in the run's cache."""
    validation_scans: int = 200
    """Held-out scans: live validation, and calibration at the end."""
    bodies: int = 100
    """Different anatomies; every scan deforms one of them anew."""
    abnormal: float = 1.6
    """Factor on the usual rates of abnormalities, so that rare ones are seen often enough."""
    seed: int = 0
    folder: Path | None = None
    """Folder that ``python -m training.world write`` wrote; scans are made in the run's folder by default."""
    stream: bool = False
    """Make every training scan when a step asks for it and write none; worth it where a GPU makes them."""


@dataclass(frozen=True)
class ModelConfig:
    """Shape of the vision tower; see ``napari_ctvlp.encoder.vision.VisionConfig``."""

    widths: tuple[int, ...] = (16, 48, 96, 160)
    blocks: tuple[int, ...] = (1, 1, 2, 2)
    heads: int = 4
    hidden: int = 512
    dim: int = 256
    spacing: float = 3.0
    backbone: Literal["cnn", "vit"] = "cnn"
    """A residual CNN (``widths``, ``blocks``) or a vision transformer (``vit``)."""
    pooling: Literal["attention", "mean"] = "attention"
    """Queries and maxima beside the mean under an organ's mask, or that mean alone."""
    vit: VitConfig = field(default_factory=VitConfig)


@dataclass(frozen=True)
class OptimConfig:
    """Optimisation."""

    steps: Annotated[int, tyro.conf.arg(aliases=["--steps"])] = 250
    horizon: int | None = 400
    """Steps over which the learning rate falls to its end; more than ``steps`` because the averaged weights and the
    last stage make up for what the fall would bring. None means ``steps``."""
    batch: int = 8
    """Scans per step, of all processes together."""
    micro: int | None = None
    """Scans that a process encodes at once, for less memory: the loss and its gradient stay those of the whole batch,
    and a step takes about a third longer. All of its scans by default."""
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup: int = 40
    ema: float = 0.995
    """Decay of the averaged weights, which are validated and exported."""
    within: float = 2.0
    """Weight of the contrast within an organ's own texts."""
    abnormal_weight: float = 4.0
    """How much an abnormal organ counts in it against a normal one; both for ``ctglip``."""
    half: bool = True
    """Compute feature maps in bfloat16."""
    checkpointing: bool = False
    """Keep few activations for the backward pass and compute the others again: less memory, the same gradient, and a
    step takes about a third longer."""
    compile: bool = False
    """Compile the network's blocks (``torch.compile``) at the first steps, which takes a minute or more."""
    patience: int = 10
    """A step whose loss or gradient is not finite is left out; so many in a row end the run."""


@dataclass(frozen=True)
class RefineConfig:
    """The last stage: the head alone, on pooled features of whole scans."""

    steps: int = 400
    """0 leaves the stage out; methods that look at whole scans only, or train two networks, have none."""
    scans: int = 24
    """Scans per step."""
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    jitter: float = 0.1
    """Noise on the features, as a share of their spread."""
    within: float = 4.0
    """Weight of the contrast within an organ's own texts."""


@dataclass(frozen=True)
class PretrainConfig:
    """``python -m training.pretrain``: trains a scan encoder and writes it as a folder that the plugin loads."""

    run: Annotated[Path, tyro.conf.arg(aliases=["--out"])] = Path("runs/starter")
    """Folder of the run: cache, checkpoints, log, configuration and, at the end, the encoder."""
    method: str = "ctglip"
    """What is learned: clip, ctglip, fvlm, fvlm-coteach, t3d, ours, or another name of ``training/objectives``."""
    data: str = "world"
    """"world" for synthetic scans, or a folder that ``python -m training.prepare`` wrote."""
    preset: str | None = None
    """Settings to start from: smoke, starter, one-24gb-gpu, eight-gpus."""
    config: Path | None = None
    """File of settings to start from: the ``config.json`` of a run reproduces it."""
    world: WorldConfig = field(default_factory=WorldConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    text_model: Path | None = None
    """Folder of another sentence model (transformers layout, safetensors); the shipped one by default."""
    seed: int = 0
    resume: bool = False
    """Go on from the run's last checkpoint, with the settings of the run; ``--resume DIR`` names the run too."""
    dry_run: bool = False
    """Say how large the run is and about how long it takes, from one step, and end."""
    minutes: float | None = None
    """Stop after so many minutes with a checkpoint; go on with --resume."""
    validate_every: int = 100
    checkpoint_every: int = 100
    device: str | None = None
    """Such as cpu or cuda; a GPU when there is one."""
    threads: int | None = None
    """CPU threads; all cores by default."""
    name: str = "starter"
    """Name on the encoder's card."""

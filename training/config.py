"""What a pretraining run is: one frozen dataclass a concern; the command line is made from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from napari_ctvlp.encoder.vit import VitConfig

from .data.records import AT_LEAST


@dataclass(frozen=True)
class WorldConfig:
    """Synthetic scans to learn from."""

    train_scans: int = 1500
    """Scans made once and kept in the run's cache."""
    validation_scans: int = 200
    """Held-out scans: live validation, and calibration at the end."""
    bodies: int = 100
    """Different anatomies; every scan deforms one of them anew."""
    first_body: int = 0
    """Number of the first anatomy of the training scans, of 1,000: a run that goes on from another one's encoder meets
    new ones, whatever its seed, where this one begins after them."""
    abnormal: float = 1.6
    """Factor on the usual rates of abnormalities, so that rare ones are seen often enough."""
    rarest: float = 0.018
    """Least chance of any abnormality in a scan that shows its organs, before that factor: with more, rare ones are
    learned from fewer scans. Held-out scans keep the usual one."""
    twins: bool = False
    """Half of the training scans are twins of the others: the same patient without some of the abnormalities, in the
    same steps and crops, so that what an abnormality looks like is all that tells the two apart. ``train_scans`` and
    ``optim.batch`` are then even."""
    seed: int = 0
    folder: Path | None = None
    """Folder that ``python -m training.world write`` wrote; scans are made in the run's folder by default."""
    first: int | None = None
    """Begin to train once so many scans are made, and make the others meanwhile: worth it where a GPU would wait for
    them. By default all are made first."""
    each: float = 1.0
    """With ``first``: how many more scans every step draws from, until there are ``train_scans``; a run that is ahead
    of them waits."""
    makers: int | None = None
    """With ``first``: processes that make scans. By default the cores that neither the run nor its loader needs."""
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
    evidence: tuple[str, ...] = ()
    """Abnormalities that every place of a scan is judged by; by default, where ``optim.evidence`` or ``optim.lesions``
    have a weight, those of the training scans."""


@dataclass(frozen=True)
class TextConfig:
    """The text tower."""

    model: Annotated[str | None, tyro.conf.arg(aliases=["--text-model"])] = None
    """A folder in transformers layout, or a hub id such as microsoft/BiomedVLP-CXR-BERT-specialized, with an optional
    @revision; safetensors only. The shipped all-MiniLM-L6-v2 by default."""
    download: Annotated[bool, tyro.conf.arg(aliases=["--text-download"])] = False
    """Fetch a hub id that the local cache lacks from huggingface.co."""
    train: Annotated[Literal["frozen", "all"] | int, tyro.conf.arg(aliases=["--text-train"])] = "frozen"
    """"frozen" embeds every text once a run; "all", or how many of its last layers, trains it with the rest."""
    learning_rate: float = 0.05
    """Factor on the learning rate, for a trained text tower: it comes with knowledge that the vision tower lacks."""
    micro: int | None = None
    """Texts of a step that a trained tower keeps at once, for less memory: they are computed a second time, and the
    gradient stays the same. All by default."""
    pooling: Literal["mean", "cls"] | None = None
    """Tokens to one vector: their mean, or the first. What the model's folder says by default, else mean."""
    max_tokens: int | None = None
    """Longer texts are cut there; where the model's folder says by default, else at 128."""


@dataclass(frozen=True)
class OptimConfig:
    """Optimisation."""

    steps: Annotated[int, tyro.conf.arg(aliases=["--steps"])] = 250
    """0 leaves all but the last stage out: heads are trained on an encoder's features (``start_from``)."""
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
    shard: bool = False
    """Of every block of the networks, and of a trained text tower, each process of ``torchrun`` keeps its part (FSDP2),
    for models that one GPU does not hold with their optimiser. One process is not changed by it."""
    alternate: int = 0
    """Every so many-th step compares whole volumes with whole reports, in the largest crops, and the others organs
    alone; 0: every step does both. For a method that does both: ours."""
    evidence: float | None = None
    """Weight of the most abnormal place of every organ, which is to show what is known of the whole organ: for any
    data. By default 5 for ``ours`` and 0 for the other methods."""
    lesions: float = 0.0
    """Weight of places inside and outside of lesions, and at least of the most abnormal ones. For scans whose lesions
    are known voxel by voxel: those of the synthetic world, kept in a folder."""
    patience: int = 10
    """A step whose loss or gradient is not finite is left out; so many in a row end the run."""


@dataclass(frozen=True)
class LoaderConfig:
    """Batches made ahead of the steps that train on them; nothing here changes a bit of a run."""

    workers: int | None = None
    """Workers that make batches, each process's own; 0: the training process itself, between its steps. By default 0 on
    a CPU, whose cores the steps use, and one a spare core, at most 8, for a GPU."""
    ahead: int = 2
    """Batches that each worker is ahead; they wait in memory."""
    threads: bool = False
    """Threads instead of processes: they begin at once and need no shared memory, and slow a fast GPU's steps a
    little. Scans that a GPU makes are always made by a thread."""


@dataclass(frozen=True)
class RefineConfig:
    """The last stage: the head alone, on pooled features of whole scans."""

    steps: int = 400
    """0 leaves the stage out."""
    scans: int = 24
    """Scans per step."""
    limit: int | None = None
    """Most scans whose features are computed; all by default."""
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
    start_from: str | None = None
    """An encoder to begin with, the name of an installed one or a folder, in place of random weights; of the same text
    tower. The ``model`` takes its shape where nothing else is said of it."""
    method: str = "ctglip"
    """What is learned: clip, ctglip, fvlm, fvlm-coteach, t3d, ours, finetune, or another name of
    ``training/objectives``."""
    data: str = "world"
    """"world" for synthetic scans, or a folder that ``python -m training.prepare`` wrote."""
    labels: Literal["reports", "own"] = "reports"
    """Of prepared scans, where what is known of organs is from: what the rules read in the reports, or the manifest's
    own ``label:NAME`` columns, of studies with or without a report. For a method that learns from labels."""
    preset: str | None = None
    """Settings to start from: smoke, starter, starter-gpu, one-24gb-gpu, eight-gpus."""
    config: Path | None = None
    """File of settings to start from: the ``config.json`` of a run reproduces it."""
    world: WorldConfig = field(default_factory=WorldConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    text: TextConfig = field(default_factory=TextConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loader: LoaderConfig = field(default_factory=LoaderConfig)
    refine: RefineConfig = field(default_factory=RefineConfig)
    at_least: int = AT_LEAST
    """An abnormality of an organ that fewer training scans show is no class: it is neither learned, nor validated, nor
    calibrated. Scans that are streamed have every class of the world."""
    seed: int = 0
    resume: bool = False
    """Go on from the run's last checkpoint, with the settings of the run; ``--resume DIR`` names the run too."""
    dry_run: bool = False
    """Say how large the run is, and about how long it takes and what disk, from a few steps, and end."""
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

    @property
    def text_cache(self) -> Path:
        """File of sentence vectors, beside the scans."""
        return (self.world.folder or self.run / "scans") / "texts.pt"

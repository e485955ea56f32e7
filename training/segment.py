"""``python -m training.segment``: fine-tune an encoder for segmentation, judge it, and use it on a scan.

``fit`` trains a light decoder on an encoder of this project, for organs, tumours or whatever else scans have masks of,
or for lesions of synthetic scans, and writes ``RUN/model``. ``judge`` tells its Dice on held-out scans, and beside
another's on the same ones. ``apply`` segments a scan and writes masks that ``napari-ctvlp SCAN --masks`` opens.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from napari_ctvlp.encoder.artifact import digest
from napari_ctvlp.errors import UserError
from napari_ctvlp.files import write_whole
from napari_ctvlp.scan import read_masks, read_scan
from napari_ctvlp.scan.nifti_out import check_targets
from training.retrieve import read_parts
from training.segmentation.files import Model, read_model, write_model
from training.segmentation.fit import Optim, fit_segmenter
from training.segmentation.judge import Figure, Judged, dice_of, differences, figures, judge, lines, read_judged
from training.segmentation.network import new_segmenter
from training.segmentation.predict import segment_scan, write_masks
from training.segmentation.scans import Scans, Split
from training.segmentation.targets import ORGANS, scans_that_show, target_again, target_named


@dataclass(frozen=True)
class FitConfig:
    """Fine-tune an encoder with a decoder, judge it on validation scans, write RUN/model."""

    encoder: Annotated[str, tyro.conf.Positional]
    """Folder of an encoder of this project, or the name of an installed one: its backbone, voxel size and windows."""
    run: Annotated[Path, tyro.conf.arg(aliases=["--out"])] = Path("runs/segment")
    """Folder of the run."""
    target: tuple[str, ...] = (ORGANS,)
    """"organs" or whatever else the scans have masks of; or abnormalities that synthetic scans know voxel by voxel
    (kidney_cyst ...); or "lesions": all of these that do not merely change an organ's size."""
    classes: tuple[str, ...] = ()
    """Organs, or names of the masks; all that the training scans show by default."""
    scratch: bool = False
    """Begin with random weights in the encoder's shape."""
    freeze: bool = False
    """Train the decoder alone."""
    train: Scans = field(default_factory=Scans)
    validation: Scans = field(default_factory=lambda: Scans(count=20, bodies=20))
    """Of the training data where no other is given."""
    optim: Optim = field(default_factory=Optim)
    seed: int = 0
    """Of the crops and of random weights."""
    resume: bool = False
    """Go on with the run, to the same bits."""
    device: str = "cpu"


@dataclass(frozen=True)
class JudgeConfig:
    """Dice on held-out scans, with 95 % bootstrap intervals over patients."""

    model: Annotated[Path, tyro.conf.Positional]
    """Folder that ``fit`` wrote."""
    scans: Scans = field(default_factory=Scans)
    split: Split = "test"
    against: Path | None = None
    """What ``judge --out`` wrote of another model on the same scans: the paired difference is told too."""
    out: Path | None = None
    """JSON file to write."""
    device: str = "cpu"


@dataclass(frozen=True)
class ApplyConfig:
    """Segment a scan."""

    model: Annotated[Path, tyro.conf.Positional]
    """Folder that ``fit`` wrote."""
    scan: Annotated[Path, tyro.conf.Positional]
    """NIfTI file, DICOM folder or one file of it."""
    to: Path
    """NIfTI file to write (.nii or .nii.gz), on the scan's own grid."""
    truth: Path | None = None
    """Masks to compare with: Dice of each class."""
    device: str = "cpu"


def fit(config: FitConfig) -> list[Figure]:
    """Train, write, judge what was written, and write its figures.

    Raises
    ------
    UserError
        For settings, an encoder or scans with which that cannot be done.
    """
    config.optim.check()
    if config.scratch and config.freeze:
        raise UserError("--scratch with --freeze would leave a random encoder as it is: choose one.")
    parts = read_parts(config.encoder, "a segmenter is built on those alone")
    vision = replace(parts.model.vision.config, evidence=())
    store = config.train.store("train", vision.spacing)
    own = config.validation.data == "world"  # those of the training data, where nothing else is said
    validation = replace(config.validation, data=config.train.data) if own else config.validation
    held_out = validation.store("validation", vision.spacing)
    target = target_named(config.target, config.classes, store)
    judged = target_again(target.names, config.target, held_out)  # what is amiss with it is told before the training
    shown = scans_that_show(target, store)
    weights = None if config.scratch else parts.model.vision.state_dict()
    network = new_segmenter(vision, len(target.names) + 1, config.seed, weights)
    if config.freeze:
        network.freeze()
    some = ", ".join(target.names[:8]) + (f" and {len(target.names) - 8} more" if len(target.names) > 8 else "")
    print(f"{store.count} training scans, {int(shown.any(1).sum())} of which show any of: {some}")
    fit_segmenter(
        network,
        store,
        target,
        shown,
        config.optim,
        config.run,
        seed=config.seed,
        settings=_settings(config, f"{parts.provenance.name} {digest(parts.model.state_dict())}"),
        resume=config.resume,
        device=config.device,
    )
    made: dict[str, Any] = {"begun with": f"random weights in the shape of {parts.provenance.name}"}
    if not config.scratch:
        revision = digest(parts.model.state_dict())
        made = {
            "begun with": f"the encoder {parts.provenance.name}, {revision}{', frozen' if config.freeze else ''}",
            "encoder trained on": parts.provenance.trained_on,
            "licence of the encoder": parts.provenance.licence,
        }
    made |= {
        "trained on": f"{config.train.told('train', store.count)}; {int(shown.any(1).sum())} show a class",
        "optim": asdict(config.optim),
        "seed": config.seed,
    }
    model = Model(network.cpu(), target.names, config.target, made)
    folder = config.run / "model"
    write_model(folder, model)
    written = read_model(folder)  # as it will be used: its weights are rounded
    written.network.to(config.device)
    found = figures(judge(written.network, judged, held_out))
    told = validation.told("validation", held_out.count)
    write_model(folder, model, found, told)
    print(f"Dice on {told}:", *lines(found), sep="\n")
    print(f"Written to {folder}; use it with: python -m training.segment apply {folder} SCAN --to out.nii.gz")
    return found


def _settings(config: FitConfig, encoder: str) -> str:
    """All that makes a run what it is, as a text; not where it lies, and not what is done afterwards."""
    value: dict[str, Any] = asdict(replace(config, resume=False, device="cpu", encoder=encoder))
    for key in ("run", "validation"):
        del value[key]
    del value["optim"]["checkpoint_every"]
    return json.dumps(value, default=str, sort_keys=True)


def judge_command(config: JudgeConfig) -> Judged:
    """Judge, print, and write what was asked for.

    Raises
    ------
    UserError
        When the model, the scans or what to compare with cannot be read.
    """
    other = None if config.against is None else read_judged(config.against)
    model = read_model(config.model)
    store = config.scans.store(config.split, model.network.vision.spacing)
    network = model.network.to(config.device)
    judged = judge(network, target_again(model.names, model.target, store), store)
    found = figures(judged)
    told = config.scans.told(config.split, store.count)
    print(f"Dice on {told}:", *lines(found), sep="\n")
    gaps = [] if other is None else differences(judged, other)
    if config.against is not None:
        print(f"above {config.against.name}, paired:", *lines(gaps, signed=True), sep="\n")
    if config.out is not None:
        data = {
            "scans": told,
            "dice": [asdict(figure) for figure in found],
            "above": [asdict(figure) for figure in gaps],
            "scans_alone": judged.as_json(),
        }
        write_whole(config.out, json.dumps(data, indent=1) + "\n")
    return judged


def apply(config: ApplyConfig) -> dict[str, float]:
    """Segment a scan and write its masks; Dice of each class where masks are given to compare with.

    Raises
    ------
    UserError
        When the model or the scan cannot be read, or the place cannot be written to.
    """
    check_targets(config.to)
    model = read_model(config.model)
    scan = read_scan(config.scan)
    network = model.network.to(config.device)
    masks = segment_scan(network, model.names, scan)
    write_masks(config.to, scan, masks)
    print(f"{len(masks.names)} of {len(model.names)} classes found in {scan.name}; written to {config.to}")
    if config.truth is None:
        return {}
    truth = read_masks(config.truth, scan)
    number = {name: k for k, name in enumerate(model.names, 1)}
    tables = []
    for given in (masks, truth):
        table = np.zeros(256, np.uint8)
        for label, name in given.names.items():
            table[label] = number.get(name, 0)
        tables.append(table[given.labels])
    dice = dict(zip(model.names, dice_of(tables[0], tables[1], len(number)).tolist(), strict=True))
    known = {name: value for name, value in dice.items() if np.isfinite(value)}
    for name in dice:
        print(f"  {name:<32} {f'{known[name]:.3f}' if name in known else 'not in the masks given'}")
    if known:
        print(f"  mean of {len(known)}: {np.mean(list(known.values())):.3f}")
    return known


Fit = Annotated[FitConfig, tyro.conf.subcommand("fit")]
Judge = Annotated[JudgeConfig, tyro.conf.subcommand("judge")]
Apply = Annotated[ApplyConfig, tyro.conf.subcommand("apply")]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    config: FitConfig | JudgeConfig | ApplyConfig
    config = tyro.cli(Fit | Judge | Apply, args=arguments, description=__doc__)
    try:
        if isinstance(config, FitConfig):
            fit(config)
        elif isinstance(config, JudgeConfig):
            judge_command(config)
        else:
            apply(config)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()

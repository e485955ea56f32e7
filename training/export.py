"""``python -m training.export RUN --to DIR``: a run's averaged weights as the encoder that the plugin loads.

A finished run gives what its last stage and its calibration made; one that is under way, or was stopped, gives the
averaged weights of its last checkpoint, calibrated on its validation scans. Before anything is put in place, one scan
is encoded with the run's weights and with the written encoder; they have to agree.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import tyro
from torch import Tensor

from napari_ctvlp.ask.bank import standing_prompts
from napari_ctvlp.encoder.contract import Calibration
from napari_ctvlp.encoder.native import NativeEncoder
from napari_ctvlp.encoder.native_model import NativeModel, Provenance
from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.encoder.vision import VisionConfig
from napari_ctvlp.errors import UserError
from training.calibrate import fit_calibration
from training.config import PretrainConfig
from training.data.records import ScanSource
from training.data.text_models import load_text_tower
from training.data.texts import HELD_OUT_NAMES, NORMAL, Classes, TextBank
from training.engine.checkpoint import load_checkpoint, newest_step, write_state
from training.engine.sources import sources, with_evidence
from training.engine.validate import embed_store, prompt_texts, scan_input, score_pairs
from training.history import WAYS, changes
from training.settings import PRESETS, read_config

AGREE = 1e-4
"""Largest difference between the components of two unit vectors of one organ, from the same float16 weights."""
ROUNDED = 2e-2
"""The same between the run's weights and those rounded to float16."""
PARITY_TEXTS = 32
METHODS_SAID = {
    "ours": "combined (`ours`)",
    "ctglip": "CT-GLIP",
    "fvlm": "fVLM",
    "t3d": "T3D",
    "clip": "CLIP",
    "siglip": "SigLIP",
    "finetune": "fine-tuning",
    "finetune-labels": "fine-tuning",
}


@dataclass(frozen=True)
class Finished:
    """What is exported: weights, classes, calibration and what validation found."""

    average: Mapping[str, Tensor]
    classes: Classes
    calibration: Calibration
    step: int
    result: dict[str, Any]
    text: Mapping[str, Tensor] | None = None
    """Weights of the text tower, where it was trained."""


def save_finished(folder: Path, done: Finished) -> None:
    """Write what a run came to."""
    write_state(
        folder / "final.pt",
        {
            "average": dict(done.average),
            "classes": asdict(done.classes),
            "calibration": asdict(done.calibration),
            "step": done.step,
            "result": json.dumps(done.result),
            **({} if done.text is None else {"text": dict(done.text)}),
        },
    )


def _classes(value: Mapping[str, Any]) -> Classes:
    return Classes(tuple(value["organs"]), tuple((str(o), str(s)) for o, s in value["states"]))


def read_finished(config: PretrainConfig, tower: TextTower) -> Finished:
    """What a run came to: its end, or its last checkpoint where it went on since or is under way; a text tower that it
    trained is put into ``tower``."""
    final = config.run / "final.pt"
    state = torch.load(final, map_location="cpu", weights_only=True) if final.is_file() else None
    if state is not None and int(state["step"]) >= newest_step(config.run):
        calibration = Calibration(tuple(state["calibration"]["default"]), dict(state["calibration"]["by_key"]))
        classes, step, result = _classes(state["classes"]), int(state["step"]), json.loads(state["result"])
        text = _take_over(tower, state.get("text"))
        return Finished(state["average"], classes, calibration, step, result, text)
    state = load_checkpoint(config.run)
    text = _take_over(tower, state.get("average_text"))
    classes = _classes(state["classes"])
    model = model_of(config, state["average"], tower.width)
    _, held_out = sources(config, "cpu")
    held_out.prepare()
    bank = TextBank(tower, prompt_texts(classes, HELD_OUT_NAMES))
    pairs = score_pairs(model, embed_store(model, held_out), classes, bank)
    return Finished(state["average"], classes, fit_calibration(pairs), int(state["step"]), {}, text)


def _take_over(tower: TextTower, state: Mapping[str, Tensor] | None) -> Mapping[str, Tensor] | None:
    if state is not None:
        tower.load_state_dict(dict(state))
    return state


def rounded(tower: TextTower) -> TextTower:
    """The tower as it will be read back, from float16."""
    tower = copy.deepcopy(tower).cpu()
    for tensor in tower.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())
    return tower


def model_of(config: PretrainConfig, state: Mapping[str, Tensor], text_width: int) -> NativeModel:
    """The exported part with a run's weights."""
    model = NativeModel(VisionConfig(**vars(config.model)), text_width)
    model.load_state_dict(dict(state))
    return model.eval().requires_grad_(False)


def text_licence(config: PretrainConfig) -> str:
    """Of the text model, as far as it is known."""
    if config.text.model is None:
        return "Apache-2.0 (text model all-MiniLM-L6-v2)"
    return f"text model {Path(config.text.model).name}: that of its makers"


def told_settings(config: PretrainConfig) -> dict[str, Any]:
    """The settings of a run without the folders of the machine that it ran on."""
    told: dict[str, Any] = json.loads(json.dumps(asdict(config), default=str))
    told["run"], told["config"], told["world"]["folder"] = config.run.name, None, None
    if config.data != "world":
        told["data"] = Path(config.data).name
    if config.start_from is not None:
        told["start_from"] = Path(config.start_from).name
    if config.text.model is not None and Path(config.text.model).is_dir():
        told["text"]["model"] = Path(config.text.model).name
    return told


def command_of(config: PretrainConfig) -> str:
    """The command that makes the same encoder: by a preset where the settings are one's."""
    mine = told_settings(with_evidence(config))
    for name, preset in PRESETS.items():
        theirs = told_settings(with_evidence(preset))
        if all(mine[key] == theirs[key] for key in mine.keys() - WAYS):
            return f"python -m training.pretrain --preset {name}"
    return "python -m training.pretrain --config FILE, with these settings"


def provenance_of(config: PretrainConfig, done: Finished) -> Provenance:
    """What the card says."""
    world = config.world
    said = METHODS_SAID.get(config.method, config.method)
    synthetic = f"{world.train_scans} synthetic scans of {world.bodies} procedural bodies; no real patient"
    changed = changes(config.run)
    command = "python -m training.pretrain in several calls, each after the first with --resume: see calls"
    told = "reports" if config.labels == "reports" else "labels"
    where = "synthetic CT only" if config.data == "world" else f"prepared scans and {told}"
    return Provenance(
        name=config.name,
        licence=f"BSD-3-Clause (vision, projection); {text_licence(config)}",
        trained_on=synthetic if config.data == "world" else f"studies of the prepared store '{Path(config.data).name}'",
        summary=f"Scan encoder trained on {where}, by the {said} objective. Not validated on patients.",
        organs=done.classes.organs,
        abnormalities=tuple(f"{o}/{s}" for o, s in done.classes.states if s != NORMAL),
        training={
            "command": command if changed else command_of(config),
            "config": told_settings(config),
            **({"calls": changed} if changed else {}),
            "steps": done.step,
            "validation": done.result,
            "torch": torch.__version__,
        },
    )


@torch.no_grad()
def organ_vectors(model: NativeModel, store: ScanSource, index: int = 0) -> np.ndarray:
    """(organs, d) vectors of one scan, in float32."""
    tower = model.vision
    given = scan_input(tower, store, store.load(index))
    return np.asarray(tower(given.image, given.labels)[0].float().numpy())


@torch.no_grad()
def text_vectors(model: NativeModel, tower: TextTower, texts: Sequence[str]) -> np.ndarray:
    """(n, d) vectors of texts, by the tower itself and not from what an encoder carries along."""
    return np.asarray(model.project_text(tower(texts)).numpy())


def check_parity(
    model: NativeModel, folder: Path, store: ScanSource, tower: TextTower, texts: Sequence[str]
) -> tuple[float, float]:
    """Encode one scan and texts with a run's weights and with an encoder's folder; the largest differences.

    Raises
    ------
    UserError
        When they do not agree.
    """
    written = NativeEncoder.from_pretrained(folder, device="cpu")
    half = NativeModel(model.vision.config, model.text_projection.in_features)
    half.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})
    three = ((written.model, written.text), (half.eval(), rounded(tower)), (model.eval(), tower))
    differences = []
    for found, same, exact in (
        [organ_vectors(m, store) for m, _ in three],
        [text_vectors(m, t, texts) for m, t in three],
    ):
        for other, limit in ((same, AGREE), (exact, ROUNDED)):
            if found.shape != other.shape or not float(np.abs(found - other).max(initial=0.0)) <= limit:
                raise UserError(
                    "The written encoder does not give what the run's weights give: nothing was put in place."
                )
        differences.append(float(np.abs(found - exact).max(initial=0.0)))
    return differences[0], differences[1]


def write_encoder(config: PretrainConfig, done: Finished, tower: TextTower, folder: Path, store: ScanSource) -> None:
    """Write the encoder of a run, once it was seen to give what the run's weights give."""
    model = model_of(config, {k: v.cpu() for k, v in done.average.items()}, tower.width)
    tower = tower.cpu()
    encoder = NativeEncoder(model, rounded(tower), provenance_of(config, done), done.calibration, device="cpu")
    space, meaning = standing_prompts(encoder)
    encoder.remember([*space, *meaning])
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".export-") as temporary:
        encoder.save_pretrained(Path(temporary) / "encoder")
        # from the run's own weights once more, and not from the object that was written
        plain = model_of(config, {k: v.cpu() for k, v in done.average.items()}, tower.width)
        texts = prompt_texts(done.classes, HELD_OUT_NAMES)[:PARITY_TEXTS]
        organs, told = check_parity(plain, Path(temporary) / "encoder", store, tower, texts)
        encoder.save_pretrained(folder)
    print(
        f"Parity: the written encoder differs by at most {organs:.1e} in any component of an organ's vector, and "
        f"{told:.1e} of a text's."
    )
    print(f"Encoder written to {folder}; open it with: napari-ctvlp SCAN --masks MASKS --encoder {folder}")


@dataclass(frozen=True)
class ExportConfig:
    """Write a run's encoder for the plugin."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of the run."""
    to: Path
    """Folder to write."""


def export(config: ExportConfig) -> None:
    """Read the run, write the encoder."""
    if not (config.run / "config.json").is_file():
        raise UserError(f"'{config.run}' is no run: there is no config.json in it.")
    settings = read_config(config.run / "config.json")
    settings = PretrainConfig(**{**vars(settings), "run": config.run})
    tower = load_text_tower(settings.text)
    _, held_out = sources(settings, "cpu")
    held_out.prepare()
    write_encoder(settings, read_finished(settings, tower), tower, config.to, held_out)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    try:
        export(tyro.cli(ExportConfig, args=arguments, description=__doc__))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()

"""``python -m training.pretrain``: train a scan encoder on synthetic scans and write it for the plugin.

The synthetic world makes labelled scans with sentences per organ; the CT-GLIP objective aligns every organ with its
sentences. Losses are shown as "value/chance", where chance is what guessing among a row's candidates would give. At the
end the averaged weights are calibrated on the validation scans and written to ``RUN/encoder``.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import tyro

from napari_ctvlp.ask.bank import standing_prompts
from napari_ctvlp.encoder.native import NativeEncoder, NativeModel, Provenance
from napari_ctvlp.encoder.text import TextTower, base_text_folder
from napari_ctvlp.encoder.vision import VisionConfig
from napari_ctvlp.errors import UserError
from training.calibrate import fit_calibration
from training.config import PretrainConfig
from training.data.records import OrganRecord
from training.data.store import WorldStore
from training.data.stream import WorldStream
from training.data.texts import HELD_OUT_NAMES, NORMAL, Classes, TextBank, classes_of, classes_of_world
from training.engine import loop
from training.engine.refine import refine, restandardise, scan_features
from training.engine.step import Wordings
from training.engine.validate import (
    Embedded,
    PairScores,
    auc_by_abnormality,
    embed_store,
    organ_accuracy,
    prompt_texts,
    score_pairs,
)
from training.world.report.sentences import dictionary_sentences, organ_name_texts

FIRST_SCANS = 16
"""Scans that the head's standardisation is fitted on before the first step."""
QUICK_SCANS = 40
"""Validation scans looked at while training; all of them at the end."""


def sources(config: PretrainConfig) -> tuple[WorldStore | WorldStream, WorldStore]:
    """The training and the validation scans of a run."""
    world, folder = config.world, config.world.folder or config.run / "scans"
    other = max(1, world.bodies // 4)
    kept = functools.partial(WorldStore, seed=world.seed, spacing=config.model.spacing, abnormal=world.abnormal)
    train: WorldStore | WorldStream
    if world.stream:
        device = config.device or ("cuda" if torch.cuda.is_available() else "cpu")
        train = WorldStream(
            "train", world.train_scans, world.seed, world.bodies, config.model.spacing, world.abnormal, device
        )
    else:
        train = kept(folder / "train", "train", world.train_scans, bodies=world.bodies)
    held_out = kept(folder / "validation", "validation", world.validation_scans, bodies=other)
    return train, held_out


def wordings_of(classes: Classes) -> Wordings:
    """Training wordings of every organ and class."""
    return Wordings(
        {organ: organ_name_texts(organ) for organ in classes.organs},
        [dictionary_sentences(organ, None if state == NORMAL else state) for organ, state in classes.states],
    )


def text_bank(
    tower: TextTower, classes: Classes, wordings: Wordings, records: Iterable[OrganRecord], cache: Path
) -> TextBank:
    """Embed every text that training and validation will ask for."""
    texts: list[str] = [t for options in wordings.names.values() for t in options]
    texts += [t for options in wordings.classes for t in options]
    texts += [t for record in records if record.abnormalities for t in record.texts]
    texts += prompt_texts(classes, HELD_OUT_NAMES)
    return TextBank(tower, texts, cache)


def report(run: loop.Run, embedded: Embedded, pairs: list[PairScores]) -> dict[str, Any]:
    """Print and return how the averaged weights do on held-out scans, per abnormality whether above chance."""
    accuracy = organ_accuracy(run.average, embedded, run.classes, run.bank, HELD_OUT_NAMES)
    aucs = auc_by_abnormality(pairs)
    mean = sum(i.value for i in aucs.values()) / max(1, len(aucs))
    scans = len(set(embedded.scan.tolist()))
    print(
        f"\nstep {run.step}: organs by sight {accuracy:.3f} (chance {1 / len(run.classes.organs):.3f}), "
        f"abnormality AUC {mean:.3f} (chance 0.5), {scans} held-out scans"
    )
    for key, interval in aucs.items():
        mark = "above chance" if interval.above_chance else "not above chance"
        print(f"  {key:<26} {interval}  {interval.positives:>3} of {interval.positives + interval.negatives:<5} {mark}")
    sys.stdout.flush()
    return {
        "scans": scans,
        "organ_accuracy": round(accuracy, 4),
        "mean_auc": round(mean, 4),
        "auc": {k: [round(i.value, 4), round(i.low, 4), round(i.high, 4)] for k, i in aucs.items()},
    }


def look(run: loop.Run, held_out: WorldStore, scans: int | None = None) -> tuple[Embedded, list[PairScores]]:
    """Embed held-out scans with the averaged weights and score them."""
    device = str(next(run.average.parameters()).device)
    embedded = embed_store(run.average, held_out, scans, device)
    return embedded, score_pairs(run.average, embedded, run.classes, run.bank)


def export(run: loop.Run, tower: TextTower, pairs: list[PairScores], result: dict[str, Any]) -> None:
    """Calibrate the averaged weights and write the encoder."""
    world = run.config.world
    provenance = Provenance(
        name=run.config.name,
        licence="BSD-3-Clause (vision, projection); Apache-2.0 (text model all-MiniLM-L6-v2)",
        trained_on=f"{world.train_scans} synthetic scans of {world.bodies} procedural bodies; no real patient",
        summary="Scan encoder trained on synthetic CT only, by the CT-GLIP objective. Not validated on patients.",
        organs=run.classes.organs,
        abnormalities=tuple(f"{o}/{s}" for o, s in run.classes.states if s != NORMAL),
        training={
            "command": "python -m training.pretrain",
            "config": json.loads(json.dumps(asdict(run.config), default=str)),
            "steps": run.step,
            "validation": result,
            "torch": torch.__version__,
        },
    )
    encoder = NativeEncoder(run.average, tower, provenance, fit_calibration(pairs), device="cpu")
    space, meaning = standing_prompts(encoder)
    encoder.remember([*space, *meaning])
    encoder.save_pretrained(run.folder / "encoder")
    folder = run.folder / "encoder"
    print(f"Encoder written to {folder}; open it with: napari-ctvlp SCAN --masks MASKS --encoder {folder}")


def pretrain(config: PretrainConfig) -> None:
    """Make the scans, train, validate, calibrate, export."""
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    if not config.resume and (config.run / "last.pt").is_file():
        raise UserError(f"'{config.run}' holds a run: add --resume to go on, or choose another --run.")
    (config.run / "scans").mkdir(parents=True, exist_ok=True)
    (config.run / "config.json").write_text(json.dumps(asdict(config), indent=1, default=str) + "\n")
    train_store, held_out = sources(config)
    train_store.prepare()
    held_out.prepare()
    records: list[OrganRecord] = []
    if isinstance(train_store, WorldStore):
        records = [r for i in range(train_store.count) for r in train_store.records(i).values()]
    classes = classes_of(records) if records else classes_of_world()
    wordings = wordings_of(classes)
    tower = TextTower.from_folder(config.text_model or base_text_folder())
    bank = text_bank(tower, classes, wordings, records, config.run / "scans" / "texts.pt")

    torch.manual_seed(config.seed)
    device = config.device or ("cuda" if torch.cuda.is_available() else "cpu")
    shape = VisionConfig(**asdict(config.model))
    model = NativeModel(shape, tower.width).to(device)
    if not config.resume:
        first = scan_features(model, train_store, FIRST_SCANS)
        restandardise(model, torch.cat([f.pooled for f in first]).float().to(device))
    run, optimizer = loop.start(config, model, train_store, classes, wordings, bank)
    parameters = sum(p.numel() for p in model.parameters())
    print(
        f"{parameters / 1e6:.2f} M parameters, {len(classes.organs)} organs, {len(classes.states)} classes, "
        f"{len(bank.row)} texts, {train_store.count} + {held_out.count} scans, {device}, from step {run.step}"
    )
    loop.train(run, optimizer, lambda r: report(r, *look(r, held_out, QUICK_SCANS)))
    if run.done:
        if config.refine.steps:
            features = scan_features(run.average, train_store)
            run.average = refine(run.average, features, classes, wordings, bank, config)
        embedded, pairs = look(run, held_out)
        result = report(run, embedded, pairs)
        loop.log(config.run, {"step": run.step, "final": result})
        export(run, tower, pairs, result)


def main() -> None:
    """Command line."""
    try:
        pretrain(tyro.cli(PretrainConfig, description=__doc__))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()

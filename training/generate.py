"""``python -m training.generate fit ENCODER``: train a writer of reports on what an encoder sees of every organ.
``python -m training.generate write WRITER SCAN --masks MASKS`` has it draft one.

Any encoder of this project will do; T3D is evaluated so in its paper. The encoder stays as it is: the writer, a small
language model, learns from the reports of the scans and from what they say of single organs. At the end it writes of
the validation scans, and is compared with the real reports beside three baselines: the report of the training scan that
is most alike, that of another scan by lot, and the findings that the encoder scores above one half.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from napari_ctvlp.atomic import check_places
from napari_ctvlp.encoder.artifact import digest
from napari_ctvlp.encoder.native_files import NativeParts
from napari_ctvlp.encoder.preprocess import network_input
from napari_ctvlp.errors import UserError
from napari_ctvlp.files import write_whole
from napari_ctvlp.scan import read_masks, read_scan
from training.config import ModelConfig, PretrainConfig, WorldConfig
from training.data.loader import cores
from training.data.prepared import PreparedStore
from training.data.records import patients_of
from training.data.seeding import derived_seed
from training.data.store import WorldStore
from training.data.stream import WorldStream
from training.engine.checkpoint import has_checkpoint
from training.engine.sources import Stored, sources
from training.generation import scores
from training.generation.batches import Examples, examples_of
from training.generation.draft import Line, draft, laid_out, told_by_scores, told_once, v2_labels
from training.generation.files import Written, read_writer, write_writer
from training.generation.fit import FitConfig, fit
from training.generation.slots import Slots, network_of, seen, slots_of
from training.generation.tokens import Tokens, findings_of
from training.generation.writer import Writer, WriterConfig
from training.retrieve import read_parts


@dataclass(frozen=True)
class GenerateConfig:
    """A writer and what it learns from."""

    encoder: Annotated[str, tyro.conf.Positional]
    """Folder of an encoder of this project, or the name of an installed one."""
    run: Annotated[Path, tyro.conf.arg(aliases=["--out"])] = Path("runs/reports")
    """Folder of the run: cache, checkpoints, log and, at the end, ``writer``."""
    data: str = "world"
    """"world" for synthetic scans, or a folder that ``python -m training.prepare`` wrote."""
    world: WorldConfig = field(default_factory=WorldConfig)
    writer: WriterConfig = field(default_factory=WriterConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    seed: int = 0
    resume: bool = False
    """Go on from the run's last checkpoint."""
    device: str = "cpu"
    threads: int | None = None
    """CPU threads; all cores by default."""


@dataclass(frozen=True)
class WriteConfig:
    """A draft of the report of one scan."""

    writer: Annotated[Path, tyro.conf.Positional]
    """Folder of a writer."""
    scan: Annotated[Path, tyro.conf.Positional]
    masks: Path
    """Of its organs."""
    encoder: str | None = None
    """Folder of the encoder that the writer was trained with, or its name; what the writer says by default."""
    whole: bool = False
    """Write the whole report at once, in the style of those that were learned from, in place of each organ by itself,
    from its own vector alone."""
    to: Path | None = None
    """Text file to write; printed by default."""
    device: str = "cpu"


Commands = (
    Annotated[GenerateConfig, tyro.conf.subcommand("fit")] | Annotated[WriteConfig, tyro.conf.subcommand("write")]
)


def learn(config: GenerateConfig) -> dict[str, scores.Scored]:
    """Train, score, write.

    Raises
    ------
    UserError
        When the encoder or the data cannot be read, or the run is there already.
    """
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    parts = read_parts(config.encoder)
    try:
        config.run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"'{config.run}' cannot be written ({error.strerror}): choose another --out.") from error
    if has_checkpoint(config.run) and not config.resume:
        raise UserError(f"'{config.run}' holds a run: add --resume to go on, or choose another --out.")
    train, held_out = _stores(config, parts)
    slots = {store.split: _slots(config, parts, store) for store in (train, held_out)}
    examples = _examples(train, slots[train.split])
    tokens = Tokens.learned(_texts(examples), config.writer.vocabulary)
    torch.manual_seed(derived_seed(config.seed, "writer"))
    writer = Writer(config.writer, slots[train.split].vectors.shape[2], len(tokens)).to(config.device)
    size = sum(p.numel() for p in writer.parameters()) / 1e6
    print(
        f"{size:.2f} M parameters, {len(tokens)} tokens, {sum(map(bool, examples.reports))} reports, "
        f"{len(examples.said)} organs spoken of, {held_out.count} scans held out"
    )
    fit(writer, tokens, examples, config.fit, config.run, config.seed, _begun(config, parts))
    for tensor in writer.state_dict().values():
        tensor.copy_(tensor.half())  # as it will be read back
    found = judge(writer.to("cpu"), tokens, examples, held_out, slots[held_out.split], parts)
    told = {name: {k: round(v.value, 4) for k, v in each.figures.items()} for name, each in found.items()}
    made = {"data": Path(config.data).name, "steps": config.fit.steps, "seed": config.seed, "validation": told}
    whole = {name: {k: [v.value, v.low, v.high] for k, v in each.figures.items()} for name, each in found.items()}
    write_whole(config.run / "scores.json", json.dumps(whole, indent=1) + "\n")
    card = Written(writer, tokens, parts.provenance.name, digest(parts.model.state_dict()), made)
    write_writer(config.run / "writer", card)
    print(f"written to '{config.run / 'writer'}'")
    return found


def _begun(config: GenerateConfig, parts: NativeParts) -> str:
    """What may not change when a run goes on; it may take more steps."""
    fixed = replace(config.fit, steps=0, checkpoint_every=0)
    kept = [digest(parts.model.state_dict()), config.data, config.world, config.writer, fixed, config.seed]
    return f"{derived_seed(*map(str, kept)):016x}"


def _stores(config: GenerateConfig, parts: NativeParts) -> tuple[Stored, Stored]:
    spacing = parts.model.vision.config.spacing
    as_run = PretrainConfig(run=config.run, data=config.data, world=config.world, model=ModelConfig(spacing=spacing))
    train, held_out = sources(as_run, config.device)
    if isinstance(train, WorldStream) or config.world.first is not None:
        raise UserError("A writer learns from scans that are kept: leave out --world.stream and --world.first.")
    for store in (train, held_out):
        store.prepare()
        if not store.count:
            raise UserError(f"'{Path(config.data).name}' has no {store.split} scans.")
    return train, held_out


def _slots(config: GenerateConfig, parts: NativeParts, store: Stored) -> Slots:
    """Kept in the run by what they are of."""
    made_from = store.seed if isinstance(store, WorldStore) else _volumes(store)
    told = derived_seed(digest(parts.model.state_dict()), made_from, store.count)
    keep = config.run / "slots" / f"{store.split}-{told:016x}"
    workers = 0 if config.device.startswith("cuda") else (config.threads or cores())
    return slots_of(network_of(parts, config.device), store, keep, workers)


def _volumes(store: PreparedStore) -> int:
    """A number of all scans of a prepared store as they are now: it may be prepared anew, with as many."""
    return derived_seed([store.record(n)["volume_hash"] for n in range(store.count)])


def _examples(store: Stored, slots: Slots) -> Examples:
    numbers = range(store.count)
    reports = [findings_of(store.report(n)) for n in numbers]
    return examples_of(slots, reports, [store.records(n) for n in numbers])


def _texts(examples: Examples) -> list[str]:
    return [*filter(None, examples.reports), *(text for _, _, said, _ in examples.said for text in said)]


def judge(
    writer: Writer, tokens: Tokens, examples: Examples, store: Stored, slots: Slots, parts: NativeParts
) -> dict[str, scores.Scored]:
    """Write of held-out scans and compare, beside the baselines; prints a table."""
    reports = [findings_of(store.report(n)) for n in range(store.count)]
    told = [n for n, report in enumerate(reports) if report]
    if not told:
        raise UserError("None of the validation scans has a report: nothing to compare with.")
    real = [reports[n] for n in told]
    own = Slots(slots.vectors[told], slots.there[told])
    known = [n for n, report in enumerate(examples.reports) if report]
    alike = scores.nearest(own.vectors[:, 0].float().numpy(), examples.slots.vectors[known, 0].float().numpy())
    tried = {
        "written": [
            "\n".join(told_once(tokens.text(ids).splitlines())) for ids in writer.write(own.vectors, own.there)
        ],
        "organ by organ": [
            "\n".join(line.text for line in draft(writer, tokens, v, t, by_organ=True))
            for v, t in zip(own.vectors, own.there, strict=True)
        ],
        "scores above one half": told_by_scores(parts, own),
        "report of the most alike": [examples.reports[known[n]] for n in alike],
        "report of another by lot": [real[n] for n in scores.others(len(real))],
    }
    _, patient = np.unique(patients_of(store)[told], return_inverse=True)
    found = {name: scores.scored(texts, real, patient.astype(np.int64)) for name, texts in tried.items()}
    print(f"\n{len(real)} scans held out, {patient.max() + 1} patients; 95 % intervals")
    print(f"{'':<28}" + "".join(f"{name:<22}" for name in found["written"].figures))
    for name, each in found.items():
        print(f"{name:<28}" + "".join(f"{figure!s:<22}" for figure in each.figures.values()))
    return found


def write(config: WriteConfig) -> list[Line]:
    """Draft the report of a scan.

    Raises
    ------
    UserError
        When something cannot be read, or the encoder is another one than the writer learned from.
    """
    check_places(config.to)
    kept = read_writer(config.writer)
    parts = read_parts(config.encoder or kept.encoder)
    if digest(parts.model.state_dict()) != kept.revision:
        raise UserError(
            f"The writer in '{config.writer.name}' reads the vectors of another encoder ({kept.encoder}, revision "
            f"{kept.revision}): give that one by --encoder."
        )
    scan = read_scan(config.scan)
    masks = read_masks(config.masks, scan)
    vision = parts.model.vision.config
    given = network_input(scan.hu, v2_labels(masks), scan.spacing, target=vision.spacing, windows=vision.windows)
    vectors, there = seen(network_of(parts, config.device), given)
    lines = draft(kept.writer, kept.tokens, vectors, there, by_organ=not config.whole)
    text = laid_out(lines)
    note = "Draft by a machine, for research: it states what is not there, and leaves out what is."
    if config.to is None:
        print(f"{text}\n\n({note})")
    else:
        write_whole(config.to, f"{text}\n\n({note})\n")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    try:
        given = tyro.cli(Commands, args=arguments, description=__doc__)
        write(given) if isinstance(given, WriteConfig) else learn(given)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()

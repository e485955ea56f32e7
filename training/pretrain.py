"""``python -m training.pretrain``: train a scan encoder by any of the methods and write it for the plugin.

Scans come from the synthetic world (``--data world``) or from a folder that ``python -m training.prepare`` wrote.
Losses are shown as "value/chance", where chance is what guessing among a row's candidates would give. At the end the
averaged weights are calibrated on the validation scans and written to ``RUN/encoder``. Under ``torchrun`` the processes
share every step.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import torch

from napari_ctvlp.encoder.native_model import NativeModel
from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.encoder.vision import VisionConfig
from napari_ctvlp.errors import UserError
from training.calibrate import fit_calibration
from training.checks import check_settings
from training.config import PretrainConfig
from training.data.own_labels import labels_told
from training.data.prepared import PreparedStore
from training.data.records import OrganRecord
from training.data.store import WorldStore
from training.data.stream import WorldStream
from training.data.text_models import load_text_tower, pinned
from training.data.texts import HELD_OUT_NAMES, Bank, Classes, TextBank, classes_of, classes_of_world, told_classes
from training.engine import loop
from training.engine.beginning import at_shape_of_start, begin_from
from training.engine.checkpoint import has_checkpoint
from training.engine.dry_run import dry_run
from training.engine.estimate import QUICK_SCANS
from training.engine.features import ScanFeatures, scan_features
from training.engine.feeding import growth_of, scans_made
from training.engine.log import log
from training.engine.network import make_learner
from training.engine.organs import contrasts, organ_lines, organ_log
from training.engine.processes import process_group, rank, run_device, wait
from training.engine.refine import features_of_run, fit_heads, forget_features, refine
from training.engine.resume import check_resumable
from training.engine.sentences import Vocabulary
from training.engine.shard import in_one_piece
from training.engine.sources import Stored, at_spacing_of_data, sources, text_bank, with_evidence, wordings_of
from training.engine.text import StepBank, trained_tower
from training.engine.validate import (
    Embedded,
    PairScores,
    auc_by_abnormality,
    auc_by_organ,
    embed_store,
    of_patients,
    organ_accuracy,
    prompt_texts,
    score_pairs,
)
from training.export import Finished, save_finished, told_settings, write_encoder
from training.history import note_call
from training.settings import check_labels, check_method, from_command_line, read_config, write_config

FIRST_SCANS = 32
"""Scans that the head's standardisation is fitted on before the first step."""


def asked(run: loop.Run) -> Vocabulary:
    """The run's texts by the text tower that is exported: where it is trained, the averaged one as it is now."""
    if run.average_text is None:
        return run.vocabulary
    bank = TextBank(run.average_text, prompt_texts(run.classes, HELD_OUT_NAMES))
    return replace(run.vocabulary, bank=bank)


def report(run: loop.Run, bank: Bank, embedded: Embedded, pairs: list[PairScores]) -> dict[str, Any]:
    """Print and return how the averaged weights do on held-out scans, per abnormality and per organ whether above
    chance, with each organ's contrast in the last steps."""
    accuracy = organ_accuracy(run.average, embedded, run.classes, bank, HELD_OUT_NAMES)
    aucs = auc_by_abnormality(pairs)
    mean = sum(i.value for i in aucs.values()) / len(aucs) if aucs else None
    scans = len(set(embedded.scan.tolist()))
    print(
        f"\nstep {run.step}: organs by sight {accuracy:.3f} (chance {1 / len(run.classes.organs):.3f}), "
        f"abnormality AUC {'-' if mean is None else f'{mean:.3f}'} (chance 0.5), {scans} held-out scans"
    )
    for key, interval in aucs.items():
        print(
            f"  {key:<28} {interval}  {interval.positives:>3} of {interval.positives + interval.negatives:<5} "
            f"{interval.verdict}"
        )
    contrast, by_organ = contrasts(run.seen, run.classes), auc_by_organ(pairs)
    for line in organ_lines(contrast, by_organ):
        print(line)
    sys.stdout.flush()
    return {
        "scans": scans,
        "organ_accuracy": round(accuracy, 4),
        "mean_auc": None if mean is None else round(mean, 4),
        "auc": {k: [round(i.value, 4), round(i.low, 4), round(i.high, 4)] for k, i in aucs.items()},
        "organs": organ_log(contrast, by_organ),
    }


def look(run: loop.Run, bank: Bank, held_out: Stored, scans: int | None = None) -> tuple[Embedded, list[PairScores]]:
    """Embed held-out scans with the averaged weights and score them, patient by patient."""
    embedded = embed_store(run.average, held_out, scans, str(run.learner.device))
    return embedded, of_patients(score_pairs(run.average, embedded, run.classes, bank), held_out)


def validate(run: loop.Run, held_out: Stored) -> dict[str, Any]:
    """Look at a few held-out scans while training."""
    bank = asked(run).bank
    return report(run, bank, *look(run, bank, held_out, QUICK_SCANS))


def described(run: loop.Run) -> str:
    """What a run does with its texts, in words."""
    if run.learner.text is None:
        bank = run.vocabulary.bank
        return f"frozen with {len(bank.row)} texts" if isinstance(bank, TextBank) else "frozen"
    trained = sum(p.numel() for p in run.learner.text.parameters() if p.requires_grad)
    return f"trained ({trained / 1e6:.2f} M parameters)"


def classes_and_records(config: PretrainConfig, store: Stored | WorldStream) -> tuple[Classes, list[OrganRecord]]:
    """The classes of a run, and what is known of its organs where that is known beforehand."""
    if isinstance(store, WorldStream) or config.world.first is not None:
        return classes_of_world(), []  # of scans that there are not yet
    records = [r for i in range(store.count) for r in store.records(i).values()]
    if not records:
        raise UserError("The training scans hold no organs: their masks are empty or of no known scheme.")
    return classes_of(records, at_least=config.at_least), records


def begin(config: PretrainConfig, device: str) -> tuple[loop.Run, TextTower, Stored]:
    """Everything that a run needs: scans, texts, networks."""
    store, held_out = sources(config, device)
    if rank() == 0 and not config.dry_run:
        if isinstance(store, WorldStore):
            store.prepare(first=config.world.first)
        else:
            store.prepare()
        held_out.prepare()
    wait()
    if isinstance(store, PreparedStore) and store.own:
        said = labels_told(name for i in range(store.count) for name in store.labels(i))
        if rank() == 0:
            print(said)
    classes, records = classes_and_records(config, store)
    wordings = wordings_of(classes)
    tower = load_text_tower(config.text).to(device)
    torch.manual_seed(config.seed)
    shape = VisionConfig(**vars(config.model))
    text = trained_tower(tower, config.text)
    states = len(classes.states)
    learner = make_learner(config, lambda: NativeModel(shape, tower.width), states, text).to(device)
    if rank() == 0 and records:
        print(told_classes(records, config.at_least, config.method, of_organs=learner.needs.organs))
    if config.start_from is not None and not config.resume:
        begin_from(learner, config.start_from)
    read = learner.needs.whole and bool(records)
    reports = [store.report(i) for i in range(store.count)] if read else []
    bank: Bank
    if rank() > 0:
        wait()  # for the vectors that the first process keeps in the cache
    if text is not None:
        bank = StepBank(text, config.text.micro, config.optim.half)
    elif config.dry_run:
        bank = TextBank(tower, [])  # a measured step embeds what it needs
    else:
        bank = text_bank(tower, classes, wordings, records, reports, config.text_cache, hard=learner.needs.hard)
    if rank() == 0:
        wait()
    if not (config.resume or config.dry_run or config.start_from) and rank() == 0:
        numbers = None
        if config.world.first is not None and isinstance(store, WorldStore):
            numbers = store.order[: min(FIRST_SCANS, config.world.first)]  # there are no others yet
        for network in learner.parts:
            fit_heads(network, scan_features(network, store, FIRST_SCANS, numbers=numbers))
    wait()
    run = loop.start(config, learner, store, Vocabulary(classes, wordings, bank))
    return run, tower, held_out


def finish(run: loop.Run, tower: TextTower, held_out: Stored, features: list[list[ScanFeatures]] | None) -> None:
    """The last stage, calibration, and the encoder; ``features`` as of :func:`refine`."""
    config, vocabulary = run.config, asked(run)
    tower = run.average_text or tower
    if not run.heads.asks_in_words:
        print(f"Method {config.method} cannot be asked in words: no encoder is written; training.compare scores it.")
        return
    if config.refine.steps:
        run.average, run.heads = refine(run, vocabulary, features)
    embedded, pairs = look(run, vocabulary.bank, held_out)
    result = report(run, vocabulary.bank, embedded, pairs)
    log(config.run, {"step": run.step, "final": result})
    state = {k: v.cpu() for k, v in run.average.state_dict().items()}
    text = None if run.average_text is None else {k: v.cpu() for k, v in run.average_text.state_dict().items()}
    figures = {k: v for k, v in result.items() if k != "organs"}
    done = Finished(state, run.classes, fit_calibration(pairs), run.step, figures, text)
    save_finished(config.run, done)
    write_encoder(config, done, tower, config.run / "encoder", held_out)
    forget_features(config.run)


def pretrain(config: PretrainConfig) -> None:
    """Make the scans, train, validate, calibrate, export."""
    check_method(config.method)
    check_labels(config)
    check_settings(config)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    device = run_device(config.device)
    with process_group(device):
        config = with_evidence(at_spacing_of_data(at_shape_of_start(config)))
        _pretrain(replace(config, text=pinned(config.text)), device)


def _pretrain(config: PretrainConfig, device: str) -> None:
    """As one of the processes."""
    if config.dry_run:
        run, _, held_out = begin(config, device)
        dry_run(run, held_out)
        return
    if config.resume:
        check_resumable(config)
    elif has_checkpoint(config.run):
        raise UserError(f"'{config.run}' holds a run: add --resume to go on, or choose another --run.")
    written, before = config.run / "config.json", None
    if rank() == 0:
        try:
            (config.run / "scans").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"'{config.run}' cannot be written ({error.strerror}): choose another --run.") from error
        if config.resume and written.is_file():
            before = told_settings(with_evidence(read_config(written)))
    wait()
    run, tower, held_out = begin(config, device)
    if rank() == 0:
        write_config(config, written)  # once the checkpoint was taken: a refused call leaves the run as it was
        note_call(config.run, run.step, told_settings(config), before)
        parameters = sum(p.numel() for p in run.learner.parameters())
        print(
            f"Method {config.method}: {parameters / 1e6:.2f} M parameters, {len(run.classes.organs)} organs, "
            f"{len(run.classes.states)} classes, text tower {described(run)}, "
            f"{run.store.count} + {held_out.count} scans, {device}, from step {run.step}"
        )
    with scans_made(run):
        loop.train(run, lambda r: validate(r, held_out))
    growth = growth_of(run)
    if run.done and rank() == 0 and growth is not None and isinstance(run.store, WorldStore):
        run.store.prepare(first=growth.at(run.step))  # those that no step waited for
    wait()
    whole = in_one_piece(run) if run.done else run
    # networks in shares come together in the first process alone
    shared = run.done and run.shards is None and run.heads.asks_in_words and config.refine.steps > 0
    features = features_of_run(run) if shared else None
    if run.done and rank() == 0:
        finish(whole, tower, held_out, features)
    wait()


def main() -> None:
    """Command line."""
    try:
        pretrain(from_command_line(sys.argv[1:], __doc__))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()

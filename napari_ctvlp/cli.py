"""The command line: ``napari-ctvlp`` opens the window; ``audit``, ``score``, ``evidence``, ``compare``, ``prompts``,
``stats``, ``report``, ``followup``, ``export``, ``segment``, ``dictionary``, ``encoders``, ``install`` and ``doctor``
need none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from napari_ctvlp import asking_commands, command_arguments, commands, encoder_commands, export_commands
from napari_ctvlp.atomic import check_places
from napari_ctvlp.ending import ends_in_order
from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from napari_ctvlp.saved_answers import SavedAnswers

WRONG_INPUT = 2
"""Exit status for bad input, as for bad arguments."""


@dataclass(frozen=True)
class WindowArgs:
    """Open a CT scan in napari and ask it in plain words.

    These work without a window: ``napari-ctvlp audit PATH`` prints what a scan is and whether it is plausible,
    ``score SCAN --masks MASKS`` writes scores and answers, ``evidence`` says why a score is as it is, ``compare``
    sets two questions side by side, ``prompts`` tries other words for a finding, ``stats`` volumes and HU of organs,
    ``report`` one page with pictures, ``followup`` what has changed since a prior scan, ``export`` masks and maps,
    ``segment SCAN`` makes masks with TotalSegmentator, ``dictionary`` shows or copies the abnormality dictionary,
    ``encoders`` lists the encoders, ``install ENCODER`` brings one here, ``doctor ENCODER`` examines one. Research use,
    not for diagnosis.
    """

    scan: Annotated[Path | None, tyro.conf.Positional] = None
    """NIfTI, NRRD or MetaImage file, DICOM folder or one DICOM file, or a folder with a scan and its masks; an empty
    window without."""
    masks: Path | None = None
    """File with all organs (NIfTI, NRRD, MetaImage, DICOM SEG, RTSTRUCT), or folder of one-organ masks."""
    ask: str | None = None
    """Question to ask when the scan is ready."""
    encoder: str | None = None
    """Name of an encoder (`napari-ctvlp encoders` lists them), or folder of one; without, that of the preferences."""
    series: str | None = None
    """Which series of a DICOM folder that holds several."""
    sample: bool = False
    """Open the built-in synthetic scan with its masks."""
    session: Path | None = None
    """Restore this saved session."""
    screenshot: Path | None = None
    """Save a picture of the window once the answer is drawn, and close it."""


@dataclass(frozen=True)
class AuditArgs:
    """Print orientation, spacing, field of view, HU range and what looks wrong; free of patient information.

    With masks also the contrast phase and the organs that are cut, with an encoder its card; ``--html`` and ``--pdf``
    write the card as a page to print.
    """

    path: Annotated[Path, tyro.conf.Positional]
    """NIfTI, NRRD or MetaImage file, DICOM folder or one DICOM file."""
    series: str | None = None
    """Which series of a DICOM folder that holds several."""
    masks: Path | None = None
    """File with all organs (NIfTI, NRRD, MetaImage, DICOM SEG, RTSTRUCT), or folder of one-organ masks."""
    encoder: str | None = None
    """Add the card of this encoder: a name, or a folder of one."""
    html: Path | None = None
    """Write the audit card as one HTML page to print."""
    pdf: Path | None = None
    """Write it as PDF; needs Qt, no screen."""


@dataclass(frozen=True)
class ScoreArgs(command_arguments.Inputs):
    """Answer questions and score abnormalities per organ, by the code that the window runs."""

    ask: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default=())
    """Question; repeat the option for more."""
    ask_file: Path | None = None
    """Text file with one question a line."""
    encoder: str = "starter"
    """Name of an encoder (`napari-ctvlp encoders` lists them), or folder of one."""
    also: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default=())
    """Another encoder to ask too; repeat the option for more. Adds what each says and where they disagree."""
    taught: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = field(default=())
    """File of findings taught by examples in the window, to score too; repeat the option for more."""
    session: Path | None = None
    """Answer what was asked and pinned in this saved session, with its scan, masks, encoder and taught findings."""
    by_sight: bool = False
    """Rank by what the encoder sees alone: the names of organs do not count."""
    json: Path | None = None
    """Write everything as JSON (the layout is in the README)."""
    csv: Path | None = None
    """Write one table of scores and answers."""
    screenshot: Path | None = None
    """Save a picture of the window with the first question answered (needs a screen or a virtual one)."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``napari-ctvlp``; bad input ends with one sentence on standard error and status 2."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        if args[:1] and args[0] in COMMANDS:
            kind, run = COMMANDS[args[0]]
            given: Any = tyro.cli(kind, prog=f"napari-ctvlp {args[0]}", args=args[1:])
            with ends_in_order():
                run(given)
        else:
            command_arguments.check_word(next(iter(args), None), COMMANDS)  # before what follows it is unknown
            _window(tyro.cli(WindowArgs, prog="napari-ctvlp", args=args))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(WRONG_INPUT) from None
    except MemoryError:
        print("error: There is not enough memory for this scan; close other programs or crop it.", file=sys.stderr)
        raise SystemExit(WRONG_INPUT) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _window(args: WindowArgs) -> None:
    _check_choice(args.scan, args.masks, args.sample)
    command_arguments.check_word(args.scan, COMMANDS)
    from napari_ctvlp._qt.launch import open_window
    from napari_ctvlp._qt.own_process import run_until_told

    scan, masks = commands.paired(args.scan, args.masks)
    if args.session is not None and (scan is not None or args.sample):
        raise UserError("Choose either --session or a scan.")
    open_window(
        scan,
        masks,
        ask=args.ask,
        encoder=args.encoder,
        sample=args.sample,
        series=args.series,
        saved=args.session,
        screenshot=args.screenshot,
    )
    if args.screenshot is None:
        run_until_told()
    else:
        print(f"Window saved to {args.screenshot}")


def _audit(args: AuditArgs) -> None:
    from napari_ctvlp.scan import read_masks, read_scan

    check_places(args.html, args.pdf)
    if args.pdf is not None:
        try:
            from napari_ctvlp._qt.audit_window import write_card_pdf
        except ImportError as error:
            raise UserError(commands.NO_PDF) from error
    path, masks_path = commands.paired(args.path, args.masks)
    scan = read_scan(path or args.path, series=args.series)
    masks = None if masks_path is None else read_masks(masks_path, scan)
    print(f"{scan.name}: {' x '.join(map(str, scan.hu.shape))} voxels (I, P, L)")
    if masks is None and args.encoder is None and args.html is None and args.pdf is None:
        print(scan.audit)
        return
    from napari_ctvlp.ask.audit_card import audit_card, write_card

    card = None
    if args.encoder is not None:
        from napari_ctvlp.encoder import load_encoder

        card = load_encoder(args.encoder).card
    found = audit_card(scan, masks, card)
    for heading, audit in found.sections:
        print(f"\n{heading}\n{audit}")
    if args.html is not None:
        print(f"\nAudit card written to {write_card(args.html, found)}")
    if args.pdf is not None:
        print(f"\nAudit card written to {write_card_pdf(args.pdf, found)}")


def _score(args: ScoreArgs) -> None:
    questions = commands.questions_of(args.ask, args.ask_file)
    from napari_ctvlp.ask import write_csv, write_json

    check_places(args.json, args.csv)
    use_names = not args.by_sight
    if args.session is not None:
        saved = _saved(args, args.session, questions)
        scan, masks, embedding, questions = saved.scan, saved.masks, saved.embedding, list(saved.questions)
        answers, use_names = saved.answers, saved.use_names
    else:
        scan, masks = commands.open_inputs(args, "napari-ctvlp score SCAN --masks MASKS")
        embedding, answers = commands.answers_to(questions, args.encoder, scan, masks, args.taught, use_names)
    if args.also:
        answers |= encoder_commands.beside(args.also, questions, scan, masks, embedding, use_names)
    if args.json is not None:
        write_json(args.json, answers)
        print(f"Answers written to {args.json}")
    if args.csv is not None:
        write_csv(args.csv, answers)
        print(f"Table written to {args.csv}")
    if args.json is None and args.csv is None:
        _print_answers(answers)
    if args.screenshot is not None:
        from napari_ctvlp._qt.launch import open_window

        question = questions[0] if questions else None
        open_window(
            *commands.paired(args.scan, args.masks),
            ask=question,
            encoder=args.encoder,
            sample=args.sample,
            series=args.series,
            saved=args.session,
            screenshot=args.screenshot,
        )
        print(f"Window saved to {args.screenshot}")


def _saved(args: ScoreArgs, path: Path, questions: Sequence[str]) -> SavedAnswers:
    if args.scan is not None or args.masks is not None or args.sample or args.series is not None or args.taught:
        raise UserError("Choose either --session or a scan: a session names its scan, masks and taught findings.")
    if args.encoder != ScoreArgs.encoder:
        raise UserError("A session names its encoder: leave --encoder away, or ask that one too with --also.")
    from napari_ctvlp.saved_answers import answers_of_saved

    return answers_of_saved(path, questions, by_sight=args.by_sight)


def _check_choice(scan: Path | None, masks: Path | None, sample: bool) -> None:
    if sample and (scan is not None or masks is not None):
        raise UserError("Choose either --sample or a scan of your own.")
    if masks is not None and scan is None:
        raise UserError("Masks need their scan: napari-ctvlp SCAN --masks MASKS.")


def _print_answers(answers: dict[str, Any]) -> None:
    from napari_ctvlp.ask.export import answer_lines

    for query in answers["queries"]:
        print(f"\n{query['text']}")
        for line in answer_lines(query):
            print(f"  {line}")
        if query["matched"]:
            for organ in query["organs"][:5]:
                evidence = f"by sight {organ['visual']:.2f}  by name {organ['name']:.2f}"
                print(f"  {organ['organ']:<28} {organ['score']:.2f}  {evidence}")
    pairs = answers["abnormalities"]
    scored = sorted((a for a in pairs if a["probability"] is not None), key=lambda a: -a["probability"])
    if not answers["encoder"]["calibrated"]:
        print("\nProbabilities are the model's own and not calibrated.")
    print(f"\n{len(scored)} of {len(pairs)} organ and abnormality pairs could be scored; the highest:")
    for row in scored[:15]:
        said = f"{row['probability']:.2f} ({row['low']:.2f}-{row['high']:.2f})"
        doubt = row["status"].partition("; ")[2]
        print(f"  {row['organ']:<28} {row['abnormality']:<28} {said}{f'  {doubt}' if doubt else ''}")
    for taught in answers.get("taught", ()):
        rows = [row for row in answers["abnormalities"] if row["abnormality"] == taught["abnormality"]]
        examples = f"{taught['examples_present']} with and {taught['examples_absent']} without"
        print(f"\n{taught['abnormality']} ({examples}; cross-validated AUC {taught['cross_validated_auc']:.2f}):")
        for row in rows:
            said = row["status"] if row["probability"] is None else f"{row['probability']:.2f}"
            print(f"  {row['organ']:<28} {said}")
    if answers.get("disagreements"):
        print("\nThe encoders disagree most on:")
        for row in answers["disagreements"][:10]:
            said = "  ".join(f"{name} {'N/A' if p is None else f'{p:.2f}'}" for name, p in row["probabilities"].items())
            print(f"  {row['organ']:<28} {row['abnormality']:<28} {said}")
    print("\nResearch use, not for diagnosis.")


COMMANDS: dict[str, tuple[type, Callable[[Any], None]]] = {
    "audit": (AuditArgs, _audit),
    "score": (ScoreArgs, _score),
    "stats": (command_arguments.StatsArgs, commands.stats),
    "report": (command_arguments.ReportArgs, commands.report),
    "followup": (command_arguments.FollowUpArgs, commands.followup),
    "dictionary": (command_arguments.DictionaryArgs, commands.dictionary),
    "segment": (command_arguments.SegmentArgs, export_commands.segment),
    "export": (command_arguments.ExportArgs, export_commands.export),
    "evidence": (asking_commands.EvidenceArgs, asking_commands.evidence),
    "compare": (asking_commands.CompareArgs, asking_commands.compare),
    "prompts": (asking_commands.PromptsArgs, asking_commands.prompts),
    "encoders": (encoder_commands.EncodersArgs, encoder_commands.encoders),
    "install": (encoder_commands.InstallArgs, encoder_commands.install),
    "doctor": (encoder_commands.DoctorArgs, encoder_commands.doctor),
}


if __name__ == "__main__":
    main()

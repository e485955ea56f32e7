"""The command line: ``napari-ctvlp`` opens the window; ``audit``, ``score``, ``evidence``, ``compare``, ``prompts``,
``stats``, ``report``, ``followup``, ``export``, ``segment``, ``dictionary``, ``encoders``, ``install`` and ``doctor``
need none.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import tyro

from napari_ctvlp import asking_commands, command_arguments, commands, encoder_commands
from napari_ctvlp.errors import UserError

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
    encoder: str = "starter"
    """Name of an encoder (`napari-ctvlp encoders` lists them), or folder of one."""
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

    With masks also the contrast phase and the organs that are cut, with an encoder its card; ``--html`` writes the card
    as a page to print.
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
        match args[:1]:
            case ["audit"]:
                _audit(tyro.cli(AuditArgs, prog="napari-ctvlp audit", args=args[1:]))
            case ["score"]:
                _score(tyro.cli(ScoreArgs, prog="napari-ctvlp score", args=args[1:]))
            case ["stats"]:
                commands.stats(tyro.cli(command_arguments.StatsArgs, prog="napari-ctvlp stats", args=args[1:]))
            case ["report"]:
                commands.report(tyro.cli(command_arguments.ReportArgs, prog="napari-ctvlp report", args=args[1:]))
            case ["followup"]:
                commands.followup(tyro.cli(command_arguments.FollowUpArgs, prog="napari-ctvlp followup", args=args[1:]))
            case ["dictionary"]:
                commands.dictionary(
                    tyro.cli(command_arguments.DictionaryArgs, prog="napari-ctvlp dictionary", args=args[1:])
                )
            case ["segment"]:
                commands.segment(tyro.cli(command_arguments.SegmentArgs, prog="napari-ctvlp segment", args=args[1:]))
            case ["export"]:
                commands.export(tyro.cli(command_arguments.ExportArgs, prog="napari-ctvlp export", args=args[1:]))
            case ["evidence"]:
                asking_commands.evidence(
                    tyro.cli(asking_commands.EvidenceArgs, prog="napari-ctvlp evidence", args=args[1:])
                )
            case ["compare"]:
                asking_commands.compare(
                    tyro.cli(asking_commands.CompareArgs, prog="napari-ctvlp compare", args=args[1:])
                )
            case ["prompts"]:
                asking_commands.prompts(
                    tyro.cli(asking_commands.PromptsArgs, prog="napari-ctvlp prompts", args=args[1:])
                )
            case ["encoders"]:
                encoder_commands.encoders(
                    tyro.cli(encoder_commands.EncodersArgs, prog="napari-ctvlp encoders", args=args[1:])
                )
            case ["install"]:
                encoder_commands.install(
                    tyro.cli(encoder_commands.InstallArgs, prog="napari-ctvlp install", args=args[1:])
                )
            case ["doctor"]:
                encoder_commands.doctor(
                    tyro.cli(encoder_commands.DoctorArgs, prog="napari-ctvlp doctor", args=args[1:])
                )
            case _:
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
    import napari

    from napari_ctvlp._qt.launch import open_window

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
        napari.run()
    else:
        print(f"Window saved to {args.screenshot}")


def _audit(args: AuditArgs) -> None:
    from napari_ctvlp.scan import read_masks, read_scan

    path, masks_path = commands.paired(args.path, args.masks)
    scan = read_scan(path or args.path, series=args.series)
    masks = None if masks_path is None else read_masks(masks_path, scan)
    print(f"{scan.name}: {' x '.join(map(str, scan.hu.shape))} voxels (I, P, L)")
    if masks is None and args.encoder is None and args.html is None:
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


def _score(args: ScoreArgs) -> None:
    questions = commands.questions_of(args.ask, args.ask_file)
    from napari_ctvlp.ask import write_csv, write_json

    scan, masks = commands.open_inputs(args, "napari-ctvlp score SCAN --masks MASKS")
    embedding, answers = commands.answers_to(questions, args.encoder, scan, masks, args.taught)
    if args.also:
        answers |= encoder_commands.beside(args.also, questions, scan, masks, embedding)
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
            screenshot=args.screenshot,
        )
        print(f"Window saved to {args.screenshot}")


def _check_choice(scan: Path | None, masks: Path | None, sample: bool) -> None:
    if sample and (scan is not None or masks is not None):
        raise UserError("Choose either --sample or a scan of your own.")
    if masks is not None and scan is None:
        raise UserError("Masks need their scan: napari-ctvlp SCAN --masks MASKS.")


def _print_answers(answers: dict[str, Any]) -> None:
    for query in answers["queries"]:
        print(f"\n{query['text']}: {'' if query['matched'] else 'nothing here matches'}")
        finding = query["finding"]
        if finding is not None:
            probability = finding["probability"]
            said = "N/A" if probability is None else f"{probability:.2f} ({finding['low']:.2f}-{finding['high']:.2f})"
            print(f"  {finding['abnormality']}  {said}")
        if query["matched"]:
            for organ in query["organs"][:5]:
                evidence = f"by sight {organ['visual']:.2f}  by name {organ['name']:.2f}"
                print(f"  {organ['organ']:<28} {organ['score']:.2f}  {evidence}")
    scored = sorted(
        (a for a in answers["abnormalities"] if a["probability"] is not None), key=lambda a: -a["probability"]
    )
    if not answers["encoder"]["calibrated"]:
        print("\nProbabilities are the model's own and not calibrated.")
    print(
        f"\n{len(scored)} of {len(answers['abnormalities'])} organ and abnormality pairs could be scored; the highest:"
    )
    for row in scored[:15]:
        said = f"{row['probability']:.2f} ({row['low']:.2f}-{row['high']:.2f})"
        print(f"  {row['organ']:<28} {row['abnormality']:<28} {said}")
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


if __name__ == "__main__":
    main()

"""The command line: ``napari-ctvlp`` opens the window; ``audit``, ``score`` and the rest work without one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from napari_ctvlp.ask.types import AbnormalityScore
    from napari_ctvlp.encoder.contract import ScanEmbedding
    from napari_ctvlp.scan import OrganMasks, Scan

WRONG_INPUT = 2
"""Exit status for bad input, as for bad arguments."""


@dataclass(frozen=True)
class WindowArgs:
    """Open a CT scan in napari and ask it in plain words.

    More commands work without a window: ``napari-ctvlp audit PATH`` prints what a scan is and whether it is plausible,
    ``napari-ctvlp score SCAN --masks MASKS`` writes scores and answers, ``napari-ctvlp encoders`` lists the encoders,
    ``napari-ctvlp install ENCODER`` brings one here, ``napari-ctvlp doctor ENCODER`` examines one. Research use, not
    for diagnosis.
    """

    scan: Annotated[Path | None, tyro.conf.Positional] = None
    """NIfTI file, DICOM folder or one DICOM file; an empty window without."""
    masks: Path | None = None
    """Multi-label NIfTI, or folder of one-organ masks."""
    ask: str | None = None
    """Question to ask when the scan is ready."""
    encoder: str = "starter"
    """Name of a shipped encoder, or folder of one."""
    series: str | None = None
    """Which series of a DICOM folder that holds several."""
    sample: bool = False
    """Open the built-in synthetic scan with its masks."""
    screenshot: Path | None = None
    """Save a picture of the window once the answer is drawn, and close it."""


@dataclass(frozen=True)
class AuditArgs:
    """Print orientation, spacing, field of view, HU range and what looks wrong; free of patient information."""

    path: Annotated[Path, tyro.conf.Positional]
    """NIfTI file, DICOM folder or one DICOM file."""
    series: str | None = None
    """Which series of a DICOM folder that holds several."""


@dataclass(frozen=True)
class ScoreArgs:
    """Answer questions and score abnormalities per organ, by the code that the window runs."""

    scan: Annotated[Path | None, tyro.conf.Positional] = None
    """NIfTI file, DICOM folder or one DICOM file."""
    masks: Path | None = None
    """Multi-label NIfTI, or folder of one-organ masks."""
    ask: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default=())
    """Question; repeat the option for more."""
    ask_file: Path | None = None
    """Text file with one question a line."""
    encoder: str = "starter"
    """Name of a shipped encoder, or folder of one."""
    also: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = field(default=())
    """Another encoder to ask too; repeat the option for more. Adds what each says and where they disagree."""
    series: str | None = None
    """Which series of a DICOM folder that holds several."""
    sample: bool = False
    """Use the built-in synthetic scan with its masks."""
    json: Path | None = None
    """Write everything as JSON (the layout is in the README)."""
    csv: Path | None = None
    """Write one table of scores and answers."""
    screenshot: Path | None = None
    """Save a picture of the window with the first question answered (needs a screen or a virtual one)."""


@dataclass(frozen=True)
class EncodersArgs:
    """List the encoders that are known here: licence, region, what is missing, where they lie."""


@dataclass(frozen=True)
class InstallArgs:
    """Bring an encoder here: shows its terms, and downloads only after your yes."""

    encoder: Annotated[str, tyro.conf.Positional]
    """Name of a published encoder, or owner/name of one of ours on the model hub."""
    yes: bool = False
    """Say yes to its terms beforehand."""
    checkpoint: Path | None = None
    """Weights that only you can bring (fVLM)."""
    unpickle: bool = False
    """Read objects beside the tensors of the checkpoint too; that runs any code it holds."""


@dataclass(frozen=True)
class DoctorArgs:
    """Say what an encoder is, what it still needs, and whether it tells left from right and reads HU."""

    encoder: Annotated[str, tyro.conf.Positional]
    """Name of an encoder, or folder of one."""
    scan: Path | None = None
    """Scan for the self-checks; the built-in sample without."""
    masks: Path | None = None
    """Its organ masks."""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of ``napari-ctvlp``; bad input ends with one sentence on standard error and status 2."""
    args = list(sys.argv[1:] if argv is None else argv)
    try:
        match args[:1]:
            case ["audit"]:
                _audit(tyro.cli(AuditArgs, prog="napari-ctvlp audit", args=args[1:]))
            case ["score"]:
                _score(tyro.cli(ScoreArgs, prog="napari-ctvlp score", args=args[1:]))
            case ["encoders"]:
                _encoders(tyro.cli(EncodersArgs, prog="napari-ctvlp encoders", args=args[1:]))
            case ["install"]:
                _install(tyro.cli(InstallArgs, prog="napari-ctvlp install", args=args[1:]))
            case ["doctor"]:
                _doctor(tyro.cli(DoctorArgs, prog="napari-ctvlp doctor", args=args[1:]))
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

    open_window(
        args.scan,
        args.masks,
        ask=args.ask,
        encoder=args.encoder,
        sample=args.sample,
        series=args.series,
        screenshot=args.screenshot,
    )
    if args.screenshot is None:
        napari.run()
    else:
        print(f"Window saved to {args.screenshot}")


def _audit(args: AuditArgs) -> None:
    from napari_ctvlp.scan import read_scan

    scan = read_scan(args.path, series=args.series)
    print(f"{scan.name}: {' x '.join(map(str, scan.hu.shape))} voxels (I, P, L)")
    print(scan.audit)


def _score(args: ScoreArgs) -> None:
    _check_choice(args.scan, args.masks, args.sample)
    if not args.sample and (args.scan is None or args.masks is None):
        raise UserError("Scores need a scan and its organ masks: napari-ctvlp score SCAN --masks MASKS.")
    questions = [*args.ask, *_questions_of(args.ask_file)]
    if any(not q.strip() for q in questions):
        raise UserError("A question is empty: type what to look for.")

    from napari_ctvlp.ask import answers_as_json, rank_organs, score_abnormalities, write_csv, write_json
    from napari_ctvlp.encoder import load_encoder

    scan, masks = _open(args)
    encoder = load_encoder(args.encoder)
    embedding = encoder.encode_scan(scan, masks)
    rankings = [rank_organs(embedding, question) for question in questions]
    scores = score_abnormalities(embedding)
    answers = answers_as_json(scan, embedding, rankings, scores)
    if args.also:
        answers |= _beside(args.also, scan, masks, questions, embedding, scores)
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
            args.scan,
            args.masks,
            ask=question,
            encoder=args.encoder,
            sample=args.sample,
            series=args.series,
            screenshot=args.screenshot,
        )
        print(f"Window saved to {args.screenshot}")


def _encoders(_args: EncodersArgs) -> None:
    from napari_ctvlp.encoder import list_entries

    for entry in list_entries().values():
        missing = entry.missing()
        print(f"{entry.name}  [{entry.licence}]  {entry.region}  {entry.summary}")
        print(f"  trained on {entry.trained_on}; {entry.place}")
        for told in missing:
            print(f"  {told}")


def _install(args: InstallArgs) -> None:
    from napari_ctvlp.encoder.install import fetch, offer, supply

    if args.checkpoint is not None:
        supply(args.encoder, args.checkpoint, unpickle=args.unpickle)
        print(f"{args.checkpoint.name} was checked and taken over.")
    what = offer(args.encoder)
    if what.files:
        print(what)
        fetch(what, agreed=args.yes or _said_yes(), progress=_bar)
        print()
    missing = _missing(args.encoder)
    print("\n".join(missing) or f"{args.encoder} is installed: napari-ctvlp doctor {args.encoder} examines it.")


def _missing(name: str) -> tuple[str, ...]:
    """What an encoder that was just installed still needs."""
    from napari_ctvlp.encoder import list_entries

    entry = list_entries().get(name.split("/")[-1])
    return entry.missing() if entry is not None else ()


def _said_yes() -> bool:
    if not sys.stdin.isatty():
        raise UserError("Nobody is here to say yes to these terms: add --yes if you agree.")
    return input("Download? Type yes: ").strip().lower() == "yes"


def _bar(done: float) -> None:
    print(f"\r{done:6.1%}", end="", flush=True)


def _doctor(args: DoctorArgs) -> None:
    if (args.scan is None) != (args.masks is None):
        raise UserError("The self-checks need a scan and its masks: --scan SCAN --masks MASKS.")
    from napari_ctvlp.doctor import examine

    given = None
    if args.scan is not None and args.masks is not None:
        from napari_ctvlp.scan import read_masks, read_scan

        scan = read_scan(args.scan)
        given = scan, read_masks(args.masks, scan)
    for check in examine(args.encoder, given):
        print(check, flush=True)


def _beside(
    names: Sequence[str],
    scan: Scan,
    masks: OrganMasks,
    questions: Sequence[str],
    embedding: ScanEmbedding,
    scores: Sequence[AbnormalityScore],
) -> dict[str, Any]:
    """What other encoders say, one after another since they are large, and where they disagree."""
    from napari_ctvlp.ask import answers_as_json, rank_organs, score_abnormalities
    from napari_ctvlp.ask.compare import Opinion, compare, disagreements
    from napari_ctvlp.encoder import load_encoder

    others, opinions = [], []
    for name in names:
        other = load_encoder(name).encode_scan(scan, masks)
        found = score_abnormalities(other)
        answers = answers_as_json(scan, other, [rank_organs(other, q) for q in questions], found)
        opinions.append(Opinion.of(other, found))
        others.append({**answers, "calibrated": opinions[-1].calibrated})
    apart = disagreements(compare(scores, embedding.groups, opinions))
    told = [
        {
            "organ": row.score.organ,
            "abnormality": row.score.abnormality,
            "probabilities": {
                name: None if s is None or s.probability is None else round(s.probability, 4)
                for name, s in zip([embedding.encoder.card.name, *names], (row.score, *row.others), strict=True)
            },
        }
        for row in apart
    ]
    return {"others": others, "disagreements": told}


def _check_choice(scan: Path | None, masks: Path | None, sample: bool) -> None:
    if sample and (scan is not None or masks is not None):
        raise UserError("Choose either --sample or a scan of your own.")
    if masks is not None and scan is None:
        raise UserError("Masks need their scan: napari-ctvlp SCAN --masks MASKS.")


def _questions_of(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path.name}: cannot be read as a UTF-8 text file with one question a line.") from error
    return [line.strip() for line in lines if line.strip()]


def _open(args: ScoreArgs) -> tuple[Scan, OrganMasks]:
    if args.sample:
        from napari_ctvlp.sample import load_sample

        return load_sample()
    from napari_ctvlp.scan import read_masks, read_scan

    assert args.scan is not None and args.masks is not None
    scan = read_scan(args.scan, series=args.series)
    return scan, read_masks(args.masks, scan)


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
    print(
        f"\n{len(scored)} of {len(answers['abnormalities'])} organ and abnormality pairs could be scored; the highest:"
    )
    for row in scored[:15]:
        said = f"{row['probability']:.2f} ({row['low']:.2f}-{row['high']:.2f})"
        print(f"  {row['organ']:<28} {row['abnormality']:<28} {said}")
    if answers.get("disagreements"):
        print("\nThe encoders disagree most on:")
        for row in answers["disagreements"][:10]:
            said = "  ".join(f"{name} {'N/A' if p is None else f'{p:.2f}'}" for name, p in row["probabilities"].items())
            print(f"  {row['organ']:<28} {row['abnormality']:<28} {said}")
    print("\nResearch use, not for diagnosis.")


if __name__ == "__main__":
    main()

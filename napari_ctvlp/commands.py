"""The commands that write files without a window: statistics, a report, a follow-up."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctvlp.atomic import check_places
from napari_ctvlp.command_arguments import (
    DictionaryArgs,
    FollowUpArgs,
    Inputs,
    ReportArgs,
    StatsArgs,
)
from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from napari_ctvlp.ask.teach import TaughtFinding
    from napari_ctvlp.encoder.contract import ScanEmbedding
    from napari_ctvlp.scan import OrganMasks, Scan

NO_PDF = "A PDF needs Qt: pip install 'napari-ctvlp[gui]', or print what --html writes."


def open_inputs(args: Inputs, usage: str) -> tuple[Scan, OrganMasks]:
    """Read the scan and its masks.

    Raises
    ------
    UserError
        When something is missing or cannot be read; ``usage`` shows how the command is called.
    """
    if args.sample and (args.scan is not None or args.masks is not None):
        raise UserError("Choose either --sample or a scan of your own.")
    if args.sample:
        from napari_ctvlp.sample import load_sample

        return load_sample()
    scan_path, masks_path = paired(args.scan, args.masks)
    if scan_path is None or masks_path is None:
        raise UserError(f"Answers about organs need a scan and its organ masks: {usage}.")
    from napari_ctvlp.scan import read_masks, read_scan

    scan = read_scan(scan_path, series=args.series)
    masks = read_masks(masks_path, scan)
    tell_doubts(scan, masks)
    return scan, masks


def tell_doubts(scan: Scan, masks: OrganMasks) -> None:
    """Say on standard error what is to be known of a scan and its masks before anything of them is believed."""
    from napari_ctvlp.ask.doubts import scan_doubts
    from napari_ctvlp.scan.labels import listed
    from napari_ctvlp.scan.naming import is_organ

    unknown = [name for name in masks.names.values() if not is_organ(name)]
    told = [f"not known as an organ, and not scored: {listed(unknown)}"] if unknown else []
    for note in (*masks.notes, *told, *scan_doubts(masks.statistics, scan.audit).sentences):
        print(f"note: {note}", file=sys.stderr)


def paired(scan: Path | None, masks: Path | None, option: str = "--masks") -> tuple[Path | None, Path | None]:
    """Scan and masks; of a folder that holds both, each of them, and its scan where the masks were chosen."""
    if scan is None or not scan.is_dir():
        return scan, masks
    from napari_ctvlp.scan.pairs import SeveralFound, scan_in, sort_out

    try:
        if masks is not None:
            return scan_in(scan, masks), masks
        given = sort_out([scan])
    except SeveralFound as several:
        how = (
            "give one of them in place of the folder" if several.what == "scans" else f"give one of them with {option}"
        )
        raise UserError(f"{several.found}; {how}.") from several
    return given.scan or scan, given.masks if isinstance(given.masks, Path) else None


def embedded(name: str, scan: Scan, masks: OrganMasks) -> ScanEmbedding:
    """The scan as the encoder sees it, from the cache when it was seen before."""
    from napari_ctvlp.encoder import load_encoder
    from napari_ctvlp.encoder.cache import EmbeddingCache

    return EmbeddingCache().encode_scan(load_encoder(name), scan, masks)


def tell_region(encoder: str, masks: OrganMasks) -> str:
    """Say on standard error that a scan lies outside of what an encoder was trained on; gives what was said."""
    from napari_ctvlp.encoder.region import region_note

    told = region_note(encoder, masks)
    if told:
        print(f"note: {told}", file=sys.stderr)
    return told


def questions_of(asked: tuple[str, ...], path: Path | None) -> list[str]:
    """Questions given one by one and in a file.

    Raises
    ------
    UserError
        When one is empty, or the file cannot be read.
    """
    questions = list(asked)
    if path is not None:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path.name}: cannot be read as a UTF-8 text file with one question a line.") from error
        questions += [line.strip() for line in lines if line.strip()]
    if any(not q.strip() for q in questions):
        raise UserError("A question is empty: type what to look for.")
    return questions


def answers_to(
    questions: Sequence[str],
    encoder: str,
    scan: Scan,
    masks: OrganMasks,
    taught: Sequence[Path] = (),
    use_names: bool = True,
) -> tuple[ScanEmbedding, dict[str, Any]]:
    """Everything that is known of a scan, in the layout of the JSON file; ``taught`` are files of taught findings.

    ``use_names`` says whether organ names count as evidence.

    Raises
    ------
    UserError
        When a file of taught findings cannot be read, or belongs to another encoder.
    """
    from napari_ctvlp.anatomy.user_dictionary import current_dictionary
    from napari_ctvlp.ask import answers_as_json, rank_organs, score_abnormalities
    from napari_ctvlp.ask.bank import dictionary_of
    from napari_ctvlp.ask.doubts import doubts_about, marked

    embedding = embedded(encoder, scan, masks)
    findings = taught_in(taught, embedding)
    dictionary = dictionary_of(embedding.encoder, current_dictionary())
    doubts = doubts_about(embedding, masks.statistics, scan.audit)
    rankings = [
        rank_organs(
            embedding,
            text,
            use_names=use_names,
            dictionary=dictionary,
            statistics=masks.statistics,
            taught=findings,
            doubts=doubts,
        )
        for text in questions
    ]
    scores = score_abnormalities(embedding, dictionary)
    if findings:
        from napari_ctvlp.ask.teach import score_taught

        scores += score_taught(embedding, findings)
    scores = marked(scores, doubts, embedding, dictionary)
    region = tell_region(encoder, masks)
    answers = answers_as_json(
        scan,
        embedding,
        rankings,
        scores,
        masks,
        dictionary=dictionary,
        taught=findings,
        region=region,
        use_names=use_names,
    )
    return embedding, answers


def taught_in(paths: Sequence[Path], embedding: ScanEmbedding) -> tuple[TaughtFinding, ...]:
    """The taught findings of files, those of one name joined.

    Raises
    ------
    UserError
        When a file cannot be read, belongs to another encoder, or has too few examples to score with.
    """
    if not paths:
        return ()
    from napari_ctvlp.ask.taught_file import read_taught
    from napari_ctvlp.teaching import merged

    findings: tuple[TaughtFinding, ...] = ()
    for path in paths:
        findings = merged(findings, read_taught(path, embedding.encoder.card))
    for finding in findings:
        if not finding.ready:
            names = ", ".join(path.name for path in paths)
            raise UserError(f"{names}: {finding.name} has examples {finding.note}.")
    return findings


def stats(args: StatsArgs) -> None:
    """``napari-ctvlp stats``."""
    from napari_ctvlp.ask.export import write_json
    from napari_ctvlp.ask.provenance import masks_as_json
    from napari_ctvlp.scan.fingerprint import masks_hash, scan_hash
    from napari_ctvlp.scan.statistics_table import statistics_csv, write_statistics

    check_places(args.csv, args.json)
    scan, masks = open_inputs(args, "napari-ctvlp stats SCAN --masks MASKS")
    if args.csv is not None:
        write_statistics(args.csv, masks)
        print(f"Statistics written to {args.csv}")
    if args.json is not None:
        hashes = {"scan_hash": scan_hash(scan), "masks_hash": masks_hash(masks)}
        write_json(args.json, {"scan": scan.name, **hashes, **masks_as_json(masks)})
        print(f"Statistics written to {args.json}")
    if args.csv is None and args.json is None:
        print(statistics_csv(masks), end="")


def followup(args: FollowUpArgs) -> None:
    """``napari-ctvlp followup``."""
    check_places(args.csv)
    usage = "napari-ctvlp followup SCAN --masks MASKS --prior SCAN --prior-masks MASKS"
    scan, masks = open_inputs(args, usage)
    prior_path, prior_masks_path = paired(args.prior, args.prior_masks, "--prior-masks")
    if prior_path is None or prior_masks_path is None:
        raise UserError(f"A follow-up needs the prior with its organ masks: {usage}.")
    from napari_ctvlp.ask.followup import DIFFERENT_PATIENTS, Exam, follow_up_csv, write_follow_up
    from napari_ctvlp.prior import compared
    from napari_ctvlp.rooms import Rooms
    from napari_ctvlp.scan import read_masks, read_scan
    from napari_ctvlp.scan.patient import compare_patients

    prior = read_scan(prior_path, series=args.prior_series)
    if compare_patients(prior, scan).same is False and not args.any_patient:
        raise UserError(f"{DIFFERENT_PATIENTS} With --any-patient they are compared all the same.")
    before = Exam(prior, read_masks(prior_masks_path, prior))
    embedding, rooms = embedded(args.encoder, scan, masks), Rooms()
    tell_region(args.encoder, masks)
    taught = taught_in(args.taught, embedding)
    _, found = compared(
        before, Exam(scan, masks, embedding, rooms.scores(embedding, taught, masks, scan)), rooms, taught
    )
    for caveat in found.caveats:
        print(f"note: {caveat}", file=sys.stderr)
    if args.csv is None:
        print(follow_up_csv(found), end="")
    else:
        print(f"{len(found.rows)} organs compared, written to {write_follow_up(args.csv, found)}")


def dictionary(args: DictionaryArgs) -> None:
    """``napari-ctvlp dictionary``."""
    from napari_ctvlp.anatomy.dictionary import BUILT_IN, load_dictionary
    from napari_ctvlp.anatomy.user_dictionary import current_dictionary, make_user_dictionary, user_dictionary_path

    if args.check is not None:
        print(f"{args.check.name}: {len(load_dictionary(args.check))} entries, all in order")
        return
    if args.copy:
        make_user_dictionary()
    own = user_dictionary_path()
    entries = current_dictionary()
    print(f"{len(entries)} entries in {own if own.exists() else BUILT_IN}")


def report(args: ReportArgs) -> None:
    """``napari-ctvlp report``."""
    questions = questions_of(args.ask, args.ask_file)
    html = Path("report.html") if args.html is None and args.pdf is None else args.html
    check_places(html, args.pdf)
    from napari_ctvlp.ask.report import write_report

    if args.pdf is not None:
        try:
            from napari_ctvlp._qt.pdf import write_report_pdf
        except ImportError as error:
            raise UserError(NO_PDF) from error
    scan, masks = open_inputs(args, "napari-ctvlp report SCAN --masks MASKS --html FILE")
    _, answers = answers_to(questions, args.encoder, scan, masks, args.taught, not args.by_sight)
    if html is not None:
        write_report(html, scan, masks, answers)
        print(f"Report written to {html}")
    if args.pdf is not None:
        print(f"Report written to {write_report_pdf(args.pdf, scan, masks, answers)}")

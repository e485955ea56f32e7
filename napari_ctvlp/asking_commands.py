"""The commands that ask further without a window: why a score, two questions against each other, other prompts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ctvlp.atomic import check_places
from napari_ctvlp.command_arguments import Inputs
from napari_ctvlp.commands import open_inputs, tell_region
from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from napari_ctvlp.anatomy.dictionary import Abnormality
    from napari_ctvlp.ask.types import AbnormalityScore
    from napari_ctvlp.encoder.contract import ScanEmbedding, ScanEncoder
    from napari_ctvlp.scan import OrganMasks, Scan


@dataclass(frozen=True)
class EvidenceArgs(Inputs):
    """Why an organ got its score: the regions and sentences behind it, and the score after something was changed."""

    organ: str = ""
    """The organ, by its TotalSegmentator v2 name; or whole_scan for an entry about the scan as a whole."""
    abnormality: str = ""
    """The finding, by its key in the abnormality dictionary."""
    quick: bool = False
    """Regions and sentences alone: each change takes another encoding of the scan."""
    library: Path | None = None
    """Case library (a folder of files saved under Teach): adds the known examples that look most like the organ."""
    encoder: str = "starter"
    """Name of an encoder (`napari-ctvlp encoders` lists them), or folder of one."""
    json: Path | None = None
    """Write it as JSON."""


@dataclass(frozen=True)
class CompareArgs(Inputs):
    """Two questions side by side: the score of every organ under each, the widest apart first."""

    ask: str = ""
    """The first question."""
    against: str = ""
    """The second question."""
    by_sight: bool = False
    """Rank by what the encoder sees alone: the names of organs do not count."""
    encoder: str = "starter"
    """Name of an encoder (`napari-ctvlp encoders` lists them), or folder of one."""
    json: Path | None = None
    """Write it as JSON."""


@dataclass(frozen=True)
class PromptsArgs(Inputs):
    """Try the prompts of another dictionary on a scan: scores with them beside those with the dictionary in use."""

    abnormality: str = ""
    """The finding, by its key in both dictionaries."""
    dictionary: Path | None = None
    """The other dictionary; without, the sentences of the one in use are told with what each would say alone."""
    encoder: str = "starter"
    """Name of an encoder (`napari-ctvlp encoders` lists them), or folder of one."""
    json: Path | None = None
    """Write it as JSON."""


def evidence(args: EvidenceArgs) -> None:
    """``napari-ctvlp evidence``."""
    from napari_ctvlp.ask.case_library import nearest, nearest_as_json, read_library
    from napari_ctvlp.ask.evidence import changes, gather
    from napari_ctvlp.ask.export import write_json
    from napari_ctvlp.ask.told_evidence import evidence_as_json
    from napari_ctvlp.encoder import load_encoder
    from napari_ctvlp.teaching import anonymous_scan

    check_places(args.json)
    if not args.organ or not args.abnormality:
        raise UserError("Say whose score: --organ kidney_left --abnormality kidney_stone.")
    encoder = load_encoder(args.encoder)
    entry = _entry(_dictionary(encoder), args.abnormality)
    if args.organ not in entry.places:
        raise UserError(f"'{entry.key}' is looked for in {', '.join(entry.places)}; not in '{args.organ}'.")
    scan, masks = open_inputs(args, "napari-ctvlp evidence SCAN --masks MASKS --organ O --abnormality A")
    library = None if args.library is None else read_library(args.library, encoder.card)
    embedding = _encoded(encoder, scan, masks)
    region = tell_region(args.encoder, masks)
    found = gather(embedding, scan, masks, args.organ, entry)
    plan = [] if args.quick else changes(found, embedding, scan, masks)
    after = []
    for number, change in enumerate(plan, 1):
        _tell(f"{number} of {len(plan)}: {change.name}")
        after.append((change, change.score(None, None)))
    _tell("")
    told = evidence_as_json(found, scan, after)
    if library is not None:
        near = nearest(library, embedding, found.organs, anonymous_scan(scan))
        told["known_cases"] = nearest_as_json(library, near)
    if args.json is not None:
        write_json(args.json, {**_made_with(scan, masks, embedding, region), **told})
        print(f"Evidence written to {args.json}")
        return
    print(f"{args.organ}, {entry.key}: {_said(told['score'])}")
    for note in told["notes"]:
        print(note)
    if told["regions"]:
        print("\nWhere it comes from (LPS mm; in logits, how much the place looks like it):")
    for number, row in enumerate(told["regions"], 1):
        place = ", ".join(f"{v:.0f}" for v in row["place_lps_mm"])
        print(f"  {number}  {row['organ']:<24} {row['logit']:+.2f}  at {place}")
    if told["changes"]:
        print("\nWhat if:")
    for row in told["changes"]:
        by = "" if row["difference"] is None else f"  {row['difference']:+.2f}"
        print(f"  {row['change']:<28} {_said(row)}{by}")
    if library is not None:
        known = told["known_cases"]
        print(f"\n{known['library']}: of {known['among']} known examples those that look most like it (cosine):")
        for row in known["examples"]:
            said = ", ".join(f"{f['name']} {'yes' if f['present'] else 'no'}" for f in row["findings"])
            print(f"  {row['cosine']:+.3f}  {row['organ']:<24} scan {row['scan'][:6]}  {said}")
        for note in known["notes"]:
            print(f"  {note}")
    print("\nSentences (cosine; probability if it were the only one of its kind):")
    for row in told["sentences"]:
        kind = "finding" if row["states_finding"] else "normal "
        alone = "    " if row["probability_alone"] is None else f"{row['probability_alone']:.2f}"
        print(f"  {kind}  {row['cosine']:+.3f}  {alone}  {row['text']}")
    print("\nResearch use, not for diagnosis.")


def compare(args: CompareArgs) -> None:
    """``napari-ctvlp compare``."""
    from napari_ctvlp.ask import rank_organs
    from napari_ctvlp.ask.contrast import contrast
    from napari_ctvlp.ask.doubts import doubts_about
    from napari_ctvlp.ask.export import write_json
    from napari_ctvlp.encoder import load_encoder

    check_places(args.json)
    if not args.ask.strip() or not args.against.strip():
        raise UserError("Two questions are needed: --ask ONE --against ANOTHER.")
    encoder = load_encoder(args.encoder)
    dictionary = _dictionary(encoder)
    scan, masks = open_inputs(args, "napari-ctvlp compare SCAN --masks MASKS --ask ONE --against ANOTHER")
    embedding = _encoded(encoder, scan, masks)
    region = tell_region(args.encoder, masks)
    first, second = (
        rank_organs(
            embedding,
            text,
            use_names=not args.by_sight,
            dictionary=dictionary,
            statistics=masks.statistics,
            doubts=doubts_about(embedding, masks.statistics, scan.audit),
        )
        for text in (args.ask, args.against)
    )
    rows = [
        {
            "organ": c.organ,
            "first": round(c.first.score, 4),
            "second": round(c.second.score, 4),
            "difference": round(c.difference, 4),
            "difference_by_sight": round(c.by_sight, 4),
        }
        for c in contrast(first, second)
    ]
    if args.json is not None:
        about = [{"text": r.text, "matched": r.matched, "message": r.message} for r in (first, second)]
        made = {**_made_with(scan, masks, embedding, region), "use_names": not args.by_sight}
        write_json(args.json, {**made, "queries": about, "organs": rows})
        print(f"Comparison written to {args.json}")
        return
    for title, ranking in (("first ", first), ("second", second)):
        print(f"{title}  {ranking.text}: {ranking.message}")
    print(f"\n  {'organ':<28} {'first':>6} {'second':>6} {'difference':>11} {'by sight':>9}")
    for row in rows:
        numbers = f"{row['first']:6.2f} {row['second']:6.2f} {row['difference']:+11.2f}"
        print(f"  {row['organ']:<28} {numbers} {row['difference_by_sight']:+9.2f}")


def prompts(args: PromptsArgs) -> None:
    """``napari-ctvlp prompts``."""
    from napari_ctvlp.anatomy.dictionary import load_dictionary
    from napari_ctvlp.ask.export import write_json
    from napari_ctvlp.ask.sentences import try_entry
    from napari_ctvlp.encoder import load_encoder

    check_places(args.json)
    if not args.abnormality:
        raise UserError("Say which finding: --abnormality kidney_stone.")
    other = None if args.dictionary is None else _entry(load_dictionary(args.dictionary), args.abnormality)
    encoder = load_encoder(args.encoder)
    used = _entry(_dictionary(encoder), args.abnormality)
    scan, masks = open_inputs(args, "napari-ctvlp prompts SCAN --masks MASKS --abnormality A")
    embedding = _encoded(encoder, scan, masks)
    region = tell_region(args.encoder, masks)
    saved = try_entry(embedding, used)
    tried = saved if other is None else try_entry(embedding, other)
    before = {score.organ: score for score in saved.scores}
    rows = []
    for score in tried.scores:
        row: dict[str, Any] = {"organ": score.organ, **_plain(score)}
        if other is not None:
            row["in_use"] = _plain(before[score.organ]) if score.organ in before else None
        row["sentences"] = [
            {
                "text": s.text,
                "states_finding": s.positive,
                "cosine": round(s.similarity, 4),
                "probability_alone": None if s.alone is None else round(s.alone, 4),
            }
            for s in tried.sentences.get(score.organ, ())
        ]
        rows.append(row)
    if args.json is not None:
        write_json(
            args.json, {**_made_with(scan, masks, embedding, region), "abnormality": args.abnormality, "organs": rows}
        )
        print(f"Scores written to {args.json}")
        return
    for row in rows:
        beside = f"   in use: {_said(row['in_use'])}" if row.get("in_use") else ""
        print(f"{row['organ']:<28} {_said(row)}{beside}")
        for s in row["sentences"]:
            alone = "    " if s["probability_alone"] is None else f"{s['probability_alone']:.2f}"
            print(f"  {'finding' if s['states_finding'] else 'normal '}  {s['cosine']:+.3f}  {alone}  {s['text']}")


def _encoded(encoder: ScanEncoder, scan: Scan, masks: OrganMasks) -> ScanEmbedding:
    """The scan as the encoder sees it, from the cache when it was seen before."""
    from napari_ctvlp.encoder.cache import EmbeddingCache

    return EmbeddingCache().encode_scan(encoder, scan, masks)


def _dictionary(encoder: ScanEncoder) -> tuple[Abnormality, ...]:
    from napari_ctvlp.anatomy.user_dictionary import current_dictionary
    from napari_ctvlp.ask.bank import dictionary_of

    return dictionary_of(encoder, current_dictionary())


def _entry(entries: Sequence[Abnormality], key: str) -> Abnormality:
    found = next((entry for entry in entries if entry.key == key), None)
    if found is None:
        near = get_close_matches(key, [entry.key for entry in entries], n=3)
        hint = (
            f"; did you mean {' or '.join(near)}?" if near else "; `napari-ctvlp dictionary` says which file is in use."
        )
        raise UserError(f"The dictionary has no entry '{key}'{hint}")
    return found


def _made_with(scan: Scan, masks: OrganMasks, embedding: ScanEmbedding, region: str) -> dict[str, Any]:
    """What a file says of its making."""
    from napari_ctvlp.scan.fingerprint import masks_hash, scan_hash

    card = embedding.encoder.card
    return {
        "scan": scan.name,
        "scan_hash": scan_hash(scan),
        "masks_hash": masks_hash(masks),
        "encoder": {
            "name": card.name,
            "revision": card.revision,
            "licence": card.licence,
            "calibrated": embedding.encoder.calibration.fitted,
            "region_warning": region or None,
        },
    }


def _plain(score: AbnormalityScore) -> dict[str, Any]:
    values = {"probability": score.probability, "low": score.low, "high": score.high}
    return {**{name: None if v is None else round(v, 4) for name, v in values.items()}, "status": score.status}


def _said(row: dict[str, Any]) -> str:
    if row["probability"] is None:
        return str(row["status"])
    return f"{row['probability']:.2f} ({row['low']:.2f}-{row['high']:.2f})"


def _tell(text: str) -> None:
    """What is under way, on a terminal alone."""
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="" if text else "\r", file=sys.stderr, flush=True)

"""The commands about encoders: which there are, bringing one here, examining one, asking several of one scan."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from napari_ctvlp.ask.types import AbnormalityScore
    from napari_ctvlp.encoder.contract import ScanEmbedding
    from napari_ctvlp.scan import OrganMasks, Scan


@dataclass(frozen=True)
class EncodersArgs:
    """List the encoders that are known here: licence, region, what is missing, where they lie."""


@dataclass(frozen=True)
class InstallArgs:
    """Bring an encoder here: shows its terms, and downloads or takes a file over only after your yes."""

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
    """Say what an encoder is, what it still needs, and whether it tells left from right and reads HU.

    Ends with status 1 where something that it needs is missing.
    """

    encoder: Annotated[str, tyro.conf.Positional]
    """Name of an encoder, or folder of one."""
    scan: Path | None = None
    """Scan for the self-checks; the built-in sample without."""
    masks: Path | None = None
    """Its organ masks."""


def encoders(_args: EncodersArgs) -> None:
    """``napari-ctvlp encoders``."""
    from napari_ctvlp.encoder import list_entries

    for entry in list_entries().values():
        missing = entry.missing()
        print(f"{entry.name}  [{entry.licence}]  {entry.region}  {entry.summary}")
        print(f"  trained on {entry.trained_on}; {entry.place}")
        for told in missing:
            print(f"  {told}")


def install(args: InstallArgs) -> None:
    """``napari-ctvlp install``."""
    from napari_ctvlp.encoder.install import fetch, offer, supply, taker

    if args.checkpoint is not None:
        taker(args.encoder, args.checkpoint)  # nobody is asked about what cannot be done
    what, agreed = offer(args.encoder), args.yes
    if what.files or args.checkpoint is not None:
        print(what if what.files else what.entry.terms)
        agreed = agreed or _said_yes()
    if args.checkpoint is not None:
        if not agreed:
            raise UserError(f"{args.checkpoint.name} is taken over only with your yes to these terms.")
        supply(args.encoder, args.checkpoint, unpickle=args.unpickle)
        print(f"{args.checkpoint.name} was checked and taken over.")
    if what.files:
        fetch(what, agreed=agreed, progress=_bar)
        print()
    name, missing = what.entry.name, what.entry.missing()
    print("\n".join(missing) or f"{name} is installed: napari-ctvlp doctor {name} examines it.")


def _said_yes() -> bool:
    if not sys.stdin.isatty():
        raise UserError("Nobody is here to say yes to these terms: add --yes if you agree.")
    try:
        return input("Do you agree? Type yes: ").strip().lower() == "yes"
    except EOFError:  # Ctrl-D
        print()
        return False


def _bar(done: float) -> None:
    print(f"\r{done:6.1%}", end="", flush=True)


def doctor(args: DoctorArgs) -> None:
    """``napari-ctvlp doctor``."""
    if (args.scan is None) != (args.masks is None):
        raise UserError("The self-checks need a scan and its masks: --scan SCAN --masks MASKS.")
    from napari_ctvlp.doctor import MISSING, examine

    given = None
    if args.scan is not None and args.masks is not None:
        from napari_ctvlp.scan import read_masks, read_scan

        scan = read_scan(args.scan)
        given = scan, read_masks(args.masks, scan)
    lacking = False
    for check in examine(args.encoder, given, _tell if sys.stderr.isatty() else None):
        print(check, flush=True)
        lacking = lacking or check.name == MISSING
    if lacking:
        raise SystemExit(1)


def _tell(what: str, done: float) -> None:
    print(f"\r{what:<34} {done:4.0%}", end="\r", file=sys.stderr, flush=True)


def beside(
    names: Sequence[str],
    questions: Sequence[str],
    scan: Scan,
    masks: OrganMasks,
    embedding: ScanEmbedding,
    use_names: bool = True,
) -> dict[str, Any]:
    """What other encoders say, one after another since they are large, and where they disagree."""
    from napari_ctvlp import commands
    from napari_ctvlp.anatomy.user_dictionary import current_dictionary
    from napari_ctvlp.ask import score_abnormalities
    from napari_ctvlp.ask.bank import dictionary_of
    from napari_ctvlp.ask.compare import Opinion, compare, disagreements

    def scores_of(seen: ScanEmbedding) -> list[AbnormalityScore]:
        return score_abnormalities(seen, dictionary_of(seen.encoder, current_dictionary()))

    others, opinions = [], []
    for name in names:
        other, answers = commands.answers_to(questions, name, scan, masks, use_names=use_names)
        opinions.append(Opinion.of(other, scores_of(other)))
        others.append({**answers, "calibrated": opinions[-1].calibrated})
    apart = disagreements(compare(scores_of(embedding), embedding.groups, opinions))
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

"""Whether an encoder can be used here and reads a scan as it should: what ``napari-ctvlp doctor`` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.encoder.contract import BLIND, EncoderCard, FloatArray, Progress, ScanEmbedding, ScanEncoder
from napari_ctvlp.encoder.sides import side_pairs, tell_sides
from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from napari_ctvlp.encoder.registry import EncoderEntry
    from napari_ctvlp.scan.types import OrganMasks, Scan

Verdict = Literal["ok", "note", "warning"]
Tell = Callable[[str, float], None]
"""Gets what is under way and the fraction of it that is done."""
MISSING = "missing"
"""Name of the checks without which an encoder cannot be used."""
FEW = 2
"""Organs that are examined: an encoder may take minutes for each, and is asked several times."""
SHIFT_HU = 100
TWICE_HU = -1024


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    verdict: Verdict
    told: str

    def __str__(self) -> str:
        return f"{ {'ok': ' ', 'note': '-', 'warning': '!'}[self.verdict] } {self.name:<12} {self.told}"


def installed_checks(entry: EncoderEntry) -> Iterator[Check]:
    """What an encoder is, where it lies, and what is missing, without loading it."""
    yield Check("encoder", "ok", f"{entry.name} ({entry.source}): {entry.summary}")
    unclear = entry.licence == "unstated" or "NC" in entry.licence
    yield Check("licence", "note" if unclear else "ok", f"{entry.licence}; trained on {entry.trained_on}")
    yield Check("region", "ok", "any part of the body" if entry.region == "body" else f"{entry.region} CT")
    missing = entry.missing()
    size = f"{entry.size_mb:,.0f} MB" if entry.size_mb else "size unknown"
    memory = f", memory {entry.memory}" if entry.memory else ""
    where = f"would lie in {entry.place} (about {size}{memory})" if missing else f"{entry.place} ({size}{memory})"
    yield Check("place", "ok", where)
    for told in missing:
        yield Check(MISSING, "warning", told)
    if not missing:
        yield Check("installed", "ok", "everything it needs is here")


def software() -> Check:
    """The libraries that encoders run on, and where."""
    from importlib import metadata

    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers"))
    return Check("software", "ok", f"{versions}, on {device}")


def self_checks(encoder: ScanEncoder, scan: Scan, masks: OrganMasks, tell: Tell | None = None) -> Iterator[Check]:
    """Whether an encoder tells left from right and reads Hounsfield units, on a few organs that it encodes several
    times; ``tell`` is told how far that is."""
    card = encoder.card
    windows = ", ".join(f"{low:g}..{high:g}" for low, high in card.hu_windows)
    yield Check("card", "ok", f"{card.name} {card.revision}, {card.dim} numbers an organ, HU {windows}")
    yield Check("calibration", *calibration_told(encoder))
    known = known_organs(card, masks)
    few = few_organs(known, masks)
    some = only(masks, few)
    whole = encoder.encode_scan(scan, some, progress=_part(tell, 0)) if few else None
    seen = [] if whole is None else [i for i, s in enumerate(whole.status) if s not in BLIND]
    if whole is None or not seen:
        yield Check("organs", "warning", f"{scan.name} shows none of its organs: give a scan of its region.")
        return
    counted = f"{len(known)} of {len(masks.names)} organs of {scan.name} are known to it"
    yield Check("organs", "ok", f"{counted}; examined on {', '.join(few)}")
    yield left_right(whole)
    yield hounsfield(encoder, scan, some, whole.vectors[seen], seen, tell)


def known_organs(card: EncoderCard, masks: OrganMasks) -> list[str]:
    """Organs of a scan that an encoder was trained on; all where its card names none."""
    return [organ for organ in masks.names.values() if not card.organs or organ in card.organs]


def few_organs(known: list[str], masks: OrganMasks) -> tuple[str, ...]:
    """Those to examine: the kidneys, else another left and right, else any; whole and large ones first."""

    def worth(organ: str) -> tuple[bool, float]:
        statistics = masks.statistics.get(organ)
        return (False, 0.0) if statistics is None else (not statistics.touches_edge, statistics.volume_ml)

    pairs = [(o, r) for o in known if "left" in o.split("_") and (r := o.replace("left", "right")) in known]
    if pairs:
        return max(pairs, key=lambda pair: (min(map(worth, pair))[0], "kidney_left" in pair, min(map(worth, pair))))
    return tuple(sorted(known, key=worth, reverse=True)[:FEW])


def only(masks: OrganMasks, organs: tuple[str, ...]) -> OrganMasks:
    """The masks of a few organs alone."""
    names = {label: organ for label, organ in masks.names.items() if organ in organs}
    table = np.zeros(256, np.uint8)
    table[list(names)] = list(names)
    statistics = {organ: s for organ, s in masks.statistics.items() if organ in organs}
    return replace(masks, labels=table[masks.labels], names=names, statistics=statistics)


def _part(tell: Tell | None, number: int) -> Progress | None:
    """Progress of one of the times that the organs are encoded."""
    names = ("encoding", "with HU beyond its windows", "with other HU", "with an intercept applied twice")
    return None if tell is None else lambda done: tell(names[number], (number + done) / len(names))


def calibration_told(encoder: ScanEncoder) -> tuple[Verdict, str]:
    """Whether the probabilities of an encoder were fitted to anything."""
    calibration = encoder.calibration
    if calibration.note:
        return "warning", calibration.note
    if not calibration.fitted:
        return "note", "none: its probabilities are the model's own and were not fitted on any scans"
    return "ok", f"fitted for {len(calibration.by_key)} pairs of organ and abnormality, one map for the rest"


def left_right(embedding: ScanEmbedding) -> Check:
    """Whether each organ of a pair is nearer to the text with its own side than to the other's."""
    sides = tell_sides(embedding)
    if sides is None and side_pairs(embedding):
        what = " and ".join(embedding.groups)
        return Check("left/right", "note", f"cannot be checked: it sees both sides as one ({what})")
    if sides is None:
        return Check("left/right", "note", "not checked: no pair of a left and a right organ that it knows is here")
    told = f"own side nearer by a cosine of {sides.gain:+.3f}, in {sides.right} of {sides.pairs} pairs"
    if sides.swapped:
        return Check("left/right", "warning", f"{told}: left and right look swapped on the way to the network")
    if sides.blind:
        return Check("left/right", "warning", f"{told}: it does not tell left from right by sight")
    return Check("left/right", "ok", told)


def hounsfield(
    encoder: ScanEncoder,
    scan: Scan,
    masks: OrganMasks,
    before: FloatArray,
    seen: list[int],
    tell: Tell | None = None,
) -> Check:
    """Whether HU within the encoder's windows move its organs and HU beyond them do not; a wrong intercept's effect."""
    low = min(a for a, _ in encoder.card.hu_windows)
    high = max(b for _, b in encoder.card.hu_windows)
    hu = scan.hu.astype(np.int32)

    def moved(number: int, changed: NDArray[np.int32]) -> float:
        other = replace(scan, hu=np.clip(changed, -3024, 32000).astype(np.int16))
        after = encoder.encode_scan(other, masks, progress=_part(tell, number)).vectors[seen]
        return float(1 - np.einsum("od,od->o", before, after).mean())

    beyond = moved(1, hu + 500 * (hu > high) - 500 * (hu < low))
    within = moved(2, hu + SHIFT_HU)
    try:
        twice = f"by {moved(3, hu + TWICE_HU):.4f}"
    except UserError:
        twice = "not at all: such a scan is refused"
    told = (
        f"{SHIFT_HU} HU more move its organs by {within:.4f} (1 - cosine), 500 HU outside {low:g}..{high:g} by "
        f"{beyond:.4f}, an intercept applied twice {twice}"
    )
    if within < 1e-6:
        return Check("HU", "warning", f"{told}: it does not see the scan")
    if beyond > max(within, 1e-4):
        return Check("HU", "warning", f"{told}: HU beyond its windows should not count")
    return Check("HU", "ok", told)


def examine(name: str, given: tuple[Scan, OrganMasks] | None = None, tell: Tell | None = None) -> Iterator[Check]:
    """Everything that can be said of an encoder by name or folder; loads it only when nothing is missing.

    Parameters
    ----------
    name : str
        Name or folder.
    given : (Scan, OrganMasks), optional
        Scan for the self-checks; the built-in sample by default.
    tell : callable, optional
        Told how far the self-checks are.

    Raises
    ------
    UserError
        When there is no such encoder.
    """
    from pathlib import Path

    from napari_ctvlp.encoder import entry_at, list_entries, load_encoder
    from napari_ctvlp.encoder.registry import native_entry

    entries = list_entries()
    entry = entries.get(name) or entry_at(Path(name))
    if entry is None and (Path(name) / "config.json").is_file():
        entry = native_entry(Path(name), "folder")
    if entry is None:
        raise UserError(f"There is no encoder '{name}': known are {', '.join(entries)}, or pass the folder of one.")
    yield from installed_checks(entry)
    yield software()
    if entry.missing():
        return
    encoder = load_encoder(name)
    if given is None:
        from napari_ctvlp.sample import load_sample

        given = load_sample()
    yield from self_checks(encoder, *given, tell)

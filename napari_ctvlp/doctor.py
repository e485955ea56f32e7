"""Whether an encoder can be used here and reads a scan as it should: what ``napari-ctvlp doctor`` prints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from napari_ctvlp.encoder.contract import FloatArray, OrganStatus, ScanEmbedding, ScanEncoder
from napari_ctvlp.encoder.sides import tell_sides
from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from napari_ctvlp.encoder.registry import EncoderEntry
    from napari_ctvlp.scan.types import OrganMasks, Scan

Verdict = Literal["ok", "note", "warning"]
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
    size = f"{entry.size_mb:,.0f} MB" if entry.size_mb else "size unknown"
    yield Check("place", "ok", f"{entry.place} ({size}{', memory ' + entry.memory if entry.memory else ''})")
    missing = entry.missing()
    for told in missing:
        yield Check("missing", "warning", told)
    if not missing:
        yield Check("installed", "ok", "everything it needs is here")


def self_checks(encoder: ScanEncoder, scan: Scan, masks: OrganMasks) -> Iterator[Check]:
    """Whether an encoder tells left from right and reads Hounsfield units, on a scan; encodes it several times."""
    card = encoder.card
    windows = ", ".join(f"{low:g}..{high:g}" for low, high in card.hu_windows)
    yield Check("card", "ok", f"{card.name} {card.revision}, {card.dim} numbers an organ, HU {windows}")
    yield Check("calibration", *calibration_told(encoder))
    whole = encoder.encode_scan(scan, masks)
    seen = [i for i, s in enumerate(whole.status) if s in (OrganStatus.COMPLETE, OrganStatus.CUT)]
    if not seen:
        yield Check("organs", "warning", f"{scan.name} shows none of its organs: give a scan of its region.")
        return
    yield Check("organs", "ok", f"{len(seen)} of {len(whole.organs)} organs of {scan.name} encoded")
    yield left_right(whole)
    yield hounsfield(encoder, scan, masks, whole.vectors[seen], seen)


def calibration_told(encoder: ScanEncoder) -> tuple[Verdict, str]:
    """Whether the probabilities of an encoder were fitted to anything."""
    calibration = encoder.calibration
    if not calibration.fitted:
        return "note", "none: its probabilities are the model's own and were not fitted on any scans"
    return "ok", f"fitted for {len(calibration.by_key)} pairs of organ and abnormality, one map for the rest"


def left_right(embedding: ScanEmbedding) -> Check:
    """Whether each organ of a pair is nearer to the text with its own side than to the other's."""
    sides = tell_sides(embedding)
    if sides is None:
        return Check("left/right", "note", "not checked: no pair of a left and a right organ that it knows is here")
    told = f"own side nearer by a cosine of {sides.gain:+.3f}, in {sides.right} of {sides.pairs} pairs"
    if sides.swapped:
        return Check("left/right", "warning", f"{told}: left and right look swapped on the way to the network")
    if sides.blind:
        return Check("left/right", "warning", f"{told}: it does not tell left from right by sight")
    return Check("left/right", "ok", told)


def hounsfield(encoder: ScanEncoder, scan: Scan, masks: OrganMasks, before: FloatArray, seen: list[int]) -> Check:
    """Whether HU within the encoder's windows move its organs and HU beyond them do not; a wrong intercept's effect."""
    low = min(a for a, _ in encoder.card.hu_windows)
    high = max(b for _, b in encoder.card.hu_windows)
    hu = scan.hu.astype(np.int32)
    beyond = _moved(encoder, scan, masks, hu + 500 * (hu > high) - 500 * (hu < low), before, seen)
    within = _moved(encoder, scan, masks, hu + SHIFT_HU, before, seen)
    try:
        twice = f"by {_moved(encoder, scan, masks, hu + TWICE_HU, before, seen):.4f}"
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


def _moved(
    encoder: ScanEncoder, scan: Scan, masks: OrganMasks, hu: NDArray[np.int32], before: FloatArray, seen: list[int]
) -> float:
    other = replace(scan, hu=np.clip(hu, -3024, 32000).astype(np.int16))
    after = encoder.encode_scan(other, masks).vectors[seen]
    return float(1 - np.einsum("od,od->o", before, after).mean())


def examine(name: str, given: tuple[Scan, OrganMasks] | None = None) -> Iterator[Check]:
    """Everything that can be said of an encoder by name or folder; loads it only when nothing is missing.

    Parameters
    ----------
    name : str
        Name or folder.
    given : (Scan, OrganMasks), optional
        Scan for the self-checks; the built-in sample by default.

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
    if entry.missing():
        return
    encoder = load_encoder(name)
    if given is None:
        from napari_ctvlp.sample import load_sample

        given = load_sample()
    yield from self_checks(encoder, *given)

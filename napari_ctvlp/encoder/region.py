"""Whether a scan shows the part of the body that an encoder was trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from napari_ctvlp.anatomy.organs import GROUPS
from napari_ctvlp.scan.types import OrganMasks

from .registry import EncoderEntry, Region, entry_at, list_entries

LANDMARKS: dict[Region, tuple[str, ...]] = {
    "chest": (*GROUPS["lung"], *GROUPS["heart"]),
    "abdomen": ("liver", "spleen", "kidney_left", "kidney_right", "pancreas", "stomach", "colon", "urinary_bladder"),
}
"""Organs of which a scan of the region shows at least one whole."""


def outside_region(name: str, region: Region, masks: OrganMasks) -> str:
    """One sentence when none of the region's landmarks is whole in a scan, else "".

    Parameters
    ----------
    name : str
        The encoder's.
    region : {"chest", "abdomen", "body"}
        What it was trained on; nothing is outside of "body".
    masks : OrganMasks
        The scan's organs; without a known organ nothing can be said.
    """
    landmarks = LANDMARKS.get(region, ())
    known = {organ for organs in LANDMARKS.values() for organ in organs}
    if not landmarks or not known & set(masks.names.values()):
        return ""
    whole = [o for o in landmarks if o in masks.statistics and not masks.statistics[o].touches_edge]
    if whole:
        return ""
    some = any(organ in masks.statistics for organ in landmarks)
    seen = "shows only a part of it" if some else "shows none of it"
    return f"{name} was trained on CT of the {region}; this scan {seen}, so its answers here may mean nothing."


def region_note(encoder: str | Path, masks: OrganMasks, entries: Mapping[str, EncoderEntry] | None = None) -> str:
    """`outside_region` of an encoder by its name or folder; "" for one of which nothing is known beforehand.

    ``entries`` is what `list_entries` gave before, for whoever must not read it from disk.
    """
    entry = (list_entries() if entries is None else entries).get(str(encoder)) or entry_at(Path(encoder))
    return "" if entry is None else outside_region(entry.name, entry.region, masks)

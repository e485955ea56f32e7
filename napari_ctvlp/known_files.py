"""What a session has open already: a file that is opened again is the scan, or the masks, that are there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import WeakSet

if TYPE_CHECKING:
    from napari_ctvlp.scan.types import OrganMasks, Scan


class KnownFiles:
    """Scans and masks that were open in a session, for as long as anybody holds them."""

    def __init__(self) -> None:
        self._scans: WeakSet[Scan] = WeakSet()
        self._masks: WeakSet[OrganMasks] = WeakSet()

    def add(self, scan: Scan | None, masks: OrganMasks | None) -> None:
        """Know these from now on."""
        if scan is not None:
            self._scans.add(scan)
        if masks is not None:
            self._masks.add(masks)

    @property
    def scans(self) -> tuple[Scan, ...]:
        """All that there are now, to look through in another thread."""
        return tuple(self._scans)

    @property
    def masks(self) -> tuple[OrganMasks, ...]:
        """All that there are now, to look through in another thread."""
        return tuple(self._masks)


def known_scan(read: Scan, known: Iterable[Scan]) -> Scan:
    """The known scan of the same file that holds the same, else the one that was read."""
    import numpy as np

    same = (
        scan
        for scan in known
        if read.source
        and scan.source == read.source
        and np.array_equal(scan.affine, read.affine)
        and np.array_equal(scan.hu, read.hu)
    )
    return next(same, read)


def known_masks(read: OrganMasks, known: Iterable[OrganMasks]) -> OrganMasks:
    """The known masks of the same file that hold the same, measured on the same HU, else those that were read."""
    import numpy as np

    same = (
        masks
        for masks in known
        if read.source
        and masks.source == read.source
        and masks.scheme == read.scheme
        and masks.names == read.names
        and masks.statistics == read.statistics
        and np.array_equal(masks.labels, read.labels)
    )
    return next(same, read)

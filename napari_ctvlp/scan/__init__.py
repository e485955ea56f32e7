"""The scan and its organ masks, on one grid in mm.

>>> from napari_ctvlp.scan import read_scan, read_masks
>>> scan = read_scan("ct.nii.gz")                   # doctest: +SKIP
>>> masks = read_masks("segmentations", scan)       # doctest: +SKIP
"""

from __future__ import annotations

from napari_ctvlp.scan.audit import audit_volume
from napari_ctvlp.scan.masks import read_masks
from napari_ctvlp.scan.reader import read_scan
from napari_ctvlp.scan.series import SeriesInfo, list_series
from napari_ctvlp.scan.statistics import organ_statistics
from napari_ctvlp.scan.types import Audit, AuditItem, OrganMasks, OrganStatistics, Scan, StoredGrid

__all__ = [
    "Audit",
    "AuditItem",
    "OrganMasks",
    "OrganStatistics",
    "Scan",
    "SeriesInfo",
    "StoredGrid",
    "audit_volume",
    "list_series",
    "organ_statistics",
    "read_masks",
    "read_scan",
]

"""Organ masks where there are none: TotalSegmentator, in a process of its own."""

from napari_ctvlp.segment.process import SegmentationCancelled
from napari_ctvlp.segment.total import segment_scan

__all__ = ["SegmentationCancelled", "segment_scan"]

"""Sums and extremes of rows that belong together, where rows of one segment follow one another.

On a GPU, additions and maxima of a million rows into a thousand segments wait for one another at every segment. Rows
are sorted by segment here, so they are reduced in chunks, and chunks in segments: nothing is added from two places at
once, and the result is the same from run to run.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK = 128
"""Rows that one thread of a GPU goes through."""


@dataclass(frozen=True)
class Segments:
    """Where segments begin and end.

    Attributes
    ----------
    segment : (rows,) int64
        Segment of each row, never falling.
    count : int
        Segments; some may have no rows.
    lengths : (chunks,) int64, optional
        Rows of each chunk; None on a CPU, which adds row by row.
    chunks : (segments,) int64, optional
        Chunks of each segment.
    """

    segment: Tensor
    count: int
    lengths: Tensor | None = None
    chunks: Tensor | None = None

    @classmethod
    def of(cls, segment: Tensor, count: int, *, chunked: bool | None = None) -> Segments:
        """Find the chunks of some rows' segments, by default on a GPU alone."""
        if not (segment.device.type == "cuda" if chunked is None else chunked):
            return cls(segment, count)
        rows = torch.bincount(segment, minlength=count)
        chunks = torch.div(rows + CHUNK - 1, CHUNK, rounding_mode="floor")
        first = chunks.cumsum(0) - chunks
        owner = torch.repeat_interleave(chunks)
        number = torch.arange(len(owner), device=segment.device) - first.index_select(0, owner)
        return cls(segment, count, (rows.index_select(0, owner) - CHUNK * number).clamp_max(CHUNK), chunks)

    def _reduced(self, rows: Tensor, how: str) -> Tensor:
        assert self.lengths is not None and self.chunks is not None
        parts: Tensor = torch.segment_reduce(rows, how, lengths=self.lengths, unsafe=True)
        return torch.segment_reduce(parts, how, lengths=self.chunks, unsafe=True)

    def summed(self, rows: Tensor) -> Tensor:
        """(rows, ...) to (segments, ...) sums; zero where there are no rows."""
        if self.lengths is None:
            return rows.new_zeros(self.count, *rows.shape[1:]).index_add(0, self.segment, rows)
        if not len(rows):
            return rows.new_zeros(self.count, *rows.shape[1:])
        return self._reduced(rows, "sum")

    def largest(self, rows: Tensor, empty: float = 0.0) -> Tensor:
        """(rows, n) to (segments, n) largest of finite values; equal ones share their gradient."""
        if self.lengths is None:
            found = rows.new_full((self.count, rows.shape[1]), empty)
            where = self.segment[:, None].expand_as(rows)
            return found.scatter_reduce(0, where, rows, "amax", include_self=False)
        if not len(rows):
            return rows.new_full((self.count, rows.shape[1]), empty)
        found = self._reduced(rows, "max")
        return torch.where(torch.isneginf(found), empty, found)

    def smallest(self, rows: Tensor, empty: float = 0.0) -> Tensor:
        """The same with the smallest."""
        return -self.largest(-rows, -empty)

"""Figures in words, for tables."""

from __future__ import annotations

from typing import Any


def spread(entry: dict[str, Any] | None, digits: int = 2) -> str:
    """ "0.81 (0.75-0.86)", without bounds where there are none."""
    if entry is None or entry.get("value") is None:
        return "-"
    if entry.get("low") is None:
        return f"{entry['value']:.{digits}f} (too few)"
    return f"{entry['value']:.{digits}f} ({entry['low']:.{digits}f}-{entry['high']:.{digits}f})"

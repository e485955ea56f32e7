"""What a radiologist would write about a synthetic scan."""

from __future__ import annotations

"""From materials to Hounsfield units, as a scanner would show them."""

from __future__ import annotations

"""Anatomy: where the organs of a synthetic scan are, before it is deformed, painted and imaged."""

from __future__ import annotations

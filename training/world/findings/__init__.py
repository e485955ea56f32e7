"""Abnormalities: each painted into a scene, with its place kept as ground truth."""

from __future__ import annotations

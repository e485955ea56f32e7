"""A synthetic CT world: procedural bodies, CT physics, painted abnormalities and the sentences that describe them."""

from __future__ import annotations

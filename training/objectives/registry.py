"""The methods by name; each is made with the width of the space that images and texts share, and the
number of classes of the run."""

from __future__ import annotations

from collections.abc import Callable

from .base import Objective
from .clip import Clip, Siglip
from .ctglip import CtGlip
from .finetune import Finetune
from .fvlm import Fvlm
from .fvlm_coteach import FvlmCoteach
from .ours import Ours
from .supervised import Supervised
from .t3d import T3d

METHODS: dict[str, Callable[[int, int], Objective]] = {
    "clip": lambda dim, classes: Clip(),
    "siglip": lambda dim, classes: Siglip(),
    "ctglip": lambda dim, classes: CtGlip(),
    "ctglip-paper": lambda dim, classes: CtGlip(within=0.0),
    "fvlm": lambda dim, classes: Fvlm(),
    "fvlm-no-normal": lambda dim, classes: Fvlm(normals=False),
    "fvlm-no-abnormal": lambda dim, classes: Fvlm(abnormals=False),
    "fvlm-plain": lambda dim, classes: Fvlm(normals=False, abnormals=False),
    "fvlm-coteach": lambda dim, classes: FvlmCoteach(),
    "t3d": lambda dim, classes: T3d(dim),
    "ours": lambda dim, classes: Ours(),
    "ours-bank": lambda dim, classes: Ours(bank=64),
    "finetune": lambda dim, classes: Finetune(),
    "finetune-labels": lambda dim, classes: Finetune(names=0.0),
    "supervised": lambda dim, classes: Supervised(dim, classes),
}
"""Also the ablations: fvlm without one or both corrections of false negatives, CT-GLIP without our third term, and
fine-tuning without the names of organs."""

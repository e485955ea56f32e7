"""Every abnormality of the world: its anatomy, organs, attenuation, how it is painted, and on whose word."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from training.world.findings.adrenal import ADRENAL
from training.world.findings.aorta import AORTA
from training.world.findings.bone import BONE
from training.world.findings.bowel import BOWEL
from training.world.findings.gallbladder import GALLBLADDER
from training.world.findings.heart import HEART
from training.world.findings.kidney import KIDNEY
from training.world.findings.kinds import Abnormality
from training.world.findings.liver import LIVER
from training.world.findings.lung import LUNG
from training.world.findings.mediastinum import MEDIASTINUM
from training.world.findings.pancreas import PANCREAS
from training.world.findings.pelvis import PELVIS
from training.world.findings.peritoneum import PERITONEUM
from training.world.findings.pleura import PLEURA
from training.world.findings.soft_tissue import SOFT_TISSUE
from training.world.findings.spine import SPINE
from training.world.findings.spleen import SPLEEN

ALL: tuple[Abnormality, ...] = (
    *HEART,
    *AORTA,
    *LUNG,
    *PLEURA,
    *MEDIASTINUM,
    *LIVER,
    *GALLBLADDER,
    *SPLEEN,
    *PANCREAS,
    *KIDNEY,
    *ADRENAL,
    *BOWEL,
    *PELVIS,
    *PERITONEUM,
    *SOFT_TISSUE,
    *SPINE,
    *BONE,
)
"""In the order of painting: a stone is painted after the distended pelvis that it lies in."""

ABNORMALITIES: Mapping[str, Abnormality] = MappingProxyType({a.slug: a for a in ALL})
"""The abnormalities by slug."""

BY_ORGAN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        organ: tuple(s for s, a in ABNORMALITIES.items() if organ in a.organs)
        for organ in sorted({o for a in ABNORMALITIES.values() for o in a.organs})
    }
)
"""The slugs that each organ can have by itself."""

SHOWN: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        organ: tuple(s for s, a in ABNORMALITIES.items() if organ in (*a.organs, *a.spreads))
        for organ in sorted({o for a in ABNORMALITIES.values() for o in (*a.organs, *a.spreads)})
    }
)
"""The slugs that each organ can show: those, and what reaches it from another organ."""

"""Abnormalities of the lung."""

from __future__ import annotations

from training.world.findings.kinds import LOBES, Abnormality
from training.world.findings.lung_diffuse import atelectasis, emphysema, ground_glass_opacity, lung_fibrosis
from training.world.findings.lung_focal import (
    bronchiectasis,
    lung_consolidation,
    lung_granuloma,
    lung_mass,
    lung_nodule,
)

_FLEISCHNER = "Hansell et al., Fleischner Society glossary, Radiology 2008;246:697"

LUNG: tuple[Abnormality, ...] = (
    Abnormality(
        "emphysema",
        "lung",
        LOBES,
        emphysema,
        how="Wall-less holes of 4-12 mm below -950 HU, apical first, in several lobes; in part subpleural bullae.",
        source="Gevenois et al., AJRCCM 1995;152:653",
        hu=(-1010, -900),
        rate=0.06,
    ),
    Abnormality(
        "lung_fibrosis",
        "lung",
        LOBES,
        lung_fibrosis,
        how="Subpleural and basal net of lines in ground glass, honeycombs where severe; mostly in several lobes.",
        source=f"Pattern: Raghu et al., AJRCCM 2018;198:e44; own HU range, set with {_FLEISCHNER} in mind",
        hu=(-780, -250),
        rate=0.025,
    ),
    Abnormality(
        "bronchiectasis",
        "lung",
        LOBES,
        bronchiectasis,
        how="Airways wider than the vessel beside them, 5-15 mm, thick-walled, not tapering: tram tracks and rings.",
        source=f"Own range, set with {_FLEISCHNER} in mind",
        hu=(-800, -100),
        rate=0.025,
    ),
    Abnormality(
        "ground_glass_opacity",
        "lung",
        LOBES,
        ground_glass_opacity,
        how="Haze that leaves vessels visible: patches, a subpleural band or a whole lobe; sometimes crazy paving.",
        source=f"Own range, set with {_FLEISCHNER} in mind",
        hu=(-700, -350),
        rate=0.05,
    ),
    Abnormality(
        "lung_consolidation",
        "lung",
        LOBES,
        lung_consolidation,
        how="One or more segments filled, hazy edge, vessels and branching air bronchograms within.",
        source=f"Own range, set with {_FLEISCHNER} in mind",
        hu=(-160, 70),
        enhanced=(-150, 130),
        rate=0.04,
    ),
    Abnormality(
        "atelectasis",
        "lung",
        LOBES,
        atelectasis,
        how="Airless lung: a dependent rim, plate-like bands at the base, or a lobe collapsed towards the spine.",
        source=f"Own range, set with {_FLEISCHNER} in mind",
        hu=(-110, 80),
        enhanced=(-90, 130),
        rate=0.06,
    ),
    Abnormality(
        "lung_mass",
        "lung",
        LOBES,
        lung_mass,
        how="A lobulated or spiculated mass of 31-85 mm against the pleura; in part necrotic or a cavity.",
        source=f"Size: {_FLEISCHNER}; own HU range",
        hu=(-220, 70),
        enhanced=(-200, 120),
        rate=0.015,
    ),
    Abnormality(
        "lung_nodule",
        "lung",
        LOBES,
        lung_nodule,
        how="One, or up to seven, round, lobulated or spiculated nodules of 4-30 mm, solid or part-solid.",
        source="Sizes: MacMahon et al., Radiology 2017;284:228; own HU range",
        hu=(-720, 90),
        enhanced=(-720, 120),
        rate=0.08,
    ),
    Abnormality(
        "lung_granuloma",
        "lung",
        LOBES,
        lung_granuloma,
        how="One to four round calcified nodules of 3-10 mm.",
        source="Benign above 164 HU: Siegelman et al., AJR 1980;135:1; own range",
        hu=(200, 1400),
        rate=0.04,
    ),
)

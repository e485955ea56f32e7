"""Who the patient is: background conditions by age and sex, and the abnormalities that each of them brings.

All numbers are this project's own guesses at a population that comes to CT, to be read and changed; none is a
transcribed prevalence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from training.world.bodies.body import Sex


@dataclass(frozen=True)
class Condition:
    """A background condition.

    Attributes
    ----------
    ages : ((float, float), ...)
        (age in years, how many have it), interpolated between.
    brings : mapping of str to float
        Abnormality to the chance that the condition causes it where its organs are in view.
    men, women : float
        Factor on how many have it.
    """

    ages: tuple[tuple[float, float], ...]
    brings: Mapping[str, float]
    men: float = 1.0
    women: float = 1.0

    def chance(self, age: float, sex: Sex) -> float:
        """How likely a person has it."""
        years, rates = zip(*self.ages, strict=True)
        return float(np.clip(np.interp(age, years, rates) * (self.men if sex == "male" else self.women), 0, 0.95))


CONDITIONS: Mapping[str, Condition] = MappingProxyType(
    {
        "atherosclerosis": Condition(
            ((40, 0.02), (55, 0.25), (70, 0.6), (85, 0.85)),
            {
                "aortic_calcification": 0.75,
                "coronary_calcification": 0.5,
                "aortic_aneurysm": 0.06,
                "aortic_thrombus": 0.05,
                "aortic_stent_graft": 0.025,
                "aortic_dissection": 0.02,
                "renal_atrophy": 0.05,
                "brain_infarct": 0.12,
            },
            men=1.15,
            women=0.85,
        ),
        "smoker": Condition(
            ((20, 0.1), (50, 0.22), (70, 0.22), (85, 0.12)),
            {
                "emphysema": 0.4,
                "lung_nodule": 0.18,
                "lung_mass": 0.06,
                "bronchiectasis": 0.08,
                "pneumothorax": 0.03,
                "lung_fibrosis": 0.04,
                "mediastinal_lymphadenopathy": 0.05,
                "bladder_mass": 0.04,
                "kidney_mass": 0.02,
                "oesophageal_wall_thickening": 0.03,
            },
            men=1.2,
            women=0.8,
        ),
        "metabolic": Condition(
            ((20, 0.08), (45, 0.25), (65, 0.33), (85, 0.25)),
            {
                "liver_steatosis": 0.22,
                "hepatomegaly": 0.05,
                "gallstones": 0.12,
                "adrenal_nodule": 0.04,
                "hiatal_hernia": 0.06,
                "diverticulosis": 0.1,
                "coronary_calcification": 0.12,
            },
        ),
        "heart failure": Condition(
            ((40, 0.01), (60, 0.04), (75, 0.12), (90, 0.2)),
            {
                "cardiomegaly": 0.8,
                "pleural_effusion": 0.6,
                "pericardial_effusion": 0.15,
                "ground_glass_opacity": 0.25,
                "atelectasis": 0.25,
                "pacemaker_lead": 0.25,
                "hepatomegaly": 0.1,
                "ascites": 0.1,
            },
        ),
        "cirrhosis": Condition(
            ((30, 0.005), (50, 0.03), (65, 0.04), (85, 0.03)),
            {
                "cirrhosis": 0.95,
                "splenomegaly": 0.6,
                "ascites": 0.5,
                "gallstones": 0.2,
                "gallbladder_wall_thickening": 0.2,
                "pleural_effusion": 0.15,
                "oesophageal_wall_thickening": 0.12,
                "liver_metastasis": 0.04,
            },
            men=1.3,
            women=0.7,
        ),
        "urolithiasis": Condition(
            ((20, 0.05), (50, 0.09), (80, 0.08)),
            {"kidney_stone": 0.8, "hydronephrosis": 0.35, "renal_atrophy": 0.05, "bladder_stone": 0.03},
            men=1.3,
            women=0.7,
        ),
        "chronic pancreatitis": Condition(
            ((30, 0.015), (50, 0.03), (80, 0.025)),
            {
                "pancreatic_calcification": 0.6,
                "pancreatic_duct_dilatation": 0.4,
                "pancreatic_atrophy": 0.35,
                "pancreatic_pseudocyst": 0.2,
                "biliary_dilatation": 0.15,
                "splenic_infarct": 0.03,
            },
            men=1.4,
            women=0.6,
        ),
        "metastatic cancer": Condition(
            ((25, 0.02), (45, 0.07), (65, 0.13), (85, 0.14)),
            {
                "lung_nodule": 0.3,
                "lung_mass": 0.1,
                "liver_metastasis": 0.35,
                "mediastinal_lymphadenopathy": 0.25,
                "retroperitoneal_lymphadenopathy": 0.25,
                "vertebra_sclerotic_lesion": 0.12,
                "vertebra_lytic_lesion": 0.14,
                "pelvic_lytic_lesion": 0.12,
                "adrenal_nodule": 0.12,
                "pleural_effusion": 0.2,
                "ascites": 0.12,
                "colon_mass": 0.08,
                "pancreatic_mass": 0.06,
                "kidney_mass": 0.05,
                "bladder_mass": 0.04,
                "biliary_dilatation": 0.06,
                "muscle_wasting": 0.12,
            },
        ),
        "osteoporosis": Condition(
            ((45, 0.01), (60, 0.1), (75, 0.25), (90, 0.45)),
            {
                "osteoporosis": 0.8,
                "vertebral_compression_fracture": 0.25,
                "hip_fracture": 0.05,
                "metal_implant": 0.06,
                "rib_fracture": 0.06,
            },
            men=0.5,
            women=1.5,
        ),
        "worn joints": Condition(
            ((30, 0.02), (50, 0.25), (70, 0.6), (85, 0.75)),
            {"degenerative_spine": 0.6, "metal_implant": 0.05},
        ),
        "prostate hyperplasia": Condition(
            ((40, 0.05), (60, 0.4), (80, 0.65)),
            {
                "prostate_enlargement": 0.75,
                "prostate_calcification": 0.3,
                "bladder_wall_thickening": 0.2,
                "bladder_diverticulum": 0.08,
                "bladder_stone": 0.05,
                "hydronephrosis": 0.03,
            },
            women=0.0,
        ),
        "trauma": Condition(
            ((18, 0.08), (40, 0.05), (70, 0.04), (90, 0.06)),
            {
                "rib_fracture": 0.4,
                "pneumothorax": 0.2,
                "pleural_effusion": 0.12,
                "lung_consolidation": 0.1,
                "vertebral_compression_fracture": 0.12,
                "hip_fracture": 0.12,
                "brain_haemorrhage": 0.25,
                "aortic_dissection": 0.02,
                "ascites": 0.06,
            },
            men=1.3,
            women=0.7,
        ),
        "post-operative": Condition(
            ((18, 0.04), (60, 0.1), (85, 0.12)),
            {
                "free_air": 0.2,
                "ascites": 0.15,
                "atelectasis": 0.35,
                "pleural_effusion": 0.2,
                "gallbladder_absent": 0.35,
                "metal_implant": 0.2,
                "bowel_obstruction": 0.06,
            },
        ),
        "acute abdomen": Condition(
            ((18, 0.1), (50, 0.09), (85, 0.08)),
            {
                "bowel_obstruction": 0.22,
                "bowel_wall_thickening": 0.25,
                "gallbladder_distension": 0.2,
                "gallbladder_wall_thickening": 0.18,
                "gallstones": 0.22,
                "biliary_dilatation": 0.08,
                "pancreatitis": 0.18,
                "free_air": 0.1,
                "ascites": 0.12,
                "diverticulosis": 0.12,
                "hydronephrosis": 0.08,
                "psoas_abscess": 0.02,
            },
        ),
        "polycystic disease": Condition(
            ((18, 0.008), (80, 0.01)),
            {"polycystic_kidney": 0.95, "liver_cyst": 0.7, "pancreatic_cyst": 0.1, "hepatomegaly": 0.15},
        ),
        "infection": Condition(
            ((18, 0.06), (60, 0.1), (85, 0.14)),
            {
                "lung_consolidation": 0.5,
                "ground_glass_opacity": 0.3,
                "pleural_effusion": 0.25,
                "atelectasis": 0.15,
                "mediastinal_lymphadenopathy": 0.12,
                "splenomegaly": 0.1,
                "psoas_abscess": 0.06,
                "bronchiectasis": 0.05,
            },
        ),
        "old granulomatous disease": Condition(
            ((30, 0.02), (80, 0.06)),
            {
                "lung_granuloma": 0.6,
                "splenic_calcification": 0.4,
                "liver_calcification": 0.3,
                "adrenal_calcification": 0.12,
                "mediastinal_lymphadenopathy": 0.1,
            },
        ),
        "asbestos": Condition(
            ((50, 0.005), (80, 0.03)), {"pleural_plaque": 0.9, "lung_fibrosis": 0.2}, men=1.7, women=0.3
        ),
        "immobile": Condition(
            ((40, 0.01), (65, 0.07), (90, 0.3)),
            {"muscle_wasting": 0.7, "atelectasis": 0.2, "kidney_stone": 0.05, "lung_consolidation": 0.08},
        ),
        "old age": Condition(
            ((55, 0.0), (70, 0.5), (90, 0.95)),
            {
                "kidney_cyst": 0.15,
                "pancreatic_atrophy": 0.2,
                "pancreatic_cyst": 0.04,
                "hiatal_hernia": 0.12,
                "diverticulosis": 0.2,
                "renal_atrophy": 0.04,
                "thyroid_nodule": 0.1,
                "muscle_wasting": 0.06,
                "brain_infarct": 0.08,
                "brain_haemorrhage": 0.03,
            },
        ),
    }
)
"""Background conditions."""


def draw_conditions(age: float, sex: Sex, rng: np.random.Generator) -> tuple[str, ...]:
    """What a person of an age in years has, in the order of ``CONDITIONS``."""
    rolls = rng.random(len(CONDITIONS))
    return tuple(
        n for (n, c), roll in zip(CONDITIONS.items(), rolls.tolist(), strict=True) if roll < c.chance(age, sex)
    )

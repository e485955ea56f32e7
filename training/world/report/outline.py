"""The parts of a report: which organs stand under which heading, and what is usually denied there."""

from __future__ import annotations

from dataclasses import dataclass

from napari_ctvlp.anatomy.organs import GROUPS

EXTRINSIC = frozenset(
    {
        "pleural_effusion",
        "pneumothorax",
        "pleural_plaque",
        "ascites",
        "free_air",
        "mediastinal_lymphadenopathy",
        "retroperitoneal_lymphadenopathy",
        "pericardial_effusion",
    }
)
"""Beside an organ rather than of it: a report may say "the lungs are clear" and name an effusion."""

LOOSE = frozenset({"pleural_effusion", "pneumothorax", "pleural_plaque", "ascites", "free_air", "hiatal_hernia"})
"""Reported by side or for the whole cavity; which of the dictionary's organs they touch, a report does not say."""

COMPANIONS = {
    "kidney_stone": ("hydronephrosis", ("hydronephrosis", "evidence of hydronephrosis")),
    "gallstones": ("gallbladder_wall_thickening", ("gallbladder wall thickening", "evidence of cholecystitis")),
    "aortic_calcification": ("aortic_aneurysm", ("aneurysm", "evidence of aneurysm")),
    "emphysema": ("lung_consolidation", ("consolidation", "superimposed airspace consolidation")),
    "splenomegaly": ("splenic_infarct", ("infarct", "splenic infarct")),
    "pancreatitis": ("pancreatic_pseudocyst", ("a pseudocyst", "evidence of pseudocyst formation")),
    "liver_cyst": ("biliary_dilatation", ("biliary dilatation", "intrahepatic biliary dilatation")),
}
"""What is denied in one breath with a finding, of the same organ."""


@dataclass(frozen=True)
class Unit:
    """Organs that are called normal together, in the words for it."""

    organs: tuple[str, ...]
    words: tuple[str, ...]
    plural: bool = False
    normal: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """A heading with its units, its own abnormalities, and what is denied in it."""

    titles: tuple[str, ...]
    units: tuple[Unit, ...]
    slugs: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


def _unit(organs: str, *words: str, plural: bool = False, normal: tuple[str, ...] = ()) -> Unit:
    return Unit(tuple(organs.split()), words, plural, normal)


_LUNGS = Unit(GROUPS["lung"], ("lungs", "lungs"), True, ("The lungs are clear.", "Clear lungs.", "Lungs clear."))
_BONES = Unit(
    GROUPS["bones"],
    ("osseous structures", "bones", "visualized osseous structures"),
    True,
    ("The bones are intact.", "Osseous structures intact."),
)

SECTIONS: tuple[Section, ...] = (
    Section(
        ("BRAIN", "HEAD"), (_unit("brain", "brain", "brain parenchyma"),), denied=("brain_haemorrhage", "brain_infarct")
    ),
    Section(("NECK", "THYROID"), (_unit("thyroid_gland", "thyroid gland", "thyroid"),), denied=("thyroid_nodule",)),
    Section(
        ("LUNGS", "LUNGS AND AIRWAYS", "Lung parenchyma"),
        (_LUNGS,),
        denied=("lung_nodule", "lung_consolidation", "ground_glass_opacity", "lung_mass"),
    ),
    Section(
        ("PLEURA", "Pleural spaces"),
        (),
        ("pleural_effusion", "pneumothorax", "pleural_plaque"),
        ("pleural_effusion", "pneumothorax"),
    ),
    Section(
        ("HEART AND MEDIASTINUM", "MEDIASTINUM", "Cardiovascular"),
        (
            _unit("heart", "heart", normal=("The heart is normal in size.", "Normal heart size.")),
            _unit("trachea", "trachea", normal=("The trachea is patent.",)),
            _unit("esophagus", "esophagus"),
        ),
        ("mediastinal_lymphadenopathy",),
        ("pericardial_effusion", "mediastinal_lymphadenopathy", "hiatal_hernia"),
    ),
    Section(
        ("LIVER", "Liver"),
        (_unit("liver", "liver", normal=("The liver is normal in size and attenuation.",)),),
        denied=("liver_metastasis", "biliary_dilatation"),
    ),
    Section(
        ("GALLBLADDER", "Gallbladder and bile ducts"),
        (_unit("gallbladder", "gallbladder"),),
        denied=("gallstones", "gallbladder_wall_thickening"),
    ),
    Section(("SPLEEN", "Spleen"), (_unit("spleen", "spleen"),), denied=("splenomegaly",)),
    Section(
        ("PANCREAS", "Pancreas"),
        (_unit("pancreas", "pancreas"),),
        denied=("pancreatic_duct_dilatation", "pancreatic_mass"),
    ),
    Section(
        ("ADRENALS", "ADRENAL GLANDS"),
        (_unit("adrenal_gland_left adrenal_gland_right", "adrenal glands", "adrenals", plural=True),),
        denied=("adrenal_nodule",),
    ),
    Section(
        ("KIDNEYS", "KIDNEYS AND URETERS", "Genitourinary"),
        (
            _unit(
                "kidney_left kidney_right",
                "kidneys",
                plural=True,
                normal=("Both kidneys are normal.", "The kidneys enhance symmetrically and are unremarkable."),
            ),
        ),
        denied=("hydronephrosis", "kidney_stone"),
    ),
    Section(
        ("BOWEL", "GI TRACT", "Gastrointestinal"),
        (
            _unit("stomach", "stomach"),
            _unit("duodenum", "duodenum"),
            _unit("small_bowel", "small bowel"),
            _unit("colon", "colon", "large bowel"),
        ),
        denied=("bowel_obstruction", "bowel_wall_thickening", "diverticulosis"),
    ),
    Section(("PERITONEUM", "Peritoneal cavity"), (), ("ascites", "free_air"), ("ascites", "free_air")),
    Section(
        ("VESSELS", "Vasculature", "VASCULAR"),
        (
            _unit("aorta", "aorta", normal=("The aorta is of normal caliber.", "Normal caliber aorta.")),
            _unit("inferior_vena_cava", "inferior vena cava", "IVC", normal=("The IVC is patent.",)),
        ),
        denied=("aortic_aneurysm", "aortic_dissection"),
    ),
    Section(("LYMPH NODES", "Nodes"), (), ("retroperitoneal_lymphadenopathy",), ("retroperitoneal_lymphadenopathy",)),
    Section(
        ("PELVIS", "PELVIC ORGANS"),
        (_unit("urinary_bladder", "urinary bladder", "bladder"), _unit("prostate", "prostate", "prostate gland")),
        denied=("bladder_stone", "prostate_enlargement"),
    ),
    Section(
        ("BONES", "MUSCULOSKELETAL", "Osseous structures"),
        (_BONES,),
        denied=("vertebral_compression_fracture", "rib_fracture", "vertebra_lytic_lesion"),
    ),
    Section(
        ("SOFT TISSUES", "Body wall"),
        (_unit("iliopsoas_left iliopsoas_right", "psoas muscles", "iliopsoas muscles", plural=True),),
        ("muscle_wasting",),
        ("psoas_abscess",),
    ),
)


def section_of(slug: str, organ: str) -> int:
    """Number of the section that an abnormality of an organ is reported in."""
    for number, section in enumerate(SECTIONS):
        if slug in section.slugs:
            return number
    for number, section in enumerate(SECTIONS):
        if any(organ in unit.organs for unit in section.units):
            return number
    return len(SECTIONS) - 1

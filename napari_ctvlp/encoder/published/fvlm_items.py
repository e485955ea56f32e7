"""The sixteen findings that fVLM scores, with its own prompts."""

from __future__ import annotations

from dataclasses import replace

from napari_ctvlp.anatomy.dictionary import Abnormality, load_dictionary

# key, name, organ, what the prompts say where it is not the name
_ITEMS: tuple[tuple[str, str, str, str], ...] = (
    ("emphysema", "Emphysema", "lung", ""),
    ("atelectasis", "Atelectasis", "lung", "Atelectatic"),
    ("lung_nodule", "Lung nodule", "lung", "Nodule"),
    ("lung_opacity", "Lung opacity", "lung", "Opacity"),
    ("lung_fibrosis", "Pulmonary fibrotic sequela", "lung", "Pulmonary fibrotic"),
    ("pleural_effusion", "Pleural effusion", "lung", ""),
    ("mosaic_attenuation", "Mosaic attenuation pattern", "lung", ""),
    ("peribronchial_thickening", "Peribronchial thickening", "lung", ""),
    ("lung_consolidation", "Consolidation", "lung", ""),
    ("bronchiectasis", "Bronchiectasis", "lung", ""),
    ("interlobular_septal_thickening", "Interlobular septal thickening", "lung", ""),
    ("cardiomegaly", "Cardiomegaly", "heart", ""),
    ("pericardial_effusion", "Pericardial effusion", "heart", ""),
    ("coronary_calcification", "Coronary artery wall calcification", "heart", ""),
    ("hiatal_hernia", "Hiatal hernia", "esophagus", ""),
    ("aortic_calcification", "Arterial wall calcification", "aorta", ""),
)


def items() -> tuple[Abnormality, ...]:
    """The sixteen findings that fVLM scores, with its one positive and one negative prompt each."""
    known = {entry.key: entry for entry in load_dictionary()}
    made = []
    for key, name, organ, said in _ITEMS:
        said = said or name
        old = known.get(key) or Abnormality(key, name.lower(), (), (), (), ())
        synonyms = tuple(dict.fromkeys([*old.synonyms, name.lower()]))
        made.append(
            replace(old, organs=(organ,), synonyms=synonyms, positive=(f"{said}.",), negative=(f"Not {said}.",))
        )
    return tuple(made)

"""The words: label schemes, organ names and synonyms, groups, the abnormality dictionary, how a query is read."""

from napari_ctvlp.anatomy.dictionary import Abnormality, load_dictionary
from napari_ctvlp.anatomy.organs import GROUPS, ORGANS, Organ, display_name, organ_colour
from napari_ctvlp.anatomy.prompts import name_prompts, normal_prompts
from napari_ctvlp.anatomy.schemes import SCHEMES, V2_NAMES, to_v2

__all__ = [
    "GROUPS",
    "ORGANS",
    "SCHEMES",
    "V2_NAMES",
    "Abnormality",
    "Organ",
    "display_name",
    "load_dictionary",
    "name_prompts",
    "normal_prompts",
    "organ_colour",
    "to_v2",
]

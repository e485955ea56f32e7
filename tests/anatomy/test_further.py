"""Words beyond those of the organs: parts, regions, other languages; findings of which only the place is known."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

from napari_ctvlp.anatomy import GROUPS, load_dictionary
from napari_ctvlp.anatomy.further import (
    findings_elsewhere,
    foreign_words,
    group_words,
    organs_called,
    part_words,
    spellings,
)
from napari_ctvlp.anatomy.lexicon import elsewhere, findings, phrase, places
from napari_ctvlp.anatomy.organs import FOREIGN, GROUP_WORDS
from napari_ctvlp.anatomy.query import parse_query

# what a text means -> texts; a pair without its side means both
TERMS = {
    "spleen": ["lien", "splenic hilum", "splenic pulp"],
    "kidney": [
        "ren",
        "renal calyces",
        "upper pole of the kidney",
        "UPJ",
        "collecting system",
        "nephrons",
        "urine filter",
    ],
    "kidney_left": ["calyx of the left kidney", "left renal medulla", "L renal sinus"],
    "gallbladder": ["vesica fellea", "Hartmann's pouch", "gallbladder neck", "bile bag"],
    "liver": [
        "caudate lobe",
        "lobus quadratus",
        "segment VIII",
        "segment 4a",
        "porta hepatis",
        "dome of the liver",
        "jecur",
    ],
    "stomach": ["pylorus", "cardia", "greater curvature", "gastric rugae", "antrum of the stomach"],
    "pancreas": ["uncinate process", "duct of Wirsung", "islets of Langerhans", "cauda pancreatis", "insulin gland"],
    "adrenal_gland": ["adrenal cortex", "adrenal limb", "suprarenals", "stress glands"],
    "adrenal_gland_right": ["right adrenal medulla"],
    "lung_upper_lobe_left": ["lingular segment", "apicoposterior segment on the left", "left apical lung"],
    "lung_upper_lobe_right": ["azygos lobe"],
    "lung_lower_lobe": ["costophrenic angles", "basal segments", "bibasilar", "bases of the lungs"],
    "esophagus": ["gullet", "distal oesophagus", "cervical esophagus", "food tube"],
    "trachea": ["carina", "tracheal bifurcation", "wind pipe"],
    "thyroid_gland": ["isthmus of the thyroid", "pyramidal lobe", "butterfly gland"],
    "small_bowel": ["terminal ileum", "jejunal loops", "small gut", "thin gut"],
    "duodenum": ["duodenal bulb", "papilla of Vater", "duodenojejunal flexure", "twelve finger gut"],
    "colon": [
        "caecum",
        "hepatic flexure",
        "sigmoid",
        "rectosigmoid junction",
        "haustra",
        "ileocaecal valve",
        "blind gut",
    ],
    "urinary_bladder": ["trigone", "detrusor", "vesica", "UVJ", "pee bladder"],
    "prostate": ["prostata", "peripheral zone of the prostate", "prostatic apex"],
    "sacrum": ["sacral ala", "promontory of the sacrum", "sacral foramina", "S3", "S2-S4"],
    "aorta": ["aortic root", "sinus of Valsalva", "infrarenal aorta", "arcus aortae", "aortic knob", "largest artery"],
    "pulmonary_vein": ["venae pulmonales", "superior pulmonary vein"],
    "brachiocephalic_trunk": ["innominate trunk", "anonyma"],
    "common_carotid_artery": ["carotid bulb", "carotid bifurcation", "neck arteries"],
    "common_carotid_artery_left": ["LCCA"],
    "subclavian_artery_left": ["left arm artery"],
    "superior_vena_cava": ["upper cava", "VCS"],
    "inferior_vena_cava": ["infrarenal cava", "VCI", "retrohepatic vena cava"],
    "portal_vein_and_splenic_vein": ["splenoportal confluence", "MPV", "vena lienalis"],
    "iliac_artery": ["external iliac artery", "hypogastric arteries", "pelvic arteries"],
    "iliac_vena_right": ["right internal iliac vein"],
    "humerus": ["greater tuberosity", "surgical neck", "bicipital groove", "upper arm"],
    "scapula": ["acromion", "coracoid process", "glenoid fossa"],
    "clavicula_left": ["medial left clavicle"],
    "femur": ["greater trochanter", "collum femoris", "femoral condyles", "NOF"],
    "hip": ["iliac wing", "ischial tuberosity", "superior pubic ramus", "symphysis", "hip socket", "ASIS", "sit bones"],
    "hip_left": ["left acetabular roof"],
    "spinal_cord": ["conus medullaris", "cauda equina", "cervical cord", "spinal marrow"],
    "gluteus_maximus": ["gmax", "hip extensors"],
    "autochthon": ["multifidus", "longissimus", "paraspinals", "muscles of the back"],
    "autochthon_right": ["right erector spinae muscle"],
    "iliopsoas": ["psoas major", "iliacus muscle", "hip flexors"],
    "brain": [
        "cerebellum",
        "pons",
        "basal ganglia",
        "corpus callosum",
        "lateral ventricles",
        "white matter",
        "brain stem",
    ],
    "skull": ["sella turcica", "mastoid", "clivus", "occiput", "cheekbone", "foramen magnum"],
    "sternum": ["xiphoid process", "angle of Louis", "manubrium sterni"],
    "costal_cartilages": ["costochondral junction", "costal arch"],
    "heart_myocardium": ["interventricular septum", "papillary muscles"],
    "heart_ventricle_left": ["LVOT"],
    "pulmonary_artery": ["MPA", "arteria pulmonalis"],
    "face": ["maxillary sinus", "orbit", "nasal septum"],
    "vertebrae_C1": ["atlas vertebra"],
    "vertebrae_C2": ["odontoid process", "dens"],
    "vertebrae_C7": ["vertebra prominens"],
}
GROUP_TERMS = {
    "lung": ["hilar", "alveoli", "lobes of the lungs", "major fissure", "air sacs"],
    "heart": ["mitral valve", "pericardial sac", "chambers of the heart"],
    "rib": ["rib heads", "intercostal spaces"],
    "vertebrae": ["facet joints", "pedicles", "spinous processes", "neural foramina", "endplates"],
    "urinary tract": ["KUB", "urinary organs", "waterworks"],
    "urogenital tract": ["GU tract", "genitourinary"],
    "biliary system": ["biliary tract", "hepatobiliary system"],
    "digestive tract": ["GI tract", "alimentary canal", "digestive organs"],
    "upper digestive tract": ["foregut"],
    "esophagogastric junction": ["GEJ", "gastro-oesophageal junction"],
    "retroperitoneum": ["retroperitoneal organs"],
    "mediastinum": ["mediastinal structures"],
    "airways": ["respiratory tract"],
    "abdominal organs": ["abdominal viscera"],
    "solid organs": ["parenchymal organs"],
    "pelvic organs": ["pelvic viscera"],
    "endocrine glands": ["hormone glands"],
    "central nervous system": ["CNS"],
    "arch vessels": ["supra-aortic branches", "neck vessels"],
    "pelvic vessels": ["vessels of the pelvis"],
    "hip joint": ["coxofemoral"],
    "sacroiliac joint": ["SI joints", "SIJ"],
    "shoulder joint": ["glenohumeral joint"],
    "chest wall": ["bony thorax"],
    "floating ribs": ["floating rib"],
    "axial skeleton": [],
    "thoracolumbar junction": ["TL junction"],
    "lumbosacral junction": ["lumbosacral transition"],
    "cervicothoracic junction": ["CT junction"],
    "hip abductors": ["abductors of the hip"],
    "pelvis": ["bones of the pelvis"],
    "great vessels": ["vasculature"],
}
FOREIGN_TERMS = {
    "uterus": ["endometrium", "fallopian tubes"],
    "internal carotid artery": ["internal carotid"],
    "vertebral artery": ["vertebral arteries"],
    "femoral artery": ["common femoral artery"],
    "jugular vein": ["internal jugular vein"],
    "salivary gland": ["parotid"],
    "thigh muscle": ["hamstrings"],
    "bile duct": ["cystic duct"],
}
COMMON = re.findall(
    r"\w+",
    """
    a about above after again all also always am an and any are arm art as ask at away back bad bag ball bank
    base bat bath be bean bear bed bee been before bell best bet bike bin bird bit black blue board boat body
    book both box boy bread bus but buy by cab cake call can cap car card care cat chair check city clap clean
    clock cold come cool cost could cup cut dad dance dark day did dim dinner do dog door down draw dress drive
    dry duck each ear east easy eat egg end even ever every far farm fast few fit fix flat flower fly food for
    four free from fun game gap gas get girl give glad glass go goal gold good got grass green had hall happy
    hat have he her here high him his hit hot hour house how if in inn into is it its jam job join jump just
    keep key kind king kite lake lamp land last late law lay leaf led leg let letter lid light like list little
    live log long look lost lot love low made mail main make man many map may me meal men met milk mind moon
    more most mother move much music my name near nest net never new next nice night nine no north nose not note
    now nut of off office oh oil old on once one only open or order other our out over own page pan paper park
    part pay pen pet pick pie pin plan play pool poor post pot pub pull pup push put queen quick rain ran rat
    read red rest rich ride ring road rock roof room row run sad said salt same sand sat saw say school sea see
    seed sell send set shall she ship shoe shop sir sit six sky slow snow so sofa soft soil some song soon sort
    soup south star start stay step still stop store story street such sun sure table take talk tall tap tea
    team tell ten test than that the their them then there they thing this those three through tie time tip to
    today toe too top town toy tree trip try tub two under up us use van very walk wall want war warm was wash
    way we week well went were west wet what when where while white who whole why wife win wind wine wing wish
    with wood word work world would write year yes yet you young your zoo
    """,
)
KNOWN = {"arm": "", "ear": "ear", "nose": "nose", "toe": "foot"}
SENTENCES = (
    "the weather in Paris tomorrow",
    "a bag of oranges from the market",
    "who won the football match last night",
    "my car needs new tyres and a service",
    "three little pigs and the big bad wolf",
    "how do I cook rice without burning it",
    "the train to London leaves at noon",
    "a list of good restaurants nearby",
    "please write a short poem about winter",
    "the committee reached a decision in June",
    "she sells sea shells by the sea shore",
    "what is the capital of Australia",
    "reset my password",
    "it is raining cats and dogs",
    "a quick brown fox jumps over the lazy dog",
    "ships sail through the storm while sailors sing",
)


def _flat(table):
    return [(text, name) for name, texts in table.items() for text in (name.replace("_", " "), *texts)]


@pytest.mark.parametrize(("text", "name"), [(text, name) for name, texts in TERMS.items() for text in texts])
def test_other_words_and_parts_name_their_organ(text, name):
    query = parse_query(text)
    assert (set(query.organs), query.abnormalities, query.foreign) == (set(organs_called(name)), (), ())


@pytest.mark.parametrize(("text", "group"), _flat(GROUP_TERMS))
def test_collective_words_name_their_organs(text, group):
    query = parse_query(text)
    assert (set(query.organs), query.abnormalities, query.foreign) == (set(GROUPS[group]), (), ())


@pytest.mark.parametrize(("text", "name"), _flat(FOREIGN_TERMS))
def test_what_no_mask_holds_is_not_taken_for_a_neighbour(text, name):
    query = parse_query(text)
    assert (query.foreign, query.organs) == ((name,), ())


def test_every_word_of_the_tables_is_read_as_it_says():
    wrong = [(w, o) for w, o in part_words() if o not in parse_query(w).organs]
    wrong += [(w, g) for w, g in group_words() if not set(GROUPS[g]) <= set(parse_query(w).organs)]
    groups = [(w, g) for g, words in GROUP_WORDS.items() for w in words]
    wrong += [(w, g) for w, g in groups if not set(GROUPS[g]) <= set(parse_query(w).organs)]
    wrong += [(w, f) for w, f in foreign_words() if parse_query(w).foreign != (f,) or parse_query(w).organs]
    assert not wrong


def test_every_finding_of_the_table_leads_to_its_organs_and_to_no_score():
    for text, organs in findings_elsewhere():
        query = parse_query(text)
        assert query.elsewhere and set(query.candidates) == set(organs), text
        assert not query.organs and not query.abnormalities and not query.foreign, text


def test_no_word_means_two_things():
    rare = [(phrase(t), o) for t, o in findings_elsewhere()]
    names, signs = findings(load_dictionary()).names.table, findings(load_dictionary()).signs.table
    assert len({key for key, _ in rare}) == len(set(rare))
    assert not {key for key, _ in rare} & (names.keys() | signs.keys() | places().table.keys())
    parts = {phrase(w) for w, _ in part_words()}
    groups = {phrase(w): g for w, g in (*group_words(), *((w, g) for g, ws in GROUP_WORDS.items() for w in ws))}
    foreign = {phrase(w) for w, _ in (*foreign_words(), *((w, g) for g, ws in FOREIGN.items() for w in ws))}
    assert not parts & groups.keys() and not parts & foreign and not groups.keys() & foreign
    assert not parts & (names.keys() | signs.keys())


@pytest.mark.parametrize("word", COMMON)
def test_common_words_are_no_anatomy(word):
    query = parse_query(word)
    assert not query.organs and not query.abnormalities and not query.elsewhere
    assert query.foreign == tuple(name for name in (KNOWN.get(word),) if name)


@pytest.mark.parametrize("text", SENTENCES)
def test_sentences_about_other_things_are_no_anatomy(text):
    assert not parse_query(text).recognised


@pytest.mark.parametrize(
    ("text", "organs"),
    [
        ("pylorous", "stomach"),
        ("cerebelum", "brain"),
        ("trocanter", "femur"),
        ("acromyon", "scapula"),
        ("sarcoidosys", "lung"),
        ("klatskin tumor", "liver"),
    ],
)
def test_their_misspellings(text, organs):
    query = parse_query(text)
    assert set(organs_called(organs)) <= {*query.organs, *query.candidates}


@pytest.mark.parametrize(
    ("text", "organs", "unread"),
    [
        ("porcelain gallbladder", (), "gallbladder"),
        ("Hill-Sachs lesion on the left", (), "humerus_left"),
        ("emphysematous cystitis", (), "urinary_bladder"),
        ("Meckels diverticulum", (), "small_bowel"),
        ("Menetrier disease", (), "stomach"),
        ("Klatskin tumour", (), "gallbladder"),
        ("Chance fracture of L1", ("vertebrae_L1",), "Chance fracture"),
        ("Gaucher of the spleen", ("spleen",), "Gaucher"),
        ("Klatskin tumour of the liver", ("liver",), "Klatskin tumour"),
    ],
)
def test_findings_without_an_entry_give_way_to_a_named_organ(text, organs, unread):
    query = parse_query(text)
    assert (query.organs, query.abnormalities) == (organs, ())
    assert unread in (query.unread if organs else query.candidates)
    assert bool(query.elsewhere) == (not organs)


def test_the_dictionary_comes_first_and_the_longer_name_wins():
    assert parse_query("kidney stone and amyloidosis").abnormality == "kidney_stone"
    assert parse_query("cystitis").abnormality == "bladder_wall_thickening"
    assert parse_query("sarcoidosis of the uterus").foreign == ("uterus",)
    sides = {o.rsplit("_", 1)[-1] for o in parse_query("right Bankart lesion").candidates}
    assert sides == {"right"}


def test_spellings():
    assert list(spellings("Meckel's diverticulum")) == [
        "Meckel's diverticulum",
        "Meckels diverticulum",
        "Meckel diverticulum",
    ]
    assert list(spellings("Ménétrier disease")) == ["Ménétrier disease", "Menetrier disease"]


def test_the_tables_cost_nothing_before_a_question_and_little_with_one():
    code = "import napari_ctvlp.anatomy.query; from napari_ctvlp.anatomy import further, lexicon; "
    code += "print(*(f.cache_info().currsize for f in (further._parts, lexicon.places, lexicon.elsewhere)))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.split() == ["0", "0", "0"]
    text = "is there a small stone in the left renal pelvis or sarcoidosis?"
    parse_query(text)
    took = []
    for _ in range(50):
        start = time.perf_counter()
        parse_query(text)
        took.append(time.perf_counter() - start)
    assert min(took) < 0.002
    assert len(elsewhere().table) > 1000


@pytest.mark.parametrize("text", ["hyposplenism", "adrenal hypoplasia", "hypoplasic adrenals"])
def test_too_little_is_no_misspelling_of_too_much(text):
    assert not parse_query(text).abnormalities

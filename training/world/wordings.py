"""How a report says it: templates per abnormality and for the normal organ, for training and (apart) for evaluation.

Fields: {organ} "left kidney", {Organ} the same at the start of a sentence, {side} "left" ("" where there is none),
{size} "7 mm", {severity} "mild". A normal organ is never described by a negated finding: sentence encoders read
"no stone" as "stone".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

Templates = Mapping[str, tuple[str, ...]]

NORMAL = "normal"

NAMES: tuple[str, ...] = (
    "{organ}",
    "{Organ}.",
    "The {organ}.",
    "a CT scan of the {organ}",
    "a computed tomography image of the {organ}",
    "CT of the {organ}",
    "this is the {organ}",
    "the {organ} of the patient",
    "a region of the scan that belongs to the {organ}",
    "axial CT showing the {organ}",
)

PLAIN: Templates = MappingProxyType(
    {
        NORMAL: (
            "The {organ} is unremarkable.",
            "{Organ} unremarkable.",
            "Normal {organ}.",
            "The {organ} is normal in size and attenuation.",
            "The {organ} appears normal.",
            "Normal appearance of the {organ}.",
            "The {organ} is within normal limits.",
            "The {organ} is of normal size, shape and density.",
            "{Organ}: normal.",
            "A healthy {organ}.",
        ),
        "liver_steatosis": (
            "There is diffuse hepatic steatosis.",
            "The {organ} is diffusely low in attenuation, consistent with fatty infiltration.",
            "Fatty liver.",
            "Hepatic steatosis.",
            "The {organ} is fatty.",
            "Diffuse fatty infiltration of the {organ}.",
            "Attenuation of the {organ} is lower than that of the spleen, in keeping with steatosis.",
            "Steatotic {organ}.",
            "Fat deposition throughout the {organ}.",
        ),
        "liver_cyst": (
            "There is a simple cyst in the {organ}.",
            "Hepatic cyst.",
            "A well-defined fluid attenuation lesion in the {organ} represents a cyst.",
            "Liver cyst.",
            "The {organ} contains a cyst.",
            "Round hypodense lesion of the {organ} with water density, a simple cyst.",
            "Cystic lesion in the {organ}.",
            "Benign cyst of the {organ}.",
        ),
        "splenomegaly": (
            "The {organ} is enlarged.",
            "Splenomegaly.",
            "Enlarged spleen.",
            "There is splenomegaly.",
            "Enlargement of the {organ}.",
            "The {organ} is increased in size.",
            "The {organ} is markedly enlarged.",
            "A big {organ}, longer than normal.",
        ),
        "kidney_stone": (
            "There is a stone in the {organ}.",
            "There is a calculus in the {organ}.",
            "{Organ} stone.",
            "Nephrolithiasis of the {organ}.",
            "Renal calculus on the {side}.",
            "Nonobstructing calculus in the {organ}.",
            "A calcified stone lies in a calyx of the {organ}.",
            "Radiodense stone in the collecting system of the {organ}.",
            "The {organ} contains a kidney stone.",
            "{Organ}: nephrolithiasis.",
        ),
        "kidney_cyst": (
            "There is a simple cyst of the {organ}.",
            "Renal cyst on the {side}.",
            "Cyst in the {organ}.",
            "Exophytic cyst of the {organ}.",
            "A cortical cyst of water attenuation arises from the {organ}.",
            "The {organ} contains a simple cyst.",
            "{Organ} cyst.",
            "Bosniak I cyst of the {organ}.",
            "Rounded fluid attenuation lesion of the {organ}.",
        ),
        "hydronephrosis": (
            "There is hydronephrosis of the {organ}.",
            "The renal pelvis of the {organ} is dilated.",
            "{side} hydronephrosis.",
            "Hydronephrotic {organ}.",
            "Dilatation of the collecting system of the {organ}.",
            "Pelvicaliectasis of the {organ}.",
            "The calyces of the {organ} are distended.",
            "Obstructed {organ} with a distended renal pelvis.",
        ),
        "gallstones": (
            "There are gallstones.",
            "Cholelithiasis.",
            "Stones in the {organ}.",
            "The {organ} contains calcified gallstones.",
            "Calcified stones layer in the {organ}.",
            "Gallstones are present in the {organ}.",
            "{Organ} with stones.",
            "Calculi in the dependent {organ}.",
        ),
        "pancreatic_cyst": (
            "There is a cyst in the {organ}.",
            "Pancreatic cyst.",
            "A cystic lesion of the {organ} is seen.",
            "Cystic pancreatic lesion.",
            "Fluid attenuation lesion in the {organ}.",
            "The {organ} contains a small cyst.",
            "Hypodense cystic focus in the {organ}.",
            "Rounded low attenuation cyst of the {organ}.",
        ),
        "adrenal_nodule": (
            "There is a nodule of the {organ}.",
            "{Organ} nodule.",
            "Adrenal adenoma on the {side}.",
            "A mass enlarges the {organ}.",
            "Nodular thickening of the {organ}.",
            "{side} adrenal nodule.",
            "Rounded nodule arising from the {organ}.",
            "The {organ} contains an adenoma.",
        ),
        "bladder_stone": (
            "There is a stone in the {organ}.",
            "Bladder calculus.",
            "Bladder stone.",
            "A calculus lies in the dependent {organ}.",
            "Vesical calculus.",
            "Calcified stone in the {organ}.",
            "The {organ} contains a calculus.",
            "Cystolithiasis.",
        ),
        "pleural_effusion": (
            "There is a {side} pleural effusion.",
            "{side} pleural effusion.",
            "Pleural effusion beside the {organ}.",
            "Fluid in the {side} pleural space.",
            "Dependent pleural fluid at the {organ}.",
            "Pleural effusion with compressive change of the {organ}.",
            "Layering effusion on the {side}.",
            "Effusion around the {organ}.",
        ),
        "lung_consolidation": (
            "There is consolidation in the {organ}.",
            "Airspace opacity in the {organ}.",
            "Consolidation of the {organ}.",
            "Pneumonia of the {organ}.",
            "The {organ} shows a dense airspace opacity with air bronchograms.",
            "Infiltrate in the {organ}.",
            "Patchy consolidation within the {organ}.",
            "Consolidated {organ}.",
        ),
        "lung_nodule": (
            "There is a nodule in the {organ}.",
            "Pulmonary nodule in the {organ}.",
            "Solid nodule of the {organ}.",
            "A rounded nodule is seen in the {organ}.",
            "{Organ} nodule.",
            "Lung nodule, {organ}.",
            "The {organ} contains a solid pulmonary nodule.",
            "Nodular opacity in the {organ}.",
        ),
        "emphysema": (
            "There is emphysema in the {organ}.",
            "Emphysematous change of the {organ}.",
            "Centrilobular emphysema of the {organ}.",
            "Pulmonary emphysema, {organ}.",
            "The {organ} shows emphysema.",
            "Areas of lung destruction with low attenuation in the {organ}.",
            "Emphysematous {organ}.",
            "Hyperlucent {organ} in keeping with emphysema.",
        ),
        "cardiomegaly": (
            "The {organ} is enlarged.",
            "Cardiomegaly.",
            "There is cardiomegaly.",
            "Enlarged heart.",
            "Cardiac enlargement.",
            "The cardiac silhouette is enlarged.",
            "The {organ} is increased in size.",
            "A big {organ} with dilated chambers.",
        ),
        "aortic_aneurysm": (
            "There is an aneurysm of the {organ}.",
            "Aortic aneurysm.",
            "The {organ} is aneurysmal.",
            "Fusiform aneurysmal dilatation of the {organ}.",
            "Aneurysm of the aorta.",
            "The {organ} is dilated.",
            "Dilated {organ}, an aneurysm.",
            "Ectatic and aneurysmal {organ}.",
        ),
        "aortic_calcification": (
            "There is calcification of the {organ}.",
            "Atherosclerotic calcification of the {organ}.",
            "Calcified {organ}.",
            "Calcified plaque along the wall of the {organ}.",
            "Atherosclerosis of the {organ}.",
            "Aortic calcification.",
            "The wall of the {organ} is calcified.",
            "Vascular calcifications in the {organ}.",
        ),
        "vertebra_sclerotic_lesion": (
            "There is a sclerotic lesion in the {organ}.",
            "Sclerotic focus in the {organ}.",
            "Blastic lesion of the {organ}.",
            "Osteoblastic metastasis in the {organ}.",
            "Dense sclerotic lesion of the {organ}.",
            "The {organ} contains a sclerotic lesion.",
            "Sclerosis within the {organ}.",
            "Focal dense bone lesion of the {organ}.",
        ),
        "vertebra_lytic_lesion": (
            "There is a lytic lesion in the {organ}.",
            "Lytic focus in the {organ}.",
            "Osteolytic lesion of the {organ}.",
            "Bone destruction in the {organ}.",
            "Osteolytic metastasis in the {organ}.",
            "The {organ} contains a lytic lesion.",
            "Lucent lesion of the {organ} with loss of trabecular bone.",
            "Lytic bone lesion, {organ}.",
        ),
        "metal_implant": (
            "There is metal hardware in the {organ}.",
            "Metallic implant in the {organ}.",
            "Orthopaedic hardware of the {organ}.",
            "Surgical screw in the {organ}.",
            "Metal in the {organ} with streak artefact.",
            "The {organ} carries a metal prosthesis.",
            "Postoperative {organ} with internal fixation.",
            "Prosthesis of the {organ}.",
        ),
    }
)
"""Training wordings without measurements; also the texts of the abnormality's class."""

MEASURED: Templates = MappingProxyType(
    {
        "liver_steatosis": ("{Severity} hepatic steatosis.", "{Severity} fatty infiltration of the {organ}."),
        "liver_cyst": (
            "There is a {size} cyst in the {organ}.",
            "A {size} simple cyst is seen in the {organ}.",
            "Hepatic cyst measuring {size}.",
        ),
        "splenomegaly": ("The {organ} is enlarged, measuring {size}.", "{Severity} splenomegaly, {size}."),
        "kidney_stone": (
            "There is a {size} calculus in the {organ}.",
            "A {size} stone is seen in the {organ}.",
            "{size} nonobstructing stone, {organ}.",
        ),
        "kidney_cyst": (
            "There is a {size} cyst in the {organ}.",
            "A {size} simple cyst arises from the {organ}.",
            "{size} cortical cyst of the {organ}.",
        ),
        "hydronephrosis": (
            "There is {severity} hydronephrosis of the {organ}.",
            "{Severity} {side} hydronephrosis.",
            "{Severity} dilatation of the {side} collecting system.",
        ),
        "gallstones": (
            "Gallstones up to {size}.",
            "The {organ} contains stones measuring up to {size}.",
            "Cholelithiasis, the largest stone {size}.",
        ),
        "pancreatic_cyst": ("A {size} cystic lesion in the {organ}.", "There is a {size} pancreatic cyst."),
        "adrenal_nodule": ("A {size} nodule of the {organ}.", "There is a {size} {side} adrenal nodule."),
        "bladder_stone": ("A {size} calculus in the {organ}.", "There is a {size} bladder stone."),
        "pleural_effusion": ("There is a {extent} {side} pleural effusion.", "{Extent} {side} pleural effusion."),
        "lung_consolidation": ("{Severity} consolidation in the {organ}.", "A {size} consolidation in the {organ}."),
        "lung_nodule": ("There is a {size} nodule in the {organ}.", "A {size} solid pulmonary nodule in the {organ}."),
        "emphysema": (
            "{Severity} emphysema of the {organ}.",
            "There is {severity} emphysematous change in the {organ}.",
        ),
        "cardiomegaly": ("{Severity} cardiomegaly.", "There is {severity} enlargement of the {organ}."),
        "aortic_aneurysm": (
            "Aneurysm of the {organ} measuring {size}.",
            "The {organ} is aneurysmal, up to {size} in diameter.",
        ),
        "aortic_calcification": (
            "{Severity} calcification of the {organ}.",
            "{Severity} atherosclerotic calcification of the {organ}.",
        ),
        "vertebra_sclerotic_lesion": (
            "A {size} sclerotic lesion in the {organ}.",
            "There is a {size} blastic focus in the {organ}.",
        ),
        "vertebra_lytic_lesion": (
            "A {size} lytic lesion in the {organ}.",
            "There is a {size} lytic focus in the {organ}.",
        ),
        "metal_implant": (
            "Metallic implant, {size} long, in the {organ}.",
            "There is a {size} metal screw in the {organ}.",
        ),
    }
)
"""Training wordings with size or severity."""

HELD_OUT: Templates = MappingProxyType(
    {
        NORMAL: (
            "Regular findings in the {organ}.",
            "The {organ} looks fine.",
            "Ordinary size and density of the {organ}.",
            "The {organ} is intact.",
        ),
        "liver_steatosis": (
            "Low density of the {organ} due to fat.",
            "Fatty change in the hepatic parenchyma.",
            "Steatosis hepatis.",
        ),
        "liver_cyst": (
            "Water-dense hepatic lesion, a cyst.",
            "Cystic change in the hepatic parenchyma.",
            "Simple hepatic cyst.",
        ),
        "splenomegaly": ("The spleen is too large.", "Increased splenic size.", "Swollen spleen."),
        "kidney_stone": (
            "Urolithiasis, {organ}.",
            "A renal concretion is seen in the {organ}.",
            "Calcified calculus of the {organ} in the lower pole.",
        ),
        "kidney_cyst": (
            "Benign renal cyst, {organ}.",
            "Cystic lesion of the {organ}.",
            "Water-dense cortical lesion of the {organ}.",
        ),
        "hydronephrosis": (
            "Widened renal pelvis of the {organ}.",
            "Pelvicalyceal dilatation, {organ}.",
            "Urinary obstruction of the {organ}.",
        ),
        "gallstones": ("Gallbladder calculi.", "Cholecystolithiasis.", "Biliary stones in the gallbladder."),
        "pancreatic_cyst": (
            "Cyst of the pancreatic body.",
            "Pancreatic pseudocyst.",
            "Fluid-filled lesion of the {organ}.",
        ),
        "adrenal_nodule": ("Adrenal mass, {organ}.", "Enlarged nodular {organ}.", "Adenoma of the {organ}."),
        "bladder_stone": (
            "Urinary bladder lithiasis.",
            "Stone lying on the bladder floor.",
            "Calcification inside the {organ}.",
        ),
        "pleural_effusion": (
            "Hydrothorax, {side}.",
            "Pleural fluid collection on the {side}.",
            "{side} sided effusion of the pleura.",
        ),
        "lung_consolidation": (
            "Pneumonic infiltration, {organ}.",
            "Alveolar opacification of the {organ}.",
            "Dense parenchymal opacity, {organ}.",
        ),
        "lung_nodule": ("Round focal opacity, {organ}.", "Pulmonary nodule, {organ}.", "A coin lesion of the {organ}."),
        "emphysema": (
            "COPD with lung destruction, {organ}.",
            "Emphysematous destruction of the {organ}.",
            "Bullous emphysema, {organ}.",
        ),
        "cardiomegaly": ("Heart size is increased.", "Dilated heart.", "Global cardiac enlargement is seen."),
        "aortic_aneurysm": ("AAA.", "Ballooned aorta.", "Pathologically widened {organ}."),
        "aortic_calcification": (
            "Aortic atheromatosis with calcified plaques.",
            "Calcified atheroma of the aorta.",
            "Arteriosclerotic {organ}.",
        ),
        "vertebra_sclerotic_lesion": (
            "Osteoblastic lesion, {organ}.",
            "Hyperdense focus in the bone of the {organ}.",
            "Sclerotic metastasis of the {organ}.",
        ),
        "vertebra_lytic_lesion": (
            "Osteolysis, {organ}.",
            "Destructive lesion of the {organ}.",
            "Lytic metastasis of the {organ}.",
        ),
        "metal_implant": (
            "Metallic foreign material, {organ}.",
            "Osteosynthesis of the {organ}.",
            "Orthopaedic fixation device in the {organ}.",
        ),
    }
)
"""Wordings for evaluation only; training never sees them."""

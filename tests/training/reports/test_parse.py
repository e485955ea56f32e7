"""Reading reports by rule: synthetic ones against what they state, real ones against labels by hand, and the traps."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import numpy as np
import pytest

from tests.training.world.invented import invented_sample
from training.reports.parse import parse_report
from training.reports.split import sentences
from training.world.report.report import make_report

LUNGS = (
    "lung_upper_lobe_left",
    "lung_lower_lobe_left",
    "lung_upper_lobe_right",
    "lung_middle_lobe_right",
    "lung_lower_lobe_right",
)


def f1(counts: Counter, state: str) -> float:
    right = counts[state, state]
    wrong = sum(n for (a, b), n in counts.items() if (a == state) != (b == state))
    return 2 * right / max(1, 2 * right + wrong)


def test_synthetic_reports_read_as_what_they_state() -> None:
    states: Counter = Counter()
    keys = Counter()
    for seed in range(1000, 1090):
        report = make_report(invented_sample(seed), np.random.default_rng(seed))
        read = parse_report(report.text, report.labels)
        assert set(read.labels) == set(report.labels)
        for organ, label in report.labels.items():
            got = read.labels[organ]
            states[label.state, got.state] += 1
            wanted, found = set(label.abnormalities), set(got.abnormalities)
            keys.update(right=len(wanted & found), wrong=len(wanted ^ found))
    assert f1(states, "abnormal") >= 0.98, states
    assert f1(states, "normal") >= 0.98, states
    assert f1(states, "uncertain") >= 0.97, states
    assert 2 * keys["right"] / (2 * keys["right"] + keys["wrong"]) >= 0.97, keys


def test_every_statement_quotes_the_report() -> None:
    for seed in range(12):
        report = make_report(invented_sample(seed), np.random.default_rng(seed))
        flat = " ".join(report.text.split())
        for statement in parse_report(report.text).statements:
            assert statement.sentence in flat


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("Both kidneys are normal.", {"kidney_left": "normal", "kidney_right": "normal"}),
        ("Normal left kidney. 5 mm stone in the right kidney.", {"kidney_left": "normal", "kidney_right": "abnormal"}),
        ("No hydronephrosis.", {"kidney_left": "unknown", "kidney_right": "unknown"}),
        ("Degenerative changes at L3-L5.", {f"vertebrae_L{n}": "abnormal" for n in (3, 4, 5)}),
        ("The lungs are clear.", dict.fromkeys(LUNGS, "normal")),
        ("The lungs are otherwise clear. Nodule in the RUL.", dict.fromkeys(LUNGS, "normal") | {LUNGS[2]: "abnormal"}),
        ("A cyst of the pancreas cannot be excluded.", {"pancreas": "uncertain"}),
        ("Possible splenic infarct.", {"spleen": "uncertain"}),
        ("Hepatic steatosis without focal liver lesion.", {"liver": "abnormal"}),
        ("Status post cholecystectomy.", {"gallbladder": "abnormal"}),
        ("The splenic cyst seen previously has resolved.", {"spleen": "unknown"}),
        ("Left kidney: nephrolithiasis.", {"kidney_left": "abnormal"}),
        ("INDICATION: Rule out kidney stone.\nFINDINGS: The liver is normal.", {"liver": "normal"}),
        ("Bilateral pleural effusions, right greater than left.", {LUNGS[1]: "abnormal", LUNGS[4]: "abnormal"}),
        ("Small left pleural effusion.", {LUNGS[1]: "abnormal"}),
        (
            "Simple cyst in the left kidney and stone in the right kidney.",
            dict.fromkeys(("kidney_left", "kidney_right"), "abnormal"),
        ),
        ("LIVER: Calcified granuloma. Otherwise unremarkable.", {"liver": "abnormal"}),
        ("The liver contains a calcified granuloma.", {"liver": "abnormal"}),
        ("The aorta shows calcified plaque but no aneurysm.", {"aorta": "abnormal"}),
        ("Moderate wall thickening of the small bowel.", {"small_bowel": "abnormal"}),
        ("There is no small bowel obstruction.", {"small_bowel": "unknown"}),
        ("", {}),
    ],
)
def test_traps(text: str, states: dict[str, str]) -> None:
    assert {o: label.state for o, label in parse_report(text).labels.items()} == states


def test_keys_go_with_their_own_organ() -> None:
    labels = parse_report("Simple cyst in the left kidney and stone in the right kidney, no hydronephrosis.").labels
    assert labels["kidney_left"].abnormalities == ("kidney_cyst",)
    assert labels["kidney_right"].abnormalities == ("kidney_stone",)
    assert "hydronephrosis" in labels["kidney_right"].absent
    assert parse_report("Lung mass, stable since the prior CT.").statements[0].prior


def test_transcripts_without_line_breaks_are_split() -> None:
    text = (
        "HISTORY: , Pain.,FINDINGS: , The liver is normal.,The spleen is enlarged."
        ",IMPRESSION:,1.  Big spleen.,2. No ascites."
    )
    assert [line.text for line in sentences(text)] == [
        "The liver is normal.",
        "The spleen is enlarged.",
        "Big spleen.",
        "No ascites.",
    ]


def test_real_reports_against_labels_by_hand(shared_data) -> None:
    """Sentence by sentence: which organs, and present or doubtful or (denied or normal)."""
    organs: Counter = Counter()
    states: Counter = Counter()
    for row in (shared_data / "reports" / "mtsamples_ct.jsonl").read_text(encoding="utf-8").splitlines():
        report = json.loads(row)
        wanted, got = defaultdict(set), defaultdict(set)
        for label in report["labels"]:
            for organ in label["ts_v2_classes"]:
                wanted[_plain(label["sentence"]), organ].add(label["presence"])
        for said in parse_report(report["text"]).statements:
            got[_plain(said.sentence), said.organ].add("absent" if said.polarity == "normal" else said.polarity)
        labelled = {sentence for sentence, _ in wanted}
        found = {pair for pair in got if pair[0] in labelled}
        organs.update(right=len(found & wanted.keys()), wrong=len(found ^ wanted.keys()))
        for pair in found & wanted.keys():
            states[_strongest(wanted[pair]) == _strongest(got[pair])] += 1
    organ_f1 = 2 * organs["right"] / (2 * organs["right"] + organs["wrong"])
    agreement = states[True] / sum(states.values())
    print(f"organ F1 {organ_f1:.3f}, state agreement {agreement:.3f} of {sum(states.values())}")
    assert organ_f1 >= 0.95 and agreement >= 0.94


def _plain(text: str) -> str:
    return " ".join(text.lower().split()).rstrip(".")


def _strongest(kinds: set[str]) -> str:
    return next(k for k in ("present", "uncertain", "absent") if k in kinds)

"""A writer says what the slots show, learns to the same bits when it is resumed, and is read back as it was written."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_ctvlp.encoder import artifact
from napari_ctvlp.errors import UserError
from training.data.records import OrganRecord
from training.generation.batches import examples_of, organ_batch, report_batch
from training.generation.draft import draft
from training.generation.files import Written, read_writer, write_writer
from training.generation.fit import FitConfig, fit, rate
from training.generation.slots import SLOTS, Slots
from training.generation.tokens import END, ORGAN, PAD, REPORT, Tokens, findings_of
from training.generation.writer import Writer, WriterConfig

DIM = 8
SMALL = WriterConfig(width=48, layers=2, heads=2, most=64, dropout=0.0, vocabulary=400)
SPLEEN, RIGHT, LEFT = 1, 2, 3
SAID = {
    SPLEEN: ("The spleen is normal.", "The spleen is enlarged."),
    RIGHT: ("The right kidney is normal.", "A stone in the right kidney."),
    LEFT: ("The left kidney is normal.", "A stone in the left kidney."),
}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def patients(count, seed=0):
    """Scans of a spleen and two kidneys, ill or not; an ill one's vector points another way. Some lack the spleen."""
    rng = np.random.default_rng(seed)
    healthy = np.random.default_rng(99).normal(size=DIM)
    ill = np.random.default_rng(98).normal(size=DIM)
    vectors, there = torch.zeros(count, SLOTS, DIM), torch.zeros(count, SLOTS, dtype=torch.bool)
    reports, records = [], []
    for scan in range(count):
        organs = {}
        vectors[scan, 0], there[scan, 0] = torch.tensor(rng.normal(size=DIM)), True
        for slot, name in zip(SAID, ("spleen", "kidney_right", "kidney_left"), strict=True):
            if slot == SPLEEN and rng.random() < 0.2:
                continue
            sick = bool(rng.random() < 0.5)
            row = (ill if sick else healthy) + rng.normal(size=DIM) * 0.3
            vectors[scan, slot], there[scan, slot] = torch.tensor(row / np.linalg.norm(row)), True
            text = SAID[slot][sick]
            organs[slot] = OrganRecord(name, ("ill",) if sick else (), (text,))
        reports.append("\n".join(record.texts[0] for record in organs.values()))
        records.append(organs)
    return examples_of(Slots(vectors.half(), there), reports, records)


def learned(tmp_path, config, examples=None, seed=0):
    examples = examples or patients(64)
    tokens = Tokens.learned([*examples.reports, *(t for _, _, said, _ in examples.said for t in said)], 400)
    torch.manual_seed(seed)
    writer = Writer(SMALL, DIM, len(tokens))
    fit(writer, tokens, examples, config, tmp_path, seed)
    return writer, tokens


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    config = FitConfig(steps=220, batch=16, organs=32, learning_rate=3e-3, warmup=10)
    yield learned(tmp_path_factory.mktemp("taught"), config)
    torch.set_num_threads(before)


def test_it_writes_of_other_patients_what_their_organs_show(taught):
    writer, tokens = taught
    others = patients(40, seed=1)
    written = [tokens.text(ids) for ids in writer.write(others.slots.vectors, others.slots.there)]
    right = np.mean([ours == theirs for ours, theirs in zip(written, others.reports, strict=True)])
    assert right > 0.8  # by lot one in eight, or less
    lines = draft(writer, tokens, others.slots.vectors[0], others.slots.there[0], by_organ=True)
    assert {line.text for line in lines} == set(others.reports[0].splitlines())
    assert all(line.organs for line in lines)


def test_left_is_left(taught):
    """A stone moves to the other kidney's line when the two vectors are exchanged."""
    writer, tokens = taught
    others = patients(30, seed=2)
    one_sided = [n for n, r in enumerate(others.reports) if ("stone in the left" in r) != ("stone in the right" in r)]
    vectors = others.slots.vectors[one_sided].clone()
    vectors[:, [RIGHT, LEFT]] = vectors[:, [LEFT, RIGHT]]
    written = [tokens.text(ids) for ids in writer.write(vectors, others.slots.there[one_sided])]
    moved = [
        ("stone in the left" in text) == ("stone in the right" in others.reports[n])
        and ("stone in the right" in text) == ("stone in the left" in others.reports[n])
        for n, text in zip(one_sided, written, strict=True)
    ]
    assert len(moved) > 5 and np.mean(moved) > 0.8


def test_a_run_that_was_stopped_goes_on_to_the_same_bits(tmp_path):
    dropping = WriterConfig(**{**vars(SMALL), "dropout": 0.2})
    examples = patients(16)
    tokens = Tokens.learned(examples.reports, 400)

    def run(folder, steps):
        folder.mkdir(exist_ok=True)
        torch.manual_seed(0)
        writer = Writer(dropping, DIM, len(tokens))
        fit(writer, tokens, examples, steps, folder, 3)
        return writer.state_dict()

    whole = run(tmp_path / "whole", FitConfig(steps=6, batch=4, organs=4, warmup=2, checkpoint_every=3))
    stopped = FitConfig(steps=6, batch=4, organs=4, warmup=2, checkpoint_every=3)
    with pytest.MonkeyPatch.context() as patch:
        real = torch.optim.AdamW.step
        patch.setattr(torch.optim.AdamW, "step", stop_after(4, real))
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "two", stopped)
    resumed = run(tmp_path / "two", stopped)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def stop_after(steps, real):
    done = []

    def step(self, *args, **kwargs):
        done.append(1)
        if len(done) > steps:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    return step


def test_the_rate_rises_and_falls():
    config = FitConfig(steps=100, warmup=10)
    rates = [rate(config, step) for step in range(100)]
    assert rates[0] == 0.1 and max(rates) == rates[9] == 1.0 and rates[-1] < 0.01
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_padding_and_missing_organs_change_nothing(tmp_path):
    examples = patients(8)
    tokens = Tokens.learned(examples.reports, 400)
    torch.manual_seed(0)
    writer = Writer(SMALL, DIM, len(tokens)).eval()
    batch = report_batch(examples, tokens, 64, 0, 0, 4)
    longer = torch.cat([batch.tokens, torch.full((4, 5), PAD)], 1)
    other = torch.where(batch.there[..., None], batch.vectors, torch.ones(()).half())
    with torch.no_grad():
        loss = writer(batch.vectors, batch.slot, batch.there, batch.tokens)
        assert torch.allclose(loss, writer(batch.vectors, batch.slot, batch.there, longer), atol=1e-5)
        assert torch.allclose(loss, writer(other, batch.slot, batch.there, batch.tokens), atol=1e-5)
        assert not torch.allclose(loss, writer(batch.vectors * 0, batch.slot, batch.there, batch.tokens), atol=1e-4)


def test_batches_are_a_function_of_seed_and_step_and_half_of_the_organs_are_ill():
    examples = patients(40)
    tokens = Tokens.learned(examples.reports, 400)
    for make in (report_batch, organ_batch):
        same, again, other = (make(examples, tokens, 64, 0, step, 8) for step in (3, 3, 4))
        assert torch.equal(same.tokens, again.tokens)
        assert same.tokens.shape != other.tokens.shape or not torch.equal(same.tokens, other.tokens)
    said = organ_batch(examples, tokens, 64, 0, 0, 40)
    texts = [tokens.text(row[1:]) for row in said.tokens.tolist()]
    assert said.tokens[:, 0].tolist() == [ORGAN] * 40
    assert sum("normal" in text for text in texts) == 20
    for slot, text in zip(said.slot[:, 0].tolist(), texts, strict=True):
        assert text in SAID[slot]


def test_what_is_not_known_or_not_in_the_scan_is_no_example():
    slots = Slots(torch.zeros(1, SLOTS, DIM), torch.zeros(1, SLOTS, dtype=torch.bool))
    slots.there[0, [0, 1, 5]] = True
    organs = {
        1: OrganRecord("spleen", (), ("Normal spleen.",), known=False),
        3: OrganRecord("kidney_left", (), ("Normal kidney.",)),
        5: OrganRecord("liver", ("a", "b"), ("Cyst.", "Fat.")),
        6: OrganRecord("stomach", (), ()),
    }
    assert examples_of(slots, ["x"], [organs]).said == [(0, 5, ("Cyst. Fat.",), True)]
    assert organ_batch(examples_of(slots, ["x"], [{}]), Tokens.learned(["x"], 300), 9, 0, 0, 4) is None


def test_no_report_is_told(tmp_path):
    examples = patients(2)
    silent = examples_of(examples.slots, ["", ""], [{}, {}])
    tokens = Tokens.learned(["a"], 300)
    with pytest.raises(UserError, match="nothing to learn from"):
        fit(Writer(SMALL, DIM, len(tokens)), tokens, silent, FitConfig(steps=1), tmp_path, 0)


def test_history_and_technique_are_left_out():
    report = (
        "INDICATION: Rule out hiatal hernia.\n\nTECHNIQUE: CT with contrast.\n\nFINDINGS: The liver is normal. "
        "KIDNEYS: A stone on the left.\n\nIMPRESSION: 1. Kidney stone."
    )
    found = findings_of(report)
    assert "hernia" not in found and "contrast" not in found
    assert "The liver is normal." in found.splitlines() and found.splitlines()[-1] == "Kidney stone."
    assert findings_of("") == ""


@settings(deadline=None, max_examples=50)
@given(text=st.text(max_size=60))
def test_any_text_comes_back(text):
    tokens = Tokens.learned(["The liver is normal.", "No stones."], 300)
    ids = tokens([text], REPORT, 1000)[0]
    assert ids[0] == REPORT and ids[-1] == END and END not in ids[1:-1]
    assert tokens.text(ids[1:]) == text.strip()
    assert tokens([text], ORGAN, 3)[0] == [ORGAN, *ids[1:3]]


def test_it_is_read_back_as_it_was_written(tmp_path):
    writer, tokens = learned(tmp_path, FitConfig(steps=3, batch=4, organs=4, warmup=1))
    write_writer(tmp_path / "writer", Written(writer, tokens, "starter", "abc", {"steps": 3}))
    found = read_writer(tmp_path / "writer")
    assert (found.encoder, found.revision, found.made) == ("starter", "abc", {"steps": 3})
    for name, tensor in writer.state_dict().items():
        assert torch.allclose(found.writer.state_dict()[name], tensor, atol=1e-3)
    assert found.tokens(["The spleen"], REPORT, 9) == tokens(["The spleen"], REPORT, 9)
    assert found.writer.language.lm_head.weight is found.writer.language.transformer.wte.weight
    card = (tmp_path / "writer" / artifact.CARD).read_text()
    assert "not for diagnosis" in card and "starter" in card


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda f: (f / "config.json").write_text("{"), "config.json"),
        (lambda f: (f / "config.json").write_text(json.dumps({"format": 1})), "no report writer"),
        (lambda f: (f / "config.json").write_text(json.dumps({"format": "report writer 1"})), "damaged"),
        (lambda f: (f / "tokenizer.json").write_text("x"), "tokenizer.json"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), "model.safetensors"),
    ],
)
def test_a_damaged_folder_is_told_in_a_sentence(tmp_path, damage, words):
    tokens = Tokens.learned(["a"], 300)
    write_writer(tmp_path / "writer", Written(Writer(SMALL, DIM, len(tokens)), tokens, "starter", "abc", {}))
    damage(tmp_path / "writer")
    with pytest.raises(UserError, match=words):
        read_writer(tmp_path / "writer")

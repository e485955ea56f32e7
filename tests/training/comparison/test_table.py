"""The figures of a comparison against counting pairs one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ctvlp.errors import UserError
from training.compare import CompareConfig, base_of, run_config, table
from training.comparison.beforehand import Data, check_judged, is_of, note_data
from training.comparison.rows import ABLATIONS, ROWS, chosen
from training.comparison.runs import Answers, is_answered, load_answers, save_answers
from training.comparison.table import as_markdown, difference, entry, figure, judged
from training.config import PretrainConfig
from training.data.records import OrganRecord, patients_of
from training.data.texts import Classes
from training.engine.metrics import Resampling, auc_within
from training.settings import write_config

SCANS = 40
ALONE = np.arange(SCANS)
"""Every scan is of a patient of its own."""
KEYS = ("kidney_left/stone", "kidney_right/stone", "liver/cyst", "liver/rare")


def answers(seed: int, skill: float) -> Answers:
    """Two kidneys of which one scores far higher than the other whatever it has, and a liver."""
    rng = np.random.default_rng(9)
    present = rng.random((len(KEYS), SCANS)) < np.array([[0.5], [0.2], [0.4], [0.0]])
    present[3, 0] = True
    offset = np.array([[0.0], [50.0], [0.0], [0.0]])
    scores = offset + skill * present + np.random.default_rng(seed).normal(size=present.shape)
    key, scan = np.divmod(np.arange(present.size), SCANS)
    return Answers(KEYS, key, scan, scores.ravel(), present.ravel(), {"seconds": 1.0, "parameters": 5})


def by_pairs(run: Answers, abnormality: str) -> float:
    right = pairs = 0.0
    for number, key in enumerate(run.keys):
        if key.split("/")[1] == abnormality:
            rows = run.key == number
            for one in run.scores[rows & run.present]:
                for other in run.scores[rows & ~run.present]:
                    right += (one > other) + 0.5 * (one == other)
                    pairs += 1
    return right / pairs


def test_organs_of_different_kinds_are_never_compared():
    run = answers(1, 1.0)
    found = figure([run], ALONE, 200)
    assert found.by_abnormality["stone"] == pytest.approx(by_pairs(run, "stone"), abs=1e-12)
    assert found.by_abnormality["cyst"] == pytest.approx(by_pairs(run, "cyst"), abs=1e-12)
    assert found.value == pytest.approx((by_pairs(run, "stone") + by_pairs(run, "cyst")) / 2)
    assert "rare" not in found.by_abnormality  # one scan says nothing
    assert set(judged(run, ALONE)) == {"stone", "cyst"}
    with pytest.raises(UserError, match="No abnormality is in enough test patients"):
        figure([replace(run, present=run.present & (run.scan < 3))], ALONE, 10)


def test_weights_count_as_repeated_scans():
    run = answers(2, 0.5)
    rows = run.key < 2
    counts = np.random.default_rng(0).integers(0, 3, SCANS)
    repeated = np.repeat(np.flatnonzero(rows), counts[run.scan[rows]])
    given = (run.scores[rows], run.present[rows], run.key[rows])
    weighted = auc_within(*given, counts[run.scan[rows]][None].astype(float))
    many = (run.scores[repeated], run.present[repeated], run.key[repeated])
    assert weighted[0] == pytest.approx(auc_within(*many, np.ones((1, len(repeated))))[0])
    assert np.isnan(auc_within(*given, np.zeros((1, int(rows.sum()))))[0])


def test_ties_are_half_and_a_guess_is_at_chance():
    run = answers(3, 0.0)
    flat = np.zeros(len(run.scores))
    assert auc_within(flat, run.present, run.key, np.ones((1, len(flat))))[0] == 0.5
    found = figure([answers(seed, 0.0) for seed in range(6)], ALONE, 300)
    assert found.low < 0.5 < found.high and len(found.seeds) == 6


def test_a_difference_is_taken_within_draws():
    """Two rows that fail on the same scans differ by less than their intervals would let one think."""
    one, other = ([answers(seed, skill) for seed in (4, 5)] for skill in (1.0, 1.3))
    low, high = figure(one, ALONE, 400), figure(other, ALONE, 400)
    found = difference(high, low)
    assert found["value"] == pytest.approx(high.value - low.value)
    assert found["high"] - found["low"] < (high.high - high.low) + (low.high - low.low)
    assert found["low"] > 0


class Stored:
    """Five prepared scans of three patients."""

    count = 5

    def record(self, index: int) -> dict[str, str]:
        return {"patient": "bacab"[index]}


def test_scans_of_a_patient_are_drawn_together():
    """Two scans a patient: the figure of each draw against counting pairs with every scan as often as its patient."""
    assert patients_of(Stored()).tolist() == [0, 1, 2, 1, 0]
    run, patients = answers(1, 1.0), np.arange(SCANS) // 2
    found = figure([run], patients, 3)
    counts = Resampling(SCANS // 2, 3).counts.astype(int)
    assert found.value == figure([run], ALONE, 3).value  # of all as they are
    for draw, count in zip(found.draws, counts, strict=True):
        rows = np.repeat(np.arange(len(run.scan)), count[patients[run.scan]])
        drawn = replace(run, **{name: getattr(run, name)[rows] for name in ("key", "scan", "scores", "present")})
        assert draw == pytest.approx((by_pairs(drawn, "stone") + by_pairs(drawn, "cyst")) / 2)


def test_a_patient_counted_twice_makes_nothing_surer():
    """Every scan twice: as one patient each the interval stays, as two it would shrink."""
    run = answers(1, 1.0)
    key, scan, scores, present = (np.tile(v, 2) for v in (run.key, run.scan, run.scores, run.present))
    scan[len(run.scan) :] += SCANS
    twice = replace(run, key=key, scan=scan, scores=scores, present=present)
    once, same, shrunk = (
        figure([each], patients, 400)
        for each, patients in ((run, ALONE), (twice, np.tile(ALONE, 2)), (twice, np.arange(2 * SCANS)))
    )
    assert (same.low, same.high) == pytest.approx((once.low, once.high))
    assert shrunk.high - shrunk.low < 0.85 * (once.high - once.low)
    few = replace(run, present=run.present & (run.scan < 16))
    assert "stone" in judged(few, ALONE) and "stone" not in judged(few, np.where(ALONE < 16, 0, ALONE))


def test_a_table_holds_every_row_and_survives_a_file(tmp_path):
    run = answers(1, 1.0)
    save_answers(tmp_path / "answers.npz", run)
    again = load_answers(tmp_path / "answers.npz")
    assert again.keys == run.keys and again.about == run.about and np.array_equal(again.scores, run.scores)
    found = {"clip": figure([run], ALONE, 100), "ours": figure([answers(2, 2.0)], ALONE, 100)}
    rows = {name: entry(name.upper(), value, [run], {"clip": found["clip"]}) for name, value in found.items()}
    text = as_markdown({"rows": rows, "references": ["clip"], "said": "what it rests on"})
    assert "| CLIP |" in text and "| OURS |" in text and text.endswith("what it rests on")
    assert rows["ours"]["above"]["clip"]["value"] > 0


class Told(Stored):
    """Five scans of three patients, in which every other liver has a cyst."""

    def records(self, index: int) -> dict[int, OrganRecord]:
        return {5: OrganRecord("liver", ("liver_cyst",) if index % 2 else (), ())}


def test_what_could_not_be_judged_is_told_before_anything_is_trained():
    classes = Classes(("liver",), (("liver", "normal"), ("liver", "liver_cyst")))
    store = Told()
    store.count = 12
    check_judged(store, classes, np.arange(12))
    for few in (
        (store, classes, np.arange(12) // 3),
        (store, replace(classes, states=classes.states[:1]), np.arange(12)),
    ):
        with pytest.raises(UserError, match="No abnormality that is trained can be judged"):
            check_judged(*few)


def test_answers_are_of_their_settings_their_data_and_their_test_scans(tmp_path):
    row, data = ROWS["clip"], Data("", "t1")
    config = row.of(replace(PretrainConfig(run=tmp_path / "r"), threads=1))
    assert is_of(tmp_path / "r", config, data)
    (tmp_path / "r").mkdir()
    write_config(config, tmp_path / "r" / "config.json")
    note_data(tmp_path / "r", data)
    assert is_of(tmp_path / "r", replace(config, threads=2, device="cpu"), data)
    assert not is_of(tmp_path / "r", replace(config, seed=1), data)
    assert not is_of(tmp_path / "r", config, Data("another store", "t1"))
    place = tmp_path / "r" / "answers.npz"
    assert not is_answered(place, data)
    save_answers(place, replace(answers(1, 1.0), about={"test": "t1", "seconds": 1.0, "parameters": 1}))
    assert is_answered(place, data) and not is_answered(place, Data("", "t2"))


def test_a_table_holds_rows_of_earlier_calls(tmp_path):
    config = CompareConfig(out=tmp_path, rows=("fvlm-plain",), seeds=(0,), rounds=20)
    base, data = base_of(config), Data("", "t1")
    for number, name in enumerate(("clip", "fvlm-plain", "ours", "t3d")):
        run = (ROWS | ABLATIONS)[name].of(run_config(config, base, name, 0))
        run.run.mkdir(parents=True)
        write_config(replace(run, seed=9) if name == "t3d" else run, run.run / "config.json")  # of another comparison
        about = {"test": "t1", "seconds": 1.0, "parameters": 1}
        save_answers(run.run / "answers.npz", replace(answers(number, 1.0), about=about))
    found = table(config, base, ALONE, data)
    assert list(found["rows"]) == ["clip", "ours", "fvlm-plain"] and found["references"] == ["clip", "ours"]
    assert set(found["rows"]["fvlm-plain"]["above"]) == {"clip", "ours"}


def test_rows_are_known_by_name():
    assert list(chosen(())) == list(ROWS)
    assert list(chosen(("ours-mean", "ours", "clip"))) == ["clip", "ours", "ours-mean"]  # in the order of the table
    with pytest.raises(UserError, match="no row 'best'"):
        chosen(("best",))
    config = ROWS["ctglip-vit"].of(PretrainConfig())
    assert config.method == "ctglip-paper" and config.model.backbone == "vit"


def test_draws_are_the_same_for_every_row():
    assert np.array_equal(Resampling(7, 5, 1).counts, Resampling(7, 5, 1).counts)

"""Every method against NumPy loops on a step that has every case in it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from training.objectives.base import Features, Organs, Texts, Views
from training.objectives.ours import Ours
from training.objectives.registry import METHODS

from . import cases
from .cases import CLASS_NORMAL, CLASS_ORGAN, LEFT, LIVER, RIGHT, ROWS, SCALE, array, both_ways, cross_entropy

ORGAN_METHODS = [name for name in METHODS if name not in ("clip", "siglip", "t3d")]


def run(name, organs=None, views=None, texts=None, progress=1.0, second=None):
    """A method's loss and terms on the case, with a second network's features where it wants two."""
    torch.manual_seed(0)
    method = METHODS[name](8, 7)
    features = Features(cases.organs() if organs is None else organs, cases.views() if views is None else views)
    texts = cases.texts() if texts is None else texts
    if method.needs.models == 2:
        other = cases.organs(seed=50) if second is None else second
        return method((features, Features(other)), (texts, cases.texts(110)), (torch.tensor(SCALE),) * 2, progress)
    return method((features,), (texts,), (torch.tensor(SCALE),), progress)


def hard(rows, normals):
    return np.array(
        [
            [float(ROWS[i][3] == ROWS[j][3] or (normals and not cases.ill(i) and not cases.ill(j))) for j in rows]
            for i in rows
        ]
    )


def block(logits, image_targets, text_targets):
    return 0.5 * cross_entropy(logits, image_targets) + 0.5 * cross_entropy(logits.T, text_targets)


def block_logits(organs, texts, rows):
    return SCALE * array(organs.vectors)[rows] @ array(texts.organs)[[ROWS[r][3] for r in rows]].T


def test_clip_by_hand():
    views, texts = cases.views(), cases.texts()
    number = texts.whole_id.tolist()
    targets = np.array([[float(number[s] == other) for other in number] for s in views.scan.tolist()])
    expected = both_ways(SCALE * array(views.vectors) @ array(texts.whole).T, targets)
    loss, terms = run("clip")
    assert loss.item() == pytest.approx(expected, abs=1e-5)
    assert terms["whole"].chance == pytest.approx((np.log(5) + np.log(10)) / 2)


def test_siglip_by_hand():
    views, texts = cases.views(), cases.texts()
    number = texts.whole_id.tolist()
    total = 0.0
    for vector, scan in zip(array(views.vectors), views.scan.tolist(), strict=True):
        for report, other in zip(array(texts.whole), number, strict=True):
            sign = 1 if number[scan] == other else -1
            total += np.log1p(np.exp(-sign * (SCALE * vector @ report - 10)))
    loss, terms = run("siglip")
    assert loss.item() == pytest.approx(total / 10, abs=1e-4)
    # 14 of 50 pairs are positive: what a constant answer can reach
    assert terms["whole"].chance == pytest.approx(-5 * (0.28 * np.log(0.28) + 0.72 * np.log(0.72)))


def test_equal_reports_are_mutual_positives():
    """Scans 1 and 2 have one report: a model that tells all reports apart, and these two not, is at the optimum."""
    texts = cases.texts()
    views = Views(texts.whole.clone(), torch.arange(5))
    vectors = torch.eye(5, 8)[[0, 1, 1, 3, 4]]
    texts, views = replace(texts, whole=vectors), replace(views, vectors=vectors.clone().requires_grad_())
    method = METHODS["clip"](8, 7)
    loss, _ = method((Features(views=views),), (texts,), (torch.tensor(60.0),), 1.0)
    (gradient,) = torch.autograd.grad(loss, views.vectors)
    assert loss.item() == pytest.approx(2 / 5 * np.log(2), abs=1e-4) and gradient.abs().max() < 1e-4


def ctglip_candidates(texts):
    """Vector, class of the dictionary and of the sentences that state one thing."""
    vectors = list(array(texts.dictionary))
    classes = list(range(7))
    said = {text: states for _, _, states, text in ROWS if states and text >= 0}
    for text, states in sorted(said.items()):
        if len(states) == 1:
            vectors.append(array(texts.organs)[text])
            classes += states
    return np.array(vectors), classes


def within_by_hand(logits, told, classes, abnormal_weight, mirror):
    losses, weights = [], []
    for line, row in zip(logits, told, strict=True):
        kind, _, states, _ = ROWS[row]
        about = {kind, mirror[kind]} if mirror else {kind}
        keep = [c for c, number in enumerate(classes) if CLASS_ORGAN[number] in about]
        wanted = np.array([[float(classes[c] in states) for c in keep]])
        losses.append(cross_entropy(line[None, keep], wanted))
        weights.append(abnormal_weight if cases.ill(row) else 1.0)
    return np.average(losses, weights=weights)


def organ_by_hand(organs, texts):
    wanted = np.eye(3)[[row[0] for row in ROWS]]
    return both_ways(SCALE * array(organs.vectors) @ array(texts.names).T, wanted)


def test_ctglip_by_hand():
    organs, texts = cases.organs(), cases.texts()
    vectors, classes = ctglip_candidates(texts)
    told = [n for n, row in enumerate(ROWS) if row[2]]
    logits = SCALE * array(organs.vectors)[told] @ vectors.T
    wanted = np.array([[float(c in ROWS[row][2]) for c in classes] for row in told])
    _, terms = run("ctglip")
    assert len(classes) == 7 + 7  # the sentence of two findings is no candidate, nor that of the cut organ
    assert terms["organ"].value.item() == pytest.approx(organ_by_hand(organs, texts), abs=1e-5)
    assert terms["abnormality"].value.item() == pytest.approx(both_ways(logits, wanted), abs=1e-5)
    assert terms["within"].value.item() == pytest.approx(within_by_hand(logits, told, classes, 1.0, None), abs=1e-5)


@pytest.mark.parametrize("normals", [True, False])
def test_fvlm_without_abnormal_correction_by_hand(normals):
    organs, texts = cases.organs(), cases.texts()
    expected = []
    for kind in (LIVER, LEFT):  # no right kidney of the batch is abnormal
        rows = cases.rows_of(kind)
        wanted = hard(rows, normals)
        expected.append(block(block_logits(organs, texts, rows), wanted, wanted))
    loss, terms = run("fvlm-no-abnormal" if normals else "fvlm-plain")
    assert loss.item() == pytest.approx(np.mean(expected), abs=1e-5)
    assert terms["anatomy"].chance == pytest.approx((np.log(4) + np.log(3)) / 2)


@pytest.mark.parametrize("alike", [-1.0, 0.5])
def test_fvlm_by_hand(alike):
    from training.objectives.fvlm import Fvlm

    organs, texts = cases.organs(), cases.texts()
    momentum = array(texts.organs_momentum)
    expected = []
    for kind in (LIVER, LEFT):
        rows = cases.rows_of(kind)
        wanted = hard(rows, True)
        wanted /= wanted.sum(1, keepdims=True)
        for i, row in enumerate(rows):
            others = [
                j
                for j, other in enumerate(rows)
                if j != i
                and cases.ill(row)
                and cases.ill(other)
                and momentum[ROWS[row][3]] @ momentum[ROWS[other][3]] >= alike
            ]
            if others:
                mass = np.exp([SCALE * momentum[ROWS[row][3]] @ momentum[ROWS[rows[j]][3]] for j in others])
                wanted[i] *= 0.5
                wanted[i, others] += 0.5 * mass / mass.sum()
        expected.append(block(block_logits(organs, texts, rows), wanted, wanted))
    loss, _ = Fvlm(alike=alike)((Features(organs),), (texts,), (torch.tensor(SCALE),), 1.0)
    assert loss.item() == pytest.approx(np.mean(expected), abs=1e-5)
    plain, _ = run("fvlm-no-abnormal")
    assert abs(loss.item() - plain.item()) > 1e-3 or alike == 0.5


def test_fvlm_gives_no_gradient_to_the_momentum_texts():
    texts = cases.texts()
    momentum = texts.organs_momentum.clone().requires_grad_()
    plain = texts.organs.clone().requires_grad_()
    loss, _ = run("fvlm", texts=replace(texts, organs=plain, organs_momentum=momentum))
    gradients = torch.autograd.grad(loss, [plain, momentum], allow_unused=True)
    assert gradients[0].abs().sum() > 0 and gradients[1] is None


@pytest.mark.parametrize("progress, share", [(0.0, 0.0), (0.05, 0.25), (1.0, 0.5)])
def test_coteaching_by_hand(progress, share):
    organs, texts = (cases.organs(), cases.organs(seed=50)), (cases.texts(), cases.texts(110))
    totals = []
    for own, teacher in ((0, 1), (1, 0)):
        losses = []
        for kind in (LIVER, LEFT):
            rows = cases.rows_of(kind)
            mine, theirs = (block_logits(organs[n], texts[n], rows) for n in (own, teacher))
            sick = [i for i, row in enumerate(rows) if cases.ill(row)]
            both = []
            for logits in (theirs, theirs.T):
                wanted = hard(rows, True)
                wanted /= wanted.sum(1, keepdims=True)
                for i in sick:
                    believed = np.exp(logits[i, sick]) / np.exp(logits[i, sick]).sum()
                    wanted[i] *= 1 - share
                    wanted[i, sick] += share * believed
                both.append(wanted)
            losses.append(block(mine, *both))
        totals.append(np.mean(losses))
    loss, terms = run("fvlm-coteach", progress=progress)
    assert loss.item() == pytest.approx(sum(totals), abs=1e-5)
    assert terms["anatomy, second model"].value.item() == pytest.approx(totals[1], abs=1e-5)


def test_coteaching_gives_no_gradient_to_the_teacher():
    mine, teacher = cases.with_gradient(cases.organs()), cases.with_gradient(cases.organs(seed=50))
    _, terms = run("fvlm-coteach", organs=mine, second=teacher)
    gradients = torch.autograd.grad(
        terms["anatomy"].value, [mine.vectors, teacher.vectors], allow_unused=True, retain_graph=True
    )
    assert gradients[0].abs().sum() > 0 and gradients[1] is None
    gradients = torch.autograd.grad(
        terms["anatomy, second model"].value, [mine.vectors, teacher.vectors], allow_unused=True
    )
    assert gradients[1].abs().sum() > 0 and gradients[0] is None


def test_coteaching_wants_the_same_organs():
    with pytest.raises(ValueError, match="same organs"):
        run("fvlm-coteach", second=cases.organs(ROWS[:5]))


def softplus(value):
    return np.log1p(np.exp(value))


def ours_by_hand(organs, texts, recalled=None):
    """Terms of ours; ``recalled`` are (organ kind, vector, text vector, states) of earlier organs."""
    vectors, classes = ctglip_candidates(texts)
    told = [n for n, row in enumerate(ROWS) if row[2]]
    logits = SCALE * array(organs.vectors)[told] @ vectors.T
    wanted = np.array([[float(c in ROWS[row][2]) for c in classes] for row in told])

    statements = {}
    for row in told:
        kind, _, states, _ = ROWS[row]
        own = [c for c in range(7) if CLASS_ORGAN[c] == kind]
        similarity = array(texts.dictionary) @ array(organs.vectors)[row]
        (normal,) = [c for c in own if CLASS_NORMAL[c]]
        for c in own:
            if c != normal:
                margin = SCALE * (similarity[c] - similarity[normal])
                holds, absent = statements.setdefault((kind, c), ([], []))
                (holds if c in states else absent).append(softplus(-margin if c in states else margin))
    judged = [pair for pair in statements.values() if all(pair)]
    assert len(judged) == 3 and len(statements) == 4  # no right kidney has a stone

    reports = []
    for kind in (LIVER, LEFT):
        rows = cases.rows_of(kind)
        extra = [r for r in recalled or [] if r[0] == kind]
        there, back = block_logits(organs, texts, rows), block_logits(organs, texts, rows).T
        states = [ROWS[r][2] for r in rows]
        columns = states + [r[3] for r in extra]
        agree = np.array([[len(a & b) / len(a | b) for b in columns] for a in states])
        for i, row in enumerate(rows):
            for j, other in enumerate(rows):
                if ROWS[row][3] == ROWS[other][3]:
                    agree[i, j] = 1.0
        if extra:
            images = array(organs.vectors)[rows]
            sentences = array(texts.organs)[[ROWS[r][3] for r in rows]]
            there = np.hstack([there, SCALE * images @ np.array([r[2] for r in extra]).T])
            back = np.hstack([back, SCALE * sentences @ np.array([r[1] for r in extra]).T])
        false = agree
        if texts.hard is not None:
            belongs = texts.hard_of.tolist()
            more = np.full((len(rows), len(belongs)), -np.inf)
            for i, row in enumerate(rows):
                for j, of in enumerate(belongs):
                    if of == ROWS[row][3]:
                        more[i, j] = SCALE * array(organs.vectors)[row] @ array(texts.hard)[j]
            there, false = np.hstack([there, more]), np.hstack([agree, np.zeros_like(more)])
        reports.append(0.5 * cross_entropy(there, false) + 0.5 * cross_entropy(back, agree))
    return {
        "organ": organ_by_hand(organs, texts),
        "abnormality": both_ways(logits, wanted),
        "within": within_by_hand(logits, told, classes, 4.0, [None, RIGHT, LEFT]),
        "finding": np.mean([(np.mean(holds) + np.mean(absent)) / 2 for holds, absent in judged]),
        "report": np.mean(reports),
    }


@pytest.mark.parametrize("hard_texts", [False, True])
def test_ours_by_hand(hard_texts):
    organs, texts = cases.organs(), cases.texts()
    if hard_texts:  # two for the stone of the left kidney, one for the cyst, one for a sentence of no known organ
        texts = replace(texts, hard=cases.unit(77, 4, 8), hard_of=torch.tensor([1, 0, 1, 8]))
    loss, terms = run("ours", texts=texts)
    expected = ours_by_hand(organs, texts)
    for name, value in expected.items():
        assert terms[name].value.item() == pytest.approx(value, abs=1e-5), name
    expected["whole"] = run("clip")[0].item()
    weights = {"within": 1.0, "report": 1.5, "finding": 3.0, "whole": 0.2}
    total = sum(weights.get(name, 1.0) * value for name, value in expected.items())
    assert loss.item() == pytest.approx(total, abs=1e-4)
    assert terms["finding"].chance == pytest.approx(np.log(2))


def test_ours_takes_organs_or_views_alone():
    features, texts, scale = cases.features(), cases.texts(), (torch.tensor(SCALE),)
    method = Ours()
    assert "whole" not in method((Features(features.organs),), (texts,), scale, 0.0)[1]
    assert list(method((Features(views=features.views),), (texts,), scale, 0.0)[1]) == ["whole"]
    with pytest.raises(ValueError, match="organs or views"):
        method((Features(),), (texts,), scale, 0.0)


def test_bank_by_hand_and_through_a_checkpoint():
    """Two places a kind: of the first step's four livers the last two are left, in the next step's contrast."""
    earlier, now, texts = cases.organs(seed=30), cases.organs(), cases.texts()
    scale = (torch.tensor(SCALE),)
    method = Ours(bank=2, bank_from=0.5)
    before = method((Features(earlier),), (texts,), scale, 0.1)[1]["report"].value
    assert before.item() == pytest.approx(ours_by_hand(earlier, texts)["report"], abs=1e-5)

    resumed = Ours(bank=2, bank_from=0.5)
    resumed.load_state_dict(method.state_dict())
    recalled = [
        (kind, array(earlier.vectors)[row], array(texts.organs)[ROWS[row][3]], ROWS[row][2])
        for kind in (LIVER, LEFT)
        for row in cases.rows_of(kind)[-2:]
    ]
    expected = ours_by_hand(now, texts, recalled)["report"]
    for each in (method, resumed):
        assert each.eval()((Features(now),), (texts,), scale, 0.6)[1]["report"].value.item() == pytest.approx(
            expected, abs=1e-5
        )


@pytest.mark.parametrize("name", ORGAN_METHODS)
def test_unknown_organs_contribute_nothing(name):
    """Beyond being told which organ it is, and without them the loss of what is said is the same."""
    organs, second = cases.with_gradient(cases.organs()), cases.with_gradient(cases.organs(seed=50))
    _, terms = run(name, organs=organs, second=second)
    total = sum(term.value for key, term in terms.items() if key not in ("organ", "whole"))
    gradient, other = torch.autograd.grad(total, [organs.vectors, second.vectors], allow_unused=True)
    assert torch.equal(gradient[cases.UNKNOWN], torch.zeros(2, 8)) and gradient[0].abs().sum() > 0
    assert other is None or torch.equal(other[cases.UNKNOWN], torch.zeros(2, 8))

    def without(value):
        return Organs(*(getattr(value, field)[:9] for field in ("vectors", "organ", "scan", "states", "text")))

    _, fewer = run(name, organs=without(organs), second=without(second))
    same = sum(term.value for key, term in fewer.items() if key not in ("organ", "whole"))
    torch.testing.assert_close(total, same)


@pytest.mark.parametrize("name", ORGAN_METHODS)
def test_a_step_of_unknown_organs_is_harmless(name):
    rows = [(kind, scan, set(), -1) for kind, scan, _, _ in ROWS]
    organs = cases.with_gradient(cases.organs(rows))
    loss, terms = run(name, organs=organs, second=cases.with_gradient(cases.organs(rows, seed=50)))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(organs.vectors.grad).all()
    assert all(term.value.item() == 0 for key, term in terms.items() if key not in ("organ", "whole"))


def drawn_to(name, other):
    """Where a kidney with a stone is drawn in the contrast per anatomy, given the state and sentence of another."""
    rows = [(LEFT, 0, {4}, 0), (LEFT, 1, *other), (LEFT, 2, {3}, 2)]
    organs = cases.with_gradient(cases.organs(rows))
    texts = cases.texts()
    embedded = torch.eye(9, 8)
    texts = replace(texts, organs=embedded, organs_momentum=embedded, dictionary=torch.zeros(7, 8))
    _, terms = run(name, organs=organs, texts=texts, progress=0.0, second=cases.organs(rows))
    term = terms["report"] if name.startswith("ours") else terms["anatomy"]
    (gradient,) = torch.autograd.grad(term.value, organs.vectors)
    return -gradient[0]


@pytest.mark.parametrize("name", [n for n in ORGAN_METHODS if n.startswith("fvlm") or n.startswith("ours")])
def test_duplicates_are_not_negatives(name):
    """Where two organs have one sentence, the first is drawn to it as it is where the second is not there at all."""
    drawn = drawn_to(name, ({4}, 0))
    pushed = drawn_to(name, ({3}, 1))
    assert drawn[0] > 0 and drawn[1] == 0  # the sentence of both; a sentence that nobody has
    assert pushed[1] < 0  # a sentence of another state is a negative


def test_fvlm_normals_are_positives_only_when_asked():
    rows = [(LIVER, 0, {0}, 0), (LIVER, 1, {0}, 1), (LIVER, 2, {1}, 2)]
    organs, texts = cases.with_gradient(cases.organs(rows)), cases.texts()
    eye = torch.eye(9, 8)
    texts = replace(texts, organs=eye, organs_momentum=eye)
    organs = replace(organs, vectors=torch.zeros(3, 8, requires_grad=True))
    drawn = {}
    for name in ("fvlm", "fvlm-no-normal"):
        loss, _ = run(name, organs=organs, texts=texts)
        (gradient,) = torch.autograd.grad(loss, organs.vectors)
        drawn[name] = -gradient[0, 1].item()
    assert drawn["fvlm"] > 0 > drawn["fvlm-no-normal"]


def test_left_and_right_are_told_apart_by_ours():
    """A left kidney is pushed from the sentence of the right one with the same finding."""
    method = Ours(whole=0.0)
    organs = cases.organs([(LEFT, 0, {4}, 0), (RIGHT, 0, {5}, 1)])
    texts = cases.texts()
    vectors = torch.zeros(2, 8, requires_grad=True)
    texts = replace(texts, dictionary=torch.eye(7, 8), organs=torch.zeros(9, 8))
    pushed = {}
    for mirror in (texts.mirror, None):
        features = (Features(replace(organs, vectors=vectors)),)
        _, terms = method(features, (replace(texts, mirror=mirror),), (torch.tensor(SCALE),), 0.0)
        (gradient,) = torch.autograd.grad(terms["within"].value, vectors)
        pushed[mirror is not None] = gradient[0, 6].item()
    assert pushed[True] > 0 and pushed[False] == 0


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_needs_and_gets_by_with_that(name):
    method = METHODS[name](8, 7)
    needs = method.needs
    texts = cases.texts()
    texts = Texts(
        texts.names,
        texts.dictionary,
        texts.dictionary_class,
        texts.class_organ,
        texts.class_normal,
        texts.organs,
        texts.organs_momentum if needs.momentum else None,
        texts.whole if needs.whole else None,
        texts.whole_id if needs.whole else None,
    )
    views = cases.views(needs.views)
    views = views if needs.tokens else Views(views.vectors, views.scan)
    organs = cases.with_gradient(cases.organs())
    features = Features(organs if needs.organs else None, views if needs.whole else None)
    scale = torch.tensor(SCALE, requires_grad=True)
    loss, terms = method((features,) * needs.models, (texts,) * needs.models, (scale,) * needs.models, 0.3)
    loss.backward()
    assert method.name == name or name.startswith(method.name)
    assert torch.isfinite(loss) and scale.grad is not None and terms
    assert all(0 < term.chance < 20 for term in terms.values())
    assert all(p.grad is not None for p in method.parameters())
    assert F.relu(loss) > 0


def test_supervised_is_a_balanced_logistic_loss_over_the_organs_own_abnormalities():
    method = METHODS["supervised"](8, 7)
    with torch.no_grad():
        method.bias.copy_(torch.linspace(-1, 1, 7))
    organs = cases.organs()
    vectors, weight = organs.vectors.double().numpy(), method.weight.detach().double().numpy()
    right, wrong = [], []
    for row, (kind, _, states, _) in enumerate(ROWS):
        for number, (organ, normal) in enumerate(zip(cases.CLASS_ORGAN, cases.CLASS_NORMAL, strict=True)):
            if organ == kind and not normal and states:
                logit = SCALE * vectors[row] @ weight[number] + float(method.bias[number])
                (right if number in states else wrong).append(np.log1p(np.exp(-logit if number in states else logit)))
    loss, terms = method((Features(organs),), (cases.texts(),), (torch.tensor(SCALE),), 0.0)
    assert loss.item() == pytest.approx((np.mean(right) + np.mean(wrong)) / 2, abs=1e-5)
    assert terms["heads"].chance == pytest.approx(np.log(2))


def test_finetune_trains_the_score_of_the_plugin():
    """Each abnormality of an organ's own dictionary against its normal sentence, true and false ones half each."""
    organs, texts = cases.organs(), cases.texts()
    similarity = SCALE * array(organs.vectors) @ array(texts.dictionary).T
    right, wrong = [], []
    for row, (kind, _, states, _) in enumerate(ROWS):
        (normal,) = [c for c in range(7) if CLASS_ORGAN[c] == kind and CLASS_NORMAL[c]]
        for c in range(7) if states else ():
            if CLASS_ORGAN[c] == kind and c != normal:
                logit = similarity[row, c] - similarity[row, normal]
                (right if c in states else wrong).append(softplus(-logit if c in states else logit))
    assert len(right) == 5 and len(wrong) == 8
    expected, named = (np.mean(right) + np.mean(wrong)) / 2, organ_by_hand(organs, texts)
    assert run("finetune-labels")[0].item() == pytest.approx(expected, abs=1e-5)
    loss, terms = run("finetune")
    assert terms["labels"].value.item() == pytest.approx(expected, abs=1e-5)
    assert loss.item() == pytest.approx(expected + named, abs=1e-5)
    assert terms["labels"].chance == pytest.approx(np.log(2))
    _, blind = run("finetune", texts=replace(texts, dictionary=torch.zeros(7, 8)))
    assert blind["labels"].value.item() == pytest.approx(terms["labels"].chance)


def test_finetune_reaches_organs_dictionary_and_temperature():
    organs = cases.with_gradient(cases.organs())
    dictionary = cases.texts().dictionary.clone().requires_grad_()
    texts = replace(cases.texts(), dictionary=dictionary)
    scale = torch.tensor(SCALE, requires_grad=True)
    loss, _ = METHODS["finetune-labels"](8, 7)((Features(organs),), (texts,), (scale,), 0.0)
    loss.backward()
    assert all(each.grad.abs().sum() > 0 for each in (organs.vectors, dictionary, scale))
    assert torch.equal(organs.vectors.grad[cases.UNKNOWN], torch.zeros(2, 8))


@pytest.mark.parametrize("name", ["finetune-labels", "supervised"])
def test_what_is_not_told_is_not_absent(name):
    """A liver of which only the cyst is known, present or absent: nothing is learned of its fat."""
    for holds in (True, False):
        organs = cases.organs([(LIVER, 0, {1} if holds else set(), -1)])
        told = torch.zeros(1, 7, dtype=torch.bool)
        told[0, 1] = True
        dictionary = cases.texts().dictionary.clone().requires_grad_()
        texts = replace(cases.texts(), dictionary=dictionary)
        method = METHODS[name](8, 7)
        loss, _ = method((Features(replace(organs, told=told)),), (texts,), (torch.tensor(SCALE),), 0.0)
        weights = dictionary if name == "finetune-labels" else method.weight
        (gradient,) = torch.autograd.grad(loss, weights)
        moved = set(gradient.abs().sum(1).nonzero()[:, 0].tolist())
        assert moved == ({0, 1} if name == "finetune-labels" else {1}) and loss > 0


@pytest.mark.parametrize("name", ["finetune-labels", "supervised"])
def test_of_several_organs_one_of_which_has_it_the_most_suspicious_is_taught(name):
    """Scans 0 and 1 have a stone, and it is not known in which kidney; scan 2 has none."""
    organs = cases.organs([(LEFT, 0, set(), -1), (RIGHT, 0, set(), -1), (LEFT, 1, set(), -1), (RIGHT, 1, set(), -1),
                           (LEFT, 2, set(), -1)])  # fmt: skip
    one_of, told = torch.zeros(2, 5, 7, dtype=torch.bool)
    one_of[[0, 2], 4] = one_of[[1, 3], 6] = told[4, 4] = True
    organs = cases.with_gradient(replace(organs, told=told, one_of=one_of))
    texts = cases.texts()
    torch.manual_seed(0)
    method = METHODS[name](8, 7)
    if name == "finetune-labels":
        similarity = SCALE * array(organs.vectors) @ array(texts.dictionary).T
        logits = [similarity[n, c] - similarity[n, c - 1] for n, c in enumerate((4, 6, 4, 6, 4))]
    else:
        scores = array(method.logits(organs.vectors, torch.tensor(SCALE)))
        logits = [scores[n, c] for n, c in enumerate((4, 6, 4, 6, 4))]
    first, second = max(logits[:2]), max(logits[2:4])
    loss, _ = method((Features(organs),), (texts,), (torch.tensor(SCALE),), 0.0)
    expected = ((softplus(-first) + softplus(-second)) / 2 + softplus(logits[4])) / 2
    assert loss.item() == pytest.approx(expected, abs=1e-5)
    (gradient,) = torch.autograd.grad(loss, organs.vectors)
    moved = gradient.abs().sum(1) > 0
    assert moved.tolist() == [logits[0] == first, logits[1] == first, logits[2] == second, logits[3] == second, True]

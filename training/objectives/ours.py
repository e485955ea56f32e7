"""Our combination of the three papers' ideas; the parts, and what each is there for.

- organ: organs against the sentences that name them (CT-GLIP), so that a question finds its organ.
- abnormality: known organs against the dictionary and the sentences of the batch (CT-GLIP); what is true of an organ is
  a positive wherever the sentence comes from. The dictionary makes up for the few scans of a batch.
- within: the same among the sentences of the organ itself and of the organ on the other side of the body, which are all
  false of it: telling normal from abnormal, and left from right, is all that is left to learn.
- finding: every abnormality b of the organ kind o against "normal", each judged on its own,

      L = mean_{(o, b)} 1/2 mean_{b holds} log(1 + e^-m_b) + 1/2 mean_{b does not} log(1 + e^m_b),
      m_b = s (<v, t_b> - <v, t_normal>)

  where m_b is the score that an abnormality is found by, over the (o, b) that the step shows in both states. Findings
  do not compete here, as they do in a softmax; rare ones weigh as much as their absence, and as much as frequent ones.
- report: contrast per anatomy as in fVLM, against the organ's own sentences, which say more than the dictionary does.
  Two organs are positives as far as their states agree: Y_ij = |states_i and states_j| / |states_i or states_j|, and 1
  for equal sentences. That corrects normal and abnormal false negatives at once, without a second model. Sentences made
  false on purpose (sides swapped, negated) are added as negatives of the one organ, and organs of recent steps from a
  bank where there is one.
- whole: view against report (CLIP).

Beside these, ``--optim.evidence`` asks the most abnormal place of every organ (``lesions.py``: most), which a run of
this method does by default.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .bank import OrganBank
from .base import Features, Needs, Objective, Organs, Term, Texts
from .blocks import Blocks, blocks_of, one_way
from .clip import whole_term
from .ctglip import OrganRows, abnormality_term, candidates, known_rows, organ_term, within_term
from .fvlm import anatomy_logits
from .rows import balanced_by_statement, margins, organs_of, padded_groups


def finding_term(rows: OrganRows, texts: Texts, scale: Tensor) -> Term:
    """Every abnormality of the dictionary that an organ can have against "normal", one by one."""
    margin, own = margins(rows.vectors, rows.organ, texts, scale)
    return balanced_by_statement(margin, rows.states[:, texts.dictionary_class], own)


def agreement(ours: Tensor, theirs: Tensor) -> Tensor:
    """(K, m, classes) and (K, n, classes) states to (K, m, n): classes that both have over classes that one has."""
    both = ours.float() @ theirs.float().mT
    either = ours.sum(2)[:, :, None] + theirs.sum(2)[:, None, :] - both
    return both / either.clamp_min(1)


def hard_logits(organs: Organs, texts: Texts, blocks: Blocks, scale: Tensor) -> Tensor:
    """(K, m, h) logits of organs against the sentences made false of their text; minus infinity where there is none."""
    if texts.hard is None or texts.hard_of is None or len(texts.hard) == 0:
        return organs.vectors.new_zeros(*blocks.index.shape, 0)
    index, valid = padded_groups(texts.hard_of, len(texts.organs))
    logits = scale * torch.einsum("kmd,kmhd->kmh", organs.vectors[blocks.index], texts.hard[index[blocks.text]])
    return logits.masked_fill(~valid[blocks.text], -torch.inf)


def report_term(organs: Organs, texts: Texts, scale: Tensor, bank: OrganBank | None) -> Term:
    """Organs against their own sentences, per anatomy, with agreement as targets."""
    blocks = blocks_of(organs, texts, at_least=2 if bank is None else 1)
    states = organs.states[blocks.index] & blocks.valid[:, :, None]
    equal = blocks.text[:, :, None] == blocks.text[:, None, :]
    targets = torch.where(equal, 1.0, agreement(states, states)) * blocks.pairs
    logits = anatomy_logits(organs, texts, blocks, scale)
    there, back = (each.masked_fill(~blocks.pairs, -torch.inf) for each in (logits, logits.mT))
    there_targets = back_targets = targets
    recalled = bank.recall(blocks.kind) if bank is not None else None
    if recalled is not None:
        vectors, sentences, recalled_states, filled = recalled
        more = agreement(states, recalled_states) * filled[:, None] * blocks.valid[:, :, None]
        there_targets, back_targets = torch.cat([targets, more], 2), torch.cat([targets, more], 2)
        seen = scale * organs.vectors[blocks.index] @ sentences.mT
        read = scale * texts.organs[blocks.text] @ vectors.mT
        there = torch.cat([there, seen.masked_fill(~filled[:, None], -torch.inf)], 2)
        back = torch.cat([back, read.masked_fill(~filled[:, None], -torch.inf)], 2)
    false = hard_logits(organs, texts, blocks, scale)
    there = torch.cat([there, false], 2)
    there_targets = torch.cat([there_targets, torch.zeros_like(false)], 2)
    first = one_way(there, there_targets, blocks.row_weight)
    second = one_way(back, back_targets, blocks.row_weight)
    return Term(0.5 * (first.value + second.value), 0.5 * (first.chance + second.chance))


class Ours(Objective):
    """The combination.

    Parameters
    ----------
    abnormal_weight : float
        How much an abnormal organ counts in "within" against a normal one.
    within, report, finding, whole : float
        Weights of these parts; "organ" and "abnormality" have weight one. Without ``whole`` the loop is not
        asked for whole volumes and reports.
    bank : int
        Organs of each kind to remember; 0 for none.
    bank_from : float
        Progress from which remembered organs are used: at first they are outdated within a few steps.
    """

    name = "ours"

    def __init__(
        self,
        *,
        abnormal_weight: float = 4.0,
        within: float = 1.0,
        report: float = 1.5,
        finding: float = 3.0,
        whole: float = 0.2,
        bank: int = 0,
        bank_from: float = 0.2,
    ) -> None:
        super().__init__()
        self.needs = Needs(whole=whole > 0, hard=report > 0)
        self.abnormal_weight, self.whole = abnormal_weight, whole
        self.weights = {"within": within, "report": report, "finding": finding, "whole": whole}
        self.bank = OrganBank(bank) if bank else None
        self.bank_from = bank_from

    def organ_terms(self, features: Features, texts: Texts, scale: Tensor, progress: float) -> dict[str, Term]:
        """The parts that look at organs."""
        organs = organs_of(features)
        reports, rows = candidates(features, texts), known_rows(features)
        bank = self.bank if progress >= self.bank_from else None
        terms = {
            "organ": organ_term(OrganRows(organs.vectors, organs.organ, organs.states), reports, scale),
            "abnormality": abnormality_term(rows, reports, scale),
            "within": within_term(rows, reports, scale, abnormal_weight=self.abnormal_weight, mirror=texts.mirror),
            "finding": finding_term(rows, texts, scale),
            "report": report_term(organs, texts, scale, bank),
        }
        if self.bank is not None and self.training:
            told = (organs.text >= 0) & organs.states.any(1)
            self.bank.keep(organs, texts, told.nonzero()[:, 0])
        return terms

    def forward(
        self, features: tuple[Features, ...], texts: tuple[Texts, ...], scale: tuple[Tensor, ...], progress: float
    ) -> tuple[Tensor, dict[str, Term]]:
        """Terms of organs, where the step has organs, and "whole", where it has views: a loop may alternate."""
        terms: dict[str, Term] = {}
        if features[0].organs is not None:
            terms |= self.organ_terms(features[0], texts[0], scale[0], progress)
        if self.whole and features[0].views is not None:
            terms["whole"] = whole_term(features[0], texts[0], scale[0])
        if not terms:
            raise ValueError("this objective needs organs or views, and the step has neither")
        total = torch.stack([self.weights.get(name, 1.0) * term.value for name, term in terms.items()]).sum()
        return total, terms

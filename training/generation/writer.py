"""The language model that writes: a small GPT-2 that looks at the slots of a scan by cross-attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel

from .slots import SLOTS
from .tokens import END, ORGAN, PAD, REPORT

AT_ONCE = 16
"""Scans that are written of at once."""
REPEATED = 12
"""So many tokens in a row are not written twice in a whole report: the likeliest next token goes round in circles
(Holtzman et al., ICLR 2020), while sentences on several organs may well end alike."""
MOST_OF_ORGAN = 96
"""Tokens on one organ, at most."""


@dataclass(frozen=True)
class WriterConfig:
    """Shape of a writer."""

    width: int = 192
    layers: int = 3
    heads: int = 4
    most: int = 640
    """Tokens of a report, at most; longer ones are cut."""
    dropout: float = 0.1
    vocabulary: int = 2000
    """Tokens that are learned from the training reports, at most."""


class Writer(nn.Module):
    """Slots of a scan in, a report out.

    A slot is the encoder's vector of an organ plus a vector that says which organ it is. The same model writes of a
    whole report and, begun with another token and shown one slot, of a single organ: that teaches it what each slot
    says.

    Parameters
    ----------
    config : WriterConfig
    dim : int
        Width of the encoder's vectors.
    tokens : int
        Size of the vocabulary.
    """

    def __init__(self, config: WriterConfig, dim: int, tokens: int) -> None:
        super().__init__()
        self.config = config
        self.dim = dim
        self.given = nn.Linear(dim, config.width)
        self.organ = nn.Embedding(SLOTS, config.width)
        p = config.dropout
        self.language = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=tokens,
                n_positions=config.most,
                n_embd=config.width,
                n_layer=config.layers,
                n_head=config.heads,
                add_cross_attention=True,
                resid_pdrop=p,
                embd_pdrop=p,
                attn_pdrop=p,
                bos_token_id=REPORT,
                eos_token_id=END,
            )
        )
        nn.init.normal_(self.organ.weight, std=0.5)

    def looked_at(self, vectors: Tensor, slot: Tensor) -> Tensor:
        """(..., d) vectors and (...) slot numbers to (..., width) states for the cross-attention."""
        # unit vectors have components of about 1 / sqrt(d)
        return self.given(vectors.float() * self.dim**0.5) + self.organ(slot)

    def forward(self, vectors: Tensor, slot: Tensor, there: Tensor, tokens: Tensor) -> Tensor:
        """Mean cross-entropy of the next token.

        Parameters
        ----------
        vectors : (n, s, d)
        slot : (n, s) int64
        there : (n, s) bool
            Slots that may be looked at; at least one a row.
        tokens : (n, t) int64
            Padded with `PAD` at the end.
        """
        logits = self.language(
            input_ids=tokens[:, :-1],
            attention_mask=(tokens[:, :-1] != PAD).long(),
            encoder_hidden_states=self.looked_at(vectors, slot),
            encoder_attention_mask=there.long(),
        ).logits
        return F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten(), ignore_index=PAD)

    @torch.no_grad()
    def write(self, vectors: Tensor, there: Tensor) -> list[list[int]]:
        """Reports as tokens, the likeliest after the other, for (n, SLOTS, d) vectors and (n, SLOTS) bool."""
        slot = torch.arange(SLOTS).expand(len(vectors), -1)
        return self._written(vectors, slot, there, REPORT)

    @torch.no_grad()
    def write_of_organs(self, vectors: Tensor, slot: Sequence[int]) -> list[list[int]]:
        """The same of single organs, for (n, d) vectors and their slots."""
        own = torch.tensor(slot)[:, None]
        return self._written(vectors[:, None], own, torch.ones_like(own, dtype=torch.bool), ORGAN)

    def _written(self, vectors: Tensor, slot: Tensor, there: Tensor, start: int) -> list[list[int]]:
        self.eval()
        device, found = self.organ.weight.device, []
        for at in range(0, len(vectors), AT_ONCE):
            some = slice(at, at + AT_ONCE)
            first = torch.full((len(vectors[some]), 1), start, device=device)
            written = self.language.generate(
                input_ids=first,
                attention_mask=torch.ones_like(first),
                encoder_hidden_states=self.looked_at(vectors[some].to(device), slot[some].to(device)),
                encoder_attention_mask=there[some].long().to(device),
                max_length=self.config.most if start == REPORT else min(MOST_OF_ORGAN, self.config.most),
                no_repeat_ngram_size=REPEATED if start == REPORT else 0,
                pad_token_id=END,
                do_sample=False,
            )
            found += [row[1:] for row in written.tolist()]
        return found

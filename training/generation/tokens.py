"""Reports as numbers: byte-pair encoding learned from the reports of a run (Sennrich et al., ACL 2016)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from napari_ctvlp.errors import UserError
from training.reports.split import sentences

PAD, REPORT, ORGAN, END = range(4)
"""Padding; what a whole report begins with; what is said of one organ begins with; the end of both."""
_SPECIAL = ["<pad>", "<report>", "<organ>", "<end>"]


def findings_of(report: str) -> str:
    """The sentences of a report that state findings, each on a line with its heading; history, technique and comparison
    cannot be seen in a scan and are left out."""
    return "\n".join(f"{line.heading}: {line.text}" if line.own else line.text for line in sentences(report))


class Tokens:
    """Texts to numbers and back, case and line ends kept."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def learned(cls, texts: Iterable[str], size: int) -> Tokens:
        """Tokens of the pairs of bytes that are frequent in some texts; at most ``size`` of them."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=_SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer)

    @classmethod
    def read(cls, path: Path) -> Tokens:
        """From a file.

        Raises
        ------
        UserError
            When it cannot be read.
        """
        try:
            return cls(Tokenizer.from_file(str(path)))
        except Exception as error:  # tokenizers raises plain Exception
            raise UserError(f"{path.name} of the writer in '{path.parent.name}' cannot be read ({error}).") from error

    def save(self, path: Path) -> None:
        """To a file."""
        self._tokenizer.save(str(path))

    def __len__(self) -> int:
        return int(self._tokenizer.get_vocab_size())

    def __call__(self, texts: Sequence[str], start: int, most: int) -> list[list[int]]:
        """Numbers of some texts, from ``start`` to `END`; longer ones than ``most`` are cut and have no end."""
        found = [[start, *each.ids, END] for each in self._tokenizer.encode_batch(list(texts))]
        return [ids[:most] for ids in found]

    def text(self, ids: Sequence[int]) -> str:
        """The text of some numbers, up to the first end."""
        ids = list(ids)
        if END in ids:
            ids = ids[: ids.index(END)]
        return str(self._tokenizer.decode(ids, skip_special_tokens=True)).strip()

"""The tokenizer of Clinical-Longformer, whose words Merlin reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_ctvlp.encoder import artifact
from napari_ctvlp.errors import UserError


def longformer_tokenizer(folder: Path, words: int) -> Any:
    """Make it from ``vocab.json`` and ``merges.txt`` of a folder; the checkpoint has vectors for ``words``.

    Raises
    ------
    UserError
        When one of the files is missing, damaged, or not the checkpoint's.
    """
    from transformers import RobertaTokenizer

    try:
        vocabulary = artifact.read_json(folder / "vocab.json")
        lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"'merges.txt' of Merlin in '{folder.name}' is missing or unreadable.") from error
    if not {"<s>", "<pad>", "</s>", "<unk>"} <= vocabulary.keys():
        raise UserError(f"'vocab.json' in '{folder.name}' is no vocabulary of Clinical-Longformer.")
    if len(vocabulary) > words:
        raise UserError(f"'vocab.json' has {len(vocabulary)} words, the checkpoint vectors for {words}: another one?")
    merges: Any = [tuple(line.split()) for line in lines if line and not line.startswith("#version")]
    try:
        if any(len(pair) != 2 for pair in merges):
            raise ValueError("a line is no pair")
        return RobertaTokenizer(vocab=vocabulary, merges=merges)
    except Exception as error:  # the tokenizer's own complaints are bare ones, of a pair without its word too
        raise UserError(
            f"'merges.txt' in '{folder.name}' is damaged or does not belong to 'vocab.json': download both again."
        ) from error

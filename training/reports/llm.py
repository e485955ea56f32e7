"""Reading a report by an instruction model on this machine, trusted only where it quotes the report verbatim."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_ctvlp.anatomy.dictionary import load_dictionary
from napari_ctvlp.anatomy.schemes import V2_NAMES, to_v2
from napari_ctvlp.errors import UserError
from training.reports.labels import Polarity, Statement
from training.reports.link import link

PROMPT = """\
Read the radiology report. For every organ that it speaks of, give one JSON object a statement:
{"organ": name, "state": "abnormal" | "uncertain" | "absent" | "normal", "finding": name or null, "quote": sentence}
"absent" means that the finding is denied. The quote is the sentence of the report, copied letter by letter.
Answer with one JSON list and nothing else. Leave out organs that the report does not mention.

Report:
"""
_STATES: dict[str, Polarity] = {
    "abnormal": "present",
    "present": "present",
    "uncertain": "uncertain",
    "absent": "absent",
    "normal": "normal",
}


@dataclass(frozen=True, eq=False)
class LocalReader:
    """A causal language model and its tokenizer; ``identity`` changes with the model and the prompt."""

    model: Any
    tokenizer: Any
    identity: str
    max_new_tokens: int = 1024

    @classmethod
    def from_folder(cls, folder: Path) -> LocalReader:
        """Load from a folder; nothing is downloaded and no code of the folder is run.

        Raises
        ------
        UserError
            If the folder holds no such model.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if not (folder / "config.json").is_file():
            raise UserError(f"{folder.name}: holds no language model (no config.json); give a transformers folder.")
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, ImportError) as error:
            raise UserError(f"{folder.name}: holds no language model that transformers can load from files.") from error
        seen = hashlib.blake2b(PROMPT.encode(), digest_size=8)
        for file in sorted(p for p in folder.iterdir() if p.is_file()):
            seen.update(f"{file.name} {file.stat().st_size}".encode())
        return cls(model.eval(), tokenizer, seen.hexdigest())

    def answer(self, report: str) -> str:
        """What the model writes, chosen greedily; "" for a report beyond its context."""
        import torch

        if self.tokenizer.chat_template:
            said = [{"role": "user", "content": PROMPT + report}]
            text = self.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
            given = self.tokenizer(text, return_tensors="pt", add_special_tokens=False)
        else:
            given = self.tokenizer(f"{PROMPT}{report}\n\nJSON:\n", return_tensors="pt")
        length = given["input_ids"].shape[1]
        limit = getattr(self.model.config, "max_position_embeddings", None) or 1 << 20
        room = min(self.max_new_tokens, limit - length)
        if room < 32:
            return ""
        pad = self.tokenizer.pad_token_id
        with torch.inference_mode():
            out = self.model.generate(
                input_ids=given["input_ids"].to(self.model.device),
                attention_mask=given["attention_mask"].to(self.model.device),
                do_sample=False,
                max_new_tokens=room,
                pad_token_id=self.tokenizer.eos_token_id if pad is None else pad,
            )
        return str(self.tokenizer.decode(out[0, length:], skip_special_tokens=True))

    def statements(self, report: str) -> tuple[Statement, ...]:
        """What the model reads in a report, as far as :func:`accepted`."""
        return accepted(self.answer(report), report)


def accepted(answer: str, report: str) -> tuple[Statement, ...]:
    """The entries of an answer that can be checked: a known organ and state, and a quote that stands in the report.

    A finding that the dictionary does not have for that organ is dropped, and the statement kept without it.
    """
    flat = " ".join(report.split())
    organs_of = {entry.key: entry.organs for entry in load_dictionary()}
    found = []
    for entry in _entries(answer):
        state, quote = _STATES.get(str(entry.get("state")).lower()), " ".join(str(entry.get("quote") or "").split())
        if state is None or len(quote.split()) < 2 or quote not in flat:
            continue
        keys = () if state == "normal" else _keys(str(entry.get("finding") or ""))
        for organ in _organs(str(entry.get("organ") or "")):
            fits = (key for key in keys if organ in organs_of[key])
            found.append(Statement(organ, state, next(fits, None), quote))
    return tuple(dict.fromkeys(found))


def _keys(finding: str) -> tuple[str, ...]:
    """Dictionary entries that a finding's name can mean, by key or in any wording that the rules know."""
    plain = finding.strip().lower()
    if any(entry.key == plain for entry in load_dictionary()):
        return (plain,)
    return tuple(key for found in link(plain.replace("_", " ")).found for key in found.keys)


def _organs(name: str) -> tuple[str, ...]:
    organ = to_v2(name)
    if organ in V2_NAMES:
        return (organ,)
    mentions = link(name.replace("_", " ")).mentions
    return tuple(o for o in dict.fromkeys(o for m in mentions for o in m.organs) if o in V2_NAMES)


def _entries(answer: str) -> Iterator[dict[str, Any]]:
    """Every JSON object in an answer, alone or in a list, whatever stands around it or breaks off behind."""
    decoder, at = json.JSONDecoder(), answer.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(answer, at)
        except json.JSONDecodeError:
            end = at + 1
        else:
            if isinstance(value, dict):
                yield value
        at = answer.find("{", end)

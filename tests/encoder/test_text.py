"""Any encoder of transformers as a text tower: what its folder says is followed, and what is unsafe is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from napari_ctvlp.encoder.text import MAX_TOKENS, TextTower, base_text_folder
from napari_ctvlp.errors import UserError
from tests.training.tiny_text import WIDTH, tiny_tower, write_tiny

TEXTS = ["The liver is normal.", "A stone of 4 mm in the lower pole of the left kidney.", "  "]


def change(path: Path, **entries) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def by_hand(tower: TextTower, text: str) -> torch.Tensor:
    """(tokens, width) last hidden states of one text, with nothing to pad."""
    tokens = tower.tokenizer([text], return_tensors="pt")
    with torch.no_grad():
        return tower.model(**tokens).last_hidden_state[0]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_tokens_are_pooled_as_the_tower_says_and_its_folder_keeps(tmp_path, pooling):
    tower = TextTower.from_folder(write_tiny(tmp_path, pooling=pooling, max_tokens=40))
    assert (tower.pooling, tower.max_tokens, tower.width) == (pooling, 40, WIDTH)
    states = [by_hand(tower, text) for text in TEXTS[:2]]
    wanted = torch.stack([F.normalize(s.mean(0) if pooling == "mean" else s[0], dim=0) for s in states])
    torch.testing.assert_close(tower(TEXTS)[:2], wanted)
    other = TextTower.from_folder(tmp_path, "cls" if pooling == "mean" else "mean", 7)
    assert other.max_tokens == 7 and not torch.allclose(other(TEXTS[:2]), wanted, atol=1e-2)


def test_a_folder_that_says_nothing_is_read_as_ever(tmp_path):
    shipped = TextTower.from_folder(base_text_folder())
    assert (shipped.pooling, shipped.max_tokens) == ("mean", MAX_TOKENS)
    long = "kidney " * 400
    assert torch.equal(shipped([long]), shipped(["kidney " * (MAX_TOKENS - 2)]))  # two tokens are [CLS] and [SEP]


def test_a_text_is_cut_where_the_model_has_no_position_left(tmp_path):
    tower = TextTower.from_folder(write_tiny(tmp_path, max_position_embeddings=20))
    assert tower.max_tokens == 20 and torch.isfinite(tower(["kidney " * 100])).all()


@pytest.mark.parametrize(
    ("said", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "include_prompt": True}, "cls"),
        ({"pooling_mode": "mean", "include_prompt": True}, "mean"),
        ({"pooling_mode_cls_token": False, "pooling_mode_lasttoken": True}, None),
        ({"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, None),
    ],
)
def test_pooling_as_sentence_transformers_writes_it(tmp_path, said, pooling):
    write_tiny(tmp_path)
    (tmp_path / "1_Pooling").rename(tmp_path / "pool")
    (tmp_path / "pool" / "config.json").write_text(json.dumps(said))
    modules = json.loads((tmp_path / "modules.json").read_text())
    modules[1]["path"] = "pool"
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    if pooling:
        assert TextTower.from_folder(tmp_path).pooling == pooling
    else:
        with pytest.raises(UserError, match=r"--text\.pooling"):
            TextTower.from_folder(tmp_path)
        assert TextTower.from_folder(tmp_path, "cls").pooling == "cls"


def test_a_pickle_is_not_opened(tmp_path):
    write_tiny(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin.*convert_text"):
        TextTower.from_folder(tmp_path)


def test_code_of_a_model_is_not_run(tmp_path):
    write_tiny(tmp_path)
    change(tmp_path / "config.json", model_type="novel", auto_map={"AutoModel": "modeling.Novel"})
    (tmp_path / "modeling.py").write_text("raise SystemExit('ran')")
    with pytest.raises(UserError, match="cannot be read"):
        TextTower.from_folder(tmp_path)


def test_cxr_bert_is_read_as_the_bert_that_it_is(tmp_path):
    """Its layout on the hub: a type and a tokenizer with code of their own, weights of a masked language model."""
    wanted = TextTower.from_folder(write_tiny(tmp_path))(TEXTS)
    names = {"model_type": "cxr-bert", "architectures": ["CXRBertModel"], "projection_size": 128}
    change(tmp_path / "config.json", **names, auto_map={"AutoModel": "modeling_cxrbert.CXRBertModel"})
    code = {"AutoTokenizer": ["configuration_cxrbert.CXRBertTokenizer", None]}
    change(tmp_path / "tokenizer_config.json", tokenizer_class="CXRBertTokenizer", auto_map=code)
    weights = load_file(tmp_path / "model.safetensors")
    inner = {f"bert.{k}": v for k, v in weights.items() if not k.startswith("pooler")}
    save_file(inner | {"cls_projection_head.weight": torch.ones(2, 2)}, tmp_path / "model.safetensors")
    tower = TextTower.from_folder(tmp_path)
    assert torch.equal(tower(TEXTS), wanted) and tower.model.pooler is None
    tower.save(tmp_path / "again")
    assert torch.equal(TextTower.from_folder(tmp_path / "again")(TEXTS), wanted)


def test_weights_that_lack_a_layer_are_refused(tmp_path):
    weights = load_file(write_tiny(tmp_path) / "model.safetensors")
    save_file({k: v for k, v in weights.items() if "attention" not in k}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"lack 'encoder\.layer\.0"):
        TextTower.from_folder(tmp_path)


def test_a_tower_has_no_dropout_in_training_either():
    tower = tiny_tower()
    torch.nn.ModuleList([tower]).train()
    assert not any(module.training for module in tower.modules())
    assert torch.equal(tower(TEXTS), tower(TEXTS))

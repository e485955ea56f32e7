"""Two processes give the gradients of one with the whole batch, whatever rows each of them brings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.training.gloo import joined
from training.engine.step import average_gradients
from training.objectives.base import Features, Organs, Views
from training.objectives.contrast import contrast_sums
from training.objectives.gather import gather_rows, gather_step, mean_over_processes
from training.objectives.registry import METHODS

from . import cases

SPLITS = {
    "unequal": ([0, 1], [2, 3, 4]),  # one sentence and one report are on both sides
    "nothing known": ([0, 1, 2, 3], [4]),
    "nothing at all": ([0, 1, 2, 3, 4], []),
    "nothing first": ([], [0, 1, 2, 3, 4]),
}
CHOSEN = ("clip", "siglip", "ctglip", "fvlm", "fvlm-coteach", "t3d", "ours", "finetune")
HARD_OF = [1, 0, 1, 8]


class Step(nn.Module):
    """Networks of one linear layer each around a method, on the scans of this process."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.method = METHODS[name](8, 7)
        models = self.method.needs.models
        self.images = nn.ModuleList(nn.Linear(8, 8) for _ in range(models))
        self.sentences = nn.ModuleList(nn.Linear(8, 8) for _ in range(models))
        self.scale = nn.ParameterList(torch.tensor(4.0 + n) for n in range(models))

    def features(self, image: nn.Module, scans: list[int], used: list[int]) -> Features:
        """What one network sees; scans and sentences are numbered anew, as a process does that knows only its own."""
        organs, views = cases.with_labels(cases.organs()), cases.views()
        mine = torch.tensor([row for row, scan in enumerate(organs.scan.tolist()) if scan in scans], dtype=torch.int64)
        text = [used.index(t) if t >= 0 else -1 for t in organs.text[mine].tolist()]
        local = torch.tensor([scans.index(s) for s in organs.scan[mine].tolist()], dtype=torch.int64)
        vectors = F.normalize(image(organs.vectors[mine]), dim=-1)
        own = Organs(vectors, organs.organ[mine], local, organs.states[mine], torch.tensor(text, dtype=torch.int64))
        if self.method.needs.told:
            assert organs.told is not None and organs.one_of is not None
            own = replace(own, told=organs.told[mine], one_of=organs.one_of[mine])
        seen = [n for n, scan in enumerate(views.scan.tolist()) if scan in scans]
        tokens = tuple(image(views.tokens[n]) for n in seen)
        scan = torch.tensor([scans.index(int(views.scan[n])) for n in seen], dtype=torch.int64)
        return Features(own, Views(F.normalize(image(views.vectors[seen]), dim=-1), scan, tokens))

    def forward(self, scans: list[int]) -> Tensor:
        """Loss of the scans of all processes."""
        used = sorted({text for _, scan, _, text in cases.ROWS if scan in scans and text >= 0}, reverse=True)
        hard = [n for n, of in enumerate(HARD_OF) if of in used]
        features, texts = [], []
        for image, sentence in zip(self.images, self.sentences, strict=True):
            features.append(self.features(image, scans, used))
            given = cases.texts()

            def project(vectors: Tensor, sentence: nn.Module = sentence) -> Tensor:
                return F.normalize(sentence(vectors), dim=-1)

            assert given.organs_id is not None and given.whole is not None and given.whole_id is not None
            texts.append(
                replace(
                    given,
                    names=project(given.names),
                    dictionary=project(given.dictionary),
                    organs=project(given.organs[used]),
                    organs_momentum=given.organs[used],
                    organs_id=given.organs_id[used],
                    whole=project(given.whole[scans]),
                    whole_id=given.whole_id[scans],
                    hard=project(cases.unit(77, 4, 8)[hard]),
                    hard_of=torch.tensor([used.index(HARD_OF[n]) for n in hard], dtype=torch.int64),
                )
            )
        everything = gather_step(tuple(features), tuple(texts), len(scans), tokens=self.method.needs.tokens)
        loss, _ = self.method(*everything, tuple(s + 0.0 for s in self.scale), 1.0)
        return loss


def gradients(name: str, scans: list[int]) -> tuple[Tensor, Tensor]:
    """Loss and the gradient of every parameter of one method."""
    torch.manual_seed(0)
    step = Step(name)
    loss = step(scans)
    loss.backward()
    average_gradients(step)
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in step.parameters()]
    return loss.detach(), torch.cat([g.flatten() for g in found])


def own_rows(scans: list[int]) -> tuple[Tensor, Tensor]:
    """The contrast of which every process scores only its own rows, against all columns."""
    torch.manual_seed(0)
    layer = nn.Linear(8, 8)
    mine = torch.tensor([n for n, (_, scan, _, _) in enumerate(cases.ROWS) if scan in scans], dtype=torch.int64)
    key = mine // 2
    rows = F.normalize(layer(cases.unit(3, 11, 8)[mine]), dim=-1)
    columns = rows + 0.1 * cases.unit(4, 11, 8)[mine]
    total, count = contrast_sums(rows, gather_rows(columns)[0], torch.tensor(4.0), key, gather_rows(key)[0], chunk=2)
    loss = mean_over_processes(total, count)
    loss.backward()
    average_gradients(layer)
    return loss.detach(), torch.cat([p.grad.flatten() for p in layer.parameters() if p.grad is not None])


def everything(split: str | None, rank: int) -> dict[str, tuple[Tensor, Tensor]]:
    """All methods, on one side of a split."""
    scans = [0, 1, 2, 3, 4] if split is None else SPLITS[split][rank]
    return {name: gradients(name, scans) for name in CHOSEN} | {"own rows": own_rows(scans)}


def worker(rank: int, folder: str) -> None:
    """One of two processes."""
    with joined(rank, Path(folder) / "store"):
        rows, sizes = gather_rows(torch.tensor([True, False]).expand(rank, 2))
        assert sizes == [0, 1] and rows.tolist() == [[True, False]]
        assert gather_rows(torch.zeros(0, 3))[0].shape == (0, 3)
        torch.save({split: everything(split, rank) for split in SPLITS}, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, tuple[Tensor, Tensor]]]]:
    """Results of both processes."""
    folder: Path = tmp_path_factory.mktemp("gloo")
    torch.multiprocessing.spawn(worker, args=(str(folder),), nprocs=2)
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.fixture(scope="module")
def one() -> dict[str, tuple[Tensor, Tensor]]:
    """Results of one process with the whole batch."""
    return everything(None, 0)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("name", CHOSEN)
def test_two_processes_give_the_gradient_of_one(one, two, name, split):
    loss, gradient = one[name]
    assert gradient.norm() > 1e-3
    for each in two:
        torch.testing.assert_close(each[split][name][0], loss)
        assert (each[split][name][1] - gradient).norm() <= 1e-5 * gradient.norm()


@pytest.mark.parametrize("split", SPLITS)
def test_own_rows_against_all_columns(one, two, split):
    loss, gradient = one["own rows"]
    torch.testing.assert_close((two[0][split]["own rows"][0] + two[1][split]["own rows"][0]) / 2, loss)
    for each in two:
        assert (each[split]["own rows"][1] - gradient).norm() <= 1e-5 * gradient.norm()


def test_one_process_needs_no_numbers_of_sentences():
    texts = (replace(cases.texts(), organs_id=None),)
    features = (cases.features(),)
    assert gather_step(features, texts, 5) == (features, texts)

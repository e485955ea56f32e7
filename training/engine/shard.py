"""Weights in shares (FSDP2, ``torch.distributed.fsdp.fully_shard``; Zhao et al., "PyTorch FSDP", 2023): of every block
of the vision networks, and of a text tower that is trained, each process holds its part, with the part's gradient,
averages and optimiser state; a block is whole while it computes.

Heads, poolings and what else is small stay whole in every process. Checkpoints are written in one piece and hold what
those of a run without shares hold, so that a run may go on in another number of processes. What needs whole networks,
such as validation and the last stage, is given a copy in one piece (:func:`in_one_piece`).

A block's parts are gathered whenever it computes, so all processes have to compute it equally often: those with less to
do compute something small and leave it out (``processes.most``).
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_ctvlp.encoder.cnn import ResidualBlock
from napari_ctvlp.encoder.text import TextTower
from napari_ctvlp.encoder.vision import VisionTower
from napari_ctvlp.encoder.vit import Block
from napari_ctvlp.errors import UserError
from training.objectives.gather import gather_rows

from .processes import is_share, own_part, rank
from .text import StepBank, layers_of

if TYPE_CHECKING:
    from .loop import Run


@dataclass(frozen=True, eq=False)
class Shards:
    """What a run in shares was before.

    Attributes
    ----------
    groups : list of list of str
        Names of the parameters of each group of the optimiser.
    own : dict of str to parameter
        What the optimiser steps: of a parameter in shares this process's part, in the same memory.
    bare : dict of str to module
        The run's modules, with parameters that have a shape and no values.
    """

    groups: list[list[str]]
    own: dict[str, nn.Parameter]
    bare: dict[str, nn.Module]


def _shard_each(parts: Iterable[nn.Module], mesh: Any) -> None:
    from torch.distributed.fsdp import fully_shard

    for part in parts:
        for parameter in part.parameters():
            parameter.data = parameter.data.contiguous()  # shares are made of nothing else
        fully_shard(part, mesh=mesh, reshard_after_forward=True)


def _shard_tower(tower: VisionTower, mesh: Any) -> None:
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    _shard_each((m for m in tower.modules() if isinstance(m, ResidualBlock | Block)), mesh)
    # of the tower there is nothing in shares beside its blocks; it tells them of each other, so that the next one's
    # parts come while one computes
    fully_shard(tower, mesh=mesh, ignored_params={p for p in tower.parameters() if not is_share(p)})
    register_fsdp_forward_method(tower, "features")


def _shard_text(tower: TextTower, mesh: Any) -> None:
    try:
        layers = [*layers_of(tower)]
    except UserError:  # all of it at once
        layers = []
    _shard_each([*layers, tower.model], mesh)


def _modules(run: Run) -> dict[str, nn.Module]:
    """What a checkpoint holds of a run, by the names that it has there."""
    found: dict[str, nn.Module] = {"model": run.learner, "average": run.average, "heads": run.heads}
    return found if run.average_text is None else found | {"average_text": run.average_text}


def _bare(module: nn.Module) -> nn.Module:
    """A copy with buffers, and parameters without values."""
    shapes = {id(p): nn.Parameter(torch.empty_like(p, device="meta"), p.requires_grad) for p in module.parameters()}
    return copy.deepcopy(module, dict(shapes))


def shard(run: Run) -> None:
    """Keep of the networks of a run that has all of its weights, and no step yet, this process's part."""
    from torch.distributed.device_mesh import init_device_mesh

    # a ViT's blocks give views, and nothing here changes them in place
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    name_of = {id(p): name for name, p in run.learner.named_parameters()}
    groups = run.optimizer.param_groups
    names = [[name_of[id(p)] for p in group["params"]] for group in groups]
    bare = {name: _bare(module) for name, module in _modules(run).items()}
    mesh = init_device_mesh(run.learner.device.type, (dist.get_world_size(),))
    for model in (*run.learner.models, run.average):
        _shard_tower(model.vision, mesh)
    for tower in (run.learner.text, run.average_text):
        if tower is not None:
            _shard_text(tower, mesh)
    # the optimiser steps a process's parts as tensors of their own, all of one kind
    own = {
        name: nn.Parameter(p.to_local().detach()) if is_share(p) else p for name, p in run.learner.named_parameters()
    }
    parts = [{**group, "params": [own[n] for n in order]} for group, order in zip(groups, names, strict=True)]
    run.optimizer = torch.optim.AdamW(parts, lr=run.config.optim.learning_rate)
    run.shards = Shards(names, own, bare)


def step(run: Run) -> None:
    """Step the optimiser of a run."""
    for name, parameter in run.learner.named_parameters() if run.shards is not None else ():
        if run.shards is not None and is_share(parameter):
            run.shards.own[name].grad = None if parameter.grad is None else own_part(parameter.grad)
    run.optimizer.step()


def in_one(part: Tensor) -> Tensor | None:
    """A tensor from the parts of all processes, in the first and on the CPU; all processes have to ask for it."""
    # not by full_tensor, whose caches keep the group of processes alive; parts are cut along the first axis
    full = gather_rows(part.detach())[0]
    return full.cpu() if rank() == 0 else None


def full_state(module: nn.Module) -> dict[str, Any]:
    """A module's state in one piece, in the first process; all processes have to ask for it."""
    state = module.state_dict()
    return {k: in_one(own_part(v)) if isinstance(v, Tensor) and is_share(v) else v for k, v in state.items()}


def states(run: Run) -> dict[str, Any]:
    """State of the modules and of the optimiser of a run, as one without shares has it, in the first process."""
    found: dict[str, Any] = {name: full_state(module) for name, module in _modules(run).items()}
    optimizer = run.optimizer.state_dict()
    if run.shards is not None:
        now = dict(run.learner.named_parameters())
        for number, name in enumerate(chain(*run.shards.groups)):
            if number in optimizer["state"] and is_share(now[name]):
                values = optimizer["state"][number]
                optimizer["state"][number] = {k: in_one(v) if v.ndim else v for k, v in values.items()}
    return found | {"optimizer": optimizer}


def load_optimizer(run: Run, state: dict[str, Any]) -> None:
    """Give the optimiser what :func:`states` took from one, whether of shares or not."""
    if run.shards is not None:
        now = dict(run.learner.named_parameters())
        for number, name in enumerate(chain(*run.shards.groups)):
            if number in state["state"] and is_share(now[name]):
                values = state["state"][number]
                state["state"][number] = {k: _part_of(v) if v.ndim else v for k, v in values.items()}
    run.optimizer.load_state_dict(state)


def _part_of(whole: Tensor) -> Tensor:
    """What this process holds of a tensor, as ``fully_shard`` cuts it."""
    size = -(-len(whole) // dist.get_world_size())
    return whole[rank() * size : (rank() + 1) * size].clone()


def in_one_piece(run: Run) -> Run:
    """The run with whole networks, in the first process; all processes have to ask for it.

    The networks are a copy as the run is now, which cannot be trained further.
    """
    if run.shards is None:
        return run
    found = {name: full_state(module) for name, module in _modules(run).items()}
    if rank() > 0:
        return run
    made: dict[str, Any] = {}
    for name, bare in run.shards.bare.items():
        made[name] = copy.deepcopy(bare)
        made[name].load_state_dict(found[name], assign=True)
        made[name].to(run.learner.device)
    bank, told = run.vocabulary.bank, run.vocabulary
    if isinstance(bank, StepBank):
        told = replace(told, bank=StepBank(made["model"].text, bank.micro, bank.half))
    return replace(
        run,
        vocabulary=told,
        learner=made["model"],
        average=made["average"],
        heads=made["heads"],
        average_text=made.get("average_text"),
        shards=None,
    )


@torch.no_grad()
def clip_gradients(module: nn.Module, longest: float) -> Tensor:
    """Scale the gradient to a length of at most ``longest``; returns the length that it had.

    ``torch.nn.utils.clip_grad_norm_``, and the same for gradients of which some are in shares.
    """
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    if not any(map(is_share, gradients)):
        return nn.utils.clip_grad_norm_(module.parameters(), longest)
    squares = torch.stack([part.square().sum() for part in _parts(gradients, True)]).sum()
    dist.all_reduce(squares)
    length = (squares + sum(part.square().sum() for part in _parts(gradients, False))).sqrt()
    factor = (longest / (length + 1e-6)).clamp(max=1)
    for gradient in gradients:
        own_part(gradient).mul_(factor)
    return length


def _parts(gradients: Iterable[Tensor], shares: bool) -> Iterator[Tensor]:
    return (own_part(g) for g in gradients if is_share(g) == shares)

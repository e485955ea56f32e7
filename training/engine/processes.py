"""Several processes under ``torchrun``: one a GPU with NCCL, or any number on a CPU with gloo."""

from __future__ import annotations

import gc
import importlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from napari_ctvlp.errors import UserError

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor

T = TypeVar("T")
LONGEST = timedelta(hours=6)
"""How long processes wait for the first, which alone makes scans, validates and writes."""


def rank() -> int:
    """Number of this process."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def run_device(wanted: str | None) -> str:
    """The device of this process: what is asked for, else a GPU of its own where there is one.

    Raises
    ------
    UserError
        For a GPU that PyTorch does not see, or no device at all.
    """
    try:
        kind = "cpu" if wanted is None else torch.device(wanted).type
    except RuntimeError as error:
        raise UserError(f"There is no device '{wanted}': give --device cpu or cuda, or leave it out.") from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise UserError(f"PyTorch sees no GPU for --device {wanted}: leave it out, or give --device cpu.")
    if wanted is not None and wanted != "cuda":
        return wanted
    if wanted is None and not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{os.environ['LOCAL_RANK']}" if "LOCAL_RANK" in os.environ else "cuda"


@contextmanager
def process_group(device: str) -> Iterator[None]:
    """Join the processes that ``torchrun`` started; nothing where there is one only, or where they are joined."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or dist.is_initialized():
        yield
        return
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    join("nccl" if device.startswith("cuda") else "gloo", timeout=LONGEST)
    try:
        yield
    except BaseException:
        dist.destroy_process_group()  # who failed waits for nobody: the others see the connection end
        raise
    leave()


def join(backend: str, **how: Any) -> None:
    """Join the processes of a run, by ``torch.distributed.init_process_group``."""
    # functions of these modules keep the group that is there when they are imported as the default of an argument, and
    # checkpointing imports the first: gloo's threads would outlive the group, touch Python while it ends, and abort it
    for name in ("nn", "fsdp", "optim"):
        importlib.import_module(f"torch.distributed.{name}")
    dist.init_process_group(backend, **how)


def leave() -> None:
    """Part from the other processes once all of them are here, so that none closes what another still reads."""
    from torch.distributed.tensor.debug import _clear_sharding_prop_cache

    dist.barrier()
    dist.destroy_process_group()
    _clear_sharding_prop_cache()  # it keeps the group alive where tensors were in shares
    gc.collect()


def wait() -> None:
    """Until all processes are here."""
    if dist.is_available() and dist.is_initialized():
        dist.barrier()


def in_turns(count: int, make: Callable[[range], list[T]]) -> list[T]:
    """What ``make`` gives for 0 .. count - 1, in the first process: each makes every n-th of them."""
    if not (dist.is_available() and dist.is_initialized()):
        return make(range(count))
    mine = make(range(rank(), count, dist.get_world_size()))
    parts: list[Any] | None = [None] * dist.get_world_size() if rank() == 0 else None
    dist.gather_object(mine, parts)
    if parts is None:
        return []
    whole: list[Any] = [None] * count
    for turn, part in enumerate(parts):
        whole[turn :: len(parts)] = part
    return whole


def anyone(flag: bool, device: torch.device) -> bool:
    """Whether it is true in any process."""
    if not (dist.is_available() and dist.is_initialized()):
        return flag
    value = torch.tensor(float(flag), device=device)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return bool(value)


def is_share(tensor: Tensor) -> TypeGuard[DTensor]:
    """Whether a process holds only its part of a tensor (a ``DTensor``)."""
    return hasattr(tensor, "full_tensor")


def own_part(tensor: Tensor) -> Tensor:
    """This process's part of a tensor; a tensor in one piece as it is."""
    return tensor.to_local() if is_share(tensor) else tensor


def most(count: int, modules: Iterable[nn.Module]) -> int:
    """The largest ``count`` of any process, where modules are in shares; else this process's own."""
    if not any(is_share(p) for module in modules for p in module.parameters()):
        return count
    value = torch.tensor(count, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return int(value)


@torch.no_grad()
def share_state(module: nn.Module) -> None:
    """Give all processes the parameters and buffers of the first."""
    if dist.is_available() and dist.is_initialized():
        for tensor in (*module.parameters(), *module.buffers()):
            dist.broadcast(tensor, 0)

"""Training with the model's parameters spread over the processes (FSDP2).

Every process keeps a share of each parameter, of its gradient and of its optimizer's
state, and gathers a block's parameters while it computes with them. It is for models
that do not fit with all of that on one device: none of the four of MARLIN is so large.

The critic stays whole in every process: it is small, and its gradient penalty
differentiates twice, which sharded parameters do not allow.

Checkpoints hold whole tensors. They are those of any other training, and a run may go
on with or without sharding, on any number of devices.

- [0]: https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytorch_lightning.strategies import ModelParallelStrategy, ParallelStrategy
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.optim import Optimizer

from lightly_marlin.models import Marlin
from lightly_marlin.training.gradient_average import copy_to_all_processes

__all__ = ["ShardedStrategy", "is_sharded", "shard_model"]


def is_sharded(model: Marlin) -> bool:
    """Returns whether a model's parameters are spread over processes."""
    return isinstance(next(model.parameters()), DTensor)


def shard_model(model: Marlin, mesh: DeviceMesh) -> None:
    """Spreads a model's parameters over processes, in place.

    Args:
        model: The model; its first values are those of process 0.
        mesh: The processes, one dimension.
    """
    copy_to_all_processes(model)
    # Objectives call the model's parts, not the model: each gathers its own parameters.
    parts = (model.decoder.head, model.enc_dec_proj, model.encoder, model.decoder)
    for part in (*model.encoder.blocks, *model.decoder.blocks, *parts):
        fully_shard(part, mesh=mesh, reshard_after_forward=True)
    register_fsdp_forward_method(model.encoder, "encode")
    register_fsdp_forward_method(model.decoder, "forward_tokens")


class ShardedStrategy(ModelParallelStrategy):
    """Lightning's strategy for FSDP2, with checkpoints of whole tensors in one file.

    Lightning's own checkpoint is a folder, and its file of whole tensors numbers the
    parameters of all optimizers together, unlike any other training.

    Args:
        world_size: Number of processes, of all nodes.
    """

    def __init__(self, world_size: int) -> None:
        super().__init__(data_parallel_size=world_size, tensor_parallel_size=1)

    @property
    def lightning_restore_optimizer(self) -> bool:
        """Whether `load_optimizer_state_dict` is wanted."""
        return True

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Returns the module's state, whole tensors on the CPU; empty but in process 0.

        All processes have to call it.
        """
        assert self.model is not None
        return self._whole(self.model.state_dict())

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """Returns an optimizer's state likewise.

        Args:
            optimizer: The optimizer, perhaps Lightning's wrapper of it.
        """
        optimizer = getattr(optimizer, "_optimizer", optimizer)
        state = optimizer.state_dict()
        whole = {key: self._whole(part) for key, part in state["state"].items()}
        return {"state": whole, "param_groups": state["param_groups"]}

    def save_checkpoint(
        self, checkpoint: dict[str, Any], filepath: Any, storage_options: Any = None
    ) -> None:
        """Has process 0 write the checkpoint."""
        ParallelStrategy.save_checkpoint(self, checkpoint, filepath, storage_options)

    def load_checkpoint(
        self, checkpoint_path: Any, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads a checkpoint of any strategy; every process does."""
        return ParallelStrategy.load_checkpoint(self, checkpoint_path, weights_only)

    def load_model_state_dict(
        self, checkpoint: Mapping[str, Any], strict: bool = True
    ) -> None:
        """Gives every process its share of the module's state."""
        assert self.model is not None
        own = self.model.state_dict()
        state = {
            name: _shared_out(value, own[name]) if name in own else value
            for name, value in checkpoint["state_dict"].items()
        }
        self.model.load_state_dict(state, strict=strict)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Gives every process its share of the optimizers' states."""
        for optimizer, state in zip(
            self.optimizers, checkpoint["optimizer_states"], strict=True
        ):
            groups = optimizer.param_groups
            parameters = [p for group in groups for p in group["params"]]
            shared = {
                key: {name: _shared_out(x, parameters[key]) for name, x in part.items()}
                for key, part in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": shared})

    def _whole(self, state: Mapping[str, Any]) -> dict[str, Any]:
        whole = {}
        for name, value in state.items():
            if isinstance(value, DTensor):
                value = value.full_tensor()
            if self.global_rank == 0:
                whole[name] = value.cpu() if isinstance(value, Tensor) else value
        return whole


def _shared_out(value: Any, like: Tensor) -> Any:
    """Returns a whole tensor as this process's share, if a parameter is shared out."""
    shared = isinstance(like, DTensor) and isinstance(value, Tensor)
    if not shared or value.shape != like.shape:
        return value
    assert isinstance(like, DTensor)
    return distribute_tensor(
        value.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )

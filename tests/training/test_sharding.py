"""Shares of a model in one of four processes that only pretend to be there."""

import pytest
import torch
from small_marlin import SMALL
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor
from torch.testing._internal.distributed.fake_pg import FakeStore

from lightly_marlin.models import Marlin
from lightly_marlin.training.sharding import _shared_out, is_sharded, shard_model


@pytest.fixture
def mesh():
    distributed.init_process_group("fake", rank=1, world_size=4, store=FakeStore())
    yield init_device_mesh("cpu", (4,))
    distributed.destroy_process_group()


def test_shard_model__a_quarter_of_everything(mesh):
    model, whole = Marlin(SMALL), Marlin(SMALL)
    assert not is_sharded(model)
    shard_model(model, mesh)
    assert is_sharded(model)
    assert model.state_dict().keys() == whole.state_dict().keys()
    # Tokens and positions have one row, which is the first process's.
    rows = [parameter for parameter in model.parameters() if len(parameter) > 1]
    shares = sum(parameter.to_local().numel() for parameter in rows)
    assert shares == sum(parameter.numel() for parameter in rows) / 4
    assert len(rows) > 20
    blocks = [*model.encoder.blocks, *model.decoder.blocks]
    assert all(isinstance(block, FSDPModule) for block in blocks)


def test_shared_out__rows_of_a_process(mesh):
    model = Marlin(SMALL)
    shard_model(model, mesh)
    like = model.enc_dec_proj.weight
    whole = torch.arange(12 * 24.0).view(12, 24)
    shared = _shared_out(whole, like)
    assert isinstance(shared, DTensor)
    assert torch.equal(shared.to_local(), whole[3:6])
    # Adam's number of steps, and what is whole everywhere, stay as they are.
    step = torch.tensor(3.0)
    assert _shared_out(step, like) is step
    assert _shared_out(whole, whole) is whole

import dataclasses

import pytest
import torch

from lightly_marlin.models import MarlinEncoder
from lightly_marlin.models.executorch_program import (
    executorch_program,
    read_executorch,
)
from lightly_marlin.models.exportable import exportable


@pytest.fixture(scope="module")
def plain(toy):
    torch.manual_seed(0)
    # Lowering takes seconds a block.
    encoder = MarlinEncoder(dataclasses.replace(toy, encoder_depth=1))
    for parameter in encoder.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn(parameter.shape)
    return exportable(encoder)


@pytest.fixture
def clips(toy):
    generator = torch.Generator().manual_seed(1)
    size = (4, 3, toy.num_frames, toy.img_size, toy.img_size)
    return torch.randint(0, 256, size, generator=generator, dtype=torch.uint8)


def test_the_program_is_of_core_operations_only(plain, clips):
    # All that a runtime has to know to be one of ExecuTorch, which need not be here.
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(
        plain, (clips,), dynamic_shapes=({0: batch},)
    ).run_decompositions()
    targets = {n.target for n in program.graph.nodes if n.op == "call_function"}
    operations = {t for t in targets if isinstance(t, torch._ops.OpOverload)}
    others = {str(op) for op in operations if torch.Tag.core not in op.tags}
    # Checks dtypes while tracing; lowering removes it.
    assert others <= {"aten._assert_tensor_metadata.default"}
    assert "aten.addmm.default" in {str(op) for op in operations}
    (videos,) = program.graph_signature.user_inputs
    (node,) = [n for n in program.graph.nodes if n.name == videos]
    assert node.meta["val"].dtype == torch.uint8
    assert isinstance(node.meta["val"].shape[0], torch.SymInt)


@torch.no_grad()
def test_the_runtime_gives_the_features(plain, clips, tmp_path):
    # Not there, or built for another release of PyTorch.
    pytest.importorskip("executorch.runtime", exc_type=ImportError)
    expected = plain(clips)
    (tmp_path / "encoder.pte").write_bytes(executorch_program(plain, clips[:3]))
    encode = read_executorch(tmp_path / "encoder.pte")
    first = encode(clips[:1])
    for count in (1, 2, 3):
        features = encode(clips[1 : 1 + count])
        torch.testing.assert_close(features, expected[1 : 1 + count])
    # Results of earlier calls are not overwritten, the encoder is not changed.
    torch.testing.assert_close(first, expected[:1])
    assert all(block.attn.fused_attn for block in plain.blocks)
    with pytest.raises(RuntimeError):
        encode(clips)


def test_one_clip_is_no_example(plain, clips):
    with pytest.raises(
        ValueError, match=r"number of clips \(1\). It must be 2 or more"
    ):
        executorch_program(plain, clips[:1])


def test_without_executorch_it_is_said_how_to_get_it(plain, clips, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "executorch.exir", None)
    with pytest.raises(ModuleNotFoundError, match=r"lightly-marlin\[executorch\]"):
        executorch_program(plain, clips)

import torch
from torch import nn

from lightly_marlin.loss import InstanceDiscriminationLoss
from lightly_marlin.models import EmaTeacher, InstanceHead


def test_equals_its_layers():
    torch.manual_seed(0)
    head = InstanceHead(6, hidden_dim=10, output_dim=4)
    first, norm, _, last = head.layers
    x = torch.randn(3, 6)
    hidden = x @ first.weight.T + first.bias
    spread = (hidden.var(dim=1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    hidden = (hidden - hidden.mean(dim=1, keepdim=True)) / spread
    hidden = (hidden * norm.weight + norm.bias).clamp(min=0)
    torch.testing.assert_close(head(x), hidden @ last.weight.T + last.bias)


def test_sizes_of_fsfm_and_both_biases():
    layers = InstanceHead(768).layers
    assert [type(layer) for layer in layers] == [
        nn.Linear,
        nn.LayerNorm,
        nn.ReLU,
        nn.Linear,
    ]
    assert (layers[0].weight.shape, layers[3].weight.shape) == (
        (4096, 768),
        (256, 4096),
    )
    assert (layers[0].bias == 0).all()
    assert (layers[3].bias == 0).all()
    # Kaiming-normal by fan out: variance 2 / rows.
    torch.testing.assert_close(
        layers[0].weight.var().item(), 2 / 4096, rtol=0.02, atol=0
    )


def test_a_single_clip_is_enough():
    """Batch norm would raise."""
    assert InstanceHead(6, 10, 4).train()(torch.randn(1, 6)).isfinite().all()


def test_gradients_of_a_step():
    """Encoder, projector and predictor learn; both teachers get nothing."""
    torch.manual_seed(0)
    encoder, projector = nn.Linear(5, 6), InstanceHead(6, 10, 4)
    predictor = InstanceHead(4, 10, 4)
    teacher, target_projector = EmaTeacher(encoder), EmaTeacher(projector)
    clips = torch.randn(3, 5)
    online = predictor(projector(encoder(clips + 0.1)))
    target = target_projector(teacher(clips))
    InstanceDiscriminationLoss()(online, target).backward()
    for module in (encoder, projector, predictor):
        assert all(p.grad is not None for p in module.parameters())
        assert any((p.grad != 0).any() for p in module.parameters())
    for module in (teacher, target_projector):
        assert all(p.grad is None for p in module.parameters())

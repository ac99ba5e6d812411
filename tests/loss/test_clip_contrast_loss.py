import doctest
import math

import pytest
import torch
from lightly.loss import NTXentLoss

from lightly_marlin.loss import ClipContrastLoss, clip_contrast_loss


def naive(first, second, temperature):
    """Cross-entropy of each of 2 B vectors over the 2 B - 1 others, in two loops."""
    vectors = [v / v.norm() for v in torch.cat([first, second])]
    count, total = len(vectors), 0.0
    for i in range(count):
        positive = (i + count // 2) % count
        scores = {
            j: math.exp((vectors[i] @ vectors[j]).item() / temperature)
            for j in range(count)
            if j != i
        }
        total -= math.log(scores[positive] / sum(scores.values()))
    return total / count


def test_example_runs():
    failures, tried = doctest.testmod(
        clip_contrast_loss, extraglobs={"torch": torch}, report=True
    )
    assert tried == 3
    assert failures == 0


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_equals_the_equation(temperature):
    torch.manual_seed(0)
    first, second = torch.randn(2, 4, 6, dtype=torch.float64)
    value = ClipContrastLoss(temperature)(first, second)
    assert value.item() == pytest.approx(naive(first, second, temperature), rel=1e-9)


def test_known_values():
    """Chance for equal vectors; nearly 0 for orthogonal tracks with equal clips."""
    same = torch.ones(5, 8)
    torch.testing.assert_close(
        ClipContrastLoss()(same, same), torch.tensor(math.log(9))
    )
    assert ClipContrastLoss(0.02)(torch.eye(5), torch.eye(5)) < 1e-6


def test_autocast_and_low_precision():
    """Lightly's own loss differs under autocast; this one does not."""
    torch.manual_seed(0)
    first, second = torch.randn(2, 16, 64)
    plain = ClipContrastLoss(0.1)(first, second)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = ClipContrastLoss(0.1)(first, second)
        rounded = NTXentLoss(0.1)(first, second)
    assert value.dtype == torch.float32
    assert torch.equal(value, plain)
    assert rounded != plain


def test_both_clips_get_a_gradient():
    first, second = (torch.randn(3, 6, requires_grad=True) for _ in range(2))
    ClipContrastLoss()(first, second).backward()
    assert (first.grad.abs().sum(dim=1) > 0).all()
    assert (second.grad.abs().sum(dim=1) > 0).all()


def test_errors():
    with pytest.raises(ValueError, match="batch of 1 pairs: at least 2 are needed"):
        ClipContrastLoss()(torch.ones(1, 4), torch.ones(1, 4))
    with pytest.raises(ValueError, match="batch of 1 pairs"):
        # One process: there is nothing to gather from.
        ClipContrastLoss(gather_distributed=True)(torch.ones(1, 4), torch.ones(1, 4))
    with pytest.raises(ValueError, match=r"same shape \(B, E\), got \(3, 4\)"):
        ClipContrastLoss()(torch.ones(3, 4), torch.ones(2, 4))
    for temperature in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=r"Invalid temperature .* positive"):
            ClipContrastLoss(temperature)


def _rank(rank, address, first, second, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{address}", rank=rank, world_size=2
    )
    mine = slice(2 * rank, 2 * rank + 2)
    first, second = (
        torch.tensor(both[mine], requires_grad=True) for both in (first, second)
    )
    loss = ClipContrastLoss(0.2, gather_distributed=True)(first, second)
    loss.backward()
    # As plain numbers: shared memory of a process ends with it.
    results[rank] = [x.tolist() for x in (loss.detach(), first.grad, second.grad)]
    torch.distributed.destroy_process_group()


def test_two_processes_equal_one_with_the_joint_batch(tmp_path):
    """The gradient of the mean over processes, as DDP averages it."""
    torch.manual_seed(0)
    first, second = torch.randn(2, 4, 6)
    results = torch.multiprocessing.Manager().dict()
    arguments = (str(tmp_path / "meeting"), first.tolist(), second.tolist(), results)
    # Not forked: autograd refuses to work where threads of it were before.
    torch.multiprocessing.start_processes(
        _rank, arguments, nprocs=2, start_method="spawn"
    )
    first, second = first.requires_grad_(), second.requires_grad_()
    joint = ClipContrastLoss(0.2)(first, second)
    joint.backward()
    losses, grads, other_grads = (
        torch.tensor(both) for both in zip(results[0], results[1], strict=True)
    )
    torch.testing.assert_close(losses.mean(), joint.detach())
    torch.testing.assert_close(grads.flatten(0, 1) / 2, first.grad)
    torch.testing.assert_close(other_grads.flatten(0, 1) / 2, second.grad)

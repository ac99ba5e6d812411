import pytest
import torch

from lightly_marlin.evaluation.tuning.feature_norm import FeatureNorm


def features(count=6, seed=0):
    """Much alike: a large mean, and a spread of a hundredth of it."""
    generator = torch.Generator().manual_seed(seed)
    return 0.5 + 0.005 * torch.randn(count, 3, generator=generator)


def standard(x, of):
    return (x - of.mean(dim=0)) / (of.var(dim=0, correction=0) + 1e-6).sqrt()


def test_feature_norm__over_the_batch_in_training():
    norm, x = FeatureNorm(3), features()
    torch.testing.assert_close(norm(x), standard(x, x), rtol=1e-4, atol=1e-4)


def test_feature_norm__no_shift_of_the_whole_batch_is_seen():
    norm, x = FeatureNorm(3), features()
    torch.testing.assert_close(norm(x + 0.2), norm(x), rtol=1e-3, atol=1e-3)


def test_feature_norm__first_batches_count_alike():
    """One batch is enough: the initial variance of 1 would hide all differences."""
    norm, batches = FeatureNorm(3), [features(seed=seed) for seed in range(3)]
    for batch in batches:
        norm(batch)
    means = torch.stack([batch.mean(dim=0) for batch in batches])
    torch.testing.assert_close(norm.running_mean, means.mean(dim=0))
    variances = torch.stack([batch.var(dim=0) for batch in batches])
    torch.testing.assert_close(norm.running_var, variances.mean(dim=0))


def test_feature_norm__measured():
    norm, x = FeatureNorm(3), features(50)
    norm.measure(x)
    of_one = norm.eval()(x[:1])
    torch.testing.assert_close(of_one, norm(x)[:1])
    torch.testing.assert_close(norm(x).mean(dim=0), torch.zeros(3), rtol=0, atol=1e-4)
    assert (norm(x).std(dim=0) - 1).abs().max() < 0.05
    before = norm.running_mean.clone()
    norm.measure(x[:1])
    assert torch.equal(norm.running_mean, before)


def test_feature_norm__half_precision():
    norm, x = FeatureNorm(3), features()
    norm.measure(x)
    half = norm.eval().bfloat16()(x.bfloat16())
    assert half.dtype == torch.bfloat16


@pytest.mark.parametrize("count", [0, 1])
def test_feature_norm__too_few_in_training(count):
    with pytest.raises(ValueError, match=f"Invalid batch of {count} in training"):
        FeatureNorm(3)(features(count))

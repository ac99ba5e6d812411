"""Lip-sync error of sets: means, median, short videos, and torchmetrics' habits."""

import copy
import math
import pickle

import pytest

from lightly_marlin.lip_sync import LipSyncError, sync_score, video_sync_distances


@pytest.fixture
def measured(grey_net, talking_video):
    """Returns the metric of videos whose sound is delayed by some frames."""

    def measure(*delays, **options):
        metric = LipSyncError(grey_net, **options)
        for seed, delay in enumerate(delays):
            metric.update(*talking_video(30, delay, seed=seed), 25.0)
        return metric

    return measure


def values(metric):
    return {name: value.item() for name, value in metric.compute().items()}


def test_scores__are_means_over_videos(measured, grey_net, talking_video):
    scores = [
        sync_score(
            video_sync_distances(grey_net, *talking_video(30, delay, seed=seed), 25)
        )
        for seed, delay in enumerate([0, 3, -4])
    ]
    found = values(measured(0, 3, -4))
    assert found["lse_d"] == pytest.approx(sum(s.lse_d for s in scores) / 3)
    assert found["lse_c"] == pytest.approx(sum(s.lse_c for s in scores) / 3)
    assert (found["videos"], found["too_short"]) == (3, 0)


@pytest.mark.parametrize(
    ("delays", "offset"),
    [([5], -5), ([0, 0, 9], 0), ([-10, 2, 1], -1), ([0, -4], 0), ([3, 1, -2, -8], -1)],
)
def test_offset__is_the_median_and_of_two_the_lower(measured, delays, offset):
    assert values(measured(*delays))["offset"] == offset


def test_short_videos__are_counted_and_left_out(measured, talking_video):
    metric = measured(2)
    alone = values(metric)
    frames, samples = talking_video(30)
    metric.update(frames[:5], samples, 25.0)
    metric.update(frames, samples[:100], 25.0)
    assert values(metric) == alone | {"too_short": 2}


def test_compute__without_a_video(grey_net, talking_video):
    metric = LipSyncError(grey_net)
    metric.update(talking_video(2)[0], talking_video(2)[1], 25.0)
    found = values(metric)
    assert all(math.isnan(found[name]) for name in ("lse_d", "lse_c", "offset"))
    assert (found["videos"], found["too_short"]) == (0, 1)


def test_reset__forgets_everything(measured, talking_video):
    metric = measured(2, 5)
    metric.reset()
    metric.update(*talking_video(30, -3, seed=0), 25.0)
    assert values(metric) == values(measured(-3))


def test_processes__are_summed_up(measured):
    """Two processes with the same videos have their means, and twice their number."""
    alone = values(measured(0, 3, 3))
    together = measured(
        0,
        3,
        3,
        distributed_available_fn=lambda: True,
        dist_sync_fn=lambda state, group: [state, state],
    )
    assert values(together) == pytest.approx(alone | {"videos": 6})


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies__go_on_by_themselves(measured, talking_video, copied):
    metric = measured(1)
    other = copied(metric)
    other.update(*talking_video(30, 4, seed=1), 25.0)
    assert values(metric) == values(measured(1))
    assert values(other) == values(measured(1, 4))


def test_forward__gives_the_scores_of_a_video(measured, talking_video):
    metric = measured(1)
    now = metric(*talking_video(30, 4, seed=1), 25.0)
    assert now["offset"] == -4
    assert values(metric) == values(measured(1, 4))


def test_syncnet__is_a_part_of_the_metric(syncnet):
    metric = LipSyncError(copy.deepcopy(syncnet)).to("meta")
    assert metric.lse_d_sum.device.type == "meta"
    assert next(metric.syncnet.parameters()).device.type == "meta"
    assert not metric.train().syncnet.training


def test_update__measures_with_syncnet(talking_video, syncnet):
    frames, samples = talking_video(7)
    metric = LipSyncError(syncnet, batch_size=1)
    metric.update(frames, samples, 25.0)
    expected = sync_score(video_sync_distances(syncnet, frames, samples, 25.0))
    assert values(metric)["lse_d"] == pytest.approx(expected.lse_d, rel=1e-5)
    assert values(metric)["offset"] == expected.offset

"""Clips spread over tracks: which tracks, which frames, and what is too short."""

import numpy as np
import pytest
import torch

from lightly_marlin.evaluation.track_clips import TrackClips
from lightly_marlin.utils.errors import UsageError

# Every track of `colored_store` has 40 frames.


def frames_of(clip, track):
    """The frames of a track that a clip shows."""
    video = track.read_video(range(track.num_frames))
    return [
        next(n for n in range(40) if np.array_equal(video[:, n], clip[:, t]))
        for t in range(clip.shape[1])
    ]


def test_track_clips__first_to_last_frame(colored_store):
    clips = TrackClips(colored_store, num_clips=3, num_frames=4, stride=3)
    assert len(clips) == 12
    assert clips.track_ids == colored_store.column("track_id")
    found = clips[5]
    assert found.shape == (3, 3, 4, 224, 224)
    assert found.dtype == torch.uint8
    track = colored_store[5]
    assert [frames_of(clip, track) for clip in found.numpy()] == [
        [0, 3, 6, 9],
        [15, 18, 21, 24],
        [30, 33, 36, 39],
    ]
    assert torch.equal(found, clips[5])


@pytest.mark.parametrize(
    ("num_clips", "num_frames", "starts", "step"),
    [
        (2, 16, [0, 9], 2),
        # Three clips of 20 frames at stride 2 would begin at the frames 0, 0 and 1.
        (3, 20, [0, 10, 20], 1),
        (2, 39, [0, 1], 1),
    ],
)
def test_track_clips__short_tracks_have_clips_that_differ(
    colored_store, num_clips, num_frames, starts, step
):
    clips = TrackClips(colored_store, num_clips=num_clips, num_frames=num_frames)
    shown = [frames_of(clip, colored_store[0]) for clip in clips[0].numpy()]
    assert shown == [[s + step * n for n in range(num_frames)] for s in starts]


def test_track_clips__tracks_are_spread_over_the_store(colored_store):
    names = colored_store.column("track_id")
    assert TrackClips(colored_store, max_tracks=4).track_ids == names[::3]
    assert TrackClips(colored_store, max_tracks=99).track_ids == names
    some = TrackClips(colored_store, tracks=[names[7], names[2]])
    assert some.track_ids == [names[2], names[7]]


def test_track_clips__mistakes(colored_store):
    names = colored_store.column("track_id")
    with pytest.raises(UsageError, match="0 tracks of at least 41 frames among 12"):
        TrackClips(colored_store, num_frames=40)
    with pytest.raises(UsageError, match="1 tracks of at least 17 frames among 1"):
        TrackClips(colored_store, tracks=names[:1])
    with pytest.raises(ValueError, match="Invalid tracks: nobody not in"):
        TrackClips(colored_store, tracks=["nobody"])
    with pytest.raises(ValueError, match=r"num_clips \(1\)"):
        TrackClips(colored_store, num_clips=1)
    with pytest.raises(ValueError, match=r"max_tracks \(1\)"):
        TrackClips(colored_store, max_tracks=1)
    with pytest.raises(ValueError, match="Invalid stride 0"):
        TrackClips(colored_store, stride=0)

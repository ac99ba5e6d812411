"""Sound from a video through the store to a clip: every click at its frame."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from lightly_marlin.data import FaceClips
from lightly_marlin.preparation import prepare_videos, track_sound
from lightly_marlin.store import FaceStore
from lightly_marlin.utils.errors import UsageError
from lightly_marlin.video import mux_audio, write_video

RATE = 16000
TOLERANCE = 0.002 * RATE


def clicks(seconds, *times):
    """Faint noise with clicks of 1 ms at some times, float64 (n,)."""
    samples = np.random.default_rng(0).normal(0, 1e-3, round(seconds * RATE))
    for time in times:
        samples[round(time * RATE) :][:16] = 0.9
    return samples


def place_of(samples, begin=0):
    """Index of the first click from an index on."""
    loud = np.abs(np.asarray(samples, np.float64)[begin:])
    assert loud.max() > 0
    return begin + int(np.argmax(loud > 0.5 * loud.max()))


def prepare(videos, store, **options):
    summary = prepare_videos(
        videos, store, **{"num_workers": 0, "audio": True, **options}
    )
    return summary, FaceStore(store)


@pytest.fixture
def talk(tmp_path, make_frames, fake_faces):
    """Writes a video of 60 frames whose face appears with frame 20."""

    def write(audio, start=0.0, name="a.mp4"):
        frames = make_frames(60, 64, 64)
        frames[:20] = 0
        path = tmp_path / "videos" / name
        path.parent.mkdir(exist_ok=True)
        write_video(path, frames, audio=audio, audio_start=start)
        return path

    return write


@pytest.mark.parametrize(
    ("start", "seconds"),
    [(0.0, 2.4), (0.5, 1.9), (1.1, 1.0), (-0.3, 2.7), (0.0, 1.6), (0.0, 4.0)],
    ids=["as long", "late", "very late", "early", "short", "long"],
)
def test_clicks_come_with_their_frames(talk, tmp_path, start, seconds):
    """Clicks at frames 30 and 36 of the video, which are 10 and 16 of the track."""
    video = talk(clicks(seconds, 1.2 - start, 1.44 - start), start)
    _, store = prepare(video, tmp_path / "store")
    (track,) = store
    assert (track.start_frame, track.num_frames) == (20, 40)
    assert track.audio.dtype == np.int16
    assert track.num_samples == len(track.audio) == 40 * 640
    assert place_of(track.audio) == pytest.approx(10 * 640, abs=TOLERANCE)
    assert place_of(track.audio, 6800) == pytest.approx(16 * 640, abs=TOLERANCE)
    for where, first in (("first", 0), ("center", 4)):
        clip = FaceClips(store, start=where, audio=True)[0]
        assert clip["start"] == first
        assert len(clip["audio"]) == 16 * 2 * 640
        expected = (10 - first) * 640
        assert place_of(clip["audio"]) == pytest.approx(expected, abs=TOLERANCE)
        np.testing.assert_allclose(clip["seconds"], np.arange(16) * 0.08, atol=1e-6)


def test_silence_where_the_recording_has_no_sound(talk, tmp_path):
    _, store = prepare(talk(clicks(0.4, 0.1), 1.2), tmp_path / "store")
    audio = store[0].audio
    # The encoder lets the sound begin and end within a frame of 64 ms.
    assert not audio[: 10 * 640 - 1100].any()
    assert not audio[10 * 640 + 6400 + 1100 :].any()
    assert place_of(audio) == pytest.approx(10 * 640 + 1600, abs=TOLERANCE)


def test_variable_frame_rate(tmp_path, make_frames, fake_faces, write_browser_webm):
    """Frames come slowly, then fast: a click belongs to the frame of its time."""
    stamps = np.cumsum([0, *[90] * 20, *[20] * 30, *[110] * 10])
    write_browser_webm(tmp_path / "a.webm", make_frames(61, 64, 64), stamps.tolist())
    frame, first = 45, 14
    sound = clicks(stamps[-1] / 1000, stamps[frame] / 1000)
    write_video(tmp_path / "s.mp4", make_frames(20, 64, 64), audio=sound)
    mux_audio(tmp_path / "a.webm", tmp_path / "s.mp4", tmp_path / "v.mkv")
    _, store = prepare(tmp_path / "v.mkv", tmp_path / "store")
    (track,) = store
    np.testing.assert_allclose(track.seconds, stamps / 1000, atol=0.0015)
    assert place_of(track.audio) == pytest.approx(stamps[frame] * 16, abs=TOLERANCE)
    shown = track.seconds[-1] + 1 / track.fps
    assert track.num_samples == pytest.approx(shown * RATE, abs=1)
    clips = FaceClips(store, num_frames=33, stride=1, start="center", audio=True)
    clip = clips[0]
    assert clip["start"] == first
    index = round(float(clip["seconds"][frame - first]) * RATE)
    assert place_of(clip["audio"]) == pytest.approx(index, abs=TOLERANCE)


def test_another_frame_rate(tmp_path, make_frames, fake_faces):
    """The rate of NTSC is no decimal fraction; the end of a track is as exact."""
    rate, frame = 30000 / 1001, 290
    sound = clicks(10, frame / rate)
    write_video(tmp_path / "a.mp4", make_frames(300, 32, 32), rate, audio=sound)
    _, store = prepare(tmp_path / "a.mp4", tmp_path / "store")
    (track,) = store
    assert track.num_samples == round(300 / rate * RATE)
    assert place_of(track.audio) == pytest.approx(frame / rate * RATE, abs=TOLERANCE)
    clips = FaceClips(store, num_frames=20, stride=1, audio=True)
    assert clips.num_samples == round(20 / rate * RATE)
    clip = clips._read(track, range(280, 300))
    assert place_of(clip["audio"]) == pytest.approx(10 / rate * RATE, abs=TOLERANCE)


def test_all_tracks_from_one_pass(talk, tmp_path, make_frames, monkeypatch):
    """Two faces, one after the other, and clicks in both."""
    frames = make_frames(70, 64, 64)
    frames[30:34] = 0
    path = tmp_path / "two.mp4"
    write_video(path, frames, audio=clicks(2.8, 0.4, 1.6))
    passes, read = [], track_sound.iter_audio
    monkeypatch.setattr(
        track_sound, "iter_audio", lambda p: passes.append(p) or read(p)
    )
    _, store = prepare(path, tmp_path / "store", all_faces=True)
    assert passes == [path]
    assert store.column("start_frame") == [0, 34]
    assert store.column("num_samples") == [30 * 640, 36 * 640]
    assert place_of(store[0].audio) == pytest.approx(10 * 640, abs=TOLERANCE)
    assert place_of(store[1].audio) == pytest.approx(6 * 640, abs=TOLERANCE)


def test_a_video_without_sound(talk, tmp_path):
    talk(None, name="silent.mp4")
    talk(clicks(2.4, 1.2))
    summary, store = prepare(tmp_path / "videos", tmp_path / "store")
    records = {record.source: record for record in summary.records}
    assert {record.status for record in records.values()} == {"ok"}
    assert records["a.mp4"].reason is None
    assert records["silent.mp4"].reason == "without sound: has no audio stream"
    assert not records["silent.mp4"].retry
    report = json.loads((tmp_path / "store" / "report.json").read_text())
    assert [video["reason"] for video in report["videos"]] == [
        None,
        "without sound: has no audio stream",
    ]
    loud, silent = store
    assert store.tracks_with_audio() == [loud.track_id]
    assert silent.num_samples == 0
    np.testing.assert_allclose(silent.seconds, np.arange(40) / 25)
    message = rf"track {silent.track_id} .* has no sound\. .*STORE --audio"
    for read in (lambda: silent.audio, lambda: silent.read_audio(0, 9)):
        with pytest.raises(UsageError, match=message):
            read()
    with pytest.raises(UsageError, match=rf"{message}\. 1 of 2 tracks"):
        FaceClips(store, audio=True)
    assert len(FaceClips(store, tracks=store.tracks_with_audio(), audio=True)) == 1
    assert summary.num_finished_before == 0
    assert prepare(tmp_path / "videos", tmp_path / "store")[0].num_finished_before == 2


def test_sound_that_cannot_be_reached_is_tried_again(talk, tmp_path, monkeypatch):
    from lightly_marlin.audio import AudioError

    video = talk(clicks(2.4, 1.2))

    def fail(path):
        raise AudioError(path, "cannot be opened: stale") from OSError("stale")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(track_sound, "iter_audio", fail)
        summary, store = prepare(video, tmp_path / "store")
    assert summary.records[0].reason == "without sound: cannot be opened: stale"
    assert store.column("num_samples") == [0]
    summary, store = prepare(video, tmp_path / "store")
    assert summary.num_finished_before == 0
    assert (summary.records[0].reason, len(store.tracks_with_audio())) == (None, 1)


def test_asking_for_sound_prepares_again(talk, tmp_path):
    video, path = talk(clicks(2.4, 1.2)), tmp_path / "store"
    summaries = [
        prepare(video, path, audio=audio)[0] for audio in (False, False, True, True)
    ]
    assert [one.num_finished_before for one in summaries] == [0, 1, 0, 1]
    (track,) = FaceStore(path)
    files = {file.suffixes[0] for file in (path / track.row.video).parent.glob("t*")}
    assert {".audio", ".seconds"} < files
    prepare(video, path, audio=False)
    assert len(list((path / track.row.video).parent.glob("t*"))) == len(files) - 2


def test_stores_of_earlier_releases_have_no_sound(talk, tmp_path):
    video, path = talk(clicks(2.4, 1.2)), tmp_path / "store"
    prepare(video, path, audio=False)
    for file in path.glob("tracks/*/video.json"):
        value = json.loads(file.read_text())
        del value["fingerprint"]["audio"], value["rows"][0]["num_samples"]
        file.write_text(json.dumps(value))
    table = pq.read_table(path / "index.parquet").drop_columns(["num_samples"])
    pq.write_table(table, path / "index.parquet")
    store = FaceStore(path)
    assert store.column("num_samples") == [0]
    assert (store[0].num_samples, store.rows()[0].num_samples) == (0, 0)
    assert FaceClips(store)[0]["video"].shape == (3, 16, 224, 224)
    assert "audio" not in FaceClips(store)[0]
    with pytest.raises(UsageError, match="--audio"):
        FaceClips(store, audio=True)
    assert prepare(video, path, audio=False)[0].num_finished_before == 1
    assert FaceStore(path).column("num_samples") == [0]


@pytest.mark.parametrize("name", ["audio", "seconds"])
@pytest.mark.parametrize("how", ["cut off", "missing"])
def test_a_damaged_file_is_noticed_and_comes_back(talk, tmp_path, name, how):
    video, path = talk(clicks(2.4, 1.2)), tmp_path / "store"
    prepare(video, path)
    (file,) = path.glob(f"tracks/*/track_000.{name}.npy")
    data = file.read_bytes()
    file.unlink()
    if how == "cut off":
        file.write_bytes(data[:-9])
    with pytest.raises(UsageError, match=rf"file .*{name}\.npy cannot be read"):
        getattr(FaceStore(path)[0], name)
    assert prepare(video, path)[0].num_finished_before == 0
    assert file.read_bytes() == data


def test_a_file_of_something_else_is_noticed(talk, tmp_path):
    prepare(talk(clicks(2.4, 1.2)), tmp_path / "store")
    (file,) = (tmp_path / "store").glob("tracks/*/track_000.audio.npy")
    np.save(file, np.zeros(40 * 640, np.float32))
    message = r"audio\.npy cannot be read: it holds float32"
    with pytest.raises(UsageError, match=message):
        _ = FaceStore(tmp_path / "store")[0].audio
    with pytest.raises(UsageError, match=message):
        FaceClips(tmp_path / "store", audio=True)[0]


def test_times_that_are_none(talk, tmp_path):
    prepare(talk(clicks(2.4, 1.2)), tmp_path / "store")
    (file,) = (tmp_path / "store").glob("tracks/*/track_000.seconds.npy")
    np.save(file, np.full(40, np.nan))
    with pytest.raises(UsageError, match=r"seconds\.npy holds what is no time"):
        FaceClips(tmp_path / "store", audio=True)[0]


def test_sound_is_that_of_the_recording(tmp_path, make_frames, fake_faces):
    """Nothing is lost of 16 bits: the samples of PCM come back bit for bit."""
    import av

    values = np.random.default_rng(1).integers(-32768, 32768, 32000).astype(np.int16)
    write_video(tmp_path / "silent.mp4", make_frames(50, 64, 64))
    with (
        av.open(str(tmp_path / "silent.mp4")) as source,
        av.open(str(tmp_path / "a.mkv"), "w") as target,
    ):
        pictures = source.streams.video[0]
        copy = target.add_stream_from_template(pictures)
        sound = target.add_stream("pcm_s16le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(values[None], "s16", "mono")
        frame.sample_rate, frame.pts = RATE, 0
        target.mux(sound.encode(frame))
        for packet in source.demux(pictures):
            if packet.size:
                packet.stream = copy
                target.mux(packet)
    _, store = prepare(tmp_path / "a.mkv", tmp_path / "store")
    assert np.array_equal(store[0].audio, values)
    floats = store[0].read_audio(-5, 32010)
    assert np.array_equal(floats[5:-5], values / np.float32(32768))
    assert not floats[:5].any()
    assert not floats[-5:].any()
    assert not store[0].audio.flags.writeable

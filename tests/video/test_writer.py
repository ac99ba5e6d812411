"""Writer of videos: options reach the encoder, and equal frames give equal files."""

from lightly_marlin.video import iter_frames, write_video


def test_write_video__passes_options_to_the_encoder(tmp_path, make_frames):
    frames = make_frames(8)
    sizes = []
    for crf in ("10", "45"):
        path = tmp_path / f"{crf}.mp4"
        write_video(path, frames, options={"crf": crf})
        assert len(list(iter_frames(path))) == 8
        sizes.append(path.stat().st_size)
    assert sizes[1] < sizes[0] / 2


def test_write_video__is_reproducible(tmp_path, make_frames):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, make_frames(8), options={"preset": "veryfast"})
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()

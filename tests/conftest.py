"""What tests of several files stand on."""

import pytest
from media import coded_frames, write_video


@pytest.fixture
def videos(tmp_path):
    """Two short videos whose frames tell their number."""
    for name, length in (("a", 12), ("b", 9)):
        write_video(tmp_path / "videos" / f"{name}.mp4", coded_frames(length))
    return tmp_path / "videos"

"""What tests of several files stand on."""

import pytest
from hypothesis import HealthCheck, settings
from media import coded_frames, write_video

# The verdict is the same on any machine: it depends neither on its speed nor on what is drawn.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")


@pytest.fixture
def videos(tmp_path):
    """Two short videos whose frames tell their number."""
    for name, length in (("a", 12), ("b", 9)):
        write_video(tmp_path / "videos" / f"{name}.mp4", coded_frames(length))
    return tmp_path / "videos"

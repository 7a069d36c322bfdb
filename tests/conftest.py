"""What tests of several files stand on."""

import sys

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


@pytest.fixture
def own_parts_forgotten(monkeypatch):
    """What a test registers or imports is gone after it."""
    import static_dynamic as sd
    from static_dynamic.common import plugins
    from static_dynamic.estimators.registry import registered

    for registry in (sd.style, sd.scramble, sd.flow_change, sd.pooling, sd.source, sd.plot, registered):
        monkeypatch.setattr(registry, "_entries", dict(registry.entries))
    monkeypatch.setattr(plugins, "_imported", [])
    monkeypatch.setattr(sys, "path", [*sys.path])
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        if name.startswith("my_"):
            del sys.modules[name]

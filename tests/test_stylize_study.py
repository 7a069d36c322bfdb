"""The styles of a measurement are judged on its own videos before it begins."""

import json

import numpy as np
import pytest
from media import moving_frames

from static_dynamic.common.errors import BadClip, UserError
from static_dynamic.media.clip import Clip, Recipe, Video
from static_dynamic.stylize.auditing.cases import StudyCase
from static_dynamic.stylize.auditing.trust import judge_study, unjudged
from static_dynamic.variants import Conditions, read_styles


class Restyled:
    """A source whose second style on disk stands still."""

    name, styles = "Restyled", ("1", "2")
    videos = tuple(Video(name) for name in "abcdefghij")

    def read(self, video, recipe, style=None):
        frames = moving_frames(recipe.frames, seed=ord(video.name))
        blue = 215 - frames[..., ::-1] // 2
        shown = {None: frames, "original": frames, "1": blue, "2": blue[:1].repeat(len(frames), 0)}
        return Clip(shown[style], recipe.sample(recipe.frames), video.name, recipe.frames)

    def describe(self):
        return {"kind": self.name}


def test_the_styles_of_a_study_are_judged_on_its_own_videos():
    seen = []
    judged = judge_study(Restyled(), ("original", "1", "2", "ink"), seed=3, on_video=lambda *told: seen.append(told))
    assert seen == [(number, 8, name) for number, name in enumerate("abcdfghi", 1)]  # eight, spread over all ten
    assert any(
        doubt.startswith("Style 2 does not pass its audit on 8 of these videos (fail") for doubt in judged.doubts
    )
    assert not any(doubt.startswith("Style 1 ") for doubt in judged.doubts)
    assert list(judged.weights) == ["1", "2", "ink"]
    assert judged.weights["1"] > 0.9
    assert judged.weights["2"] < 0.1
    few = judge_study(Restyled(), ("1", "ink"), seed=3, videos=2)
    assert {row["videos"] for row in few.table} == {2}
    json.dumps(few.table, allow_nan=False)


def test_a_study_is_painted_for_its_audit_as_it_will_be_measured():
    source, recipe = Restyled(), Recipe(frames=16, rate=1, crop=240)
    copies = StudyCase(source, source.videos[0], ("ink",), seed=5).clips().copies
    measured = read_styles(source, source.videos[0], recipe, Conditions(("ink",), (), 5))[1]
    np.testing.assert_array_equal(copies["ink"], measured["ink"])


def test_videos_that_the_audit_of_a_study_cannot_read_are_told():
    class Torn(Restyled):
        def read(self, video, recipe, style=None):
            if video.name != "a":
                raise BadClip(f"{video.name} is torn.")
            return super().read(video, recipe, style)

    doubts = judge_study(Torn(), ("1",), seed=0).doubts
    assert doubts[-4:] == [
        f"The audit left out {line}" for line in (*(f"{n} is torn." for n in "bcd"), "4 more videos")
    ]


def test_where_there_is_nothing_to_judge_it_is_said(tmp_path):
    (tmp_path / "no.jpg").write_bytes(b"no image")
    with pytest.raises(UserError, match="style image cannot be read"):
        judge_study(Restyled(), ("1", str(tmp_path / "no.jpg")), seed=0)
    with pytest.raises(UserError, match="nothing to audit"):
        judge_study(Restyled(), ("original",), seed=0)
    assert unjudged(("ink", "original")).doubts == []
    assert unjudged(("ink", "a/my.jpg")).doubts == [
        "a/my.jpg has not been audited: --audit warn reports how much motion it keeps."
    ]

"""The page in a real browser: it switches, slides, plays and answers to keys, fetches nothing, and logs no error."""

import shutil

import pytest
from test_course_page import course
from test_page import HOSTILE, everywhere, measured  # noqa: F401 - a fixture

PLACES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")


@pytest.fixture(scope="module")
def browser():
    program = next(filter(None, map(shutil.which, PLACES)), None)
    if program is None:
        pytest.skip("no Chromium is installed, e.g. with: apt-get install chromium")
    with playwright.sync_playwright() as running:
        # Tests may run as root, where Chromium has no sandbox; it opens nothing but our pages.
        started = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser):
    """Opens a page; at the end it must have logged nothing, asked nothing, and fetched nothing but itself."""
    contexts, said = [], []

    def see(path, **options):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: said.append(request.url) if not _own(request.url, path) else None)
        page.goto(path.as_uri())
        return page

    yield see
    for context in contexts:
        context.close()
    assert said == []


def _own(url, path):
    return url.startswith("data:") or url == path.as_uri()


@pytest.fixture(scope="module")
def path(measured, tmp_path_factory):  # noqa: F811 - the fixture
    return measured[1].report(tmp_path_factory.mktemp("page") / "report.html")


def test_one_estimator_is_shown_and_the_switch_shows_another(opened, path):
    page = opened(path)
    panels = page.locator(".panel")
    assert [panels.nth(i).is_visible() for i in range(2)] == [True, False]
    page.get_by_role("radio", name="Published score").check()
    assert [panels.nth(i).is_visible() for i in range(2)] == [False, True]
    assert "dynamic" in page.locator("#classes").inner_text()
    page.goto(f"{path.as_uri()}#released")
    page.reload()
    assert panels.nth(1).is_visible()


def test_the_slider_shows_the_classes_at_its_threshold(opened, path):
    page = opened(path)
    page.get_by_role("radio", name="Published score").check()
    shares = page.evaluate("JSON.parse(document.getElementById('data').textContent).thresholds.released.stages")
    slider = page.get_by_label("Threshold λ")
    slider.focus()
    for key, at in (("End", 100), ("Home", 0), ("ArrowRight", 1)):
        page.keyboard.press(key)
        assert page.locator(".slider output").inner_text() == f"{at / 100:.2f}"
        for row, stage in enumerate(shares):
            cells = page.locator(".panel:not([hidden]) .classes tbody tr").nth(row).locator("td").all_inner_texts()
            assert cells[1:] == [f"{share:.1f}" for share in stage["shares"][at]]


def test_units_are_chosen_by_pointer_by_keys_and_by_number(opened, path, measured):  # noqa: F811 - the fixture
    page = opened(path)
    panel = page.locator("#unit")
    page.locator("#map canvas").first.click(position={"x": 5, "y": 5})
    first = panel.inner_text()
    assert first.startswith("planted, unit ")
    page.locator("#map").focus()
    page.keyboard.press("ArrowRight")
    assert panel.inner_text() != first
    page.keyboard.press("ArrowLeft")
    assert panel.inner_text() == first
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    assert panel.inner_text().startswith("frames, unit ")
    assert page.locator("#said").text_content().startswith("frames, unit ")
    page.locator("#stage").select_option("planted")
    page.get_by_label("unit", exact=True).fill("1")
    page.keyboard.press("Enter")
    rows = measured[1].units.query("stage == 'planted' and unit == 1 and estimator == 'needs_motion'")
    shown = panel.inner_text()
    for text in (f"{rows['motion'].iloc[0]:.2f}", rows["class"].iloc[0], "Clips to which it responds most"):
        assert text in shown
    page.get_by_label("unit", exact=True).fill("99")
    page.keyboard.press("Enter")
    assert panel.inner_text() == "This unit is not on the map."


def test_strips_play_and_pause_and_stand_still_for_those_who_asked_for_less_motion(opened, path):
    page = opened(path)
    states = "[...document.querySelectorAll('.player img')].map((image) => image.getAnimations()[0].playState)"
    assert {*page.evaluate(states)} == {"running"}
    page.get_by_role("button", name="Pause").click()
    assert {*page.evaluate(states)} == {"paused"}
    still = opened(path, reduced_motion="reduce")
    assert {*still.evaluate(states)} == {"paused"}
    assert still.get_by_role("button", name="Play").is_visible()


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_no_wider_than_the_screen_and_can_be_read_in_both_themes(opened, path, width, scheme):
    page = opened(path, viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    ink, paper = (sum(map(int, colour[4:-1].split(","))) for colour in (ink, paper))
    assert (ink < paper) == (scheme == "light")
    assert abs(ink - paper) > 500


def test_without_javascript_everything_but_the_map_is_there(opened, path):
    page = opened(path, java_script_enabled=False)
    assert all(page.locator(".panel").nth(i).is_visible() for i in range(2))
    assert page.locator("noscript .missing").is_visible()
    assert not page.locator(".switch").is_visible()
    assert page.locator(".strip img").first.is_visible()


def test_paper_shows_every_estimator_and_no_controls(opened, path):
    page = opened(path)
    page.emulate_media(media="print")
    assert all(page.locator(".panel").nth(i).is_visible() for i in range(2))
    assert not page.locator(".switch").is_visible()
    assert not page.locator(".play").is_visible()


def test_hostile_names_do_nothing(opened, measured, tmp_path):  # noqa: F811 - the fixture
    page = opened(everywhere(measured[1]).report(tmp_path / "report.html"))
    page.locator("#map canvas").first.click(position={"x": 5, "y": 5})
    assert HOSTILE in page.locator("#unit").inner_text()


# ---------------------------------------------------------------- the course of a training


@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_course_switches_fits_the_screen_and_prints(opened, tmp_path, width, scheme):
    found = course(estimators="needs_motion,released")
    page = opened(found.report(tmp_path), viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    panels = page.locator(".panel")
    assert [panels.nth(i).is_visible() for i in range(2)] == [True, False]
    page.get_by_role("radio", name="Published score").check()
    assert [panels.nth(i).is_visible() for i in range(2)] == [False, True]
    assert panels.nth(1).locator(".chart").count() == 2
    page.emulate_media(media="print")
    assert all(panels.nth(i).is_visible() for i in range(2))


def test_the_chart_of_a_course_shows_its_dots_where_their_numbers_are(opened, tmp_path):
    page = opened(course().report(tmp_path))
    chart = page.locator(".chart").nth(1)
    frame = chart.bounding_box()
    dots = chart.locator("circle.dot")
    assert dots.count() == 3
    boxes = [dots.nth(i).bounding_box() for i in range(3)]
    for box, step, value in zip(boxes, (0, 500, 4000), (19, 22, 31), strict=True):
        assert box["x"] + box["width"] / 2 == pytest.approx(frame["x"] + frame["width"] * step / 4000, abs=1)
        assert box["y"] + box["height"] / 2 == pytest.approx(frame["y"] + frame["height"] * (1 - value / 50), abs=1)


def test_hostile_names_do_nothing_in_a_course(opened, tmp_path):
    found = course({HOSTILE: (1.0, 2.0), "a": (3.0, 4.0)}, (0, 1), model=HOSTILE, unit=HOSTILE, notes=[HOSTILE])
    page = opened(found.report(tmp_path))
    assert page.locator("h1").inner_text() == HOSTILE

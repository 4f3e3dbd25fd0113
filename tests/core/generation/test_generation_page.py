"""The demo page in headless Chromium: a prompt becomes a playing figure and a file; a refusal becomes a sentence."""

import pytest

from stickgen_core.generation.service.listen import listening
from tests.core.generation.generation_tiny import service, tiny
from tests.pipeline.devtools import browser, chromium

PLAYER = "document.querySelector('.sg-player') && document.querySelector('.sg-player').sgPlayer"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    if not chromium():
        pytest.skip("no Chromium on this machine")
    with listening(service(tiny(changes={"max_attempts": 2}))) as address, browser(tmp_path_factory.mktemp("profile"), 1000, 1000) as found:
        found.scheme("light")
        found.go(address)
        found.wait("document.getElementById('go') && true")
        yield found


def fill(page, **values):
    for name, value in values.items():
        page.run(f"document.getElementById({name!r}).value = {value!r}")
    assert page.click("Generate")


@pytest.mark.browser
def test_a_prompt_becomes_a_playing_figure_and_a_file(page):
    fill(page, prompt="a person waves", seed="3", camera="zoom in")
    page.wait(f"{PLAYER} && {PLAYER}.second > 0.1 && true")
    assert "safety gate" in page.text() and "a person waves" in page.text()
    download = "if (this.download) window.saved = this.download; else this.dispatchEvent(new MouseEvent('click', { cancelable: true }));"
    page.run(f"window.saved = null; HTMLAnchorElement.prototype.click = function () {{ {download} }}")
    assert "Token" not in page.text()
    assert page.click(".motion", "a")
    assert page.wait("window.saved") == "motion-3.motion"
    assert page.complaints == []


@pytest.mark.browser
def test_a_timed_prompt_says_its_own_length_and_examples_fill_the_form(page):
    page.run("document.querySelectorAll('.example')[2].click()")
    prompt = page.run("document.getElementById('prompt').value")
    assert prompt.startswith("0-2 s")
    page.run("document.getElementById('out').replaceChildren()")
    fill(page, prompt="0-1 s walk, 1-2 s wave")
    page.wait(f"{PLAYER} && {PLAYER}.seconds === 2")


@pytest.mark.browser
def test_what_is_refused_is_said_and_the_form_is_free_again(page):
    fill(page, prompt="walk", negative="run", guidance="1")
    assert "needs a guidance above 1" in page.wait(
        "document.getElementById('say').className === 'bad' && document.getElementById('say').textContent"
    )
    assert page.run("document.getElementById('go').disabled") is False

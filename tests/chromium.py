"""A headless Chromium or Chrome for tests of pages, where one is installed."""

import json
import shutil
import time
from contextlib import contextmanager

import pytest

READY = "document.getElementById('responses').dataset.state === 'ready'"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")  # the last one is what GitHub's machines have


def open_browser(width=1280, height=900):
    """A Chromium that records its console and its requests; skips where there is none."""
    selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    browser, driver = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("needs Chromium (Debian: chromium and chromium-driver)")
    options = selenium.ChromeOptions()
    options.binary_location = browser
    size = f"--window-size={width},{height}"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", size):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return selenium.Chrome(options=options, service=selenium.ChromeService(driver))


def open_page(browser, path, fragment="", seconds=60):
    """Open a report and wait until its charts are drawn and its browser of responses is ready; the seconds it took."""
    browser.get("about:blank")
    for log in ("browser", "performance"):
        browser.get_log(log)
    started = time.monotonic()
    browser.get(f"{path.resolve().as_uri()}{fragment}")
    wait(browser, "document.documentElement.dataset.charts === 'drawn'", seconds)
    wait(browser, READY, seconds)
    return time.monotonic() - started


@contextmanager
def window(browser, width, scheme, height=900):
    """A window of this size, a phone's where it is narrow, of a reader who prefers light or dark."""
    media = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": media})
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def wait(browser, condition, seconds=30):
    """Wait until an expression is true in the page."""
    end = time.monotonic() + seconds
    while not browser.execute_script(f"return Boolean({condition})"):
        assert time.monotonic() < end, f"not true within {seconds} s: {condition}"
        time.sleep(0.02)


def complaints(browser):
    """What the console says since the page was opened."""
    return [entry["message"] for entry in browser.get_log("browser")]


def requests(browser):
    """Addresses that were asked for since the page was opened: not the page's own, nor what its policy kept back."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    events = [(message["method"], message["params"]) for message in messages]
    kept = {one["requestId"] for name, one in events if name == "Network.loadingFailed" and one.get("blockedReason")}
    sent = [one for name, one in events if name == "Network.requestWillBeSent" and one.get("type") != "Document"]
    return [one["request"]["url"] for one in sent if one["requestId"] not in kept]


def set_value(page, selector, value, event="change"):
    """Set a control of the page and tell the page so."""
    page.execute_script(
        "const place = document.querySelector(arguments[0]); place.value = arguments[1];"
        "place.dispatchEvent(new Event(arguments[2], {bubbles: true}))",
        *(selector, value, event),
    )


def settle(page):
    """Wait until the browser of responses is ready again."""
    time.sleep(0.2)
    wait(page, READY)


def status(page):
    """How many prompts are listed, in words."""
    return page.execute_script("return document.querySelector('[data-part=status]').textContent")


def detail(page):
    """The prompt that is shown, with its responses."""
    return page.execute_script("return document.querySelector('[data-part=detail]').innerText")


def choose(page, side, name):
    """Choose a column of the browser of responses by its name."""
    script = (
        "const place = document.querySelector(`[data-part=${arguments[0]}]`);"
        "place.selectedIndex = [...place.options].findIndex((option) => option.text === arguments[1]);"
        "place.dispatchEvent(new Event('change'))"
    )
    page.execute_script(script, side, name)
    settle(page)

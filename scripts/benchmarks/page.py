"""Measure the report's page with very many responses in Chromium: its size, and the time to load it and to search it.

    python scripts/benchmark.py page --output results/benchmark_page.json

The responses are those of 20 runs, 500 tokens long on average, in English, Spanish, Russian, Arabic, Hindi, Chinese and
code (`benchmarks.texts`); each run is compared with the first one on every prompt. Needs selenium, Chromium or Chrome,
and chromedriver. Loading ends when all charts are drawn and the first prompt is shown with its responses; a search
begins with the last key that is pressed and ends when all its prompts are listed; those that it finds sooner stand
there before. The first search in some runs unpacks their texts, which stay unpacked while there is room.
"""

import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measuring import in_a_process, markdown_table, options_of, parser_of
from benchmarks.texts import LANGUAGES, answers, language
from pipeline.exchange.answers import Answer
from pipeline.exchange.tables import table_of_others, winrates_of_others
from pipeline.exchange.votes import COLUMNS, Votes
from pipeline.jobs.io import InputError, write_json, write_text
from pipeline.jobs.records import peak_memory_mib
from pipeline.report import ReportInputs, render_report
from pipeline.results.tables import cost_table

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
RARE, FREQUENT = 2_000, 60  # places of words in the English vocabulary
READY = (
    "document.documentElement.dataset.charts === 'drawn' "
    "&& document.getElementById('responses').dataset.state === 'ready'"
)
SEARCH = """
const [scope, query, done] = arguments;
const part = (name) => document.querySelector(`[data-part=${name}]`);
const place = document.getElementById('responses');
const started = performance.now();
let first = null;
const observer = new MutationObserver(() => {
  if (place.dataset.state === 'busy') return;
  first ??= (performance.now() - started) / 1000;
  if (place.dataset.state !== 'ready') return;
  observer.disconnect();
  done({ first, seconds: (performance.now() - started) / 1000, found: part('status').textContent });
});
observer.observe(place, { attributeFilter: ['data-state'] });
part('scope').value = scope;
part('query').value = query;
part('query').dispatchEvent(new Event('input'));
"""


def main(argv: list[str] | None = None) -> None:
    parser = parser_of("page", __doc__)
    parser.add_argument("--responses", type=int, default=100_000, help="in all")
    parser.add_argument("--runs", type=int, default=20, help="runs that they are of")
    parser.add_argument("--share", type=float, default=1.0, help="length, as a share of 500 tokens")
    parser.add_argument("--page", type=Path, help="where to keep the page (HTML)")
    arguments = parser.parse_args(argv)
    if arguments.case is not None:
        characters = write_page(Path(arguments.case), arguments.responses, arguments.runs, arguments.share)
        print(json.dumps({"characters": characters, "peak_mib": peak_memory_mib()}))
        return
    with tempfile.TemporaryDirectory() as folder:
        page = (arguments.page or Path(folder) / "report.html").resolve()
        started = time.perf_counter()
        made = in_a_process("page", str(page), options_of(arguments, "responses", "runs", "share"))
        made |= {"seconds": time.perf_counter() - started, "megabytes": page.stat().st_size / 1e6}
        results = {"responses": arguments.responses, "runs": arguments.runs, "page": made, "browser": look_at(page)}
    print(table_of(results))
    write_json(results, arguments.output)


def write_page(path: Path, responses: int, runs: int, share: float) -> float:
    """Write the page of so many responses; characters of one of them, the mean."""
    rng, prompts = np.random.default_rng(0), max(1, responses // runs)
    names = [f"run{number:02}" for number in range(runs)]
    languages = {name: language(name) for name in LANGUAGES}
    given, rows, characters = [], [], 0
    for number in range(prompts):
        tongue = languages[list(languages)[number % len(languages)]]
        asked = f"{answers(tongue, 1, 0.05, rng)[0]} ({number})"
        texts = answers(tongue, runs, share, rng)
        given += [Answer("", text, asked, f"p{number:06}", name) for name, text in zip(names, texts, strict=True)]
        characters += sum(map(len, texts))
        wins = (rng.random(runs) < 0.3 + 0.4 * np.arange(runs) / runs).astype(float)
        lengths = [float(len(text)) for text in texts]
        rows += [
            (name, names[0], f"p{number:06}", 1, "none", win, "drawn", length, lengths[0])
            for name, win, length in zip(names[1:], wins[1:], lengths[1:], strict=True)
        ]
    votes = Votes("drawn verdicts", pd.DataFrame(rows, columns=COLUMNS))
    with tempfile.TemporaryDirectory() as folder:
        table = table_of_others(votes, given, "drawn.jsonl", Path(folder))
        winrate = winrates_of_others(table, votes, Path(folder), 200, 0, 0)
        left_out = frozenset({"rewards", "training", "cost", "data"})
        write_text(render_report(ReportInputs(table, winrate, cost_table(table), left_out=left_out)).html(), path)
    return characters / (prompts * runs)


def look_at(page: Path) -> dict:
    """Seconds until the page is loaded, and of searches; its memory, and the browser's version.

    Raises:
        InputError: there is no browser, or no selenium.
    """
    browser = _browser()
    try:
        started = time.perf_counter()
        browser.get(page.as_uri())
        while not browser.execute_script(f"return {READY}"):
            time.sleep(0.02)
        found = {"version": browser.capabilities["browserVersion"], "load": time.perf_counter() - started}
        words = language("English").words
        queries = {
            "a rare word, the first search": str(words[RARE]),
            "another": str(words[RARE + 1]),
            "a frequent word": words[FREQUENT],
        }
        found["searches"] = [
            {"in": scope, "for": name} | browser.execute_async_script(SEARCH, scope, query)
            for scope in ("shown", "all")
            for name, query in queries.items()
        ]
        found["heap_mib"] = browser.execute_script("return performance.memory.usedJSHeapSize") / 2**20
        return found
    finally:
        browser.quit()


def table_of(results: dict) -> str:
    """What was measured, as a Markdown table."""
    page, browser = results["page"], results["browser"]
    rows = [["size", f"{page['megabytes']:.1f} MB"], ["time to load", f"{browser['load']:.1f} s"]]
    for one in browser["searches"]:
        rows.append(
            [f"search in {one['in']}, {one['for']}", f"{one['first']:.2f} s, all of them {one['seconds']:.2f} s"]
        )
    return markdown_table(["page", f"{results['responses']:,} responses"], rows)


def _browser():
    binary, driver = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    if not (binary and driver):
        raise InputError(
            "no Chromium or Chrome, or no chromedriver, is on the path (Debian: chromium and chromium-driver)"
        )
    try:
        from selenium import webdriver
    except ImportError as error:
        raise InputError("selenium is not installed; envs/requirements.lock has its version") from error
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1440,900"):
        options.add_argument(argument)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    browser.set_script_timeout(300)
    browser.set_page_load_timeout(300)
    return browser

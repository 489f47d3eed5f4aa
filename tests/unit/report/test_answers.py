"""Answers in a real Chromium: Markdown, code and formulas on request and as inert as text; up to four side by side."""

import pytest
from chromium import choose, complaints, detail, open_browser, open_page, requests, set_value, settle, status, wait
from fixtures_report import build_report
from fixtures_results import DPO, DPR

from pipeline.report.human_labels import read_labels

PLAIN = r"""# Title

Costs $5 or $10, let $x_1^2$ be \(a_b\) **bold *both***.
Second line

- one
  - two

3. three

| a | b |
|--:|---|
| 1 | `c` |

```python
def f(x):
    return "<b>" + x
```

\[
\frac{a}{b}
= \sqrt{2}
\]

> said
"""
HOSTILE = (
    r"""<script>document.title='taken'</script><img src=http://evil.example/a onerror=alert(1)>
<style>*{display:none}</style>
[click](http://evil.example/b) [run](javascript:alert(2)) ![see](http://evil.example/c "t") <http://evil.example/d>
[ref]: http://evil.example/e
<iframe src="http://evil.example/f"></iframe>

| <b onclick=alert(3)>x</b> |
|---|
| [ref] |

$\href{javascript:alert(4)}{x}$ $\url{http://evil.example/g}$ $\includegraphics{http://evil.example/h.png}$
$\class{made}{x}$ $\style{position:fixed;inset:0}{x}$ $\id{answer}{x}$ $\data{a=b}{x}$
$\rule{9999em}{9999em}$ $\kern{-9999em}x$ $\def\a{\a\a}\a$ $\text{<img src=x onerror=alert(5)>}$ $\color{url(http://evil.example/i)}{x}$
$$\begin{matrix}"""
    + ("a & " * 400)
    + r"""\end{matrix}$$
```"><script>alert(6)</script>
</code></pre><script>alert(7)</script>
```
&lt;script&gt;alert(8)&lt;/script&gt;
"""
)
NESTED = "> " * 3000 + "- " * 3000 + "*" * 3000 + "[" * 3000 + "$$" * 500
TEXTS = {0: PLAIN, 1: HOSTILE, 2: NESTED}
KINDS = {
    *("P", "BLOCKQUOTE", "UL", "OL", "LI", "TABLE", "THEAD", "TBODY", "TR", "TH", "TD", "STRONG", "EM", "S", "BR"),
    *("HR", "PRE", "CODE", "SMALL", "SPAN", "DIV"),
}
INSIDE = "[...document.querySelectorAll('.sides .formatted *')]"
HTML = "http://www.w3.org/1999/xhtml"
TEXTS_OF = "[...document.querySelectorAll('.sides .text')]"
ONLY = f"{TEXTS_OF}.map((text) => [...text.querySelectorAll('ins')].map((part) => part.textContent))"


def response(run, i):
    if i == 3:
        return f"**Bold {run}** then `code {run}` and $x + {len(run)}$\u200b same"
    return TEXTS.get(i, f"{run} answers {i}.")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return build_report(tmp_path_factory.mktemp("formatted"), prompts=5, seeds=(1, 2), text=response)


@pytest.fixture(scope="module")
def page(report):
    browser = open_browser()
    open_page(browser, report)
    yield browser
    browser.quit()


def show(page, i, form="formatted"):
    """Show the answers to a prompt in this form."""
    set_value(page, "[data-part=form]", form)
    set_value(page, "[data-part=query]", f"p{i:03d}", "input")
    settle(page)


def found(page, selector):
    """The texts of what a selector finds in the first answer."""
    found = "document.querySelectorAll(`.sides article:first-child .formatted ${arguments[0]}`)"
    return page.execute_script(f"return [...{found}].map((e) => e.textContent)", selector)


def test_text_is_what_was_written_until_a_reader_asks(page):
    show(page, 0, "plain")
    written = "return document.querySelector('.sides .text').textContent"
    assert page.execute_script(written) == PLAIN and found(page, "math") == []
    show(page, 0, "typewriter")
    assert page.execute_script(written) == PLAIN
    font = "return getComputedStyle(document.querySelector('.sides .text')).fontFamily"
    assert "monospace" in page.execute_script(font)
    assert complaints(page) == []


def test_markdown_code_and_formulas_are_readable(page):
    show(page, 0)
    assert found(page, ".heading") == ["Title"] and found(page, "strong em") == ["both"]
    assert found(page, "ul ul li") == ["two"] and found(page, "td code") == ["c"]
    assert found(page, "blockquote") == ["said"]
    assert found(page, "pre code") == ['def f(x):\n    return "<b>" + x'] and found(page, "pre .language") == ["python"]
    sources = "return [...document.querySelectorAll('.sides article:first-child .formula')].map((e) => e.title)"
    assert page.execute_script(sources) == ["x_1^2", "a_b", "\\frac{a}{b}\n= \\sqrt{2}"]
    assert len(found(page, "math")) == 3 and len(found(page, "mfrac")) == len(found(page, "msqrt")) == 1
    [first, *_] = found(page, "p")
    assert first.startswith("Costs $5 or $10, let ") and first.endswith("both.Second line")
    assert len(found(page, "p br")) == 1
    assert page.execute_script("return document.querySelector('.sides ol').start") == 3
    mono = "return getComputedStyle(document.querySelector('.sides pre code')).fontFamily"
    assert "monospace" in page.execute_script(mono)
    assert complaints(page) == []


def test_formatted_answers_are_inert(page):
    for i in (1, 2):
        show(page, i)
        kinds = page.execute_script(f"return {INSIDE}.filter((e) => e.namespaceURI === '{HTML}').map((e) => e.tagName)")
        assert kinds and set(kinds) <= KINDS, i
        names = page.execute_script(f"return {INSIDE}.flatMap((e) => e.getAttributeNames())")
        assert not [name for name in names if name.startswith("on") or "href" in name]
        assert not {"src", "id", "action"} & set(names)
        assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
        assert requests(page) == [] and complaints(page) == [], i
    show(page, 1)
    text = detail(page)
    for part in ("<script>document", "http://evil.example/b", "[image: see]", "<script>alert(8)</script>"):
        assert part in text, part
    assert page.title == "Results: test"
    # nothing of a formula is drawn outside of its place
    boxes = page.execute_script(
        "const place = document.querySelector('[data-part=detail]').getBoundingClientRect();"
        "return [...document.querySelectorAll('.sides .formula')].map((e) => e.getBoundingClientRect())"
        ".filter((box) => box.left < place.left || box.right > place.right || box.height > 2000).length"
    )
    assert boxes == 0


def test_marks_stand_in_formatted_answers_too(page):
    show(page, 3)
    page.execute_script("document.querySelector('[data-part=differences]').click()")
    assert found(page, "strong ins") == found(page, "code ins") == ["dpr", "-g0.3-gamma0.3"]
    assert len(found(page, "ins math")) == 1
    page.execute_script("document.querySelector('[data-part=invisible]').click()")
    assert found(page, ".invisible") == ["U+200B"]
    set_value(page, "[data-part=query]", "Bold dpr", "input")  # ends within a difference
    settle(page)
    assert found(page, "mark") == ["Bold ", "dpr"] and found(page, "ins mark") == ["dpr"]
    for name in ("differences", "invisible"):
        page.execute_script(f"document.querySelector('[data-part={name}]').click()")
    assert found(page, "ins") == found(page, ".invisible") == []
    assert found(page, "mark") == ["Bold dpr"]
    assert complaints(page) == []


def test_a_link_leads_back_to_the_form(page, report):
    show(page, 0)
    link = page.execute_script("return document.querySelector('[data-part=link]').hash")
    open_page(page, report, link)
    assert found(page, ".heading") == ["Title"]
    assert f"{DPO}, seed 1" in detail(page)


def titles(page):
    return page.execute_script("return [...document.querySelectorAll('.sides h4')].map((e) => e.innerText)")


def test_up_to_four_columns_stand_side_by_side(page, report):
    open_page(page, report)
    shown = [f"{DPR}, seed 1", f"{DPO}, seed 1", "sft, seed 1", "chosen (dataset)"]
    hidden = "return document.querySelector('[data-part=fourth]').parentElement.hidden"
    assert page.execute_script(hidden)
    for side, name in zip(("left", "right", "third"), shown, strict=False):
        choose(page, side, name)
    assert titles(page) == shown[:3] and not page.execute_script(hidden)
    choose(page, "fourth", shown[3])
    assert titles(page) == shown
    tops = "return [...document.querySelectorAll('.sides article')].map((e) => e.getBoundingClientRect().top)"
    assert len(set(page.execute_script(tops))) == 1
    pairs = "return [...document.querySelectorAll('.verdicts h5')].map((e) => e.innerText)"
    assert page.execute_script(pairs) == [
        *(f"{shown[0]} and {shown[1]}", f"{shown[0]} and {shown[3]}", f"{shown[1]} and {shown[2]}"),
        *(f"{shown[1]} and {shown[3]}", f"{shown[2]} and {shown[3]}"),
    ]
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    set_value(page, "[data-part=query]", "sft answers 4", "input")  # in what is shown, not in the first two alone
    settle(page)
    assert status(page) == "1 of 5 prompts"
    link = page.execute_script("return document.querySelector('[data-part=link]').hash")
    open_page(page, report, link)
    assert titles(page) == shown and status(page) == "1 of 5 prompts"
    set_value(page, "[data-part=query]", "", "input")
    settle(page)
    choose(page, "third", "none")
    choose(page, "fourth", "none")
    assert titles(page) == shown[:2] and complaints(page) == []


def test_several_answers_are_compared_with_the_left_one(page, report):
    open_page(page, report)
    for side, name in (("left", DPR), ("right", DPO), ("third", "sft")):
        choose(page, side, f"{name}, seed 1")
    set_value(page, "[data-part=query]", "p004", "input")
    settle(page)
    page.execute_script("document.querySelector('[data-part=differences]').click()")
    # of "dpr-beta0.1-g0.3-gamma0.3" the middle one shares -beta0.1, the last one nothing
    assert page.execute_script(f"return {ONLY}") == [["dpr", "-g0.3-gamma0.3"], ["dpo"], ["sft"]]
    page.execute_script("document.querySelector('[data-part=differences]').click()")


def test_four_columns_fit_a_phone(page, report):
    link = page.execute_script("return document.querySelector('[data-part=link]').hash")
    wanted = f"{link}&third=sft:1&fourth=chosen"
    phone = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    try:
        open_page(page, report, wanted)
        assert len(titles(page)) == 4 and page.execute_script("return document.documentElement.scrollWidth") == 390
        lefts = "return [...document.querySelectorAll('.sides article')].map((e) => e.getBoundingClientRect().left)"
        assert len(set(page.execute_script(lefts))) == 1  # one below the other
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_reader_judges_blind_and_saves_labels(page, report, tmp_path):
    open_page(page, report)
    choose(page, "left", f"{DPR}, seed 1")
    choose(page, "right", f"{DPO}, seed 1")
    page.execute_script("document.querySelector('[data-part=blind]').click()")
    settle(page)
    answers = []
    for verdict in ("a", "tie", "b", "a"):
        assert titles(page) == ["answer a", "answer b"]
        assert "reward" not in detail(page) and "Verdicts" not in detail(page)
        answers.append(page.execute_script(f"return {TEXTS_OF}.slice(-2).map((text) => text.textContent)"))
        page.execute_script("document.querySelector(`[data-verdict=${arguments[0]}]`).click()", verdict)
        settle(page)
    page.execute_script(
        "HTMLAnchorElement.prototype.click = () => {};"
        "URL.createObjectURL = (blob) => { blob.text().then((text) => { window.saved = text; }); return ''; };"
        "document.querySelector('[data-part=save]').click()"
    )
    wait(page, "window.saved", 5)
    path = tmp_path / "labels.csv"
    path.write_bytes(page.execute_script("return window.saved").encode())
    labels = read_labels(path)
    key = [" ".join(text.split()) for text in answers[3]]
    assert labels["p003", key[0], key[1]] == 1 and labels["p003", key[1], key[0]] == 0
    assert {prompt for prompt, *_ in labels} == {"p000", "p001", "p002", "p003"}
    page.execute_script("document.querySelector('[data-part=blind]').click()")
    settle(page)
    assert titles(page) == [f"{DPR}, seed 1", f"{DPO}, seed 1"] and complaints(page) == []


def test_the_place_of_a_blind_answer_depends_on_the_prompt(page, report):
    open_page(page, report)
    page.execute_script("document.querySelector('[data-part=blind]').click()")
    first = set()
    for i in (3, 4):
        set_value(page, "[data-part=query]", f"p{i:03d}", "input")
        settle(page)
        first.add(DPR in page.execute_script(f"return {TEXTS_OF}.at(-2).textContent"))
    assert first == {True, False}

"""The table and the bars as they stand on terminals of any size, with and without colours and UTF-8."""

import io
import os
import re

import pytest
from fixtures_terminal import plain

from pipeline.terminal.run import Count
from pipeline.terminal.screen import Above, Bars, console, plan_table

COUNTS = [
    Count("prepare_data", 1, 1, 0, 0, 0, 0, ""),
    Count("train_policy", 12, 4, 2, 0, 8, 0, "3 min 20 s"),
    Count("judge_responses", 24, 0, 0, 1, 20, 3, "?"),
    Count("all jobs", 37, 5, 2, 1, 28, 3, "> 3 min 20 s"),
]


class Stream(io.TextIOWrapper):
    def __init__(self, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")

    @property
    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def drawn(monkeypatch):
    def draw(thing, width=100, height=40, encoding="utf-8", colors=True):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("LINES", str(height))
        monkeypatch.setenv("TERM", "xterm")
        stream = Stream(encoding)
        screen = console(stream, colors)
        screen.print(Bars(lambda: thing, screen).draw() if isinstance(thing, list) else thing)
        return stream.text

    return draw


def test_the_table_has_each_rules_jobs_and_time_and_their_sum(drawn):
    text = plain(drawn(plan_table(COUNTS)))
    assert [re.split("  +", line.strip()) for line in text.splitlines()] == [
        ["rule", "jobs", "about"],
        ["prepare_data", "1"],
        ["train_policy", "12", "3 min 20 s"],
        ["judge_responses", "24", "?"],
        ["all jobs", "37", "> 3 min 20 s"],
    ]


def test_the_table_has_no_times_where_none_is_known(drawn):
    counts = [Count("train", 2, 0, 0, 0, 2, 0, "?"), Count("all jobs", 2, 0, 0, 0, 2, 0, "?")]
    assert [line.split() for line in plain(drawn(plan_table(counts))).splitlines()] == [
        *(["rule", "jobs"], ["train", "2"], ["all", "jobs", "2"]),
    ]


def test_a_bar_tells_what_is_done_runs_failed_and_the_time_left(drawn):
    lines = [re.split("  +", line.strip()) for line in plain(drawn(COUNTS, colors=False)).splitlines()]
    assert lines == [
        ["prepare_data", "━" * 30, "1/1"],
        ["train_policy", "━" * 10, "4/12", "2 running", "3 min 20 s left"],
        ["judge_responses", "0/24", "1 failed", "?"],
        ["all jobs", "━" * 4, "5/37", "1 failed 2 running", "> 3 min 20 s left"],
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_terminals_without_utf8_get_what_they_can_show(drawn, encoding):
    for thing in (COUNTS, plan_table(COUNTS)):
        assert plain(drawn(thing, encoding=encoding)).isascii()


@pytest.mark.parametrize("width", [1, 5, 20, 30, 44, 45, 60, 200])
def test_no_line_is_wider_than_the_terminal(drawn, width):
    for thing in (COUNTS, plan_table(COUNTS)):
        lines = plain(drawn(thing, width=width)).splitlines()
        assert max(map(len, lines)) <= width and len(lines) == (4 if thing is COUNTS else 5)


def test_on_narrow_terminals_the_state_and_the_bar_give_way_to_numbers_and_time(drawn):
    for width, words, bar in ((200, True, 30), (90, True, 28), (70, True, 0), (52, False, 10), (44, False, 0)):
        lines = plain(drawn(COUNTS, width=width, colors=False)).splitlines()
        assert lines[0].count("━") == bar and ("2 running" in lines[1]) == words, (width, lines)
        assert "4/12" in lines[1] and lines[3].rstrip().endswith("> 3 min 20 s left"), (width, lines)
    assert plain(drawn(COUNTS, width=30)).splitlines()[1].split() == ["train", "4/12", "3", "min", "20", "s", "left"]


def test_low_terminals_have_what_runs_and_what_comes_next_and_all_jobs(drawn):
    many = [Count(f"done{i}", 1, 1, 0, 0, 0, 0, "") for i in range(20)]
    many += [
        Count("running", 3, 1, 1, 0, 2, 0, "1 min"),
        *(Count(f"next{i}", 1, 0, 0, 0, 1, 0, "?") for i in range(20)),
    ]
    many.append(Count("all jobs", 43, 21, 1, 0, 22, 0, "> 1 min"))
    for height in (4, 5, 10, 24):
        lines = plain(drawn(many, height=height)).splitlines()
        names = [line.split()[0] for line in lines[:-1]]
        assert len(lines) < height and lines[-1] == f"and {41 - (height - 3)} more"
        assert names == ["running", *(f"next{i}" for i in range(height - 4)), "all"]
    assert len(plain(drawn(many, height=100)).splitlines()) == 42


def test_without_colours_there_are_none(drawn):
    assert "\x1b[36m" in drawn(COUNTS) and "\x1b[31m" in drawn(COUNTS)
    for code in ("\x1b[36m", "\x1b[31m", "\x1b[38;"):
        assert code not in drawn(COUNTS, colors=False)


def test_lines_above_the_bars_stay_as_they_are(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    stream = Stream()
    above = Above(console(stream, True), stream)
    long = "/a/very/long/path/that/is/wider/than/the/terminal.log [bold]no markup[/bold] :smile:"
    assert above.write(long[:5]) == 5 and stream.text == ""
    above.write(f"{long[5:]}\n")
    assert plain(stream.text) == f"{long}\n"
    above.write("\x1b[31mred\nred too\x1b[0m")
    above.write("\n\n")
    assert plain(stream.text) == f"{long}\nred\nred too\n\n"
    assert stream.text.count("\x1b[31m") == 2, "colours go on over the lines of a message"
    assert above.encoding == "utf-8" and os.environ["COLUMNS"] == "20"

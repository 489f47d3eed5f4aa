"""What the report reads of its files."""

from collections import Counter

import pandas as pd
from fixtures_report import build_report, render
from pages import embedded

from pipeline.jobs.io import write_parquet
from pipeline.report.texts import script_of
from pipeline.results.run_table import read_run_table


def test_no_verdict_is_read_twice(tmp_path, monkeypatch):
    """Neither for the figures and the tables, nor for the browser of responses."""
    build_report(tmp_path, prompts=3)
    read, parts = pd.read_parquet, Counter()

    def counted(path, columns=None, **options):
        parts.update((str(path), column) for column in columns)
        return read(path, columns=columns, **options)

    monkeypatch.setattr(pd, "read_parquet", counted)
    render(tmp_path, "again.html")
    runs = read_run_table(tmp_path / "runs.yaml").runs
    verdicts = {path for run in runs for files in run.verdicts.values() for path in files.values()}
    assert verdicts and verdicts <= {path for path, _ in parts}
    assert {number for (path, _), number in parts.items() if path in verdicts} == {1}


def test_prompts_of_one_script_follow_each_other(tmp_path):
    asked = ["привет мир", "hello world", "你好，世界 a", "добрый день", "good day", "12 + 3 = ?"]
    assert [script_of(text) for text in asked] == ["CYRILLIC", "LATIN", "CJK", "CYRILLIC", "LATIN", ""]
    build_report(tmp_path, prompts=len(asked), render_it=False)
    for path in tmp_path.rglob("responses.parquet"):
        write_parquet(pd.read_parquet(path).assign(prompt=asked), path)
    page = render(tmp_path).read_text()
    [group] = embedded(page, "responses-index")["groups"]
    assert embedded(page, f"chunk-{group['ids']}") == ["p005", "p002", "p000", "p003", "p001", "p004"]

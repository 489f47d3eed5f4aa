"""The report has a section of what alignment costs elsewhere where that was measured."""

import re

from fixtures_lm_eval import put_benchmarks
from fixtures_report import build_report, render
from fixtures_results import DPO, DPR

import compute_alignment_tax


def test_the_section_says_who_lost_and_has_each_task(tmp_path):
    build_report(tmp_path, render_it=False, seeds=(1, 2), prompts=8)
    put_benchmarks(tmp_path / "lm_eval", tmp_path / "runs.yaml")
    table = tmp_path / "alignment_tax.csv"
    compute_alignment_tax.main(["--runs", str(tmp_path / "runs.yaml"), "--output", str(table), "--resamples", "50"])
    page = render(tmp_path, extra=("--alignment-tax", str(table))).read_text()
    section = page[page.index('id="alignment-tax"') :].split("</section>")[0]
    assert re.findall(r"<h3>(.*?)</h3>", section) == ["quiz, acc", "quiz, loose"]
    rows = re.findall(r'<th scope="row">(.*?)</th>(.*?)</tr>', section, re.DOTALL)
    assert [name for name, _ in rows] == ["sft", DPO, DPR, "sft *", f"{DPO} *", f"{DPR} *"]
    assert "−0.375<small>" in rows[2][1] and "+0.250<small>" in rows[1][1] and "–" in rows[0][1]
    assert "4 questions, 5 worked examples" in section and "(marked *)" in section
    assert "With one seed" not in section and "What alignment costs elsewhere" in page

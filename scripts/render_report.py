"""Render the report: one HTML file with the answer, charts, tables, and all responses side by side.

Reads the run table, the files that it names, the result tables, the data cards and the calibration of the scored
splits. The file that it writes opens offline and asks the network for nothing. `--excerpt` is the same page, without
its largest sections where it is too large to be opened within another one, as in Snakemake's report; `--answer` is a
text file with the answer in words.

With --verdicts: the same page from verdicts of others, without a config (`pipeline.exchange.votes` lists their
formats), and with --responses, files of responses. What cannot be shown without the runs is left out, and the page says
what.
"""

from pipeline.jobs.io import command_line, read_json, read_yaml, run, write_text
from pipeline.jobs.records import Record
from pipeline.report import ReportInputs, render_report
from pipeline.report.alignment_tax import alignment_tax_section
from pipeline.report.by_source import source_section
from pipeline.report.calibration import read_calibration
from pipeline.report.human_labels import read_labels
from pipeline.report.judge_quality import judge_section, read_judge_quality
from pipeline.report.judgements import read_judgements
from pipeline.report.labelled_pairs import read_labelled_agreement
from pipeline.report.made_from import made_from_section
from pipeline.report.others import render_others
from pipeline.report.prompt_sets import sets_sections, with_contamination
from pipeline.report.whole_cost import cost_section, read_paid
from pipeline.report.words import answer_in_words
from pipeline.results.alignment_tax import read_alignment_tax
from pipeline.results.csv_tables import named_path
from pipeline.results.overoptimisation import read_overoptimisation
from pipeline.results.parts_table import read_parts_table
from pipeline.results.pedigree import all_jobs
from pipeline.results.run_table import read_run_table
from pipeline.results.score_comparison import read_comparison
from pipeline.results.source_table import read_source_table
from pipeline.results.tables import read_set_rates, read_table
from pipeline.results.whole_cost import whole_costs
from pipeline.results.winrate_vs_cost import read_winrate_vs_cost


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--runs", help="run table (YAML)")
    source.add_argument("--verdicts", help="verdicts of others: .json, .jsonl, .csv or .parquet")
    parser.add_argument("--responses", nargs="+", default=[], help="with --verdicts: responses of the runs, likewise")
    parser.add_argument("--reference", help="with --verdicts: run that the others are compared with")
    parser.add_argument("--winrate", help="win-rate table (CSV); needed with --runs")
    parser.add_argument("--cost", help="cost table (CSV); needed with --runs")
    parser.add_argument("--cards", nargs="*", default=[], help="data cards (JSON)")
    parser.add_argument("--scores", help="comparison of the runs' scores with the pairs' (CSV)")
    parser.add_argument("--calibration", nargs="*", default=[], help="calibration of the scored splits (JSON)")
    parser.add_argument(
        "--pairs", type=named_path, nargs="*", default=[], metavar="DATASET=FILE", help="scored judged splits, parquet"
    )
    parser.add_argument("--judges", nargs="*", default=[], help="measured quality of the judges (JSON)")
    parser.add_argument("--judged", nargs="*", default=[], help="the verdicts that they were measured by (parquet)")
    parser.add_argument("--labels", help="people's verdicts on pairs of responses (CSV, JSON lines or parquet)")
    parser.add_argument("--judgements", help="judges' raw replies: their folder, a store, or a parquet table")
    parser.add_argument("--selection", help="win-rate table of the same runs on the selection split (CSV)")
    parser.add_argument("--by-source", help="win rates on mixes by source (CSV)")
    parser.add_argument("--by-category", help="win rates on sets of prompts by category (CSV)")
    parser.add_argument(
        "--contamination",
        type=named_path,
        nargs="*",
        default=[],
        metavar="DATASET=FILE",
        help="what train splits share with sets of prompts (JSON)",
    )
    parser.add_argument("--config", help="the whole config, with every default and entry (YAML)")
    parser.add_argument("--dollars-per-hour", type=float, help="what an hour of a job costs")
    parser.add_argument("--parts", help="parts of the verdicts (CSV)")
    parser.add_argument("--front", help="win rates against costs (CSV)")
    parser.add_argument("--overoptimisation", help="scores of checkpoints against KL (CSV)")
    parser.add_argument("--alignment-tax", help="benchmarks of lm-eval (CSV)")
    parser.add_argument("--output", required=True, help="report to write (HTML)")
    parser.add_argument("--excerpt", help="the page, or what of it browsers open within another page, to write (HTML)")
    parser.add_argument("--answer", help="the answer in words to write (text)")
    arguments = parser.parse_args(argv)
    if arguments.verdicts:
        record = Record(__file__, arguments, ("verdicts", "responses"), ("output",), {"reference": arguments.reference})
        page, note = render_others(arguments.verdicts, arguments.responses, arguments.reference)
        write_text(page, arguments.output)
        record.write()
        print(note)
        return
    if not (arguments.winrate and arguments.cost):
        parser.error("--winrate and --cost go with --runs")
    pairs = dict(arguments.pairs)
    table = read_run_table(arguments.runs)
    read = ("runs", "winrate", "cost", "cards", "scores", "calibration", "judges", "judgements", "selection", "config")
    read += ("judged", "labels")
    contamination = dict(arguments.contamination)
    files = [*table.paths("responses"), *pairs.values(), *contamination.values()]
    tables = ("by_source", "by_category", "parts", "front", "overoptimisation", "alignment_tax")
    record = Record(__file__, arguments, (*read, *tables), ("output", "excerpt", "answer"), table.summary, files=files)
    judges = [read_judge_quality(path) for path in arguments.judges]
    more = [judge_section(judges)] if judges else []
    if arguments.by_source:
        more.insert(0, source_section(read_source_table(arguments.by_source)))
    more = sets_sections(table, read_set_rates(arguments.winrate), arguments.by_category) + more
    costs = whole_costs(table, read_paid(arguments.judgements) if arguments.judgements else {})
    if whole := cost_section(costs, arguments.dollars_per_hour):
        more.insert(0, whole)
    if arguments.alignment_tax:
        more.append(alignment_tax_section(read_alignment_tax(arguments.alignment_tax)))
    made_from = made_from_section(all_jobs(table), read_yaml(arguments.config) if arguments.config else None)
    inputs = ReportInputs(
        table,
        read_table(arguments.winrate),
        read_table(arguments.cost),
        cards=[with_contamination(read_json(card), contamination) for card in arguments.cards],
        scores=read_comparison(arguments.scores) if arguments.scores else [],
        splits=[read_calibration(path) for path in arguments.calibration],
        pairs=pairs,
        replies=read_judgements(arguments.judgements) if arguments.judgements else {},
        selection=read_table(arguments.selection) if arguments.selection else None,
        parts=read_parts_table(arguments.parts) if arguments.parts else None,
        front=read_winrate_vs_cost(arguments.front) if arguments.front else None,
        overoptimisation=read_overoptimisation(arguments.overoptimisation) if arguments.overoptimisation else None,
        labels=read_labels(arguments.labels) if arguments.labels else {},
        labelled=read_labelled_agreement(judges, arguments.judged, pairs),
        more=more,
        last=[made_from] if made_from else [],
    )
    page = render_report(inputs)
    whole = page.html()
    if arguments.answer:
        write_text(answer_in_words(table, inputs.winrate, inputs.selection), arguments.answer)
    if arguments.excerpt:
        write_text(page.excerpt(whole, arguments.output), arguments.excerpt)
    write_text(whole, arguments.output)
    record.write()


if __name__ == "__main__":
    run(main)

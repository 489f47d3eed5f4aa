# Costs, figures, the HTML report.


rule compute_cost:
    input:
        plan.files("cost"),
        runs="results/specs/runs.yaml",
    output:
        in_report("results/cost.csv", "Cost", "training cost", "table", caption="cost_table"),
    log:
        "results/logs/compute_cost.log",
    benchmark:
        "results/benchmarks/compute_cost.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("compute_cost.py"),
    shell:
        "python scripts/compute_cost.py --runs {input.runs:q} --output {output:q} > {log:q} 2>&1"


rule compare_costs:
    # Win rates against what the runs cost, and the Pareto front.
    input:
        plan.files("verdicts", "cost"),
        runs="results/specs/runs.yaml",
        winrate="results/winrate.csv",
    output:
        table=in_report(
            "results/winrate_vs_cost.csv",
            "Win rates",
            "win rate against cost",
            "table",
            caption="winrate_vs_cost_table",
        ),
        figure=in_report("results/figures/winrate_vs_cost.svg", "Win rates", "win rate against cost"),
    log:
        "results/logs/compare_costs.log",
    benchmark:
        "results/benchmarks/compare_costs.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("compare_costs.py"),
        price=plan.price_arguments(),
    shell:
        "python scripts/compare_costs.py --runs {input.runs:q} --winrate {input.winrate:q} {params.price:q}"
        " --output {output.table:q} --figure {output.figure:q} > {log:q} 2>&1"


rule measure_parts:
    # What gains are made of, where a judge gives parts of its verdicts.
    input:
        plan.files("verdicts"),
        runs="results/specs/runs.yaml",
    output:
        table=in_report("results/parts.csv", "Win rates", "parts of the verdicts", "table"),
        figure=in_report("results/figures/parts.svg", "Win rates", "parts of the verdicts"),
    log:
        "results/logs/measure_parts.log",
    benchmark:
        "results/benchmarks/measure_parts.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("measure_parts.py"),
    shell:
        "python scripts/measure_parts.py --runs {input.runs:q} --output {output.table:q} --figure {output.figure:q} > {log:q} 2>&1"


rule plot_figures:
    input:
        plan.files("metrics", "verdicts", "scores"),
        [plan.bt_split(dataset, SPLIT) for dataset in DATASETS],
        runs="results/specs/runs.yaml",
        winrate="results/winrate.csv",
        cost="results/cost.csv",
    output:
        in_report("results/figures/winrate.svg", "Win rates", "win rates"),
        in_report("results/figures/rating.svg", "Win rates", "Bradley-Terry ratings"),
        in_report("results/figures/winrate_vs_kl.svg", "Win rates", "win rate against KL"),
        in_report("results/figures/winrate_vs_length.svg", "Win rates", "win rate against length"),
        in_report("results/figures/cost.svg", "Cost", "training cost"),
        in_report("results/figures/reward.svg", "Rewards", "mean reward"),
        in_report("results/figures/agreement_vs_kl.svg", "Rewards", "agreement of judge and reward model against KL"),
        in_report("results/figures/learning_curves.svg", "Training", "learning curves"),
        "results/figures/winrate.png",
    log:
        "results/logs/plot_figures.log",
    benchmark:
        "results/benchmarks/plot_figures.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("plot_figures.py"),
        folder=subpath(output[0], parent=True),
        pairs=[f"{dataset}={plan.bt_split(dataset, SPLIT)}" for dataset in DATASETS],
    shell:
        "python scripts/plot_figures.py --runs {input.runs:q} --winrate {input.winrate:q} --cost {input.cost:q}"
        " --pairs {params.pairs:q} --output-dir {params.folder:q} > {log:q} 2>&1"


rule render_report:
    input:
        plan.files("responses", "verdicts", "scores", "evaluation", "metrics", "cost"),
        [plan.bt_split(dataset, SPLIT) for dataset in DATASETS],
        runs="results/specs/runs.yaml",
        winrate="results/winrate.csv",
        cost="results/cost.csv",
        front="results/winrate_vs_cost.csv",
        scores="results/score_comparison.csv",
        calibration=[plan.calibrations(dataset) for dataset in DATASETS],
        judges=plan.measured_judges(),
        judged=plan.measured_judges("parquet"),
        labels=plan.label_file(),
        cards=expand("results/data/{dataset}/card.json", dataset=plan.prepared),
        contamination=contaminations(settings),
        by_category=category_table(settings),
        selection=plan.selection_table(),
        by_source=plan.source_table(),
        config="results/specs/config.yaml",
        parts=plan.parts_table(),
        overoptimisation=overoptimisation_table(settings),
        alignment_tax=alignment_tax_table(settings),
        page=plan.page_files(),
    output:
        page=in_report("results/report.html", "Report", "the whole report", "page"),
        excerpt=excerpt_in_report("results/report_excerpt.html", whole="results/report.html"),
        answer="results/answer.txt",
    log:
        "results/logs/render_report.log",
    benchmark:
        "results/benchmarks/render_report.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("render_report.py"),
        pairs=[f"{dataset}={plan.bt_split(dataset, SPLIT)}" for dataset in DATASETS],
        selection=lambda w, input: ["--selection", *input.selection] if input.selection else [],
        by_source=plan.source_arguments(),
        parts=[part for path in plan.parts_table() for part in ("--parts", path)],
        overoptimisation=lambda w, input: (
            ["--overoptimisation", *input.overoptimisation] if input.overoptimisation else []
        ),
        sets=set_report_arguments(settings),
        alignment_tax=[part for path in alignment_tax_table(settings) for part in ("--alignment-tax", path)],
        labels=lambda w, input: ["--labels", *input.labels] if input.labels else [],
        judgements=JUDGEMENTS,
        price=plan.price_arguments(),
    shell:
        "python scripts/render_report.py --runs {input.runs:q} --winrate {input.winrate:q} --cost {input.cost:q}"
        " --front {input.front:q} --cards {input.cards:q} --scores {input.scores:q} --calibration {input.calibration:q} --pairs {params.pairs:q}"
        " --judgements {params.judgements:q} {params.selection:q} {params.by_source:q} {params.parts:q}"
        " {params.overoptimisation:q} {params.alignment_tax:q} {params.sets:q} --judges {input.judges:q} --judged {input.judged:q} {params.labels:q} --config {input.config:q} {params.price:q}"
        " --output {output.page:q} --excerpt {output.excerpt:q} --answer {output.answer:q} > {log:q} 2>&1"


rule track_winrates:
    input:
        winrate="results/winrate.csv",
    output:
        "results/tracked.json",
    log:
        "results/logs/track_winrates.log",
    benchmark:
        "results/benchmarks/track_winrates.tsv"
    conda:
        "../envs/pipeline.yaml"
    resources:
        wandb=WANDB,
    params:
        code=code("track_winrates.py"),
        tag=settings.tag,
    shell:
        "python scripts/track_winrates.py --winrate {input.winrate:q} --tag {params.tag:q} --wandb {resources.wandb:q}"
        " --output {output:q} > {log:q} 2>&1"

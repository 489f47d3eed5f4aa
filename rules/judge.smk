# Responses -> verdicts against the dataset's chosen responses and against the baseline run -> win rates; what judges
# cost, and how well they agree with the dataset's labels.


# What a judge takes: a GPU where it is a reward model, a turn where it is asked over the network.
JUDGING = {
    "gpu": lambda w: min(GPUS, 1) if plan.judge_kind(w) == "reward" else 0,
    "judge": lambda w: int(plan.judge_kind(w) == "openai"),
    "device": settings.device,
}


rule judge_responses:
    input:
        unpack(lambda w: reward_inputs(w.dataset, plan.judge_reward(w))),
        spec=lambda w: f"results/specs/judge/{plan.judge_of(w)}.yaml",
        responses="results/responses/{dataset}/{model}/{run}/seed{seed}{further}/{split}.parquet",
        baseline=lambda w: (
            f"results/data/{w.dataset}/{w.split}.parquet"
            if w.baseline == "chosen"
            else f"results/responses/{w.dataset}/{w.model}/{w.baseline}/seed{w.seed}{w.further}/{w.split}.parquet"
        ),
    output:
        "results/verdicts/{dataset}/{model}/{run}/seed{seed}{further}/{split}-vs-{baseline}.parquet",
    log:
        "results/logs/judge_responses/{dataset}/{model}/{run}/seed{seed}{further}/{split}-vs-{baseline}.log",
    benchmark:
        "results/benchmarks/judge_responses/{dataset}/{model}/{run}/seed{seed}{further}/{split}-vs-{baseline}.tsv"
    conda:
        "../envs/pipeline.yaml"
    resources:
        **JUDGING,
    params:
        code=lambda w: code("judge_responses.py", f"judge/{plan.judge_of(w)}", plan.judge_reward(w)),
        judge=plan.judge_arguments,
    shell:
        "python scripts/judge_responses.py --spec {input.spec:q} --responses {input.responses:q} --run {wildcards.run:q}"
        " --seed {wildcards.seed:q} --baseline {wildcards.baseline:q} --baseline-responses {input.baseline:q}"
        " {params.judge} --output {output:q} --device {resources.device:q} > {log:q} 2>&1"


use rule judge_responses as judge_prompts with:
    # Responses to a set of prompts, by its judge: against its reference answers, the baseline run, or by themselves.
    input:
        unpack(lambda w: reward_inputs(w.dataset, plan.judge_reward(w))),
        spec=lambda w: f"results/specs/judge/{plan.judge_of(w)}.yaml",
        responses="results/responses/{dataset}/{model}/{run}/seed{seed}{further}/prompts/{set}.parquet",
        baseline=set_opponent,
        prompts="results/prompts/{set}.parquet",
    output:
        "results/verdicts/{dataset}/{model}/{run}/seed{seed}{further}/prompts/{set}-vs-{baseline}.parquet",
    log:
        "results/logs/judge_prompts/{dataset}/{model}/{run}/seed{seed}{further}/{set}-vs-{baseline}.log",
    benchmark:
        "results/benchmarks/judge_prompts/{dataset}/{model}/{run}/seed{seed}{further}/{set}-vs-{baseline}.tsv"


rule measure_judge:
    # The dataset's judge, or another of the config's, compares the dataset's chosen with its rejected responses.
    input:
        unpack(lambda w: reward_inputs(w.dataset, plan.judge_reward(w))),
        spec="results/specs/judge/{judge}.yaml",
        pairs="results/data/{dataset}/{split}.parquet",
    output:
        verdicts="results/judge_quality/{dataset}/{judge}/{split}.parquet",
        measured="results/judge_quality/{dataset}/{judge}/{split}.json",
        table=in_report("results/judge_quality/{dataset}/{judge}/{split}.csv", "Judge", "agreement and biases", "table"),
    log:
        "results/logs/measure_judge/{dataset}/{judge}/{split}.log",
    benchmark:
        "results/benchmarks/measure_judge/{dataset}/{judge}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    resources:
        **JUDGING,
    params:
        code=lambda w: code("measure_judge.py", f"judge/{plan.judge_of(w)}", plan.judge_reward(w)),
        judge=plan.judge_arguments,
        pairs=QUALITY["pairs"],
        seed=QUALITY["seed"],
    shell:
        "python scripts/measure_judge.py --spec {input.spec:q} --pairs {input.pairs:q} --dataset {wildcards.dataset:q}"
        " --split {wildcards.split:q} --sample {params.pairs:q} --sample-seed {params.seed:q} {params.judge}"
        " --verdicts {output.verdicts:q} --output {output.measured:q} --table {output.table:q} --device {resources.device:q} > {log:q} 2>&1"


rule judge_cost:
    # Prints and makes nothing, not even a benchmark file, so that it runs whenever it is asked for. It needs the prompts,
    # not the responses.
    input:
        [[paid[name] for name in ("runs", "split", "spec", "service")] for paid in plan.paid_splits()],
    log:
        "results/logs/judge_cost.log",
    conda:
        "../envs/pipeline.yaml"
    params:
        store=JUDGEMENTS,
        longest=max(settings.config["decodings"][name]["max_new_tokens"] for name in settings.decodings),
        datasets=[text for paid in plan.paid_splits() for name, value in paid.items() for text in (f"--{name}", value)],
        pairs=QUALITY["pairs"] * QUALITY["paid"],
        seed=QUALITY["seed"],
    shell:
        "python scripts/judge_cost.py {params.datasets:q} --store {params.store:q}"
        " --max-new-tokens {params.longest:q} --quality-pairs {params.pairs:q} --quality-seed {params.seed:q}"
        " 2>&1 | tee {log:q}"


rule compute_winrate:
    input:
        plan.files("verdicts", "scores", "evaluation", "responses", "cost"),
        *plan.mixes(SPLIT).values(),
        set_files(plan, "verdicts", "responses", "cost"),
        [set_path(name) for name in settings.prompt_sets],
        runs="results/specs/runs.yaml",
        judges=plan.measured_judges(),
        sets=[set_table(name) for name in settings.prompt_sets],
    output:
        **{"by_source": in_report(path, "Win rates", "win rates by source", "table") for path in plan.source_table()},
        **{
            "by_category": in_report(path, "Win rates", "win rates by category", "table")
            for path in category_table(settings)
        },
        winrate=in_report("results/winrate.csv", "Win rates", "win rates", "table", caption="winrate_table"),
    log:
        "results/logs/compute_winrate.log",
    benchmark:
        "results/benchmarks/compute_winrate.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("compute_winrate.py"),
        by_source=plan.source_arguments(),
        judges=lambda w, input: ["--judges", *input.judges] if input.judges else [],
        sets=set_arguments(settings) + [part for path in category_table(settings) for part in ("--by-category", path)],
    shell:
        "python scripts/compute_winrate.py --runs {input.runs:q} --output {output.winrate:q} {params.by_source:q}"
        " {params.judges:q} {params.sets:q} > {log:q} 2>&1"


use rule compute_winrate as compute_selection with:
    # The same runs on the prompts that hyperparameters are chosen by.
    input:
        plan.files("verdicts", "scores", "evaluation", "responses", "cost", split="selection"),
        runs="results/specs/selection.yaml",
    output:
        winrate="results/selection.csv",
    log:
        "results/logs/compute_selection.log",
    benchmark:
        "results/benchmarks/compute_selection.tsv"
    params:
        code=code("compute_winrate.py"),
        by_source=[],
        judges=[],
        sets=[],

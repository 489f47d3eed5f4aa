# Responses -> verdicts against the dataset's chosen responses and against the baseline run -> win rates.


rule judge_responses:
    input:
        unpack(judge_reward_files),
        spec=lambda w: f"results/specs/judge/{settings.judge_name(w.dataset)}.yaml",
        responses="results/responses/{dataset}/{model}/{run}/seed{seed}/{split}.parquet",
        baseline=lambda w: (
            f"results/data/{w.dataset}/{w.split}.parquet"
            if w.baseline == "chosen"
            else f"results/responses/{w.dataset}/{w.model}/{w.baseline}/seed{w.seed}/{w.split}.parquet"
        ),
    output:
        "results/verdicts/{dataset}/{model}/{run}/seed{seed}/{split}-vs-{baseline}.parquet",
    log:
        "results/logs/judge_responses/{dataset}/{model}/{run}/seed{seed}/{split}-vs-{baseline}.log",
    benchmark:
        "results/benchmarks/judge_responses/{dataset}/{model}/{run}/seed{seed}/{split}-vs-{baseline}.tsv"
    conda:
        "../envs/pipeline.yaml"
    resources:
        gpu=lambda w: int(judge_kind(w) == "reward"),
        device=settings.device,
    params:
        code=code("judge_responses.py"),
        reward=judge_reward_arguments,
    shell:
        "python scripts/judge_responses.py --spec {input.spec} --responses {input.responses} --run {wildcards.run}"
        " --seed {wildcards.seed} --baseline {wildcards.baseline} --baseline-responses {input.baseline}"
        " {params.reward} --output {output} --device {resources.device} > {log} 2>&1"


rule compute_winrate:
    input:
        files_of("verdicts"),
        files_of("scores"),
        files_of("evaluation"),
        files_of("responses"),
        runs="results/specs/runs.yaml",
    output:
        report(
            "results/winrate.csv",
            caption="captions/winrate_table.rst",
            category="Win rates",
            labels={"what": "win rates", "form": "table"},
        ),
    log:
        "results/logs/compute_winrate.log",
    benchmark:
        "results/benchmarks/compute_winrate.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("compute_winrate.py"),
    shell:
        "python scripts/compute_winrate.py --runs {input.runs} --output {output} > {log} 2>&1"


use rule compute_winrate as compute_selection with:
    # The same runs on the prompts that hyperparameters are chosen by.
    input:
        files_of("verdicts", "selection"),
        files_of("scores", "selection"),
        files_of("evaluation", "selection"),
        files_of("responses", "selection"),
        runs="results/specs/selection.yaml",
    output:
        "results/selection.csv",
    log:
        "results/logs/compute_selection.log",
    benchmark:
        "results/benchmarks/compute_selection.tsv"

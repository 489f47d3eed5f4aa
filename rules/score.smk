# Reward scores of generated responses, Bradley-Terry-scored splits of the datasets, and how well those scores hold.


rule score_responses:
    # All seeds in one job: a reward model is loaded once per run.
    input:
        unpack(lambda w: reward_model_files(w.dataset, settings.reward_model_name(w.dataset))),
        spec=lambda w: reward_spec(settings.reward_model_name(w.dataset)),
        responses=per_seed("results/responses/{dataset}/{model}/{run}/seed{seed}{further}/{split}.parquet"),
    output:
        per_seed("results/scores/{dataset}/{model}/{run}/seed{seed}{further}/{split}.parquet"),
    log:
        "results/logs/score_responses/{dataset}/{model}/{run}{further}/{split}.log",
    benchmark:
        "results/benchmarks/score_responses/{dataset}/{model}/{run}{further}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads(is_loaded_reward)
    resources:
        **SHARING,
        **sizes(is_loaded_reward),
    params:
        code=lambda w: code("score_responses.py", reward_model=settings.reward_model_name(w.dataset)),
        reward_model=lambda w: plan.reward_model_path(w.dataset, settings.reward_model_name(w.dataset)),
    shell:
        "{resources.launch} scripts/score_responses.py --spec {input.spec:q} --responses {input.responses:q}"
        " --reward-model {params.reward_model:q} --output {output:q}"
        " --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} > {log:q} 2>&1"


rule score_bt:
    input:
        unpack(lambda w: reward_model_files(w.dataset, w.reward_model)),
        spec=lambda w: reward_spec(w.reward_model),
        data="results/data/{dataset}/{split}.parquet",
    output:
        "results/bt/{dataset}/{reward_model}/{split}.parquet",
    log:
        "results/logs/score_bt/{dataset}/{reward_model}/{split}.log",
    benchmark:
        "results/benchmarks/score_bt/{dataset}/{reward_model}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads(is_loaded_reward)
    resources:
        **SHARING,
        **sizes(is_loaded_reward),
    params:
        code=lambda w: code("score_bt.py", reward_model=w.reward_model, source="plain"),
        reward_model=lambda w: plan.reward_model_path(w.dataset, w.reward_model),
        dataset=subpath(input.data, parent=True),
        folder=subpath(output[0], parent=True),
    shell:
        "{resources.launch} scripts/score_bt.py --dataset {params.dataset:q} --split {wildcards.split:q}"
        " --score_model_id {params.reward_model:q} --spec {input.spec:q} --output {params.folder:q}"
        " --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} > {log:q} 2>&1"


rule measure_calibration:
    input:
        "results/bt/{dataset}/{reward_model}/{split}.parquet",
    output:
        in_report("results/calibration/{dataset}/{reward_model}/{split}/reliability.svg", "Calibration", "reliability"),
        in_report("results/calibration/{dataset}/{reward_model}/{split}/margins.svg", "Calibration", "margins"),
        in_report(
            "results/calibration/{dataset}/{reward_model}/{split}/lengths.svg", "Calibration", "scores and lengths"
        ),
        measured=in_report(
            "results/calibration/{dataset}/{reward_model}/{split}.json", "Calibration", "in numbers", "JSON"
        ),
    log:
        "results/logs/measure_calibration/{dataset}/{reward_model}/{split}.log",
    benchmark:
        "results/benchmarks/measure_calibration/{dataset}/{reward_model}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("measure_calibration.py"),
        folder=subpath(output[0], parent=True),
    shell:
        "python scripts/measure_calibration.py --scored {input:q} --dataset {wildcards.dataset:q}"
        " --reward-model {wildcards.reward_model:q} --split {wildcards.split:q} --output {output.measured:q}"
        " --figures {params.folder:q} > {log:q} 2>&1"


rule compare_scores:
    input:
        plan.files("scores", "responses"),
        [plan.bt_split(dataset, SPLIT) for dataset in DATASETS],
        runs="results/specs/runs.yaml",
    output:
        in_report("results/score_comparison.csv", "Rewards", "scores of responses and of the pairs", "table"),
    log:
        "results/logs/compare_scores.log",
    benchmark:
        "results/benchmarks/compare_scores.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("compare_scores.py"),
        pairs=[f"{dataset}={plan.bt_split(dataset, SPLIT)}" for dataset in DATASETS],
    shell:
        "python scripts/compare_scores.py --runs {input.runs:q} --pairs {params.pairs:q} --output {output:q} > {log:q} 2>&1"

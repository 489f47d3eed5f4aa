# Reward scores of generated responses, Bradley-Terry-scored splits of the datasets.


rule score_responses:
    # All seeds in one job: a reward model is loaded once per run.
    input:
        unpack(reward_model_files),
        spec=reward_spec_file,
        responses=per_seed("results/responses/{dataset}/{model}/{run}/seed{seed}/{split}.parquet"),
    output:
        per_seed("results/scores/{dataset}/{model}/{run}/seed{seed}/{split}.parquet"),
    log:
        "results/logs/score_responses/{dataset}/{model}/{run}/{split}.log",
    benchmark:
        "results/benchmarks/score_responses/{dataset}/{model}/{run}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    resources:
        gpu=1,
        device=settings.device,
    params:
        code=code("score_responses.py"),
        reward_model=reward_model_path,
    shell:
        "python scripts/score_responses.py --spec {input.spec} --responses {input.responses}"
        " --reward-model {params.reward_model} --output {output}"
        " --device {resources.device} --threads 1 > {log} 2>&1"


rule score_bt:
    input:
        unpack(reward_model_files),
        spec="results/specs/reward/{reward_model}.yaml",
        data="results/data/{dataset}/{split}.parquet",
    output:
        "results/bt/{dataset}/{reward_model}/{split}.parquet",
    log:
        "results/logs/score_bt/{dataset}/{reward_model}/{split}.log",
    benchmark:
        "results/benchmarks/score_bt/{dataset}/{reward_model}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    resources:
        gpu=1,
        device=settings.device,
    params:
        code=code("score_bt.py"),
        reward_model=reward_model_path,
        dataset=subpath(input.data, parent=True),
        folder=subpath(output[0], parent=True),
    shell:
        "python scripts/score_bt.py --dataset {params.dataset} --split {wildcards.split}"
        " --score_model_id {params.reward_model} --spec {input.spec} --output {params.folder}"
        " --device {resources.device} --threads 1 > {log} 2>&1"

# Kept checkpoints of policies -> responses, scores and KL -> reward against KL. Only where the config has
# evaluate_checkpoints.


rule evaluate_checkpoints:
    input:
        unpack(
            lambda w: kept_files(w)
            | own_start(w)
            | label_files(w.dataset, w.seed)
            | reward_inputs(w.dataset, plan.judge_reward(w))
        ),
        spec=lambda w: f"results/specs/judge/{plan.judge_of(w)}.yaml",
        sampling="results/specs/checkpoints/{model}.yaml",
        data="results/data/{dataset}/{split}.parquet",
    output:
        "results/checkpoints/{dataset}/{model}/{run}/seed{seed}/{split}-of{kept}.parquet",
    log:
        "results/logs/evaluate_checkpoints/{dataset}/{model}/{run}/seed{seed}/{split}-of{kept}.log",
    benchmark:
        "results/benchmarks/evaluate_checkpoints/{dataset}/{model}/{run}/seed{seed}/{split}-of{kept}.tsv"
    wildcard_constraints:
        run=one_of(ASKED),
        kept=str(settings.config["evaluate_checkpoints"]),
    conda:
        "../envs/pipeline.yaml"
    threads: lambda w: threads_of(is_loaded(w), 1)
    resources:
        **sizes(),
        gpu=min(GPUS, 1),
        device=settings.device,
    params:
        code=lambda w: code(
            "evaluate_checkpoints.py",
            f"judge/{plan.judge_of(w)}",
            plan.judge_reward(w),
            text_format=SPECS[f"reward/{settings.reward_model_name(w.dataset)}"]().get("text_format"),
            decoding=SPECS[f"checkpoints/{w.model}"]()["decoding"],
        ),
        policy=plan.policy_path,
        start=lambda w: plan.start_path(w.dataset, w.model, plan.start_chain(w.model, w.seed)),
        kept=lambda w, input: ["--checkpoints", input.kept_steps] if "kept_steps" in input.keys() else [],
        labels=lambda w: plan.reward_model_path(w.dataset, settings.reward_model_name(w.dataset), w.seed),
        judge=lambda w, input: plan.reward_arguments(w.dataset, plan.judge_reward(w), input),
    shell:
        "python scripts/evaluate_checkpoints.py --sampling {input.sampling:q} --data {input.data:q} --model {params.policy:q}"
        " {params.kept:q} --reference-model {params.start:q} --seed {wildcards.seed:q} --label-spec {input.label_reward_spec:q}"
        " --label-model {params.labels:q} --spec {input.spec:q} {params.judge} --output {output:q}"
        " --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} > {log:q} 2>&1"


rule compute_overoptimisation:
    input:
        scores=plan.files("checkpoints"),
        runs="results/specs/runs.yaml",
    output:
        figure=in_report(
            "results/figures/overoptimisation.svg", "Rewards", "rewards against KL", caption="overoptimisation"
        ),
        table=in_report("results/overoptimisation.csv", "Rewards", "rewards against KL", "table"),
    log:
        "results/logs/compute_overoptimisation.log",
    benchmark:
        "results/benchmarks/compute_overoptimisation.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("compute_overoptimisation.py"),
    shell:
        "python scripts/compute_overoptimisation.py --runs {input.runs:q} --output {output.table:q}"
        " --figure {output.figure:q} > {log:q} 2>&1"

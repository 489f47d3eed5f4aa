# Policy × prompts -> responses, and the log-probabilities behind implicit rewards and KL.


rule generate_responses:
    input:
        unpack(lambda w: policy_files(w) | start_files(w.dataset, w.model)),
        spec="results/specs/generation/{model}.yaml",
        data="results/data/{dataset}/{split}.parquet",
        reference="results/reference/{dataset}/{model}/{split}.parquet",
    output:
        responses="results/responses/{dataset}/{model}/{run}/seed{seed}/{split}.parquet",
        evaluation="results/evaluations/{dataset}/{model}/{run}/seed{seed}/{split}.parquet",
    log:
        "results/logs/generate_responses/{dataset}/{model}/{run}/seed{seed}/{split}.log",
    benchmark:
        "results/benchmarks/generate_responses/{dataset}/{model}/{run}/seed{seed}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: PROCESSES
    resources:
        **SHARING,
    params:
        code=lambda w: code("generate_responses.py", f"generation/{w.model}"),
        policy=plan.policy_path,
        start=lambda w: plan.start_path(w.dataset, w.model),
    shell:
        "{resources.launch} scripts/generate_responses.py --spec {input.spec} --data {input.data} --reference {input.reference}"
        " --model {params.policy} --reference-model {params.start} --seed {wildcards.seed}"
        " --responses {output.responses} --evaluation {output.evaluation}"
        " --device {resources.device} --threads 1 > {log} 2>&1"

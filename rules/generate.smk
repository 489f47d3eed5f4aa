# Policy × prompts -> responses, and the log-probabilities behind implicit rewards and KL.


rule generate_responses:
    input:
        spec="results/specs/generation/{model}.yaml",
        data="results/data/{dataset}/{split}.parquet",
        reference="results/reference/{dataset}/{model}/{split}.parquet",
        policy=lambda w: ancient(f"{plan.policy_folder(w)}/model"),
        policy_manifest=lambda w: f"{plan.policy_folder(w)}/manifest.json",
        sft=ancient("results/sft/{dataset}/{model}/model"),
        sft_manifest="results/sft/{dataset}/{model}/manifest.json",
    output:
        responses="results/responses/{dataset}/{model}/{run}/seed{seed}/{split}.parquet",
        evaluation="results/evaluations/{dataset}/{model}/{run}/seed{seed}/{split}.parquet",
    log:
        "results/logs/generate_responses/{dataset}/{model}/{run}/seed{seed}/{split}.log",
    benchmark:
        "results/benchmarks/generate_responses/{dataset}/{model}/{run}/seed{seed}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads()
    resources:
        **SHARING,
        **sizes(),
    params:
        code=lambda w: code("generate_responses.py", f"generation/{w.model}"),
    shell:
        "{resources.launch} scripts/generate_responses.py --spec {input.spec} --data {input.data} --reference {input.reference}"
        " --model {input.policy} --reference-model {input.sft} --seed {wildcards.seed}"
        " --responses {output.responses} --evaluation {output.evaluation}"
        " --device {resources.device} --threads {resources.own_threads} --side-by-side {resources.side_by_side} > {log} 2>&1"

# Policy × prompts -> responses, and the log-probabilities behind implicit rewards and KL.


rule generate_responses:
    input:
        spec="results/specs/generation/{model}.yaml",
        data="results/data/{dataset}/{split}.parquet",
        policy=lambda w: ancient(f"{policy_folder(w)}/model"),
        policy_manifest=lambda w: f"{policy_folder(w)}/manifest.json",
    output:
        "results/responses/{dataset}/{model}/{run}/seed{seed}/{split}.parquet",
    params:
        code=code("generate_responses.py"),
    log:
        "results/logs/generate_responses/{dataset}/{model}/{run}/seed{seed}/{split}.log",
    benchmark:
        "results/benchmarks/generate_responses/{dataset}/{model}/{run}/seed{seed}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    resources:
        gpu=1,
        device=settings.device,
    shell:
        "python scripts/generate_responses.py --spec {input.spec} --data {input.data} --model {input.policy}"
        " --seed {wildcards.seed} --output {output} --device {resources.device} --threads 1 > {log} 2>&1"


rule evaluate_policy:
    input:
        spec="results/specs/generation/{model}.yaml",
        data="results/data/{dataset}/{split}.parquet",
        reference="results/reference/{dataset}/{model}/{split}.parquet",
        responses="results/responses/{dataset}/{model}/{run}/seed{seed}/{split}.parquet",
        policy=lambda w: ancient(f"{policy_folder(w)}/model"),
        policy_manifest=lambda w: f"{policy_folder(w)}/manifest.json",
        sft=ancient("results/sft/{dataset}/{model}/model"),
        sft_manifest="results/sft/{dataset}/{model}/manifest.json",
    output:
        "results/evaluations/{dataset}/{model}/{run}/seed{seed}/{split}.parquet",
    params:
        code=code("evaluate_policy.py"),
    log:
        "results/logs/evaluate_policy/{dataset}/{model}/{run}/seed{seed}/{split}.log",
    benchmark:
        "results/benchmarks/evaluate_policy/{dataset}/{model}/{run}/seed{seed}/{split}.tsv"
    conda:
        "../envs/pipeline.yaml"
    resources:
        gpu=1,
        device=settings.device,
    shell:
        "python scripts/evaluate_policy.py --spec {input.spec} --data {input.data} --reference {input.reference}"
        " --responses {input.responses} --model {input.policy} --reference-model {input.sft}"
        " --output {output} --device {resources.device} --threads 1 > {log} 2>&1"

# SFT, reward model, reference log-probabilities, policies. A trained folder is known by its manifest, written last:
# what depends on the model depends on the manifest's content, not on dates.


rule train_sft:
    input:
        spec="results/specs/sft/{dataset}/{model}.yaml",
        data="results/data/{dataset}/train.parquet",
    output:
        model=directory("results/sft/{dataset}/{model}/model"),
        manifest="results/sft/{dataset}/{model}/manifest.json",
        metrics="results/sft/{dataset}/{model}/metrics.parquet",
        cost="results/sft/{dataset}/{model}/cost.json",
    log:
        "results/logs/train_sft/{dataset}/{model}.log",
    benchmark:
        "results/benchmarks/train_sft/{dataset}/{model}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads(usual=2)
    resources:
        **TRAINING,
        **sizes(usual=2),
    params:
        code=code("train_sft.py"),
        folder=subpath(output.manifest, parent=True),
    shell:
        "OMP_WAIT_POLICY=passive {resources.launch} scripts/train_sft.py"
        " --spec {input.spec:q} --data {input.data:q} --output-dir {params.folder:q}"
        " --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} --wandb {resources.wandb:q} > {log:q} 2>&1"


rule train_reward:
    input:
        unpack(lambda w: reward_start(w.dataset, w.reward_model)),
        spec="results/specs/reward/{reward_model}.yaml",
        data="results/data/{dataset}/train.parquet",
    output:
        model=directory("results/reward_models/{dataset}/{reward_model}/model"),
        manifest="results/reward_models/{dataset}/{reward_model}/manifest.json",
        metrics="results/reward_models/{dataset}/{reward_model}/metrics.parquet",
        cost="results/reward_models/{dataset}/{reward_model}/cost.json",
    log:
        "results/logs/train_reward/{dataset}/{reward_model}.log",
    benchmark:
        "results/benchmarks/train_reward/{dataset}/{reward_model}.tsv"
    priority: 10
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads(is_loaded_reward)
    resources:
        **TRAINING,
        **sizes(is_loaded_reward),
    params:
        code=lambda w: code("train_reward.py", reward_model=w.reward_model),
        folder=subpath(output.manifest, parent=True),
        model=lambda w: plan.reward_start_path(w.dataset, w.reward_model),
    shell:
        "{resources.launch} scripts/train_reward.py --spec {input.spec:q} --data {input.data:q} --model {params.model:q}"
        " --output-dir {params.folder:q} --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} --wandb {resources.wandb:q} > {log:q} 2>&1"


rule compute_reference:
    input:
        unpack(lambda w: start_files(w.dataset, w.model)),
        spec="results/specs/reference/{dataset}/{model}.yaml",
        data="results/data/{dataset}/{split}.parquet",
    output:
        "results/reference/{dataset}/{model}/{split}.parquet",
    log:
        "results/logs/compute_reference/{dataset}/{model}/{split}.log",
    benchmark:
        "results/benchmarks/compute_reference/{dataset}/{model}/{split}.tsv"
    priority: 20
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads()
    resources:
        **SHARING,
        **sizes(),
    params:
        code=code("compute_reference.py"),
        start=lambda w: plan.start_path(w.dataset, w.model),
    shell:
        "{resources.launch} scripts/compute_reference.py --spec {input.spec:q} --data {input.data:q} --model {params.start:q}"
        " --output {output:q} --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} > {log:q} 2>&1"


rule train_policy:
    input:
        unpack(lambda w: start_files(w.dataset, w.model) | reward_inputs(w.dataset, plan.policy_reward(w))),
        spec="results/specs/policy/{dataset}/{model}/{run}.yaml",
        data="results/data/{dataset}/train.parquet",
        reference="results/reference/{dataset}/{model}/train.parquet",
    output:
        **kept_outputs(),
        model=directory("results/policies/{dataset}/{model}/{run}/seed{seed}/model"),
        manifest="results/policies/{dataset}/{model}/{run}/seed{seed}/manifest.json",
        metrics="results/policies/{dataset}/{model}/{run}/seed{seed}/metrics.parquet",
        cost="results/policies/{dataset}/{model}/{run}/seed{seed}/cost.json",
    log:
        "results/logs/train_policy/{dataset}/{model}/{run}/seed{seed}.log",
    benchmark:
        "results/benchmarks/train_policy/{dataset}/{model}/{run}/seed{seed}.tsv"
    # Before the many short jobs that follow it, which fill the cores at the end.
    priority: 1
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads()
    resources:
        **TRAINING,
        **sizes(),
        checkpoints=settings.config["evaluate_checkpoints"],
    params:
        code=lambda w: code("train_policy.py", f"policy/{w.dataset}/{w.model}/{w.run}", plan.policy_reward(w)),
        folder=subpath(output.manifest, parent=True),
        start=lambda w: plan.start_path(w.dataset, w.model),
        reward=lambda w, input: plan.reward_arguments(w.dataset, plan.policy_reward(w), input),
    shell:
        "{resources.launch} scripts/train_policy.py --spec {input.spec:q} --seed {wildcards.seed:q} --data {input.data:q}"
        " --reference {input.reference:q} --model {params.start:q} {params.reward} --checkpoints {resources.checkpoints:q}"
        " --output-dir {params.folder:q} --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} --wandb {resources.wandb:q} > {log:q} 2>&1"

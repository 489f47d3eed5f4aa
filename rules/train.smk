# SFT, reward model, reference log-probabilities, policies. A trained folder is known by its manifest, written last:
# what depends on the model depends on the manifest's content, not on dates.


rule train_sft:
    input:
        unpack(lambda w: sft_unlabelled(plan, w.dataset)),
        spec="results/specs/sft/{dataset}/{model}{chain}.yaml",
        data="results/data/{dataset}/train.parquet",
    output:
        model=directory("results/sft/{dataset}/{model}{chain}/model"),
        manifest="results/sft/{dataset}/{model}{chain}/manifest.json",
        metrics="results/sft/{dataset}/{model}{chain}/metrics.parquet",
        cost="results/sft/{dataset}/{model}{chain}/cost.json",
    log:
        "results/logs/train_sft/{dataset}/{model}{chain}.log",
    benchmark:
        "results/benchmarks/train_sft/{dataset}/{model}{chain}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads(usual=2)
    resources:
        **TRAINING,
        **sizes(usual=2),
    params:
        code=code("train_sft.py"),
        further=lambda w: file_arguments(sft_unlabelled(plan, w.dataset)),
        folder=subpath(output.manifest, parent=True),
    shell:
        "OMP_WAIT_POLICY=passive {resources.launch} scripts/train_sft.py"
        " --spec {input.spec:q} --data {input.data:q} {params.further:q} --output-dir {params.folder:q}"
        " --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} --wandb {resources.wandb:q} > {log:q} 2>&1"


rule train_reward:
    input:
        unpack(lambda w: reward_start(w.dataset, w.reward_model, w.chain)),
        spec="results/specs/reward/{reward_model}{chain}.yaml",
        data="results/data/{dataset}/train.parquet",
    output:
        model=directory("results/reward_models/{dataset}/{reward_model}{chain}/model"),
        manifest="results/reward_models/{dataset}/{reward_model}{chain}/manifest.json",
        metrics="results/reward_models/{dataset}/{reward_model}{chain}/metrics.parquet",
        cost="results/reward_models/{dataset}/{reward_model}{chain}/cost.json",
    log:
        "results/logs/train_reward/{dataset}/{reward_model}{chain}.log",
    benchmark:
        "results/benchmarks/train_reward/{dataset}/{reward_model}{chain}.tsv"
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
        model=lambda w: plan.reward_start_path(w.dataset, w.reward_model, w.chain),
    shell:
        "{resources.launch} scripts/train_reward.py --spec {input.spec:q} --data {input.data:q} --model {params.model:q}"
        " --output-dir {params.folder:q} --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} --wandb {resources.wandb:q} > {log:q} 2>&1"


rule compute_reference:
    input:
        unpack(lambda w: start_files(w.dataset, w.model, w.chain)),
        spec="results/specs/reference/{dataset}/{model}{chain}.yaml",
        data="results/data/{dataset}/{split}.parquet",
    output:
        "results/reference/{dataset}/{model}{chain}/{split}.parquet",
    log:
        "results/logs/compute_reference/{dataset}/{model}{chain}/{split}.log",
    benchmark:
        "results/benchmarks/compute_reference/{dataset}/{model}{chain}/{split}.tsv"
    priority: 20
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads()
    resources:
        **SHARING,
        **sizes(),
    params:
        code=code("compute_reference.py"),
        start=lambda w: plan.start_path(w.dataset, w.model, w.chain),
    shell:
        "{resources.launch} scripts/compute_reference.py --spec {input.spec:q} --data {input.data:q} --model {params.start:q}"
        " --output {output:q} --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} > {log:q} 2>&1"


rule count_steps:
    # A budget as optimizer steps, for all seeds; measured with the first one.
    input:
        unpack(lambda w: own_start(of_first_seed(w)) | reward_inputs(w.dataset, budget_reward(plan, w), SEEDS[0])),
        unpack(
            lambda w: steps_inputs(other_steps_files(plan, of_first_seed(w)))
            | budget_unlabelled(plan, of_first_seed(w))
            | budget_candidates(plan, of_first_seed(w))
        ),
        spec="results/specs/budget/{dataset}/{model}/{run}.yaml",
        data="results/data/{dataset}/train.parquet",
        reference=lambda w: plan.reference(of_first_seed(w), "train"),
    output:
        "results/budgets/{dataset}/{model}/{run}.json",
    log:
        "results/logs/count_steps/{dataset}/{model}/{run}.log",
    benchmark:
        "results/benchmarks/count_steps/{dataset}/{model}/{run}.tsv"
    wildcard_constraints:
        run=one_of(budget_runs(plan)),
    priority: 10
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads()
    resources:
        **TRAINING,
        **sizes(),
    params:
        code=lambda w: code(
            "count_steps.py", f"policy/{w.dataset}/{w.model}/{w.run}", budget_reward(plan, w), method=other_method(w)
        ),
        start=lambda w: plan.start_path(w.dataset, w.model, plan.start_chain(w.model, SEEDS[0])),
        further=lambda w: file_arguments(
            budget_unlabelled(plan, of_first_seed(w)) | budget_candidates(plan, of_first_seed(w))
        ),
        reward=lambda w, input: plan.reward_arguments(w.dataset, budget_reward(plan, w), input, SEEDS[0]),
        steps=lambda w, input: steps_arguments(input),
        seed=SEEDS[0],
        speeds=SPEEDS,
    shell:
        "{resources.launch} scripts/count_steps.py --spec {input.spec:q} --seed {params.seed:q} --data {input.data:q}"
        " --reference {input.reference:q} --model {params.start:q} {params.further:q} {params.reward} {params.steps:q}"
        " --speeds {params.speeds:q} --output {output:q} --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} > {log:q} 2>&1"


rule train_policy:
    input:
        unpack(lambda w: own_start(w) | reward_inputs(w.dataset, plan.policy_reward(w), w.seed)),
        unpack(lambda w: steps_inputs(steps_files(plan, w)) | unlabelled_files(plan, w) | trained_candidates(plan, w)),
        spec="results/specs/policy/{dataset}/{model}/{run}.yaml",
        data="results/data/{dataset}/train.parquet",
        reference=lambda w: plan.reference(w, "train"),
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
        start=lambda w: plan.start_path(w.dataset, w.model, plan.start_chain(w.model, w.seed)),
        further=lambda w: file_arguments(unlabelled_files(plan, w) | trained_candidates(plan, w)),
        reward=lambda w, input: plan.reward_arguments(w.dataset, plan.policy_reward(w), input, w.seed),
        steps=lambda w, input: steps_arguments(input),
    shell:
        "{resources.launch} scripts/train_policy.py --spec {input.spec:q} --seed {wildcards.seed:q} --data {input.data:q}"
        " --reference {input.reference:q} --model {params.start:q} {params.further:q} {params.reward} {params.steps:q}"
        " --checkpoints {resources.checkpoints:q}"
        " --output-dir {params.folder:q} --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} --wandb {resources.wandb:q} > {log:q} 2>&1"

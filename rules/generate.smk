# Policy × prompts -> responses, and the log-probabilities behind implicit rewards and KL; several responses of what
# policies start from, among which the reward model chooses.


rule generate_responses:
    input:
        unpack(lambda w: policy_files(w) | own_start(w)),
        spec="results/specs/generation/{model}.yaml",
        data="results/data/{dataset}/{split}.parquet",
        reference=lambda w: plan.reference(w, w.split),
    output:
        responses="results/responses/{dataset}/{model}/{run}/seed{seed}/{split}.parquet",
        evaluation="results/evaluations/{dataset}/{model}/{run}/seed{seed}/{split}.parquet",
    log:
        "results/logs/generate_responses/{dataset}/{model}/{run}/seed{seed}/{split}.log",
    benchmark:
        "results/benchmarks/generate_responses/{dataset}/{model}/{run}/seed{seed}/{split}.tsv"
    wildcard_constraints:
        run=one_of(ASKED),
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads()
    resources:
        **SHARING,
        **sizes(),
    params:
        code=lambda w: code("generate_responses.py", f"generation/{w.model}"),
        policy=plan.policy_path,
        start=lambda w: plan.start_path(w.dataset, w.model, plan.start_chain(w.model, w.seed)),
    shell:
        "{resources.launch} scripts/generate_responses.py --spec {input.spec:q} --data {input.data:q} --reference {input.reference:q}"
        " --model {params.policy:q} --reference-model {params.start:q} --seed {wildcards.seed:q}"
        " --responses {output.responses:q} --evaluation {output.evaluation:q}"
        " --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} > {log:q} 2>&1"


rule decode_responses:
    # Under a further decoding of the config: responses alone, as the log-probabilities are the policy's.
    input:
        unpack(policy_files),
        spec="results/specs/generation/{model}/{decoding}.yaml",
        data="results/data/{dataset}/{split}.parquet",
    output:
        "results/responses/{dataset}/{model}/{run}/seed{seed}/{decoding}/{split}.parquet",
    log:
        "results/logs/decode_responses/{dataset}/{model}/{run}/seed{seed}/{decoding}/{split}.log",
    benchmark:
        "results/benchmarks/decode_responses/{dataset}/{model}/{run}/seed{seed}/{decoding}/{split}.tsv"
    wildcard_constraints:
        run=one_of(ASKED),
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads()
    resources:
        **SHARING,
        **sizes(),
    params:
        code=lambda w: code("decode_responses.py", f"generation/{w.model}/{w.decoding}"),
        policy=plan.policy_path,
    shell:
        "{resources.launch} scripts/decode_responses.py --spec {input.spec:q} --data {input.data:q}"
        " --model {params.policy:q} --seed {wildcards.seed:q} --responses {output:q}"
        " --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} > {log:q} 2>&1"


rule read_responses:
    # Made elsewhere, and so the same for every model, seed and decoding.
    input:
        data="results/data/{dataset}/{split}.parquet",
        file=lambda w: ancient(str(answers_file(settings, w.run, w.dataset))),
    output:
        "results/responses/{dataset}/{model}/{run}/seed{seed}{further}/{split}.parquet",
    log:
        "results/logs/read_responses/{dataset}/{model}/{run}/seed{seed}{further}/{split}.log",
    benchmark:
        "results/benchmarks/read_responses/{dataset}/{model}/{run}/seed{seed}{further}/{split}.tsv"
    wildcard_constraints:
        run=one_of(EXTERNAL),
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("read_responses.py"),
        content=lambda w: answers_hash(w.run, w.dataset),
        missing=lambda w: ["--allow-missing"] if external_entry(settings, w.run)["allow_missing"] else [],
    shell:
        "python scripts/read_responses.py --file {input.file:q} --run {wildcards.run:q} --data {input.data:q}"
        " {params.missing:q} --output {output:q} > {log:q} 2>&1"


use rule decode_responses as answer_prompts with:
    # To a set of prompts.
    input:
        unpack(policy_files),
        spec="results/specs/generation/{model}{further}.yaml",
        data="results/prompts/{set}.parquet",
    output:
        "results/responses/{dataset}/{model}/{run}/seed{seed}{further}/prompts/{set}.parquet",
    log:
        "results/logs/answer_prompts/{dataset}/{model}/{run}/seed{seed}{further}/{set}.log",
    benchmark:
        "results/benchmarks/answer_prompts/{dataset}/{model}/{run}/seed{seed}{further}/{set}.tsv"
    params:
        code=lambda w: code("decode_responses.py", f"generation/{w.model}{w.further}"),
        policy=plan.policy_path,


use rule read_responses as read_prompts with:
    # To a set of prompts.
    input:
        data="results/prompts/{set}.parquet",
        file=lambda w: ancient(str(answers_file(settings, w.run, w.set))),
    output:
        "results/responses/{dataset}/{model}/{run}/seed{seed}{further}/prompts/{set}.parquet",
    log:
        "results/logs/read_prompts/{dataset}/{model}/{run}/seed{seed}{further}/{set}.log",
    benchmark:
        "results/benchmarks/read_prompts/{dataset}/{model}/{run}/seed{seed}{further}/{set}.tsv"
    params:
        code=code("read_responses.py"),
        content=lambda w: answers_hash(w.run, w.set),
        missing=lambda w: ["--allow-missing"] if external_entry(settings, w.run)["allow_missing"] else [],


rule sample_candidates:
    # Several responses of what policies start from, with the rewards by which the best one is chosen.
    input:
        unpack(lambda w: own_start(w) | reward_inputs(w.dataset, settings.reward_model_name(w.dataset), w.seed)),
        spec="results/specs/candidates/{dataset}/{model}/{candidates}.yaml",
        data="results/data/{dataset}/{split}.parquet",
    output:
        "results/candidates/{dataset}/{model}/{candidates}/seed{seed}/{split}.parquet",
    log:
        "results/logs/sample_candidates/{dataset}/{model}/{candidates}/seed{seed}/{split}.log",
    benchmark:
        "results/benchmarks/sample_candidates/{dataset}/{model}/{candidates}/seed{seed}/{split}.tsv"
    # Before the many short jobs at the end, as a training may wait for it.
    priority: 1
    conda:
        "../envs/pipeline.yaml"
    threads: all_threads()
    resources:
        **SHARING,
        **sizes(),
    params:
        code=lambda w: code(
            "sample_candidates.py",
            f"candidates/{w.dataset}/{w.model}/{w.candidates}",
            settings.reward_model_name(w.dataset),
        ),
        start=lambda w: plan.start_path(w.dataset, w.model, plan.start_chain(w.model, w.seed)),
        reward=lambda w, input: plan.reward_arguments(w.dataset, settings.reward_model_name(w.dataset), input, w.seed),
    shell:
        "{resources.launch} scripts/sample_candidates.py --spec {input.spec:q} --data {input.data:q}"
        " --model {params.start:q} --seed {wildcards.seed:q} {params.reward} --output {output:q}"
        " --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} > {log:q} 2>&1"


rule choose_responses:
    input:
        spec="results/specs/policy/{dataset}/{model}/{run}.yaml",
        candidates=lambda w: candidates_file(plan, w, w.split),
    output:
        "results/responses/{dataset}/{model}/{run}/seed{seed}{further}/{split}.parquet",
    log:
        "results/logs/choose_responses/{dataset}/{model}/{run}/seed{seed}{further}/{split}.log",
    benchmark:
        "results/benchmarks/choose_responses/{dataset}/{model}/{run}/seed{seed}{further}/{split}.tsv"
    wildcard_constraints:
        run=one_of(BEST_OF),
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("choose_responses.py"),
    shell:
        "python scripts/choose_responses.py --spec {input.spec:q} --candidates {input.candidates:q} --output {output:q}"
        " > {log:q} 2>&1"


use rule sample_candidates as sample_for_prompts with:
    # To a set of prompts.
    input:
        unpack(lambda w: own_start(w) | reward_inputs(w.dataset, settings.reward_model_name(w.dataset), w.seed)),
        spec="results/specs/candidates/{dataset}/{model}/{candidates}.yaml",
        data="results/prompts/{set}.parquet",
    output:
        "results/candidates/{dataset}/{model}/{candidates}/seed{seed}/prompts/{set}.parquet",
    log:
        "results/logs/sample_for_prompts/{dataset}/{model}/{candidates}/seed{seed}/{set}.log",
    benchmark:
        "results/benchmarks/sample_for_prompts/{dataset}/{model}/{candidates}/seed{seed}/{set}.tsv"


use rule choose_responses as choose_for_prompts with:
    input:
        spec="results/specs/policy/{dataset}/{model}/{run}.yaml",
        candidates=lambda w: candidates_file(plan, w, f"prompts/{w.set}"),
    output:
        "results/responses/{dataset}/{model}/{run}/seed{seed}{further}/prompts/{set}.parquet",
    log:
        "results/logs/choose_for_prompts/{dataset}/{model}/{run}/seed{seed}{further}/{set}.log",
    benchmark:
        "results/benchmarks/choose_for_prompts/{dataset}/{model}/{run}/seed{seed}{further}/{set}.tsv"

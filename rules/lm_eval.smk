# Benchmarks of lm-eval on what policies start from and on the policies -> what alignment costs elsewhere. Only where the
# config has lm_eval, and where that package is installed (envs/requirements-lm-eval.txt).


rule run_lm_eval:
    input:
        unpack(lambda w: policy_files(w) | own_start(w)),
        spec="results/specs/lm_eval/{model}.yaml",
        tasks=TASK_FILES,
    output:
        results="results/lm_eval/policies/{dataset}/{model}/{run}/seed{seed}.json",
        samples="results/lm_eval/policies/{dataset}/{model}/{run}/seed{seed}.parquet",
    log:
        "results/logs/run_lm_eval/{dataset}/{model}/{run}/seed{seed}.log",
    benchmark:
        "results/benchmarks/run_lm_eval/{dataset}/{model}/{run}/seed{seed}.tsv"
    conda:
        "../envs/lm-eval.yaml"
    threads: lambda w: threads_of(is_loaded(w), 1)
    resources:
        **sizes(),
        gpu=min(GPUS, 1),
        device=settings.device,
    params:
        code=code("run_lm_eval.py"),
        model=plan.policy_path,
    shell:
        "python scripts/run_lm_eval.py --spec {input.spec:q} --model {params.model:q} --local-files {input.tasks:q}"
        " --output {output.results:q} --samples {output.samples:q}"
        " --device {resources.device:q} --threads {resources.own_threads:q} --side-by-side {resources.side_by_side:q} > {log:q} 2>&1"


use rule run_lm_eval as run_lm_eval_start with:
    # Before the policies are trained: what is wrong with a task is told early.
    input:
        unpack(lambda w: start_files(w.dataset, w.model, w.chain)),
        spec="results/specs/lm_eval/{model}.yaml",
        tasks=TASK_FILES,
    output:
        results="results/lm_eval/starts/{dataset}/{model}{chain}.json",
        samples="results/lm_eval/starts/{dataset}/{model}{chain}.parquet",
    log:
        "results/logs/run_lm_eval_start/{dataset}/{model}{chain}.log",
    benchmark:
        "results/benchmarks/run_lm_eval_start/{dataset}/{model}{chain}.tsv"
    priority: 10
    params:
        code=code("run_lm_eval.py"),
        model=lambda w: plan.start_path(w.dataset, w.model, w.chain),


rule compute_alignment_tax:
    input:
        plan.files("lm_eval", "lm_eval_start"),
        [Path(path).with_suffix(".parquet") for path in plan.files("lm_eval", "lm_eval_start")],
        runs="results/specs/runs.yaml",
    output:
        in_report("results/alignment_tax.csv", "Alignment tax", "benchmarks", "table"),
    log:
        "results/logs/compute_alignment_tax.log",
    benchmark:
        "results/benchmarks/compute_alignment_tax.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("compute_alignment_tax.py"),
    shell:
        "python scripts/compute_alignment_tax.py --runs {input.runs:q} --output {output:q} > {log:q} 2>&1"

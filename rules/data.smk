# Source -> train, selection and eval pairs; of a mix, from those of its datasets. Sets of prompts, and what they share
# with the train pairs.


rule prepare_data:
    input:
        lambda w: plan.mixed_splits(w.dataset),
        spec="results/specs/data/{dataset}.yaml",
    output:
        train="results/data/{dataset}/train.parquet",
        selection="results/data/{dataset}/selection.parquet",
        eval="results/data/{dataset}/eval.parquet",
        card=in_report("results/data/{dataset}/card.json", "Data", "data card", "JSON", caption="data_card"),
    log:
        "results/logs/prepare_data/{dataset}.log",
    benchmark:
        "results/benchmarks/prepare_data/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(name for name in plan.prepared if name not in partly_labelled(plan)),
    conda:
        "../envs/pipeline.yaml"
    threads: 2
    params:
        code=lambda w: code("prepare_data.py", f"data/{w.dataset}"),
        folder=subpath(output.card, parent=True),
        parts=lambda w: plan.part_arguments(w.dataset),
    shell:
        "python scripts/prepare_data.py --spec {input.spec:q} --output-dir {params.folder:q}"
        " --processes {threads} {params.parts:q} > {log:q} 2>&1"


use rule prepare_data as prepare_partly_labelled with:
    # Of datasets with rows without a preference, which have a split of their own.
    output:
        train="results/data/{dataset}/train.parquet",
        unlabelled="results/data/{dataset}/unlabelled.parquet",
        selection="results/data/{dataset}/selection.parquet",
        eval="results/data/{dataset}/eval.parquet",
        card=in_report("results/data/{dataset}/card.json", "Data", "data card", "JSON", caption="data_card"),
    log:
        "results/logs/prepare_partly_labelled/{dataset}.log",
    benchmark:
        "results/benchmarks/prepare_partly_labelled/{dataset}.tsv"
    wildcard_constraints:
        dataset=one_of(partly_labelled(plan)),


rule prepare_prompts:
    input:
        spec="results/specs/prompts/{set}.yaml",
    output:
        prompts="results/prompts/{set}.parquet",
        card=in_report("results/prompts/{set}.json", "Data", "set of prompts", "JSON", caption="prompts"),
    log:
        "results/logs/prepare_prompts/{set}.log",
    benchmark:
        "results/benchmarks/prepare_prompts/{set}.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("prepare_prompts.py"),
    shell:
        "python scripts/prepare_prompts.py --spec {input.spec:q} --output {output.prompts:q} --card {output.card:q} > {log:q} 2>&1"


rule measure_contamination:
    input:
        train=lambda w: [
            f"results/data/{w.dataset}/{split}.parquet"
            for split in ["train"] + [UNLABELLED] * (w.dataset in partly_labelled(plan))
        ],
        sets=[set_path(name) for name in settings.prompt_sets],
    output:
        "results/contamination/{dataset}.json",
    log:
        "results/logs/measure_contamination/{dataset}.log",
    benchmark:
        "results/benchmarks/measure_contamination/{dataset}.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("measure_contamination.py"),
        sets=[f"{name}={set_path(name)}" for name in settings.prompt_sets],
    shell:
        "python scripts/measure_contamination.py --train {input.train:q} --sets {params.sets:q} --output {output:q} > {log:q} 2>&1"

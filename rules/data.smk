# Source -> train, selection and eval pairs; of a mix, from those of its datasets.


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

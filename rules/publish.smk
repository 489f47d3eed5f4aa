# Results -> repositories of the Hugging Face Hub. Not part of `all`: `snakemake publish` asks for it.


localrules:
    publish,


rule publish:
    input:
        [f"results/published/{key}.json" for key in PUBLICATIONS],


rule publish_results:
    input:
        unpack(published_files),
        spec="results/specs/publication/{repository}.yaml",
        page=[f"scripts/pipeline/publishing/{name}.md.jinja" for name in ["dataset", "model", "space"]],
    output:
        "results/published/{repository}.json",
    log:
        "results/logs/publish_results/{repository}.log",
    benchmark:
        "results/benchmarks/publish_results/{repository}.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("publish_results.py"),
    shell:
        "python scripts/publish_results.py --spec {input.spec:q} --output {output:q} > {log:q} 2>&1"

# Results -> repositories of the Hugging Face Hub. Not part of `all`: `snakemake publish` asks for it.


localrules:
    publish,
    write_publication_spec,


rule publish:
    input:
        [f"results/published/{key}.json" for key in PUBLICATIONS],


rule write_publication_spec:
    input:
        "rules/templates/spec.yaml.jinja",
    output:
        "results/specs/publication/{repository}.yaml",
    log:
        "results/logs/write_publication_spec/{repository}.log",
    params:
        spec=lambda w: as_yaml(publication_spec(PUBLICATIONS[w.repository])),
    template_engine:
        "jinja2"


rule publish_results:
    input:
        unpack(lambda w: publication_inputs(PUBLICATIONS[w.repository])),
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
        "python scripts/publish_results.py --spec {input.spec} --output {output} > {log} 2>&1"

# Responses -> files of other projects. Not part of `all`: `snakemake exports` asks for them, each in the format that the
# config has for its prompts; a path asks for any.


localrules:
    exports,


rule exports:
    input:
        export_files(plan),


rule export_responses:
    input:
        lambda w: EXPORTS[w.set, w.exported].responses,
    output:
        "results/exports/{set}/{exported}/responses.jsonl",
    log:
        "results/logs/export_responses/{set}/{exported}.log",
    benchmark:
        "results/benchmarks/export_responses/{set}/{exported}.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("export_responses.py"),
        form="json_lines",
        column=lambda w: EXPORTS[w.set, w.exported].column,
    shell:
        "python scripts/export_responses.py --responses {input:q} --column {params.column:q} --format {params.form:q}"
        " --name {wildcards.exported:q} --set {wildcards.set:q} --output {output:q} > {log:q} 2>&1"


use rule export_responses as export_alpaca_eval with:
    output:
        "results/exports/{set}/{exported}/model_outputs.json",
    log:
        "results/logs/export_alpaca_eval/{set}/{exported}.log",
    benchmark:
        "results/benchmarks/export_alpaca_eval/{set}/{exported}.tsv"
    params:
        code=code("export_responses.py"),
        form="alpaca_eval",
        column=lambda w: EXPORTS[w.set, w.exported].column,


use rule export_responses as export_arena_hard with:
    output:
        "results/exports/{set}/model_answer/{exported}.jsonl",
    log:
        "results/logs/export_arena_hard/{set}/{exported}.log",
    benchmark:
        "results/benchmarks/export_arena_hard/{set}/{exported}.tsv"
    params:
        code=code("export_responses.py"),
        form="arena_hard",
        column=lambda w: EXPORTS[w.set, w.exported].column,

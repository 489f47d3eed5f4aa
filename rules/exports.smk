# Responses -> files of other projects. Not part of `all`: `snakemake exports` asks for them, each in the format that the
# config has for its prompts; a path asks for any.


localrules:
    exports,


rule exports:
    input:
        export_files(plan),


rule export_responses:
    input:
        lambda w: EXPORTS[w.prompts, w.exported].responses,
    output:
        "results/exports/{prompts}/{exported}/responses.jsonl",
    log:
        "results/logs/export_responses/{prompts}/{exported}.log",
    benchmark:
        "results/benchmarks/export_responses/{prompts}/{exported}.tsv"
    conda:
        "../envs/pipeline.yaml"
    params:
        code=code("export_responses.py"),
        form="json_lines",
        column=lambda w: EXPORTS[w.prompts, w.exported].column,
    shell:
        "python scripts/export_responses.py --responses {input:q} --column {params.column:q} --format {params.form:q}"
        " --name {wildcards.exported:q} --set {wildcards.prompts:q} --output {output:q} > {log:q} 2>&1"


use rule export_responses as export_alpaca_eval with:
    output:
        "results/exports/{prompts}/{exported}/model_outputs.json",
    log:
        "results/logs/export_alpaca_eval/{prompts}/{exported}.log",
    benchmark:
        "results/benchmarks/export_alpaca_eval/{prompts}/{exported}.tsv"
    params:
        code=code("export_responses.py"),
        form="alpaca_eval",
        column=lambda w: EXPORTS[w.prompts, w.exported].column,


use rule export_responses as export_arena_hard with:
    output:
        "results/exports/{prompts}/model_answer/{exported}.jsonl",
    log:
        "results/logs/export_arena_hard/{prompts}/{exported}.log",
    benchmark:
        "results/benchmarks/export_arena_hard/{prompts}/{exported}.tsv"
    params:
        code=code("export_responses.py"),
        form="arena_hard",
        column=lambda w: EXPORTS[w.prompts, w.exported].column,

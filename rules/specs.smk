# What each stage is made from, resolved from the config into a small file of its own (scripts/pipeline/plan/specs.py): a
# changed entry makes stale just the stages that depend on it. Written by Snakemake's template engine, without a process.


localrules:
    write_spec,


rule write_spec:
    input:
        "rules/templates/spec.yaml.jinja",
    output:
        "results/specs/{spec}.yaml",
    log:
        "results/logs/write_spec/{spec}.log",
    params:
        spec=lambda w: as_yaml(SPECS[w.spec]()),
    template_engine:
        "jinja2"

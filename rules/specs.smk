# What each stage is made from, resolved from the config into a small file of its own: a changed entry makes stale just
# the stages that depend on it. Written by Snakemake's template engine, without a process.


localrules:
    write_data_spec,
    write_sft_spec,
    write_reference_spec,
    write_reward_spec,
    write_policy_spec,
    write_generation_spec,
    write_judge_spec,
    write_run_table,
    write_selection_table,


rule write_data_spec:
    input:
        "rules/templates/spec.yaml.jinja",
    output:
        "results/specs/data/{dataset}.yaml",
    log:
        "results/logs/write_data_spec/{dataset}.log",
    params:
        spec=lambda w: as_yaml(settings.data_spec(w.dataset)),
    template_engine:
        "jinja2"


rule write_sft_spec:
    input:
        "rules/templates/spec.yaml.jinja",
    output:
        "results/specs/sft/{dataset}/{model}.yaml",
    log:
        "results/logs/write_sft_spec/{dataset}/{model}.log",
    params:
        spec=lambda w: as_yaml(settings.sft_spec(w.dataset, w.model)),
    template_engine:
        "jinja2"


rule write_reference_spec:
    input:
        "rules/templates/spec.yaml.jinja",
    output:
        "results/specs/reference/{dataset}/{model}.yaml",
    log:
        "results/logs/write_reference_spec/{dataset}/{model}.log",
    params:
        spec=lambda w: as_yaml(settings.reference_spec(w.dataset, w.model)),
    template_engine:
        "jinja2"


rule write_reward_spec:
    input:
        "rules/templates/spec.yaml.jinja",
    output:
        "results/specs/reward/{reward_model}.yaml",
    log:
        "results/logs/write_reward_spec/{reward_model}.log",
    params:
        spec=lambda w: as_yaml(settings.reward_spec(DATASETS[0], w.reward_model)),
    template_engine:
        "jinja2"


rule write_policy_spec:
    input:
        "rules/templates/spec.yaml.jinja",
    output:
        "results/specs/policy/{dataset}/{model}/{run}.yaml",
    log:
        "results/logs/write_policy_spec/{dataset}/{model}/{run}.log",
    params:
        spec=lambda w: as_yaml(settings.policy_spec(w.dataset, w.model, w.run)),
    template_engine:
        "jinja2"


rule write_generation_spec:
    input:
        "rules/templates/spec.yaml.jinja",
    output:
        "results/specs/generation/{model}.yaml",
    log:
        "results/logs/write_generation_spec/{model}.log",
    params:
        spec=lambda w: as_yaml(settings.generation_spec(w.model)),
    template_engine:
        "jinja2"


rule write_judge_spec:
    input:
        "rules/templates/spec.yaml.jinja",
    output:
        "results/specs/judge/{judge}.yaml",
    log:
        "results/logs/write_judge_spec/{judge}.log",
    params:
        spec=lambda w: as_yaml(settings.judge_spec(w.judge)),
    template_engine:
        "jinja2"


rule write_run_table:
    input:
        "rules/templates/spec.yaml.jinja",
    output:
        "results/specs/runs.yaml",
    log:
        "results/logs/write_run_table.log",
    params:
        spec=as_yaml(run_table()),
    template_engine:
        "jinja2"


use rule write_run_table as write_selection_table with:
    output:
        "results/specs/selection.yaml",
    log:
        "results/logs/write_selection_table.log",
    params:
        spec=as_yaml(run_table("selection")),

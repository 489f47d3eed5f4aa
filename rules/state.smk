# `snakemake clean_state`: remove what killed jobs would go on from; nothing else needs it.


localrules:
    clean_state,


rule clean_state:
    log:
        "results/logs/clean_state.log",
    benchmark:
        "results/benchmarks/clean_state.tsv"
    conda:
        "../envs/pipeline.yaml"
    shell:
        "python scripts/clean_state.py --results results > {log} 2>&1"

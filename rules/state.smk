# The state that killed jobs would go on from: it goes when nobody needs it any more, or by `snakemake clean_state`.
import atexit

from pipeline.jobs.state import clear_up
from pipeline.plan.state import clear_up_if_all_was_done


localrules:
    clean_state,


# Only now that Snakemake has noted what is done, the state of jobs that are done can go; and what killed jobs left.
onsuccess:
    end_output()
    clear_up(Path("results"))


onerror:
    end_output()
    clear_up(Path("results"))


atexit.register(clear_up_if_all_was_done, workflow, Path("results"))


rule clean_state:
    log:
        "results/logs/clean_state.log",
    benchmark:
        "results/benchmarks/clean_state.tsv"
    conda:
        "../envs/pipeline.yaml"
    shell:
        "python scripts/clean_state.py --results results > {log:q} 2>&1"

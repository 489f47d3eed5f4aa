"""Import what jobs that run models need, once for all of a run's jobs, which are forks of this process.

Snakemake starts it where models run on a CPU of this machine; it ends with Snakemake. See `pipeline.jobs.worker`.
"""

from pipeline.jobs.io import command_line
from pipeline.jobs.provenance import code_fingerprint
from pipeline.jobs.worker import serve

# The scripts whose jobs it forks for.
SCRIPTS = ("train_reward", "compute_reference", "train_policy", "generate_responses", "score_responses", "score_bt")
SCRIPTS += ("judge_responses", "train_sft", "decode_responses", "count_steps", "evaluate_checkpoints")
SCRIPTS += ("sample_candidates",)


def warm_up() -> None:
    """Import libraries and the modules of the pipeline, and read the code, which every job's record names."""
    import transformers.models.llama.modeling_llama
    import transformers.models.qwen2.modeling_qwen2  # noqa: F401
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    import pipeline.backends.transformers.generate
    import pipeline.generation.evaluation
    import pipeline.generation.responses
    import pipeline.methods.dpo.trainer
    import pipeline.rewards.pair_tables
    import pipeline.rewards.saving
    import pipeline.rewards.scorer
    import pipeline.training.reference
    import pipeline.training.reward
    import pipeline.training.sail
    import pipeline.training.sft  # noqa: F401
    from sail import ReferenceColumnsDPOTrainer, SAILTrainer  # noqa: F401

    get_checkpoint_conversion_mapping("llama")  # for which it compiles what it renames in all architectures
    for script in SCRIPTS:
        code_fingerprint(f"{script}.py")


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--owner", type=int, required=True, help="process id of the Snakemake that started it")
    serve(parser.parse_args().owner, warm_up)


if __name__ == "__main__":
    main()

"""The section `lm_eval` of a config: tasks of EleutherAI's lm-eval."""

from pipeline.config.fields import flag, mapping, number, several, text, whole

TASK = mapping(
    "A task, group or tag of lm-eval, with its settings.",
    {
        "task": text("Its name there, or in the files of include_path.", minLength=1, examples=["gsm8k"]),
        "num_fewshot": whole(
            "Worked examples before each question; as the task has it when absent, and in any case where it has 0.",
            minimum=0,
        ),
        "limit": number(
            "Questions of each task, the first ones: a number, or a share where it is below 1; all when absent.",
            exclusiveMinimum=0,
        ),
        "include_path": text(
            "Local folder with YAML files of tasks; what it holds is part of what a result is made from.", minLength=1
        ),
        "apply_chat_template": flag(
            "Put questions into the model's chat template, as for a chat model; else they are plain text."
        ),
        "confirm_run_unsafe_code": flag("Run code that the model wrote, for the tasks that need that."),
    },
    required=("task",),
    short="task",
)
LM_EVAL = several(
    "Benchmarks of lm-eval, which are run on every policy and on what policies start from: what alignment costs "
    "elsewhere (results/alignment_tax.csv and the report). Needs envs/requirements-lm-eval.txt.",
    TASK,
    examples=[[{"task": "gsm8k"}, {"task": "ifeval", "limit": 200}]],
)

"""Every stage's entry script one after the other, on a tiny world."""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

from pipeline.config.settings import Settings
from pipeline.jobs.io import write_yaml

CONFIG = {
    "tag": "tiny",
    "datasets": ["tiny"],
    "models": ["tiny"],
    "seeds": [1],
    "device": "cpu",
    "tasks": [{"method": "dpo", "beta": [0.1]}, {"method": "dpr", "beta": [0.1], "g": [0.5], "gamma": [0.3]}],
    "baseline": "dpo",
    "sft": {"learning_rate": 5e-3, "epochs": 1, "global_batch_size": 8, "warmup_steps": 0, "max_length": 128},
    "policy": {
        "learning_rate": 1e-2,
        "max_steps": 3,
        "warmup_steps": 0,
        "global_batch_size": 8,
        "max_length": 128,
        "rollout_max_new_tokens": 6,
        "rollout_prompts": 8,
    },
    "decoding": "short",
    "decodings": {"short": {"max_new_tokens": 8}},
    "definitions": {
        "datasets": {
            "tiny": {
                **{"source": "world", "size": 64, "eval_size": 12, "selection_size": 8},
                **{"reward_model": "tiny", "judge": "gold"},
            }
        },
        "models": {
            "tiny": {
                "architecture": {
                    **{"model_type": "qwen2", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1},
                    **{"num_attention_heads": 2, "max_position_embeddings": 128},
                },
                "vocab_size": 300,
            }
        },
        "reward_models": {
            "tiny": {"train": {"model": "tiny", "learning_rate": 1e-2, "epochs": 1, "global_batch_size": 16}}
        },
    },
}
DPO, DPR = "dpo-beta0.1", "dpr-beta0.1-g0.5-gamma0.3"
DEVICE = ["--device", "cpu", "--threads", "1"]


def arguments_of(options: dict) -> list[str]:
    """{name: value or values} as command-line arguments."""
    arguments = []
    for name, value in options.items():
        arguments += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
    return arguments


def call(script: str, device=DEVICE, **options) -> None:
    """Run a script in this process."""
    import_module(script).main([*arguments_of(options), *device])


def chain(root: Path, call=call) -> SimpleNamespace:
    """Run every stage below `root`; the places of what it wrote."""
    settings = Settings.from_config(CONFIG)
    specs = {
        "data": settings.data_spec("tiny"),
        "sft": settings.sft_spec("tiny", "tiny"),
        "reference": settings.reference_spec("tiny", "tiny"),
        "reward": settings.reward_spec("tiny", "tiny"),
        "generation": settings.generation_spec("tiny"),
        "judge": settings.judge_spec("gold"),
        **{run: settings.policy_spec("tiny", "tiny", run) for run in (DPO, DPR)},
    }
    for name, spec in specs.items():
        write_yaml(spec, root / "specs" / f"{name}.yaml")
    at = SimpleNamespace(**{name: root / name for name in ("specs", "data", "sft", "reward", "bt", "dpo", "dpr")})
    at.root, at.sft_model, at.reward_model = root, at.sft / "model", at.reward / "model"
    at.train, at.eval = at.data / "train.parquet", at.data / "eval.parquet"

    def spec(name):
        return at.specs / f"{name}.yaml"

    call("prepare_data", device=[], spec=spec("data"), output_dir=at.data)
    call("train_sft", spec=spec("sft"), data=at.train, output_dir=at.sft)
    call("train_reward", spec=spec("reward"), data=at.train, model=at.sft_model, output_dir=at.reward)
    at.reference = {split: root / f"reference-{split}.parquet" for split in ("train", "eval")}
    for split, output in at.reference.items():
        call(
            "compute_reference",
            **{"spec": spec("reference"), "data": at.data / f"{split}.parquet"},
            **{"model": at.sft_model, "output": output},
        )
    policy = {"seed": 1, "data": at.train, "reference": at.reference["train"], "model": at.sft_model}
    call("train_policy", spec=spec(DPO), output_dir=at.dpo, **policy)
    reward = {"reward_spec": spec("reward"), "reward_model": at.reward_model}
    call("train_policy", spec=spec(DPR), output_dir=at.dpr, **policy, **reward)
    at.responses, at.evaluations, at.scores = {}, {}, {}
    for run, model in (("sft", at.sft), ("dpr", at.dpr)):
        at.responses[run] = root / f"{run}-responses.parquet"
        at.evaluations[run], at.scores[run] = root / f"{run}-evaluation.parquet", root / f"{run}-scores.parquet"
        call(
            "generate_responses",
            **{"spec": spec("generation"), "data": at.eval, "reference": at.reference["eval"]},
            **{"model": model / "model", "reference_model": at.sft_model, "seed": 1},
            **{"responses": at.responses[run], "evaluation": at.evaluations[run]},
        )
    responses = at.responses["dpr"]
    call(
        "score_responses",
        spec=spec("reward"),
        responses=responses,
        reward_model=at.reward_model,
        output=at.scores["dpr"],
    )
    at.verdicts = {name: root / f"verdicts-{name}.parquet" for name in ("chosen", "sft")}
    for baseline, other in (("chosen", at.eval), ("sft", at.responses["sft"])):
        call(
            "judge_responses",
            device=["--device", "cpu"],
            **{"spec": spec("judge"), "responses": responses, "run": DPR, "seed": 1},
            **{"baseline": baseline, "baseline_responses": other, "output": at.verdicts[baseline]},
        )
    at.score_bt = ["--dataset", str(at.data), "--score_model_id", str(at.reward_model), "--spec", str(spec("reward"))]
    call("score_bt", [*at.score_bt, "--process_all_splits", *DEVICE], output=at.bt)
    return at

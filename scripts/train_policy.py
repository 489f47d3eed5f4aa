"""Train a policy from the SFT model: a method's own trainer, TRL's or the SAIL plugin's.

Reads the policy spec (YAML), the train split, the reference log-probabilities and the SFT model; writes model/,
metrics.parquet, cost.json and manifest.json into the output folder. With --checkpoints N also checkpointsN/, the
checkpoints after the steps that divide the training into N parts (the last of which is model/), and checkpointsN.json,
which names the steps.

Under `accelerate launch` processes share the global batch; the first one writes.
"""

from pathlib import Path

from pipeline.jobs.io import InputError, command_line, read_json, read_yaml, run
from pipeline.jobs.records import Record
from pipeline.models.device_arguments import add_device_arguments
from pipeline.tracking import OFF
from pipeline.training.policy_inputs import INPUTS, add_policy_arguments, read_candidates, read_pairs, reward_of


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    steps = "steps that a budget or another run's record has"
    add_policy_arguments(parser, "policy spec", "seed of data order, routing and rollouts", steps)
    parser.add_argument("--output-dir", type=Path, required=True, help="folder for the checkpoint and its records")
    parser.add_argument("--checkpoints", type=int, default=0, help="how many checkpoints are kept, the last included")
    parser.add_argument("--wandb", default=OFF, metavar="PROJECT", help=f"project of Weights & Biases, or {OFF}")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame, reference, unlabelled = read_pairs(arguments, bool(spec.get("unlabelled")))
    candidates = read_candidates(arguments.candidates)
    if spec.get("reward_model") and not (arguments.reward_model and arguments.reward_spec):
        raise InputError(f"{arguments.spec}: it needs a reward model; give --reward-model and --reward-spec")

    from pipeline.models.devices import device_from_arguments
    from pipeline.training.policy import policy_trainer
    from pipeline.training.running import run_training
    from pipeline.training.steps import with_steps

    # Of a record nothing counts but the steps: it has timings.
    arguments.steps = read_json(arguments.steps)["steps"] if arguments.steps else None
    training = with_steps(spec, len(reference), arguments.steps)
    device = device_from_arguments(arguments, spec["model"])
    reward_entry = read_yaml(arguments.reward_spec) if spec.get("reward_model") else {}
    record = Record(__file__, arguments, INPUTS, ("output_dir",), spec, device, [("model", reward_entry)])

    def trainer(scratch: str):
        reward = reward_of(arguments, reward_entry, device)
        given = arguments.model, arguments.seed, device, scratch, reward, unlabelled, candidates
        return policy_trainer(training, frame, reference, *given)

    name = f"{spec['dataset']}/{spec['model']['name']}/{spec['run']}"
    config = spec | {"seed": arguments.seed}
    tracked = arguments.wandb, f"{name}/seed{arguments.seed}", name, "train_policy", config
    run_training("policy", trainer, record, arguments.output_dir, tracked, kept=arguments.checkpoints)


if __name__ == "__main__":
    run(main, warm=True)

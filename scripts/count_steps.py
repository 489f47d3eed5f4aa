"""Turn a run's budget of tokens or seconds into optimizer steps, by what a step takes.

What a step takes is measured once, by a few steps of a trainer that nothing is kept of, and is in a file in the folder
of speeds ever after. Reads the budget's spec (YAML), the train split, the reference log-probabilities and the SFT
model; writes {steps} as JSON.

Under `accelerate launch` processes share the global batch; the first one writes.
"""

from pathlib import Path

from pipeline.columns.pairs import PAIR_COLUMNS
from pipeline.columns.reference import REFERENCE_LOGPS
from pipeline.jobs.io import InputError, command_line, read_json, read_parquet, read_yaml, run, write_json
from pipeline.jobs.processes import is_first_process
from pipeline.jobs.records import Record
from pipeline.models.device_arguments import add_device_arguments


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    parser.add_argument("--spec", type=Path, required=True, help="budget spec, YAML")
    parser.add_argument("--seed", type=int, required=True, help="seed of the measured steps")
    parser.add_argument("--data", type=Path, required=True, help="train split, parquet")
    parser.add_argument("--reference", type=Path, required=True, help="reference log-probabilities, parquet")
    parser.add_argument("--unlabelled", type=Path, help="pairs without a preference, parquet, for DDP's rows (r > 0)")
    parser.add_argument("--unlabelled-reference", type=Path, help="reference log-probabilities of these, parquet")
    parser.add_argument("--model", required=True, help="SFT model, folder")
    parser.add_argument("--reward-spec", type=Path, help="reward model spec, YAML, where the training asks it")
    parser.add_argument("--reward-model", help="reward model, hub id or folder")
    parser.add_argument("--steps", type=Path, help="steps of the run that a relative budget is relative to, JSON")
    parser.add_argument("--speeds", type=Path, required=True, help="folder of the kept speeds")
    parser.add_argument("--output", type=Path, required=True, help="steps to write, JSON")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    frame = read_parquet(arguments.data, PAIR_COLUMNS)
    columns, unlabelled = ["row", *REFERENCE_LOGPS], None
    reference = read_parquet(arguments.reference, columns)
    if spec["run"].get("unlabelled") or spec.get("other", {}).get("unlabelled"):
        if not (arguments.unlabelled and arguments.unlabelled_reference):
            raise InputError(f"{arguments.spec}: unlabelled needs --unlabelled and --unlabelled-reference")
        aside = read_parquet(arguments.unlabelled_reference, columns)
        unlabelled = read_parquet(arguments.unlabelled, PAIR_COLUMNS), aside
    counted = read_json(arguments.steps)["steps"] if arguments.steps else None

    from pipeline.models.devices import device_from_arguments
    from pipeline.training.policy import policy_trainer
    from pipeline.training.speed import TIMED, WARM, kept_speed, rows_hash, sample_rows
    from pipeline.training.steps import steps_in_budget, steps_of

    device = device_from_arguments(arguments, spec["run"]["model"])
    reward_entry = read_yaml(arguments.reward_spec) if arguments.reward_spec else {}
    inputs = ("spec", "data", "reference", "unlabelled", "unlabelled_reference", "model", "reward_spec", "reward_model")
    inputs += ("steps",)
    record = Record(__file__, arguments, inputs, ("output", "speeds"), spec, device, [("model", reward_entry)])
    data_hash = rows_hash(arguments.data, reference)
    aside_hash = rows_hash(arguments.unlabelled, unlabelled[1]) if unlabelled else None

    def speed_of(training: dict) -> dict:
        values = training["hyperparameters"] | {"epochs": 1, "max_steps": WARM + TIMED}
        rows, further = sample_rows(reference, values["global_batch_size"]), None
        if training.get("unlabelled"):
            further = unlabelled[0], sample_rows(unlabelled[1], values["global_batch_size"])

        def trainer(scratch: str):
            reward = None
            if training.get("reward_model"):
                from pipeline.rewards.scorer import RewardModel

                reward = RewardModel(arguments.reward_model, reward_entry, device)
            measured = training | {"hyperparameters": values}
            given = arguments.model, arguments.seed, device, scratch, reward, further
            return policy_trainer(measured, frame, rows, *given)

        made_from = [data_hash, aside_hash if further else None, reward_entry if training.get("reward_model") else None]
        return kept_speed(arguments.speeds, training, made_from, trainer, device)

    seconds = None
    if "other" in spec:
        seconds = speed_of(spec["other"])["seconds_per_step"] * steps_of(spec["extent"], len(reference), counted)
    steps = steps_in_budget(spec["budget"], speed_of(spec["run"]), seconds)
    if is_first_process():
        print(f"{steps} optimizer steps")
        write_json({"steps": steps}, arguments.output)
        record.write()


if __name__ == "__main__":
    run(main, warm=True)

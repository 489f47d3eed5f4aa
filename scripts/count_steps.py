"""Turn a run's budget of tokens or seconds into optimizer steps, by what a step takes.

What a step takes is measured once, by a few steps of a trainer that nothing is kept of, and is in a file in the folder
of speeds ever after. Two runs whose seconds are to be equal are measured one after the other, for that comparison
alone: a speed of another day may be that of a busier machine. Reads the budget's spec (YAML), the train split, the
reference log-probabilities and the SFT model; writes {steps} as JSON.

Under `accelerate launch` processes share the global batch; the first one writes.
"""

from pathlib import Path

from pipeline.jobs.io import command_line, read_json, read_yaml, run, write_json
from pipeline.jobs.processes import is_first_process
from pipeline.jobs.records import Record
from pipeline.models.device_arguments import add_device_arguments
from pipeline.training.policy_inputs import INPUTS, add_policy_arguments, read_candidates, read_pairs, reward_of


def main(argv: list[str] | None = None) -> None:
    parser = command_line(__doc__)
    steps = "steps of the run that a relative budget is relative to"
    add_policy_arguments(parser, "budget spec", "seed of the measured steps", steps)
    parser.add_argument("--other-candidates", type=Path, help="candidates of that run, parquet")
    parser.add_argument("--speeds", type=Path, required=True, help="folder of the kept speeds")
    parser.add_argument("--output", type=Path, required=True, help="steps to write, JSON")
    add_device_arguments(parser)
    arguments = parser.parse_args(argv)

    spec = read_yaml(arguments.spec)
    wanted = any(spec.get(key, {}).get("unlabelled") for key in ("run", "other"))
    frame, reference, unlabelled = read_pairs(arguments, wanted)
    candidates = {"run": read_candidates(arguments.candidates), "other": read_candidates(arguments.other_candidates)}
    counted = read_json(arguments.steps)["steps"] if arguments.steps else None

    from pipeline.models.devices import device_from_arguments
    from pipeline.training.policy import policy_trainer
    from pipeline.training.speed import TIMED, WARM, kept_speed, rows_hash, sample_rows
    from pipeline.training.steps import steps_in_budget, steps_of

    device = device_from_arguments(arguments, spec["run"]["model"])
    reward_entry = read_yaml(arguments.reward_spec) if arguments.reward_spec else {}
    written = ("output", "speeds")
    inputs = (*INPUTS, "other_candidates", "steps")
    record = Record(__file__, arguments, inputs, written, spec, device, [("model", reward_entry)])
    data_hash = rows_hash(arguments.data, reference)
    aside_hash = rows_hash(arguments.unlabelled, unlabelled[1]) if unlabelled else None

    def asked_by(name: str) -> dict:
        return reward_entry if spec[name].get("reward_model") else {}

    def made_from(name: str) -> list:
        return [data_hash, aside_hash if spec[name].get("unlabelled") else None, asked_by(name) or None]

    def speed_of(name: str) -> dict:
        training, own = spec[name], candidates[name]
        values = training["hyperparameters"] | {"epochs": 1, "max_steps": WARM + TIMED}
        rows, further = sample_rows(reference, values["global_batch_size"]), None
        if training.get("unlabelled"):
            further = unlabelled[0], sample_rows(unlabelled[1], values["global_batch_size"])

        def trainer(scratch: str):
            reward = reward_of(arguments, asked_by(name), device)
            measured = training | {"hyperparameters": values}
            given = arguments.model, arguments.seed, device, scratch, reward, further, own
            return policy_trainer(measured, frame, rows, *given)

        others = [one for one in ("run", "other") if one != name and one in spec]
        beside = [[spec[one] | {"run": None}, made_from(one)] for one in others]  # what changes one measures both anew
        parts = [*made_from(name), *beside]
        return kept_speed(arguments.speeds, training, parts, trainer, device, own.cost if own else {})

    seconds = None
    if "other" in spec:
        speed = speed_of("other")
        seconds = speed["seconds_per_step"] * steps_of(spec["extent"], len(reference), counted)
        seconds += speed.get("seconds_before", 0.0)
    steps = steps_in_budget(spec["budget"], speed_of("run"), seconds)
    if is_first_process():
        print(f"{steps} optimizer steps")
        write_json({"steps": steps}, arguments.output)
        record.write()


if __name__ == "__main__":
    run(main, warm=True)

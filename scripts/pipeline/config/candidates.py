"""The responses that methods choose among by the reward model: how they are sampled, and what such methods lack."""

from pipeline.config.hyperparameters import SAMPLING
from pipeline.config.sweep import TaskRun, format_value, method_defaults


def candidates_of(settings, run: TaskRun, decoding: str | None = None) -> dict:
    """How many responses a run chooses among, and how they are sampled.

    Training has its own sampling. Judged responses are sampled as their decoding says; where that is greedy, of which n
    responses would be the same, with its temperature and top_p all the same.

    Args:
        settings: a `pipeline.config.settings.Settings`.
        decoding: of the judged responses; the config's first when None.

    Returns:
        {n, decoding: {do_sample, temperature, top_p, max_new_tokens, backend}}.
    """
    values = {**method_defaults(run.method), **run.hyperparameters}
    given = values if run.trained else settings.config["decodings"][decoding or settings.decodings[0]]
    return {"n": values["n"], "decoding": {"do_sample": True, **{key: given[key] for key in SAMPLING}}}


def candidates_name(settings, run: TaskRun, decoding: str | None = None) -> str:
    """The name of `candidates_of`, safe in file names: runs that choose among the same responses share them."""
    found = candidates_of(settings, run, decoding)
    said = {"n": found["n"]} | {key: found["decoding"][key] for key in SAMPLING}
    if said["backend"] == "transformers":
        del said["backend"]
    return "-".join(f"{key}{format_value(value)}" for key, value in said.items())


def candidates_specs(settings) -> dict[str, dict]:
    """What candidates are sampled from and scored by, up to dataset, model and seed: {name: `candidates_of`}."""
    found = {}
    for run in choosing_runs(settings):
        for decoding in [None] if run.trained else settings.decodings:
            found[candidates_name(settings, run, decoding)] = candidates_of(settings, run, decoding)
    return found


def candidates_spec(settings, dataset: str, model: str, name: str) -> dict:
    """What candidates are sampled from and scored by, up to the seed.

    Returns:
        {dataset, model: {name, …}, decoding, max_length, n, reward_model: its name}.
    """
    spec = {"dataset": dataset, **settings.generation_spec(model), **candidates_specs(settings)[name]}
    return spec | {"reward_model": settings.reward_model_name(dataset)}


def choosing_runs(settings) -> list[TaskRun]:
    """The runs that choose among several responses."""
    return [run for run in settings.task_runs.values() if run.chooses]


def best_of_runs(settings) -> list[str]:
    """Names of those among them that train nothing, but answer with the best response."""
    return [run.name for run in choosing_runs(settings) if not run.trained]


def describe_best_of(settings) -> str:
    """What a user should know of `best_of_runs`, in lines; empty where there are none."""
    names = best_of_runs(settings)
    if not names:
        return ""
    lacks = "no checkpoint to publish or to evaluate, no learning curve, and of their KL a bound is known alone"
    lines = [f"Runs without a policy of their own, {', '.join(names)}: they have {lacks}"]
    greedy = [name for name in settings.decodings if not settings.config["decodings"][name]["do_sample"]]
    if greedy:
        text = "their responses are chosen among sampled ones, at the temperature and top_p that it has"
        lines.append(f"Under the decoding {', '.join(greedy)}, which is greedy, {text}")
    return "\n".join(lines)

"""What the jobs that run a model compute, in operations: tokens times parameters, by stage.

A job takes its start, its operations at the machine's speed, and for each pass of a batch through a layer what that
costs however small the batch is. The numbers are for comparing jobs: `pipeline.plan.speeds` learns from earlier ones
how long such work takes here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from pipeline.columns.pairs import UNLABELLED
from pipeline.config.arguments import round_passes
from pipeline.config.schemas.devices import SMALL
from pipeline.config.sweep import DESCRIPTIONS, METHODS, rows_of
from pipeline.plan.pairs import Pairs
from pipeline.plan.shapes import Shape, model_shape, reward_shape

FORWARD, WHOLE, ADAPTERS = 2, 6, 4  # operations for a parameter and token: forward; trained; trained through adapters
BACKWARD = 3  # passes through a layer of a training step, of which one is forward
STATE = 3  # a training's own state on disk, in sizes of what it trains: weights and two moments
BYTES = 4  # of a number that is saved
TEXT = 12  # bytes of a token in a table, its text and number
# Of a set of prompts.
LIKE = {"answer_prompts": "decode_responses", "judge_prompts": "judge_responses"}
LIKE |= {"sample_for_prompts": "sample_candidates"}
MEASURED_STEPS = 10  # of a training, by which a budget is turned into steps
LOADED = 8  # rows of a batch of a model that is loaded, where it is to be found out


@dataclass(frozen=True)
class Work:
    """What a job does.

    Attributes:
        operations: floating-point operations.
        passes: of a batch through a layer.
        written: bytes that stay on disk.
        state: bytes that it holds there while it runs.
    """

    operations: float
    passes: float
    written: float = 0.0
    state: float = 0.0

    def __add__(self, other: "Work") -> "Work":
        sums = (getattr(self, name) + getattr(other, name) for name in ("operations", "passes", "written", "state"))
        return Work(*sums)


@dataclass(frozen=True)
class Place:
    """What jobs share: entries of models and the device's batches.

    Attributes:
        models, reward_models: entries by name.
        batches: `per_device_batch_size` of the device.
        processes: of each job.
    """

    models: Mapping[str, Mapping]
    reward_models: Mapping[str, Mapping]
    batches: Mapping[str, int | str]
    processes: int = 1

    def batch(self, stage: str, shape: Shape) -> int:
        """Rows that a process holds at a time."""
        given = self.batches.get(stage, "auto")
        return given if isinstance(given, int) else SMALL[stage] if not shape.frozen else LOADED

    def reward(self, name: str | None) -> Shape | None:
        """The shape of a reward model."""
        return reward_shape(self.reward_models[name], self.models) if name in self.reward_models else None


def work_of(rule: str, spec: dict, pairs: Pairs, split: str, place: Place, seeds: int = 1) -> Work | None:
    """What a job of a rule does.

    Args:
        spec: that it is made from.
        split: that it reads.
        seeds: how many files it scores, or checkpoints it samples.

    Returns:
        None for a job that runs no model, or one of which nobody knows how large it is.
    """
    rows = pairs.rows.get(split, 0)
    rule = LIKE.get(rule, rule)
    if rule == "count_steps":
        trainings = [spec[key] for key in ("run", "other") if key in spec]
        works = [_measured(training, pairs, split, place) for training in trainings]
        return sum(works, Work(0, 0)) if all(works) else None
    if rule == "evaluate_checkpoints":
        shape = model_shape(spec["model"])
        return shape and _checkpoints(spec, shape, pairs, seeds * min(rows, spec["prompts"]), place)
    makes = {"train_sft": _sft, "train_policy": _policy, "compute_reference": _reference}
    makes |= {"sample_candidates": _candidates, "generate_responses": _decoding, "decode_responses": _decoding}
    if make := makes.get(rule):
        shape = model_shape(spec["model"])
        work = shape and make(spec, shape, pairs, rows, place)
        return work and (work + _measuring(spec, shape, pairs, rows, place) if rule == "generate_responses" else work)
    texts = {"train_reward": 2, "score_bt": 2, "score_responses": seeds}.get(rule)
    if rule in ("judge_responses", "measure_judge") and spec.get("kind") == "reward":
        texts, spec = 2, {"name": spec.get("reward_model")}
    entry = place.reward_models.get(spec.get("name"), {}) if "train" not in spec and "path" not in spec else spec
    shape = reward_shape(entry, place.models) if texts and entry else None
    if not texts or shape is None:
        return None
    if rule == "train_reward":
        return _training(spec["train"], shape, 2 * _length(pairs, spec["train"]), rows, "reward", place)
    return _forward(shape, texts * rows, _length(pairs, {}), 32) + Work(0, 0, texts * rows * TEXT)


def _length(pairs: Pairs, given: Mapping) -> float:
    """Tokens of a prompt with a response."""
    return min(pairs.prompt + pairs.response, given.get("max_length") or float("inf"))


def _training(given: Mapping, shape: Shape, tokens: float, rows: float, stage: str, place: Place) -> Work:
    """A training on rows of so many tokens each."""
    batch = given["global_batch_size"]
    steps = given.get("max_steps") or ceil(rows * given["epochs"] / batch)
    parts = ceil(batch / place.processes / place.batch(stage, shape))
    operations = (ADAPTERS if shape.frozen else WHOLE) * shape.parameters * tokens * steps * batch
    saved = BYTES * shape.trained
    return Work(operations, BACKWARD * shape.layers * steps * parts * place.processes, saved, STATE * saved)


def _forward(shape: Shape, texts: float, tokens: float, batch: int) -> Work:
    return Work(FORWARD * shape.parameters * texts * tokens, shape.layers * ceil(texts / batch))


def _sampling(shape: Shape, prompts: float, prompt: float, new: float, batch: int) -> Work:
    """Responses of so many tokens to prompts, a token of a batch at a time."""
    operations = FORWARD * shape.parameters * prompts * (prompt + new)
    return Work(operations, shape.layers * ceil(prompts / batch) * new)


def _sft(spec, shape, pairs, rows, place):
    if (responses := spec["sft"].get("responses", "chosen")) != "chosen":
        rows = 2 * (rows + (pairs.rows.get(UNLABELLED, 0) if responses == "all" else 0))
    return _training(spec["sft"], shape, _length(pairs, spec["sft"]), rows, "sft", place)


def _reference(spec, shape, pairs, rows, place):
    found = _forward(shape, 2 * rows, _length(pairs, spec), place.batch("reference", shape))
    return found + Work(0, 0, rows * TEXT)


def _policy(spec, shape, pairs, rows, place):
    given = spec["hyperparameters"]
    kinds = rows_of(spec["method"]) if spec["method"] in METHODS else ()
    shares = {kind: given.get(kind.share) or 0 for kind in kinds}
    like = spec.get("extent") or {}  # of the run that has as many steps
    steps = like.get("max_steps") or given.get("max_steps")
    if "epochs" in like:
        steps = ceil(rows * like["epochs"] / like["global_batch_size"])
    if sampled := getattr(DESCRIPTIONS.get(spec["method"]), "SAMPLED", None):
        return _online(spec, sampled, steps, shape, pairs, rows, place)
    given = given | {"epochs": given["epochs"] / max(1 - sum(shares.values()), 0.01), "max_steps": steps}
    one = getattr(DESCRIPTIONS.get(spec["method"]), "CHOOSES", False)  # and no pair
    length, responses = _length(pairs, given), 1 if one else 2
    if tokens := given.get("budget_tokens") if not steps else None:
        given["max_steps"] = max(round(tokens / (responses * length * given["global_batch_size"])), 1)
    work = _training(given, shape, responses * length, rows, "policy", place)
    batch = given["global_batch_size"]
    all_rows = batch * (given.get("max_steps") or ceil(rows * given["epochs"] / batch))
    sampled = (
        all_rows * sum(share for kind, share in shares.items() if kind.sampled) / (given.get("rollout_reuse") or 1)
    )
    each = given.get("rollout_responses") or 2
    of_a_pair = each if given.get("rollout_pairs") == "extremes" else 2 / (each - 1)  # every two of them are one
    if sampled:
        new, at_once = given["rollout_max_new_tokens"], each * given["rollout_prompts"]
        work += _sampling(shape, of_a_pair * sampled, pairs.prompt, new, at_once)
        work += _forward(shape, of_a_pair * sampled, length, place.batch("reference", shape))
    labelled = of_a_pair * all_rows * sum(share for kind, share in shares.items() if kind.rewarded)
    if labelled and (reward := place.reward(spec.get("reward_model"))):
        work += _forward(reward, labelled, length, 32)
    return work


def _online(spec, sampled, steps, shape, pairs, rows, place):
    """A policy that is trained on its own responses alone.

    Args:
        sampled: {per_prompt: how many, or the hyperparameter that says it; per_row: how many are a row of a batch;
            kept: how many of a prompt's are trained on, where these are not all; new_tokens: the hyperparameter that
            says how long they are at most}.
        steps: None where epochs say how many there are.
    """
    given = spec["hyperparameters"]
    per_row, new, uses = sampled["per_row"], given[sampled["new_tokens"]], given.get("num_iterations") or 1
    per_prompt = given.get(sampled["per_prompt"], sampled["per_prompt"])
    kept, passes = sampled.get("kept", per_prompt), round_passes(given)
    length, batch = pairs.prompt + min(pairs.response, new), given["global_batch_size"]
    if tokens := given.get("budget_tokens") if not steps else None:
        each = length + min(pairs.response, new) * per_prompt / kept / uses
        steps = max(round(tokens / (batch * per_row * each)), 1)
    steps = steps or ceil(rows * passes * given["epochs"] * kept / per_row * uses / batch)
    work = _training(given | {"max_steps": steps}, shape, per_row * length, rows, "policy", place)
    trained = steps * batch * per_row / uses
    if "kept" in sampled:  # a prompt is answered once, however often its pair is trained on
        trained = min(trained, rows * passes * kept)
    responses = trained * per_prompt / kept
    at_once = (given.get("generation_batch_size") or batch * per_row) / place.processes
    work += _sampling(shape, responses, pairs.prompt, new, at_once)
    if given.get("beta"):
        work += _forward(shape, trained, length, place.batch("reference", shape))
    if reward := place.reward(spec.get("reward_model")):
        work += _forward(reward, responses, length, 32)
    return work


def _measured(spec, pairs, split, place):
    """The steps that tell what a step of a training takes, of which nothing stays."""
    short = spec | {"hyperparameters": spec["hyperparameters"] | {"epochs": 1, "max_steps": MEASURED_STEPS}}
    work = work_of("train_policy", short, pairs, split, place)
    return work and Work(work.operations, work.passes)


def _checkpoints(spec, shape, pairs, rows, place):
    """Responses of a run's checkpoints, with their log-probabilities under it and the reference; rewards are little."""
    new = spec["decoding"]["max_new_tokens"]
    measured = _forward(shape, 2 * rows, _length(pairs, {}), place.batch("reference", shape))
    return _sampling(shape, rows, pairs.prompt, new, place.batch("generate", shape)) + measured


def _decoding(spec, shape, pairs, rows, place):
    new, batch = spec["decoding"]["max_new_tokens"], place.batch("generate", shape)
    written = rows * TEXT * (pairs.prompt + 2 * pairs.response)
    return _sampling(shape, rows, pairs.prompt, new, batch) + Work(0, 0, written)


def _candidates(spec, shape, pairs, rows, place):
    """Several responses to each prompt, with their rewards."""
    work = _decoding(spec, shape, pairs, spec["n"] * rows, place)
    if reward := place.reward(spec["reward_model"]):
        work += _forward(reward, spec["n"] * rows, _length(pairs, {}), 32)
    return work


def _measuring(spec, shape, pairs, rows, place):
    """Log-probabilities of responses and pairs, under the policy and, of the responses, the reference."""
    return _forward(shape, 4 * rows, _length(pairs, spec), place.batch("reference", shape))

"""DPO in rounds: each begins with new responses of the policy, of which the best and the worst by reward are pairs."""

import random
import shutil
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from datasets import Dataset
from torch.optim.lr_scheduler import LambdaLR
from transformers import default_data_collator, get_scheduler
from trl import DPOConfig

from pipeline.jobs.gathering import gathered
from pipeline.jobs.io import InputError, atomic_path
from pipeline.jobs.partial import PartialResults
from pipeline.jobs.processes import is_first_process, own_share, processes
from pipeline.jobs.progress import Progress
from pipeline.training.online import CountsRollouts
from sail import ReferenceColumnsDPOTrainer
from sail.answers import AnswersPrompts
from sail.internals import add_metric, tokenizer_of
from sail.reference import REFERENCE_COLUMNS, Recorder
from sail.rewards import RewardFunctions
from sail.rollouts import Rollouts, add_rewards

BLOCK = 512  # responses that are sampled from one seed, which is what processes share and killed jobs keep


@dataclass
class RoundsConfig(DPOConfig):
    """Arguments of `RoundsDPOTrainer`; max_steps must be above 0, and an epoch is not read."""

    rounds: int = field(default=3, metadata={"help": "Rounds, which share the steps evenly."})
    n: int = field(default=8, metadata={"help": "Responses to each prompt."})
    round_prompts: str = field(default="split", metadata={"help": "A round's prompts: split or all."})
    round_reference: str = field(default="start", metadata={"help": "The reference: start or previous."})
    missing_eos_penalty: float | None = field(default=None, metadata={"help": "As that of `sail.SAILConfig`."})
    rollout_temperature: float = field(default=1.0, metadata={"help": "Sampling temperature."})
    rollout_top_p: float = field(default=1.0, metadata={"help": "Nucleus sampling mass."})
    rollout_max_new_tokens: int = field(default=256, metadata={"help": "Longest sampled response, in tokens."})
    rollout_batch_size: int = field(default=128, metadata={"help": "Responses generated side by side."})
    cache_implementation: str | None = field(default=None, metadata={"help": "Key-value cache of sampling."})


class RoundsDPOTrainer(CountsRollouts, AnswersPrompts, ReferenceColumnsDPOTrainer):
    """DPOTrainer whose pairs are made anew at the beginning of each round, of responses of the policy as it is then.

    Rounds share the steps evenly. Each has a learning-rate schedule, with its warm-up, and optimizer states of its own,
    as if it were a training that begins with the weights of the one before. Pairs whose rewards tie are left out; where
    a round has fewer pairs than rows in its steps, it goes through them again in another order.

    A round's pairs are in a file in the output folder, which a training that goes on within the round reads.

    Args:
        args: of which the reference's log-probabilities are said to be precomputed where no reference model is needed.
        train_dataset: prompt_ids, and what `reward_function` is given; responses are not read.
        reward_function: asked about all responses.

    Attributes:
        checkpoint_steps: after which a checkpoint is due, as a round begins with what it has sampled.
    """

    def __init__(
        self, model: Any, args: RoundsConfig, train_dataset: Dataset, tokenizer: Any, reward_function: RewardFunctions
    ):
        super().__init__(model, args=args, train_dataset=train_dataset, processing_class=tokenizer)
        self.precompute_ref_logps = True  # pairs bring the reference's log-probabilities
        self.prompts = self.train_dataset
        self.reward_function = reward_function
        rows = args.per_device_train_batch_size * args.gradient_accumulation_steps
        self.batch = rows * self.accelerator.num_processes
        self.begins = [args.max_steps * number // args.rounds for number in range(args.rounds)]
        self.checkpoint_steps = set(self.begins) - {0}
        # A batch is read before the step in front of it is done, so it has but the places of its pairs.
        self.train_dataset = Dataset.from_dict({"place": range(args.max_steps * self.batch)})
        self.data_collator = partial(collated, self.data_collator)
        self.round: int | None = None

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        """As the parent's, of the pairs that stand at these places."""
        places = inputs["place"].tolist()
        number = bisect_right(self.begins, places[0] // self.batch) - 1
        if number != self.round:
            self._enter(number)
        size, first = len(self.pairs), self.begins[number] * self.batch
        rows = [
            shuffled(size, f"{self.args.seed}:{number}:{(place - first) // size}")[(place - first) % size]
            for place in places
        ]
        batch = self.data_collator([self.pairs[row] for row in rows])
        batch = {key: value.to(self.accelerator.device) for key, value in batch.items()}
        return super().compute_loss(model, batch, return_outputs, num_items_in_batch)

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None):
        """The schedule of the arguments for each round, one after the other."""
        if self.lr_scheduler is None:
            ends = [*self.begins[1:], num_training_steps]
            factors = [self._factors(end - begin) for begin, end in zip(self.begins, ends, strict=True)]

            def factor(step: int) -> float:
                number = bisect_right(self.begins, step) - 1
                return factors[number](step - self.begins[number])

            self.lr_scheduler = LambdaLR(optimizer or self.optimizer, factor)
        return self.lr_scheduler

    def _factors(self, steps: int):
        """What the learning rate is multiplied by in a step of so many."""
        nothing = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))])
        warmup = self.args.get_warmup_steps(steps)
        schedule = get_scheduler(
            self.args.lr_scheduler_type, nothing, num_warmup_steps=warmup, num_training_steps=steps
        )
        return schedule.lr_lambdas[0]

    def _enter(self, number: int) -> None:
        """Take up a round: its pairs are sampled, or were before.

        Raises:
            InputError: no prompt has a pair.
        """
        path, begins = self._path(number), self.state.global_step == self.begins[number]
        if not path.is_file():
            if not begins:
                raise InputError(f"{path}: the pairs of the round that is gone on with are missing; train anew")
            self._write(path, self._sampled_rows(number))
            self.accelerator.wait_for_everyone()
        table = pq.read_table(path)
        best, worst = (table[name].to_numpy() for name in ("best", "worst"))
        kept = (best > worst).nonzero()[0]
        if begins:
            self._tell(number, table, len(kept))
            reset(self.optimizer)
        if not len(kept):
            raise InputError(
                f"round {number + 1}: of none of {len(table)} prompts do the best and the worst of {self.args.n} "
                "responses have different rewards; a higher temperature or n may help"
            )
        names = ["prompt_ids", "chosen_ids", "rejected_ids", *REFERENCE_COLUMNS]
        self.round, self.pairs = number, Dataset(table.select(names)).select(kept)

    def _path(self, number: int) -> Path:
        return Path(self.args.output_dir) / f"round-{number + 1}.parquet"

    def _write(self, path: Path, rows: list[dict]) -> None:
        if is_first_process():
            with atomic_path(path) as temporary:
                pq.write_table(pa.Table.from_pylist(rows), temporary)
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)  # the parts that it was made of

    def _tell(self, number: int, table: pa.Table, kept: int) -> None:
        """Count what the round has sampled, for the log and for what the training costs."""
        tied, share = len(table) - kept, processes()[1]
        self.rollout_tokens += round(sum(table["tokens"].to_pylist()) / share)
        self.rollout_seconds += sum(table["seconds"].to_pylist()) / share
        values = {"round": number + 1, "prompts": len(table), "tied": tied}
        means = {"reward": "mean", "reward_best": "best", "reward_worst": "worst", "tokens": "tokens"}
        values |= {name: sum(table[column].to_pylist()) / len(table) for name, column in means.items()}
        for name, value in values.items():
            add_metric(self, f"rounds/{name}", value)
        if is_first_process():
            what = f"{len(table)} prompts, {self.args.n} responses to each; {tied} left out, as their rewards tie"
            print(f"round {number + 1} of {self.args.rounds}: {what}", flush=True)

    def _sampled_rows(self, number: int) -> list[dict]:
        """A row for each prompt of a round: its best and worst response, and what was sampled for it."""
        ends = [*self.begins[1:], self.args.max_steps]
        most = (ends[number] - self.begins[number]) * self.batch
        wanted = round_prompts(
            len(self.prompts), number, self.args.rounds, self.args.round_prompts, most, self.args.seed
        )
        size = max(BLOCK // self.args.n, 1)
        blocks = [wanted[first : first + size] for first in range(0, len(wanted), size)]
        finished = PartialResults(self._path(number).with_suffix(""))
        own = [block for block in own_share(range(len(blocks))) if block not in finished.values]
        progress = Progress(f"round {number + 1}: prompts", sum(len(blocks[block]) for block in own))
        with self._responding() as respond:
            for block in own:
                seed = random.Random(f"{self.args.seed}:{number}:{block}").getrandbits(63)
                finished.add({block: self._answers(blocks[block], seed, respond)})
                progress.add(len(blocks[block]))
        finished.save()
        found = gathered(finished.values, self.accelerator.device.type)
        rows = [row for block in sorted(found) for row in found[block]]
        self._set_reference([row for row in rows if row["best"] > row["worst"]])
        return rows

    def _answers(self, wanted: list[int], seed: int, respond) -> list[dict]:
        """Rows of some prompts, without the reference's log-probabilities."""
        begun = time.perf_counter()
        prompts = [self.prompts[row] for row in wanted]
        with self._aside(seed):
            found = self._answered(prompts, self.args.n, 0, lambda *asked: (respond(*asked), None))
        penalty, tokenizer = self.args.missing_eos_penalty, tokenizer_of(self)
        add_rewards(found, prompts, tokenizer, self.reward_function, False, penalty, trainer_state=self.state)
        seconds = (time.perf_counter() - begun) / len(wanted)
        return [_row(group) | {"seconds": seconds} for group in found]

    def _set_reference(self, rows: list[dict]) -> None:
        """Set the reference's log-probabilities of pairs; each process does as many, as all take part in each batch."""
        if not rows:
            return
        rank, count = processes()
        own = [min(rank + turn * count, len(rows) - 1) for turn in range(-(-len(rows) // count))]
        pairs = [
            Rollouts(row["prompt_ids"], [row["chosen_ids"], row["rejected_ids"]], 0, [False] * 2, [0.0] * 2)
            for row in (rows[place] for place in own)
        ]
        begun = time.perf_counter()
        with self._aside(0):
            self._add_reference_logps(pairs)
        seconds = time.perf_counter() - begun
        own_logps = {place: (pair.ref_logps, seconds / len(own)) for place, pair in zip(own, pairs, strict=True)}
        for place, (logps, spent) in gathered(own_logps, self.accelerator.device.type).items():
            rows[place] |= dict(zip(REFERENCE_COLUMNS, logps, strict=True))
            rows[place]["seconds"] += spent

    def _reference_logps(self, inputs):
        if self.args.round_reference == "start":
            return self.compute_ref_log_probs(self.ref_model or self.model, inputs)
        recorder = Recorder(self.shared(self.model))  # the policy as it is when the round begins
        with torch.no_grad(), self.accelerator.autocast():
            recorder.forward(inputs)
        return recorder.logps(inputs)


def _row(group: Rollouts) -> dict:
    """The best and the worst of a prompt's responses, and what they are among."""
    best, worst = group.extremes() or (0, 0)
    rewards = [reward for reward in group.rewards or () if reward is not None] or [0.0]
    return {
        "prompt_ids": group.prompt_ids,
        "chosen_ids": group.response_ids[best],
        "rejected_ids": group.response_ids[worst],
        **dict.fromkeys(REFERENCE_COLUMNS, 0.0),
        "best": max(rewards),
        "worst": min(rewards),
        "mean": sum(rewards) / len(rewards),
        "tokens": sum(map(len, group.response_ids)),
    }


def collated(collate_pairs: Callable, examples: list[dict]) -> dict:
    """A batch of places, or of the pairs that stand there."""
    return default_data_collator(examples) if "place" in examples[0] else collate_pairs(examples)


def round_prompts(size: int, number: int, rounds: int, which: str, most: int, seed: int) -> list[int]:
    """The rows whose prompts a round has, in the order in which it has them.

    Args:
        size: of the dataset.
        number: of the round, from 0 on.
        which: split, each row is in one round; all, each is in every round, in another order.
        most: rows that the steps of the round have.
    """
    parted = which == "split"
    order = random.Random(f"{seed}:prompts" if parted else f"{seed}:prompts:{number}").sample(range(size), size)
    return (order[number::rounds] if parted else order)[:most]


@lru_cache(maxsize=2)
def shuffled(size: int, seed: str) -> list[int]:
    """The numbers below a size in an order drawn from a seed."""
    return random.Random(seed).sample(range(size), size)


def reset(optimizer: torch.optim.Optimizer) -> None:
    """Let an optimizer forget what it has seen: its states are as they were before the first step."""
    for state in optimizer.state.values():
        if any(name.startswith("qmap") for name in state):
            state.clear()  # states in 8 bits, which bitsandbytes makes anew
        for name, value in state.items():
            if isinstance(value, torch.Tensor):
                value.zero_()
            elif isinstance(value, int | float):
                state[name] = type(value)(0)

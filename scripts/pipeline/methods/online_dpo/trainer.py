"""TRL's OnlineDPOTrainer on the prompts of the pairs."""

import time

import torch
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

from pipeline.training.online import TOKENISED, CountsRollouts, prompts_of
from pipeline.training.policy import Start
from pipeline.training.state import continued
from sail.internals import count_tokens


class CountingOnlineDPOTrainer(CountsRollouts, OnlineDPOTrainer):
    """OnlineDPOTrainer that counts the tokens it samples and trains on, and the seconds of sampling."""

    whole_logits = True  # see `pipeline.training.fitting`

    def _generate(self, model, prompts, images=None):
        begun = time.perf_counter()
        found = super()._generate(model, prompts, images)
        self.count_rollouts(found[3].sum().item(), begun)
        return found

    def _forward(self, model, prompt_ids, prompt_mask, completion_ids, completion_mask, vision_inputs=None):
        if torch.is_grad_enabled():  # else it is the reference
            count_tokens(self, prompt_mask.sum() + completion_mask.sum())
        return super()._forward(model, prompt_ids, prompt_mask, completion_ids, completion_mask, vision_inputs)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As the parent's, but for a mean that it takes over a part of an epoch's last rows."""
        if "objective/rlhf_reward" in logs:
            logs["objective/rlhf_reward"] = logs["objective/scores"] + logs["objective/non_score_reward"]
        super().log(logs, start_time)


def trainer(start: Start) -> OnlineDPOTrainer:
    """The trainer of an Online DPO run: a step has as many prompts as the global batch has pairs."""
    # TRL tokenises text itself, without special tokens: it is the text of the very tokens
    dataset = prompts_of(start).map(lambda row: {"prompt": start.tokenizer.decode(row["prompt"])})
    return continued(CountingOnlineDPOTrainer)(
        start.model,
        reward_funcs=start.reward_function,
        args=start.arguments(OnlineDPOConfig, but=TOKENISED, cache_implementation=start.device.cache_implementation),
        train_dataset=dataset,
        processing_class=start.tokenizer,
    )

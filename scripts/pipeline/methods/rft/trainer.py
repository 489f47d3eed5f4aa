"""TRL's SFTTrainer on the best of several responses to each train prompt."""

from trl import SFTConfig, SFTTrainer

from pipeline.training.policy import Start
from pipeline.training.rejection import best_responses
from pipeline.training.state import continued

SAMPLING = ("n", "missing_eos_penalty", "temperature", "top_p", "max_new_tokens", "backend")  # of the candidates


def trainer(start: Start) -> SFTTrainer:
    """The trainer of a run of rejection-sampling fine-tuning; the loss is on the responses alone."""
    dataset = best_responses(start)
    made = continued(SFTTrainer)(
        start.model,
        args=start.arguments(SFTConfig, but=SAMPLING, completion_only_loss=True),
        train_dataset=dataset,
        processing_class=start.tokenizer,
    )
    made.seconds_before_training = start.candidates.seconds
    return made

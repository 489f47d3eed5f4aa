"""What the trainings share: datasets in a model's format, the learning curve, adapters, what is refused."""

from datasets import disable_progress_bars
from fixtures_training import TRAINING

disable_progress_bars()
SFT = {**TRAINING, "responses": "chosen"}
POLICY = {**TRAINING, "beta": 0.1, "label_smoothing": 0.0, "loss_type": "sigmoid"}
SAIL = {"g": 0.5, "gamma": 0.3, "rollout_max_new_tokens": 4, "rollout_prompts": 4}

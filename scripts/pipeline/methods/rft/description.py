"""What the method rft is called, takes and looks like."""

from pipeline.config.fields import number, whole
from pipeline.config.hyperparameters import CANDIDATES, COMMON, SAMPLING

ORDER = 21
SENTENCE = "Rejection-sampling fine-tuning (RAFT): SFT on the best of n responses of the SFT model to each prompt."
CARD = (
    "Rejection-sampling fine-tuning (RAFT): of n responses of the SFT model to each train prompt the one with the "
    "highest reward, and supervised fine-tuning on these with TRL's SFTTrainer."
)
OWN = {
    "epochs": number("Passes over the train prompts, each with its best response.", exclusiveMinimum=0, default=1),
    "global_batch_size": whole("Prompts with their best responses per optimizer step, as in SFT.", default=32),
    "n": CANDIDATES["n"] | {"default": 8},
}
HYPERPARAMETERS = {key: schema for key, schema in COMMON.items() if key != "beta"} | CANDIDATES | SAMPLING | OWN
ROWS = ()
CHOOSES = True  # among several responses, by the reward model, before the training
IMPLICIT_REWARD = False  # there is no reference in its loss
COLOR, MARKER = "sky", "triangle-up"

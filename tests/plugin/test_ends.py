"""Responses of the dataset end where sampled ones do, where there are any; pairs in tokens are taken as they are."""

import torch
from datasets import Dataset
from fixtures_templates import CHATML, marked_tokenizer, save_marked
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer

from sail import SAILConfig, SAILTrainer
from sail.generation import cut_behind_end

PAIRS = Dataset.from_list(
    [
        {
            "prompt": [{"role": "user", "content": f"What is {i}?"}],
            "chosen": [{"role": "assistant", "content": "It is red."}],
            "rejected": [{"role": "assistant", "content": "Blue"}],
        }
        for i in range(4)
    ]
)


def trainer(tmp_path, kind, config, dataset=PAIRS, **given):
    tokenizer = marked_tokenizer(CHATML, eos="<|im_end|>")
    model = AutoModelForCausalLM.from_pretrained(save_marked(tmp_path / "model", CHATML))
    arguments = config(
        str(tmp_path / "out"), use_cpu=True, bf16=False, report_to=[], max_steps=2, save_strategy="no", **given
    )
    return kind(model, args=arguments, train_dataset=dataset, processing_class=tokenizer)


def test_the_datasets_responses_end_as_sampled_ones_do(tmp_path):
    plain = trainer(tmp_path, DPOTrainer, DPOConfig).train_dataset
    sampling = trainer(tmp_path, SAILTrainer, SAILConfig, p=0.5, rollout_max_new_tokens=4).train_dataset
    for name in ("chosen_ids", "rejected_ids"):
        for whole, cut in zip(plain[name], sampling[name], strict=True):
            assert cut == whole[:-1] and marked_tokenizer(CHATML).convert_ids_to_tokens(cut[-1]) == "<|im_end|>"
    assert cut_behind_end([1, 4, 5, 4, 6, 7], [4]) == [1, 4, 5, 4] and cut_behind_end([1, 2], [4]) == [1, 2]


def test_with_everything_off_it_is_dpo_bit_for_bit_behind_the_end_too(tmp_path):
    trained = {}
    for kind, config in ((DPOTrainer, DPOConfig), (SAILTrainer, SAILConfig)):
        made = trainer(tmp_path, kind, config, learning_rate=1e-2)
        made.train()
        trained[kind] = made.train_dataset["chosen_ids"][:], made.model.state_dict()
    (ids, weights), (own_ids, own) = trained.values()
    assert ids == own_ids and all(torch.equal(weights[name], own[name]) for name in weights)


def test_pairs_in_tokens_are_taken_as_they_are(tmp_path):
    rows = [{"prompt": "not read", "prompt_ids": [5] * n, "chosen_ids": [6, 2], "rejected_ids": [7]} for n in (2, 9)]
    made = trainer(tmp_path, SAILTrainer, SAILConfig, Dataset.from_list(rows), max_length=9)
    assert made.train_dataset["prompt_ids"][:] == [[5, 5]] and made.train_dataset["chosen_ids"][:] == [[6, 2]]

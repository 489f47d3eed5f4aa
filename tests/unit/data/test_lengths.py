"""Rows that are too long for a policy: counted as its trainer counts, by its own tokenizer and in its own format."""

import subprocess
import sys

import pyarrow as pa
import pytest
from datasets import Dataset
from fixtures_data import plain, prepare, prepare_rows, row, write_jsonl
from fixtures_models import PLAIN_ENTRY, chat_tokenizer, llama_tokenizer, neox_tokenizer, trunk_config
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer

from pipeline.data.lengths import COMPLETION_TOKENS, LengthRule
from pipeline.jobs.io import InputError
from pipeline.models.checkpoints import load_policy, load_tokenizer, save_checkpoint
from pipeline.models.templates import format_prompt, format_response

TOKENIZERS = {"chat": chat_tokenizer, "llama": lambda: llama_tokenizer("<pad>"), "neox": neox_tokenizer}
DIALOGUE = [
    {"role": "user", "content": "Which colour?"},
    {"role": "assistant", "content": "Yellow."},
    {"role": "user", "content": "Sure?"},
]
ROWS = [
    {"prompt": "Which colour has a lemon?", "chosen": "It is yellow.", "rejected": "It is " + "very " * 20 + "blue."},
    {"prompt": "the big cat " * 12, "chosen": " sat on a tree\n\n", "rejected": "é漢字😀"},
    {"prompt": "{braces}", "chosen": "a" * 90, "rejected": "."},
]


@pytest.fixture(scope="module", params=TOKENIZERS)
def checkpoint(request, tmp_path_factory):
    """Folder of a tiny model with that tokenizer."""
    folder, tokenizer = tmp_path_factory.mktemp("models") / request.param, TOKENIZERS[request.param]()
    config = trunk_config("qwen2", tokenizer, pad_token_id=tokenizer.pad_token_id or 0)
    save_checkpoint(AutoModelForCausalLM.from_config(config), tokenizer, folder)
    return folder


def entry(folder):
    return {"path": str(folder), "trust_remote_code": False, **PLAIN_ENTRY}


def trained_lengths(folder, rows, scratch):
    """Tokens of the longer sequence of each pair, as DPOTrainer makes them."""
    tokenizer = load_tokenizer(str(folder))
    formatted = [
        {"prompt": format_prompt(each["prompt"], tokenizer, PLAIN_ENTRY)}
        | {name: format_response(each[name], tokenizer, PLAIN_ENTRY) for name in ("chosen", "rejected")}
        for each in rows
    ]
    arguments = DPOConfig(output_dir=str(scratch), max_length=None, use_cpu=True, report_to=[], bf16=False)
    model = load_policy(str(folder))
    trainer = DPOTrainer(model, args=arguments, train_dataset=Dataset.from_list(formatted), processing_class=tokenizer)
    return [len(r["prompt_ids"]) + max(len(r["chosen_ids"]), len(r["rejected_ids"])) for r in trainer.train_dataset]


@pytest.mark.parametrize("rows", [ROWS, [each | {"prompt": DIALOGUE} for each in ROWS]], ids=["text", "dialogue"])
def test_tokens_are_counted_as_the_trainer_counts_them(checkpoint, rows, tmp_path):
    pairs = pa.Table.from_pylist(rows)
    for number, length in enumerate(trained_lengths(checkpoint, rows, tmp_path)):
        assert length > 10
        for most, expected in ((length - 1, True), (length, False)):
            assert LengthRule([entry(checkpoint)], most).unfit(pairs)[0][number] == expected, (number, length)


def test_rows_too_long_for_any_model_are_counted_and_gone(tmp_path):
    for name, make in TOKENIZERS.items():
        make().save_pretrained(tmp_path / name)
        (tmp_path / name / "config.json").write_text('{"model_type": "llama"}')
    rows = [row(number) for number in range(30)] + [row(number) | {"chosen": "漢" * 40} for number in range(30, 34)]
    one = {"tokenizers": [entry(tmp_path / "chat")], "max_length": 110}
    splits, card = prepare_rows(tmp_path, rows, **one)
    assert card["dropped"]["too_long"] == 4 and card["rows_out"] == 30
    assert card["too_long_for"] == {"max_length": 110, "tokenizers": [str(tmp_path / "chat")]}
    assert not {text for table in splits.values() for text in table["chosen"].to_pylist() if "漢" in text}
    assert prepare_rows(tmp_path, rows, **one | {"max_length": 200})[1]["dropped"]["too_long"] == 0
    both = one | {"tokenizers": [entry(tmp_path / name) for name in ("llama", "chat")], "max_length": 40}
    longest = prepare_rows(tmp_path, rows, **both)[1]["dropped"]["too_long"]
    alone = [prepare_rows(tmp_path, rows, **both | {"tokenizers": [one]})[1] for one in both["tokenizers"]]
    assert longest == max(card["dropped"]["too_long"] for card in alone) >= 4


def ultrafeedback(number, words):
    scores = (7.0, 8.5, 2.0, 3.0)
    completions = [{"response": "a " * (words if i == 3 else 5) + str(i), "overall_score": scores[i]} for i in range(4)]
    return {"instruction": f"Name fruit {number}.", "completions": completions}


def test_each_completion_of_ultrafeedback_counts(tmp_path):
    chat_tokenizer().save_pretrained(tmp_path / "chat")
    (tmp_path / "chat" / "config.json").write_text('{"model_type": "llama"}')
    # The long completion is neither the best nor the worst, so no pair has it.
    path = write_jsonl(tmp_path / "rows.jsonl", [ultrafeedback(i, 2000 if i == 7 else 3) for i in range(20)])
    spec = plain(path, source="ultrafeedback")
    assert prepare(spec)[1]["dropped"]["too_long"] == 0
    _, card = prepare(spec | {"tokenizers": [entry(tmp_path / "chat")], "max_length": 10_000})
    assert card["dropped"]["too_long"] == 1
    tokenizer = load_tokenizer(str(tmp_path / "chat"))
    filled = next(
        words
        for words in range(600, 2000)
        if len(tokenizer(f"<|user|>Name fruit 0.<|assistant|>{'a ' * words}3<|end|>")["input_ids"]) == COMPLETION_TOKENS
    )
    path = write_jsonl(
        tmp_path / "rows.jsonl", [ultrafeedback(0, filled), *(ultrafeedback(i, filled - 1) for i in range(1, 9))]
    )
    _, card = prepare(plain(path, source="ultrafeedback", tokenizers=[entry(tmp_path / "chat")], max_length=10_000))
    assert card["dropped"]["too_long"] == 1


def test_a_tokenizer_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path}/none: there is no such folder"):
        prepare_rows(tmp_path, [row(i) for i in range(9)], tokenizers=[entry(tmp_path / "none")], max_length=9)


def test_a_tokenizer_that_cannot_be_had_and_a_template_that_refuses_are_named(tmp_path):
    rows = [row(i) for i in range(9)]
    with pytest.raises(InputError, match=r"owner/no-such-model: its tokenizer cannot be had .*; give a hub id"):
        prepare_rows(tmp_path, rows, tokenizers=[entry("owner/no-such-model")], max_length=9)
    tokenizer = chat_tokenizer()
    tokenizer.chat_template = "{{ raise_exception('no dialogues here') }}"
    tokenizer.save_pretrained(tmp_path / "strict")
    (tmp_path / "strict" / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(InputError, match=r"strict: its chat template refuses a question .*no dialogues here"):
        prepare_rows(tmp_path, rows, tokenizers=[entry(tmp_path / "strict")], max_length=9)


def test_transformers_is_imported_only_where_there_is_a_tokenizer(tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [row(number) for number in range(20)])
    code = (
        "import sys; from fixtures_data import plain; from pipeline.data.preparation import prepare\n"
        f"prepare(plain({str(path)!r}, near_duplicates=0.8), {str(tmp_path / 'out')!r})\n"
        "sys.exit(' '.join({'torch', 'transformers', 'datasets'} & set(sys.modules)) or 0)"
    )
    paths = [path for path in sys.path if path]
    ended = subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {paths}\n" + code], capture_output=True)
    assert ended.returncode == 0, ended.stderr

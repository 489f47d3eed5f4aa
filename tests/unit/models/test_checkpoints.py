"""Policies and tokenizers: any text survives, what is saved is what is loaded, wrong folders are named."""

import hashlib
import json

import pytest
import torch
from fixtures_models import PLAIN_ENTRY, chat_tokenizer, llama_tokenizer, neox_tokenizer, trunk_config
from peft import get_peft_model
from transformers import AutoModelForCausalLM

from pipeline.jobs.io import InputError
from pipeline.models.checkpoints import (
    load_policy,
    load_tokenizer,
    new_policy,
    peft_config,
    save_checkpoint,
    train_tokenizer,
    write_manifest,
)
from pipeline.models.templates import conversation

ARCHITECTURE = {
    "model_type": "qwen2",
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 64,
}
ODD_TEXTS = [
    "",
    " ",
    "  a  b ",
    "don't , . ! 's",
    "e\u0301 and \u00e9, 1234 <|endoftext|>",
    "é漢字😀\u202e\x00\n\t\r\n",
    "\ud7ff\ue000\U0010ffff",
    " .",
    "a" * 300,
    "<b>{prompt}</b> %s \\n",
]
LORA = {"adapter": "lora", "lora": {"r": 4, "alpha": 8, "dropout": 0.0, "target_modules": "all-linear"}}


@pytest.fixture(scope="module")
def tokenizer():
    return chat_tokenizer()


@pytest.fixture(scope="module")
def saved(tokenizer, tmp_path_factory):
    """Folder of a tiny Qwen2."""
    folder = tmp_path_factory.mktemp("models") / "model"
    torch.manual_seed(0)
    save_checkpoint(AutoModelForCausalLM.from_config(trunk_config("qwen2", tokenizer)), tokenizer, folder)
    return folder


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_any_text_survives_the_tokenizer(tokenizer, saved, text):
    ids = tokenizer(text)["input_ids"]
    assert tokenizer.decode(ids) == tokenizer.decode(ids, skip_special_tokens=True) == text
    again = load_tokenizer(str(saved))
    assert again(text)["input_ids"] == ids and again.decode(ids, skip_special_tokens=True) == text


@pytest.mark.parametrize("response", ["", "It is yellow.", " spaced ", "\n\nlines\n"])
@pytest.mark.parametrize(
    "prompt",
    [
        "Which colour?",
        " ends with a space ",
        [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
        ],
    ],
)
def test_the_chat_template_puts_the_prompt_in_front_of_the_response(tokenizer, prompt, response):
    messages = conversation(prompt)
    start = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
    answered = [*messages, {"role": "assistant", "content": response}]
    whole = tokenizer.apply_chat_template(answered, return_dict=True)["input_ids"]
    assert whole[: len(start)] == start
    assert whole[-1] == tokenizer.eos_token_id and whole[len(start) :].count(tokenizer.eos_token_id) == 1
    assert tokenizer.decode(whole[len(start) : -1]) == response


def test_a_tokenizer_is_trained_the_same_twice_and_has_its_special_tokens():
    one, other = (train_tokenizer(["a b c", "a b d"], 270) for _ in range(2))
    assert one.get_vocab() == other.get_vocab() and len(one) <= 270
    assert one.pad_token_id != one.eos_token_id and one.bos_token_id is None


def test_a_new_policy_is_its_seeds_and_fits_its_tokenizer():
    entry = {"architecture": ARCHITECTURE, "vocab_size": 300}
    (one, tokenizer), (same, _), (other, _) = (new_policy(entry, ["some texts"], seed) for seed in (1, 1, 2))
    weights = one.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in same.state_dict().items())
    assert not all(torch.equal(weights[name], value) for name, value in other.state_dict().items())
    config = one.config
    assert (config.vocab_size, config.eos_token_id, config.pad_token_id) == (
        len(tokenizer),
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
    )
    assert "model_type" in ARCHITECTURE  # the entry itself is not changed


def test_what_is_saved_is_loaded(saved, tokenizer):
    model, again = load_policy(str(saved)).eval(), load_tokenizer(str(saved))
    torch.manual_seed(0)
    fresh = AutoModelForCausalLM.from_config(trunk_config("qwen2", tokenizer)).eval()
    ids = torch.tensor([tokenizer("the big cat")["input_ids"]])
    torch.testing.assert_close(model(ids).logits, fresh(ids).logits, rtol=0, atol=0)
    assert again.get_vocab() == tokenizer.get_vocab() and again.chat_template == tokenizer.chat_template
    assert again.padding_side == "left" and again.pad_token_id == tokenizer.pad_token_id
    assert not [path.name for path in saved.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".pkl")]


def test_a_checkpoint_is_replaced_as_a_whole(saved, tokenizer, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "left_over.txt").write_text("old")
    save_checkpoint(load_policy(str(saved)), tokenizer, folder)
    assert hashes(folder) == hashes(saved)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("make", [llama_tokenizer, neox_tokenizer])
def test_a_tokenizer_without_pad_token_pads_with_its_end(make, tmp_path):
    make().save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id and tokenizer.chat_template is None


@pytest.mark.parametrize("load", [load_policy, load_tokenizer])
def test_what_is_no_checkpoint_is_named(load, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InputError, match=f"{tmp_path}: neither config.json nor adapter_config.json"):
        load(str(tmp_path))
    with pytest.raises(InputError, match=f"{tmp_path}/missing: there is no such folder"):
        load(str(tmp_path / "missing"))
    with pytest.raises(InputError, match="results/sft/world/W1M/modle: there is no such folder"):
        load("results/sft/world/W1M/modle")


def test_the_manifest_has_the_hash_of_every_file(saved, tmp_path):
    write_manifest(saved, tmp_path / "manifest.json")
    files = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert files == hashes(saved) and "model.safetensors" in files and list(files) == sorted(files)


def test_manifests_are_equal_exactly_where_the_files_are(tmp_path):
    for name, text in (("one", "x"), ("same", "x"), ("other", "y")):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "file.txt").write_text(text)
        (tmp_path / name / ".hidden").write_text(name)
        write_manifest(tmp_path / name, tmp_path / f"{name}.json")
    one, same, other = ((tmp_path / f"{name}.json").read_bytes() for name in ("one", "same", "other"))
    assert one == same != other and list(json.loads(one)["files"]) == ["sub/file.txt"]


def test_full_fine_tuning_has_no_adapter():
    assert peft_config({"adapter": "none"}) is None and peft_config({}) is None


def test_an_adapter_is_saved_alone_and_loaded_on_top_of_its_base(saved, tokenizer, tmp_path):
    config = peft_config({"path": str(saved), **LORA})
    model = get_peft_model(load_policy(str(saved)), config)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    model.add_adapter("ref", config)
    model.eval()
    save_checkpoint(model, tokenizer, tmp_path / "adapter")
    names = sorted(path.name for path in (tmp_path / "adapter").iterdir())
    assert "adapter_model.safetensors" in names and "model.safetensors" not in names and "ref" not in names

    ids = torch.tensor([tokenizer("the big cat")["input_ids"]])
    read, trained = (load_policy(str(tmp_path / "adapter"), trainable=trainable) for trainable in (False, True))
    torch.testing.assert_close(read.eval()(ids).logits, model(ids).logits)
    assert not torch.allclose(read(ids).logits, load_policy(str(saved)).eval()(ids).logits)
    assert not [name for name, parameter in read.named_parameters() if parameter.requires_grad]
    trainable = [name for name, parameter in trained.named_parameters() if parameter.requires_grad]
    assert trainable and all("lora_" in name for name in trainable)
    assert load_tokenizer(str(tmp_path / "adapter")).get_vocab() == tokenizer.get_vocab()


def test_a_checkpoint_is_written_from_given_weights_where_the_model_has_parts_of_them(saved, tokenizer, tmp_path):
    model = load_policy(str(saved))
    whole = {name: tensor.detach() + 1 for name, tensor in model.state_dict().items()}
    save_checkpoint(model, tokenizer, tmp_path / "model", state_dict=whole)
    for name, tensor in load_policy(str(tmp_path / "model")).state_dict().items():
        torch.testing.assert_close(tensor, whole[name])
    adapter = get_peft_model(load_policy(str(saved)), peft_config({"path": str(saved), **LORA}))
    parts = {name: torch.full_like(tensor, 0.5) for name, tensor in adapter.state_dict().items()}
    save_checkpoint(adapter, tokenizer, tmp_path / "adapter", state_dict=parts)
    read = [tensor for name, tensor in load_policy(str(tmp_path / "adapter")).state_dict().items() if "lora_" in name]
    assert read and all((tensor == 0.5).all() for tensor in read)


def test_an_adapter_remembers_the_revision_of_its_base(saved, tokenizer, tmp_path):
    entry = {"path": str(saved), "revision": "abc123", **LORA, **PLAIN_ENTRY}
    save_checkpoint(get_peft_model(load_policy(str(saved)), peft_config(entry)), tokenizer, tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (str(saved), "abc123")

"""Log-probabilities: equal to a hand computation and to TRL's, whatever else is in the batch. Generation."""

import itertools

import pandas as pd
import pytest
import torch
from datasets import disable_progress_bars
from fixtures_models import (
    PLAIN_ENTRY,
    chat_tokenizer,
    cpu_device,
    formatted_pairs,
    llama_tokenizer,
    neox_tokenizer,
    trunk_config,
)
from transformers import AutoModelForCausalLM
from trl import DPOConfig, DPOTrainer

from pipeline.generation.evaluation import evaluate_policy
from pipeline.generation.responses import generate_responses
from pipeline.jobs.io import InputError
from pipeline.models.checkpoints import load_policy, load_tokenizer, save_checkpoint
from pipeline.models.logps import response_logps
from pipeline.models.templates import as_text, pair_token_ids, prompt_token_ids
from pipeline.training.reference import reference_logps
from pipeline.training.running import preference_dataset

disable_progress_bars()
DIALOGUE = [
    {"role": "user", "content": "Which colour?"},
    {"role": "assistant", "content": "Yellow."},
    {"role": "user", "content": "Sure?"},
]
TEXTS = [
    ("Which colour has a lemon?", "It is yellow.", "No."),
    ("And a cat, the big one, please?", "\n\nIt is old and blue", " It is."),
    ("What?", "A lemon is yellow. " * 5, "blue"),
    ("Ends with a space ", "", "Thank you for asking!"),
    ("Sure", "Yes, sour.", "<b>"),
]
CASES = {"chat": ("qwen2", chat_tokenizer, {}), "llama": ("llama", llama_tokenizer, PLAIN_ENTRY)}
CASES["neox"] = ("llama", neox_tokenizer, PLAIN_ENTRY)
DECODING = {"do_sample": True, "temperature": 1.0, "top_p": 1.0, "max_new_tokens": 6}


def frame_of(dialogues: bool = False) -> pd.DataFrame:
    rows = [(DIALOGUE[:size], *TEXTS[size][1:]) for size in (1, 3)] if dialogues else TEXTS
    frame = pd.DataFrame(rows, columns=["prompt", "chosen", "rejected"])
    return frame.assign(prompt_id=[f"id{i}" for i in range(len(rows))])


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    """(folder of a tiny policy, its entry) with and without a chat template."""
    kind, make, entry = CASES[request.param]
    folder, tokenizer = tmp_path_factory.mktemp(request.param) / "model", make()
    torch.manual_seed(1)
    save_checkpoint(AutoModelForCausalLM.from_config(trunk_config(kind, tokenizer)), tokenizer, folder)
    return str(folder), entry


@pytest.fixture
def policy(case):
    """(model in eval mode, tokenizer, entry)."""
    return load_policy(case[0]).eval(), load_tokenizer(case[0]), case[1]


def logps_of_one(model, prompt: list[int], response: list[int]) -> float:
    """Σ log softmax(logits)[token], one sequence by itself, in float64."""
    with torch.no_grad():
        logits = model(torch.tensor([prompt + response])).logits[0].double()
    steps = enumerate(response, start=len(prompt) - 1)
    return sum(torch.log_softmax(logits[position], dim=0)[token].item() for position, token in steps)


def pairs(tokenizer, entry):
    """Prompts and responses as token ids, all combinations."""
    prompts = [prompt_token_ids(text[0], tokenizer, entry) for text in TEXTS]
    responses = [tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] for text in ("red", "A lemon is yellow.", ".")]
    return [list(values) for values in zip(*itertools.product(prompts, responses), strict=True)]


def test_logps_are_those_of_a_hand_computation(policy):
    model, tokenizer, entry = policy
    prompts, responses = pairs(tokenizer, entry)
    values = response_logps(model, prompts, responses, tokenizer.pad_token_id, batch_size=4)
    assert values == pytest.approx(
        [logps_of_one(model, *pair) for pair in zip(prompts, responses, strict=True)], abs=1e-4
    )
    assert min(values) < -1


def test_logps_do_not_depend_on_the_batch_nor_on_the_pad_token(policy):
    model, tokenizer, entry = policy
    prompts, responses = pairs(tokenizer, entry)
    alone = response_logps(model, prompts, responses, tokenizer.pad_token_id, batch_size=1)
    for size, pad in ((2, tokenizer.pad_token_id), (7, tokenizer.eos_token_id), (100, 5)):
        assert response_logps(model, prompts, responses, pad, size) == pytest.approx(alone, abs=1e-5)


def test_an_empty_response_and_an_empty_table_are_no_error(policy):
    model, _, _ = policy
    assert response_logps(model, [[5, 6], [5]], [[], [6]], 0, 2)[0] == 0
    assert response_logps(model, [], [], 0, 2) == []


@pytest.mark.parametrize("dialogues", [False, True])
def test_tokens_and_logps_are_those_of_trl(case, policy, tmp_path, dialogues):
    folder, entry = case
    model, tokenizer, _ = policy
    frame = frame_of(dialogues)
    arguments = DPOConfig(output_dir=str(tmp_path), max_length=None, use_cpu=True, bf16=False, report_to=[])
    dataset = formatted_pairs(frame, tokenizer, entry)
    trainer = DPOTrainer(load_policy(folder), args=arguments, train_dataset=dataset, processing_class=tokenizer)
    spec = {"model": entry, "max_length": 250}
    reference = reference_logps(spec, frame, folder, cpu_device(2), str(tmp_path))
    assert reference["prompt_id"].tolist() == frame["prompt_id"].tolist()
    assert list(reference.columns) == ["row", "prompt_id", "ref_chosen_logps", "ref_rejected_logps"]
    assert reference["ref_chosen_logps"].dtype == reference["ref_rejected_logps"].dtype == "float64"

    prompts = [prompt_token_ids(as_text(prompt), tokenizer, entry) for prompt in frame["prompt"]]
    assert prompts == trainer.train_dataset["prompt_ids"][:]
    for name in ("chosen", "rejected"):
        ids = [
            pair_token_ids(as_text(row.prompt), [getattr(row, name)], tokenizer, entry)[1][0]
            for row in frame.itertuples()
        ]
        assert ids == preference_dataset(frame, tokenizer, entry)[f"{name}_ids"][:]
        assert ids == trainer.train_dataset[f"{name}_ids"][:]
        values = response_logps(model, prompts, ids, tokenizer.pad_token_id, 3)
        assert reference[f"ref_{name}_logps"].tolist() == pytest.approx(values, abs=1e-4)


def test_the_reference_leaves_out_prompts_that_fill_max_length(case, tmp_path):
    folder, entry = case
    tokenizer, frame = load_tokenizer(folder), frame_of()
    lengths = [len(prompt_token_ids(prompt, tokenizer, entry)) for prompt in frame["prompt"]]
    limit = sorted(lengths)[2]
    reference = reference_logps({"model": entry, "max_length": limit}, frame, folder, cpu_device(2), str(tmp_path))
    kept = [row for row, length in enumerate(lengths) if length < limit]
    assert reference["row"].tolist() == kept and 0 < len(kept) < len(frame)
    assert reference["prompt_id"].tolist() == [f"id{row}" for row in kept]
    dataset = preference_dataset(frame, tokenizer, entry, reference)
    assert dataset["row"][:] == kept and dataset["ref_chosen_logps"][:] == reference["ref_chosen_logps"].tolist()


def generate(policy, seed: int = 3, batch_size: int = 2, **decoding):
    model, tokenizer, entry = policy
    return generate_responses(DECODING | decoding, entry, frame_of(), model, tokenizer, seed, cpu_device(batch_size))


def test_generated_responses_are_a_row_for_each_prompt(policy):
    model, tokenizer, _ = policy
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, 40]  # a model may have several ends
    responses = generate(policy, max_new_tokens=12)
    assert list(responses.columns) == [
        *("prompt_id", "prompt", "response", "response_ids", "response_tokens", "finished"),
    ]
    assert responses["prompt_id"].tolist() == frame_of()["prompt_id"].tolist()
    assert responses["prompt"].tolist() == frame_of()["prompt"].tolist()
    for row in responses.itertuples():
        ids = list(row.response_ids)
        assert row.response_tokens == len(ids) and 1 <= len(ids) <= 12
        assert row.finished == (ids[-1] in (tokenizer.eos_token_id, 40)) and (row.finished or len(ids) == 12)
        assert not {tokenizer.eos_token_id, 40} & set(ids[:-1])
        assert row.response == tokenizer.decode(ids, skip_special_tokens=True).strip()


def test_response_ids_are_small_integers_in_parquet(policy, tmp_path):
    generate(policy).to_parquet(tmp_path / "responses.parquet")
    again = pd.read_parquet(tmp_path / "responses.parquet")
    assert again["response_ids"][0].dtype == "int32"
    assert again["response_tokens"].dtype == "int64" and again["finished"].dtype == bool


def test_sampling_follows_its_seed_and_greedy_needs_none(policy):
    one, same, other = (generate(policy, seed)["response_ids"].map(list).tolist() for seed in (3, 3, 4))
    assert one == same != other
    greedy = [generate(policy, seed, size, do_sample=False) for seed, size in ((3, 1), (4, 5))]
    assert greedy[0]["response_ids"].map(list).tolist() == greedy[1]["response_ids"].map(list).tolist()


@pytest.fixture
def evaluated(case, policy, tmp_path):
    """The evaluation of a policy that is not its reference, with what it was made from."""
    folder, entry = case
    tokenizer = policy[1]
    reference = reference_logps({"model": entry, "max_length": 250}, frame_of(), folder, cpu_device(2), str(tmp_path))
    base, other = load_policy(folder).eval(), load_policy(folder).eval()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    responses = generate((other, tokenizer, entry)).sample(frac=1, random_state=0)

    def evaluate(policy=other, responses=responses):
        return evaluate_policy(entry, frame_of(), reference, responses, policy, base, tokenizer, cpu_device(2))

    return evaluate, base, other, responses, reference, tokenizer, entry


def test_an_evaluation_is_by_prompt_and_by_hand(evaluated):
    evaluate, base, other, responses, reference, tokenizer, entry = evaluated
    table = evaluate()
    assert set(table.columns) == {
        *("prompt_id", "chosen_logps", "rejected_logps", "response_logps", "ref_response_logps"),
        *("response_tokens", "ref_chosen_logps", "ref_rejected_logps"),
    }
    assert table["prompt_id"].tolist() == responses["prompt_id"].tolist()
    frame, known = frame_of().set_index("prompt_id"), reference.set_index("prompt_id")
    for row, ids in zip(table.itertuples(), responses["response_ids"], strict=True):
        pair = frame.loc[row.prompt_id]
        prompt = prompt_token_ids(pair["prompt"], tokenizer, entry)
        assert row.response_logps == pytest.approx(logps_of_one(other, prompt, list(ids)), abs=1e-4)
        assert row.ref_response_logps == pytest.approx(logps_of_one(base, prompt, list(ids)), abs=1e-4)
        _, [chosen] = pair_token_ids(pair["prompt"], [pair["chosen"]], tokenizer, entry)
        assert row.chosen_logps == pytest.approx(logps_of_one(other, prompt, chosen), abs=1e-4)
        assert row.ref_chosen_logps == known.loc[row.prompt_id, "ref_chosen_logps"]
        assert row.response_tokens == len(ids)


def test_the_reference_model_itself_has_margins_of_zero(evaluated):
    evaluate, base, *_ = evaluated
    table = evaluate(policy=base)
    for name in ("chosen", "rejected"):
        assert table[f"{name}_logps"].tolist() == pytest.approx(table[f"ref_{name}_logps"].tolist(), abs=1e-4)
    assert table["response_logps"].tolist() == table["ref_response_logps"].tolist()


def test_long_pairs_are_measured_as_far_as_the_reference_and_those_left_out_are_missing(case, policy, tmp_path):
    folder, entry = case
    tokenizer, device, frame = policy[1], cpu_device(2), frame_of()
    prompts = [len(prompt_token_ids(prompt, tokenizer, entry)) for prompt in frame["prompt"]]
    # longer than some prompts, not than all
    longest = sorted(prompts)[-1]
    spec = {"model": entry, "max_length": longest}
    reference = reference_logps(spec, frame, folder, device, str(tmp_path))
    left_out = {id_ for id_, length in zip(frame["prompt_id"], prompts, strict=True) if length >= longest}
    assert left_out == set(frame["prompt_id"]) - set(reference["prompt_id"]) and len(reference)
    base, responses = load_policy(folder).eval(), generate(policy)
    table = evaluate_policy(entry, frame, reference, responses, base, base, tokenizer, device, longest)
    missing = table["prompt_id"].isin(left_out)
    pair = ["chosen_logps", "rejected_logps", "ref_chosen_logps", "ref_rejected_logps"]
    assert table.loc[missing, pair].isna().all(None) and table.loc[~missing, pair].notna().all(None)
    assert table[["response_logps", "ref_response_logps"]].notna().all(None)
    whole = evaluate_policy(entry, frame, reference, responses, base, base, tokenizer, device)
    assert (whole[pair[:2]] - table[pair[:2]]).abs().max(axis=None) > 0.1, "nothing was cut"
    for name in ("chosen", "rejected"):
        known = table.loc[~missing]
        assert known[f"{name}_logps"].tolist() == pytest.approx(known[f"ref_{name}_logps"].tolist(), abs=1e-4)


def test_responses_to_other_prompts_or_twice_to_one_are_refused(evaluated):
    evaluate, _, _, responses, *_ = evaluated
    foreign = responses.assign(prompt_id=["elsewhere", *responses["prompt_id"][1:]])
    with pytest.raises(InputError, match="1 of the responses are to prompts that the split does not have"):
        evaluate(responses=foreign)
    with pytest.raises(InputError, match=f"prompt {responses['prompt_id'].iloc[0]} twice"):
        evaluate(responses=pd.concat([responses, responses.iloc[:1]]))


@pytest.mark.parametrize("template", ["{prompt}", "{prompt}A"])
def test_a_prompt_that_is_no_prefix_is_cut_as_trl_cuts_it(template, tmp_path):
    """Without a boundary between prompt and response their characters may merge into one token."""
    tokenizer, entry = neox_tokenizer(), {"plain_template": template}
    tokenizer.pad_token = tokenizer.eos_token
    torch.manual_seed(1)
    folder = tmp_path / "model"
    save_checkpoint(AutoModelForCausalLM.from_config(trunk_config("llama", tokenizer)), tokenizer, folder)
    rows = [("the c", "at sat", " lemon"), ("It i", "s yellow", "s"), ("It", "<|endoftext|>", " is<|endoftext|>")]
    frame = pd.DataFrame(rows, columns=["prompt", "chosen", "rejected"]).assign(prompt_id=["a", "b", "c"])
    spec, device = {"model": entry, "max_length": 200}, cpu_device(2)
    reference = reference_logps(spec, frame, str(folder), device, str(tmp_path))
    base = load_policy(str(folder)).eval()
    responses = generate_responses(DECODING, entry, frame, base, tokenizer, 0, device)
    table = evaluate_policy(entry, frame, reference, responses, base, base, tokenizer, device)
    for name in ("chosen", "rejected"):
        assert table[f"{name}_logps"].tolist() == pytest.approx(table[f"ref_{name}_logps"].tolist(), abs=1e-4)

"""Nothing that a checkpoint's generation config asks for reaches a sample, but the tokens that end one."""

import json
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, CompileConfig, GenerationConfig

from sail.generation import sample_responses

# Every field of a generation config, by what it changes or breaks where it reaches a call.
FIELDS = {
    **{"max_length": 3, "max_new_tokens": 2, "min_length": 9, "min_new_tokens": 8, "early_stopping": True},
    **{"max_time": 1e-9, "stop_strings": ["red"], "do_sample": True, "num_beams": 3, "use_cache": False},
    **{"cache_implementation": "static", "max_cache_len": 4, "temperature": 0.3, "top_k": 3, "top_p": 0.4},
    **{"min_p": 0.2, "top_h": 0.5, "typical_p": 0.5, "epsilon_cutoff": 0.1, "eta_cutoff": 0.1},
    **{"repetition_penalty": 1.7, "encoder_repetition_penalty": 1.7, "length_penalty": 2.0},
    **{"no_repeat_ngram_size": 1, "encoder_no_repeat_ngram_size": 1, "bad_words_ids": [[40]]},
    **{"renormalize_logits": True, "forced_bos_token_id": 41, "forced_eos_token_id": 42, "remove_invalid_values": True},
    **{"exponential_decay_length_penalty": [1, 1.5], "suppress_tokens": [43], "begin_suppress_tokens": [44]},
    **{"sequence_bias": [[[45], 5.0]], "token_healing": True, "guidance_scale": 1.5, "num_return_sequences": 2},
    **{"watermarking_config": {"greenlist_ratio": 0.25, "bias": 2.0}, "output_attentions": True},
    **{"output_hidden_states": True, "output_scores": True, "output_logits": True, "return_dict_in_generate": False},
    **{"decoder_start_token_id": 46, "is_assistant": True, "num_assistant_tokens": 4, "dola_layers": "low"},
    **{"num_assistant_tokens_schedule": "constant", "assistant_confidence_threshold": 0.4},
    **{"prompt_lookup_num_tokens": 3, "max_matching_ngram_size": 2, "assistant_early_exit": 1},
    **{"assistant_lookbehind": 4, "target_lookbehind": 4, "assistant_ensemble_weight": 0.5},
    **{"speculation_type": "dflash", "use_mtp": True, "disable_compile": True, "compile_config": CompileConfig()},
    **{"cache_config": {"nbits": 4}, "prefill_chunk_size": 2, "low_memory": True, "penalty_alpha": 0.6},
    **{"num_beam_groups": 3, "diversity_penalty": 0.5, "force_words_ids": [[47]], "constraints": [48]},
    **{"a_field_of_its_own": 3},
}
ENDS = {"bos_token_id", "pad_token_id", "eos_token_id"}
# Makes transformers warn of every call; it is handed to `generate` apart from the config nowadays.
MOVED = {"continuous_batching_config"}
GREEDY = {"do_sample": False, "temperature": 1.0, "top_p": 1.0}


@pytest.fixture
def asking(checkpoint, tokenizer, tmp_path):
    """Folder of the tiny checkpoint with every field set that a file can set, and two tokens that end a response."""
    folder = shutil.copytree(checkpoint, tmp_path / "asking")
    fields = {key: value for key, value in FIELDS.items() if key != "compile_config"}
    tokens = {"eos_token_id": [tokenizer.eos_token_id, 60], "pad_token_id": 5, "bos_token_id": 6}
    (folder / "generation_config.json").write_text(json.dumps(fields | tokens))
    return folder


def load(folder):
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    if folder.name == "asking":
        model.generation_config.compile_config = FIELDS["compile_config"]
    return model


def test_every_field_of_a_generation_config_is_tried(asking):
    known = {name for name in vars(GenerationConfig()) if not name.startswith("_")} - {"transformers_version"}
    assert known - ENDS - MOVED <= set(FIELDS)
    configured = load(asking).generation_config
    assert not [name for name in FIELDS if getattr(configured, name) is None]


@pytest.mark.parametrize("adapter", [False, True])
@pytest.mark.parametrize("changes", [{}, GREEDY, {"temperature": 0.7, "top_p": 0.8}])
def test_samples_are_those_of_a_checkpoint_that_asks_for_nothing(checkpoint, asking, tokenizer, changes, adapter):
    prompts = [tokenizer(text)["input_ids"] for text in ("red big cat", "red big cat", "old tree", "red red red red")]
    settings = {"max_new_tokens": 12, "temperature": 1.0, "top_p": 1.0, "batch_size": 3}
    tokens = {"pad_token_id": tokenizer.pad_token_id, "eos_token_ids": [tokenizer.eos_token_id]}

    def sample(model):
        torch.manual_seed(3)
        return sample_responses(model, prompts, **settings | tokens | changes)

    plain, other = load(checkpoint), load(asking)
    expected = sample(plain)
    assert max(map(len, expected)) == 12 and len({tuple(ids) for ids in expected}) > 2
    wrapped = get_peft_model(other, LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"])) if adapter else other
    before = dict(vars(other.generation_config))
    assert sample(wrapped.eval()) == expected
    assert vars(other.generation_config) == before and before["prompt_lookup_num_tokens"] == 3


def test_a_failed_call_leaves_the_generation_config_as_it_was(asking, tokenizer):
    model = load(asking)
    before = dict(vars(model.generation_config))
    with pytest.raises(RuntimeError, match="no memory"):
        model.forward = lambda *_, **__: (_ for _ in ()).throw(RuntimeError("no memory"))
        sample_responses(
            model,
            [[70, 71]],
            pad_token_id=0,
            eos_token_ids=[1],
            max_new_tokens=2,
            temperature=1.0,
            top_p=1.0,
            batch_size=1,
        )
    assert vars(model.generation_config) == before


def test_rollouts_ask_for_nothing_but_the_ends(sail_trainer, checkpoint, asking):
    """All ends of the checkpoint end rollouts; the rest of its generation config changes none."""
    pools, ends = [], {1, *range(40, 80)}
    for folder in (checkpoint, asking):
        model = load(folder)
        model.generation_config.eos_token_id = sorted(ends)
        trainer = sail_trainer(p=0.5, model=model, rollout_prompts=32)
        trainer._refill()
        pools.append([pair.response_ids for pair in trainer.pool.pairs])
    assert pools[0] == pools[1]
    responses = [ids for pair in pools[1] for ids in pair]
    assert any(ids[-1] in ends - {1} for ids in responses) and not any(ends & set(ids[:-1]) for ids in responses)

"""Rollouts by vLLM: seeds, weights, refusals, and a training with an engine that stands for vLLM."""

import copy
import dataclasses
import os
from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import AutoModelForCausalLM
from trl import GRPOConfig
from trl.import_utils import is_vllm_available

from plugin import resumable
from plugin.fake_vllm import FakeLLM, install
from plugin.tiny import new_model, weights
from plugin.training import assert_same_weights, logged
from sail import SAILConfig
from sail.engine import Engine, merged_weights
from sail.sampling import SamplesPairs

TARGETS = ["q_proj", "v_proj", "down_proj"]
LORA = LoraConfig(r=4, lora_alpha=8, target_modules=TARGETS, task_type="CAUSAL_LM")
VLLM = {"use_vllm": True, "max_age": 0}


def shaken(model, seed=1):
    """The model with adapters that change something, which new ones do not."""
    draw = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_B" in name or "modules_to_save" in name:
            parameter.data.add_(torch.randn(parameter.shape, generator=draw).to(parameter.dtype) * 0.1)
    return model


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("more", [{}, {"use_dora": True}, {"modules_to_save": ["lm_head"]}])
def test_a_sync_gives_merged_copies_and_leaves_every_bit_of_the_model(tokenizer, more, dtype):
    """Merging in place and out again would move base weights, and with them the reference."""
    settings = {**LORA.to_dict(), "target_modules": TARGETS, **more}
    model = get_peft_model(new_model(tokenizer).to(dtype), LoraConfig(**settings), adapter_name="default")
    model.add_adapter("ref", LoraConfig(**settings))  # as TRL keeps where a trained adapter starts from
    model = shaken(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sent = {name: tensor.clone() for name, tensor in merged_weights(model)}
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(module.merged for module in model.modules() if isinstance(module, BaseTunerLayer))

    right = copy.deepcopy(model).float().merge_and_unload(adapter_names=["default"])
    wanted = dict(right.named_parameters())
    assert sent.keys() == wanted.keys()
    for name, weight in wanted.items():
        assert sent[name].dtype == dtype
        torch.testing.assert_close(
            sent[name].float(), weight.data, rtol=1e-2 if dtype == torch.bfloat16 else 1e-6, atol=1e-6
        )
    moved = [
        name
        for name in wanted
        if not torch.equal(sent[name].float(), new_model(tokenizer).to(dtype).float().get_parameter(name))
    ]
    assert len(moved) == 2 * len(TARGETS) + ("modules_to_save" in more)


def engine(model, device="cpu", mode="colocate", distributed=DistributedType.NO, zero=0, **changes):
    """An engine as a trainer on that device would make it."""
    plugin = SimpleNamespace(zero_stage=zero) if zero else None
    accelerator = SimpleNamespace(
        device=torch.device(device),
        mixed_precision="no",
        num_processes=1,
        process_index=0,
        local_process_index=0,
        is_main_process=True,
        wait_for_everyone=lambda: None,
        distributed_type=distributed,
        is_fsdp2=True,
        state=SimpleNamespace(deepspeed_plugin=plugin, fsdp_plugin=None),
    )
    arguments = {"output_dir": "x", "use_cpu": True, "bf16": False, "p": 0.5, "use_vllm": True, "seed": 7}
    args = SAILConfig(**arguments, vllm_mode=mode, rollout_max_new_tokens=6, **changes)
    return Engine(model, accelerator, None, args, [1])


@pytest.fixture
def model(checkpoint):
    return AutoModelForCausalLM.from_pretrained(checkpoint)


def test_each_response_has_its_own_seed(monkeypatch, model):
    """Equal prompts get others; the same run, step and refill the same ones, another of them none in common."""
    install(monkeypatch)
    made, prompts = engine(model), [[5, 6, 7], [5, 6, 7], [8, 9], [5, 6, 7], [8, 9]]
    seen = []
    for step, refill in ((3, 10), (3, 20), (4, 10)):
        for _ in range(2):
            made.respond(prompts, step, refill)
        asked = FakeLLM.made[0].requests
        first, second = asked[-10:-5], asked[-5:]
        assert first == second and [ids for ids, _ in first] == prompts
        seen += [seed for _, seed in first]
    assert len(set(seen)) == 15 and all(0 <= seed < 2**63 for seed in seen)
    # What a prompt is asked with does not depend on its neighbours.
    made.respond(prompts[2:3], 4, 10)
    assert asked[-1] == asked[-4]
    options = FakeLLM.made[0].options
    assert options["enable_prefix_caching"] and options["enforce_eager"] and options["dtype"] == "float32"
    assert options["logprobs_mode"] == "processed_logprobs"
    assert FakeLLM.made[0].resets == 2  # one for each step


def test_an_engine_that_starts_leaves_the_process_as_it_was(monkeypatch, model):
    install(monkeypatch)
    torch.manual_seed(5)
    right = torch.rand(3)
    torch.manual_seed(5)
    variables = dict(os.environ)
    engine(model)
    assert torch.equal(torch.rand(3), right) and dict(os.environ) == variables


def test_a_server_is_asked_once_for_each_response(monkeypatch, model):
    """With TRL's own client replaced: a request for each prompt and seed, merged weights, a cache that is emptied."""
    install(monkeypatch)
    policy = shaken(get_peft_model(model, LORA))
    made = engine(policy, "cuda", "server", vllm_server_base_url="http://somewhere:8001", vllm_server_timeout=3.0)
    client = made.vllm_client
    assert client.where == {"base_url": "http://somewhere:8001", "group_port": 51216, "connection_timeout": 3.0}
    prompts = [[5, 6], [5, 6], [7]]
    responses, logps = made.respond(prompts, 2, 30)
    kinds = [call[0] for call in client.calls]
    assert kinds == ["communicator", "weights", "reset", "generate", "generate", "generate"]
    wanted = dict(merged_weights(policy))
    assert_same_weights(client.weights, wanted)
    assert [name for name, _, _ in client.calls[1][1]] == list(wanted)
    by_prompt = sorted((call[1][0], call[2]["generation_kwargs"]["seed"]) for call in client.calls[3:])
    made.draw = "7:2:30:0"
    assert by_prompt == sorted(zip(prompts, made.response_seeds(prompts), strict=True))
    for call in client.calls[3:]:
        assert call[2]["n"] == 1 and call[2]["max_tokens"] == 6 and call[2]["logprobs"] == 0
        assert call[2]["generation_kwargs"]["stop_token_ids"] == [1]
    assert [ids[-1] for ids in responses] == [1, 1, 1] and logps == [[-1.0, -2.0]] * 3
    assert [ids[0] for ids in responses] == [seed % 50 for seed in made.response_seeds(prompts)]
    made.respond(prompts, 2, 36)
    assert [call[0] for call in client.calls].count("weights") == 1  # the policy has not moved


def test_what_an_engine_cannot_be_made_for_is_refused(monkeypatch, model, tokenizer):
    with pytest.raises(ValueError, match='vllm_mode="server" needs CUDA: TRL sends weights to the server by NCCL'):
        engine(model, mode="server")
    for distributed, zero in ((DistributedType.FSDP, 0), (DistributedType.DEEPSPEED, 3)):
        with pytest.raises(ValueError, match="FSDP2 or ZeRO-3 needs CUDA; on a CPU leave the parameters whole"):
            engine(model, distributed=distributed, zero=zero)
    soft = get_peft_model(new_model(tokenizer), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    with pytest.raises(ValueError, match="virtual tokens cannot be merged"):
        engine(soft)
    tokens = get_peft_model(new_model(tokenizer), LoraConfig(**LORA.to_dict() | {"trainable_token_indices": [3]}))
    with pytest.raises(ValueError, match=r"trained tokens .* do not reach the engine"):
        engine(tokens)
    monkeypatch.setattr(type(model), "is_quantized", True, raising=False)
    with pytest.raises(ValueError, match="the engine takes no quantized weights"):
        engine(model)


def test_where_processes_share_an_engine_or_the_parameters_they_ask_together(monkeypatch, model):
    install(monkeypatch)
    assert not engine(model).together
    for changes in ({"mode": "server", "device": "cuda"}, {"vllm_tensor_parallel_size": 1}):
        made = engine(model, **changes)
        made.accelerator.num_processes = 2
        assert made.together == (made.mode == "server")
        made.tensor_parallel_size = 2
        assert made.together


@pytest.mark.parametrize("peft_config", [None, LORA], ids=["whole", "lora"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_the_engine_follows_large_steps(monkeypatch, sail_trainer, peft_config, temperature):
    """Its log-probabilities of its own samples are the policy's of that step, and its pairs differ."""
    install(monkeypatch)
    trainer = sail_trainer(g=0.6, peft_config=peft_config, rollout_temperature=temperature, learning_rate=0.1, **VLLM)
    sync, before = trainer._engine.sync_weights, weights(trainer)
    trainer.train()
    gaps = logged(trainer, "sail/engine_gap_max")
    assert len(gaps) == 4 and max(gaps) < 1e-3
    assert max(logged(trainer, "sail/engine_gap")) <= max(gaps)
    assert min(logged(trainer, "sail/identical")) < 0.5
    if peft_config:
        frozen = [name for name, parameter in trainer.model.named_parameters() if not parameter.requires_grad]
        assert_same_weights(*({name: held[name] for name in frozen} for held in (before, weights(trainer))))
    # An engine that did not follow would be seen.
    monkeypatch.setattr(trainer._engine, "sync_weights", lambda: None)
    for parameter in trainer.model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.1)
    trainer._metrics["train"].clear()
    trainer._refill()
    assert trainer._metrics["train"]["sail/engine_gap_max"][0] > 0.1
    trainer._engine.synced = None
    monkeypatch.setattr(trainer._engine, "sync_weights", sync)
    trainer._refill()
    assert trainer._metrics["train"]["sail/engine_gap_max"][1] < 1e-3


def test_a_run_that_goes_on_samples_the_same(monkeypatch, checkpoint, tokenizer, tmp_path, without_cards):
    """From its checkpoint, in another process's engine, to the same log and weights."""
    install(monkeypatch)
    settings = {"g": 0.5, "use_vllm": True, "max_steps": 4, "logging_steps": 1}
    whole = resumable.trainer(checkpoint, tokenizer, tmp_path / "whole", **settings)
    whole.train()
    again = resumable.trainer(checkpoint, tokenizer, tmp_path / "whole", **settings)
    again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    assert_same_weights(weights(whole), weights(again))
    for name in ("loss", "grad_norm", "sail/engine_gap", "sail/reward"):
        assert logged(whole, name) == logged(again, name) != []
    first, second = FakeLLM.made
    assert second.requests and second.requests == first.requests[-len(second.requests) :]


def test_weights_are_one_where_the_policy_itself_has_sampled(monkeypatch, sail_trainer):
    install(monkeypatch)

    def trained(**changes):
        trainer = sail_trainer(g=0.5, gamma=1.0, **VLLM, **changes)
        trainer.train()
        return trainer

    plain, weighted = trained(), trained(vllm_importance_sampling_correction=True)
    found = logged(weighted, "sail/importance_weight")
    assert found and found == pytest.approx([1] * len(found), abs=1e-3)
    for name in ("loss", "grad_norm"):
        assert logged(plain, name)[0] == pytest.approx(logged(weighted, name)[0], rel=1e-3)
    tempered = trained(vllm_importance_sampling_correction=True, rollout_temperature=0.5)
    assert min(logged(tempered, "sail/importance_weight")) < 0.9


def test_names_and_defaults_are_those_of_trl_s_grpo_config():
    theirs = {field.name: field for field in dataclasses.fields(GRPOConfig)}
    ours = [field for field in dataclasses.fields(SAILConfig) if "vllm" in field.name]
    assert len(ours) == 16
    for field in ours:
        if field.name != "vllm_importance_sampling_correction":  # off here
            assert field.default == theirs[field.name].default, field.name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "use_vllm is for sampled pairs: set p or g above 0"),
        ({"p": 0.5, "vllm_mode": "remote"}, "vllm_mode must be one of colocate, server, not 'remote'"),
        ({"p": 0.5, "use_vllm": False, "vllm_importance_sampling_correction": True}, "set use_vllm"),
        (
            {"p": 0.5, "pi": 0.0, "loss_type": ["hinge"], "vllm_importance_sampling_correction": True},
            "weights DPO's own loss: set loss_type",
        ),
        ({"p": 0.5, "vllm_importance_sampling_mode": "token_mask"}, "must be one of sequence_mask, sequence_truncate"),
        ({"p": 0.5, "vllm_importance_sampling_clip_max": 0.0}, "clip_max must be a number above 0, or None, not 0.0"),
        ({"p": 0.5, "vllm_importance_sampling_clip_min": 3.0}, "clip_min, 3.0, must be below"),
    ],
)
def test_wrong_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        SAILConfig("x", use_cpu=True, bf16=False, **{"use_vllm": True, **changes})


def test_without_vllm_the_trainer_says_so(sail_trainer):
    if is_vllm_available():
        pytest.skip("vLLM is installed")
    with pytest.raises(ImportError, match="vLLM is not available"):
        sail_trainer(p=0.5, **VLLM)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"vllm_importance_sampling_correction": True, "vllm_importance_sampling_clip_max": None}, None),
        ({"vllm_importance_sampling_correction": True}, "importance weights are bounded"),
        ({"rollout_temperature": 0.9}, "rollouts are not sampled at temperature 1 and top_p 1"),
        ({"use_vllm": False, "max_age": 3}, "pairs may be up to 3 steps old"),
    ],
)
def test_what_makes_the_gradient_approximate_is_said(values, reason, tmp_path, caplog):
    args = SAILConfig(
        str(tmp_path), **{"p": 0.5, "use_vllm": True, "max_age": 0, "use_cpu": True, "bf16": False} | values
    )
    SamplesPairs._warn_if_approximate(SimpleNamespace(args=args))
    assert [record.getMessage() for record in caplog.records if "approximate" in record.getMessage()] == (
        [f"The online gradient is approximate: {reason}."] if reason else []
    )

"""How many rows fit: by the memory in all and the jobs side by side, and by what short sequences keep."""

import copy
from dataclasses import replace

import pytest
import torch
from fixtures_models import SIZES, cpu_device
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.models import fitting
from pipeline.models.fitting import GIB, cache_bytes, fitted, forward_bytes, kept_choice, most_rows, room, saved_bytes

CPU = replace(cpu_device(), batch_sizes={"reference": "auto", "generate": "auto"})


@pytest.fixture
def machine(monkeypatch):
    """Set the memory in all and of this process, in GiB."""

    def machine(total, own=1.0):
        monkeypatch.setattr(fitting, "total_memory", lambda: int(total * GIB))
        monkeypatch.setattr(fitting, "resident_memory", lambda: int(own * GIB))

    return machine


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**SIZES, vocab_size=64))


@pytest.mark.parametrize(
    ("total", "jobs", "processes", "gib"),
    [(4, 1, 1, 2.2), (4, 2, 1, 0.6), (4, 1, 2, 0.6), (1, 1, 1, -0.2), (64, 1, 1, fitting.MOST_ON_CPU / GIB)],
)
def test_the_room_is_a_share_of_the_memory_in_all(total, jobs, processes, gib, machine, monkeypatch):
    machine(total)
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    assert room(replace(CPU, side_by_side=jobs)) / GIB == pytest.approx(gib)


def test_what_a_forward_pass_keeps_is_counted_once_and_without_weights():
    weight = torch.nn.Parameter(torch.ones(8, 8))
    values = torch.ones(4, 8, requires_grad=True)

    def run():
        product = values @ weight  # keeps values and weight
        return (product * product).sum() + (product.exp()).sum()  # keeps product, once, and its exponentials

    assert saved_bytes(run, [weight]) == 3 * 4 * 8 * 4


def test_short_sequences_tell_what_a_long_one_keeps(model):
    def run(tokens):
        ids = torch.zeros((1, tokens), dtype=torch.long)
        return model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)

    weights = list(model.parameters())
    for attention in ("sdpa", "eager"):  # eager keeps squares of the length
        model.set_attn_implementation(attention)
        real = saved_bytes(lambda: run(200), weights)
        assert fitting.sequence_bytes(run, weights, 200) == pytest.approx(real, rel=0.02)


def test_a_cache_has_keys_and_values_of_every_layer(model):
    keys = 2 * 2 * 16 * 4  # keys and values × layers × width × bytes
    assert cache_bytes(model, 100) == 100 * keys + fitting.SAMPLING_COPIES * 4 * 64


def test_a_forward_pass_takes_what_two_layers_give_whatever_is_trained(model):
    """Of a layer's modules: two norms, q, k, v and o of the width 16, gate, up, activation and down of 32 and 16."""
    layer = (6 * 16 + 3 * 32 + 16) * 4
    rest = (16 + 2 * 16 / 2) * 4  # embeddings and the last norm
    assert forward_bytes(model, 64) / 64 == pytest.approx(2 * layer, rel=rest / layer)
    adapted = get_peft_model(copy.deepcopy(model), LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear"))
    for parameter in adapted.parameters():
        parameter.requires_grad_(False)
    assert forward_bytes(adapted, 64) > forward_bytes(model, 64)
    assert not any(module._forward_hooks for module in adapted.modules())


@pytest.mark.parametrize(("per_row", "rows"), [(1, 8), (2, 4), (3, 2), (5, 1), (50, 1)])
def test_the_largest_that_fits_is_taken(per_row, rows):
    assert most_rows((8, 4, 2, 1), per_row, 8) == rows
    assert most_rows((8, 4, 2, 1), per_row, -1) == 1 and most_rows((8, 4, 2, 1), 0, -1) == 8


def test_a_stage_that_trains_nothing_gets_rows(machine, tmp_path):
    machine(4)
    device = fitted(CPU, "generate", tmp_path, lambda: 0.5 * GIB)
    assert device.batch_sizes == {"reference": "auto", "generate": 4}
    assert fitted(CPU, "reference", tmp_path, lambda: 0.5 * GIB, part=0.5).batch_sizes["reference"] == 2
    given = replace(CPU, batch_sizes={"generate": 7})
    assert fitted(given, "generate", tmp_path / "other", lambda: 1 / 0) is given


def test_a_job_that_goes_on_keeps_its_rows_on_another_machine(machine, tmp_path):
    machine(4)
    assert fitted(CPU, "generate", tmp_path, lambda: 0.5 * GIB).batch_sizes["generate"] == 4
    machine(2)
    assert fitted(CPU, "generate", tmp_path, lambda: 1 / 0).batch_sizes["generate"] == 4


def test_what_the_first_process_finds_counts(monkeypatch, tmp_path):
    answers = iter([{0: None}, {0: {"rows": 3}, 1: {"rows": 5}}])
    monkeypatch.setattr(fitting, "gathered", lambda own, kind: next(answers))
    monkeypatch.setenv("RANK", "1")
    assert kept_choice(tmp_path, "generate", CPU, lambda: {"rows": 5}) == {"rows": 3}
    assert not list(tmp_path.iterdir())

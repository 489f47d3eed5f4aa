"""The benchmark of GPUs: the whole program with tiny shapes on a CPU, and what it makes of cards and lists of cells."""

import json

import pytest
import torch
from fixtures_models import cpu_device

from benchmarks import cells, gpu
from benchmarks.clock import Clock, memory, peak_flops
from pipeline.jobs.io import InputError

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What a run of tiny cells wrote: all methods, some switches, and one that a CPU refuses."""
    path = tmp_path_factory.mktemp("benchmark") / "gpu.json"
    chosen = ["0.5B-256/trl", "0.5B-256/d??", "0.5B-256/dpo+share_prompt", "0.5B-256/dpo+tf32", "t4/dpr+static"]
    gpu.main([*chosen, "--tiny", "--steps", "3", "--output", str(path)])
    return path


def test_without_a_gpu_nothing_is_measured(tmp_path):
    with pytest.raises(InputError, match="no CUDA device"):
        gpu.main(["t4/dpr", "--output", str(tmp_path / "benchmark.json")])


def test_every_cell_has_a_row_and_one_that_fails_does_not_end_it(output):
    found = json.loads(output.read_text())
    rows = found["cells"]
    order = [f"0.5B-256/{method}" for method in ("trl", "dpo", "ddp", "dpp", "dpr", "dpo+share_prompt", "dpo+tf32")]
    assert list(rows) == [*order, "t4/dpr+static"] and found["device"] == "cpu"
    assert "tf32" in rows.pop("0.5B-256/dpo+tf32")["error"]
    for cell, row in rows.items():
        assert "error" not in row, cell
        assert row["steps"] == 3 and row["steps_per_second"] > 0
        assert (row["rollout_share"] > 0) == ("dpp" in cell or "dpr" in cell), cell
        assert row["tokens_per_second"] == pytest.approx(row["steps_per_second"] * 4 * 2 * (12 + 8))
    assert [rows["t4/dpr+static"]["rows"], rows["0.5B-256/trl"]["rows"]] == [1, 4]


def test_a_shared_prompt_is_fewer_tokens(output):
    rows = json.loads(output.read_text())["cells"]
    plain, shared = (rows[f"0.5B-256/{cell}"]["computed_tokens"] for cell in ("dpo", "dpo+share_prompt"))
    assert plain == 4 * 2 * 20 and shared == 4 * (12 + 8 + 8 + 1)
    assert rows["0.5B-256/trl"]["computed_tokens"] == plain


def test_resuming_measures_what_is_left(output, capsys):
    before = output.read_text()
    given = ["0.5B-256/dpo", "0.5B-256/dpo+varied+by_length", "--tiny", "--resume", "--output", str(output)]
    gpu.main([*given, "--seconds", "0"])
    assert output.read_text() == before
    said = capsys.readouterr().out
    assert "0.5B-256/dpo+varied+by_length may not end within the 0 seconds; --resume goes on" in said
    assert "| 0.5B-256/ddp | 4 |" in said and "0.5B-256/dpo+tf32: " not in said, "an error is tried again"
    gpu.main([*given, "--steps", "2"])
    rows = json.loads(output.read_text())["cells"]
    assert rows["0.5B-256/dpo"] == json.loads(before)["cells"]["0.5B-256/dpo"]
    assert rows["0.5B-256/dpo+varied+by_length"]["steps"] == 2
    output.write_text(before.replace('"device": "cpu"', '"device": "A100"'))
    with pytest.raises(InputError, match="measured on A100, this is cpu"):
        gpu.main(given)
    output.write_text(before)


def test_cells_are_the_most_telling_first_and_named_by_patterns():
    order = cells.cells_in_order()
    assert order[:2] == ["0.5B-256/trl", "0.5B-256/dpo"] and len(set(order)) == len(order)
    settings = list(dict.fromkeys(cell.partition("/")[0] for cell in order))
    assert settings[:5] == ["0.5B-256", "0.5B-1024", "1.5B-256", "1.5B-1024", "t4"]
    assert cells.chosen_cells([]) == order
    assert cells.chosen_cells(["t4/*"]) == ["t4/dpr", "t4/dpo"]
    assert cells.chosen_cells(["8B-256/dpo+kernels+workers"]) == ["8B-256/dpo+kernels+workers"]
    switches = {switch for cell in order for switch in cell.split("+")[1:]}
    assert switches == set(cells.SWITCHES)
    with pytest.raises(InputError, match=r"no cell 0.5B: settings are 0.5B-256, .* switches share_prompt"):
        cells.chosen_cells(["0.5B"])


def test_a_card_is_known_by_its_name():
    assert peak_flops("NVIDIA H100 80GB HBM3", "bf16") == 989e12
    assert peak_flops("NVIDIA H100 PCIe", "bf16") == 756e12
    assert peak_flops("NVIDIA L40S", "bf16") == 362e12
    assert peak_flops("Tesla T4", "fp16") == 65e12 and peak_flops("Tesla T4", "bf16") is None
    assert peak_flops("cpu", "bf16") is None


def test_a_step_is_the_median_without_the_first_and_rollouts_are_shared_out():
    embedding = torch.nn.Embedding(4, 2)
    model = type("Model", (), {"get_input_embeddings": lambda self: embedding})()
    clock = Clock(type("Trainer", (), {"model": model, "_prompts_drawn": 20})())
    clock.ends = [(100.0, 50.0), (111.0, 60.0), (113.0, 60.0), (116.0, 60.0)]
    assert clock.seconds({"global_batch_size": 8}) == (2.0 + 0.0, 0.0)
    assert clock.seconds({"g": 0.5, "global_batch_size": 8}) == (2.0 + 12.0, 12.0)
    embedding(torch.zeros((2, 3), dtype=torch.long))
    with torch.no_grad():
        embedding(torch.zeros((2, 3), dtype=torch.long))
    assert clock.computed == 6
    with pytest.raises(TimeoutError, match="before the second step"):
        clock.ends = clock.ends[:1]
        clock.seconds({})


def test_on_a_cpu_no_memory_is_measured():
    with memory(cpu_device(), 14.5) as used:
        pass
    assert used == {"allocated_gib": 0.0, "reserved_gib": 0.0}

"""DPR with a real vLLM in the training's process, on a CPU."""

import json
from itertools import pairwise

import pytest
from fixtures_vllm import run_with_vllm, tiny_llama, vllm_environment  # noqa: F401


@pytest.mark.slow
def test_dpr_with_colocated_vllm(vllm_environment, tokenizer, tmp_path):  # noqa: F811
    """The engine follows large steps, the reference stays, and a run that goes on samples the same."""
    policy = tiny_llama(tokenizer, tmp_path / "policy")
    output = run_with_vllm(vllm_environment, "-m", "plugin.vllm_run", str(policy), str(tmp_path / "run"))
    found = json.loads(output.rpartition("FOUND ")[2].splitlines()[0])
    assert len(found["gaps"]) == 4 and max(found["gaps"]) < 1e-3
    assert found["moved"] > 0.1 and found["base"]
    assert max(found["identical"]) < 0.5
    assert all(abs(weight - 1) > 0.01 for weight in found["weights"])  # the temperature is another than the policy's
    assert [step for step, _ in found["sampled"]] == [0, 1, 2, 3]
    responses = [pairs for _, pairs in found["sampled"]]
    assert all(one != other for one, other in pairwise(responses))
    assert found["repeated"] == found["sampled"][2:]
    assert found["same"] == 0

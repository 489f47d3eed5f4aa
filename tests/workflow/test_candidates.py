"""Best of n and rejection sampling in the plan of a run."""

from collections import Counter

import yaml

from workflow.snakemake_copy import SMALL, Job

BON, RFT = "bon-n4", "rft-budget_tokens5000-n4-max_new_tokens24"
PLACE = ("small", "tiny")
SHARED, GREEDY = (f"n4-temperature1-top_p1-max_new_tokens{most}" for most in (24, 512))


def test_candidates_are_sampled_once_for_all_that_choose_among_them(fresh):
    config = yaml.safe_load(SMALL.read_text(encoding="utf-8")) | {"decoding": ["short", "greedy"], "seeds": [1, 2]}
    more = {"n": 4, "max_new_tokens": 24, "budget": {"tokens": 5000}}
    config["tasks"] = [*config["tasks"][:2], {"method": "bon", "n": 4}, {"method": "rft", **more}]
    (fresh.folder / "best.yaml").write_text(yaml.safe_dump(config | {"evaluate_checkpoints": 2}), encoding="utf-8")
    plan = fresh.plan(config="best.yaml")
    sampled = {job.wildcards for job in plan if job.rule == "sample_candidates"}
    wanted = [(SHARED, "eval"), (GREEDY, "eval"), (SHARED, "train")]
    assert sampled == {(*PLACE, name, seed, split) for name, split in wanted for seed in "12"}
    of_bon = Counter(job.rule for job in plan if BON in job.wildcards)
    assert of_bon == {"choose_responses": 4, "score_responses": 2, "judge_responses": 8}
    # of rejection sampling, which has a policy, it is measured and trained
    assert {"train_policy", "generate_responses", "evaluate_checkpoints"} <= {
        job.rule for job in plan if RFT in job.wildcards
    }
    assert Job("count_steps", (*PLACE, RFT)) in plan
    told = fresh.snakemake("--dry-run", config="best.yaml")
    assert f"Runs without a policy of their own, {BON}: they have no checkpoint" in told
    assert "Under the decoding greedy, which is greedy, their responses are chosen among sampled ones" in told

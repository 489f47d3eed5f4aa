"""What judge_cost says before a call, against what the calls then take."""

import pytest
from fixtures_endpoint import Endpoint
from fixtures_judges import make_judge, pairs, write_service

import judge_cost
from pipeline.jobs.io import InputError, read_yaml, write_parquet, write_yaml
from pipeline.judges.cost import estimate_cost, leave_out_answered
from pipeline.judges.requests import plan_requests
from pipeline.judges.tables import pair_responses
from pipeline.judges.verdicts import judge_by_model
from pipeline.results.run_table import read_run_table

PRICES = {"input": 2.0, "output": 10.0, "batch_discount": 0.5}
SEEDS, PROMPTS, LONGEST = (1, 2), 6, 50


def split():
    table = pairs(PROMPTS).rename(columns={"response": "chosen", "baseline_response": "rejected"})
    return table[["prompt_id", "prompt", "chosen", "rejected"]]


def responses(run, seed):
    return pairs(PROMPTS)[["prompt_id", "prompt"]].assign(response=[f"{run} {seed} {i}" for i in range(PROMPTS)])


@pytest.fixture
def place(tmp_path):
    """A run table of dpo and dpr, two seeds, whose responses do not exist; and the split."""

    def files(run, seed, baselines):
        verdicts = {name: f"{tmp_path}/{run}-{seed}-{name}.parquet" for name in baselines}
        return {"responses": f"{tmp_path}/{run}-{seed}.parquet", "verdicts": verdicts}

    runs = [
        {
            **{"dataset": "d", "model": "m", "run": run, "method": run, "hyperparameters": {}},
            **{"baselines": baselines, "seeds": {seed: files(run, seed, baselines) for seed in SEEDS}},
        }
        for run, baselines in (("dpo", ["chosen"]), ("dpr", ["chosen", "dpo"]))
    ]
    table = {"tag": "t", "split": "eval", "baseline": "dpo", "seeds": list(SEEDS), "runs": runs}
    write_yaml(table, tmp_path / "runs.yaml")
    write_parquet(split(), tmp_path / "split.parquet")
    return tmp_path


def generate(place, *names):
    for name in names:
        run, seed = name.split("-")
        write_parquet(responses(run, seed), place / f"{name}.parquet")


def estimate_of(place, name="PP", sample=None, **changes):
    spec, service = make_judge(name, prices=PRICES, **changes)
    estimate = estimate_cost(read_run_table(place / "runs.yaml"), "d", split(), spec, service, LONGEST, sample)
    leave_out_answered(estimate, place / "store")
    return estimate


def judge_all(place, server, name):
    """Judge all that the run table asks for, as the workflow does."""
    spec, service = make_judge(name, base_url=server.url)
    for run, baseline in (("dpo", "chosen"), ("dpr", "chosen"), ("dpr", "dpo")):
        for seed in SEEDS:
            other = split().rename(columns={"chosen": "response"}) if baseline == "chosen" else responses("dpo", seed)
            other = other[["prompt_id", "response"]].rename(columns={"response": "baseline_response"})
            table = pair_responses(responses(run, seed), other)
            judge_by_model(table, spec, service, place / "store", run, seed, baseline)


@pytest.mark.parametrize(("name", "requests", "rows"), [("PP", 72, 72), ("U", 30, 36)])
def test_requests_are_those_that_are_then_sent(place, name, requests, rows):
    """Three comparisons, two seeds, six prompts: in both orders, or four runs' answers and the chosen ones graded."""
    estimate = estimate_of(place, name)
    assert (estimate.requests, estimate.verdicts, estimate.answered) == (requests, rows, 0)
    assert len(estimate.expected) == (requests if name == "PP" else requests - PROMPTS)
    before, most = estimate.tokens
    assert most == requests * 512
    generate(place, "dpo-1", "dpr-1")
    half = estimate_of(place, name)
    assert half.requests == requests and len(half.expected) == len(estimate.expected) / 2
    assert half.tokens[0] < before  # the answers are shorter than they might be
    generate(place, "dpo-2", "dpr-2")
    whole = estimate_of(place, name)
    assert (whole.requests, len(whole.expected)) == (requests, 0)
    assert whole.dollars == pytest.approx((whole.tokens[0] * 2 + whole.tokens[1] * 10) / 1e6)
    with Endpoint() as server:
        judge_all(place, server, name)
        assert len(server.calls) == requests
    done = estimate_of(place, name)
    assert (done.requests, done.answered, done.to_send, done.dollars) == (requests, requests, 0, 0)


def test_each_decoding_is_counted(place):
    once = estimate_of(place)
    table = read_yaml(place / "runs.yaml")
    greedy = [run | {"decoding": "greedy"} for run in table["runs"]]
    write_yaml(table | {"runs": [*table["runs"], *greedy]}, place / "runs.yaml")
    twice = estimate_of(place)
    assert (twice.requests, twice.verdicts) == (2 * once.requests, 2 * once.verdicts)
    assert twice.tokens[0] == 2 * once.tokens[0]


def test_tokens_are_those_of_the_requests(place):
    generate(place, "dpo-1", "dpr-1", "dpo-2", "dpr-2")
    spec, _ = make_judge("PP")
    table = responses("dpr", 2).assign(baseline_response=responses("dpo", 2)["response"])
    _, requests = plan_requests(table, spec)
    assert {key: request.tokens for key, request in requests.items()}.items() <= estimate_of(place).asked.items()


def test_what_is_answered_is_struck_off(place):
    generate(place, "dpo-1")
    table = responses("dpo", 1).assign(baseline_response=split()["chosen"])
    spec, service = make_judge("PP", prices={"input": 100.0, "output": 1000.0, "batch_discount": 0.5})
    with Endpoint() as server:
        service["base_url"] = server.url
        judge_by_model(table.iloc[:4], spec, service, place / "store", "dpo", 1, "chosen")
    estimate = estimate_of(place)
    assert (estimate.answered, estimate.to_send, estimate.requests) == (8, 64, 72) and estimate.spent == pytest.approx(
        8 * 0.02
    )
    assert estimate_of(place, batch=True).dollars == pytest.approx(estimate.dollars / 2)


def test_the_measured_pairs_and_one_order_count(place):
    sample = pairs(3, "Labelled. ")
    assert estimate_of(place, sample=sample).requests == 78
    assert estimate_of(place, orders="one").requests == 36


def test_the_script_prints_it(place, capsys):
    spec, service = make_judge("PP", prices=PRICES, budget_usd=1.5)
    write_yaml(spec, place / "spec.yaml")
    write_service(service, place / "judge.yaml")
    common = ["--store", str(place / "store"), "--max-new-tokens", "50"]
    names = ["--dataset", "d", "--runs", str(place / "runs.yaml"), "--split", str(place / "split.parquet")]
    names += ["--spec", str(place / "spec.yaml")]
    judge_cost.main([*common, *names, "--service", str(place / "judge.yaml")])
    told = capsys.readouterr().out
    money = f"at most {estimate_of(place).dollars:,.2f} USD"
    for line in ("requests        72, 0 of them answered before", "still to send   72, 72 of them about", money):
        assert line in told
    assert "budget_usd 1.5, of which 1.50 left" in told and "total: 72 requests to send, at most" in told
    assert not (place / "store").exists()
    judge_cost.main([*common, *names, "--service", str(place / "judge.yaml"), "--quality-pairs", "4"])
    assert "requests        80" in capsys.readouterr().out
    # where runs are judged on the selection split too, that is paid for as well
    table = read_yaml(place / "runs.yaml") | {"split": "selection"}
    write_yaml(table, place / "selection.yaml")
    write_parquet(split().iloc[:3], place / "selection.parquet")
    more = [part.replace("runs.yaml", "selection.yaml").replace("split.parquet", "selection.parquet") for part in names]
    service_of = ["--service", str(place / "judge.yaml")]
    judge_cost.main([*common, *names, *service_of, *more, *service_of, "--quality-pairs", "4"])
    told = capsys.readouterr().out
    assert "d, eval: judge" in told and "d, selection: judge" in told
    assert "total: 116 requests to send" in told  # 72, 36, and the labelled pairs once
    write_service(service | {"prices": None, "budget_usd": None}, place / "judge.yaml")
    judge_cost.main([*common, *names, "--service", str(place / "judge.yaml")])
    assert "unknown, judge.yaml has no prices" in capsys.readouterr().out
    judge_cost.main(common)
    assert "judging takes no money" in capsys.readouterr().out
    with pytest.raises(InputError, match="go together"):
        judge_cost.main([*common, *names])

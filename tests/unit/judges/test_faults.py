"""The openai judge at a server that fails: what is asked again, what is a row, what ends the job."""

from collections import Counter

import pytest
from fixtures_endpoint import FAULTS, Endpoint, completion, error, faulty, verdict
from fixtures_judges import fault_answer, pairs, replies

from pipeline.jobs.io import InputError

PAID = {"malformed", "empty", "oversized"}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_passes_and_is_bounded(judge, tmp_path, fault):
    """Twice a fault, then a verdict; and a fault that stays costs max_retries + 1 requests and is a row."""
    seen = Counter()

    def twice(call):
        seen[call.text] += 1
        return (fault_answer(fault) if seen[call.text] <= 2 else verdict)(call)

    with Endpoint(twice) as server:
        verdicts = judge(server, pairs(2), timeout_seconds=0.5)
        assert set(verdicts["status"]) == {"parsed"} and len(server.calls) == 12
    assert Counter(row["attempt"] for row in replies(tmp_path))[1] == 4
    assert len(replies(tmp_path)) == (12 if fault in PAID else 4)

    with Endpoint(fault_answer(fault)) as server:
        other = pairs(2, "Other. ")
        changes = {"timeout_seconds": 0.5, "max_retries": 2, "structured": "none"}
        verdicts = judge(server, other, max_failed_share=1.0, **changes)
        assert len(server.calls) == 12
        status = "unparsed" if fault in PAID else "failed"
        assert set(verdicts["status"]) == {status} and verdicts["preference"].isna().all()
        assert verdicts[["score_run", "score_baseline"]].isna().all(axis=None)
        if fault in PAID:  # paid for and kept: asked again only where more retries are allowed
            judge(server, other, max_failed_share=1.0, **changes)
            assert len(server.calls) == 12
            judge(server, other, max_failed_share=1.0, **changes | {"max_retries": 3})
            assert len(server.calls) == 16
        with pytest.raises(
            InputError, match=f"4 of 4 verdicts are not parsed .4 {status}., more than max_failed_share 0 "
        ):
            judge(server, other, **changes)


def test_a_mixture_of_all_faults_is_judged_in_the_end(judge):
    with Endpoint(faulty(0.3, seed=3, slow=1.0)) as server:
        verdicts = judge(server, pairs(60), timeout_seconds=0.5, max_retries=9)
    assert set(verdicts["status"]) == {"parsed"}
    assert {call.answer.fault for call in server.calls} == {*FAULTS, ""}


def test_a_share_of_failures_is_a_row_each_until_it_is_too_large(judge, capsys):
    def some(call):
        return completion("I cannot tell.") if "Question 1?" in call.text else verdict(call)

    with Endpoint(some) as server:
        verdicts = judge(server, pairs(10), max_retries=1, max_failed_share=0.1)
        assert "20 verdicts: 18 parsed, 2 unparsed, 0 refused, 0 failed" in capsys.readouterr().out
        assert verdicts.loc[verdicts["prompt_id"] == "id1", "status"].tolist() == ["unparsed"] * 2
        with pytest.raises(InputError, match=r"2 of 20 .* One reason: no scores at its end: 'I cannot tell.'"):
            judge(server, pairs(10), max_retries=1, max_failed_share=0.09)


def test_refusals_are_asked_once(judge):
    def filtered(call):
        if "Question 0?" in call.text:
            return completion(None, refusal="I will not judge this.")
        if "Question 1?" in call.text:
            return error(400, "filtered", "content_filter")
        return verdict(call)

    with Endpoint(filtered) as server:
        verdicts = judge(server, pairs(3), max_failed_share=1.0)
    assert verdicts["status"].tolist() == ["refused"] * 4 + ["parsed"] * 2 and len(server.calls) == 6


def test_a_request_that_is_rejected_is_not_sent_again(judge):
    with Endpoint(lambda call: error(400, "the context is too long")) as server:
        verdicts = judge(server, pairs(1), structured="none", max_failed_share=1.0)
    assert len(server.calls) == 2 and set(verdicts["status"]) == {"failed"}

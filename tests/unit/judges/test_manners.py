"""What endpoints of many makes say instead of a reply, and what follows; settings that no reply can get better of."""

import json
import os
import stat
from itertools import count

import pytest
from fixtures_endpoint import MANNERS, MODEL, Answer, Endpoint, completion, error, openai_error, said, verdict
from fixtures_judges import KEY, PRICES, pairs, replies, verdict_text

from pipeline.jobs.io import InputError, write_text
from pipeline.judges.failures import failure, wait_of
from pipeline.judges.store import open_store


def names(follows: str) -> list[str]:
    return [name for name, (what, _) in MANNERS.items() if what == follows]


@pytest.mark.parametrize("name", names("ends"))
def test_what_holds_for_all_requests_ends_the_job_at_once(judge, name):
    answer = MANNERS[name][1]
    with Endpoint(lambda call: answer) as server, pytest.raises(InputError, match="refuses all requests") as raised:
        judge(server, pairs(20), concurrency=2)
    assert len(server.calls) <= 2 and "judge.yaml" in str(raised.value)
    content = json.loads(answer.body) if answer.body[:1] == b"{" else {}
    if isinstance(content.get("error"), dict):
        assert content["error"]["message"] in str(raised.value)


@pytest.mark.parametrize("name", [*names("refused"), *names("failed")])
def test_what_is_about_one_input_is_one_verdict(judge, name):
    follows, answer = MANNERS[name]
    with Endpoint(lambda call: answer if "Question 0?" in call.text else verdict(call)) as server:
        verdicts = judge(server, pairs(3), max_failed_share=1.0, concurrency=1)
    assert verdicts["status"].tolist() == [follows] * 2 + ["parsed"] * 4 and len(server.calls) == 6
    assert all("response_format" in call.body for call in server.calls)


@pytest.mark.parametrize("name", names("again"))
def test_what_passes_is_waited_out_and_not_paid(judge, tmp_path, name):
    number, answer = count(), MANNERS[name][1]
    with Endpoint(lambda call: answer if next(number) < 2 else verdict(call)) as server:
        verdicts = judge(server, pairs(2), concurrency=1, prices=PRICES)
    assert set(verdicts["status"]) == {"parsed"} and len(server.calls) == 6
    assert [row["attempt"] for row in replies(tmp_path)] == [1] * 4
    assert all("response_format" in call.body for call in server.calls)


@pytest.mark.parametrize("name", names("plain"))
def test_the_schema_is_given_up_where_it_is_refused(judge, name):
    answer = MANNERS[name][1]

    def plain(call):
        return answer if "response_format" in call.body else verdict(call)

    with Endpoint(plain) as server:
        verdicts = judge(server, pairs(3), concurrency=1, max_retries=0)
        assert set(verdicts["status"]) == {"parsed"} and len(server.calls) == 7
        with pytest.raises(InputError, match=r"refuses all requests: .*set structured: none in judge.yaml"):
            judge(server, pairs(20), structured="json_schema", concurrency=1)
        assert len(server.calls) == 8


def test_a_rejection_without_a_reason_is_tried_without_the_schema(judge):
    """Nobody says why: where the same request passes without a schema, the schema was it, else the request."""
    with Endpoint(lambda call: error(400, "") if "response_format" in call.body else verdict(call)) as server:
        assert set(judge(server, pairs(3), concurrency=1)["status"]) == {"parsed"} and len(server.calls) == 7
    with Endpoint(lambda call: error(400, "") if "Question 0?" in call.text else verdict(call)) as server:
        verdicts = judge(server, pairs(3, "x"), concurrency=1, max_failed_share=0.5)
    assert verdicts["status"].tolist() == ["failed"] * 2 + ["parsed"] * 4
    assert sum("response_format" not in call.body for call in server.calls) == 2


@pytest.mark.parametrize("answer", [error(400, "No."), error(403, "No."), error(422, "", "x")])
def test_rejections_of_all_requests_for_an_unknown_reason_end_the_job(judge, answer):
    with Endpoint(lambda call: answer) as server, pytest.raises(InputError, match=r"none gave a verdict.*judge\.yaml"):
        judge(server, pairs(50), concurrency=2)
    assert len(server.calls) <= 14


def test_a_wrong_key_is_not_in_the_message(judge):
    answer = error(401, f"Incorrect API key provided: {KEY}")
    with Endpoint(lambda call: answer) as server, pytest.raises(InputError, match=r"provided: \[secret\]"):
        judge(server, pairs(50), concurrency=4)


def test_keys_and_addresses_that_cannot_be_sent_end_the_job(judge, monkeypatch):
    with Endpoint() as server:
        monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
        assert set(judge(server, pairs(1))["status"]) == {"parsed"}
        monkeypatch.setenv("OPENAI_API_KEY", "sk-schlüssel-0123456789")
        with pytest.raises(InputError, match=r"refuses all requests: .*api_key_env in judge\.yaml"):
            judge(server, pairs(20, "x"))
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        for url in (server.url.removeprefix("http://"), server.url.replace("http", "htp")):
            with pytest.raises(InputError, match=r"refuses all requests: .*base_url"):
                judge(server, pairs(20, "x"), base_url=url)


def test_an_endpoint_that_refuses_all_is_left_out_where_there_is_another(judge):
    with Endpoint() as first, Endpoint(lambda call: error(401, "no")) as second:
        assert set(judge([first, second], pairs(20), concurrency=2)["status"]) == {"parsed"}
    assert len(second.calls) <= 2


@pytest.mark.parametrize("answer", [error(503, "down"), error(429, "busy"), said(200, ""), Answer(drop=True)])
def test_a_dead_endpoint_is_given_up(judge, answer):
    with (
        Endpoint(lambda call: answer) as server,
        pytest.raises(InputError, match=r"none of the last \d+ requests.*again"),
    ):
        judge(server, pairs(200), concurrency=4, structured="none")
    assert 40 <= len(server.calls) <= 60


def test_a_pause_is_told(judge, capsys):
    number = count()
    answer = openai_error(429, "slow down", retry_after=1)
    with Endpoint(lambda call: answer if next(number) < 4 else verdict(call)) as server:
        judge(server, pairs(4), concurrency=4)
    assert capsys.readouterr().out.count("asks for a pause of 1.0 seconds (Retry-After): 429 ") == 1


def test_pauses_in_headers_and_words():
    assert wait_of({"retry-after": "2", "retry-after-ms": "1500"}, "") == 1.5
    words = {
        "try again in 7m12s": 432,
        "try again in 6ms.": 0.006,
        "retry in 34.07s": 34.07,
        "retry after 26 seconds": 26,
    }
    words |= {"try again in 1h2m3s": 3723, "retry after 20 minutes": 1200, "try again later": None, "in 5 s": None}
    for text, seconds in words.items():
        assert wait_of({"retry-after": "soon"}, text) == seconds, text
    assert failure(429, "Please try again in 20s").wait == 20


def test_a_reply_under_another_name_is_never_asked_again(judge, tmp_path):
    with Endpoint(lambda call: completion(verdict_text(call), f"openai/{MODEL}")) as server:
        told = rf"as the model openai/{MODEL}, {MODEL} was expected.*returned_models: \[openai/{MODEL}\] in judge.yaml"
        with pytest.raises(InputError, match=told):
            judge(server, pairs(100), concurrency=4)
        first = len(server.calls)
        assert first <= 8 and len({call.text for call in server.calls}) == first
        with pytest.raises(InputError, match=told):
            judge(server, pairs(2), concurrency=4)  # all of them are answered
        assert len(server.calls) == first
        verdicts = judge(server, pairs(10), returned_models=[f"openai/{MODEL}"])
        assert set(verdicts["status"]) == {"parsed"} and len(server.calls) == 20
    assert {row["attempt"] for row in replies(tmp_path)} == {1}
    with Endpoint() as server:  # at another address it is asked again
        assert set(judge(server, pairs(10))["status"]) == {"parsed"} and len(server.calls) == 20


def test_thinking_that_takes_all_tokens_ends_the_job_early(judge):
    with (
        Endpoint(lambda call: completion("", finish="length", reasoning_content="Hm")) as server,
        pytest.raises(InputError, match="max_tokens 512 went into thinking; raise max_tokens in judge"),
    ):
        judge(server, pairs(200), concurrency=4)
    assert len(server.calls) <= 40


def test_replies_without_any_verdict_end_the_job_early(judge):
    with (
        Endpoint(lambda call: completion("I like both.")) as server,
        pytest.raises(InputError, match="30 requests were sent, and none gave a verdict: no scores at its end"),
    ):
        judge(server, pairs(200), concurrency=2, max_failed_share=0.05)
    assert len(server.calls) <= 32


def test_a_reply_that_no_number_can_hold_bricks_nothing(judge, tmp_path):
    huge = json.dumps({"reasons": "", "score_a": 10**400, "score_b": 1})
    body = completion(huge).body.replace(b'"prompt_tokens": 100', b'"prompt_tokens": 1' + b"0" * 30)
    number = count()
    with Endpoint(lambda call: Answer(body) if next(number) < 2 else verdict(call)) as server:
        assert set(judge(server, pairs(1), prices=PRICES, concurrency=2)["status"]) == {"parsed"}
        assert set(judge(server, pairs(1), prices=PRICES)["status"]) == {"parsed"}
    assert len(replies(tmp_path)) == 4 and max(row["prompt_tokens"] for row in replies(tmp_path)) < 1000


def test_texts_that_an_earlier_version_did_not_find_are_found_and_its_errors_are_no_replies(judge, tmp_path):
    with Endpoint(lambda call: completion([{"type": "text", "text": verdict_text(call)}])) as server:
        first = judge(server, pairs(2))
        with open_store(tmp_path / "store", "PP") as store:
            store.connection.execute("update replies set content = null")
            store.connection.execute(
                "update replies set body = '{\"error\": {}}' where key = ?", [first["request_key"][0]]
            )
        assert judge(server, pairs(2)).equals(first) and len(server.calls) == 5


def test_the_key_is_found_in_other_spellings(judge, tmp_path, monkeypatch):
    key = "sk-a/secret+0123456789"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    spelled = "".join(f"\\u{ord(char):04X}" if char in "-k3" else char for char in key).replace("/", "\\/")

    def echo(call):
        text = verdict_text(call).replace("Both say something", "You sent KEY")
        return Answer(completion(text).body.replace(b"KEY", spelled.encode()))

    with Endpoint(echo) as server:
        assert set(judge(server, pairs(1))["status"]) == {"parsed"}
    assert all("You sent [secret]" in row["content"] and spelled not in row["body"] for row in replies(tmp_path))


def test_a_full_disk_under_the_store_is_told_as_one(tmp_path, capsys):
    import pipeline.jobs.io as io

    with open_store(tmp_path, "PP") as store:
        store.connection.execute("pragma max_page_count = 8")

        def fill():
            for number in range(100):
                store.connection.execute(
                    "insert into batches values (?, ?, 0, null, null, 'new')", (number, "x" * 9000)
                )

        with pytest.raises(SystemExit, match=r"no space left on the disk.*make room and start again"):
            io.run(fill)


def test_a_store_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match="file/store: replies cannot be kept there"),
        open_store(tmp_path / "file/store", "PP"),
    ):
        pass


def test_files_have_the_mode_that_the_umask_gives(tmp_path):
    before = os.umask(0o027)
    try:
        write_text("x", tmp_path / "file")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640

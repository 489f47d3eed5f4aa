"""Whom the openai judge asks, and with what: several endpoints, dead ones, Azure's, keys."""

import json

import pytest
from fixtures_endpoint import MODEL, Answer, Endpoint, completion, error, verdict
from fixtures_judges import KEY, fault_answer, pairs, replies

from pipeline.jobs.io import InputError


def test_endpoints_share_the_load_and_a_dead_one_is_left_out(judge, capsys):
    with Endpoint() as first, Endpoint() as second:
        judge([first, second], pairs(20))
        assert len(first.calls) == len(second.calls) == 20
    with Endpoint() as first, Endpoint(lambda call: Answer(drop=True)) as second:
        verdicts = judge([first, second], pairs(40, "New. "), concurrency=4)
        assert set(verdicts["status"]) == {"parsed"} and len(first.calls) == 80 and 10 <= len(second.calls) <= 14
    assert f"the endpoint {second.url} is left out from now on" in capsys.readouterr().out
    with Endpoint() as first:  # nobody listens at the other address any more
        verdicts = judge([second, first], pairs(20, "Newer. "))
        assert set(verdicts["status"]) == {"parsed"} and len(first.calls) == 40


def test_an_endpoint_with_the_wrong_model_is_left_out_too(judge):
    with Endpoint() as first, Endpoint(fault_answer("wrong model")) as second:
        verdicts = judge([first, second], pairs(40), concurrency=4)
    assert set(verdicts["status"]) == {"parsed"} and len(second.calls) <= 14


def test_the_last_endpoint_is_never_left_out(judge):
    seen = []

    def late(call):
        seen.append(call)
        return error(503) if len(seen) <= 20 else verdict(call)

    with Endpoint(late) as server:
        verdicts = judge(server, pairs(10), max_retries=5, concurrency=4)
    assert set(verdicts["status"]) == {"parsed"}


def test_an_endpoint_without_json_schemas_is_asked_for_text(judge, capsys):
    def plain(call):
        return error(400, "response_format is not supported") if "response_format" in call.body else verdict(call)

    with Endpoint(plain) as server:
        verdicts = judge(server, pairs(20), concurrency=4)
        assert set(verdicts["status"]) == {"parsed"}
        assert sum("response_format" in call.body for call in server.calls) <= 4
        assert capsys.readouterr().out.count("does not take a JSON schema") == 1
        with pytest.raises(InputError, match="response_format is not supported"):
            judge(server, pairs(2), structured="json_schema")
    # one that takes it and does not heed it is read by its last line
    with Endpoint(lambda call: completion("Well.\nSCORES: A=3 B=10")) as server:
        verdicts = judge(server, pairs(1, "x"))
    assert verdicts["preference"].tolist() == [0, 1]


def test_the_key_is_sent_and_written_nowhere(judge, tmp_path, monkeypatch, capsys):
    def echo(call):
        if len(server.calls) < 3:
            return error(500, f"key {KEY}")
        return completion(
            json.dumps({"reasons": f"You sent {call.headers['authorization']}.", "score_a": 3, "score_b": 4})
        )

    with Endpoint(echo) as server:
        assert set(judge(server, pairs(2))["status"]) == {"parsed"}
        assert all("You sent Bearer [secret]." in row["content"] for row in replies(tmp_path))
        assert {call.headers["authorization"] for call in server.calls} == {f"Bearer {KEY}"}
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(written) > 1000 and KEY.encode() not in written
    assert KEY not in "".join(capsys.readouterr())
    monkeypatch.setenv("OTHER_KEY", "sk-other")
    with Endpoint() as server:
        judge(server, pairs(1, "x"), api_key_env="OTHER_KEY")
        assert server.calls[0].headers["authorization"] == "Bearer sk-other"
        monkeypatch.delenv("OTHER_KEY")
        with pytest.raises(InputError, match="the environment variable OTHER_KEY, which is to hold"):
            judge(server, pairs(1, "y"), api_key_env="OTHER_KEY")
        monkeypatch.delenv("OPENAI_API_KEY")
        judge(server, pairs(1, "z"))  # a server of one's own may need none
        with pytest.raises(InputError, match="OPENAI_API_KEY"):
            judge(server, pairs(1, "y"), base_url=None)


def test_azure_is_reached_as_its_client_does(judge):
    with Endpoint() as server:
        url = server.url.removesuffix("/v1")
        judge(server, pairs(1), base_url=url, api_version="2024-10-21", returned_models=["gpt-4o", MODEL])
    [path] = {call.path for call in server.calls}
    assert path == f"POST /openai/deployments/{MODEL}/chat/completions?api-version=2024-10-21"
    assert {call.headers["api-key"] for call in server.calls} == {KEY}

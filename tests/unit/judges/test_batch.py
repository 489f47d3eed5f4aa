"""The Batch API: submitted once, whenever the job ends, collected once, cheaper; against a server that runs batches."""

import json
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing

import pytest
from fixtures_endpoint import Answer, Call, Endpoint, completion, error, verdict
from fixtures_judges import make_judge, pairs

from pipeline.jobs.io import InputError
from pipeline.judges.verdicts import judge_by_model

PRICES = {"input": 100.0, "output": 1000.0, "batch_discount": 0.5}  # 0.01 USD for 100 and 10 tokens


class Batches:
    """OpenAI's files and batches, as far as they are needed. A batch ends after `looks` looks at it.

    Args:
        reply: what each line of a batch gets.
        end: the status that a batch ends in, by its number.
        lose: {name of a step: how often the connection is dropped after it was done}.
    """

    def __init__(self, reply=verdict, looks: int = 2, end=lambda number: "completed", lose=None):
        self.reply, self.looks, self.end, self.lose = reply, looks, end, Counter(lose)
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict] = {}
        self.seen: Counter = Counter()
        self.answered: Counter = Counter()
        self.down = False

    def __call__(self, call: Call) -> Answer:
        step, answer = self.step(call)
        if self.lose[step] > 0:
            self.lose[step] -= 1
            return Answer(drop=True)
        return Answer(answer) if isinstance(answer, bytes) else answer

    def step(self, call: Call):
        method, path = call.path.split()
        parts = path.split("?")[0].strip("/").split("/")[1:]
        if self.down:
            return "down", error(503)
        if (method, parts) == ("POST", ["files"]):
            boundary = call.headers["content-type"].split("boundary=")[1].encode()
            [part] = [part for part in call.data.split(b"--" + boundary) if b'name="file"' in part]
            name = f"file-{len(self.files)}"
            self.files[name] = part.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")
            return "upload", self.file(name)
        if (method, parts) == ("POST", ["batches"]):
            name = f"batch-{len(self.batches)}"
            self.batches[name] = {
                **{"id": name, "object": "batch", "status": "in_progress", "created_at": 1},
                **{key: call.body[key] for key in ("input_file_id", "endpoint", "completion_window", "metadata")},
            }
            return "create", json.dumps(self.batches[name]).encode()
        if parts == ["batches"]:
            found = {"object": "list", "data": list(self.batches.values())[::-1], "has_more": False}
            return "list", json.dumps(found).encode()
        if parts[0] == "batches":
            self.seen[parts[1]] += 1
            if self.seen[parts[1]] == self.looks:
                self.run(self.batches[parts[1]])
            return "look", json.dumps(self.batches[parts[1]]).encode()
        assert parts[0] == "files" and parts[2] == "content", call.path
        return "collect", self.files[parts[1]]

    def file(self, name: str) -> bytes:
        size = len(self.files[name])
        made = {"id": name, "object": "file", "bytes": size, "created_at": 1, "filename": name, "purpose": "batch"}
        return json.dumps({**made, "status": "processed"}).encode()

    def run(self, batch: dict) -> None:
        """End a batch; its status comes last, as a job that looks meanwhile must not find it ended without files."""
        status = self.end(int(batch["id"].split("-")[1]))
        if status == "failed":
            errors = {"object": "list", "data": [{"code": "x", "message": "the file is no good"}]}
            batch.update(errors=errors, status=status)
            return
        done, wrong = [], []
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        for line in lines if status == "completed" else lines[::2]:
            assert line["method"] == "POST" and line["url"] == batch["endpoint"] == "/v1/chat/completions"
            answer = self.reply(Call("", {}, json.dumps(line["body"]).encode(), 0.0))
            response = {"status_code": answer.status, "body": json.loads(answer.body)}
            (done if answer.status == 200 else wrong).append({"custom_id": line["custom_id"], "response": response})
            self.answered[line["custom_id"]] += answer.status == 200
        for key, found in (("output_file_id", done), ("error_file_id", wrong)):
            if found:
                batch[key] = f"{batch['id']}-{key}"
                self.files[batch[key]] = b"\n".join(json.dumps(line).encode() for line in found[::-1])
        batch["status"] = status


@pytest.fixture
def judge(tmp_path):
    def judge(server, count=5, **changes):
        common = {"base_url": server.url, "batch": True, "batch_poll_seconds": 0.02, "prices": PRICES}
        spec, service = make_judge("PP", **common | changes)
        return judge_by_model(pairs(count), spec, service, tmp_path / "store", "dpr", 2, "dpo")

    return judge


def rows(folder, table="replies") -> list[dict]:
    with closing(sqlite3.connect(folder / "store" / "PP.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(f"select * from {table}")]


def test_verdicts_by_batch_are_those_asked_one_by_one(judge, tmp_path):
    batches = Batches()
    with Endpoint(batches) as server:
        by_batch = judge(server)
        calls = len(server.calls)
        again = judge(server)
        assert len(server.calls) == calls and again.equals(by_batch)
    with Endpoint() as server:
        spec, service = make_judge("PP", base_url=server.url)
        one_by_one = judge_by_model(pairs(5), spec, service, tmp_path / "other", "dpr", 2, "dpo")
    assert by_batch.equals(one_by_one)
    [batch] = batches.batches.values()
    assert batch["metadata"]["judge"] == "PP" and len(batches.files[batch["input_file_id"]].splitlines()) == 10
    kept = rows(tmp_path)
    assert [row["price_usd"] for row in kept] == pytest.approx([0.01] * 10)
    assert {row["endpoint"] for row in kept} == {"batch batch-0"}
    assert [row["state"] for row in rows(tmp_path, "batches")] == ["completed"]


def test_batches_have_a_size(judge):
    batches = Batches()
    with Endpoint(batches) as server:
        judge(server, batch_size=4)
    assert [len(batches.files[batch["input_file_id"]].splitlines()) for batch in batches.batches.values()] == [4, 4, 2]


@pytest.mark.parametrize("step", ["upload", "create", "look", "list", "collect"])
def test_a_job_that_ends_at_any_step_goes_on_without_paying_twice(judge, tmp_path, step, monkeypatch):
    """The connection is lost after the server did its part, so that the job cannot know."""
    monkeypatch.setattr("pipeline.judges.batch.FREE_RETRIES", 0)
    batches = Batches(lose={step: 1, **({"create": 1} if step == "list" else {})})
    with Endpoint(batches) as server:
        for _ in range(3 if step == "list" else 1):
            try:
                verdicts = judge(server, batch_size=6)
            except InputError as told:
                assert "run again to go on" in str(told)
        verdicts = judge(server, batch_size=6)
    assert set(verdicts["status"]) == {"parsed"} and len(batches.batches) == 2
    assert set(batches.answered.values()) == {1} and len(batches.answered) == len(rows(tmp_path)) == 10


def test_an_endpoint_that_is_away_while_a_batch_runs(judge):
    batches = Batches(looks=3)
    with Endpoint(batches) as server:

        def look(call, step=batches.step):
            if len(batches.batches) == 1 and batches.seen["batch-0"] == 1:
                batches.down, batches.seen["batch-0"] = True, 2
            elif batches.down:
                batches.down = False
                return "down", error(503, retry_after=0.01)
            return step(call)

        batches.step = look
        assert set(judge(server)["status"]) == {"parsed"}
    assert len(batches.batches) == 1


def test_what_a_batch_left_open_is_in_the_next_one(judge, tmp_path):
    batches = Batches(end=lambda number: "expired" if number == 0 else "completed")
    with Endpoint(batches) as server:
        assert set(judge(server)["status"]) == {"parsed"}
    sizes = [len(batches.files[batch["input_file_id"]].splitlines()) for batch in batches.batches.values()]
    assert sizes == [10, 5] and set(batches.answered.values()) == {1}


def test_errors_and_unreadable_replies_are_bounded(judge, tmp_path):
    def some(call):
        if "Question 0?" in call.text:
            return error(500, "no luck")
        return completion("Who knows.") if "Question 1?" in call.text else verdict(call)

    batches = Batches(some)
    with Endpoint(batches) as server:
        verdicts = judge(server, max_retries=2, max_failed_share=1.0)
    assert verdicts["status"].tolist() == ["failed"] * 2 + ["unparsed"] * 2 + ["parsed"] * 6
    assert [len(batches.files[batch["input_file_id"]].splitlines()) for batch in batches.batches.values()] == [10, 4, 4]
    assert Counter(row["attempt"] for row in rows(tmp_path)) == {1: 8, 2: 2, 3: 2}
    with Endpoint(batches) as server, pytest.raises(InputError, match="no luck"):
        judge(server, max_retries=2)


def test_a_batch_that_is_refused_ends_the_job(judge):
    batches = Batches(end=lambda number: "failed" if number == 0 else "completed")
    with Endpoint(batches) as server:
        with pytest.raises(InputError, match="refuses the batch batch-0: the file is no good"):
            judge(server)
        assert set(judge(server)["status"]) == {"parsed"}
    assert len(batches.batches) == 2


def test_the_budget_bounds_what_is_submitted(judge):
    batches = Batches()
    with Endpoint(batches) as server:
        with pytest.raises(
            InputError, match=r"budget_usd 0\.06 is reached: 0\.\d+ USD are spent, \d+ requests are open"
        ):
            judge(server, max_tokens=10, budget_usd=0.06)
        first = len(batches.answered)
        assert 1 < first <= 6
        assert len(judge(server, max_tokens=10, budget_usd=5.0)) == 10
    assert set(batches.answered.values()) == {1}


def test_what_was_submitted_is_not_asked_one_by_one(judge, monkeypatch):
    monkeypatch.setattr("pipeline.judges.batch.FREE_RETRIES", 0)
    batches = Batches(lose={"look": 1})
    with Endpoint(batches) as server:
        with pytest.raises(InputError, match=r"Batch API: APIConnectionError: .*; run again to go on"):
            judge(server)
        assert set(judge(server, batch=False)["status"]) == {"parsed"}
        assert not [call for call in server.calls if "completions" in call.path]


def test_odd_lines_of_a_batch_keep_nothing_from_being_kept(judge, tmp_path, capsys):
    """A reply with U+2028 as it is, which Python takes for the end of a line, and two lines that are no objects."""

    def odd(call):
        return completion(json.dumps({"reasons": "One\u2028two.", "score_a": 10, "score_b": 1}, ensure_ascii=False))

    class Raw(Batches):
        def run(self, batch):
            super().run(batch)
            content = self.files[batch["output_file_id"]].decode()
            lines = [json.dumps(json.loads(line), ensure_ascii=False) for line in content.splitlines()]
            self.files[batch["output_file_id"]] = "\n".join(["{", "7", *lines]).encode()

    with Endpoint(Raw(odd)) as server:
        verdicts = judge(server)
    assert set(verdicts["status"]) == {"parsed"} and len(rows(tmp_path)) == 10
    assert all("\u2028" in row["content"] for row in rows(tmp_path))
    assert "2 lines of its files cannot be read" in capsys.readouterr().out


def test_jobs_submit_while_others_wait(tmp_path):
    """Two jobs, the second beginning while the first one's batch runs: neither waits for the other's batch to end."""
    batches = Batches(looks=10**9)
    with Endpoint(batches) as server:
        spec, service = make_judge("PP", base_url=server.url, batch=True, batch_poll_seconds=0.02, prices=PRICES)
        tables, verdicts = [pairs(5), pairs(8)], {}

        def job(number):
            made = judge_by_model(tables[number], spec, service, tmp_path / "store", "dpr", 2, "dpo")
            verdicts[number] = set(made["status"])

        jobs = [threading.Thread(target=job, args=(number,)) for number in range(2)]
        for number, thread in enumerate(jobs):
            thread.start()
            while len(batches.batches) <= number:
                assert thread.is_alive()
                time.sleep(0.01)
        for batch in batches.batches.values():
            batches.run(batch)
        for thread in jobs:
            thread.join(20)
    assert verdicts == {0: {"parsed"}, 1: {"parsed"}}
    sizes = [len(batches.files[batch["input_file_id"]].splitlines()) for batch in batches.batches.values()]
    assert sizes == [10, 6]  # what the first batch asks is not asked in the second
    assert set(batches.answered.values()) == {1} and len(rows(tmp_path)) == 16

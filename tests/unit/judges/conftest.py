"""The openai judge as a function of a server and a table."""

import pytest
from fixtures_judges import KEY, make_judge

from pipeline.judges.verdicts import judge_by_model


@pytest.fixture
def key(monkeypatch):
    """An endpoint's key in the environment."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def judge(key, tmp_path):
    """Judge a table at a server; gives the verdicts."""

    def judge(server, table, name="PP", **changes):
        urls = [one.url for one in server] if isinstance(server, list) else server.url
        spec, service = make_judge(name, **{"base_url": urls, **changes})
        return judge_by_model(table, spec, service, tmp_path / "store", "dpr", 2, "dpo")

    return judge

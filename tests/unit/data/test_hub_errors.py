"""What cannot be loaded is said in a line, with what to do: the errors are the datasets library's own."""

import datasets
import pytest
from datasets.exceptions import DatasetNotFoundError

from pipeline.data.hub_errors import why_not_loaded
from pipeline.data.loading import load_hub
from pipeline.jobs.io import InputError

CARD = """---
configs:
{configs}
---
"""


@pytest.fixture
def repository(tmp_path):
    """A dataset as the hub has it, in a folder, with configurations of the given names."""

    def make(*names):
        configs = [f"- config_name: {name}\n  data_files: [{{split: train, path: {name}.jsonl}}]" for name in names]
        (tmp_path / "README.md").write_text(CARD.format(configs="\n".join(configs)))
        for name in names:
            (tmp_path / f"{name}.jsonl").write_text('{"prompt": "Why?"}\n')
        return str(tmp_path)

    return make


def refusal(path, *arguments):
    with pytest.raises(InputError) as caught:
        load_hub(path, *arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_absent_configuration(repository):
    text = refusal(repository("helpful", "harmless"), "helpfull")
    assert text.endswith("there is no configuration 'helpfull'; config_name must be one of helpful, harmless")


def test_one_of_several_configurations(repository):
    text = refusal(repository("helpful", "harmless"))
    assert text.endswith("it has several configurations; give one as config_name: helpful, harmless")
    assert load_hub(repository("helpful", "harmless"), "harmless")["train"]["prompt"] == ["Why?"]


def test_an_absent_split(repository):
    path = repository("default")
    assert refusal(path, None, None, "test") == f"{path}: there is no split 'test'; it has train"


def test_a_dataset_that_is_absent_private_or_gated(monkeypatch):
    assert "no such dataset on the hub, or a private one" in why_not_loaded(
        "a/b", None, None, DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub or cannot be accessed.")
    )
    gated = DatasetNotFoundError("Dataset 'a/b' is a gated dataset on the Hub. You must be authenticated to access it.")
    assert "a/b: it is gated; ask for access on its page, and set HF_TOKEN" in why_not_loaded("a/b", None, None, gated)


def test_an_absent_package(monkeypatch):
    def load(*arguments, **options):
        raise ModuleNotFoundError("No module named 'zstandard'")

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert refusal("a/b").endswith("a package is not installed (No module named 'zstandard'): pip install zstandard")

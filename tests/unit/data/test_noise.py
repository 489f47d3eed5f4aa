"""Label noise: its size, what it is recorded as, that it is the train split's alone and its seed's."""

import numpy as np
import pytest
from fixtures_data import ids, plain, prepare, prepare_rows, row, write_jsonl
from scipy.special import expit, logit
from scipy.stats import kstest

from pipeline.data.noise import is_noisy, noisy_labels, uniform
from pipeline.jobs.io import InputError

COUNT = 40_000


@pytest.fixture(scope="module")
def digests():
    return np.random.default_rng(0).integers(0, 2**64, (COUNT, 2), np.uint64)


def labels(digests, prob=None, **spec):
    return noisy_labels(spec, digests, None if prob is None else np.full(len(digests), prob))


def near(share, expected, count=COUNT):
    return abs(share - expected) < 4 * np.sqrt(max(expected * (1 - expected), 1e-9) / count)


def test_draws_are_uniform_and_independent(digests):
    draws = [uniform(digests, seed, draw) for seed, draw in ((0, 0), (0, 1), (1, 0))]
    small = np.stack([np.arange(COUNT, dtype=np.uint64), np.zeros(COUNT, np.uint64)], axis=1)
    for values in [*draws, uniform(small, 0, 0), uniform(small[:, ::-1], 0, 0)]:
        assert kstest(values, "uniform").pvalue > 1e-3 and values.min() > 0 and values.max() < 1
    assert np.abs(np.corrcoef(draws) - np.eye(3)).max() < 0.02
    assert np.array_equal(uniform(digests[::-1], 0, 0), draws[0][::-1])


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_switching_swaps_that_share(digests, share):
    drawn = labels(digests, label_switching=share)
    assert near(drawn["flipped"].mean(), share)
    assert set(drawn) == {"flipped", "label_prob"} and np.allclose(drawn["label_prob"], 1 - share)


@pytest.mark.parametrize("prob", [0.0, 0.2, 0.5, 0.9, 1.0])
def test_relabelling_keeps_the_order_with_bt_prob(digests, prob):
    drawn = labels(digests, prob, relabel=True)
    assert near(1 - drawn["flipped"].mean(), prob) and np.allclose(drawn["label_prob"], prob)
    assert np.allclose(drawn["bt_prob"], np.where(drawn["flipped"], 1 - prob, prob))


def test_gaussian_noise_is_on_the_logit(digests):
    drawn = labels(digests, 0.8, relabel=True, bt_noise_gauss=1.5)
    added = logit(drawn["label_prob"]) - logit(0.8)
    assert kstest(added / 1.5, "norm").pvalue > 1e-3
    assert near(1 - drawn["flipped"].mean(), drawn["label_prob"].mean())
    assert expit(logit(0.8)) > drawn["label_prob"].mean() > 0.5
    again = labels(digests, 0.8, relabel=True, bt_noise_gauss=3.0)
    assert np.allclose(logit(again["label_prob"]) - logit(0.8), 2 * added)


def test_both_together(digests):
    drawn = labels(digests, 0.9, relabel=True, label_switching=0.2)
    assert np.allclose(drawn["label_prob"], 0.9 * 0.8 + 0.1 * 0.2)
    assert near(1 - drawn["flipped"].mean(), 0.74)


def test_a_larger_share_swaps_the_same_and_more(digests):
    less, more = (labels(digests, label_switching=share)["flipped"] for share in (0.1, 0.3))
    assert not (less & ~more).any()
    other = labels(digests, label_switching=0.3, label_seed=1)["flipped"]
    assert near((more & other).mean(), 0.09)


def test_which_specs_are_noisy():
    assert is_noisy({"label_switching": 0.1}) and is_noisy({"relabel": True})
    assert not is_noisy({}) and not is_noisy({"label_switching": 0.0, "relabel": False, "label_seed": 3})


# preparation


def sides(table):
    return dict(
        zip(ids(table), zip(table["chosen"].to_pylist(), table["rejected"].to_pylist(), strict=True), strict=True)
    )


@pytest.mark.parametrize("dialogue", [False, True])
def test_only_train_is_noised_and_each_row_says_so(tmp_path, dialogue):
    rows = [row(number) for number in range(300)]
    if dialogue:
        rows = [each | {"prompt": [{"role": "user", "content": each["prompt"]}]} for each in rows]
    clean, _ = prepare_rows(tmp_path, rows)
    noisy, card = prepare_rows(tmp_path, rows, label_switching=0.25)
    assert clean["eval"].equals(noisy["eval"]) and clean["selection"].equals(noisy["selection"])
    assert noisy["train"].column_names == ["prompt_id", "prompt", "chosen", "rejected", "flipped", "label_prob"]
    assert clean["train"].column_names == ["prompt_id", "prompt", "chosen", "rejected"]
    assert ids(clean["train"]) == ids(noisy["train"])
    before, after = sides(clean["train"]), sides(noisy["train"])
    flipped = dict(zip(ids(noisy["train"]), noisy["train"]["flipped"].to_pylist(), strict=True))
    assert all(after[key] == (before[key][::-1] if flipped[key] else before[key]) for key in before)
    assert near(sum(flipped.values()) / len(flipped), 0.25, len(flipped))
    assert card["label_noise"]["flipped"] == sum(flipped.values()) and card["label_noise"]["label_switching"] == 0.25
    shown = [[sample[name] for name in ("chosen", "rejected")] for sample in card["samples"]]
    assert shown == [list(after[sample["prompt_id"]]) for sample in card["samples"]]
    assert prepare_rows(tmp_path, rows, label_switching=0.25)[0]["train"].equals(noisy["train"])
    assert not prepare_rows(tmp_path, rows, label_switching=0.25, label_seed=1)[0]["train"].equals(noisy["train"])


def test_more_rows_change_no_label(tmp_path):
    fewer, _ = prepare_rows(tmp_path, [row(number) for number in range(200)], label_switching=0.3)
    more, _ = prepare_rows(tmp_path, [row(number) for number in range(260)], label_switching=0.3)
    one, other = sides(fewer["train"]), sides(more["train"])
    both = one.keys() & other.keys()
    assert len(both) > 100 and all(one[key] == other[key] for key in both)


def test_a_table_with_bt_prob_is_relabelled(tmp_path):
    rows = [row(number) | {"bt_prob": number % 2} for number in range(200)]
    splits, card = prepare_rows(tmp_path, rows, relabel=True)
    train = splits["train"].to_pylist()
    for each in train:
        wrong = int(each["prompt"].split()[1]) % 2 == 0
        assert each["flipped"] == wrong == each["chosen"].startswith("bad")
        assert each["bt_prob"] == 1 and each["label_prob"] == (0 if wrong else 1)
    assert all(chosen.startswith("good") for chosen in splits["eval"]["chosen"].to_pylist())
    assert splits["eval"].column_names == ["prompt_id", "prompt", "chosen", "rejected"]
    assert (
        card["label_noise"]["relabel"] is True
        and "bt_prob" not in prepare_rows(tmp_path, rows)[0]["train"].column_names
    )


@pytest.mark.parametrize(("value", "shown"), [(None, "null"), (1.5, "is 1.5; it must be"), (float("nan"), "nan")])
def test_what_is_no_probability_is_refused(tmp_path, value, shown):
    rows = [row(number) | {"bt_prob": 0.5} for number in range(20)]
    rows[7]["bt_prob"] = value
    with pytest.raises(InputError, match=rf"rows\.jsonl: column 'bt_prob': row 7 \(the first is 0\) .*{shown}"):
        prepare_rows(tmp_path, rows, relabel=True)


def test_relabelling_needs_the_column(tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [row(number) for number in range(9)])
    with pytest.raises(InputError, match=r"rows\.jsonl: no column 'bt_prob'"):
        prepare(plain(path, relabel=True))

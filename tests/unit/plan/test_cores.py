"""Threads of jobs with a loaded model: a share of the cores on a CPU; those of models made from scratch stay."""

import pytest

from pipeline.plan.cores import own_threads, side_by_side


def settings_on(small, device="cpu", **entry):
    settings = small(device=device).settings
    settings.devices[device].update(entry)
    return settings


@pytest.mark.parametrize(
    ("cores", "entry", "threads", "jobs"),
    [
        (2, {}, 1, 2),
        (8, {}, 4, 2),
        (8, {"cpu_share": 1.0}, 8, 1),
        (8, {"cpu_share": 0.25}, 2, 4),
        (1, {}, 1, 1),
        (16, {"processes": 2}, 4, 2),
        (None, {}, 1, 1),  # jobs run elsewhere
    ],
)
def test_a_loaded_model_has_a_share_of_the_cores(small, cores, entry, threads, jobs):
    settings = settings_on(small, **entry)
    assert own_threads(settings, True, 1, cores, gpus=False) == threads
    assert side_by_side(settings, True, threads, cores) == jobs


@pytest.mark.parametrize("usual", [1, 2])
def test_a_model_made_from_scratch_keeps_its_threads(small, usual):
    settings = settings_on(small)
    assert own_threads(settings, False, usual, 16, gpus=False) == usual
    assert side_by_side(settings, False, usual, 16) == 0


@pytest.mark.parametrize(("device", "gpus", "threads"), [("auto", True, 1), ("auto", False, 4), ("t4", True, 1)])
def test_where_a_gpu_computes_threads_stay(small, device, gpus, threads):
    assert own_threads(settings_on(small, device), True, 1, 8, gpus) == threads

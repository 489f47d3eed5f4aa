"""Parts: found by their folders."""

import pytest

from pipeline.jobs import parts
from pipeline.jobs.parts import all_parts, load_part, part_names

ROOMS = {
    "methods": "trainer",
    "sources": "adapter",
    "reward_formats": "text",
    "judge_kinds": "judge",
    "backends": "generate",
}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_its_folders_in_the_order_of_their_descriptions(room):
    folders = {path.name for path in (parts.PIPELINE / room).iterdir() if path.is_dir() and path.name != "__pycache__"}
    names = part_names(room)
    assert set(names) == folders and len(names) >= 3
    orders = [part.ORDER for part in all_parts(room, "description").values()]
    assert orders == sorted(set(orders))


@pytest.mark.parametrize("room", ROOMS)
def test_every_part_can_do_its_work(room):
    module = {"reward_formats": "tokens", "sources": "adapter"}.get(room, ROOMS[room])
    for name in part_names(room):
        if (room, name) not in (("methods", "sft"), ("methods", "bon")):  # they train nothing
            assert callable(getattr(load_part(room, name, ROOMS[room]), module))


def test_there_is_no_other_part():
    with pytest.raises(KeyError, match="methods has no 'ppo'; it has sft, dpo"):
        load_part("methods", "ppo", "trainer")
    with pytest.raises(KeyError):
        load_part("methods", "../jobs", "io")

"""Losses that people know by a name of their own: methods in a config, each another method with its loss set."""

LOSSES = {
    "ipo": {"method": "dpo", "loss_type": "ipo"},
    "robust": {"method": "dpo", "loss_type": "robust"},
    "exo": {"method": "dpo", "loss_type": "exo_pair"},
    "nca": {"method": "dpo", "loss_type": "nca_pair"},
    "bco": {"method": "dpo", "loss_type": "bco_pair"},
    "sppo": {"method": "dpo", "loss_type": "sppo_hard"},
    "aot": {"method": "dpo", "loss_type": "aot"},
    "apo_zero": {"method": "dpo", "loss_type": "apo_zero"},
    "apo_down": {"method": "dpo", "loss_type": "apo_down"},
    "discopop": {"method": "dpo", "loss_type": "discopop"},
    "simpo": {"method": "cpo", "loss_type": "simpo", "cpo_alpha": 0.0},
}


def meaning(name: str) -> str:
    """What a named loss stands for, as a sentence."""
    keys = [
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in LOSSES[name].items()
        if key != "method"
    ]
    return f"{LOSSES[name]['method']} with {' and '.join(keys)}."


def spelled_out(task: dict) -> dict:
    """A task with its method and loss in place of a named loss."""
    return task | LOSSES.get(task["method"], {})

"""What the benchmark on a GPU measures: shapes, settings, methods and switches, and the cells that are made of them."""

from fnmatch import fnmatch

from pipeline.jobs.io import InputError

QWEN = {"model_type": "qwen2", "vocab_size": 151936, "tie_word_embeddings": True}
SHAPES: dict[str, dict] = {
    "0.5B": {
        **QWEN,
        **{"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24},
        **{"num_attention_heads": 16, "num_key_value_heads": 16},
    },
    "1.5B": {
        **QWEN,
        **{"hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28},
        **{"num_attention_heads": 12, "num_key_value_heads": 2},
    },
    "3.8B": {
        **{"model_type": "phi3", "vocab_size": 32064, "tie_word_embeddings": False},
        **{"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32},
        **{"num_attention_heads": 32, "num_key_value_heads": 32},
    },
    "8B": {
        **{"model_type": "llama", "vocab_size": 128256, "tie_word_embeddings": False},
        **{"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32},
        **{"num_attention_heads": 32, "num_key_value_heads": 8},
    },
}
TINY = {"vocab_size": 256, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
TINY |= {"num_attention_heads": 2, "num_key_value_heads": 2}
SETTINGS = {
    f"{shape}-{length}": {"shape": shape, "prompt": length, "response": length, "pairs": 32, "rollout_prompts": 64}
    for shape in SHAPES
    for length in (256, 1024)
} | {"t4": {"shape": "0.5B", "prompt": 896, "response": 128, "pairs": 8, "rollout_prompts": 4}}
METHODS: dict[str, dict] = {
    "trl": {},
    "dpo": {},
    "ddp": {"r": 0.4, "rho": 0.2},
    "dpp": {"p": 0.3, "pi": 0.2},
    "dpr": {"g": 0.3, "gamma": 0.3},
}
# What a switch changes of the device; the others are seen to in `train`.
SWITCHES: dict[str, dict] = {
    "share_prompt": {"share_prompt": True},
    "kernels": {"kernels": True},
    "tf32": {"tf32": True},
    "workers": {"dataloader_workers": 2},
    "static": {"generation_cache": "static"},
    "checkpointing": {"activation_checkpointing": "always"},
    "full": {},
    "varied": {},
    "by_length": {},
}
FITTED_ANEW = ("full", "checkpointing")  # with these another number of pairs fits
T4_GIB = 14.5
LORA = {"adapter": "lora", "lora": {"r": 64, "alpha": 16, "dropout": 0.0, "target_modules": "all-linear"}}


def cells_in_order() -> list[str]:
    """All cells, the most telling first."""

    def all_methods(*settings: str) -> list[str]:
        return [f"{setting}/{method}" for setting in settings for method in METHODS]

    tried = ["dpo+share_prompt", "dpr+static", "dpo+kernels", "dpo+workers", "dpo+checkpointing", "dpo+full"]
    lengths = ["0.5B-1024/dpo+varied", "0.5B-1024/dpo+varied+by_length", "0.5B-256/dpo+tf32", "0.5B-256/dpo+full+tf32"]
    switched = ["0.5B-1024/dpo+share_prompt", *(f"0.5B-256/{each}" for each in tried), *lengths]
    larger = [*all_methods("1.5B-256", "1.5B-1024"), "1.5B-1024/dpo+share_prompt", "t4/dpr", "t4/dpo"]
    published = all_methods("3.8B-256", "8B-256", "3.8B-1024", "8B-1024")
    return all_methods("0.5B-256", "0.5B-1024") + switched + larger + published


def chosen_cells(patterns: list[str]) -> list[str]:
    """The cells of the patterns, in order; one that is named in full may be any combination."""
    known = cells_in_order()
    found = [cell for cell in known if not patterns or any(fnmatch(cell, pattern) for pattern in patterns)]
    for pattern in patterns:
        setting, _, rest = pattern.partition("/")
        method, *switches = rest.split("+")
        if setting in SETTINGS and method in METHODS and set(switches) <= set(SWITCHES):
            found += [pattern] if pattern not in found else []
        elif not any(fnmatch(cell, pattern) for cell in known):
            raise InputError(
                f"no cell {pattern}: settings are {', '.join(SETTINGS)}, methods {', '.join(METHODS)}, switches "
                f"{', '.join(SWITCHES)}"
            )
    return found

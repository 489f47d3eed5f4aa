"""What the plugin's tests train: a random Qwen2 with hidden size 32 and two layers, and rows of a few words."""

import random

WORDS = ("red", "blue", "green", "old", "new", "big", "small", "cat", "dog", "tree", "house", "boat")

SHAPE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.3,
}


def rows(size: int, seed: int = 0) -> list[dict[str, str]]:
    """Preference rows with distinct prompts of 1-4 words and responses of 1-5 words."""
    rng, prompts = random.Random(seed), {}
    while len(prompts) < size:
        prompts.setdefault("say " + " ".join(rng.choices(WORDS, k=rng.randint(1, 4))))
    texts = [[" " + " ".join(rng.choices(WORDS, k=rng.randint(1, 5))) for _ in range(2)] for _ in prompts]
    return [
        {"prompt": prompt, "chosen": a, "rejected": b if b != a else b + " cat"}
        for prompt, (a, b) in zip(prompts, texts, strict=True)
    ]


def reward(prompts, completions, **columns):
    """Longer is better."""
    return [float(len(completion)) for completion in completions]


def weights(trainer):
    """Copies of a trainer's parameters, by name."""
    return {name: parameter.detach().clone() for name, parameter in trainer.model.named_parameters()}


def new_model(tokenizer, seed: int = 0):
    """A tiny Qwen2 whose next-token distributions are far from uniform and depend on the whole context."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    config = Qwen2Config(
        vocab_size=len(tokenizer),
        **SHAPE,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    return Qwen2ForCausalLM(config).eval()

"""Prompts, responses and tokenizers that templates and formats are tried on."""

from fixtures_models import chat_tokenizer, llama_tokenizer, neox_tokenizer

TOKENIZERS = {"chat": chat_tokenizer(), "llama": llama_tokenizer(), "neox": neox_tokenizer()}
DIALOGUE = [
    {"role": "user", "content": "Which colour?"},
    {"role": "assistant", "content": "Yellow."},
    {"role": "user", "content": "Sure?"},
]
PROMPTS = ["Which colour has a lemon?", "ends with a space ", "{braces} and %s", "\nline\n", DIALOGUE]
RESPONSES = ["It is yellow.", " indented", "\n\nnew lines", "", ".", [{"role": "assistant", "content": "as a message"}]]

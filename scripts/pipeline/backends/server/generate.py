"""Responses from an OpenAI-compatible server: vLLM, SGLang, `transformers serve` and the like.

The server holds the policy under the name that it is asked for, which is the folder's path. It is asked to complete
formatted prompts, so that no template of its own matters. A request has a seed of its own, from the run's seed and the
prompt, so that neither order nor concurrency matter to a server that keeps a seed to its request.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from openai import OpenAI, OpenAIError

from pipeline.generation.sampling import Sampling
from pipeline.jobs.io import InputError
from pipeline.jobs.partial import PartialResults
from pipeline.jobs.processes import own_share, processes
from pipeline.jobs.progress import Progress
from pipeline.models.devices import Device
from pipeline.models.templates import Text, prompt_text, prompt_token_ids

URL, KEY = "GENERATION_BASE_URL", "GENERATION_API_KEY"
ATTEMPTS = 6  # at most, of a request; the client waits longer before each
SECONDS = 600.0  # of an attempt
TOKENS = "return_token_ids"  # a server that knows this field of vLLM's takes prompts as token ids too
REFUSED = (400, 422)  # status of a request with a field that the server does not know
# Decoding that changes nothing: `transformers serve` fills what is not named from the checkpoint's generation config.
NEUTRAL = {
    **dict.fromkeys(("repetition_penalty", "encoder_repetition_penalty", "typical_p"), 1.0),
    **dict.fromkeys(("no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "min_length", "min_p"), 0),
    **{"num_beams": 1, "num_return_sequences": 1, "use_cache": True, "token_healing": False},
}


def generate(sampling: Sampling) -> dict[int, list[int]]:
    """Token ids of this process's share of the responses, by the prompts' positions."""
    rows = own_share(range(len(sampling.texts)))
    kept = sampling.kept and sampling.kept / f"served-{processes()[0]}"
    policy = ServedPolicy(sampling.path, sampling.tokenizer, sampling.entry, sampling.device)
    texts, seeds = ([of[row] for row in rows] for of in (sampling.texts, sampling.request_seeds))
    served = policy.respond(sampling.decoding, texts, seeds, sampling.eos_token_ids, kept)
    return dict(zip(rows, served, strict=True))


class ServedPolicy:
    """A policy on a server.

    Args:
        path: the policy's folder, by whose absolute path the server knows it; a hub id as it is.
        tokenizer, entry: of the policy; they decide the format.
        device: its `server_url`, where the environment does not say another, and how many requests are under way.

    Raises:
        InputError: nothing says where the server is.
    """

    def __init__(self, path: str, tokenizer, entry: dict, device: Device):
        self.url = os.environ.get(URL) or device.server_url
        if not self.url:
            raise InputError(
                f"decoding backend server: set server_url of the device {device.name} in config/devices.yaml, or the "
                f"environment variable {URL}, such as http://localhost:8000/v1"
            )
        self.name = str(Path(path).resolve()) if Path(path).is_dir() else path
        self.tokenizer, self.entry, self.workers = tokenizer, entry, device.batch_sizes["generate"]
        key = os.environ.get(KEY, "none")
        self.client = OpenAI(base_url=self.url, api_key=key, max_retries=ATTEMPTS - 1, timeout=SECONDS)

    def respond(
        self, decoding: dict, prompts: list[Text], seeds: list[int], eos_token_ids: list[int], kept: Path | None = None
    ) -> list[list[int]]:
        """Token ids of a response per prompt; its end of sequence, if it ended by itself, included.

        The ids are the server's, or those of the text where it gives none.

        Args:
            seeds: one for each prompt.
            kept: folder for finished responses, from which a killed job continues.

        Raises:
            InputError: the server cannot be reached, does not have the policy, or refuses a request to the last.
        """
        finished = PartialResults(kept)
        progress = Progress("responses", len(prompts))
        if finished.found:
            print(f"{finished.found} of {len(prompts)} responses were given before", flush=True)
            progress.add_found(finished.found)
            prompts, seeds = prompts[finished.found :], seeds[finished.found :]
        if not prompts:
            return [*finished.values.values()]
        dialect, first = self._first(decoding, self._dialects(decoding, eos_token_ids), prompts[0], seeds[0])

        def ask(prompt: Text, own_seed: int):
            try:
                return self._request(decoding, dialect, prompt, own_seed)
            except OpenAIError as error:
                raise self._failure(prompt, error) from error

        pool = ThreadPoolExecutor(self.workers)
        try:
            for choice in chain([first], pool.map(ask, prompts[1:], seeds[1:])):
                finished.add({len(finished.values): self._ids(choice, eos_token_ids)})
                progress.add(1)
        finally:
            pool.shutdown(cancel_futures=True)
        return [*finished.values.values()]

    def _dialects(self, decoding: dict, eos_token_ids: list[int]) -> list[dict]:
        """Fields beyond OpenAI's that make a server sample from the whole distribution, for each kind of server."""
        transformers = {key: decoding[key] for key in ("do_sample", "max_new_tokens")}
        transformers |= {"eos_token_id": eos_token_ids, "pad_token_id": self.tokenizer.pad_token_id, **NEUTRAL}
        if decoding["do_sample"]:
            transformers |= {key: decoding[key] for key in ("temperature", "top_p")} | {"top_k": 0}
        vllm = {"top_k": -1, "min_p": 0.0, "repetition_penalty": 1.0, TOKENS: True}
        return [vllm, {"generation_config": json.dumps(transformers)}, {}]

    def _first(self, decoding: dict, dialects: list[dict], prompt: Text, seed: int):
        """The first dialect that the server understands, and its choice for the prompt."""
        for dialect in dialects:
            try:
                return dialect, self._request(decoding, dialect, prompt, seed)
            except OpenAIError as error:
                if getattr(error, "status_code", None) not in REFUSED or dialect is dialects[-1]:
                    raise self._failure(prompt, error) from error

    def _failure(self, prompt: Text, error: OpenAIError) -> InputError:
        what = f"no response of {self.name} to the prompt {json.dumps(prompt)[:80]}, {ATTEMPTS} attempts at most"
        return InputError(f"{self.url}: {what}: {error}")

    def _request(self, decoding: dict, dialect: dict, prompt: Text, seed: int):
        """The server's first choice."""
        ids = prompt_token_ids(prompt, self.tokenizer, self.entry)
        return self.client.completions.create(
            model=self.name,
            prompt=ids if dialect.get(TOKENS) else self._text(prompt, ids),
            max_tokens=decoding["max_new_tokens"],
            temperature=decoding["temperature"] if decoding["do_sample"] else 0.0,
            top_p=decoding["top_p"] if decoding["do_sample"] else 1.0,
            seed=seed,
            extra_body=dialect,
        ).choices[0]

    def _text(self, prompt: Text, ids: list[int]) -> str:
        """The text that the server's tokenizer, which is the policy's, makes the ids of."""
        text = prompt_text(prompt, self.tokenizer, self.entry)
        if self.tokenizer.chat_template is not None and self.tokenizer(text)["input_ids"] != ids:
            text = text.removeprefix(self.tokenizer.bos_token or "")  # of a tokenizer that puts it before any text
        if self.tokenizer(text)["input_ids"] != ids:
            raise InputError(f"{self.name}: its prompts are not the tokens of any text; use the backend transformers")
        return text

    def _ids(self, choice, eos_token_ids: list[int]) -> list[int]:
        if ids := getattr(choice, "token_ids", None):
            return list(ids)
        ids = self.tokenizer(choice.text, add_special_tokens=False)["input_ids"]
        ended = choice.finish_reason == "stop" or not ids
        return ids + ([self.tokenizer.eos_token_id] if ended and ids[-1:] != [self.tokenizer.eos_token_id] else [])

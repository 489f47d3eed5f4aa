"""An OpenAI-compatible server of the tests: real sockets, replies and faults as a test asks for them."""

import asyncio
import hashlib
import json
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

MODEL = "judge-1"
MATERIAL = r"\[begin {name} (\w+)\]\n(.*?)\n\[end {name} \1\]"


@dataclass
class Call:
    """A request as it came, and what it was answered with."""

    path: str
    headers: dict[str, str]
    data: bytes
    at: float
    answer: "Answer | None" = None

    @property
    def body(self) -> dict:
        return json.loads(self.data)

    @property
    def text(self) -> str:
        """What the judge is asked."""
        return self.body["messages"][0]["content"]

    @property
    def name(self) -> str:
        """The idempotency key: request key and attempt."""
        return self.headers.get("idempotency-key", "")


@dataclass
class Answer:
    """What a call gets: a body with a status after a delay, or a connection that is dropped."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False
    fault: str = ""


def material(text: str, name: str) -> str:
    """A part of what a judge is shown: "request", "answer", "answer A", "answer B"."""
    return re.search(MATERIAL.format(name=name), text, re.DOTALL)[2]


def completion(content: str | None, model: str = MODEL, finish: str = "stop", **message) -> Answer:
    """A chat completion."""
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    choice = {
        "index": 0,
        "finish_reason": finish,
        "message": {"role": "assistant", "content": content, **message},
    }
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage}
    return Answer(json.dumps(body).encode())


def error(status: int, message: str = "no", code: str | None = None, **headers) -> Answer:
    body = {"error": {"message": message, "type": "error", "code": code}}
    return Answer(json.dumps(body).encode(), status, {k.replace("_", "-"): str(v) for k, v in headers.items()})


def grade(text: str) -> int:
    """A score from 1 to 10 that depends on the text alone."""
    return hashlib.sha256(text.encode()).digest()[0] % 10 + 1


def verdict(call: Call) -> Answer:
    """A judge that grades the answers by `grade`, in the form that it is asked for."""
    names = {"score_a": "answer A", "score_b": "answer B"} if "[begin answer A " in call.text else {"score": "answer"}
    scores = {key: grade(material(call.text, name)) for key, name in names.items()}
    if "response_format" in call.body:
        return completion(json.dumps({"reasons": "Both say something.", **scores}))
    line = "SCORE: {score}" if "score" in scores else "SCORES: A={score_a} B={score_b}"
    return completion("Both say something.\n" + line.format(**scores))


def said(status: int, content: dict | list | str, **headers) -> Answer:
    """An answer in an endpoint's own form: JSON, or text as it is."""
    body = content if isinstance(content, str) else json.dumps(content)
    return Answer(body.encode(), status, {k.replace("_", "-"): str(v) for k, v in headers.items()})


def openai_error(status: int, message: str, code=None, param=None, kind="invalid_request_error", **headers) -> Answer:
    content = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return said(status, content, **headers)


PAGE = "<html><head><title>{}</title></head><body><h1>{}</h1><p>nginx api key</p></body></html>"
# What endpoints of many makes say instead of a reply, and what is to follow: "again" (waited out), "ends" (the job, at
# once), "refused" and "failed" (this verdict alone), "plain" (asked without the JSON schema).
MANNERS: dict[str, tuple[str, Answer]] = {
    "OpenAI: quota": ("ends", openai_error(429, "You exceeded your current quota, please check your plan and billing "
        "details.", "insufficient_quota", kind="insufficient_quota")),
    "OpenAI: key": ("ends", openai_error(401, "Incorrect API key provided: sk-x.", "invalid_api_key")),
    "OpenAI: country": ("ends", openai_error(403, "Country, region, or territory not supported",
        "unsupported_country_region_territory", kind="request_forbidden")),
    "OpenAI: model": ("ends", openai_error(404, "The model `gpt-9` does not exist or you do not have access to it.",
        "model_not_found")),
    "OpenAI: completions model": ("ends", openai_error(404, "This is not a chat model and thus not supported in the "
        "v1/chat/completions endpoint. Did you mean to use v1/completions?", param="model")),
    "OpenAI: max_tokens": ("ends", openai_error(400, "Unsupported parameter: 'max_tokens' is not supported with this "
        "model. Use 'max_completion_tokens' instead.", "unsupported_parameter", "max_tokens")),
    "OpenAI: too many tokens wanted": ("ends", openai_error(400, "max_tokens is too large: 99999. This model supports "
        "at most 16384 completion tokens, whereas you provided 99999.", "invalid_value", "max_tokens")),
    "OpenAI: temperature": ("ends", openai_error(400, "Unsupported value: 'temperature' does not support 0 with this "
        "model. Only the default (1) value is supported.", "unsupported_value", "temperature")),
    "OpenAI: effort": ("ends", openai_error(400, "Unrecognized request argument supplied: reasoning_effort")),
    "OpenAI: schema": ("plain", openai_error(400, "Invalid parameter: 'response_format' of type 'json_schema' is not "
        "supported with this model.", param="response_format")),
    "OpenAI: context": ("failed", openai_error(400, "This model's maximum context length is 4096 tokens. However, your "
        "messages resulted in 9000 tokens. Please reduce the length of the messages.", "context_length_exceeded",
        "messages")),
    "OpenAI: prompt": ("refused", openai_error(400, "Invalid prompt: your prompt was flagged as potentially violating "
        "our usage policy.", "invalid_prompt")),
    "OpenAI: request above the rate": ("failed", openai_error(429, "Request too large for gpt-4o in organization org-x "
        "on tokens per min (TPM): Limit 30000, Requested 90000. The input or output tokens must be reduced in order to "
        "run successfully.", "rate_limit_exceeded", kind="tokens")),
    "OpenAI: rate": ("again", openai_error(429, "Rate limit reached for gpt-4o in organization org-x on tokens per min "
        "(TPM): Limit 30000, Used 29900, Requested 500. Please try again in 6ms. Visit "
        "https://platform.openai.com/account/rate-limits to learn more.", "rate_limit_exceeded", kind="tokens")),
    "OpenAI: server": ("again", openai_error(500, "The server had an error while processing your request.",
        kind="server_error")),
    "Azure: filter": ("refused", said(400, {"error": {"message": "The response was filtered due to the prompt "
        "triggering Azure OpenAI's content management policy.", "type": None, "param": "prompt",
        "code": "content_filter", "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}})),
    "Azure: deployment": ("ends", said(404, {"error": {"code": "DeploymentNotFound", "message": "The API deployment "
        "for this resource does not exist."}})),
    "Azure: key": ("ends", said(401, {"statusCode": 401, "message": "Access denied due to invalid subscription key "
        "or wrong API endpoint."})),
    "Azure: rate": ("again", said(429, {"error": {"code": "429", "message": "Requests have exceeded the token rate "
        "limit of your current OpenAI S0 pricing tier. Please retry after 1 millisecond."}}, retry_after_ms=20)),
    "Azure: old version": ("plain", said(400, {"error": {"code": "BadRequest", "message": "response_format value as "
        "json_schema is enabled only for api versions 2024-08-01-preview and later"}})),
    "vLLM: context": ("failed", said(400, {"object": "error", "message": "This model's maximum context length is 2048 "
        "tokens. However, you requested 9000 tokens (8488 in the messages, 512 in the completion).",
        "type": "BadRequestError", "param": None, "code": 400})),
    "vLLM: no room": ("failed", said(400, {"object": "error", "message": "'max_tokens' or 'max_completion_tokens' is "
        "too large: 512. This model's maximum context length is 2048 tokens and your request has 1900 input tokens.",
        "type": "BadRequestError", "code": 400})),
    "vLLM: model": ("ends", said(404, {"error": {"message": "The model `x` does not exist.", "type": "NotFoundError",
        "param": "model", "code": 404}})),
    "vLLM: schema": ("plain", said(400, {"error": {"message": "[{'type': 'extra_forbidden', 'loc': ('body', "
        "'response_format'), 'msg': 'Extra inputs are not permitted'}]", "type": "BadRequestError", "code": 400}})),
    "Ollama: model": ("ends", said(404, {"error": {"message": "model \"x\" not found, try pulling it first",
        "type": "api_error", "param": None, "code": None}})),
    "Ollama: native": ("ends", said(404, {"error": "model 'x' not found"})),
    "llama.cpp: context": ("failed", said(400, {"error": {"code": 400, "message": "request (4390 tokens) exceeds the "
        "available context size (4096 tokens), try increasing it", "type": "exceed_context_size_error",
        "n_prompt_tokens": 4390, "n_ctx": 4096}})),
    "llama.cpp: context, as an error of the server": ("failed", said(500, {"error": {"code": 500, "message": "Context "
        "size has been exceeded.", "type": "server_error"}})),
    "llama.cpp: loading": ("again", said(503, {"error": {"message": "Loading model", "type": "unavailable_error",
        "code": 503}})),
    "TGI: context": ("failed", said(422, {"error": "Input validation error: `inputs` tokens + `max_new_tokens` must be "
        "<= 4096. Given: 9000 `inputs` tokens and 512 `max_new_tokens`", "error_type": "validation"})),
    "TGI: overloaded": ("again", said(429, {"error": "Model is overloaded", "error_type": "overloaded"})),
    "OpenRouter: credits": ("ends", said(402, {"error": {"message": "This request requires more credits, or fewer "
        "max_tokens. You requested up to 512 tokens, but can only afford 100.", "code": 402}})),
    "OpenRouter: credits, with 200": ("ends", said(200, {"error": {"message": "Insufficient credits", "code": 402}})),
    "OpenRouter: key limit": ("ends", said(403, {"error": {"message": "Key limit exceeded (monthly limit)",
        "code": 403}})),
    "OpenRouter: moderation": ("refused", said(403, {"error": {"message": "openai/gpt-4o requires moderation on "
        "OpenAI. Your input was flagged for \"violence\".", "code": 403, "metadata": {"reasons": ["violence"],
        "flagged_input": "insufficient_quota", "provider_name": "OpenAI"}}})),
    "OpenRouter: schema": ("plain", said(404, {"error": {"message": "No endpoints found that support the requested "
        "response_format", "code": 404}})),
    "OpenRouter: model": ("ends", said(400, {"error": {"message": "x/y is not a valid model ID", "code": 400}})),
    "OpenRouter: provider, with 200": ("again", said(200, {"error": {"message": "Provider returned error", "code": 429,
        "metadata": {"raw": "error code: 1015", "provider_name": "K"}}, "user_id": "u"})),
    "OpenRouter: provider, as a choice": ("again", said(200, {"id": "x", "choices": [{"index": 0, "finish_reason":
        "error", "error": {"code": 502, "message": "Upstream"}, "message": {"role": "assistant", "content": ""}}]})),
    "OpenRouter: raw": ("failed", said(400, {"error": {"message": "Provider returned error", "code": 400, "metadata":
        {"raw": "{\"error\": {\"message\": \"prompt is too long: 210000 tokens > 200000 maximum\"}}"}}})),
    "LiteLLM: budget": ("ends", openai_error(400, "Budget has been exceeded! Current cost: 10.1, Max budget: 10.0",
        "400", kind="budget_exceeded")),
    "LiteLLM: parameter": ("ends", openai_error(400, "litellm.UnsupportedParamsError: gpt-5 models don't support "
        "temperature=0.0. Only temperature=1 is supported.", "400", kind="None")),
    "LiteLLM: filter": ("refused", openai_error(400, "litellm.BadRequestError: litellm.ContentPolicyViolationError: "
        "AzureException - The response was filtered", "400", kind="None")),
    "LiteLLM: model": ("ends", openai_error(400, "/chat/completions: Invalid model name passed in model=x. Call "
        "`/v1/models` to view available models for your key.", "400", kind="invalid_request_error")),
    "DeepSeek: balance": ("ends", openai_error(402, "Insufficient Balance", "invalid_request_error",
        kind="unknown_error")),
    "DeepSeek: schema": ("plain", openai_error(400, "This response_format type is unavailable now",
        "invalid_request_error")),
    "DeepSeek: filter": ("refused", openai_error(400, "Content Exists Risk", "invalid_request_error")),
    "DashScope: filter": ("refused", openai_error(400, "<400> InternalError.Algo.DataInspectionFailed: Input text data "
        "may contain inappropriate content.", "data_inspection_failed", kind="data_inspection_failed")),
    "DashScope: arrears": ("ends", openai_error(400, "Access denied, please make sure your account is in good "
        "standing.", "Arrearage", kind="Arrearage")),
    "Zhipu: balance": ("ends", said(429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}})),
    "Gemini: key": ("ends", said(400, [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API "
        "key.", "status": "INVALID_ARGUMENT"}}])),
    "Gemini: rate": ("again", said(429, [{"error": {"code": 429, "message": "You exceeded your current quota, please "
        "check your plan and billing details.", "status": "RESOURCE_EXHAUSTED", "details": [{"@type":
        "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.01s"}]}}])),
    "Anthropic: credits": ("ends", said(400, {"type": "error", "error": {"type": "invalid_request_error", "message":
        "Your credit balance is too low to access the Anthropic API."}})),
    "Anthropic: overloaded": ("again", said(529, {"type": "error", "error": {"type": "overloaded_error", "message":
        "Overloaded"}})),
    "Anthropic: rate": ("again", said(429, {"type": "error", "error": {"type": "rate_limit_error", "message": "This "
        "request would exceed your organization's rate limit of 40,000 input tokens per minute."}})),
    "xAI: guidelines": ("refused", said(403, {"code": "The caller does not have permission", "error": "Content "
        "violates usage guidelines. Team: t, API key ID: k, Model: m, Failed check: SAFETY_CHECK_TYPE_BIO"})),
    "Groq: JSON": ("again", openai_error(400, "Failed to generate JSON. Please adjust your prompt.",
        "json_validate_failed")),
    "Mistral: model": ("ends", said(400, {"object": "error", "message": "Invalid model: x", "type": "invalid_model",
        "param": None, "code": "1500"})),
    "Fireworks: suspended": ("ends", said(412, {"error": {"message": "Account x is suspended, possibly due to reaching "
        "the monthly spending limit."}})),
    "FastAPI: parameter": ("ends", said(422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "temperature"],
        "msg": "Extra inputs are not permitted", "input": "content_filter"}]})),
    "a page: wrong address": ("ends", said(404, PAGE.format("404 Not Found", "404"), content_type="text/html")),
    "a page: gateway": ("again", said(502, PAGE.format("502 Bad Gateway", "502"), content_type="text/html")),
    "a page: login": ("again", said(200, PAGE.format("Sign in", "Sign in"), content_type="text/html")),
    "a page: too large": ("failed", said(413, PAGE.format("413 Request Entity Too Large", "413"))),
    "nothing: 204": ("again", said(204, "")),
    "nothing: 200": ("again", said(200, "")),
    "nothing: 500": ("again", said(500, "")),
    "nothing: 401": ("ends", said(401, "")),
    "something else": ("again", said(200, [1, 2])),
    "something else: null": ("again", said(200, "null")),
    "something else: no choice": ("again", said(200, {"id": "c", "object": "chat.completion", "choices": []})),
}  # fmt: skip

FAULTS = ("429", "500", "timeout", "dropped", "malformed", "empty", "oversized")


def faulty(share: float, seed: int = 0, behave: Callable[[Call], Answer] = verdict, slow: float = 3.0):
    """A judge that fails with every fault, each as often as the others, in that share of its calls altogether."""
    draw = random.Random(seed)

    def answer(call: Call) -> Answer:
        if draw.random() >= share:
            return behave(call)
        fault = draw.choice(FAULTS)
        made = {
            "429": lambda: error(429, "slow down", retry_after=0.05),
            "500": lambda: error(500),
            "timeout": lambda: Answer(delay=slow, drop=True),
            "dropped": lambda: Answer(drop=True),
            "malformed": lambda: Answer(b'{"id": "c", "choices": [{"mess'),
            "empty": lambda: completion(""),
            "oversized": lambda: completion("a" * 1_200_000),
        }[fault]()
        made.fault = fault
        return made

    return answer


class Endpoint:
    """The server, in a thread of its own. Use it as a context.

    Args:
        behave: what a call gets; calls of the Batch API and others by path, too.
        idempotent: whether a call with the name of one that was answered with 200 gets the same answer again.
    """

    def __init__(self, behave: Callable[[Call], Answer] = verdict, idempotent: bool = False, port: int = 0):
        self.behave, self.idempotent, self.port = behave, idempotent, port
        self.calls: list[Call] = []
        self.answered: dict[str, Answer] = {}
        self.replayed = 0

    def __enter__(self) -> "Endpoint":
        started = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._serve(started)), daemon=True)
        self.thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_) -> None:
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def most_in(self, seconds: float) -> int:
        """The most calls in any window of so many seconds."""
        times, most, start = [call.at for call in self.calls], 0, 0
        for end, at in enumerate(times):
            while at - times[start] >= seconds:
                start += 1
            most = max(most, end - start + 1)
        return most

    async def _serve(self, started: threading.Event) -> None:
        self.loop, self.ended = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, backlog=1000)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self.ended.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        data = await reader.readexactly(int(headers.get("content-length", 0)))
        call = Call(" ".join(first.split()[:2]), headers, data, time.monotonic())
        self.calls.append(call)
        if self.idempotent and call.name in self.answered:
            call.answer = self.answered[call.name]
            self.replayed += 1
        else:
            call.answer = self.behave(call)
        answer = call.answer
        if answer.delay:
            await asyncio.sleep(answer.delay)
        if answer.drop:
            return False
        if answer.status == 200 and call.name:
            self.answered.setdefault(call.name, answer)
        extra = {"content-type": "application/json", "content-length": len(answer.body), **answer.headers}
        told = "".join(f"{name}: {value}\r\n" for name, value in extra.items())
        writer.write(f"HTTP/1.1 {answer.status} X\r\n{told}\r\n".encode() + answer.body)
        await writer.drain()
        return True

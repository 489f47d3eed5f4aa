"""What judges of kind openai are called and which keys they take."""

from pipeline.config.fields import MAX_FAILED_SHARE, NAME, choice, flag, mapping, number, or_null, several, text, whole

ORDER = 3
SENTENCE = (
    "A language model behind an OpenAI-compatible endpoint that reads prompt.txt, in the same folder, with the prompt "
    "and the answers filled in."
)
ADDRESS = text("An address.", minLength=1)
# How such a judge is reached and what it may take. It changes no verdict, so a change of it makes none stale.
SERVICE = {
    "base_url": {
        "description": "Address of an OpenAI-compatible endpoint, or several that share the requests; OpenAI's own (or "
        "that of the environment variable OPENAI_BASE_URL) when absent.",
        "anyOf": [{"type": ["string", "null"], "minLength": 1}, several("Addresses.", ADDRESS)],
        "default": None,
        "examples": ["http://localhost:8000/v1"],
    },
    "api_version": or_null(
        text(
            "Azure: version of its API; base_url is then the resource's address, model the deployment's name, "
            "returned_models its model.",
            examples=["2024-10-21"],
        )
    ),
    "api_key_env": text(
        "Environment variable that holds the API key, which is written nowhere; a base_url of your own may do without.",
        pattern="^[A-Za-z_][A-Za-z0-9_]*$",
        default="OPENAI_API_KEY",
    ),
}
REPLIES = {
    "returned_models": or_null(
        several(
            "Model ids that the endpoint may return, also with a date after '-' or a tag after '@' or ':' "
            "(gpt-4o-2024-08-06 is a gpt-4o, gpt-4o-mini is not); just model when null. A reply of another model "
            "counts as failed, until its id is added here.",
            text("A model id.", minLength=1),
            uniqueItems=False,
            examples=[["gpt-4o"]],
        )
    ),
    "mode": choice(
        "Show the judge two answers at once, or grade each alone.", ("pairwise", "single"), default="pairwise"
    ),
    "orders": choice(
        "Pairwise: ask in both orders, or in one drawn by seed and prompt.", ("both", "one"), default="both"
    ),
    "seed": whole("Of the order that is drawn.", minimum=0, default=0),
    "scale": {
        "description": "Lowest and highest score.",
        "type": "array",
        "items": number("A score.", minimum=-1e6, maximum=1e6),
        **{"minItems": 2, "maxItems": 2, "default": [1, 10]},
    },
    "parts": several(
        "What the judge is asked for besides: which answer is better (A, B or tie) in each of these parts, or of a "
        "single answer a score for each. A part that a reply lacks is missing; the verdict counts all the same.",
        text("Name of a part, which prompt.txt explains.", pattern=NAME),
        examples=[["correctness", "tone"]],
    ),
    "structured": choice(
        "The form of replies: json_schema, an object that the endpoint holds to a schema; none, text that ends with a "
        "verdict line; auto, the first where the endpoint takes it.",
        ("auto", "json_schema", "none"),
        default="auto",
    ),
    "temperature": or_null(
        number("Sampling temperature of the judge; null sends none, for models that take none.", minimum=0, default=0)
    ),
    "max_tokens": whole("Most tokens of a reply.", default=512),
    "token_limit": choice(
        "Name under which max_tokens is sent; OpenAI's reasoning models want max_completion_tokens.",
        ("max_tokens", "max_completion_tokens"),
        default="max_tokens",
    ),
    "reasoning_effort": or_null(
        text(
            "How long a reasoning model may think, as its endpoint names it; null sends none.",
            minLength=1,
            examples=["low"],
        )
    ),
    "max_retries": whole(
        "Most times that a request is sent again, whether it failed or its reply could not be read.",
        minimum=0,
        default=5,
    ),
}
LIMITS = {
    "max_failed_share": MAX_FAILED_SHARE,
    "concurrency": whole("Most requests under way at a time.", default=16),
    "requests_per_minute": or_null(
        number("Most requests in any 60 seconds, all endpoints together; null for no limit.", exclusiveMinimum=0)
    ),
    "tokens_per_minute": or_null(
        number(
            "Most tokens in any 60 seconds, the longest possible replies included, all endpoints together; null for no "
            "limit.",
            exclusiveMinimum=0,
        )
    ),
    "timeout_seconds": number("Longest time for a reply.", exclusiveMinimum=0, default=120),
    "backoff_seconds": number(
        "Longest wait before a failed request is sent again the first time; it doubles with each time, up to 60.",
        minimum=0,
        default=1,
    ),
    "prices": or_null(
        mapping(
            "US dollars per million tokens; null where nothing is paid.",
            {
                "input": number("Of requests.", minimum=0, examples=[2.5]),
                "output": number("Of replies.", minimum=0, examples=[10]),
                "batch_discount": number("Share by which the Batch API is cheaper.", minimum=0, maximum=1, default=0.5),
            },
            required=("input", "output"),
        )
    ),
    "budget_usd": or_null(
        number(
            "Most US dollars that this judge may take, all that is in its store included, and it needs prices; null "
            "for no limit.",
            minimum=0,
        )
    ),
    "batch": flag("Ask through OpenAI's Batch API: cheaper, within a day."),
    "batch_size": whole("Most requests of a batch.", maximum=50000, default=50000),
    "batch_poll_seconds": number("Time between two looks at a batch.", exclusiveMinimum=0, default=60),
}
MODEL = {"model": text("Name of the model at the endpoint.", minLength=1, examples=["gpt-4o"])}
KEYS, REQUIRED = {**MODEL, **SERVICE, **REPLIES, **LIMITS}, ("model",)

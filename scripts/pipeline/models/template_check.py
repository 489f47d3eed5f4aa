"""A chat template, seen once before anything is made with it: it ends, and has place for question and answer."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.jobs.io import InputError
from pipeline.models.manners import ANSWER, QUESTION, rendered
from pipeline.models.reading import reason
from pipeline.models.templates import whole_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SECONDS = 10.0  # for a few texts of one line
OTHERS = {"user": "What else is it?", "assistant": "Another answer."}


def check_template(tokenizer: PreTrainedTokenizerBase, entry: dict, name: str = "the model") -> None:
    """See that a model's chat template, where it has one, writes a question with its answer.

    Args:
        entry: the model entry, for the template's variables.
        name: of the model, where its entry has no path.

    Raises:
        InputError: it refuses them, writes nothing, leaves one of them out or does not end within SECONDS; or see
            `pipeline.models.templates.whole_text`.
    """
    check_rendering(tokenizer, entry, name)
    if tokenizer.chat_template is not None:
        with _guarded(entry.get("path", name)):
            whole_text(QUESTION, ANSWER, tokenizer, entry)


def check_rendering(tokenizer: PreTrainedTokenizerBase, entry: dict, name: str = "the model") -> None:
    """The part of `check_template` that holds for reward models too, which do not answer."""
    name = entry.get("path", name)
    if tokenizer.chat_template is None:
        return
    turns = {"user": QUESTION, "assistant": ANSWER}
    with _guarded(name):
        texts = {role: _text(turns | {role: other}, tokenizer, entry) for role, other in OTHERS.items()}
        text = _text(turns, tokenizer, entry)
    if not text.strip():
        raise InputError(f"{name}: its chat template is empty or writes nothing; remove it, or give a whole one")
    for role, other in texts.items():
        if text == other:
            raise InputError(
                f"{name}: its chat template leaves out the text of the {role}, so that different texts are the same "
                "to the model; it must write each message's content"
            )


def _text(turns: dict[str, str], tokenizer: PreTrainedTokenizerBase, entry: dict) -> str:
    return rendered([{"role": role, "content": text} for role, text in turns.items()], tokenizer, entry)


@contextlib.contextmanager
def _guarded(name: str) -> Iterator[None]:
    """Make one line of what a template raises, and end one that does not; the latter in the main thread alone."""

    def end(*_):
        raise TimeoutError

    main = threading.current_thread() is threading.main_thread()
    if main:
        before = signal.signal(signal.SIGALRM, end)
        waiting = signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    except TimeoutError as error:
        raise InputError(f"{name}: its chat template does not end within {SECONDS:g} seconds") from error
    except InputError:
        raise
    except Exception as error:  # of whatever kind the template's own expressions raise
        raise InputError(f"{name}: its chat template refuses a question with its answer ({reason(error)})") from error
    finally:
        if main:
            signal.setitimer(signal.ITIMER_REAL, *waiting)
            signal.signal(signal.SIGALRM, before)

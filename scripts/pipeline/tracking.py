"""Records for Weights & Biases: online where there is a key and the server answers, else files to be sent later.

Nothing here waits for a network for long: the server has `SECONDS` to answer before a run starts, and `LAST_SECONDS` at
its end to take what is left; what it has not taken stays in the run's folder, for `wandb sync`.
"""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

OFF = "none"  # in place of a project's name
SECONDS = 3.0
LAST_SECONDS = 20.0


def tracking_mode() -> str:
    """How runs are recorded: "disabled" or "offline" where WANDB_MODE says so, "online" with a key, else "offline"."""
    wanted = os.environ.get("WANDB_MODE", "")
    if wanted in ("disabled", "offline", "dryrun"):
        return "offline" if wanted == "dryrun" else wanted
    if not os.environ.get("WANDB_API_KEY"):
        return "offline"
    server = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    if answers(server):
        return "online"
    print(f"{server} does not answer: the run is recorded in files, to be sent with `wandb sync`", flush=True)
    return "offline"


def answers(server: str, seconds: float = SECONDS) -> bool:
    """Whether a server answers a request within so many seconds, whatever it says."""
    found = []

    def ask() -> None:
        try:
            urllib.request.urlopen(server, timeout=seconds).close()
        except urllib.error.HTTPError:
            found.append(True)
        except (OSError, ValueError):
            return
        found.append(True)

    # in a thread, as looking up a name has no limit of its own
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(found)


def start_run(project: str, name: str, group: str, job_type: str, config: dict):
    """A run of Weights & Biases, for a `with` block or to be finished; its files are in wandb/, below WANDB_DIR if set.

    Args:
        project: its name; WANDB_PROJECT comes first.
        name, group, job_type: of the run.
        config: what was run.

    Returns:
        The `wandb.Run`.
    """
    import wandb

    def start(mode: str):
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT") or project,
            name=name,
            group=group,
            job_type=job_type,
            config=config,
            dir=os.path.abspath(os.environ.get("WANDB_DIR", ".")),
            mode=mode,
            reinit="create_new",
            # nothing of the machine, the code or the environment: the provenance records have what matters
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                disable_code=True,
                x_disable_meta=True,
                x_save_requirements=False,
                init_timeout=3 * SECONDS,
                finish_timeout=LAST_SECONDS,
            ),
        )

    mode = tracking_mode()
    try:
        return start(mode)
    except (wandb.errors.Error, TimeoutError) as error:
        if mode != "online":
            raise
        reason = " ".join(str(error).split())
        print(f"Weights & Biases cannot be used online, the run is recorded in files: {reason}", flush=True)
        return start("offline")


def log_winrates(run, table: pd.DataFrame) -> None:
    """Put the win-rate table into a run: as a table, and each rate with its interval into the summary.

    Args:
        run: a `wandb.Run`.
        table: as `pipeline.results.tables.read_set_rates` gives it; what is of a set of prompts has its name before the
            run's in the summary.
    """
    import wandb

    columns = table.astype(object).where(table.notna(), None)
    run.log({"win rates": wandb.Table(columns=list(table.columns), data=columns.to_numpy().tolist())})
    several, split = table["decoding"].nunique() > 1, table["set"].iloc[0] if "set" in table else None
    for row in table.to_dict("records"):
        names = ("dataset", "model", *(("decoding",) if several else ()), "run", "baseline")
        names = names if row.get("set") == split else (*names[:-2], "set", *names[-2:])
        place = "/".join(row[key] for key in names)
        for name in ("win_rate", "win_rate_low", "win_rate_high"):
            run.summary[f"{place}/{name}"] = row[name]


def record(run, project: str) -> dict:
    """What is known of a run, for a record: its project, id, mode, and folder."""
    folder = Path(run.dir).parent
    return {"project": project, "id": run.id, "offline": bool(run.offline), "folder": os.path.relpath(folder)}

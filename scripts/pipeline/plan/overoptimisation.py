"""Which files kept checkpoints, and what is measured on them, are; none where a config keeps none."""

from pipeline.config.settings import Settings


def kept_checkpoints(settings: Settings) -> list[str]:
    """What a policy's training keeps of its checkpoints: their folder, and the file by which they are known."""
    kept = settings.config["evaluate_checkpoints"]
    place = f"results/policies/{{dataset}}/{{model}}/{{run}}/seed{{seed}}/checkpoints{kept}"
    return [place, f"{place}.json"] if kept else []


def overoptimisation_table(settings: Settings) -> list[str]:
    """The rewards of checkpoints against KL."""
    return ["results/overoptimisation.csv"] if settings.config["evaluate_checkpoints"] else []

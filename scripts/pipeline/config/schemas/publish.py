"""The section `publish` of a config."""

from pipeline.config.fields import choice, flag, section, several, text, whole

KINDS = ("dataset", "sft", "policy", "reward_model", "report")
KIND = choice("A kind.", KINDS)


def _name(description: str, default: str) -> dict:
    return text(description, pattern="^[A-Za-z0-9_.{}][A-Za-z0-9_.{}-]*$", default=default)


NAMES = {
    "dataset": _name("Of a dataset's prepared and scored splits.", "{dataset}"),
    "sft": _name("Of an SFT model.", "{dataset}-{model}-sft"),
    "policy": _name("Of a policy.", "{dataset}-{model}-{run}-seed{seed}"),
    "reward_model": _name("Of a reward model that the workflow trains.", "{dataset}-{reward_model}-reward"),
    "report": _name("Of the report's Space.", "report"),
}
PUBLISH = section(
    "What `snakemake publish` pushes to the Hugging Face Hub, and under which names.",
    {
        "namespace": text(
            "User or organization that the repositories belong to; the user of HF_TOKEN where it is left out.",
            pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$",
            examples=["my-team"],
        ),
        "prefix": text(
            "Beginning of every repository's name; the config's tag and a hyphen where it is left out.",
            pattern="^([A-Za-z0-9_.][A-Za-z0-9_.-]*)?$",
            examples=["sail-"],
        ),
        "private": flag(
            "Whether the repositories are private; one that is otherwise on the hub is left alone with an error.", True
        ),
        "public": several("Kinds that are public although private is true.", KIND, minItems=0, default=[]),
        "kinds": several("What is published.", KIND, default=list(KINDS)),
        "runs": several(
            "Names of the runs whose policies are published; all where it is left out.",
            text("A run's name."),
            examples=[["dpo", "dpr-beta0.1"]],
        ),
        "seeds": several(
            "Seeds whose policies are published; all where it is left out.", whole("A seed.", minimum=0), examples=[[1]]
        ),
        "license": text(
            "License of all of it, by its identifier on the hub; none is named where it is left out.",
            pattern="^[a-z0-9][a-z0-9.-]*$",
            examples=["apache-2.0"],
        ),
        "names": section("Names of the repositories after the prefix, by kind, with places to fill in.", NAMES),
    },
)

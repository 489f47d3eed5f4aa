"""After a change, just the jobs whose results it changes are to run. Everything here is a dry run."""

import pytest
import yaml

from workflow.snakemake_copy import Job

PLACE = ("small", "tiny")
BASELINE = "dpo-beta0.1"
DDP, DPP, DPR = "ddp-beta0.1-r0.4-rho0.2", "dpp-beta0.1-p0.3-pi0.2", "dpr-beta0.1-g0.3-gamma0.3"
MIX = "mix-r0.2-p0.2-g0.2"
TRAINED = [BASELINE, DDP, DPP, DPR, MIX]
REWARDED = [DPR, MIX]  # their rows are labelled by the reward model

MEASURED = {Job("measure_judge", ("small", "gold", "eval"))}
REPORT = {Job("render_report", ()), Job("all", ())}
# What the judges' quality is said in, and what is made from that.
RATES = {Job("compute_winrate", ()), Job("compare_costs", ()), Job("plot_figures", ()), *REPORT}
TABLES = {Job("compute_cost", ()), Job("compare_scores", ()), *RATES}
CALIBRATION = {Job("measure_calibration", ("small", "tiny", split)) for split in ("train", "eval")}


def written(*names):
    """Specs, by the names of their files."""
    return {Job("write_spec", (name,)) for name in names}


CONFIG = written("config")  # which the report shows
NEW_TABLE = written("runs") | CONFIG | TABLES


def trained(runs, seed="1"):
    return {Job("train_policy", (*PLACE, run, seed)) for run in runs}


def scored(runs):
    """Scores of runs: a job for all the seeds of one."""
    return {Job("score_responses", (*PLACE, run, "eval")) for run in runs}


def judged(runs, seed="1", baseline=BASELINE):
    opponents = [(run, name) for run in runs for name in ("chosen", baseline) if run != name]
    return {Job("judge_responses", (*PLACE, run, seed, "eval", name)) for run, name in opponents}


def answered(runs, seed="1", baseline=BASELINE):
    """Responses of runs and what follows for themselves."""
    generated = {Job("generate_responses", (*PLACE, run, seed, "eval")) for run in runs}
    return generated | scored(runs) | judged(runs, seed, baseline)


def specs(runs):
    return written(*(f"policy/small/tiny/{run}" for run in runs))


def set_task(method, **values):
    """A change of the config: other values in the task of that method."""

    def change(config):
        [task] = [task for task in config["tasks"] if task["method"] == method]
        task.update(values)

    return change


def test_another_beta_is_another_run(copied):
    copied.configure(set_task("dpp", beta=[0.2]))
    new = ["dpp-beta0.2-p0.3-pi0.2"]
    assert copied.plan() == specs(new) | trained(new) | answered(new) | NEW_TABLE


def test_another_value_in_a_sweep_is_a_run_more(copied):
    copied.configure(set_task("ddp", beta=[0.1, 0.5]))
    new = ["ddp-beta0.5-r0.4-rho0.2"]
    assert copied.plan() == specs(new) | trained(new) | answered(new) | NEW_TABLE


def test_another_baseline_run_is_judged_against(copied):
    copied.configure(set_task("dpo", beta=[0.2]))
    new = "dpo-beta0.2"
    others = {Job("judge_responses", (*PLACE, run, "1", "eval", new)) for run in ["sft", *TRAINED] if run != BASELINE}
    assert copied.plan() == specs([new]) | trained([new]) | answered([new], baseline=new) | others | NEW_TABLE


def test_a_seed_more(copied):
    copied.configure(lambda config: config.update(seeds=[1, 2]))
    assert copied.plan() == trained(TRAINED, "2") | answered(["sft", *TRAINED], "2") | NEW_TABLE


def test_a_task_more(copied):
    copied.configure(
        lambda config: config["tasks"].append({"method": "dpr", "beta": [0.1], "g": [0.3], "gamma": [0.0]})
    )
    new = ["dpr-beta0.1-g0.3-gamma0"]
    assert copied.plan() == specs(new) | trained(new) | answered(new) | NEW_TABLE


def test_a_task_less(copied):
    copied.configure(lambda config: config["tasks"].pop())
    assert copied.plan() == NEW_TABLE


def test_a_decoding_more_leaves_all_responses_as_they_are(copied):
    """Answers under it, and what follows for them; nothing of the policies is measured again."""
    copied.configure(lambda config: config.update(decoding=["short", "greedy"]))
    runs = ["sft", *TRAINED]
    decoded = {Job("decode_responses", (*PLACE, run, "1", "greedy", "eval")) for run in runs}
    decoded |= {Job("score_responses", (*PLACE, run, "/greedy", "eval")) for run in runs}
    opponents = [(run, name) for run in runs for name in ("chosen", BASELINE) if run != name]
    decoded |= {Job("judge_responses", (*PLACE, run, "1", "/greedy", "eval", name)) for run, name in opponents}
    assert copied.plan() == written("generation/tiny/greedy") | decoded | NEW_TABLE


def test_another_order_of_tasks_is_another_table(copied):
    copied.configure(lambda config: config["tasks"].reverse())
    assert copied.plan() == NEW_TABLE


def test_a_hyperparameter_that_one_method_takes(copied):
    """The run keeps its name; its spec tells the difference."""
    copied.configure(lambda config: config["policy"].update(rollout_top_p=0.9))
    runs = [DPP, DPR, MIX]
    assert copied.plan() == specs(runs) | trained(runs) | answered(runs) | NEW_TABLE


def test_a_hyperparameter_of_the_reward_model(copied):
    def change(config):
        config["definitions"]["reward_models"]["tiny"]["train"]["learning_rate"] = 0.002

    copied.configure(change)
    reward_model = written("reward/tiny") | {Job("train_reward", ("small", "tiny"))}
    splits = {Job("score_bt", ("small", "tiny", split)) for split in ("train", "eval")}
    others = scored(["sft", *TRAINED])
    # what DPR and the mix answer is new, the answers of the others are only scored again
    stale = reward_model | splits | CALIBRATION | trained(REWARDED) | answered(REWARDED) | others | CONFIG | TABLES
    assert copied.plan() == stale


def test_a_hyperparameter_of_sft_comes_before_all_but_the_data(copied):
    copied.configure(lambda config: config["sft"].update(learning_rate=0.004))
    start = {
        *(*written("sft/small/tiny"), Job("train_sft", PLACE), Job("train_reward", PLACE)),
        *(Job("compute_reference", (*PLACE, split)) for split in ("train", "eval")),
        *(Job("score_bt", (*PLACE, split)) for split in ("train", "eval")),
    }
    assert copied.plan() == start | CALIBRATION | trained(TRAINED) | answered(["sft", *TRAINED]) | CONFIG | TABLES


def test_entries_that_nothing_here_is_made_from(copied):
    """Of other datasets and models; of any device."""
    for file, entry, values in (
        ("datasets", "U10", {"limit": 5000}),
        ("datasets", "world", {"size": 2000}),
        ("models", "W1M", {"vocab_size": 400}),
        ("reward_models", "eurus", {"path": "elsewhere/Eurus-RM-7b"}),
        ("devices", "cpu", {"precision": "auto"}),
    ):
        copied.configure(
            lambda entries, entry=entry, values=values: entries[entry].update(values), f"config/{file}.yaml"
        )
    assert copied.plan() == set()


def test_comments_docstrings_and_line_breaks_of_code(copied):
    path = copied.folder / "scripts/sail/objective.py"
    docstring, rest = path.read_text(encoding="utf-8").split('"""', 2)[1:]
    path.write_text(f'"""Other words: {docstring}"""\n\n# A comment.\n{rest}\n\n\n# Another.\n', encoding="utf-8")
    copied.edit(
        "scripts/train_sft.py",
        "def main(argv: list[str] | None = None) -> None:\n",
        "def main(\n    argv: list[str] | None = None,\n) -> None:\n    # A comment.\n",
    )
    assert copied.plan() == set()


def add_code(workflow, module):
    path = workflow.folder / "scripts" / module
    path.write_text(path.read_text(encoding="utf-8") + "\n\nADDED = 1\n", encoding="utf-8")


ONLINE = [DDP, DPP, DPR, MIX]


@pytest.mark.parametrize("module", ["sail/objective.py", "sail/trainer.py", "pipeline/training/sail.py"])
def test_code_of_the_objective_and_its_trainer_trains_the_online_policies_again(copied, module):
    """DPO's trainer is TRL's own; the SFT model's answers stay too."""
    add_code(copied, module)
    assert copied.plan() == trained(ONLINE) | answered(ONLINE) | TABLES


def test_code_that_all_policies_are_trained_by(copied):
    add_code(copied, "pipeline/training/policy.py")
    against = {Job("judge_responses", (*PLACE, "sft", "1", "eval", BASELINE))}
    assert copied.plan() == trained(TRAINED) | answered(TRAINED) | against | TABLES


def test_code_of_one_methods_trainer_trains_its_own_policies_again(copied):
    add_code(copied, "pipeline/methods/dpr/trainer.py")
    assert copied.plan() == trained([DPR]) | answered([DPR]) | TABLES


def test_code_of_parts_that_nothing_here_is_made_by(copied):
    for module in ("sources/pku/adapter", "judge_kinds/openai/judge", "backends/vllm/generate"):
        add_code(copied, f"pipeline/{module}.py")
    assert copied.plan() == set()


def test_texts_of_errors_and_modules_that_only_say_or_lock(copied):
    copied.edit("scripts/pipeline/jobs/io.py", "it must have {wanted}", "it needs {wanted}")
    for module in ("config/errors", "jobs/console", "jobs/ownership", "jobs/records", "training/progress"):
        add_code(copied, f"pipeline/{module}.py")
    assert copied.plan() == set()


def test_a_module_that_moves(copied):
    scripts = copied.folder / "scripts"
    (scripts / "pipeline/models/logps.py").rename(scripts / "pipeline/training/log_probabilities.py")
    for path in scripts.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        moved = text.replace("from pipeline.models.logps import", "from pipeline.training.log_probabilities import")
        path.write_text(moved, encoding="utf-8")
    assert copied.plan() == set()


def test_code_of_the_report_renders_it_again(copied):
    add_code(copied, "pipeline/report/findings.py")
    assert copied.plan() == REPORT


@pytest.mark.parametrize("file", ["report.css", "templates/page.html.jinja", "scripts/browser.js"])
def test_the_page_renders_the_report_again(copied, file):
    copied.edit(
        f"scripts/pipeline/report/{file}",
        *{
            "report.css": ("margin: 0 auto;", "margin: 1px auto;"),
            "templates/page.html.jinja": ("<title>Results:", "<title>Result:"),
            "scripts/browser.js": ("const SNIPPET = 160;", "const SNIPPET = 170;"),
        }[file],
    )
    assert copied.plan() == REPORT


def test_code_of_the_statistics_counts_again(copied):
    add_code(copied, "pipeline/metrics/bootstrap.py")
    assert copied.plan() == CALIBRATION | MEASURED | TABLES


def test_code_of_the_calibration_measures_again(copied):
    add_code(copied, "pipeline/metrics/calibration.py")
    assert copied.plan() == CALIBRATION | MEASURED | RATES


def test_another_column_of_the_verdicts_judges_again(copied):
    """It trains nothing and answers nothing: each kind of table has columns of its own."""
    add_code(copied, "pipeline/columns/verdicts.py")
    assert copied.plan() == judged(["sft", *TRAINED]) | MEASURED | TABLES


def test_another_sample_measures_the_judge_again(copied):
    copied.configure(lambda config: config.update(judge_quality={"pairs": 20}))
    assert copied.plan() == MEASURED | CONFIG | RATES
    copied.configure(lambda config: config.update(judge_quality={"pairs": 0}))
    assert copied.plan() == CONFIG | RATES


def test_code_of_the_comparison_of_scores_compares_again(copied):
    add_code(copied, "pipeline/results/score_comparison.py")
    assert copied.plan() == {Job("compare_scores", ())} | REPORT


def test_two_device_profiles_share_their_results(copied):
    profiles = {
        "one": {"config": ["device=cpu"], "set-threads": ["train_sft=1"], "resources": ["gpu=1"]},
        "two": {
            "config": ["device=a100x4"],
            "cores": 4,
            "default-resources": ["mem_mb=1000"],
            "set-resources": ["train_policy:mem_mb=2000", "train_policy:gpu=4", "generate_responses:device=a40x4"],
        },
        "none": {"cores": 1},
    }
    for name, profile in profiles.items():
        folder = copied.folder / "profiles" / name
        folder.mkdir()
        (folder / "config.yaml").write_text(yaml.safe_dump(profile), encoding="utf-8")
        assert copied.plan("--profile", f"profiles/{name}") == set(), name

"""Columns of a checkpoint's answers to benchmarks, one row for each question and metric that has one number for it."""

# `entry` is the position of the task in the config's lm_eval, `question` tells a question of a task from others by its
# number and text, `metric` is "metric,filter" as lm-eval names it.
SAMPLE_COLUMNS = ["entry", "task", "question", "metric", "value"]

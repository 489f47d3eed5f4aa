#!/usr/bin/env bash
# Run by Snakemake in the environment of lm-eval.yaml once that is made, in the folder of the workflow.
set -euo pipefail
python -m pip install --no-deps -r envs/requirements-lm-eval.txt

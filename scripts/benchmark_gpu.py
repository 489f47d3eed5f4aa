"""The same as `scripts/benchmark.py gpu`: the policies' trainings on a GPU, beside TRL's own DPOTrainer."""

from benchmarks.gpu import main
from pipeline.jobs.io import run

if __name__ == "__main__":
    run(main)

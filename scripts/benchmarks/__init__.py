"""What things take: the benchmarks of `python scripts/benchmark.py`, a module each with a `main(argv)`."""

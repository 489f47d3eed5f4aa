"""What people see of a run: a table and bars on a terminal, short lines elsewhere, the last lines of failed jobs' logs.

Snakemake tells of jobs by log records. The Snakefile puts `output.Output` in the place of the handler that prints
these, so the pipeline brings its display along, with nothing to install and nothing that a profile must name; where a
logger plugin prints, or Snakemake's own output was asked for, that stays as it is. Nothing here imports Snakemake.
"""

"""What Snakemake asks about a config: which files there are to be, and what each is made from. No job imports it."""

"""Tables from the files of all runs: win rates, costs, scores."""

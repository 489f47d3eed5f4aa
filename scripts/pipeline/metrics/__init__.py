"""Numbers from verdicts and scores: win rates with their intervals, length control, ratings, calibration."""

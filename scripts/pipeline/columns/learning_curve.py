"""What a training logged, in long form."""

CURVE_COLUMNS = ["step", "metric", "value"]

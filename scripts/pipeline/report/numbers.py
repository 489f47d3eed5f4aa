"""Numbers for readers."""

SMALLEST_P = 0.0001  # what is below it rests on the tails of a distribution that nobody has seen


def number(value: object, digits: int = 1, sign: bool = False) -> str:
    """Fixed digits, a true minus sign, a dash where there is none."""
    if not isinstance(value, int | float) or value != value:
        return "–"
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    if not text.strip("+-0."):
        text = text.strip("+-")
    return text.replace("-", "−")


def spread(name: str, estimate: dict | None, scale: float = 1) -> dict[str, float | None]:
    """A measured {value, low, high} as columns of a row: the name, `_low` and `_high`; None where it is missing."""
    ends = {"": "value", "_low": "low", "_high": "high"}
    values = {end: (estimate or {}).get(key) for end, key in ends.items()}
    return {f"{name}{end}": None if value is None else scale * value for end, value in values.items()}


def interval(row: dict, column: str, digits: int = 1) -> str:
    """The 95% interval of a column as "low to high", empty where there is none."""
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    return "" if low is None or low != low else f"{number(low, digits)} to {number(high, digits)}"


def p_value(value: object) -> str:
    """A p-value with two digits that count, of the smallest only a bound; a dash where there is none."""
    if not isinstance(value, int | float) or value != value:
        return "–"
    if value < SMALLEST_P:
        return f"< {SMALLEST_P}"
    return f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"

"""Numbers for readers."""


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


def interval(row: dict, column: str, digits: int = 1) -> str:
    """The 95% interval of a column as "low to high", empty where there is none."""
    low, high = row.get(f"{column}_low"), row.get(f"{column}_high")
    return "" if low is None or low != low else f"{number(low, digits)} to {number(high, digits)}"


def p_value(value: object) -> str:
    """A p-value with two digits that count; a dash where there is none."""
    if not isinstance(value, int | float) or value != value:
        return "–"
    return f"{value:.2f}" if value >= 0.095 else f"{value:.2g}"

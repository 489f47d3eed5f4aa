"""Data cards in the report: histograms as bars, everything else as it is."""

from itertools import pairwise

TITLES = {"response_characters": "Characters of a response", "margin": "Margin of a pair"}


def card_view(card: dict) -> dict:
    """What the page shows of a data card; a card of other keys is shown as it is.

    Returns:
        name; histograms, each with title (what is counted, in words), note (what the card says of it besides, maybe
        ""), series (their names) and bins: (range as text, count and share of the highest count in per cent for each
        series); rest, the other keys of the card.
    """
    found = card.get("histograms")
    parts = {name: _histogram(name, part) for name, part in found.items()} if isinstance(found, dict) else {}
    known = [histogram for histogram in parts.values() if histogram]
    rest = {key: value for key, value in card.items() if key != "histograms" or len(known) < max(len(parts), 1)}
    return {
        "name": card.get("dataset", "dataset"),
        "histograms": known if "histograms" not in rest else [],
        "rest": rest,
    }


def _histogram(name: str, part: object) -> dict | None:
    """A histogram of `pipeline.data.card.histogram` for the page; None for anything else."""
    if not isinstance(part, dict) or not _are_numbers(part.get("edges")):
        return None
    edges = part["edges"]
    series = {key: value for key, value in part.items() if key != "edges" and _are_numbers(value)}
    if not series or any(len(counts) != len(edges) - 1 for counts in series.values()):
        return None
    highest = max(max(counts) for counts in series.values()) or 1
    bins = [
        (f"{_short(low)} to {_short(high)}", [(counts[i], 100 * counts[i] / highest) for counts in series.values()])
        for i, (low, high) in enumerate(pairwise(edges))
    ]
    bins[0] = (f"below {_short(edges[1])}", bins[0][1])
    bins[-1] = (f"from {_short(edges[-2])}", bins[-1][1]) if len(bins) > 1 else (_short(edges[0]), bins[0][1])
    return {"title": TITLES.get(name, name), "note": str(part.get("of", "")), "series": list(series), "bins": bins}


def _are_numbers(values: object) -> bool:
    return isinstance(values, list) and bool(values) and all(isinstance(value, int | float) for value in values)


def _short(value: float) -> str:
    return f"{value:g}".replace("-", "−")

"""How large a page may be that browsers open within another one, as in Snakemake's report."""

from pathlib import Path

# Bytes. Browsers open no data address above 2 MiB, and base64 makes four bytes of three.
LARGEST_WITHIN = 1_500_000


def opens_within(page: Path) -> bool:
    """Whether browsers open this page within another one; of one that is not there, it is expected."""
    return not page.exists() or page.stat().st_size <= LARGEST_WITHIN

"""Pairs on disk while a dataset is prepared: written batch by batch, read again in another order.

Their text never is in memory as a whole, only a batch or a piece of it.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa


def write_batch(pairs: pa.Table, path: Path) -> None:
    """Write the pairs of one batch, as one record batch of an arrow file."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, pairs.schema) as writer:
        for batch in pairs.combine_chunks().to_batches():
            writer.write_batch(batch)


class PairStore:
    """The pairs of all batches, numbered from 0 in the order in which the batches were added."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.schema: pa.Schema | None = None
        self._paths: list[Path] = []
        self._starts = [0]

    def __len__(self) -> int:
        return self._starts[-1]

    def add(self, path: Path, rows: int, schema: pa.Schema) -> None:
        """Take up a batch that `write_batch` wrote."""
        self.schema = self.schema or schema
        if rows:
            self._paths.append(path)
            self._starts.append(self._starts[-1] + rows)

    def gather(self, rows: np.ndarray) -> pa.Table:
        """The pairs of those numbers, in the order of the numbers."""
        order = np.argsort(rows, kind="stable")
        bounds = np.searchsorted(rows[order], self._starts)
        parts = [self.schema.empty_table()]
        for number, (first, last) in enumerate(pairwise(bounds)):
            if first < last:
                within = rows[order[first:last]] - self._starts[number]
                # Closed again at once: mapped pages count as memory of the process.
                with pa.memory_map(str(self._paths[number])) as source:
                    parts.append(pa.ipc.open_file(source).read_all().take(pa.array(within)))
        back = np.empty(len(rows), np.int64)
        back[order] = np.arange(len(rows))
        return pa.concat_tables(parts).combine_chunks().take(pa.array(back))

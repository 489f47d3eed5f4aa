"""N-gram overlap of a set's prompts with the prompts that are trained on."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.columns.prompts import FURTHER
from pipeline.data.columns import TEXT, joined_texts
from pipeline.data.contamination import Contamination

BATCH_ROWS = 25_000


def set_contamination(prompts: Path, train: Iterable[Path]) -> dict:
    """`Contamination.summary` of a prepared set, of all turns of its prompts, against splits that are trained on."""
    found, table = Contamination(), pq.read_table(prompts, columns=["prompt", FURTHER])
    further = pc.binary_join(table[FURTHER].combine_chunks().cast(pa.list_(TEXT)), pa.scalar("\n", TEXT))
    found.add_eval(
        pc.binary_join_element_wise(joined_texts(table, "prompt"), further.cast(TEXT), pa.scalar("\n", TEXT))
    )
    for path in train:
        for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, columns=["prompt"]):
            found.see_train(joined_texts(pa.Table.from_batches([batch]), "prompt"))
    return found.summary()

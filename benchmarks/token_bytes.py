"""What the time of a token takes: on the wire, as Kafka's batches have it, in ClickHouse, and the least that anything could."""

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from infra.clickhouse import statements
from infra.embedded.engine import Engine, Statement
from infra.kafka import Outgoing
from schemas.measurements import TokensTimed
from streams.projection import ddl, row, table_of

ZSTD: Final = 4  # Kafka's number of the compression that our producer asks for (infra/kafka/producing.py)
TABLE: Final = table_of(TokensTimed)


def batch_bytes(records: Sequence[Outgoing]) -> int:
    """Bytes of the batch that a producer makes of records of one partition."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=ZSTD, is_transactional=0, producer_id=1, producer_epoch=0, base_sequence=0, batch_size=2**30
    )
    for number, one in enumerate(records):
        builder.append(number, timestamp=1_790_000_000_000 + number, key=one.key, value=one.payload, headers=[])
    return len(builder.build())


def stored_bytes(events: Sequence[TokensTimed]) -> dict[str, int]:
    """Compressed bytes of each column of the events' table, once its parts are merged."""
    with tempfile.TemporaryDirectory() as folder:
        engine, rows = Engine(Path(folder) / "clickhouse"), Path(folder) / "rows.json"
        engine.run(Statement(statements(ddl(TokensTimed))[0]))
        # As large parts are: in one file for each column.
        engine.run(Statement(f"ALTER TABLE {TABLE.name} MODIFY SETTING min_bytes_for_wide_part = 0"))
        told = (row(one, partition=0, offset=offset, written_us=one.occurred_us) for offset, one in enumerate(events))
        rows.write_text("\n".join(json.dumps(dict(zip(TABLE.columns, cells, strict=True))) for cells in told))
        engine.run(Statement(f"INSERT INTO {TABLE.name} FORMAT JSONEachRow", data=rows))
        engine.run(Statement(f"OPTIMIZE TABLE {TABLE.name} FINAL"))
        sizes = engine.run(Statement(
            f"SELECT column, sum(column_data_compressed_bytes) FROM system.parts_columns WHERE active AND table = '{TABLE.name}' "
            "GROUP BY column FORMAT TSV"
        )).body  # fmt: skip
        return {name: int(size) for name, size in (line.split("\t") for line in sizes.decode().splitlines())}


def least_bytes(gaps_ns: Sequence[int]) -> float:
    """Bytes that a gap takes at least, told to the nanosecond: the entropy of gaps that are drawn independently, by spacings of order √n.

    Source: O. Vasicek, J. R. Stat. Soc. B 38 (1976) 54-59. Whoever knows how one gap follows from another may need less.
    """
    values = np.sort(np.asarray(gaps_ns, dtype=float))
    n, m = len(values), max(1, round(math.sqrt(len(values))))
    above, below = values[np.minimum(np.arange(n) + m, n - 1)], values[np.maximum(np.arange(n) - m, 0)]
    return float(np.mean(np.log2(np.maximum(n / (2 * m) * (above - below), 1)))) / 8


def bytes_a_token(deliveries: Sequence[Sequence[Outgoing]], events: Sequence[TokensTimed]) -> dict[str, Any]:
    """Of all of `events`, as they went in `deliveries`: raw, on the wire and stored, with how a stored byte is spent."""
    tokens = sum(sum(one.arrivals[1]) for one in events)
    own = [[one for one in several if one.topic == "assay.token-timings.v1"] for several in deliveries]
    stored = stored_bytes(events)
    gaps = [gap for one in events for gap in one.gap_ns]
    return {
        "tokens": tokens, "requests": len(events), "gap_sd_us": float(np.std(gaps)) / 1e3,
        "raw": sum(len(one.payload) for several in own for one in several) / tokens,
        "wire": sum(map(batch_bytes, filter(None, own))) / tokens,
        "clickhouse": sum(stored.values()) / tokens, "clickhouse_gaps": stored["gap_ns"] / tokens,
        "least": least_bytes(gaps),
    }  # fmt: skip

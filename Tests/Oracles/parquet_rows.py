"""Writes small Parquet files with pyarrow and the rows that pyarrow reads back from them.

Run: python Tests/Oracles/parquet_rows.py    (needs pyarrow; the goldens were made with 26.0.1)
"""

import json
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq

out = pathlib.Path(__file__).parent.parent / "DatasetsTests" / "Goldens"
out.mkdir(exist_ok=True)

message = pa.struct([("role", pa.string()), ("content", pa.string())])
schema = pa.schema([
    ("id", pa.int64()), ("small", pa.int32()), ("unsigned", pa.uint32()), ("score", pa.float64()), ("half", pa.float32()),
    ("good", pa.bool_()), ("text", pa.string()), ("kind", pa.string()), ("tags", pa.list_(pa.string())),
    ("matrix", pa.list_(pa.list_(pa.int32()))), ("messages", pa.list_(message)),
    ("nested", pa.struct([("a", pa.int32()), ("b", pa.list_(pa.float64()))])), ("extra", pa.map_(pa.string(), pa.int64())),
])


def row(i):
    return {
        "id": i * 10**12 - 5, "small": None if i % 4 == 0 else -i, "unsigned": 2**32 - 1 - i, "score": i / 8,
        "half": i / 4, "good": None if i % 5 == 0 else i % 3 == 0,
        "text": None if i % 7 == 0 else "löng " * (i % 9) + str(i * 7919), "kind": ["chat", "code", "数学"][i % 3],
        "tags": None if i % 6 == 0 else ["t", None, "u%d" % i][: i % 4],
        "matrix": None if i % 5 == 1 else [[i, None], [], None, [1, 2, 3]][: i % 5],
        "messages": [{"role": "user", "content": "q%d" % i}, {"role": "assistant", "content": None if i % 8 == 0 else "a"}]
        * (i % 3),
        "nested": None if i % 3 == 0 else {"a": i, "b": None if i % 4 == 0 else [0.5] * (i % 4)},
        "extra": None if i % 4 == 3 else [("k%d" % j, j) for j in range(i % 3)],
    }


table = pa.Table.from_pylist([row(i) for i in range(60)], schema=schema)
cases = {
    "plain_v1": dict(compression="none", use_dictionary=False, data_page_version="1.0"),
    "dictionary_v1_snappy": dict(compression="snappy", data_page_version="1.0"),
    "dictionary_v2_zstd": dict(compression="zstd", data_page_version="2.0", row_group_size=25),
    "plain_v2_gzip": dict(compression="gzip", use_dictionary=False, data_page_version="2.0", row_group_size=17),
    "small_pages_snappy": dict(compression="snappy", data_page_size=64, write_batch_size=4, row_group_size=40),
}
for name, options in cases.items():
    pq.write_table(table, out / f"{name}.parquet", **options)

rows = pq.read_table(out / "plain_v1.parquet").to_pylist(maps_as_pydicts="strict")
for name in cases:
    assert pq.read_table(out / f"{name}.parquet").to_pylist(maps_as_pydicts="strict") == rows, name
with open(out / "parquet_rows.jsonl", "w") as file:
    for item in rows:
        file.write(json.dumps(item, ensure_ascii=False) + "\n")

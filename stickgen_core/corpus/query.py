"""Looking into a corpus with SQL: tables `clips`, `texts` and `ledger`; a query reads these and nothing else."""

import pyarrow as pa

from stickgen_core.corpus.store import Corpus
from stickgen_core.errors import StickgenError


def query(corpus: Corpus, sql: str) -> pa.Table:
    """The result of a DuckDB query; texts.clip is the position of the clip in id order, also found as clips.position."""
    import duckdb

    connection = duckdb.connect(config={"enable_external_access": "false"})
    try:
        positions = pa.array(range(len(corpus)), pa.int64())
        connection.register("clips", corpus.index.append_column("position", positions))
        connection.register("texts", corpus.text_table())
        connection.register("ledger", corpus.ledger())
        connection.execute("SET lock_configuration = true")
        relation = connection.sql(sql)
        if relation is None:
            raise StickgenError("query gives no rows: expected a SELECT over clips, texts, ledger")
        return relation.to_arrow_table()
    except duckdb.Error as error:
        raise StickgenError(f"query failed: {str(error).splitlines()[0]}; tables are clips, texts, ledger") from None
    finally:
        connection.close()

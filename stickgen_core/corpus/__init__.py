"""The store: immutable shards, indexes, selections, ledgers, export."""

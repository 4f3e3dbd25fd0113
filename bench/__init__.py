"""Benchmarks: `python -m bench NAME [--quick] [--json]`. Each module with a `run(quick) -> list[Measure]` is one; `all` runs every one."""

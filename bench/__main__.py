"""The one runner of all benches."""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

import bench
from bench.measure import Measure, machine
from stickgen_core.errors import StickgenError


def names() -> list[str]:
    """Modules that define `run`, told from their text so that listing them imports nothing."""
    return sorted(
        path.stem for folder in bench.__path__ for path in Path(folder).glob("*.py") if "\ndef run(" in path.read_text(encoding="utf-8")
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Stickgen.")
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"all, or some of: {', '.join(names())}")
    parser.add_argument("--quick", action="store_true", help="under a minute each; smaller sizes, so only ratios compare")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output: name -> value, unit, against, limit")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - {*names(), "all"})
    if unknown:
        parser.error(f"no bench {unknown[0]!r}; there are: {', '.join(names())}")
    wanted = names() if "all" in arguments.names else arguments.names
    talk = sys.stderr if arguments.json else sys.stdout
    print(_machine_line(), file=talk, flush=True)
    found: dict[str, Measure] = {}
    failed = []
    for name in wanted:
        start = time.perf_counter()
        try:
            measures = importlib.import_module(f"bench.{name}").run(arguments.quick)
        except StickgenError as error:
            print(f"{name}: error: {error}", file=sys.stderr)
            failed.append(name)
            continue
        print(f"\n{name}  ({time.perf_counter() - start:.0f} s{', quick' if arguments.quick else ''})", file=talk)
        for measure in measures:
            found[f"{name}.{measure.name}"] = measure
            print(_line(measure), file=talk, flush=True)
    if arguments.json:
        print(json.dumps({name: measure.to_json() for name, measure in found.items()}, indent=1, ensure_ascii=False, allow_nan=False))
    return 1 if failed else 0


def _machine_line() -> str:
    m = machine()
    packages = ", ".join(f"{name} {version}" for name, version in m["packages"].items() if name in ("torch", "numpy", "pyarrow"))
    return f"{m['processor']}, {m['cores']} cores, {m['memory_gb']} GB, {m['platform']}, Python {m['python']}, {packages}, load {m['load_1min']:.1f}"


def _line(measure: Measure) -> str:
    verdict = {True: "ok", False: "MISSED", None: ""}[measure.kept]
    limit = f"  [{measure.limit}: {verdict}]" if measure.limit else ""
    against = f"  against {measure.against}" if measure.against else ""
    return f"  {measure.name:<34} {measure.value:>12,.4g} {measure.unit}{limit}{against}"


if __name__ == "__main__":
    sys.exit(main())

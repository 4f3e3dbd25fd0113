"""`stickgen simulate`: what a corpus of another size would take, extrapolated from sizes measured here, with the term that dominates."""

import argparse
from dataclasses import asdict

from stickgen_core.errors import StickgenError
from stickgen_pipeline import growth
from stickgen_pipeline.commands.common import answer, duration, note, settings_of, size, table

SCALES = (1, 10, 100)
# Copies of the generator that are measured; more of them only repeat the same work.
MEASURED_SETS = 2


def simulate(options: argparse.Namespace) -> int:
    sizes = sorted(set(options.measure))
    if len(sizes) < 2 or sizes[0] < 50:
        raise StickgenError("--measure: expected at least two sizes of 50 clips or more, such as 200 400 800")
    settings = settings_of(options)
    sets = min(options.datasets, MEASURED_SETS)
    measured = growth.simulate(settings, sizes, sets, note)
    found = growth.laws(measured)
    checked = growth.errors(measured, max(row.clips for row in measured)) if len(sizes) > 2 else {}
    total = options.clips * options.datasets
    rows = []
    for stage, laws in found.items():
        at = laws["seconds"].at(total)
        rows.append((stage, duration(at), size(laws["memory_mb"].at(total) * 1e6), size(laws["megabytes"].at(total) * 1e6),
                     laws["seconds"].dominant(total), laws["memory_mb"].dominant(total), _checked(checked.get(stage))))  # fmt: skip
    scaled = [(f"{scale}×", f"{total * scale:,}", *_total(found, total * scale)) for scale in SCALES]
    text = (
        f"{table(('stage', 'processor time', 'memory', 'bytes', 'time grows with', 'memory grows with', 'predicted / measured (time, memory, bytes)'), rows)}\n"
        f"at {options.datasets} data sets of {options.clips:,} clips, from runs of {', '.join(str(s * sets) for s in sizes)} clips on this machine (profile {settings.profile})\n\n"
        f"{table(('scale', 'clips', 'processor time', 'memory', 'bytes', 'dominates time', 'dominates memory'), scaled)}"
    )
    values = {
        "clips": total, "measured": [asdict(row) for row in measured], "laws": {s: {q: asdict(law) for q, law in laws.items()} for s, laws in found.items()},
        "predicted_over_measured": checked, "scales": {str(s): growth.totals(found, total * s) for s in SCALES},
    }  # fmt: skip
    return answer(options, values, text)


def _total(found: dict[str, dict[str, growth.Law]], clips: float) -> tuple[str, ...]:
    sums = growth.totals(found, clips)
    slowest = max(found, key=lambda stage: found[stage]["seconds"].at(clips))
    largest = max(found, key=lambda stage: found[stage]["memory_mb"].at(clips))
    share = found[slowest]["seconds"].at(clips) / sums["seconds"]
    return (duration(sums["seconds"]), size(sums["memory_mb"] * 1e6), size(sums["megabytes"] * 1e6),
            f"{slowest} ({share:.0%}, {found[slowest]['seconds'].dominant(clips)})", f"{largest} ({found[largest]['memory_mb'].dominant(clips)})")  # fmt: skip


def _checked(ratios: dict[str, float] | None) -> str:
    return ", ".join(f"{ratios[q]:.2f}" for q in growth.QUANTITIES) if ratios else "two sizes cannot check"

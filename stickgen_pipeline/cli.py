"""The command line. Importing this module costs nothing: every command's code is imported when it is called.

A command returns its exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. With --json its answer is one JSON value on stdout;
everything meant for people goes to stderr then.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

VARIANTS, STAGES = ("small", "medium", "large"), ("pretrain", "sft", "lora")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn every foreseeable failure into one line."""
    options = parser().parse_args(arguments)
    if options.profile:
        os.environ["STICKGEN_PROFILE"] = options.profile
    try:
        return run(options)
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if options.verbose:
            raise
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 1


def run(options: argparse.Namespace) -> int:
    module, _, name = options.call.partition(":")
    command: Callable[[argparse.Namespace], int] = getattr(import_module(f"stickgen_pipeline.commands.{module}"), name)
    return command(options) or 0


def one_line(error: BaseException) -> str:
    """A foreseen failure speaks for itself; any other is named, with the way to see more."""
    from stickgen_core.errors import StickgenError

    if isinstance(error, StickgenError):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'file'}: {error.strerror or error}"
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first} (run with -v before the command for the traceback)"


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="stickgen", description="Raw motion to nine checkpoints and their reports, every number traceable.")
    root.add_argument("-v", "--verbose", action="store_true", help="tracebacks, and the orchestrator's own log")
    root.add_argument(
        "--profile", choices=("demo", "full", "test"), help="configuration and folders (default: STICKGEN_PROFILE, else demo)"
    )
    root.add_argument(
        "--config-override", "-c", action="append", default=[], metavar="SECTION.KEY=VALUE", help="change one value; may be repeated"
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_data, _graph, _corpus, _models, _results, _configuration):
        add(commands)
    return root


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, call: str, help: str, **more: object
) -> argparse.ArgumentParser:
    found = commands.add_parser(name, help=help, description=help, **more)  # type: ignore[arg-type]
    found.add_argument("--json", action="store_true", help="one JSON value on stdout")
    found.add_argument(
        "--config-override", "-c", action="append", default=argparse.SUPPRESS, metavar="SECTION.KEY=VALUE", help=argparse.SUPPRESS
    )
    found.set_defaults(call=call)
    return found


def _group(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, help: str
) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    return commands.add_parser(name, help=help, description=help).add_subparsers(dest="what", required=True, metavar="WHAT")


def _data(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    _command(commands, "doctor", "doctor:doctor", "check the environment: versions, disk, memory, data, folders")
    datasets = _command(commands, "datasets", "data:datasets", "every data set: present, partial or missing; licence; where to get it")
    what = datasets.add_subparsers(dest="what", metavar="WHAT")
    check = _command(what, "check", "data:check", "read a few recordings of one data set and say what was found")
    check.add_argument("name")
    check.add_argument("--limit", type=int, default=5, help="how many units to read")
    accept = _command(what, "accept", "data:accept", "take a raw folder as it is now, although files of the last inventory are gone")
    accept.add_argument("name")
    fetch = _command(commands, "fetch", "data:fetch", "download a data set that may be downloaded")
    fetch.add_argument("name", choices=("deepmimic",))


def _graph(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    build = _command(commands, "build", "build:build", "materialise the graph or a part of it; what is current is reused")
    build.add_argument(
        "selection",
        nargs="*",
        help="steps, groups or globs: corpus, group:small, checkpoint/*_sft, +x (with inputs), x+ (with what needs it)",
    )
    build.add_argument("--only", action="store_true", help="exactly the selection; without it missing or stale data inputs are built too")
    planned = _command(commands, "plan", "status:plan_command", "what a build would do, why, and how long it took last time")
    planned.add_argument("selection", nargs="*")
    _command(commands, "status", "status:status", "every artefact: current, or stale because of which input").add_argument(
        "selection", nargs="*"
    )

    trace = _command(commands, "trace", "lineage:trace", "from an artefact, a checkpoint or a table cell back to raw files")
    trace.add_argument("artefact", help="small_sft, corpus/merged, corpus/merged@DIGEST, release/stickgen_bench#small_sft/kid")
    trace.add_argument("-o", "--output", default=None, help="a file that ends in .svg (figure), .json or .txt")
    trace.add_argument("--files", action="store_true", help="list every raw file with its SHA-256")
    provenance = _command(
        commands, "provenance", "provenance:provenance", "a bundle that a stranger can check: records, licences, citations, no motion"
    )
    provenance.add_argument("artefact", help="small_sft, corpus/merged, release/stickgen_bench")
    provenance.add_argument("-o", "--output", required=True, help="the folder to write")
    provenance.add_argument(
        "--release", action="store_true", help="pin the artefact and all behind it: gc keeps what a released bundle names"
    )
    gc = _command(commands, "gc", "gc:gc", "what can go because nobody needs it and it can be made again, with the proof")
    which = gc.add_mutually_exclusive_group()
    which.add_argument("--plan", action="store_true", help="only say what would go (the default)")
    which.add_argument("--apply", action="store_true", help="remove it")
    gc.add_argument("--classes", nargs="*", choices=("discardable", "optional", "recommended"), default=None,
                    help="classes that may go although in place (default: pipeline.collection.classes)")  # fmt: skip
    gc.add_argument("--grace-h", type=float, default=None, help="leave things younger than this")
    gc.add_argument("--proofs", action="store_true", help="every step of every proof, absent data sets too")
    pin = _command(commands, "pin", "gc:pin", "keep an artefact and all it was made from; without one, list the pins")
    pin.add_argument("artefact", nargs="?")
    pin.add_argument("--because", default="pinned by hand")
    pin.add_argument("--remove", action="store_true")
    lineage = _group(commands, "lineage", "the record of what was made from what")
    _command(lineage, "rebuild", "lineage:rebuild", "restore the UI's history from manifests, for instance after its database was lost")


def _corpus(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    what = _group(commands, "corpus", "look into a corpus, check it, change its layout")
    where = "a step (canonical/amass, corpus/merged) or a folder"
    verify = _command(what, "verify", "corpus:verify", "recompute every digest")
    verify.add_argument("corpus", nargs="*", help=f"{where}; default: all that are there")
    show = _command(what, "show", "corpus:show", "counts, histograms and drops; with a clip, everything known of it")
    show.add_argument("corpus", help=where)
    show.add_argument("clip", nargs="?")
    query = _command(what, "query", "corpus:query", "SQL over the index (table `clips`) and the ledger (table `ledger`)")
    query.add_argument("corpus", help=where)
    query.add_argument("sql")
    diff = _command(what, "diff", "corpus:diff", "what came, went and changed between two corpora, and why")
    diff.add_argument("old", help=where)
    diff.add_argument("new", help=where)
    sample = _command(what, "sample", "corpus:sample", "a contact sheet of clips as PNG")
    sample.add_argument("corpus", help=where)
    sample.add_argument("-n", "--count", type=int, default=16)
    sample.add_argument("-o", "--output", default="sample.png")
    pack = _command(what, "pack", "corpus:pack", "copy a corpus with exactly its own rows, to carry it away")
    pack.add_argument("corpus", help=where)
    pack.add_argument("target")
    compact = _command(what, "compact", "corpus:compact", "rewrite a corpus that uses little of its shards")
    compact.add_argument("corpus", help=where)
    sweep = _command(what, "sweep", "corpus:sweep", "remove shards that no corpus points to")
    sweep.add_argument("--grace-h", type=float, default=None, help="leave shards younger than this")
    withdraw = _command(what, "withdraw", "corpus:withdraw", "take a source out of everything, for licence reasons; leaves a tombstone")
    withdraw.add_argument("source", help="a data set, such as babel")
    withdraw.add_argument("--reason", required=True, help="why; kept in the tombstone")
    reinstate = _command(what, "reinstate", "corpus:reinstate", "lift a withdrawal: the next build reads the source again")
    reinstate.add_argument("source")
    migrate = _command(what, "migrate", "corpus:migrate", "bring an old schema version up to date")
    migrate.add_argument("corpus", help=where)
    export = _command(commands, "export-pt", "corpus:export_pt", "write the documented .pt file (a list of dicts) of a corpus")
    export.add_argument("corpus", nargs="+", help=f"{where}; several make one combined file")
    export.add_argument("-o", "--output", default=None, help="default: beside the folder, or canonical.pt inside it; train_data.pt, ...")
    export.add_argument("--split", choices=("train", "val", "test"), default=None, help="only clips of this split")
    export.add_argument("--joints", action="store_true", help="also the 3D joints, so that import-pt gives the same clips back")
    importing = _command(commands, "import-pt", "corpus:import_pt", "make a corpus of a .pt file (a list of dicts with motion)")
    importing.add_argument("file")
    importing.add_argument("--source", required=True, help="name for samples that do not name their own")
    importing.add_argument("--licence", required=True, help="licence of samples that do not name their own")
    importing.add_argument("-o", "--output", default=None, help="folder; default: imported/<source> below the data root")


def _models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    train = _command(commands, "train", "models:train", "train one checkpoint, reusing or resuming what is there")
    train.add_argument("variant", nargs="?", choices=VARIANTS)
    train.add_argument("stage", nargs="?", choices=STAGES)
    train.add_argument(
        "--dry-run", action="store_true", help="hours, memory, disk and money from a measured step, of one run or of all nine; trains nothing"
    )
    train.add_argument("--clips", type=int, default=None, help="with --dry-run: as if there were so many training clips")
    train.add_argument("--clip-frames", type=float, default=None, help="with --dry-run: as if they were so long on average")
    train.add_argument(
        "--profile", action="store_true", dest="profiling", help="a few steps under the profiler: a trace and a table; keeps nothing"
    )
    train.add_argument("--resume_from", "--resume-from", default=None, metavar="CHECKPOINT")
    evaluate = _command(commands, "evaluate", "models:evaluate", "evaluate one checkpoint")
    evaluate.add_argument("variant", choices=VARIANTS)
    evaluate.add_argument("stage", choices=STAGES)
    evaluate.add_argument("--verify-config", action="store_true", help="warn if the checkpoint was trained with another configuration")
    what = _group(commands, "model", "look at a model")
    params = _command(what, "params", "models:params", "parameters by part, for every variant or one")
    params.add_argument("variant", nargs="?", choices=VARIANTS)
    params.add_argument("--images", action="store_true", help="every image encoder and fusion as well")
    generate = _command(commands, "generate", "models:generate", "motion from a prompt: .motion, and pictures on request")
    generate.add_argument("prompt")
    generate.add_argument("--model", default=None, help="checkpoint as small_sft (default: the registry's best)")
    generate.add_argument("--frames", type=int, default=None)
    generate.add_argument("--seed", type=int, default=None)
    generate.add_argument("-o", "--output", default=None, help=".motion, .mp4, .gif or .png")
    registry = _group(commands, "registry", "trained models: list, best, find, export")
    listed = _command(registry, "list", "models:registry_list", "every trained model")
    listed.add_argument("--task", default=None, help="only those of one run, such as small_pretrain")
    _command(registry, "rebuild", "models:registry_rebuild", "make the registry again from the run folders")
    best = _command(registry, "best", "models:registry_best", "the best model of a task by a metric")
    best.add_argument("--task", default="medium_sft", help="a run, such as small_pretrain")
    best.add_argument("--metric", default="val_loss")
    best.add_argument("--mode", default="min", choices=("min", "max"))
    find = _command(registry, "find", "models:registry_find", "models trained with a configuration hash")
    find.add_argument("config_hash")
    export = _command(registry, "export", "models:registry_export", "the registry as CSV")
    export.add_argument("path")


def _results(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    render = _command(commands, "render", "pictures:render", "draw a clip or a .motion file as PNG strip, GIF, MP4, SVG or parallax frames")
    render.add_argument("what", help="a .motion file, or CORPUS:CLIP such as corpus/merged:synthetic/000012#0")
    render.add_argument("-o", "--output", default=None)
    view = _command(commands, "view", "pictures:view", "one HTML page that plays a .motion file")
    view.add_argument("motion")
    view.add_argument("-o", "--output", default=None)
    report = _command(commands, "report", "pictures:report", "where the reports are; with --open, in the browser")
    report.add_argument("name", nargs="?", default=None, help="small_pretrain, bench, release...")
    report.add_argument("--open", action="store_true")


def _configuration(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    what = _group(commands, "config", "the resolved configuration")
    show = _command(what, "show", "configuration:show", "every value, as YAML")
    show.add_argument("section", nargs="?", help="a section, or a run such as small_sft")
    digest = _command(what, "hash", "configuration:digest", "the stable hash")
    digest.add_argument("section", nargs="?")
    diff = _command(what, "diff", "configuration:diff", "values that differ between two profiles or runs")
    diff.add_argument("old")
    diff.add_argument("new")


if __name__ == "__main__":
    sys.exit(main())

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
STYLES = ("normal", "sketch", "ink", "neon")


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, run, and turn every foreseeable failure into one line."""
    options = parser().parse_args(arguments)
    options.config_override = [*options.config_override, *getattr(options, "more_overrides", [])]
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
    for add in (_data, _graph, _corpus, _models, _generation, _results, _configuration):
        add(commands)
    return root


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, call: str, help: str, **more: object
) -> argparse.ArgumentParser:
    found = commands.add_parser(name, help=help, description=help, **more)  # type: ignore[arg-type]
    found.add_argument("--json", action="store_true", help="one JSON value on stdout")
    found.add_argument(
        "--config-override", "-c", action="append", default=[], dest="more_overrides", metavar="SECTION.KEY=VALUE", help=argparse.SUPPRESS
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
    own = _command(what, "add", "preview:add", "try your own BVH or joint files, show them, and write their YAML")
    own.add_argument("name", help="the folder below DATA_ROOT, and the name of the YAML")
    own.add_argument("--reader", choices=("bvh", "joints"), required=True)
    own.add_argument("--axes", choices=("y_up", "z_up"), default="y_up")
    own.add_argument("--unit-m", type=float, default=None, help="metres per unit (default: 0.01 for bvh, 1 for joints)")
    own.add_argument("--fps", type=float, default=None, help="rate of joint files that do not state it")
    own.add_argument("--skeleton", default=None, help="joint map of a BVH: 100style, beat, cmu, mixamo (default: recognised)")
    own.add_argument("--joint-map", default=None, metavar="OURS=THEIRS,…", help="joints of a BVH of another skeleton")
    own.add_argument("--names", default=None, metavar="NAME,…", help="joints of .npy files, in order (default: the canonical 22)")
    own.add_argument("--title", default=None)
    own.add_argument("--licence", default="own data", help="its name, as it is to stand in every clip")
    own.add_argument("--share-derived", action="store_true", help="clips made from it may enter a bundle")
    own.add_argument("-n", "--count", type=int, default=6, help="clips to show")
    own.add_argument("-o", "--output", default=".", help="folder for the contact sheet")
    own.add_argument("--dry-run", action="store_true", help="show everything, write no YAML")
    accept = _command(what, "accept", "data:accept", "take a raw folder as it is now, although files of the last inventory are gone")
    accept.add_argument("name")
    remove = _command(
        what, "remove", "data:remove", "say that a data set whose files are gone is meant to be gone; its corpus becomes absent"
    )
    remove.add_argument("name")
    preview = _command(
        commands, "preview", "preview:preview", "random clips of a data set: contact sheet and film, 3D joints beside sticks"
    )
    preview.add_argument("name")
    preview.add_argument("-n", "--count", type=int, default=6)
    preview.add_argument("--seconds", type=float, default=4.0, help="of each clip in the film")
    preview.add_argument("--seed", type=int, default=None, help="draw other clips")
    preview.add_argument("-o", "--output", default=".", help="folder for <name>_preview.png and .mp4")
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
    reproduce = _command(commands, "reproduce", "reproduce:reproduce", "rebuild what a bundle records and compare, stage by stage")
    reproduce.add_argument("bundle")
    reproduce.add_argument("--upto", default=None, help="a stage of the bundle, a group, or `data`")
    reproduce.add_argument(
        "--tolerance", type=float, default=0.01, help="largest relative difference of losses and measures that counts as the same"
    )
    verify = _command(commands, "verify", "verify:verify", "check lists with evidence: a checkpoint, the data, the trainings, the results")
    verify.add_argument("what", choices=("checkpoint", "data", "training", "results"))
    verify.add_argument("names", nargs="*", help="checkpoints, such as small_sft; default: all that are there")
    check = _command(
        commands, "release-check", "release_check:release_check", "the documented production checklist, each line with its evidence"
    )
    check.add_argument("--sign", default=None, metavar="NAME", help="record that this person approved this evidence")
    check.add_argument("--role", default="Engineer")
    simulate = _command(
        commands, "simulate", "simulate:simulate", "time, memory and bytes of the data stages as the corpus grows, from two measured sizes"
    )
    simulate.add_argument("--clips", type=int, default=100_000, help="clips of one data set at scale 1")
    simulate.add_argument("--datasets", type=int, default=11)
    simulate.add_argument(
        "--measure", type=int, nargs="*", default=[200, 400, 800], metavar="CLIPS", help="sizes to run; the last one checks the prediction"
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
    verify.add_argument("--repair", action="store_true", help="set damaged shards aside, so that the next build writes them again")
    show = _command(what, "show", "corpus:show", "counts, histograms and drops; with a clip, everything known of it")
    show.add_argument("corpus", help=where)
    show.add_argument("clip", nargs="?")
    query = _command(what, "query", "corpus:query", "SQL over the index (table `clips`) and the ledger (table `ledger`)")
    query.add_argument("corpus", help=where)
    query.add_argument("sql")
    diff = _command(what, "diff", "corpus:diff", "what came, went and changed between two corpora, and why")
    diff.add_argument("old", help=where)
    diff.add_argument("new", help=where)
    sample = _command(what, "sample", "corpus:sample", "a contact sheet of kept clips, and of dropped ones by reason, as PNG")
    sample.add_argument("corpus", help=where)
    sample.add_argument("-n", "--count", type=int, default=8, help="kept clips")
    sample.add_argument("-e", "--each", type=int, default=4, help="dropped clips for each reason")
    sample.add_argument("-o", "--output", default="sample.png")
    pack = _command(what, "pack", "corpus:pack", "copy a corpus with exactly its own rows, to carry it away")
    pack.add_argument("corpus", help=where)
    pack.add_argument("target")
    compact = _command(what, "compact", "corpus:compact", "rewrite a corpus that uses little of its shards")
    compact.add_argument("corpus", help=where)
    sweep = _command(what, "sweep", "corpus:sweep", "remove shards that neither a corpus nor a pin points to")
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
        "--dry-run",
        action="store_true",
        help="hours, memory, disk and money from a measured step, of one run or of all nine; trains nothing",
    )
    train.add_argument("--clips", type=int, default=None, help="with --dry-run: as if there were so many training clips")
    train.add_argument("--clip-frames", type=float, default=None, help="with --dry-run: as if they were so long on average")
    train.add_argument(
        "--profile", action="store_true", dest="profiling", help="a few steps under the profiler: a trace and a table; keeps nothing"
    )
    train.add_argument("--resume_from", "--resume-from", default=None, metavar="CHECKPOINT")
    train.add_argument(
        "--seeds",
        nargs="*",
        type=int,
        default=None,
        metavar="SEED",
        help="the same configuration with each of these seeds (default 42 123 456 789 1024), outside the nine: trained, judged, aggregated",
    )
    evaluate = _command(commands, "evaluate", "evaluation:evaluate", "judge one of the nine, any checkpoint, or those of the registry")
    evaluate.add_argument("variant", nargs="?", choices=VARIANTS)
    evaluate.add_argument("stage", nargs="?", choices=STAGES)
    evaluate.add_argument("--verify-config", action="store_true", help="warn if the checkpoint was trained with another configuration")
    evaluate.add_argument("--checkpoint", default=None, metavar="PATH", help="a checkpoint's file or folder")
    evaluate.add_argument(
        "--data", default=None, metavar="CORPUS", help="an embedded corpus: step or folder (default corpus/embedded_pretrain)"
    )
    evaluate.add_argument("--output", default=None, metavar="FOLDER", help="default: eval_results/own/NAME")
    evaluate.add_argument("--name", default=None, help="what the report calls it")
    evaluate.add_argument("--all", action="store_true", help="every model of the registry")
    evaluate.add_argument(
        "--where", nargs="+", default=None, metavar="COND", help="those for which KEY=VALUE, such as task=small_sft metrics.val_loss<0.4"
    )
    what = _group(commands, "model", "look at a model")
    params = _command(what, "params", "models:params", "parameters by part, for every variant or one")
    params.add_argument("variant", nargs="?", choices=VARIANTS)
    params.add_argument("--images", action="store_true", help="every image encoder and fusion as well")
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


def _generation(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    which = "checkpoint as small_sft, or a folder (default: the release's choice)"
    generate = _command(commands, "generate", "generate:generate", "motion from a prompt, as the file's name asks: .motion, .mp4, .html...")
    generate.add_argument("prompt", nargs="+", help='words, or timed words: "0-3 s a person walks, 3-5 s a person waves"')
    generate.add_argument("-o", "--output", default=None, help=".motion, .mp4, .gif, .png, .svg or .html; a folder for several prompts")
    generate.add_argument(
        "--format", default="motion", choices=("motion", "mp4", "gif", "png", "svg", "html"), help="of several prompts' files"
    )
    generate.add_argument("--model", default=None, help=which)
    generate.add_argument("--device", default="cpu")
    generate.add_argument("--seconds", type=float, default=None)
    generate.add_argument("--frames", type=int, default=None, help="instead of seconds")
    generate.add_argument("--seed", type=int, default=None)
    generate.add_argument("--guidance", type=float, default=None, help="how strongly the words are followed (default: the checkpoint's)")
    generate.add_argument("--negative", default="", help="words to move away from; needs a guidance above 1")
    generate.add_argument("--steps", type=int, default=None, help="diffusion steps")
    generate.add_argument("--preview", action="store_true", help="one step: quick, not a sample")
    generate.add_argument("--action", default=None, help='an action for the whole motion, or spans: "0-2:walk,2-4:wave"')
    generate.add_argument("--camera", default=None, help='"zoom in", "pan left and crane up"...')
    generate.add_argument("--actors", type=int, default=1)
    generate.add_argument("--image", default=None, metavar="FILE", help="what the figure looks like, for a multimodal checkpoint")
    generate.add_argument("--viewpoint", type=float, nargs=7, default=None, metavar="M", help="its camera: position, target, field of view")
    generate.add_argument("--on-rejection", choices=("return", "refuse"), default=None, help="of a motion that the safety gate rejects")
    generate.add_argument("--style", choices=STYLES, default=None)
    serve = _command(
        commands, "serve", "serve:serve", "generation over HTTP: a demo page, JSON, .motion and MP4; loopback unless told otherwise"
    )
    serve.add_argument("--model", default=None, help=which)
    serve.add_argument("--device", default="cpu")
    serve.add_argument("--host", default=None, help="beyond loopback STICKGEN_SERVICE_TOKEN must be set")
    serve.add_argument("--port", type=int, default=None)
    serve.add_argument("--runpod", action="store_true", help="as a RunPod serverless worker instead")
    smoke = _command(
        commands, "smoke", "smoke:smoke", "end-to-end check: imports, the critic on a random walk, a prompt to a motion and a video"
    )
    smoke.add_argument("--model", default=None, help=which)


def _results(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    bench = _command(commands, "bench", "evaluation:bench", "StickGen-Bench over all checkpoints: page, PDF, choice, production model")
    bench.add_argument("--protocol", default=None, help="take the sizes of configs/eval/protocols/NAME.yaml: cpu, full")
    adversarial = _command(
        commands, "adversarial", "evaluation:adversarial", "prompts that try to break a model; JSON in eval_results/adversarial/"
    )
    adversarial.add_argument("model", nargs="?", default=None, help="checkpoint as small_sft")
    adversarial.add_argument("--checkpoint", default=None, metavar="PATH", help="a checkpoint's file or folder")
    adversarial.add_argument("--suites", nargs="+", default=None, metavar="ID", help="such as adversarial_contradictory (default: all)")
    adversarial.add_argument("--prompts", type=int, default=None, help="of each suite, evenly spread; 0 means all")
    adversarial.add_argument("--output", default=None, metavar="FILE")
    compare = _command(
        commands, "compare", "evaluation:compare", "two reports, several-seed runs or checkpoints; exit code 1 where they differ"
    )
    compare.add_argument("a", help="a report's name or path, a run of train --seeds, or a checkpoint's folder")
    compare.add_argument("b")
    compare.add_argument("--tolerance", type=float, default=0.1, help="relative, of two reports' numbers (default 0.1)")
    verify = _command(
        commands, "verify-results", "evaluation:verify_results", "a run held against expected results; exit code 1 where one is outside"
    )
    verify.add_argument("run", help="a report's name or path, a run folder or id, a checkpoint's folder")
    verify.add_argument("--expected", required=True, metavar="FILE", help="YAML or JSON, such as configs/eval/expected/documented.yaml")
    verify.add_argument("--tolerance", type=float, default=None, help="relative; default: what the file says, else 0.1")
    what = "a .motion file, or CORPUS:CLIP such as corpus/merged:synthetic/000012#0"
    render = _command(commands, "render", "pictures:render", "draw motions as MP4, GIF, PNG or SVG; several side by side")
    render.add_argument("what", nargs="+", help=what)
    render.add_argument("-o", "--output", default=None)
    render.add_argument("--style", choices=STYLES, default=None)
    render.add_argument("--3d", dest="three_d", action="store_true", help="the joints in space, in perspective")
    render.add_argument("--azimuth", type=float, default=None, metavar="DEG", help="where the viewer of --3d stands")
    render.add_argument("--orbit", type=float, default=None, metavar="DEG", help="how far the viewer of --3d walks round")
    render.add_argument("--no-camera", action="store_true", help="frame the figure, whatever camera the motion has")
    view = _command(commands, "view", "pictures:view", "one HTML page that plays motions, needs nothing else, and compares two")
    view.add_argument("motion", nargs="+", help=what)
    view.add_argument("-o", "--output", default=None)
    view.add_argument("--title", default=None)
    view.add_argument("--open", action="store_true", help="in the browser")
    export = _command(commands, "export", "pictures:export", "a motion as .motion, .bvh, .gltf or .html, or a corpus as .motion files")
    export.add_argument("what", help=f"{what}; or a corpus")
    export.add_argument("-o", "--output", default=None, help="a file; of a corpus a folder")
    export.add_argument("--actor", type=int, default=0, help="whose joints a .bvh or .gltf holds")
    export.add_argument("--limit", type=int, default=None, help="clips of a corpus")
    parallax = _command(commands, "parallax", "parallax:parallax", "views of a corpus in true 3D as RGBA pictures, for multimodal training")
    parallax.add_argument("corpus", nargs="?", default="corpus/embedded_pretrain", help="a step or a folder")
    parallax.add_argument("-o", "--output", default=None, help="default: 2.5d_parallax in the data folder")
    parallax.add_argument("--estimate", action="store_true", help="say what it would take, draw nothing")
    parallax.add_argument("--clips", type=int, default=None, help="spread evenly over the corpus; 0 means all")
    parallax.add_argument("--views", type=int, default=None)
    parallax.add_argument("--frames-per-view", type=int, default=None)
    parallax.add_argument("--size", type=int, default=None, metavar="PX")
    parallax.add_argument("--packed", action="store_true", help="a few shards instead of a file a frame")
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

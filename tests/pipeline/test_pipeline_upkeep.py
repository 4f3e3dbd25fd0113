"""Failures are told, killed runs are buried, a lost database learns again, stale says why, growth is fitted, a bundle is reproduced."""

import http.server
import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from stickgen_core.corpus.repair import shards_of
from stickgen_core.errors import StickgenError
from stickgen_core.records.bundle import read_table
from stickgen_core.records.bundle_verifier import problems
from stickgen_core.records.manifest import read_manifest
from stickgen_core.settings import AlertConfig
from stickgen_pipeline import alerts, burying, cli, needs, recorded_tests, release_lines
from stickgen_pipeline.burying import OWNER_TAG, bury_the_dead, is_alive, own_mark
from stickgen_pipeline.checklist import listed_checks
from stickgen_pipeline.commands.lineage import is_absent
from stickgen_pipeline.commands.provenance import bundle_of
from stickgen_pipeline.commands.reproduce import compare, stages
from stickgen_pipeline.graph import steps_of
from stickgen_pipeline.growth import Measured, errors, fit, laws
from stickgen_pipeline.profile import resolve
from stickgen_pipeline.reporting import report_history, version_known
from stickgen_pipeline.staleness import standings
from stickgen_pipeline.witness import history_of, lineage_of

SILENT = AlertConfig(webhook_variable="", smtp_host="", smtp_port=25, mail_from="", mail_to=())


@pytest.fixture
def webhook():
    """A listener that remembers what it was told."""
    told = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/secret-token", told
    server.shutdown()


@pytest.fixture
def no_http():
    """The address of a server that answers in no protocol."""

    class Garbage(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(65536)
            self.request.sendall(b"secret garbage\r\n\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Garbage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/secret"
        server.shutdown()


def test_by_default_a_failure_reaches_the_log_and_nobody_else(caplog):
    assert alerts.deliver(SILENT, "run failed", "disk full") == []
    assert "run failed: disk full" in caplog.text


def test_a_webhook_is_told_and_its_address_is_in_no_log(monkeypatch, webhook, caplog):
    address, told = webhook
    config = SILENT.model_copy(update={"webhook_variable": "STICKGEN_ALERT_WEBHOOK"})
    assert alerts.deliver(config, "s", "t") == ["STICKGEN_ALERT_WEBHOOK is not set"]
    monkeypatch.setenv("STICKGEN_ALERT_WEBHOOK", address)
    assert alerts.deliver(config, "2 checks failed", "no_leak") == [] and told[0]["subject"] == "2 checks failed"
    monkeypatch.setenv("STICKGEN_ALERT_WEBHOOK", address.replace("127.0.0.1", "127.0.0.1:1"))
    assert len(alerts.deliver(config, "s", "t")) == 1
    assert "secret-token" not in caplog.text


@pytest.mark.parametrize("address", ["http://127.0.0.1/secret token", "http://127.0.0.1:secret/", "secret", "{garbage}"])
def test_whatever_is_wrong_with_a_webhook_nothing_is_raised_or_shown_and_the_mail_is_tried(address, monkeypatch, caplog, no_http):
    config = AlertConfig(webhook_variable="HOOK", smtp_host="127.0.0.1", smtp_port=1, mail_from="me@here", mail_to=("you@there",))
    monkeypatch.setenv("HOOK", address.format(garbage=no_http))
    webhook, mail = alerts.deliver(config, "s", "t")
    assert webhook.startswith("the webhook could not be reached") and mail.startswith("the mail was not sent")
    assert "secret" not in caplog.text + webhook + mail


def test_an_address_of_two_lines_is_told_of_not_raised():
    config = AlertConfig(webhook_variable="", smtp_host="127.0.0.1", smtp_port=1, mail_from="me@here", mail_to=("you@there\nx",))
    assert "linefeed" in alerts.deliver(config, "s", "t")[0]


def test_failed_checks_are_told_once_with_what_they_stop(monkeypatch, tmp_path):
    """On the SQLite storage of a real instance, which keeps a file a run."""
    told = []
    monkeypatch.setattr(alerts, "deliver", lambda config, subject, text: told.append((subject, text)))
    sensor = alerts.check_sensor(resolve("test"))

    @dg.asset(key=["corpus", "merged"], check_specs=[dg.AssetCheckSpec(n, asset=["corpus", "merged"]) for n in ("no_leak", "has_clips")])
    def merged():
        yield dg.MaterializeResult()
        yield dg.AssetCheckResult(check_name="no_leak", passed=False, description="3 leaks")
        yield dg.AssetCheckResult(check_name="has_clips", passed=True)

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:

        def tick(cursor):
            context = dg.build_sensor_context(instance=instance, cursor=cursor)
            sensor(context)
            return context.cursor

        cursor = tick(None)
        dg.materialize([merged], instance=instance)
        for _ in range(3):
            cursor = tick(cursor)
        assert [subject for subject, _ in told] == ["1 checks failed, 1 of them stop what is downstream"]
        assert "corpus/merged no_leak (error): 3 leaks" in told[0][1]
        dg.materialize([merged], instance=instance)
        tick(cursor)
        assert len(told) == 2


def test_a_killed_run_is_buried_with_its_pool_slot_and_a_living_one_is_not():
    @dg.op(pool="gpu")
    def train():
        pass

    @dg.job
    def training():
        train()

    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        import psutil

        mark = f"{child.pid}@{psutil.Process(child.pid).create_time():.2f}"
        with dg.DagsterInstance.ephemeral() as instance:
            mine = instance.create_run_for_job(training, tags={OWNER_TAG: own_mark()}, status=dg.DagsterRunStatus.STARTED)
            dying = instance.create_run_for_job(training, tags={OWNER_TAG: mark}, status=dg.DagsterRunStatus.STARTED)
            assert is_alive(mark) and bury_the_dead(instance) == []
            child.send_signal(signal.SIGKILL)
            child.wait()
            assert bury_the_dead(instance) == [dying.run_id]
            assert instance.get_run_by_id(mine.run_id).status == dg.DagsterRunStatus.STARTED
            assert instance.get_run_by_id(dying.run_id).status == dg.DagsterRunStatus.FAILURE
            assert bury_the_dead(instance) == []


def test_a_server_that_is_busy_is_not_gone_and_one_that_left_its_socket_behind_is(tmp_path):
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen(0)
        waiting = []
        for _ in range(8):  # nobody accepts: the queue fills, and connecting is refused an answer
            line = socket.socket(socket.AF_UNIX)
            line.setblocking(False)
            line.connect_ex(path)
            waiting.append(line)
        assert not burying._gone({"socket": path})
        for line in waiting:
            line.close()
    assert burying._gone({"socket": path}) and burying._gone({"socket": str(tmp_path / "never")})


def test_a_number_that_was_used_again_is_not_the_same_process():
    assert is_alive(own_mark()) and not is_alive(f"{os.getpid()}@1.00") and not is_alive("nonsense")


def test_a_new_database_learns_every_version_that_was_ever_published(root):
    root.build("datasets.synthetic.options.seed=2", only=("raw/synthetic", "canonical/synthetic"))
    settings = root.settings("datasets.synthetic.options.seed=2")
    entries, steps = history_of(settings).entries, steps_of(settings)
    versions = {e.digest for e in entries if e.key == "canonical/synthetic"}
    with dg.DagsterInstance.ephemeral() as instance:
        assert report_history(instance, entries, steps) == len({e.name for e in entries})
        assert version_known(instance, "canonical/synthetic") == read_manifest(steps["canonical/synthetic"].folder).digest
        seen = instance.fetch_materializations(dg.AssetKey(["canonical", "synthetic"]), limit=10).records
        assert {record.asset_materialization.tags["dagster/data_version"] for record in seen} == versions and len(versions) == 2
        assert report_history(instance, entries, steps) == 0


def test_stale_says_because_of_what_and_what_a_rebuild_touches_takes_and_writes(pristine):
    found = standings(pristine.settings("curation.sft.min_quality=0.9"))
    sft = found["corpus/curated_sft"]
    assert sft.now.state == "stale" and "code or configuration changed" in sft.now.because
    assert {"corpus/merged", "corpus/curated_sft", "corpus/embedded_sft", "checkpoint/small_sft"} <= set(sft.touches)
    assert "canonical/synthetic" not in sft.touches and sft.bytes > 0
    assert found["canonical/synthetic"].touches == () and found["canonical/synthetic"].hours == 0.0
    assert found["checkpoint/small_sft"].hours is None, "a training that was never timed has no hours"


def test_every_blocking_check_names_what_it_holds_back():
    for one in listed_checks(resolve("test")):
        assert one.of and one.check.asks
        assert one.check.stops != one.holds_back.startswith("nothing: a warning")


def test_a_skipped_test_proves_nothing(root):
    settings = root.settings()
    record = settings.places.registry_file.with_name(recorded_tests.TEST_RESULTS)
    record.parent.mkdir(parents=True, exist_ok=True)
    skipped = "<skipped message='no GPU'/>"

    def proved(*ends):
        cases = "".join(f"<testcase classname='tests.core.model.test_lora' name='t{n}'>{end}</testcase>" for n, end in enumerate(ends))
        record.write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
        found = recorded_tests.proved_by_tests(settings, "LoRA", release_lines.LORA)
        (unit,) = (one for one in recorded_tests.recorded_tests(settings) if one.name == "unit: transformer")
        return found.state, found.evidence.partition(": ")[2], unit.state

    assert proved("", skipped) == ("ok", "1 tests, 0 failed", "ok")
    assert proved("", "<failure/>", skipped) == ("failed", "2 tests, 1 failed", "ok")
    assert proved(skipped, skipped) == ("not done", "all 2 were skipped", "not done")
    assert proved() == ("not done", "not in the recorded run", "not done")


def test_a_machine_that_is_too_small_fails_and_data_preparation_is_costed(monkeypatch):
    settings = resolve("full")
    monkeypatch.setattr(needs, "free_gb", lambda place: (100.0, place))
    monkeypatch.setattr(needs, "memory_gb", lambda: 8.0)
    monkeypatch.setattr(needs, "vram_gb", lambda: 12.0)
    found = {one.name: one for one in needs.findings(settings)}
    assert found["disk"].state == found["memory"].state == "failed"
    assert found["gpu, small_pretrain"].state == "ok" and found["gpu, large_pretrain"].state == "note"
    (disk, *_) = needs.findings(settings, ["checkpoint/small_pretrain"])
    assert disk.state == "ok" and "0.20 GB" in disk.says
    hours, usd = needs.cost_of(settings, ["canonical/amass", "checkpoint/medium_pretrain"])
    assert (hours, usd) == (50.0, 1.5 + 17.5)


def test_growth_finds_the_line_and_the_bend_and_takes_noise_for_neither():
    sizes = [100.0, 200.0, 400.0]
    line = fit(sizes, [1 + 0.5 * n for n in sizes])
    assert line.at(1000) == pytest.approx(501) and line.dominant(1000) == "clips" and fit([100, 200], [5, 5]).dominant(1e9) == "fixed"
    pairs = fit(sizes, [3 + 0.01 * n * n for n in sizes])
    assert pairs.power == pytest.approx(2) and pairs.at(1000) == pytest.approx(10003, rel=1e-6)
    assert fit(sizes, [5, 4, 3]).each == 0, "nothing shrinks as a corpus grows"
    assert fit(sizes, [1, 1.01, 90]).power <= 2
    with pytest.raises(StickgenError, match="two sizes"):
        fit([100.0], [1.0])


def test_a_prediction_is_checked_at_a_size_it_did_not_see():
    rows = [Measured("merged", n, 0.1 * n, 50 + n, 2.0 * n) for n in (100, 200, 400)]
    assert errors(rows, 400)["merged"] == pytest.approx({"seconds": 1.0, "memory_mb": 1.0, "megabytes": 1.0})
    assert set(laws(rows)["merged"]) == {"seconds", "memory_mb", "megabytes"}


@pytest.fixture(scope="module")
def bundle(pristine, tmp_path_factory):
    settings = pristine.settings()
    lineage = lineage_of(settings)
    return bundle_of(settings, lineage.walk(lineage.find("corpus/embedded_sft")), tmp_path_factory.mktemp("bundle") / "b")


def entries_of(folder):
    return [json.loads((folder / name).read_text()) for name in read_table(folder)["artefacts"]]


def test_a_bundle_of_a_real_corpus_holds_and_carries_no_motion(bundle):
    assert problems(bundle.folder, bundle.root) == []
    suffixes = {path.suffix for path in bundle.folder.rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".md", ".tex", ".bib", ".svg", ".lock", ".txt", ".yaml", ".py", ".tsv"}
    croissant = json.loads((bundle.folder / "croissant" / "corpus.embedded_sft.json").read_text())
    assert croissant["conformsTo"].endswith("croissant/1.0") and {f["name"] for f in croissant["recordSet"][0]["field"]} >= {
        "id",
        "frames",
        "split",
    }
    crate = json.loads((bundle.folder / "ro-crate-metadata.json").read_text())
    actions = [e for e in crate["@graph"] if e["@type"] == "CreateAction"]
    assert len(actions) == sum(bool(e["inputs"]) for e in entries_of(bundle.folder)) and all(a["result"] and a["object"] for a in actions)
    prov = json.loads((bundle.folder / "prov.json").read_text())
    assert len(prov["entity"]) == len(entries_of(bundle.folder)) and prov["wasDerivedFrom"]
    assert "\\cite" not in (bundle.folder / "methods.md").read_text() and "\\begin{table}" in (bundle.folder / "methods.tex").read_text()
    assert "dagster==" in (bundle.folder / "environment" / "base.lock").read_text()


def machine_paths(root, folder) -> list[tuple[str, str]]:
    places = root.settings().places
    own = [str(path) for path in (places.data, places.raw, root.settings().root, Path.home()) if len(path.parts) > 2]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [(path.name, name) for path in files for name in own if name in path.read_text()]


def test_a_bundle_names_no_folder_of_the_machine(bundle, pristine):
    assert machine_paths(pristine, bundle.folder) == []
    entries = {entry["key"]: entry for entry in entries_of(bundle.folder)}
    assert entries["canonical/amass"]["manifest"]["notes"]["absent"].startswith("$DATA_ROOT/amass is not there")


def test_an_older_history_that_names_folders_gives_a_bundle_without_them(root, tmp_path):
    """Entries once carried the whole path of a raw folder, and an override may name any file."""
    raw, home = str(root.settings().places.raw), str(Path.home() / "models")
    for path in (root.folder / "lineage" / "canonical.amass").glob("*.json"):
        path.write_text(path.read_text().replace("$DATA_ROOT", raw))
        assert raw in path.read_text()
    lineage = lineage_of(root.settings())
    walk = lineage.walk(lineage.find("corpus/merged"))
    history = history_of(root.settings())
    known = {**history.configuration(walk.root.configuration), "overrides": [f"text.model={home}"]}
    walk = replace(walk, entries=tuple(history.add(replace(e, recipe="other"), known) if e == walk.root else e for e in walk.entries))
    walk = replace(walk, root=walk.entries[-1])
    made = bundle_of(root.settings(), walk, tmp_path / "b")
    assert problems(made.folder, made.root) == [] and machine_paths(root, made.folder) == []
    assert home not in "".join(path.read_text() for path in made.folder.rglob("*.json"))


def test_a_second_root_reproduces_every_stage_and_another_seed_names_the_first_that_differs(bundle, pristine, tmp_path):
    entries = entries_of(bundle.folder)
    wanted = stages(entries, steps_of(pristine.settings()), "canonical/synthetic")
    assert [e["key"] for e in wanted] == ["raw/synthetic", "canonical/synthetic"]
    other = type(pristine)(tmp_path / "other", pristine.raw)
    other.build(only=("raw/synthetic", "canonical/synthetic"))
    both = {"raw/synthetic", "canonical/synthetic"}
    same = list(compare(bundle.folder, wanted, steps_of(other.settings()), 0.01, both))
    assert [(one.verdict, one.how) for one in same] == [("equal", "")] * 2
    third = type(pristine)(tmp_path / "third", pristine.raw)
    third.build("datasets.synthetic.options.seed=9", only=("raw/synthetic", "canonical/synthetic"))
    found = list(compare(bundle.folder, wanted, steps_of(third.settings()), 0.01, both))
    assert [one.verdict for one in found] == ["differs", "differs"] and "its input raw/synthetic differs" in found[1].how
    lost = list(compare(bundle.folder, stages(entries, steps_of(third.settings()), None), steps_of(third.settings()), 0.01, both))
    assert any(one.verdict == "missing" for one in lost)


def test_only_what_was_made_here_is_reproduced_and_what_was_in_place_is_read(bundle, root, monkeypatch, tmp_path, capfd):
    places = {"STICKGEN_DATA": root.folder, "DATA_ROOT": root.raw, "STICKGEN_OUTPUT_DIR": tmp_path / "out",
              "STICKGEN_REGISTRY": tmp_path / "registry.json", "DAGSTER_HOME": tmp_path / "dagster"}  # fmt: skip
    for name, place in places.items():
        monkeypatch.setenv(name, str(place))

    def again(*more):
        code = cli.main(["reproduce", str(bundle.folder), "--upto", "canonical/synthetic", *more])
        return code, capfd.readouterr().out

    code, said = again()
    assert code == 0 and said.count("in place, not rebuilt") == 2
    assert said.splitlines()[-1].startswith("nothing was reproduced: all 2 stages were in place before")
    (shard, *_) = sorted(shards_of(root.settings().places.canonical("synthetic")))
    with shard.open("r+b") as file:
        file.seek(shard.stat().st_size // 2)
        file.write(bytes(4096))
    code, said = again("--json")
    found = json.loads(said)
    assert code == 1 and found["first_difference"] == "canonical/synthetic" and (found["made"], found["in_place"]) == (0, 2)
    assert "damaged" in found["stages"][1]["how"] and shard.name in found["stages"][1]["how"]
    monkeypatch.setenv("STICKGEN_DATA", str(tmp_path / "empty"))
    code, said = again()
    assert code == 0 and said.splitlines()[-1] == "reproduced" and "in place" not in said


def test_absent_data_sets_are_told_from_present_ones(pristine):
    entries = SimpleNamespace(all=lineage_of(pristine.settings()).nodes.values()).all
    absent = {e.key for e in entries if is_absent(e)}
    assert "raw/amass" in absent and "canonical/amass" in absent and "canonical/synthetic" not in absent

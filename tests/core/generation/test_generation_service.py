"""The service: right answers, every bound, the queue's limits, deadlines, and nothing of the inside in any error."""

import base64
import contextlib
import http.client
import json
import logging
import threading
import time
from urllib.parse import urlsplit

import pytest

from stickgen_core.errors import StickgenError
from stickgen_core.generation.service.jobs import Jobs
from stickgen_core.generation.service.listen import listening, server_for
from stickgen_core.generation.service.refusal import Refusal
from stickgen_core.generation.service.serverless import handler_for
from stickgen_core.rendering.media import read_mp4
from stickgen_core.rendering.motionfile import first_problem
from tests.core.generation.generation_tiny import service, tiny


def ask(address, method, path, body=None, **headers):
    """(status, headers, bytes) of one request."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    given = {"content-type": "application/json"} if body is not None else {}
    try:
        connection.request(method, path, body, {**given, **{k.replace("_", "-"): v for k, v in headers.items()}})
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def generate(address, **body):
    status, headers, data = ask(address, "POST", "/v1/generate", {"prompt": "a person walks", "seconds": 1, **body})
    return status, headers, json.loads(data) if headers["content-type"] == "application/json" else data


@pytest.fixture(scope="module")
def address():
    with listening(service()) as found:
        yield found


def test_json_motion_and_mp4_are_the_same_motion(address, tmp_path):
    status, headers, value = generate(address, seed=4)
    assert status == 200 and headers["x-request-id"]
    (result,) = value["results"]
    assert first_problem(result["motion"]) is None
    assert (result["frames"], result["seed"], result["prompt"]) == (25, 4, "a person walks")
    status, _, motion = generate(address, seed=4, format="motion")
    assert status == 200 and motion == result["motion"]
    status, headers, video = generate(address, seed=4, format="mp4")
    assert (status, headers["content-type"]) == (200, "video/mp4")
    (tmp_path / "a.mp4").write_bytes(video)
    assert len(read_mp4(tmp_path / "a.mp4")[0]) == 25
    kept = ask(address, "GET", result["links"]["motion"])
    assert json.loads(kept[2]) == result["motion"]
    assert ask(address, "GET", result["links"]["mp4"])[0] == 200
    assert generate(address, seed=5, format="motion")[2] != motion


def test_the_wire_reaches_every_wish_of_the_generator(address):
    base = generate(address, format="motion")[2]["motion"]
    for wish in ({"guidance": 3.0}, {"action": "walk"}, {"actions": [1] * 25}, {"camera": "zoom in"}, {"camera": [[0, 1, 2]] * 25},
                 {"use_diffusion": False}, {"diffusion_steps": 1}, {"actors": 2}, {"seconds": 2}, {"guidance": 3.0, "negative": "sit"}):  # fmt: skip
        status, _, value = generate(address, format="motion", **wish)
        assert status == 200 and value["motion"] != base, wish
    assert len(generate(address, prompt=["one", "two", "three"])[2]["results"]) == 3
    timed = ask(address, "POST", "/v1/generate", {"prompt": "0-1 s walk, 1-2 s wave", "format": "motion"})
    assert [c["text"] for c in json.loads(timed[2])["captions"]] == ["walk", "wave"]


def events(data):
    found = [dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")) for block in data.decode().split("\n\n")]
    return [(event["event"], json.loads(event["data"])) for event in found if event]


def test_a_stream_tells_progress_and_ends_with_the_result_or_the_reason():
    slow = service(tiny(enable_safety_check=False))
    plain = slow.generator.generate
    slow.generator.generate = lambda request, report: (
        [report("attempt 1", n, 3) or time.sleep(0.15) for n in (1, 2, 3)],
        plain(request, report),
    )[1]
    with listening(slow) as there:
        told = events(ask(there, "POST", "/v1/stream", {"prompt": "walk", "seconds": 1})[2])
        assert [name for name, _ in told][-1] == "result"
        assert len({value["done"] for name, value in told if name == "progress" and value["state"] == "running"}) > 1
        assert first_problem(told[-1][1]["results"][0]["motion"]) is None
    strict = tiny(changes={"max_attempts": 1, "on_rejection": "refuse"})
    with listening(service(strict)) as there:
        (name, value) = events(ask(there, "POST", "/v1/stream", {"prompt": "walk", "seconds": 2})[2])[-1]
        assert (name, value["code"]) == ("error", "refused") and "safety gate" in value["message"]
        assert generate(there, on_rejection="return", seconds=2)[2]["results"][0]["accepted"] is False


def test_a_job_can_be_left_and_fetched_later_or_forgotten(address):
    status, headers, data = ask(address, "POST", "/v1/jobs", {"prompt": "walk", "seconds": 1})
    assert status == 202
    where = headers["location"]
    for _ in range(100):
        value = json.loads(ask(address, "GET", where)[2])
        if value["state"] == "done":
            break
        time.sleep(0.05)
    assert value["results"][0]["frames"] == 25
    assert ask(address, "DELETE", where)[0] == 204
    assert ask(address, "GET", where)[0] == 404


MALFORMED = [
    (b"", 400), (b"{", 400), (b"[" * 100_000, 400), (b'{"prompt": 1' + b"0" * 5000 + b"}", 400), (b"\xff\xfe", 400), (b"null", 422), (b"[]", 422),
    (b"{}", 422), (b'{"prompt": 3}', 422), (b'{"prompt": "a", "second": 1}', 422), (b'{"prompt": "a", "seconds": NaN}', 422),
    (b'{"prompt": "a", "seconds": 1e999}', 422), (b'{"prompt": "a", "seconds": "2"}', 422), (b'{"prompt": "\\ud800"}', 422),
    (b'{"prompt": ["a", "\\udfff"]}', 422), (b'{"prompt": "a", "camera": "\\ud800"}', 422), (b'{"prompt": "a", "seconds": -1}', 422),
    (b'{"prompt": "a", "seconds": 1000000000}', 422), (b'{"prompt": "a", "actors": 1000}', 422), (b'{"prompt": "a", "actors": 1.5}', 422),
    (b'{"prompt": "a", "diffusion_steps": 100000}', 422), (b'{"prompt": "a", "guidance": 1e308}', 422), (b'{"prompt": "a", "seed": -1}', 422),
    (b'{"prompt": "a", "seed": 99999999999999999999999}', 422), (b'{"prompt": []}', 422), (b'{"prompt": "a", "action": "fly"}', 422),
    (b'{"prompt": "a", "actions": [1, 2]}', 422), (b'{"prompt": "a", "actions": [9999999999999999999999]}', 422),
    (b'{"prompt": "a", "camera": [[0, 1]]}', 422), (b'{"prompt": "a", "camera": "fly"}', 422), (b'{"prompt": "a", "image": "###"}', 422),
    (b'{"prompt": "a", "image": "aGVsbG8="}', 422), (b'{"prompt": "a", "negative": "b", "guidance": 1.0}', 422),
    (b'{"prompt": "0-2 s a, 3-4 s b"}', 422), (b'{"prompt": "a", "format": "exe"}', 422), (b'{"prompt": ["a", "b"], "format": "mp4"}', 422),
    (b'{"prompt": "a", "viewpoint": [1, 2, 3, 4, 5, 6, 7]}', 422), (json.dumps({"prompt": "a" * 501}).encode(), 422),
    (json.dumps({"prompt": ["a"] * 65}).encode(), 422),
]  # fmt: skip


@pytest.mark.parametrize("route", ["/v1/generate", "/v1/stream", "/v1/jobs"])
def test_what_is_malformed_is_a_client_error_of_one_line_that_echoes_nothing(address, route):
    for body, expected in MALFORMED:
        status, headers, data = ask(address, "POST", route, body, x_request_id="abc-1")
        error = json.loads(data)["error"]
        assert status == expected, (body[:60], data)
        assert error["request_id"] == headers["x-request-id"] == "abc-1"
        assert "\n" not in error["message"] and len(error["message"]) < 400
        for inside in ("Traceback", "File ", "/work", "site-packages", "0x", "<class"):
            assert inside not in error["message"], body[:60]


def test_paths_methods_types_and_sizes_are_held(address):
    assert ask(address, "GET", "/nothing")[0] == 404
    assert ask(address, "GET", "/v1/generate")[0] == 405
    assert ask(address, "GET", "/v1/jobs/../../etc/passwd")[0] == 404
    assert ask(address, "GET", "/v1/jobs/abc/0.motion")[0] == 404
    assert ask(address, "POST", "/v1/generate", b"{}", content_type="text/plain")[0] == 415
    assert ask(address, "GET", "/health", host="evil.example")[0] == 421
    with listening(service(max_body_kb=1)) as small:
        status, headers, data = ask(small, "POST", "/v1/generate", b" " * 4000)
        assert (status, json.loads(data)["error"]["code"], headers["connection"]) == (413, "too_large", "close")
    with listening(service(body_timeout_s=0.2)) as hasty:
        connection = http.client.HTTPConnection(urlsplit(hasty).netloc, timeout=20)
        connection.putrequest("POST", "/v1/generate")
        connection.putheader("content-type", "application/json")
        connection.putheader("content-length", "100")
        connection.endheaders(b"{")
        assert connection.getresponse().status == 408


def test_health_metrics_and_openapi_speak(address):
    value = json.loads(ask(address, "GET", "/health")[2])
    assert (value["status"], value["model"]["name"]) == ("ready", "small_pretrain")
    text = ask(address, "GET", "/metrics")[2].decode()
    assert 'stickgen_requests_total{route="/health",status="200"}' in text
    assert "stickgen_job_seconds_count" in text and "stickgen_resident_bytes" in text
    paths = json.loads(ask(address, "GET", "/openapi.json")[2])["paths"]
    assert {"/v1/generate", "/v1/stream", "/v1/jobs", "/v1/model", "/health", "/metrics"} <= set(paths)
    schema = paths["/v1/generate"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert "negative" in schema["properties"]
    assert "seconds" in json.loads(ask(address, "GET", "/v1/model")[2])["limits"]


def test_the_page_needs_nothing_from_outside(address):
    status, headers, data = ask(address, "GET", "/")
    page = data.decode()
    assert status == 200 and "default-src 'none'" in headers["content-security-policy"]
    for outside in ("http://", "https://", "src=", "@import", "%PLAYER%", "__TABLES__"):
        assert outside not in page


def test_a_token_is_asked_for_and_the_outside_needs_one():
    made = service()
    with listening(made, token="s3cret") as there:
        assert ask(there, "GET", "/health")[0] == 200
        for header in ({}, {"authorization": "Bearer wrong"}, {"authorization": "s3cret"}):
            status, _, data = ask(there, "POST", "/v1/generate", {"prompt": "a", "seconds": 1}, **header)
            assert status == 401 and b"s3cret" not in data
        assert ask(there, "GET", "/metrics")[0] == 401
        assert ask(there, "POST", "/v1/generate", {"prompt": "a", "seconds": 1}, authorization="Bearer s3cret")[0] == 200
    with pytest.raises(StickgenError, match="STICKGEN_SERVICE_TOKEN"):
        server_for(made, "0.0.0.0", 0, None)


def blocked(**changes):
    """A service whose generator waits for the returned event."""
    made, gate = service(**changes), threading.Event()
    plain = made.generator.generate

    def wait(request, report):
        while not gate.wait(0.01):
            report("waiting", 0, 1)
        return plain(request, report)

    made.generator.generate = wait
    return made, gate


def at_once(address, count):
    """Status codes of simultaneous requests."""
    found = []
    threads = [threading.Thread(target=lambda: found.append(generate(address)[0])) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, found


def test_a_full_queue_says_come_back_and_then_takes_again():
    made, gate = blocked(queue=2, timeout_s=30)
    with listening(made) as there:
        first, found = at_once(there, 1)
        # Two that arrive before the worker has taken the first would fill the queue with three, and one would be turned away.
        while "running" not in {job.state for job in list(made.jobs._known.values())}:
            time.sleep(0.01)
        others, also_found = at_once(there, 2)
        while made.jobs.waiting < 2:
            time.sleep(0.01)
        status, headers, data = ask(there, "POST", "/v1/generate", {"prompt": "a", "seconds": 1})
        assert (status, json.loads(data)["error"]["code"], headers["retry-after"]) == (429, "busy", "2")
        assert ask(there, "GET", "/health")[0] == 200, "a full queue does not make it unhealthy"
        gate.set()
        for thread in (*first, *others):
            thread.join()
        assert found + also_found == [200, 200, 200]
        assert generate(there)[0] == 200


def test_what_takes_too_long_is_given_up_running_or_waiting():
    made, gate = blocked(timeout_s=0.4)
    with listening(made) as there:
        threads, found = at_once(there, 2)
        for thread in threads:
            thread.join(20)
        assert found == [504, 504]
        gate.set()
        assert generate(there)[0] == 200, "the worker is free again"


def test_a_client_that_goes_away_frees_the_worker():
    made, gate = blocked(timeout_s=60)
    with listening(made) as there:
        connection = http.client.HTTPConnection(urlsplit(there).netloc)
        connection.request("POST", "/v1/generate", json.dumps({"prompt": "a", "seconds": 1}), {"content-type": "application/json"})
        while 'state="cancelled"' not in made.metrics.text({}):
            if connection.sock and made.jobs._known and next(iter(made.jobs._known.values())).state == "running":
                connection.close()
            time.sleep(0.02)
        gate.set()
        assert generate(there)[0] == 200


def test_a_crash_inside_is_an_id_outside_and_a_trace_in_the_log(caplog):
    made = service()

    def crash(request, report):
        raise RuntimeError("secret path /home/me/weights")

    made.generator.generate = crash
    with listening(made) as there, caplog.at_level(logging.ERROR, logger="stickgen.service"):
        status, _, data = ask(there, "POST", "/v1/generate", {"prompt": "a", "seconds": 1}, x_request_id="q1")
        assert status == 500 and b"secret" not in data and b"q1" in data
        made.health = crash
        assert ask(there, "GET", "/health")[0] == 500
    assert "secret path" in caplog.text


def test_finished_jobs_are_forgotten_by_number_and_by_size():
    jobs = Jobs(4, 3, 100, size_of=len)
    done = [jobs.submit(str(n), lambda report: "x" * 10, 10) for n in range(4)]
    for job in done:
        job.outcome.result(5)
    time.sleep(0.05)
    with pytest.raises(Refusal):
        jobs.find("0")
    assert jobs.find("3").outcome.result() == "x" * 10
    jobs.submit("big", lambda report: "x" * 99, 10).outcome.result(5)
    time.sleep(0.05)
    with pytest.raises(Refusal):
        jobs.find("3")
    jobs.close()
    with pytest.raises(Refusal, match="shutting down"):
        jobs.submit("late", lambda report: "", 1)


def test_the_serverless_handler_answers_like_the_service():
    made = service()
    handler = handler_for(made)
    with contextlib.closing(made), listening(service()) as there:
        found = handler({"id": "e1", "input": {"prompt": "walk", "seconds": 1, "seed": 4}})
        video = handler({"id": "e2", "input": {"prompt": "walk", "seconds": 1, "seed": 4, "format": "mp4"}})
        assert found["results"][0]["motion"] == generate(there, prompt="walk", seed=4)[2]["results"][0]["motion"]
        assert base64.b64decode(video["mp4_base64"]) == generate(there, prompt="walk", seed=4, format="mp4")[2]
    for event in ({}, {"input": None}, {"input": {"prompt": "a", "seconds": 1e9}}, {"input": {"prompt": 4}, "id": 7}):
        assert handler(event)["error"]["code"] == "invalid"

# SPDX-License-Identifier: MIT
"""dps-service with several processes on one port, and what it says about itself: what they share, how they end, and the
metrics listener."""
import json
import os
import re
import signal
import time

from server_harness import API, Service, endorsement_key, enroll, owner_token, register, request
from tap import check, same
from waiting import children_of, is_running, wait_until

WORKERS = 3
CHALLENGES = 6  # a minute, for one device
SRK = ("ARoAAQALAAMEcgAAAAYAgABDABAIAAAAAAABALBwvWq8bE4bVwtsnKA18gHzKrlrXUd2XBTmCSsDtPIVhEmQwPYP1bGhbSEApmiTGVVuMb9C"
       "uzMGs4adm/V9lrbvHc44BMzMbdGnD6bustn96Otp+MhlQb5dEcmdHgZHnEFlRPoCqU3xWjO1rvsXIJyaajHweaz2zxTwVP5NPn2V9jTOMT0g"
       "cAyKRt2IkDxrkgXULgqMN2spZGg3vSF61Y7dKVWQltjlhjjUGa4u4uDMMHtBDJhvXfG87Q2vlwdhnWpdyjR7F82PktkarLxjBKDc0ueHqlGD"
       "jQTAek1b7etPXa9Tj7Jigv7v+UKMHxji/pGBFiMZy/O2VZXSw+qNFL0=")


def await_another(s, worker):
    """A worker that was started in place of this one."""
    def is_replaced():
        workers = children_of(s.process.pid)
        return len(workers) == WORKERS and worker not in workers
    wait_until(is_replaced, "another worker")


def challenge(client, id="dev-1", headers=""):
    body = json.dumps({"registrationId": id, "tpm": {"endorsementKey": endorsement_key(), "storageRootKey": SRK}})
    return client.get(register(id), "PUT", body, "Content-Type: application/json\r\n" + headers)


def used_up(rate, ask, admitted=401, refusals=1):
    """Ask until it was refused so often. A bucket of a minute's requests takes one more after each minute / rate, so no
    number is the right one for every machine, but no more come through than there was time for.
    Returns: how many were admitted, and the last answer."""
    begin, statuses = time.monotonic(), []
    while statuses.count(429) < refusals:
        answer = ask()
        statuses.append(answer[0])
        check(answer[0] in (admitted, 429), answer)
        count = statuses.count(admitted)
        most = rate + (time.monotonic() - begin + 1) * rate / 60  # 1: the service counts whole seconds
        check(count <= most, f"{count} were admitted, by a rate of {rate}, after {time.monotonic() - begin:.1f} s")
    check(statuses[:rate] == [admitted] * rate, f"a rate of {rate}: {statuses}")
    check(0 < int(answer[1]["retry-after"]) <= 60 / rate, f"Retry-After of {answer}")
    return count, answer


def test_processes(s):
    """as many processes as were asked for, all of them serve, and the ready line says so"""
    same(len(children_of(s.process.pid)), WORKERS, "processes")
    wait_until(lambda: f"{WORKERS} workers" in s.read("out"), "the ready line does not say how many")
    for _ in range(3 * WORKERS):
        client = s.tls()
        same(client.get("/nowhere")[0], 404, "status")
        client.close()
    same(s.sample("dps_workers_ready"), WORKERS, "workers that are ready")


def test_session_shared(s):
    """a TLS session made by one process is resumed by the others"""
    first = s.tls()
    first.get("/nowhere")
    session = first.sock.session
    for _ in range(4 * WORKERS):
        client = s.tls(session)
        client.get("/nowhere")
        check(client.sock.session_reused, "a process did not know the session")
        client.close()


def test_killed(s):
    """a process that is killed is restarted, and clients hardly notice"""
    before = children_of(s.process.pid)
    os.kill(before[0], signal.SIGKILL)
    for _ in range(20):
        client = s.plain()
        same(client.get("/nowhere")[0], 404, "status")
        client.close()
    await_another(s, before[0])
    s.wait_log("was killed by signal 9; it is restarted")
    wait_until(lambda: s.sample("dps_workers_ready") == WORKERS, "the new one is not ready")
    check(s.sample("dps_workers_restarted_total") > 0, "restarts are not counted")


def test_reload(s):
    """SIGHUP reaches all processes"""
    before = s.read("log").count("event=reloaded")
    s.process.send_signal(signal.SIGHUP)
    wait_until(lambda: s.read("log").count("event=reloaded") == before + WORKERS, "not all have reloaded")


def enrolled(s, token):
    """What every process answers to a management token."""
    return {s.plain().get(f"/enrollments/nobody?{API}", headers=f"Authorization: {token}\r\n")[0]
            for _ in range(6 * WORKERS)}


def begin_again(s):
    """Kill a process and wait for the one that is started in its place."""
    before = children_of(s.process.pid)
    os.kill(before[0], signal.SIGKILL)
    await_another(s, before[0])
    wait_until(lambda: s.sample("dps_workers_ready") == WORKERS, "the new one is not ready")


def test_last_good(s):
    """a process that is restarted has what the others have, whatever has become of the files"""
    files = {name: s.read(name) for name in ("policies.json", "secret", "cert.pem", "key.pem")}
    token = owner_token(s)
    other = files["policies.json"].replace(json.loads(files["policies.json"])["policies"][0]["primaryKey"], "QUJD" * 11)
    for policies, secret in (("{", "no secret"), (None, None), (other, files["secret"])):
        for name, text in (("policies.json", policies), ("secret", secret)):
            if text is None:
                os.unlink(s.path(name))
            else:
                s.write(name, text)
        if policies != other:  # those that are good, but were never announced by a SIGHUP
            s.hang_up("not reloaded")
        begin_again(s)
        same(enrolled(s, token), {404}, "answers")
    same(s.tls().get("/nowhere")[0], 404, "status")
    s.process.send_signal(signal.SIGHUP)
    wait_until(lambda: enrolled(s, owner_token(s)) == {404}, "the new policies do not count everywhere")
    for name, text in files.items():
        s.write(name, text)
    s.process.send_signal(signal.SIGHUP)
    wait_until(lambda: enrolled(s, token) == {404}, "the old policies do not count everywhere")


def test_said_once(s):
    """which files were made and where it listens is said once, before anything is served"""
    lines = s.read("out").splitlines()
    same([line.split()[1] for line in lines], ["made", "made", "listening"], "standard output")


def test_alarms_begin_at_zero():
    """every errorCode that an alarm or a dashboard names has a number from the start"""
    names = set()
    for name in ("OPERATIONS.md", "grafana.json"):
        with open(os.path.join("port/posix/deploy", name), encoding="utf-8") as f:
            text = f.read().replace("\\", "")
        names |= {f'{metric}{{code="{code}"}}' for metric, code in re.findall(r'(dps_\w+)\{[^}]*code="(\d+)"', text)}
        names |= set(re.findall(r"dps_(?:store_failures|workers_restarted)_total\b", text))
    check(len(names) > 5, f"only {names} are named")
    with Service("--metrics", "127.0.0.1:0") as s:
        for name in sorted(names):
            same(s.sample(name), 0, name)


def test_stop_delay():
    """SIGTERM: /readyz says so before the listeners close; new connections are answered meanwhile, and then closed"""
    s = Service("--workers", "2", "--metrics", "127.0.0.1:0", timeouts="stop=600000")
    kept = s.plain()
    same(kept.get("/nowhere")[1]["connection"], "keep-alive", "Connection")
    same(s.metrics("/readyz")[0], 200, "readyz")
    s.process.send_signal(signal.SIGTERM)
    wait_until(lambda: s.read("log").count("event=stopping") == 2, "not both processes say that they stop")
    for _ in range(6):
        same(s.metrics("/readyz")[::2], (503, "stopping\n"), "readyz")
        same(s.metrics("/healthz")[0], 200, "healthz")
        client = s.tls()
        status, headers, _ = client.get("/nowhere")
        same((status, headers["connection"]), (404, "close"), "a new connection")
        client.close()
    same(kept.get("/nowhere")[1]["connection"], "close", "Connection")
    same(s.stop(), 0, "exit code after a second SIGTERM")


def test_limits_shared(s):
    """the limits hold for all processes together: by device, and by client address as the proxy tells it"""
    same(enroll(s, s.plain())[0], 200, "enrolled")

    def ask():
        client = s.plain()
        answer = challenge(client)
        client.close()
        return answer
    count, _ = used_up(CHALLENGES, ask, refusals=4)
    same(s.sample("dps_challenges_total"), count, "challenges of all processes")


def test_client_limit():
    """the last address in X-Forwarded-For has a limit of its own"""
    s = Service("--client-rate", "3", "--challenge-rate", "0", "--metrics", "127.0.0.1:0")
    try:
        client = s.plain()
        same(enroll(s, client)[0], 200, "enrolled")
        count = 0
        for address in ("192.0.2.1", "192.0.2.2"):
            header = f"X-Forwarded-For: 198.51.100.7, {address}\r\n"
            count += used_up(3, lambda header=header: challenge(client, headers=header), refusals=2)[0]
        s.wait_log("client=192.0.2.2")
        s.wait_log("ek=")
        same(s.sample('dps_answers_total{code="429001"}'), 4, "refused by rate")
        same(s.sample("dps_challenges_total"), count, "challenges")
        same(s.stop(), 0, "exit code")
    finally:
        s.stop()


# What proxies write, and for which client, as the log names it, the request counts. None: the proxy itself.
FORWARDED = [
    (["198.51.100.7, 192.0.2.9"], "192.0.2.9"),
    (["198.51.100.7", "192.0.2.9"], "192.0.2.9"),     # HAProxy adds a header of its own
    (["192.0.2.9:4711"], "192.0.2.9"),
    (["192.0.2.9 "], "192.0.2.9"),
    (["::ffff:192.0.2.9"], "192.0.2.9"),
    (["[::ffff:192.0.2.9]:80"], "192.0.2.9"),
    (["2001:DB8::1"], "2001:db8::1"),
    (["[2001:db8::2]:443"], "2001:db8::2"),           # of one /64: one client
    (["2001:db8::3%eth0"], "2001:db8::3"),
    (["unknown"], None),
    (["192.0.2.9, " + "1" * 200], None),
    ([""], None),
    ([], None),
]


def clients_in(s, since):
    """From the lines of the log, each of which is written as a whole."""
    return re.findall(r"client=\"?([^\s\"]+)", s.read("log")[since:])


def test_forwarded():
    """each request counts for its own client: a port, a zone, the end of an IPv6 address do not make another client"""
    s = Service("--client-rate", "1", "--challenge-rate", "0")
    try:
        client = s.plain()
        same(enroll(s, client)[0], 200, "enrolled")
        statuses, before, begin = {}, 0, time.monotonic()
        for number, (headers, name) in enumerate(FORWARDED):
            lines = "".join(f"X-Forwarded-For: {value}\r\n" for value in headers)
            share = "2001:db8::/64" if name and ":" in name else name
            # On one connection, after another client's request, which has its line before ours is sent: the log is
            # written after the answer. So few lines are below its limits.
            other = f"203.0.113.{number}"
            challenge(client, headers=f"X-Forwarded-For: {other}\r\n")
            wait_until(lambda: clients_in(s, before)[-1:] == [other], f"{other} is not in the log")
            before = len(s.read("log"))
            statuses.setdefault(share, []).append(challenge(client, headers=lines)[0])
            wait_until(lambda: clients_in(s, before), f"{headers} is not in the log")
            same(clients_in(s, before), [name or "127.0.0.1"], f"client of {headers} in the log")
        minutes = 1 + (time.monotonic() - begin + 1) // 60
        for share, got in statuses.items():
            check(got[0] == 401 and set(got) <= {401, 429} and got.count(401) <= minutes, f"{share}: {got}")
        same(s.stop(), 0, "exit code")
    finally:
        s.stop()


def test_management_limit():
    """management requests are limited for each client address, and only authorized ones count"""
    s = Service("--management-rate", "4", "--client-rate", "1000")
    try:
        client, auth = s.plain(), f"Authorization: {owner_token(s)}\r\n"
        same([client.get(f"/enrollments/dev-1?{API}")[0] for _ in range(20)], [401] * 20, "without a token")
        used_up(4, lambda: client.get(f"/enrollments/query?{API}", "POST", '{"query":"SELECT *"}', auth), 200, 3)
        other = "X-Forwarded-For: 192.0.2.1\r\n"
        same(client.get(f"/enrollments/dev-1?{API}", "GET", "", other + auth)[0], 404, "another client")
        same(s.stop(), 0, "exit code")
    finally:
        s.stop()


def test_metrics(s):
    """/metrics has the form of Prometheus: types, growing buckets, counts that agree"""
    status, headers, text = s.metrics()
    same(status, 200, "status")
    check(headers["content-type"].startswith("text/plain; version=0.0.4"), headers)
    sample_form = re.compile(r"^[a-z_]+(\{[a-z]+=\"[^\"]*\"(,[a-z]+=\"[^\"]*\")*\}|\{\})? [0-9.]+$")
    for line in text.splitlines():
        check(line.startswith("# ") or sample_form.match(line), f"not a sample: {line}")
    for route in ("register", "enrollments", "hub"):
        form = rf'dps_answer_seconds_bucket\{{route="{route}",le="[^"]+"\}} (\d+)'
        buckets = [int(n) for n in re.findall(form, text)]
        count = int(re.search(rf'dps_answer_seconds_count\{{route="{route}"\}} (\d+)', text).group(1))
        check(buckets == sorted(buckets) and len(buckets) == 13 and buckets[-1] == count, f"{route}: {buckets} {count}")
    with open("VERSION", encoding="utf-8") as f:
        same(s.sample(f'dps_build_info{{version="{f.read().strip()}"}}'), 1, "the version")


def test_health(s):
    """/healthz and /readyz, and nothing else"""
    same(s.metrics("/healthz")[::2], (200, "alive\n"), "healthz")
    same(s.metrics("/readyz")[::2], (200, "ready\n"), "readyz")
    same(s.metrics("/enrollments")[0], 404, "anything else")
    same(s.plain().get("/metrics")[0], 404, "metrics on another listener")


def test_idle_is_slim():
    """a connection that pauses gives its buffers back, and continues where it was"""
    s = Service("--connections", "400", timeouts="idle=60000")
    try:
        def resident():
            with open(f"/proc/{s.process.pid}/status") as f:
                return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
        clients = [s.tls() for _ in range(200)]
        begun, rest = request("/nowhere").split("\r\n", 1)
        for client in clients:  # has had an answer, and has begun to ask again: it does not pause
            client.send(request("/nowhere") + begun)
            same(client.answer()[0], 404, "status")
        busy = resident()
        for client in clients:
            client.send("\r\n" + rest)
            same(client.answer()[0], 404, "status")
        wait_until(lambda: busy - resident() > 8 * len(clients), f"{busy} KiB with 200 connections, and no less later")
        print(f"# {(busy - resident()) / len(clients):.0f} KiB given back by each idle connection")
        for client in clients:
            same(client.get("/nowhere")[0], 404, "status after the pause")
        same(s.stop(), 0, "exit code")
    finally:
        s.stop()


def test_orphans():
    """when the watching process is killed, no other stays behind on the port"""
    s = Service("--workers", "2")
    pids = children_of(s.process.pid)
    s.process.kill()
    s.process.wait()
    wait_until(lambda: not any(is_running(pid) for pid in pids), "a process has stayed")


def refused(s):
    try:
        s.raw(s.plain_port).close()
    except ConnectionError:
        return True
    return False


def test_drain(s):
    """SIGTERM: requests in flight are finished, the port is closed, all processes end, exit code 0"""
    slow = s.plain()
    slow.get("/nowhere")
    slow.send("GET /nowhere HTTP/1.1\r\nHost: x\r\n")
    pids = children_of(s.process.pid)
    s.process.send_signal(signal.SIGTERM)
    wait_until(lambda: s.read("log").count("no new connections") == WORKERS, "not all of them are stopping")
    wait_until(lambda: refused(s), "the port still takes connections")
    slow.send("\r\n")
    same(slow.answer()[0], 404, "the request in flight")
    same(s.stop(), 0, "exit code")
    check(not any(os.path.exists(f"/proc/{pid}") for pid in pids), "a process has stayed")


def test_json_from_the_start():
    """with --log json every line of a start, of a process that dies and of a start that fails is one object"""
    s = Service("--workers", "2", "--log", "json", "--metrics", "127.0.0.1:0", "--proxy-listen", "0.0.0.0:0")
    os.kill(children_of(s.process.pid)[0], signal.SIGKILL)
    s.wait_log("was killed by signal 9")
    s.write("secret", "none")
    s.hang_up("not reloaded")
    same(s.stop(), 0, "exit code")
    code, text = Service("--log", "json", "--connections", "0", start=False).fail_to_start()
    same(code, 2, "exit code")
    for line in (s.read("out") + s.read("log") + text).splitlines():
        event = json.loads(line)
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"]), line)
        check(event["level"] in ("info", "warn", "error") and event["event"], line)
    check("warning: --proxy-listen" in s.read("log"), "no warning")


def test_refused():
    """options that cannot work are refused at the start"""
    s = Service("--workers", "2", start=False, store="memory:")
    code, text = s.fail_to_start()
    check(code == 2 and "belongs to one process" in text, (code, text))
    s = Service("--workers", "2", start=False, store="sqlite:/nonexistent/dps.db")
    code, text = s.fail_to_start()
    check(code == 5 and "cannot make the store" in text, (code, text))
    s = Service("--workers", "2", "--port-file", "/nonexistent/port", start=False)
    code, text = s.fail_to_start()
    check(code in (2, 5), (code, text))
    same(sorted(os.listdir(s.dir)), ["cert.pem", "key.pem", "log", "out"], "files after a start that failed")


def shared():
    return Service("--workers", str(WORKERS), "--metrics", "127.0.0.1:0", "--challenge-rate", str(CHALLENGES),
                   timeouts="drain=600000")

# SPDX-License-Identifier: MIT
"""Memory per connection, several workers, and what a device asks of its TPM."""
import hashlib
import os
import resource
import subprocess
import time

from bench_tools import (CORES, GENERATOR_CORE, Bench, BenchService, Load, check, figure, generator, note, on_core,
                         quiet_and_noisy, resident_kib, say, service_with_fleet, target)
from tap import Programs

IDLE = 10000
ACTIVE = 64


def part_memory():
    for crypto in ("bearssl", "openssl"):
        idle_memory(crypto)
        active_memory(crypto)


def idle_memory(crypto):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = min(IDLE, hard - 200)
    if count < IDLE:
        note(f"memory: only {count} connections, since the hard limit of open files is {hard} here")
    service = BenchService(crypto, "--connections", str(count + 100), "--client-connections", "0")
    before = resident_kib(service.pid)
    say(f"  {count} idle TLS connections")
    client = subprocess.Popen(generator("--service", service.tls_url, "--ca", service.path("cert.pem"), "--idle",
                                        str(count)), stdout=subprocess.PIPE, preexec_fn=on_core(GENERATOR_CORE))
    try:
        check(client.stdout.readline().startswith(b"idle_connections"), "the connections were not made")
        time.sleep(2.5)  # buffers are given back after a second
        idle = resident_kib(service.pid)
        check(service.metric("dps_connections") >= count, "connections were closed")
    finally:
        client.kill()
        client.wait()
    each = (idle - before) / count
    figure(f"resident_without_connections_{crypto}", before, "KiB")
    figure(f"resident_{count}_idle_connections_{crypto}", idle, "KiB")
    if crypto == "openssl":
        target("memory_idle_connection_openssl", each, "KiB", "at most 24", each <= 24)
    else:
        figure("memory_idle_connection_bearssl", each, "KiB")
    service.stop()


def active_memory(crypto):
    service = service_with_fleet(crypto)
    before = resident_kib(service.pid)
    client = subprocess.Popen(generator("--service", service.tls_url, "--ca", service.path("cert.pem"), "--mode",
                                        "keep-alive", "--clients", str(ACTIVE), "--seconds", "3"),
                              stdout=subprocess.DEVNULL, preexec_fn=on_core(GENERATOR_CORE))
    most = before
    while client.poll() is None:
        most = max(most, resident_kib(service.pid))
        time.sleep(0.1)
    figure(f"memory_active_connection_{crypto}", (most - before) / ACTIVE, "KiB")
    service.stop()


def part_workers():
    note(f"workers: {len(CORES)} cores here, which the generator shares with the service")
    services = {n: service_with_fleet("bearssl", "--workers", str(n), cores=CORES) for n in (1, 2)}
    loads = {n: [] for n in services}
    for i in range(Bench.rounds):
        say(f"  workers, round {i + 1} of {Bench.rounds}")
        for n, s in services.items():
            loads[n].append(Load(s.tls_url, s.path("cert.pem"), "full", {"service": s.pid}, cores=CORES))
    for n in services:
        best, usual = max(load.rate for load in loads[n]), sorted(load.rate for load in loads[n])[len(loads[n]) // 2]
        figure(f"workers_{n}_rate_quiet", best, "per_second")
        figure(f"workers_{n}_rate_noisy", usual, "per_second")
        figure(f"workers_{n}_cost_noisy", quiet_and_noisy([load.cost["service"] for load in loads[n]])[1], "us")
        figure(f"workers_{n}_generator_idle", sum(load.generator_idle for load in loads[n]) / len(loads[n]),
               "percent_of_a_core")
        figure(f"workers_{n}_service_busy", sum(load.busy["service"] for load in loads[n]) / len(loads[n]),
               "percent_of_a_core")


def part_tpm():
    """A registration of dps-device with persistent keys on swtpm (libtpms), which goes on: a start writes NV."""
    import flow_test as flow
    with Programs.use(Bench.builds["bearssl"], "bench-"):
        bench = flow.Bench()
        device = flow.Device("swtpm-unix")
        bench.enroll(device, "device-1")
        device.run("own", "--persist")
        bench.register(device, "device-1")
        before = contents(device.path("tpm"))
        trace = flow.trace_of(bench.register(device, "device-1", "--trace=json"))
        same = contents(device.path("tpm")) == before
    commands = [m for m in trace if m["kind"] == "tpm-command"]
    writes = [m["name"] for m in commands if m["name"] in ("TPM2_EvictControl", "TPM2_NV_Write", "TPM2_NV_DefineSpace")]
    target("tpm_commands_per_registration", len(commands), "count", "fewer than both SDKs", len(commands) < 27)
    figure("tpm_command_bytes_per_registration", sum(m["len"] for m in commands), "bytes")
    figure("tpm_response_bytes_per_registration", sum(m["len"] for m in trace if m["kind"] == "tpm-response"), "bytes")
    target("tpm_nv_write_commands_per_registration", len(writes), "count", "0", not writes)
    target("tpm_nv_files_changed", 0 if same else 1, "count", "0", same)
    figure("tpm_commands_azure_c_sdk", 32, "count")
    figure("tpm_commands_azure_node_sdk", 27, "count")
    note("tpm: the SDKs' counts are from their sources, with persistent keys: azure-iot-sdk-c hsm_client_tpm.c (and "
         "utpm), which opens the TPM twice and persists keys with EvictControl; azure-iot-sdk-node "
         "security/tpm/src/tpm.ts")


def contents(path):
    """Digest of each file below."""
    found = {}
    for folder, _, names in os.walk(path):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                found[name] = hashlib.sha256(f.read()).hexdigest()
    return found

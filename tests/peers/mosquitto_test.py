# SPDX-License-Identifier: MIT
"""dps-device and mosquitto, a broker that is not ours, as its hub. Whom it admits, our service says: a plugin passes
each user name and token on to this script, which shows the token to the hub over HTTPS. Needs mosquitto,
mosquitto-dev, mosquitto-clients."""

import getpass
import os
import socket
import subprocess
import threading

from harness import run, write_file
from link_harness import SIGNALS, Connected
from mqtt_harness import Hub
from server_harness import API
from tap import Programs, check, same
from waiting import PATIENCE, end_listening, wait_until

OBSERVER = ("observer", "observer", "observer")  # a client of these tests, which is no device


class Judge:
    """Says the plugin who may connect."""

    def __init__(self, hub, path):
        self.hub, self.path = hub, path
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.serve, daemon=True).start()
        Programs.cleanup.callback(end_listening, self.listener)

    def serve(self):
        while True:
            try:
                asker, _ = self.listener.accept()
            except OSError:
                return
            with asker:
                text = b""
                while text.count(b"\n") < 3:
                    text += asker.recv(4096)
                asker.sendall(b"1" if self.admits(*text.decode().split("\n")[:3]) else b"0")

    def admits(self, client, user, password):
        if (client, user, password) == OBSERVER:
            return True
        if not user.startswith(f"{self.hub.hub}/{client}/"):
            return False
        https = self.hub.service.tls()
        https.send(f"POST /devices/{client}/messages/events?{API} HTTP/1.1\r\nHost: {self.hub.hub}\r\n"
                   f"Authorization: {password}\r\nContent-Length: 2\r\n\r\n{{}}")
        status = https.answer()[0]
        https.close()
        return status == 204


class Broker(Hub):
    def __init__(self):
        super().__init__()
        directory = Programs.directory()
        plugin, place = os.path.join(directory, "plugin.so"), os.path.join(directory, "judge")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", plugin, "tests/peers/mosquitto_plugin.c"], check=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.configuration = write_file(os.path.join(directory, "conf"), (
            f"user {getpass.getuser()}\nlistener {self.port} 127.0.0.1\nallow_anonymous false\n"
            f"certfile {self.bench.path('cert.pem')}\nkeyfile {self.bench.path('key.pem')}\n"
            f"plugin {plugin}\nplugin_opt_socket {place}\n"))
        self.log_path = os.path.join(directory, "log")
        self.judge = Judge(self, place)
        self.start()
        Programs.cleanup.callback(self.stop)

    def start(self):
        with open(self.log_path, "a") as log:
            self.broker = subprocess.Popen(["/usr/sbin/mosquitto", "-v", "-c", self.configuration], stderr=log)

        def answers():
            check(self.broker.poll() is None, "mosquitto ended: " + open(self.log_path).read())
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", self.port)) == 0
        wait_until(answers, "mosquitto listens")

    def stop(self):
        self.broker.terminate()
        self.broker.wait(PATIENCE)

    def observer(self, program, *options):
        return [program, "-h", "localhost", "-p", str(self.port), "--cafile", self.bench.path("ca.pem"),
                "-V", "mqttv311", "-i", OBSERVER[0], "-u", OBSERVER[1], "-P", OBSERVER[2], *options]

    def log(self):
        with open(self.log_path, encoding="utf-8") as f:
            return f.read()

    def heard(self, act, count):
        """What reaches the hub meanwhile: topic and payload of so many messages."""
        before = len(self.log())
        listener = subprocess.Popen(self.observer("mosquitto_sub", "-q", "1", "-t", "devices/boiler/messages/events/#",
                                                  "-v", "-C", str(count)), stdout=subprocess.PIPE, text=True)
        wait_until(lambda: f"Sending SUBACK to {OBSERVER[0]}" in self.log()[before:], "the observer listens")
        act()
        return listener.communicate(timeout=PATIENCE)[0].splitlines()

    def tell(self, text, properties="%24.mid=1"):
        run(*self.observer("mosquitto_pub", "-q", "1", "-t", f"devices/boiler/messages/devicebound/{properties}",
                           "-m", text))

    def send(self, *options, **expected):
        return self.bench.send(self.device, "--mqtt", "--connect-to", f"localhost:{self.port}", *options, **expected)


def shared():
    return Broker()


def test_send(hub):
    """send --mqtt reaches those who listen to mosquitto"""
    same(hub.heard(lambda: hub.send("--message", "21"), 1), ["devices/boiler/messages/events/ 21"], "messages")


def test_refused(hub):
    """a token that our hub refuses is refused by mosquitto"""
    hub.bench.admin("disable", "boiler")
    hub.send(status=1, says="(CONNACK 5)")
    hub.bench.admin("enable", "boiler")
    hub.send()


def test_both_ways(hub):
    """connect: lines arrive, messages are printed"""
    device = Connected(hub)
    device.says("connected to hub")
    lines = hub.heard(lambda: device.write("one\ntwo\n"), 2)
    same(lines, [f"devices/boiler/messages/events/ {text}" for text in ("one", "two")], "messages")
    for i in range(30):
        hub.tell(f"turn {i}")
    device.prints("turn 29\n")
    same(device.text(device.out).splitlines(), [f"turn {i}" for i in range(30)], "lines")
    check("messages sent: 2, received: 30" in device.ends(), "counts")


def test_away(hub):
    """what is sent while the device is away waits for it, and comes once"""
    hub.send()  # without a subscription: it leaves them alone
    hub.tell("while away")
    hub.send()
    for wanted in ("while away\n", ""):
        device = Connected(hub)
        device.says("connected to hub")
        device.prints(wanted)
        hub.heard(lambda: device.write("here\n"), 1)  # pylint: disable=cell-var-from-loop
        device.ends(0, SIGNALS[0])
        same(device.text(device.out), wanted, "lines")


def test_restart(hub):
    """connect: mosquitto goes and comes back"""
    device = Connected(hub)
    device.says("connected to hub")
    hub.stop()
    device.says("connecting again in ")
    hub.start()
    lines = hub.heard(lambda: device.write("after\n"), 1)
    same(lines, ["devices/boiler/messages/events/ after"], "messages")
    hub.tell("still there")
    device.prints("still there\n")
    device.ends()


def test_alive(hub):
    """connect: signs of life are answered"""
    device = Connected(hub, "--keep-alive", "1", "--verbose")
    device.says("MQTT PINGRESP", 3)
    check("connecting again" not in device.ends(), "the connection was lost")

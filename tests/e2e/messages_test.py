# SPDX-License-Identifier: MIT
"""Messages to devices: dps-admin message, and other people's MQTT clients that get them. Needs mosquitto-clients and
python3-paho-mqtt."""

import base64
import json
import re
import struct
import urllib.parse

from harness import write_file
from mqtt_harness import PING, PONG, Hub, Paho, packet, publish, text
from tap import check, same
from waiting import wait_until

FILTER = "devices/boiler/messages/devicebound/#"
AT_MOST = 8  # sent, and not acknowledged


def shared():
    return Hub("--metrics", "127.0.0.1:0", "--websocket", "--management-rate", "0", "--challenge-rate", "0",
               "--client-rate", "0")


def subscribe(client, qos=1, packet_id=1, topic=FILTER):
    client.send(packet(0x82, struct.pack(">H", packet_id) + text(topic) + bytes([qos])))
    same(client.take(5), b"\x90\x03" + struct.pack(">H", packet_id) + bytes([qos]), "SUBACK")


def take_packet(client):
    """The next packet: its first byte and its body."""
    first, length, shift = client.take(1)[0], 0, 0
    while True:
        byte = client.take(1)[0]
        length += (byte & 127) << shift
        shift += 7
        if byte < 128:
            return first, client.take(length)


def take_message(client, qos=1):
    """The next PUBLISH: its packet identifier, topic and content."""
    first, body = take_packet(client)
    same(first, 0x30 + 2 * qos, "PUBLISH")
    size, = struct.unpack(">H", body[:2])
    topic, rest = body[2:2 + size].decode(), body[2 + size:]
    number = struct.unpack(">H", rest[:2])[0] if qos else 0
    return number, topic, rest[2 * qos:].decode("latin-1")


def puback(client, number):
    client.send(b"\x40\x02" + struct.pack(">H", number))


def nothing_more(client):
    client.send(PING)
    same(client.take(2), PONG, "PINGRESP, and no message")


def queue(hub, *texts, name="boiler", options=()):
    for content in texts:
        hub.bench.admin("message", name, content, *options)


def waiting(hub):
    """Is there a queue in the store?"""
    return any("/messages/" in line for line in hub.bench.dump())


def take_all(hub, count):
    """Empty the queue."""
    client = hub.connected()
    subscribe(client)
    for _ in range(count):
        puback(client, take_message(client)[0])
    nothing_more(client)
    client.sock.close()
    check(not waiting(hub), "a queue is left")


def test_order(hub):
    """they come in order, once each, when the device begins to listen, and leave the queue when acknowledged"""
    queue(hub, "one", "two", "three")
    client = hub.connected()
    nothing_more(client)
    subscribe(client)
    got = [take_message(client) for _ in range(3)]
    same([content for _, _, content in got], ["one", "two", "three"], "contents")
    same(len({number for number, _, _ in got}), 3, "packet identifiers")
    nothing_more(client)
    for number, _, _ in reversed(got):
        puback(client, number)
    nothing_more(client)
    client.sock.close()
    client = hub.connected()
    subscribe(client)
    nothing_more(client)
    client.sock.close()
    check(not waiting(hub), "a queue is left")


def test_topic(hub):
    """the topic has the properties, percent-encoded, as IoT Hub writes them"""
    queue(hub, '{"a":1}', options=("--property", "alert=yes & no", "--property", "Gävle=", "--message-id", "m-1",
                                   "--content-type", "application/json", "--ttl", "60"))
    client = hub.connected()
    subscribe(client)
    number, topic, content = take_message(client)
    puback(client, number)
    nothing_more(client)
    client.sock.close()
    same(content, '{"a":1}', "content")
    start, _, bag = topic.rpartition("/")
    same(start, "devices/boiler/messages/devicebound", "topic")
    check("alert=yes%20%26%20no" in bag and "/" not in bag and "+" not in bag, bag)
    properties = dict(urllib.parse.parse_qsl(bag, keep_blank_values=True))
    check(re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.0000000Z", properties.pop("$.exp")), "expiry")
    same(properties, {"$.mid": "m-1", "$.to": "/devices/boiler/messages/devicebound", "$.ct": "application/json",
                      "alert": "yes & no", "Gävle": ""}, "properties")


def test_while_connected(hub):
    """a device that listens gets a message at once, in the middle of nothing and of its own messages"""
    before = len(hub.log())
    client = hub.connected()
    subscribe(client)
    queue(hub, "now")
    number, _, content = take_message(client)
    same(content, "now", "content")
    puback(client, number)
    client.send(publish(hub.topic, packet_id=number))
    same(client.take(4), b"\x40\x02" + struct.pack(">H", number), "PUBACK of its own")
    client.sock.close()
    hub.says(r"answered method=POST route=registrations id=boiler status=200", before)
    hub.says(r"answered method=DELIVER route=hub id=boiler status=204", before)
    hub.says(r"answered method=PUBACK route=hub id=boiler status=204", before)
    check("bm93" not in hub.log(), "the content is in the log")


def test_again(hub):
    """what is not acknowledged comes again on the next connection, and before what came later"""
    queue(hub, "first")
    client = hub.connected()
    subscribe(client)
    same(take_message(client)[2], "first", "content")
    client.sock.close()
    queue(hub, "second")
    client = hub.connected()
    subscribe(client)
    got = [take_message(client) for _ in range(2)]
    same([content for _, _, content in got], ["first", "second"], "contents")
    # An acknowledgement of something else changes nothing.
    puback(client, 4711)
    nothing_more(client)
    for number, _, _ in got:
        puback(client, number)
    nothing_more(client)
    client.sock.close()
    check(not waiting(hub), "a queue is left")


def test_never_acknowledged(hub):
    """a device that never acknowledges gets a few, and no more; then the queue is full"""
    sent = [f"n{i}" for i in range(32)]
    queue(hub, *sent)
    refused = hub.bench.admin("message", "boiler", "one too many", status=1)
    check("403004" in refused.err, refused.err)
    client = hub.connected()
    subscribe(client)
    got = [take_message(client) for _ in range(AT_MOST)]
    nothing_more(client)
    # Each that it acknowledges makes room for one.
    while got:
        number, _, content = got.pop(0)
        same(content, sent.pop(0), "content")
        puback(client, number)
        if len(sent) >= AT_MOST:
            got.append(take_message(client))
    nothing_more(client)
    client.sock.close()
    check(not waiting(hub), "a queue is left")


def test_quality_0(hub):
    """with QoS 0 they come once, and are gone"""
    queue(hub, "a", "b")
    client = hub.connected()
    subscribe(client, qos=0)
    same([take_message(client, qos=0)[2] for _ in range(2)], ["a", "b"], "contents")
    client.sock.close()
    check(not waiting(hub), "a queue is left")


def test_unsubscribed(hub):
    """who has stopped listening gets nothing until it begins again"""
    client = hub.connected()
    subscribe(client)
    client.send(packet(0xA2, b"\0\2" + text(FILTER)))
    same(client.take(4), b"\xb0\x02\0\2", "UNSUBACK")
    queue(hub, "later")
    nothing_more(client)
    subscribe(client, packet_id=3)
    number, _, content = take_message(client)
    same(content, "later", "content")
    puback(client, number)
    nothing_more(client)
    client.sock.close()


def test_paho(hub):
    """paho, over MQTT and in WebSocket, acknowledges what it gets"""
    for websocket in (False, True):
        device = Paho(hub, websocket=websocket)
        device.client.subscribe(FILTER, 1)
        wait_until(lambda d=device: d.granted, "SUBACK")
        queue(hub, "a", "b")
        wait_until(lambda d=device: len(d.messages) == 2, "two messages")
        same([(qos, content) for _, qos, content in device.messages], [(1, b"a"), (1, b"b")], "messages")
        wait_until(lambda: not waiting(hub), "the queue is empty")
        device.send(hub.topic)
        device.stop()


def test_mosquitto_sub(hub):
    """mosquitto_sub prints what was queued before, and ends"""
    queue(hub, "hello", options=("--message-id", "m-2"))
    done = hub.mosquitto("mosquitto_sub", "-q", "1", "-C", "1", "-W", "20", "-v", "-t", FILTER)
    check(re.fullmatch(r"devices/boiler/messages/devicebound/%24\.to=%2Fdevices%2Fboiler%2Fmessages%2Fdevicebound"
                       r"&%24\.mid=m-2&%24\.exp=\S+ hello\n", done.out), done.out)
    wait_until(lambda: not waiting(hub), "the queue is empty")


def test_disabled(hub):
    """a device that is disabled gets nothing, not even what waits; enabled again, it does"""
    client = hub.connected()
    subscribe(client)
    hub.bench.admin("disable", "boiler")
    queue(hub, "while disabled")
    client.ends()
    hub.bench.admin("enable", "boiler")
    client = hub.connected()
    subscribe(client)
    number, _, content = take_message(client)
    same(content, "while disabled", "content")
    puback(client, number)
    nothing_more(client)
    client.sock.close()


def test_deleted(hub):
    """a registration takes its queue with it; without registration or enrollment there is nothing to queue for"""
    hub.hello_of("pump")
    queue(hub, "lost", name="pump")
    hub.bench.admin("registration", "delete", "pump")
    check(not waiting(hub), "a queue is left")
    refused = hub.bench.admin("message", "pump", "x", status=1)
    check("404201" in refused.err and "the device has not registered" in refused.err, refused.err)
    hub.bench.admin("delete", "pump")
    check("404201" in hub.bench.admin("message", "pump", "x", status=1).err, "deleted")
    check("404201" in hub.bench.admin("message", "nobody", "x", status=1).err, "unknown")


def test_admin(hub):
    """dps-admin message: standard input, JSON, and what is refused"""
    told = hub.bench.admin("message", "boiler", "-", input=b"\0\xff binary")
    check(re.fullmatch(r"queued for boiler: [-0-9a-f]{36}, until 20\S+Z\n", told.out), told.out)
    made = json.loads(hub.bench.admin("--format", "json", "message", "boiler", "x", "--message-id", "m\"3").out)
    same(made["messageId"], 'm"3', "messageId")
    two = ("--property", "a=" + "ä" * 128, "--property", "b=" + "ä" * 128)
    for options, status, says in ((("--property", "x"), 2, "NAME=VALUE"), (("--property", "=x"), 1, "400002"),
                                  (("--property", "$.to=x"), 1, "begins neither"), (("--ttl", "172801"), 2, "ttl"),
                                  (("--property", "IotHub-ack=x"), 1, "begins neither"),
                                  (("--message-id", "x" * 129), 1, "1 to 128"),
                                  (("--content-type", "a\nb"), 1, "1 to 128"),
                                  (two, 1, "413001")):
        check(says in hub.bench.admin("message", "boiler", "x", *options, status=status).err, f"{options}: {says}")
    check("413001" in hub.bench.admin("message", "boiler", "-", input=b"x" * 4097, status=1).err, "4097 bytes")
    # Two of them do not fit into one queue.
    large = hub.bench.admin("message", "boiler", "-", input=b"x" * 4096)
    check("queued" in large.out, "4096 bytes")
    check("403004" in hub.bench.admin("message", "boiler", "-", input=b"x" * 4096, status=1).err, "2 * 4096 bytes")
    take_all(hub, 3)


def test_rights(hub):
    """it needs the right RegistrationStatusWrite"""
    key = base64.b64encode(b"k" * 32).decode()
    path = hub.bench.path("policies.json")
    with open(path, encoding="utf-8") as file:
        old = file.read()
    policies = json.loads(old)
    rights = ["EnrollmentRead", "EnrollmentWrite", "RegistrationStatusRead"]
    policies["policies"].append({"name": "reader", "primaryKey": key, "rights": rights})
    with open(path, "w", encoding="utf-8") as file:
        json.dump(policies, file)
    hub.service.hang_up("event=reloaded")
    file = hub.bench.path("reader")
    write_file(file, f"HostName=localhost:{hub.service.tls_port};SharedAccessKeyName=reader;SharedAccessKey={key}")
    refused = hub.bench.admin("message", "boiler", "x", "--connection-string-file", file, status=1)
    check("403001" in refused.err and "RegistrationStatusWrite" in refused.err, refused.err)


def test_metrics(hub):
    """they are counted"""
    def sample(what):
        return hub.service.sample(f'dps_messages_total{{what="{what}"}}')
    before = [sample(what) for what in ("queued", "sent", "acknowledged")]
    queue(hub, "a")
    client = hub.connected()
    subscribe(client)
    number, _, _ = take_message(client)
    puback(client, number)
    nothing_more(client)
    client.sock.close()
    same([sample(what) for what in ("queued", "sent", "acknowledged")], [n + 1 for n in before], "counted")


def test_keep_alive(hub):
    """messages do not keep a session whose device is silent"""
    client = hub.connected(keep_alive=2)
    subscribe(client)
    since = len(hub.log())
    queue(hub, "a")
    number, _, _ = take_message(client)
    client.ends()
    hub.says("the device was silent", since)
    client = hub.connected()
    subscribe(client)
    again, _, content = take_message(client)
    same(content, "a", f"content, {number}")
    puback(client, again)
    nothing_more(client)
    client.sock.close()


def test_workers():
    """two processes: a message that one of them takes is delivered by the other one"""
    hub = Hub("--workers", "2")
    clients = []
    # Whichever process takes a connection and a request: of so many, some are not the same.
    for n in range(6):
        client = hub.raw()
        client.send(hub.hello_of(f"pump-{n}"))
        same(client.take(4), b"\x20\x02\x00\x00", "CONNACK")
        subscribe(client, topic=f"devices/pump-{n}/messages/devicebound/#")
        clients.append(client)
    for n, client in enumerate(clients):
        queue(hub, f"to {n}", name=f"pump-{n}")
        number, _, content = take_message(client)
        same(content, f"to {n}", "content")
        puback(client, number)
        nothing_more(client)
        client.sock.close()
    check(not waiting(hub), "a queue is left")


def test_restart():
    """a service that starts again has the queue; paho comes back, and gets it"""
    hub = Hub()
    device = Paho(hub)
    device.client.on_connect = lambda c, u, flags, rc: (device.codes.append(rc), c.subscribe(FILTER, 1))
    queue(hub, "kept")
    hub.service.stop()
    wait_until(lambda: device.ends, "paho notices")
    hub.service.options = [x if x != "127.0.0.1:0" else f"127.0.0.1:{hub.port}" for x in hub.service.options]
    hub.service.start()
    wait_until(lambda: device.messages, "the message")
    same(device.messages[0][2], b"kept", "content")
    device.stop()

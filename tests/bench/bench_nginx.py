# SPDX-License-Identifier: MIT
"""nginx on the service's core: as a web server that does nothing else, and in front of dps-service."""
import os
import socket
import subprocess
import time

from bench_tools import SERVICE_CORE, Bench, check, on_core, program

COMMON = """daemon off;
{user}worker_processes 1;
pid {dir}/pid;
error_log {dir}/errors;
worker_rlimit_nofile 16384;
events {{ worker_connections 4096; }}
http {{
access_log off;
keepalive_requests 100000000;
client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
{server}
}}
"""
PAGES = """ssl_certificate {cert}; ssl_certificate_key {key}; ssl_protocols TLSv1.2;
ssl_session_cache shared:bench:10m; ssl_session_tickets off;
server {{ listen 127.0.0.1:{tls} ssl; location / {{ return 200 "ok\\n"; }} }}
server {{ listen 127.0.0.1:{plain}; location / {{ return 200 "ok\\n"; }} }}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nginx:
    def __init__(self, service, front):
        """front: the configuration that is offered for dps-service; otherwise pages of three bytes."""
        self.dir, self.service = Bench.directory(), service
        self.tls_port, self.plain_port = free_port(), free_port()
        text = self.front() if front else PAGES.format(cert=service.path("cert.pem"), key=service.path("key.pem"),
                                                       tls=self.tls_port, plain=self.plain_port)
        path = os.path.join(self.dir, "nginx.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(COMMON.format(dir=self.dir, server=text, user="" if os.getuid() else "user root;\n"))
        self.process = subprocess.Popen([program("nginx"), "-p", self.dir, "-c", path], stderr=subprocess.DEVNULL,
                                        preexec_fn=on_core(SERVICE_CORE))
        Bench.cleanup.callback(self.stop)
        for _ in range(500):
            check(self.process.poll() is None, "nginx does not start")
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.tls_port)) == 0:
                    return
            time.sleep(0.01)
        check(False, "nginx does not answer")

    def front(self):
        with open("port/posix/deploy/nginx.conf", encoding="utf-8") as f:
            text = f.read()
        for old, new in {"127.0.0.1:8080": f"127.0.0.1:{self.service.plain_port}",
                         "listen 443": f"listen 127.0.0.1:{self.tls_port}", "dps.example": "localhost",
                         "/etc/dps-service/cert.pem": self.service.path("cert.pem"),
                         "/etc/dps-service/key.pem": self.service.path("key.pem")}.items():
            check(old in text, f"nginx.conf has no {old!r}")
            text = text.replace(old, new)
        return text

    @property
    def tls_url(self):
        return f"https://localhost:{self.tls_port}"

    @property
    def plain_url(self):
        return f"http://localhost:{self.plain_port}"

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

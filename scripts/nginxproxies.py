"""Nginx in front of a server, set up in the ways in which people set it up, right and wrong."""

import socket
import subprocess
import time
from pathlib import Path

# As Nginx Proxy Manager writes it; without its port in Host.
HEADERS = """
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-Scheme $scheme;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Real-IP $remote_addr;"""
SOCKETS = """
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;"""


class Proxies:
    """Listens on `ports`: with everything, without WebSockets, and speaking plain HTTP to the server."""

    def __init__(self, server, folder, ports=(9443, 9444, 9445)):
        self.server, self.folder, self.ports = server, Path(folder) / "nginx", ports
        self.folder.mkdir()
        self.urls = [f"https://localhost:{port}" for port in ports]

    def configuration(self):
        server, tls = self.server, self.server.folder / "data" / "tls"
        encrypted, plain = f"https://{server.address}:{server.https}", f"http://{server.address}:{server.plain}"
        ways = [(encrypted, HEADERS + SOCKETS), (encrypted, HEADERS), (plain, HEADERS)]
        servers = "".join(
            f"""
  server {{
    listen 127.0.0.1:{port} ssl;
    location / {{
      proxy_pass {target};{headers}
    }}
  }}"""
            for port, (target, headers) in zip(self.ports, ways, strict=True)
        )
        temporary = "".join(
            f"  {kind}_temp_path {self.folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        return f"""pid {self.folder}/pid;
error_log {self.folder}/error.log;
daemon off;
events {{}}
http {{
  access_log off;
{temporary}  map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
  ssl_certificate {tls}/leaf.pem;
  ssl_certificate_key {tls}/leaf.key;{servers}
}}
"""

    def __enter__(self):
        file = self.folder / "nginx.conf"
        file.write_text(self.configuration())
        self.process = subprocess.Popen(
            ["/usr/sbin/nginx", "-e", self.folder / "error.log", "-c", file],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.ports[-1]), timeout=1).close()
                return self
            except OSError:
                time.sleep(0.05)
        self.__exit__()
        raise RuntimeError(f"nginx does not listen: {(self.folder / 'error.log').read_text(errors='replace')[-500:]}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)

"""nginx's mail proxy; its question "which store?" is answered by a map in the same nginx.

So it looks nothing up at all: what it costs is the least that nginx can cost.
"""

from __future__ import annotations

from benchmarks.peers.contract import Peer, Site, counted, is_root, package_version
from benchmarks.processes import Command

_MAIN = """load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
%(user)s
worker_processes %(workers)d;
pid %(folder)s/pid;
error_log %(folder)s/log error;
events { worker_connections 40000; }

mail {
    server_name mail.example.org;
    auth_http 127.0.0.1:%(asked)d/;
    proxy_pass_error_message on;
    proxy_smtp_auth on;
    xclient off;
    ssl_certificate %(certificate)s;
    ssl_certificate_key %(key)s;
    ssl_protocols TLSv1.3;
%(servers)s}

http {
    access_log off;
%(temporary)s
    map $http_auth_user $store { default 2; "~^u[0-9]*[02468]@" 1; }
    map $http_auth_protocol:$store $store_port {
%(stores)s    }
    server {
        listen 127.0.0.1:%(asked)d backlog=4096;
        location / {
            add_header Auth-Status OK;
            add_header Auth-Server 127.0.0.1;
            add_header Auth-Port $store_port;
            return 204;
        }
    }
}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx(Peer):
    """nginx with one worker, or with more."""

    packages = ("nginx", "libnginx-mod-mail")
    more_ports = ("asked",)

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self.name = "nginx" if workers == 1 else f"nginx-{workers}"
        self.note = f"{counted(workers, 'worker')}, asking a map in the same nginx: no look-up"

    def version(self) -> str:
        """See Peer."""
        return package_version("nginx")

    def prepare(self, site: Site) -> list[Command]:
        """See Peer."""
        servers = stores = ""
        for service in self.services:
            tls = " ssl" if service.endswith("s") else ""
            protocol = service.removesuffix("s")
            listens = f"127.0.0.1:{site.ports[service]}{tls} backlog=4096"
            servers += f"    server {{ listen {listens}; protocol {protocol}; }}\n"
        for protocol in ("imap", "pop3", "smtp"):
            for store in (1, 2):
                stores += f"        {protocol}:{store} {site.store_port(store, protocol)};\n"
        path = site.write(
            "nginx.conf",
            _MAIN
            % {
                "user": "user nobody nogroup;" if is_root() else "",
                "workers": self.workers,
                "folder": site.folder,
                "asked": site.ports["asked"],
                "certificate": site.certificate,
                "key": site.key,
                "servers": servers,
                "stores": stores,
                "temporary": "\n".join(
                    f"    {name}_temp_path {site.folder}/{name};" for name in _TEMPORARY
                ),
            },
        )
        return [["/usr/sbin/nginx", "-e", site.folder / "log", "-c", path]]

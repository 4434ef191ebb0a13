"""How each real server of the fake LAN is started: one function per `kind` of hosts.toml.

A function gets the lab, the host, its services of that kind and an empty folder. It starts the server in the host's
namespace with `lab.spawn` and writes what it needs into the folder. No server touches a file outside it, and none
lets anybody in.
"""

import json
import os
import pwd
import shutil
import subprocess
from html import escape
from pathlib import Path

KINDS = {}


def kind(function):
    KINDS[function.__name__] = function
    return function


def run(*argv, **more):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **more)


def as_user(name, argv):
    """The same command without root, for servers that refuse it."""
    user = pwd.getpwnam(name)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *argv]


def own(folder, name):
    user = pwd.getpwnam(name)
    os.chown(folder, user.pw_uid, user.pw_gid)


def certificate(folder, host, service):
    """A certificate of the host's own, as appliances make one: self-signed."""
    cert, key = folder / f"{service['port']}.crt", folder / f"{service['port']}.key"
    name = service.get("cn", f"{host['name']}.lab.home.arpa")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run("openssl", "req", "-x509", *curve, "-nodes", "-days", "365", "-subj", f"/O=Fake LAN/CN={name}",
        "-keyout", str(key), "-out", str(cert))
    return cert, key


@kind
def nginx(lab, host, services, folder):
    servers = []
    for service in services:
        root = folder / f"www-{service['port']}"
        root.mkdir()
        title = escape(service["title"], quote=False)
        (root / "index.html").write_text(
            f"<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{title}</title></head>"
            f"<body><h1>{title}</h1></body></html>\n"
        )
        tls = ""
        if service.get("tls"):
            cert, key = certificate(folder, host, service)
            tls = f"ssl_certificate {cert}; ssl_certificate_key {key};"
        listen = f"listen {service['port']}{' ssl' if tls else ''};"
        servers.append(f"server {{ {listen} {tls} root {root}; }}")
    temporary = " ".join(
        f"{name}_temp_path {folder}/tmp-{name};" for name in ("client_body", "proxy", "fastcgi", "scgi", "uwsgi")
    )
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;\n"
        f"events {{ worker_connections 256; }}\n"
        f"http {{ access_log off; {temporary} default_type text/html;\n" + "\n".join(servers) + "\n}\n"
    )
    lab.spawn(host, "nginx", ["/usr/sbin/nginx", "-c", str(conf), "-e", f"{folder}/error.log"])


@kind
def sshd(lab, host, services, folder):
    (service,) = services
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # compiled into sshd
    key = lab.dir / f"hostkey-{service['hostkey']}" if "hostkey" in service else folder / "hostkey"
    if not key.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host["name"], "-f", str(key))
    conf = folder / "sshd_config"
    conf.write_text(
        f"Port {service['port']}\nHostKey {key}\nPidFile none\nUsePAM no\nAllowUsers nobody-at-all\n"
        "PasswordAuthentication no\nPubkeyAuthentication no\nKbdInteractiveAuthentication no\n"
        "MaxStartups 50\nLoginGraceTime 20\nUseDNS no\n"
    )
    lab.spawn(host, "sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", str(conf)])


@kind
def dnsmasq(lab, host, services, folder):
    conf = folder / "dnsmasq.conf"
    lines = ["no-resolv", "no-hosts", "no-poll", "bind-interfaces", "user=root", f"pid-file={folder}/pid"]
    lines += [f"listen-address={address}" for address in host["addresses"]]
    lines += [f"local=/{lab.domain}/", "local=/77.10.in-addr.arpa/"]
    for one in lab.hosts:
        if one.get("dns", True):
            lines += [f"host-record={one['name']}.{lab.domain},{address}" for address in one["addresses"]]
    conf.write_text("\n".join(lines) + "\n")
    lab.spawn(host, "dnsmasq", ["/usr/sbin/dnsmasq", "--keep-in-foreground", "-C", str(conf)])


@kind
def snmpd(lab, host, services, folder):
    (service,) = services
    conf = folder / "snmpd.conf"
    conf.write_text(
        f"rocommunity public 10.77.0.0/16\nsysName {service['sysname']}\nsysDescr {service['sysdescr']}\n"
        f"sysLocation Fake LAN\nsysContact nobody\nagentAddress udp:{host['addresses'][0]}:{service['port']}\n"
    )
    command = ["/usr/sbin/snmpd", "-f", "-C", "-c", str(conf), "-Lf", f"{folder}/log", "-p", f"{folder}/pid"]
    lab.spawn(host, "snmpd", ["env", f"SNMP_PERSISTENT_DIR={folder}", *command, "-I", "-smux"])


@kind
def redis(lab, host, services, folder):
    (service,) = services
    command = ["/usr/bin/redis-server", "--port", str(service["port"]), "--bind", *host["addresses"]]
    command += ["--requirepass", "no-way-in", "--save", "", "--appendonly", "no", "--dir", str(folder)]
    lab.spawn(host, "redis", command)


@kind
def memcached(lab, host, services, folder):
    (service,) = services
    command = ["/usr/bin/memcached", "-u", "nobody", "-m", "8", "-t", "1", "-p", str(service["port"])]
    lab.spawn(host, "memcached", [*command, "-U", "0", "-l", host["addresses"][0]])


@kind
def postgres(lab, host, services, folder):
    (service,) = services
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    own(folder, "postgres")
    secret = folder / "secret"
    secret.write_text("no-way-in\n")
    own(secret, "postgres")
    data = folder / "data"
    init = [str(programs / "initdb"), "-D", str(data), "-A", "scram-sha-256", "--pwfile", str(secret)]
    run(*as_user("postgres", [*init, "--no-sync", "--locale=C", "-E", "UTF8"]))
    with open(data / "pg_hba.conf", "a") as rules:
        rules.write("host all all 10.77.0.0/16 scram-sha-256\n")
    command = [str(programs / "postgres"), "-D", str(data), "-p", str(service["port"]), "-k", str(folder)]
    for setting in (f"listen_addresses={host['addresses'][0]}", "fsync=off", "shared_buffers=8MB", "max_connections=10"):
        command += ["-c", setting]
    lab.spawn(host, "postgres", as_user("postgres", command))


@kind
def mosquitto(lab, host, services, folder):
    (service,) = services
    conf = folder / "mosquitto.conf"
    conf.write_text(
        f"listener {service['port']} {host['addresses'][0]}\nallow_anonymous true\npersistence false\nuser root\n"
    )
    lab.spawn(host, "mosquitto", ["/usr/sbin/mosquitto", "-c", str(conf)])


@kind
def nats(lab, host, services, folder):
    (service,) = services
    conf = folder / "nats.conf"
    conf.write_text(
        f"listen: {host['addresses'][0]}:{service['port']}\nhttp: {host['addresses'][0]}:{service['http_port']}\n"
        'authorization { token: "no-way-in" }\nserver_name: "bus1"\n'
    )
    lab.spawn(host, "nats", ["/usr/sbin/nats-server", "-c", str(conf)])


@kind
def vsftpd(lab, host, services, folder):
    (service,) = services
    conf = folder / "vsftpd.conf"
    conf.write_text(
        f"listen=YES\nlisten_ipv6=NO\nlisten_port={service['port']}\nbackground=NO\nanonymous_enable=NO\n"
        f"local_enable=NO\nsecure_chroot_dir={folder}\nxferlog_enable=NO\nseccomp_sandbox=NO\n"
    )
    lab.spawn(host, "vsftpd", ["/usr/sbin/vsftpd", str(conf)])


@kind
def samba(lab, host, services, folder):
    conf = folder / "smb.conf"
    folders = {"private dir": "private", "lock directory": "lock", "state directory": "state"}
    folders |= {"cache directory": "cache", "pid directory": "pid", "ncalrpc dir": "rpc", "binddns dir": "bind"}
    settings = {"server role": "standalone server", "netbios name": host["name"].upper(), "workgroup": "LAB"}
    settings |= {"disable spoolss": "yes", "load printers": "no", "map to guest": "never", "log level": "0"}
    settings |= {"interfaces": f"{host['addresses'][0]}/24", "bind interfaces only": "yes", "dns proxy": "no"}
    for setting, name in folders.items():
        (folder / name).mkdir()
        settings[setting] = str(folder / name)
    conf.write_text("[global]\n" + "".join(f"  {k} = {v}\n" for k, v in settings.items()))
    common = ["-s", str(conf), "-l", str(folder), "--no-process-group", "-F"]
    lab.spawn(host, "smbd", ["/usr/sbin/smbd", *common])
    lab.spawn(host, "nmbd", ["/usr/sbin/nmbd", *common])


@kind
def avahi(lab, host, services, folder):
    (service,) = services
    conf, announced, run_dir = folder / "avahi.conf", folder / "services", folder / "run"
    announced.mkdir()
    run_dir.mkdir()
    conf.write_text(
        f"[server]\nhost-name={host['name']}\nuse-ipv6=no\nallow-interfaces=eth0\nenable-dbus=no\n"
        "[wide-area]\nenable-wide-area=no\n[publish]\npublish-workstation=no\n"
    )
    records = "".join(f"<txt-record>{escape(text)}</txt-record>" for text in service["txt"])
    (announced / "one.service").write_text(
        '<?xml version="1.0"?><!DOCTYPE service-group SYSTEM "avahi-service.dtd"><service-group>'
        f"<name>Home</name><service><type>{service['service']}</type><port>{service['service_port']}</port>"
        f"{records}</service></service-group>"
    )
    # Its folders are compiled in. `ip netns exec` has given it a mount namespace of its own already.
    Path("/run/avahi-daemon").mkdir(exist_ok=True)
    script = f"mount --bind {run_dir} /run/avahi-daemon && mount --bind {announced} /etc/avahi/services && "
    script += f"exec /usr/sbin/avahi-daemon -f {conf} --no-drop-root --no-rlimits --no-chroot"
    lab.spawn(host, "avahi", ["sh", "-c", script])


def listener(lab, listeners):
    """The dialogues of all hosts, in one process of the router's namespace."""
    folder = lab.dir / "listener"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(listeners))
    program = Path(__file__).resolve().parent.parent / "fakelan-listener.py"
    python = shutil.which("python3", path="/usr/bin") or "python3"
    arguments = [str(folder / "config.json"), str(lab.dir / "counts.json"), str(folder / "ready")]
    lab.spawn(lab.hosts[0], "listener", [python, str(program), *arguments])
    return folder / "ready"

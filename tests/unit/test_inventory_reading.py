"""What a machine tells, read: names and values of any bytes, by whichever tools it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from provision.errors import EnvironmentFailed
from provision.inventory.files import read_files
from provision.inventory.processes import read_processes
from provision.inventory.sections import split, variables
from provision.inventory.software import read_accounts, read_packages
from provision.inventory.system import ALIAS, OWN, read_system

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provision.inventory.model import Fact

NAMES = ["/etc/a", "/etc/a b", "/etc/a\nb", "/etc/a'\"\\ -> b", "/etc/\udcff", "/etc/é"]
DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ACCOUNTS = {
    "passwd": b"# people\nroot:x:0:0:root:/root:/bin/bash\ndev:x:1000:1000::/home/dev:/bin/sh\n",
    "group": b"+\nroot:x:0:\ndocker:x:105:zoe,dev\n",
    "passwords": b"#\nroot:locked\ndev:set\n",
}
SYSTEM = {
    "system": b"memory\0MemTotal:  24684092 kB\0swap\0SwapTotal: 0 kB\0memory limit\0max\n2147483648\0",
    "sysctl": b"net/core/somaxconn:4096\nkernel/sem:1\t2\n",
    "mounts": b"",
    **dict.fromkeys(("tcp", "tcp6", "udp", "udp6", "unix", "resolv.conf", "hosts", "addresses"), b""),
    **ACCOUNTS,
}
PROCESSES = {**ACCOUNTS, "environment": b"PATH=/bin\0", "limits": b"", "services": b""}


def told(facts: Iterable[Fact]) -> dict[str, Mapping[str, str]]:
    return {f"{fact.section} {fact.subject}": fact.attributes for fact in facts}


def test_sections_are_told_apart_by_the_mark() -> None:
    assert split(b"\nM a\none\nN b\n\nM b c\n\nM end\n", "M") == {"a": b"one\nN b\n", "b c": b"", "end": b""}


def test_an_inventory_that_breaks_off_is_an_error() -> None:
    with pytest.raises(EnvironmentFailed, match="reported only part") as caught:
        split(b"\nM a\none\nM b\ntw", "M")
    assert caught.value.evidence == ("b",)


@pytest.mark.parametrize(
    "name", ["/etc/a", "/etc/a b", "/etc/a\nb", "/etc/a'\"\\ -> b", "/etc/\udcff", "/etc/é"]
)
@pytest.mark.parametrize("tools", ["gnu", "busybox"])
def test_paths_of_any_bytes(name: str, tools: str) -> None:
    raw = name.encode("utf-8", "surrogateescape")
    link, target = raw + b".link", raw + b"\ntarget"
    if tools == "gnu":
        form = b"%b\0%b\0root:root\x0012\0%b\0%b\0"
        sections = {
            "files": form % (b"f", b"4755", b"", raw)
            + form % (b"l", b"777", target, link)
            + form % (b"d", b"755", b"", b"/etc/last"),
            "hashes": b"%b  %b\0" % (DIGEST.encode(), raw),
        }
    else:
        sections = {
            "files": b"%b\0%b\0/etc/gone\0/etc/last\0" % (raw, link),
            "attributes": b"89ed root:root 12 %b\na1ff root:root %d '%b' -> '%b'\n"
            % (raw, len(target), link, target)
            + b"41ed root:root 4096 /etc/last\n",
            "hashes": b"%b  %b\n" % (DIGEST.encode(), raw),
        }
    found = told(read_files(sections))
    assert found.pop(f"files {name}") == {
        "kind": "file", "owner": "root:root", "mode": "4755", "content": f"12 bytes, sha256 {DIGEST}",
    }  # fmt: skip
    assert found.pop(f"files {name}.link") == {
        "kind": "link", "owner": "root:root", "target": target.decode("utf-8", "surrogateescape"),
    }  # fmt: skip
    assert found.pop("files /etc/last")["kind"] == "folder"
    assert found == {}


def test_a_file_has_its_capabilities_and_its_package() -> None:
    sections = {
        "files": b"f\x00755\0root:root\x001\0\0/opt/ping\0"
        b"f\x00600\0root:root\x001\0\0/var/spool/cron/crontabs/dev\0",
        "hashes": b"",
        "capabilities": b"/opt/ping cap_net_raw=ep\n/gone cap_net_raw=ep\n",
        "dpkg-files": b"/var/lib/dpkg/info/iputils-ping:amd64.list:/opt/ping\n",
    }
    found = told(read_files(sections))
    assert found["files /opt/ping"]["capabilities"] == "cap_net_raw=ep"
    assert found["files /opt/ping"]["packages"] == "iputils-ping"
    assert found["jobs /var/spool/cron/crontabs/dev"]["mode"] == "0600"


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        (
            {
                "dpkg": b"dpkg\t1\tamd64\tii \nlibc6\t2\tamd64\tii \nlibc6\t2\ti386\tii \nold\t3\tall\trc \n",
                "apt-marks": b"Package: libc6\nAuto-Installed: 0\n\nPackage: old\nAuto-Installed: 1\n",
            },
            {
                "dpkg": {"version": "1", "architecture": "amd64"},
                "libc6": {"version": "2", "architecture": "amd64"},
                "libc6:i386": {"version": "2", "architecture": "i386"},
                "old": {
                    "version": "3",
                    "architecture": "all",
                    "status": "rc",
                    "installed": "as a dependency",
                },
            },
        ),
        (
            {"rpm": b"kernel\t6.2\tx86_64\nkernel\t6.1\tx86_64\n"},
            {"kernel": {"version": "6.1 6.2", "architecture": "x86_64"}},
        ),
        (
            {"apk": b"C:Q1\nP:musl\nV:1.2-r0\nA:x86_64\nF:lib\nR:ld-musl.so\n\nP:curl\nV:8\nA:x86_64\n"},
            {
                "musl": {"version": "1.2-r0", "architecture": "x86_64"},
                "curl": {"version": "8", "architecture": "x86_64"},
            },
        ),
    ],
    ids=["dpkg", "rpm", "apk"],
)
def test_packages(sections: dict[str, bytes], expected: dict[str, dict[str, str]]) -> None:
    assert told(read_packages(sections)) == {f"packages {name}": each for name, each in expected.items()}


def test_accounts() -> None:
    found = told(read_accounts(ACCOUNTS))
    assert found["users dev"] == {
        "uid": "1000", "gid": "1000", "home": "/home/dev", "shell": "/bin/sh", "password": "set",
    }  # fmt: skip
    assert found["groups docker"] == {"gid": "105", "members": "dev zoe"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"PATH=/bin\0A=x=y\0B=a\nb\0C=\0", {"PATH": "/bin", "A": "x=y", "B": "a\nb", "C": ""}),
        (b"PATH=/bin\0X=\xff\0", {"PATH": "/bin", "X": "\udcff"}),
        (b" nginx -g daemon off;\0\0\0", None),
        (b"nginx: master process A=1\0", None),
        (b"", None),
    ],
)
def test_an_environment_is_read_unless_a_program_wrote_over_it(
    raw: bytes, expected: dict[str, str] | None
) -> None:
    assert variables(raw) == expected


def test_processes() -> None:
    sections = {
        **PROCESSES,
        "services": b" web db\nrunning\nfailed (exit code 3)\n",
        "cmdline of web": b"nginx\0-g\0daemon off;\0",
        "environ of web": b"nginx: master\0\0",
        "start of web": b"PATH=/bin\0PORT=80\0PWD=/\0",
        "cwd of web": b"/srv\n",
        "status of web": b"Umask:\t0022\nUid:\t1000\t1000\t1000\t1000\n"
        b"Gid:\t7\t7\t7\t7\nGroups:\t105 7 \nSeccomp:\t2\n"
        b"CapEff:\t0000000000000400\nCapAmb:\t0000000000000000\nSigIgn:\t0000000000001000\n",
        "limits of web": b"Limit                     Soft Limit           Hard Limit           Units     \n"
        b"Max open files            1024                 524288               files     \n"
        b"Max stack size            8388608              8388608              bytes     \n",
        "environ of exec": b"PATH=/bin\0A=1\0",
    }
    found = told(read_processes(sections))
    assert found["services web"] == {"state": "running", "command": "nginx -g 'daemon off;'"}
    assert found["services db"] == {"state": "failed (exit code 3)"}
    assert found["limits service web"] == {
        "open files": "1024 (hard limit 524288)", "stack size": "8388608",
    }  # fmt: skip
    assert found["processes service web"] == {
        "umask": "0022", "user": "dev", "group": "7", "supplementary groups": "docker",
        "seccomp filter": "yes",
        "capabilities": "400", "ambient capabilities": "none", "signals ignored": "SIGPIPE",
        "folder": "/srv",
    }  # fmt: skip
    assert found["environment service web: PORT"] == {"value": "80"}
    assert found["environment exec: A"] == {"value": "1"}
    assert "environment service web: PWD" not in found


def test_an_inherited_signal_of_the_c_library_is_no_fact() -> None:
    for mask, ignored in {"0000000080000000": "none", "0000000380001000": "SIGPIPE SIGRTMIN"}.items():
        sections = {**PROCESSES, "status of exec": f"SigIgn:\t{mask}\n".encode()}
        assert told(read_processes(sections))["processes exec"] == {"signals ignored": ignored}, mask


def test_memory_is_the_limit_in_steps() -> None:
    found = told(read_system(SYSTEM))
    assert found["system memory"] == {"value": "2048 MiB"}
    assert found["system swap"] == {"value": "0 MiB"}
    assert found["sysctls kernel.sem"] == {"value": "1 2"}
    machine = SYSTEM | {"system": b"memory\0MemTotal: 2025832 kB\0swap\0SwapTotal: 0 kB\0memory limit\0\0"}
    assert told(read_system(machine))["system memory"] == {"value": "2048 MiB"}


def test_mounts() -> None:
    mounts = (
        b"1 0 0:1 / / rw,relatime - overlay overlay rw,lowerdir=/a:/b\n"
        b"2 1 8:1 /x /srv/a\\040b\\134c ro,nosuid shared:1 - ext4 /dev/sda rw\n"
        b"3 1 0:2 / /tmp rw - ext4 /dev/sda rw\n"
        b"4 1 0:3 / /tmp rw,nodev - tmpfs tmpfs ro,size=64k,inode64\n"
    )
    assert told(read_system(SYSTEM | {"mounts": mounts})).items() >= {
        "mounts /": {"type": "overlay", "options": "none"},
        "mounts /srv/a b\\c": {"type": "ext4", "options": "nosuid,ro"},
        "mounts /tmp": {"type": "tmpfs", "options": "nodev,ro", "size": "64k"},
    }.items()  # fmt: skip


def test_sockets() -> None:
    head = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
    tcp = b"   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000\n"
    peer = b"   1: 0100007F:1F91 0100007F:8746 01 00000000:00000000 00:00000000 00000000     0\n"
    six = b"   0: %b01000000:18EB %b00000000:0000 0A 0:0 00:0 0  77\n" % (b"0" * 24, b"0" * 24)
    six += b"   1: %bFFFF00000100007F:1F92 %b00000000:0000 0A 0:0 00:0 0  77\n" % (b"0" * 16, b"0" * 24)
    unix = (
        b"Num\n0: 00000002 00000000 00010000 0001 01 19 /run/a b.sock\n"
        b"0: 00000003 00000000 00000000 0001 03 20\n"
    )
    found = told(read_system(SYSTEM | {"tcp": head + tcp + peer, "tcp6": head + six, "unix": unix}))
    assert {name: each for name, each in found.items() if name.startswith("sockets")} == {
        "sockets tcp 127.0.0.1:8080": {"user": "dev"},
        "sockets tcp [::1]:6379": {"user": "77"},
        "sockets tcp 127.0.0.1:8082": {"user": "77"},
        "sockets unix /run/a b.sock": {},
    }


ROUTES = b"""Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 127.0.0.0/8 2 0 2
           |-- 127.0.1.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     +-- 172.19.0.0/16 2 0 2
           |-- 172.19.0.2
              /32 host LOCAL
        |-- 172.19.0.255
           /32 link BROADCAST
"""


def test_names() -> None:
    sections = {
        "resolv.conf": b"# by hand\nnameserver 10.0.0.1\nnameserver 10.0.0.2\nsearch a b\n",
        "hosts": b"127.0.0.1 localhost # me\n::1 localhost\n\n10.0.0.2 db.example.org db\n"
        b"172.19.0.2 own.example.org own shop\n127.0.1.1 loop\n172.19.0.255 all\n",
        "addresses": ROUTES,
        "system": SYSTEM["system"] + b"hostname\0own.example.org\0",
    }
    assert told(read_system(SYSTEM | sections)).items() >= {
        "dns nameserver": {"value": "10.0.0.1 10.0.0.2"},
        "dns search": {"value": "a b"},
        "hosts localhost": {"value": "127.0.0.1 ::1"},
        "hosts db": {"value": "10.0.0.2"},
        "hosts own.example.org": {"value": OWN},
        "hosts own": {"value": OWN},
        "hosts shop": {"value": ALIAS},
        "hosts loop": {"value": "127.0.1.1"},
        "hosts all": {"value": "172.19.0.255"},
    }.items()  # fmt: skip

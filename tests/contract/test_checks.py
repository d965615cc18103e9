"""What is declared is checked, what is broken is said, and nothing else."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project

SPEC = r"""
version: 1
name: checked
base: debian:12
workspace: {source: ., path: /workspace, user: dev}
env:
  GREETING: "it's $5 \"cash\" `date` ü\n\ttwo "
packages: [nginx-light, openssl, patch, sudo]
users:
  dev: {uid: host, groups: [staff], shell: /bin/bash, sudo: true}
files:
  /etc/app/config.ini: {content: "a=1\nb=2\n", owner: dev, mode: "0640"}
  /etc/nginx/sites-enabled/default: {source: nginx.conf}
  /etc/app/current: {link: /etc/app/config.ini}
  /etc/app/nothing: {absent: true}
  /srv/cache: {dir: true, owner: dev}
  /srv/tree: {source: tree}
services:
  web:
    command: nginx -g "daemon off;"
    ready: {http: "http://localhost:8080/"}
  clock:
    script: while :; do sleep 1; done
    user: dev
    restart: never
volumes: {data: /var/lib/data}
ports: ["8080"]
run:
  - >-
    openssl req -x509 -newkey rsa:2048 -nodes -keyout /etc/nginx/key.pem -out /etc/nginx/cert.pem
    -days 9 -subj /CN=checked
setup:
  - {name: note, script: echo set up >/tmp/note}
checks:
  - {package: patch, version: "2"}
  - {package: nano, absent: true}
  - {package: awk}
  - {file: /etc/app/config.ini, user: dev, mode: "0640", size: 8, content: {matches: "^b=\\d$"}}
  - {file: /etc/app/config.ini, owner: dev, contains: a=1, executable: false, exists: true}
  - {file: /etc/app/current, link: /etc/app/config.ini, symlink: true}
  - {file: /srv/cache, dir: true}
  - {file: /srv/nothing, exists: false}
  - {service: web, running: true, enabled: true}
  - {package: nano, installed: false}
  - {port: 8081, listening: false}
  - {user: dev, sudo: true, exists: true}
  - {file: /etc/app/current, is_symlink: true, linked_to: /etc/app/config.ini}
  - {user: dev, groups: [staff], home: /home/dev}
  - {group: staff, members: [dev]}
  - {service: web, is_running: true, is_enabled: true}
  - {port: 8080, address: 127.0.0.1}
  - {port: 8081, absent: true}
  - {port: 8080, from: host, name: port from outside}
  - {process: nginx, user: root, args: daemon off, count: 1, name: the master}
  - {process: nginx, user: www-data, name: the workers}
  - {command: id -un, stdout: {equals: dev}}
  - {command: echo $HOME, stdout: {equals: $HOME}, name: no shell}
  - {script: "echo oops >&2; exit 3", exit: 3, stderr: oops, stdout: {equals: ""}}
  - {command: test -e /etc/app/nothing, absent: true}
  - name: late
    script: "test -e /tmp/late || { (sleep 1; touch /tmp/late) & exit 1; }"
    timeout: 20s
  - {http: "http://localhost:8080/", body: hello, headers: {content-type: text/}}
  - {http: "http://localhost:8080/nowhere", status: 404, from: host}
  - {http: "https://localhost:8443/", body: safe}
  - {mount: /proc, filesystem: proc}
  - {env: GREETING, value: {equals: "it's $5 \"cash\" `date` ü\n\ttwo "}}
  - {command: "true", requires: [kernel], name: kernel of its own}
  - {pytest: tests}
"""
FILES = {
    "nginx.conf": """
        server { listen 8080; location = / { default_type text/plain; return 200 "hello\\n"; } }
        server {
          listen 127.0.0.1:8443 ssl;
          ssl_certificate cert.pem;
          ssl_certificate_key key.pem;
          location / { return 200 "safe\\n"; }
        }
        """,
    "tree/top": "top\n",
    "tree/below/deep": "deep\n",
    "tests/test_host.py": """
        import pytest


        def test_services(host):
            assert host.service("web").is_running
            assert host.service("web").is_enabled
            assert not host.service("cron").is_running


        def test_without_ss_and_ps(host):
            assert host.socket("tcp://8080").is_listening
            assert not host.socket("tcp://8081").is_listening
            assert host.process.get(comm="nginx", user="root").pid > 0


        @pytest.mark.parametrize("name", ["patch", "sudo"])
        def test_package(host, name):
            assert host.package(name).is_installed


        @pytest.mark.skip(reason="not today")
        def test_skipped(host):
            raise AssertionError
        """,
}


@pytest.fixture(scope="module")
def checked(shared: Project) -> Project:
    shared.up("--no-verify")
    return shared


def failures(project: Project, *words: str) -> dict[str, str]:
    """The message of each check that fails."""
    checks = project.run("verify", *words, "--format", "json").json()["checks"]
    return {check["check"]: check["message"] for check in checks if check["outcome"] == "failed"}


def test_what_is_as_it_should_be_passes(checked: Project) -> None:
    said = checked.run("verify", "--format", "json")
    report = said.json()
    outcomes = {check["check"]: check["outcome"] for check in report["checks"]}
    assert failures(checked) == {}
    assert said.code == 0
    assert {check for check, outcome in outcomes.items() if outcome == "skipped"} >= {
        "pytest tests::test_host.py::test_skipped"
    }
    for check in (
        "answers", "package nginx-light", "user dev", "file /etc/app/config.ini",
        "file /etc/app/current", "file /etc/app/nothing", "file /srv/cache", "file /srv/tree",
        "workspace /workspace", "volume data", "env GREETING", "service web", "service clock",
        "setup", "port 8080/tcp", "port 8080/tcp from the host", "late",
        "pytest tests::test_host.py::test_package[patch]",
    ):  # fmt: skip
        assert outcomes.pop(check) == "passed", check
    assert report["passed"] + report["failed"] + report["skipped"] == len(report["checks"])


def test_what_a_backend_lacks_is_skipped_with_the_reason(checked: Project, backend: str) -> None:
    checks = checked.run("verify", "--format", "json").json()["checks"]
    (check,) = [check for check in checks if check["check"] == "kernel of its own"]
    if backend == "docker":
        assert (check["outcome"], check["message"]) == (
            "skipped",
            "the docker backend does not provide kernel",
        )
    else:
        assert check["outcome"] == "passed"


BREAKS = {
    "package": (
        "dpkg --remove --force-depends patch",
        "apt-get update -q && apt-get install -q -y --no-install-recommends patch",
        {
            "package patch": "is not installed",
            "pytest tests::test_host.py::test_package[patch]": "assert False",
        },
    ),
    "content": (
        "printf 'a=1\\nb=3\\n' >/etc/app/config.ini",
        "printf 'a=1\\nb=2\\n' >/etc/app/config.ini",
        {"file /etc/app/config.ini": ': line 2 is "b=3", expected "b=2" (provision.yaml:12)'},
    ),
    "mode": (
        "chmod 0644 /etc/app/config.ini",
        "chmod 0640 /etc/app/config.ini",
        {"file /etc/app/config.ini": ": mode is 0644, expected 0640 (provision.yaml:"},
    ),
    "owner": (
        "chown root /srv/cache",
        "chown dev /srv/cache",
        {"file /srv/cache": ": owner is root, expected dev (provision.yaml:16)"},
    ),
    "tree": (
        "rm /srv/tree/below/deep",
        "printf 'deep\\n' >/srv/tree/below/deep; chmod 0644 /srv/tree/below/deep",
        {"file /srv/tree": ": below/deep does not exist (provision.yaml:17)"},
    ),
    "absent file": (
        "mkdir /etc/app/nothing",
        "rmdir /etc/app/nothing",
        {
            "file /etc/app/nothing": ": exists, expected it to be absent (provision.yaml:15)",
            "command test -e /etc/app/nothing": ": is true, expected it not to be (provision.yaml:",
        },
    ),
    "link": (
        "ln -sfn /etc/hostname /etc/app/current",
        "ln -sfn /etc/app/config.ini /etc/app/current",
        {"file /etc/app/current": "is /etc/hostname, expected /etc/app/config.ini (provision"},
    ),
    "group": (
        "gpasswd -d dev staff",
        "gpasswd -a dev staff",
        {
            "user dev": ": groups: staff missing in dev (provision.yaml:",
            "group staff": ": members: dev missing in nothing (provision.yaml:",
        },
    ),
    "sudo": (
        "mv /etc/sudoers.d/dev /root/dev",
        "mv /root/dev /etc/sudoers.d/dev",
        {"user dev": ": sudo without a password fails: "},
    ),
    "time zone": (
        "ln -sfn /usr/share/zoneinfo/Asia/Tokyo /etc/localtime",
        "ln -sfn /usr/share/zoneinfo/UTC /etc/localtime",
        {"time zone": 'link is "/usr/share/zoneinfo/Asia/Tokyo", expected '},
    ),
    "page": (
        "sed -i s/hello/bye/ /etc/nginx/sites-enabled/default; nginx -s reload; sleep 1",
        "sed -i s/bye/hello/ /etc/nginx/sites-enabled/default; nginx -s reload; sleep 1",
        {
            "file /etc/nginx/sites-enabled/default": ": line 2 is ",
            "http http://localhost:8080/": ': body is "bye", expected "hello" in it (',
        },
    ),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_what_is_broken_fails_and_nothing_else(checked: Project, broken: str) -> None:
    breaks, mends, expected = BREAKS[broken]
    checked.inside(breaks, user="root")
    try:
        found = failures(checked)
    finally:
        checked.inside(mends, user="root")
    assert found.keys() == expected.keys()
    for check, said in expected.items():
        assert said in found[check]


def test_a_stopped_service_fails_with_its_port_alone(own: Project) -> None:
    own.spec("""
        version: 1
        name: checkedservice
        base: debian:12
        packages: [python3]
        services:
          web: {command: python3 -m http.server 8080, restart: never, ready: {tcp: 8080}}
          clock: {script: "while :; do sleep 1; done"}
        ports: ["8080"]
        """)
    own.up()
    # The kernel's name of a process, for a shell that looks for words would find its own.
    own.inside("kill $(grep -lx python3 /proc/[0-9]*/comm | cut -d/ -f3); sleep 1")
    found = failures(own)
    assert found.keys() == {"service web", "port 8080/tcp"}
    assert found["port 8080/tcp"].startswith("port 8080/tcp: nothing listens (")
    assert re.match(
        r"service web: is (stopped|failed)( \(exit code \d+\))?, expected running \(.*:7\)",
        found["service web"],
    )


# The beginning of a spec that asks the same machine more.
HEAD = ("extends: provision.yaml", "version: 1", "name: checked", "checks:")
# A check that does not hold, and what is said of it.
WRONG = [
    ("{package: patch, version: '9'}", "version is 2.*, expected 9"),
    ("{package: nano}", "is not installed"),
    ("{file: /nowhere}", "does not exist"),
    ("{file: /etc/app/config.ini, content: c=3}", r'content is "a=1\nb=2", expected "c=3" in it'),
    ("{file: /etc/app/config.ini, size: 9}", "size is 8, expected 9"),
    ("{file: /etc/app/config.ini, is_directory: true}", "is not a folder"),
    ("{file: /etc/app/config.ini, user: root}", "owner is dev, expected root"),
    ("{file: /etc/app/config.ini, group: adm}", "group is *, expected adm"),
    ("{file: /etc/app/config.ini, uid: 0}", "uid is *, expected 0"),
    ("{file: /etc/app/config.ini, gid: 0}", "gid is *, expected 0"),
    ("{file: /etc/app/config.ini, mode: '0644'}", "mode is 0640, expected 0644"),
    (f"{{file: /etc/app/config.ini, sha256sum: {64 * 'a'}}}", f"sha256sum is *, expected {64 * 'a'}"),
    ("{file: /etc/app/current, linked_to: /etc/b}", "end of the link is *, expected /etc/b"),
    ("{file: /etc/app, is_file: true}", "is not a regular file"),
    ("{file: /etc/app/config.ini, is_symlink: true}", "is not a symbolic link"),
    ("{file: /etc/app/config.ini, is_executable: true}", "is not executable"),
    ("{file: /etc/app/config.ini, is_socket: true}", "is not a socket"),
    ("{file: /etc/app/config.ini, is_pipe: true}", "is not a pipe"),
    ("{file: /etc/app/config.ini, is_file: false}", "is a regular file, expected not"),
    ("{user: dev, uid: 0}", "uid is *, expected 0"),
    ("{user: dev, gid: 0}", "gid is *, expected 0"),
    ("{user: dev, group: adm}", "group is dev, expected adm"),
    ("{user: dev, groups: [adm]}", "groups: adm missing in *"),
    ("{user: dev, home: /x}", "home is /home/dev, expected /x"),
    ("{user: dev, gecos: Me}", 'gecos is "", expected Me'),
    ("{user: nobody-here}", "does not exist"),
    ("{user: nobody, shell: /bin/bash}", "shell is /usr/sbin/nologin, expected /bin/bash"),
    ("{user: www-data, absent: true}", "exists, expected it to be absent"),
    ("{group: adm, gid: 9}", "gid is 4, expected 9"),
    ("{group: nobody-here}", "does not exist"),
    ("{group: adm, members: [dev]}", "members: dev missing in nothing"),
    ("{service: clock, is_running: false}", "is running, expected not"),
    ("{service: clock, is_enabled: false}", "is enabled, expected not"),
    ("{service: clock, absent: true}", "exists, expected it to be absent"),
    ("{port: 8081}", "nothing listens"),
    ("{port: 8080/udp}", "nothing listens"),
    ("{port: 9, from: host}", "is not published on the host"),
    ("{process: redis-server}", "is not running"),
    ("{process: nginx, user: dev}", "no such process runs as user dev; found *"),
    ("{process: nginx, args: nothing}", 'no such process runs with args "nothing"; found *'),
    ("{process: nginx, absent: true}", "exists, expected it to be absent"),
    ("{process: nginx, count: 77}", "* run, expected 77"),
    ("{command: 'false'}", "exit code is 1, expected 0"),
    ("{command: no-such-program}", "exit code is 127, expected 0: *not found*"),
    ("{command: echo one, stdout: two}", 'stdout is "one", expected "two" in it'),
    ("{command: echo one, stdout: {equals: on}}", 'stdout is "one", expected "on"'),
    ("{command: echo one, stdout: {matches: ^n}}", 'stdout is "one", expected a match of "^n"'),
    ("{command: echo one, stdout: {lacks: ne}}", 'stdout is "one", expected no "ne" in it'),
    ("{script: 'echo why >&2; false; true'}", 'exit code is 1, expected 0: "why"'),
    ("{http: 'http://localhost:8080/nowhere'}", "status is 404, expected 200"),
    ("{http: 'http://localhost:9/'}", "localhost:9 does not answer inside the machine"),
    ("{http: 'https://localhost:9/'}", "localhost:9 does not answer in TLS *: nothing listens"),
    ("{http: 'https://localhost:8080/'}", "localhost:8080 does not answer in TLS *: *VERSION*"),
    ("{http: 'http://localhost:8080/', headers: {x-no: x}}", "header x-no is missing"),
    ("{mount: /etc}", "is not a mount point"),
    ("{mount: /proc, filesystem: ext4}", "filesystem is proc, expected ext4"),
    ("{mount: /proc, device: /dev/sda}", "device is proc, expected /dev/sda"),
    ("{mount: /proc, options: [noatime2]}", "options: noatime2 missing in *"),
    ("{mount: /proc, absent: true}", "exists, expected it to be absent"),
    ("{env: GREETING, value: {lacks: cash}}", 'value is *, expected no "cash" in it'),
    ("{env: GREETING, absent: true}", "is true, expected it not to be"),
    ("{command: id -un, user: root, stdout: dev}", 'stdout is "root", expected "dev" in it'),
    ("{script: 'echo e >&2', stderr: {equals: f}}", 'stderr is "e", expected "f"'),
    ("{command: 'true', absent: true}", "is true, expected it not to be"),
    ("{package: bash, absent: true}", "exists, expected it to be absent"),
    ("{http: 'http://localhost:8080/', method: HEAD, body: hello}", 'body is "", expected "hello" in it'),
    ("{http: 'http://localhost:8080/', body: {equals: bye}}", 'body is "hello*", expected "bye"'),
    ("{http: 'http://localhost:9/', from: host}", "port 9 is not published on the host"),
    ("{env: GREETING, value: hello}", 'value is *, expected "hello"'),
    ("{env: NOTHING}", "is not set"),
    ("{port: 8082, timeout: 1s}", "nothing listens; still so after 1 s"),
    ("{pytest: broken.py}", "cannot be collected: *NameError*"),
    ("{pytest: empty.py}", "it contains no tests"),
]


def test_each_kind_says_what_it_expected_and_found(checked: Project) -> None:
    checked.write("broken.py", "nonsense\n")
    checked.write("empty.py", "")
    lines = [f"- {{name: wrong {n}, {check[1:]}" for n, (check, _) in enumerate(WRONG)]
    checked.write("wrong.yaml", "\n".join([*HEAD, *lines]))
    found = failures(checked, "wrong.yaml")
    assert found.keys() == {f"wrong {number}" for number in range(len(WRONG))}
    for number, (check, message) in enumerate(WRONG):
        pattern = re.escape(message).replace(r"\*", ".*")
        said = found[f"wrong {number}"]
        place = rf"\(.*wrong\.yaml:{len(HEAD) + number + 1}\)"
        assert re.search(f": {pattern} {place}$", said, re.DOTALL), (check, said)


def test_junit_is_read_by_others(checked: Project) -> None:
    checked.write(
        "one.yaml",
        "\n".join([*HEAD, "- {command: 'false'}"]),
    )
    said = checked.run("verify", "one.yaml", "--junit", "out/junit.xml")
    assert said.code == 1
    root = ET.parse(checked.folder / "out/junit.xml").getroot()
    (suite,) = root
    assert (root.tag, suite.tag, suite.get("name"), suite.get("failures")) == (
        "testsuites", "testsuite", f"{checked.backend}: checked", "1",
    )  # fmt: skip
    cases = suite.findall("testcase")
    assert len(cases) == int(suite.get("tests", ""))
    (failed,) = [case for case in cases if case.find("failure") is not None]
    failure = failed.find("failure")
    assert failed.get("name") == "command false"
    assert failure is not None
    assert "exit code is 1, expected 0" in failure.get("message", "")
    assert len(suite.findall("testcase/skipped")) == int(suite.get("skipped", ""))


def test_a_machine_that_does_not_answer_is_one_failure(checked: Project) -> None:
    """Its shell is gone: nothing can be asked, and nothing is said to be absent."""
    # Nobody could enter to mend it: it mends itself once it is told so in the live folder.
    mends = "until [ -e /workspace/mend ]; do sleep 0.2; done; mv /bin/dash.away /bin/dash"
    breaks = f"mv /bin/dash /bin/dash.away; ({mends}) </dev/null >/dev/null 2>&1 &"
    checked.good("exec", "-u", "root", "--", "bash", "-c", breaks)
    try:
        said = checked.run("verify", "--format", "json")
    finally:
        checked.write("mend", "")
        deadline = time.monotonic() + 60
        while checked.run("exec", "--", "true").code != 0 and time.monotonic() < deadline:
            time.sleep(0.5)
    assert said.code == 1
    (check,) = said.json()["checks"]
    assert (check["check"], check["outcome"]) == ("answers", "failed")
    assert check["message"].startswith("machine checked does not answer: ")

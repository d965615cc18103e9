"""The questions of bench/specs/checks.yaml as one writes them for testinfra; forty with these."""

import pytest

PACKAGES = ("curl", "git", "nginx-light", "python3-venv", "redis-server", "redis-tools", "sudo")
COMMANDS = {
    "redis-cli ping": "PONG",
    "curl --silent http://localhost:8080/": "hello",
    "git --version": "git version",
    "curl --version": "curl",
    "/opt/venv/bin/python --version": "Python 3",
    "id -un": "root",
    "test -d /opt/venv": "",
    "redis-cli set bench 1 && redis-cli get bench": "1",
    "cat /proc/1/comm": "docker-init",
    "redis-cli -p 6379 info server": "redis_version",
    "test -w /workspace": "",
    "date +%Z": "UTC",
}
FILES = {
    "/etc/app/config.ini": ("dev", 0o640),
    "/etc/nginx/sites-enabled/default": ("root", 0o644),
    "/var/www/html/index.html": ("root", 0o644),
    "/srv/cache": ("dev", 0o755),
    "/etc/nginx/nginx.conf": ("root", 0o644),
    "/etc/sudoers.d/dev": ("root", 0o440),
}


@pytest.mark.parametrize("name", PACKAGES)
def test_package(host, name):
    assert host.package(name).is_installed


@pytest.mark.parametrize(("command", "said"), COMMANDS.items())
def test_command(host, command, said):
    assert said in host.check_output(command)


@pytest.mark.parametrize(("path", "wanted"), FILES.items())
def test_file(host, path, wanted):
    found = host.file(path)
    assert (found.user, found.mode) == wanted


@pytest.mark.parametrize("name", ["APP_ENV", "EDITOR", "GREETING"])
def test_env(host, name):
    assert host.environment()[name]


@pytest.mark.parametrize("name", ["dev", "redis", "www-data"])
def test_user(host, name):
    assert host.user(name).exists


@pytest.mark.parametrize("name", ["dev", "redis", "www-data"])
def test_group(host, name):
    assert host.group(name).exists


@pytest.mark.parametrize("path", ["/opt/venv/bin/python", "/etc/localtime"])
def test_link(host, path):
    assert host.file(path).is_symlink


def test_no_apache(host):
    assert not host.package("apache2").is_installed


def test_absent(host):
    assert not host.file("/nothing").exists


def test_mount(host):
    assert host.mount_point("/workspace").exists


def test_content(host):
    assert host.file("/etc/app/config.ini").contains("environment = dev")

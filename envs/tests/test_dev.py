"""What the dev environment promises beyond its spec; `host` is testinfra's."""


def test_virtual_environment_belongs_to_dev(host):
    venv = host.file("/opt/venv")
    assert venv.is_directory
    assert venv.user == "dev"
    assert host.run("/opt/venv/bin/python -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)'").rc == 0


def test_configuration_is_filled_in(host):
    config = host.file("/etc/app/config.ini")
    assert config.contains("environment = dev")
    assert config.mode == 0o640


def test_workspace_is_the_project(host):
    assert host.file("/workspace/envs/dev.yaml").is_file
    assert host.check_output("id -un") == "dev"

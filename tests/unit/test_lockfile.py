"""Locks: whether they fit a spec, what they hold it to, their text, and what machines add to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from provision import engine, lockfile, spec
from provision.backends.build_problems import refuse_found
from provision.backends.locked import LockFailed
from provision.bases.catalogue import find as find_base
from provision.bases.image import MADE_LABEL, Provenance, provenance_of
from provision.cli.options import _lock_use
from provision.docker_client.queries import Image
from provision.errors import EnvironmentFailed, SpecError, UsageError
from provision.installed import differences
from provision.lockfile import BaseLock, Installed, Kernel, Lock, MachineLock
from provision.lockfile.archive import newest
from provision.lockfile.merge import Take, changes, dropped, empty, merge, released
from provision.lockfile.text import text
from provision.lockfile.versions import compare, nearest
from provision.model import Base
from tests.conftest import as_yaml

if TYPE_CHECKING:
    from provision.model import Environment, Machine

CASES = yaml.safe_load(Path(__file__).with_name("locks.yaml").read_text("utf-8"))
HASH = "sha256:" + "0" * 64
PACKAGES = {"bash": "5.2", "jq": "1.6"}


def environment(folder: Path, added: dict[str, Any] | None = None, backend: str = "docker") -> Environment:
    path = folder / "dev.yaml"
    whole = {"name": "dev", "base": "debian:12", "packages": ["jq"], **(added or {})}
    path.write_text(f"version: 1\n{as_yaml(whole)}")
    return spec.load(path, backend=backend, host={}, allows=spec.everything)


def machine(folder: Path, added: dict[str, Any] | None = None) -> Machine:
    return environment(folder, added).machines[0]


def base_lock(packages: dict[str, Any] | None = None, **more: Any) -> BaseLock:
    return BaseLock(image="debian:12", packages=PACKAGES if packages is None else packages, **more)


def lock_of(packages: dict[str, Any] | None = None) -> Lock:
    return Lock(
        tool="1",
        machines={"dev": {"debian:12": MachineLock(asks=("jq",), installed={"amd64": {"docker": HASH}})}},
        bases={"debian:12": {"amd64": base_lock(packages)}},
    )


def _version(written: str | dict[str, list[str]]) -> str | dict[str, tuple[str, ...]]:
    if isinstance(written, str):
        return written
    return {version: tuple(machines) for version, machines in written.items()}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_a_lock_fits_or_says_why_not(case: dict[str, Any], tmp_path: Path) -> None:
    wanted = environment(tmp_path, case.get("spec"))
    packages = case.get("packages")
    if packages:
        packages = {
            n: v if isinstance(v, str) else {k: tuple(m) for k, m in v.items()} for n, v in packages.items()
        }
    lock = lock_of(packages)
    place = {"architecture": case.get("architecture", "amd64"), "form": case.get("form", "docker")}
    misfits = lockfile.misfits(wanted, lock, **place)
    assert list(misfits) == case.get("misfits", [])
    frozen = lockfile.freeze(wanted, lock, file="dev.lock.yaml", exact=not misfits, **place).machines[0]
    expected = case.get("held", PACKAGES)
    if expected is None:
        assert frozen.lock is None
        return
    assert frozen.lock is not None
    assert frozen.lock.versions == expected
    assert frozen.lock.exact is case.get("exact", True)
    assert frozen.lock.installed == (HASH if frozen.lock.exact else "")


def test_a_pulled_base_is_taken_by_its_digest() -> None:
    locked = base_lock(digest=HASH)
    for image, pinned in {
        "debian:12": f"debian@{HASH}",
        "host:5000/a/debian": f"host:5000/a/debian@{HASH}",
        "host:5000/a/debian:12": f"host:5000/a/debian@{HASH}",
        f"debian@{HASH[:-1]}1": f"debian@{HASH[:-1]}1",
    }.items():
        base = replace(find_base("debian:12"), image=image)
        assert lockfile.pinned_base(base, locked).image == pinned
        assert lockfile.pinned_base(base, base_lock()).image == image


def image(**more: Any) -> Image:
    plain: dict[str, Any] = {"id": "i", "tags": (), "labels": {}, "size": 0, "architecture": "amd64"}
    return Image(**{**plain, **more})


def test_where_an_image_is_from() -> None:
    base = find_base("debian:12")
    pulled = (f"other@{HASH[:-1]}1", f"debian@{HASH}")
    assert provenance_of(base, image(digests=pulled)) == Provenance(digest=HASH)
    labels = {
        MADE_LABEL: "debian:12",
        "provision.mirror": "m",
        "provision.archive-time": "2026-11-25T02:22:30Z",
    }
    made = Provenance(mirror="m", made="20261125T022230Z", root="layer")
    assert provenance_of(base, image(labels=labels, layers=("layer",))) == made
    assert provenance_of(base, image()) == Provenance()


def test_an_image_that_was_made_and_then_shared_is_known_by_its_registrys_digest() -> None:
    base = Base(name="registry.test/team/debian:12", image="registry.test/team/debian:12", family="apt")
    shared = image(labels={MADE_LABEL: "debian:12"}, digests=(f"registry.test/team/debian@{HASH}",))
    assert provenance_of(base, shared) == Provenance(digest=HASH)
    here = image(labels={MADE_LABEL: "debian:12"}, digests=(f"debian@{HASH}",))
    assert provenance_of(find_base("debian:12"), here).digest == "", "an engine may name what it never pulled"


def test_the_text_is_read_back_and_does_not_depend_on_any_order(tmp_path: Path) -> None:
    packages = {"z": "1", "a": {"2": ("web", "dev"), "1": ("db",)}, "b:i386": "1:3.10"}
    whole = Lock(
        tool="1",
        machines={"dev": {"debian:12": MachineLock(asks=("a", "jq"), repositories=("v https://a s m",))}},
        bases={"debian:12": {"arm64": base_lock({}), "amd64": base_lock(
            packages, digest=HASH, mirror="m", made="20261125T022230Z", root=HASH, date="20261125T022230Z",
            kernels={"vm-x": Kernel(release="6.1.0-1-amd64", build='#1 SMP: a "b"')},
        )}},
    )  # fmt: skip
    path = tmp_path / "dev.lock.yaml"
    assert lockfile.save(path, whole)
    assert not lockfile.save(path, whole)
    found = lockfile.load(path)
    assert found is not None
    assert text(found) == path.read_text() == text(whole)
    assert found.bases["debian:12"]["amd64"].versions("db") == {"z": "1", "a": "1", "b:i386": "1:3.10"}
    assert [p.name for p in tmp_path.iterdir()] == ["dev.lock.yaml"]
    turned = replace(whole, bases={"debian:12": dict(reversed(list(whole.bases["debian:12"].items())))})
    assert text(turned) == text(whole)
    assert lockfile.load(tmp_path / "none.lock.yaml") is None


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('jq: "1.6"', "jq: 1.6", (19, "jq")),
        ('jq: "1.6"', 'jq: "1.6\\nPin: *"', (19, "jq")),
        ('jq: "1.6"', '"jq;rm": "1.6"', (19, "jq;rm")),
        ("amd64:\n      image", "amd64:\n      colour: red\n      image", (16, "")),
        ('jq: "1.6"', 'jq: "1.6"\n        jq: "1.7"', (20, "jq")),
        ("bases:", "<<<<<<< HEAD\nbases:", (14, "")),
    ],
)
def test_a_damaged_lock_is_a_problem_at_its_place(
    old: str, new: str, place: tuple[int, str], tmp_path: Path
) -> None:
    path = tmp_path / "dev.lock.yaml"
    good = text(lock_of())
    assert old in good
    path.write_text(good.replace(old, new, 1))
    with pytest.raises(SpecError) as caught:
        lockfile.load(path)
    problem = caught.value.problems[0]
    assert abs(problem.origin.line - place[0]) <= 1, problem
    assert place[1] in path.read_text().splitlines()[problem.origin.line - 1]


def test_a_lock_of_a_later_version_says_so(tmp_path: Path) -> None:
    path = tmp_path / "dev.lock.yaml"
    path.write_text(text(lock_of()).replace("version: 1", "version: 2"))
    with pytest.raises(UsageError, match="has version 2, and this provision reads 1"):
        lockfile.load(path)


def test_a_link_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "dev.lock.yaml").symlink_to("/etc/passwd")
    with pytest.raises(UsageError, match="is a link"):
        lockfile.load(tmp_path / "dev.lock.yaml")


def take(
    machine: Machine, packages: dict[str, str], form: str = "docker", architecture: str = "amd64",
    kernel: Kernel | None = None, date: str = "",
) -> Take:  # fmt: skip
    installed = Installed(architecture=architecture, packages=packages, kernel=kernel)
    return Take(machine=machine, form=form, installed=installed, base=BaseLock(image="debian:12", date=date))


def test_what_machines_told_becomes_a_lock(tmp_path: Path) -> None:
    dev = machine(tmp_path)
    db = replace(dev, name="db", group="db")
    kernel = Kernel(release="6.1", build="b")
    lock = merge(empty("1"), [
        take(dev, {"bash": "1", "jq": "1"}),
        take(dev, {"bash": "1", "jq": "1", "udev": "1"}, "vm-x", kernel=kernel),
        take(db, {"bash": "2"}),
    ], "1")  # fmt: skip
    base = lock.bases["debian:12"]["amd64"]
    assert base.packages == {"bash": {"1": ("dev",), "2": ("db",)}, "jq": "1", "udev": "1"}
    assert base.kernels == {"vm-x": kernel}
    assert lock.machines["dev"]["debian:12"].asks == ("jq",)
    installed = lock.machines["dev"]["debian:12"].installed["amd64"]
    assert installed == {
        "docker": lockfile.fingerprint({"jq": "1", "bash": "1"}),
        "vm-x": lockfile.fingerprint({"bash": "1", "jq": "1", "udev": "1"}),
    }
    assert merge(lock, [take(dev, {"bash": "1", "jq": "1"}), take(db, {"bash": "2"})], "2") is lock


def test_one_machine_has_one_version(tmp_path: Path) -> None:
    dev = machine(tmp_path)
    with pytest.raises(EnvironmentFailed, match="machine dev has jq in two versions"):
        merge(empty("1"), [take(dev, {"jq": "1"}), take(dev, {"jq": "2"}, "vm-x")], "1")


def test_another_architecture_is_added(tmp_path: Path) -> None:
    dev = machine(tmp_path)
    amd64 = merge(empty("1"), [take(dev, {"jq": "1"})], "1")
    both = merge(amd64, [take(dev, {"jq": "2"}, architecture="arm64")], "1")
    assert both.bases["debian:12"]["amd64"] == amd64.bases["debian:12"]["amd64"]
    assert both.bases["debian:12"]["arm64"].packages == {"jq": "2"}
    assert set(both.machines["dev"]["debian:12"].installed) == {"amd64", "arm64"}
    assert dropped(amd64, both) == ()
    # It goes once the machine asks for something else: what that would be there, nobody knows.
    more = merge(both, [take(machine(tmp_path, {"packages": ["jq", "tree"]}), {"jq": "1", "tree": "1"})], "1")
    assert set(more.bases["debian:12"]) == {"amd64"}
    assert dropped(both, more) == (
        "dev on debian:12, arm64, as docker is no longer locked: lock it there again",
    )


def test_the_other_form_stays_while_no_version_changes(tmp_path: Path) -> None:
    dev = machine(tmp_path)
    kernel = Kernel(release="6.1", build="b")
    both = merge(empty("1"), [
        take(dev, {"jq": "1"}), take(dev, {"jq": "1", "udev": "1"}, "vm-x", kernel=kernel)
    ], "1")  # fmt: skip
    same = merge(both, [take(dev, {"jq": "1"}, date="20270101T000000Z")], "1")
    assert same.bases["debian:12"]["amd64"].packages == {"jq": "1", "udev": "1"}
    assert same.bases["debian:12"]["amd64"].kernels == {"vm-x": kernel}
    newer = merge(both, [take(dev, {"jq": "2"})], "1")
    assert newer.bases["debian:12"]["amd64"].packages == {"jq": "2"}
    assert newer.bases["debian:12"]["amd64"].kernels == {}
    assert dropped(both, newer) == (
        "dev on debian:12, amd64, as vm-x is no longer locked: lock it there again",
    )


def test_what_is_no_longer_in_the_spec_goes(tmp_path: Path) -> None:
    dev = machine(tmp_path)
    both = merge(empty("1"), [
        take(dev, {"jq": "1", "old": "1"}), take(replace(dev, name="db", group="db"), {"pg": "1"})
    ], "1")  # fmt: skip
    left = merge(both, [take(dev, {"jq": "1"})], "1")
    assert set(left.machines) == {"dev"}
    assert left.bases["debian:12"]["amd64"].packages == {"jq": "1"}
    assert changes(both, left) == ("old 1 removed", "pg 1 removed")


def test_an_upgrade_frees_what_it_names() -> None:
    lock = lock_of()
    assert released(lock, ["jq"]).bases["debian:12"]["amd64"].packages == {"bash": "5.2"}
    assert released(lock, []) == lock
    assert released(lock, None).bases == {}


def test_changes_are_told(tmp_path: Path) -> None:
    dev = machine(tmp_path)
    one = merge(
        empty("1"), [take(dev, {"a": "1", "b": "1"}, "v", kernel=Kernel(release="6.1", build="x"))], "1"
    )
    other = merge(one, [take(dev, {"b": "2", "c": "1"}, "v", kernel=Kernel(release="6.2", build="y"))], "1")
    assert changes(empty("1"), one) == ("debian:12, amd64: 2 packages",)
    assert changes(one, other) == ("a 1 removed", "b 1 → 2", "c 1 added", "the kernel of v 6.1 → 6.2")


# In dpkg's order, lowest first.
ORDER = (
    "0~~", "0~", "0", "0.9~rc1-1", "0.9-1", "0.9-1+b1", "0.9-1.1", "0.9-2", "0.9+dfsg-1", "0.10-1",
    "1.6-2.1+deb12u1", "1.6-2.1+deb12u2", "1.6-2.1+deb12u10", "1:0.1", "2:0",
)  # fmt: skip


def test_versions_are_ordered_as_dpkg_does() -> None:
    for at, version in enumerate(ORDER):
        assert compare(version, version) == 0
        assert all(compare(lower, version) < 0 < compare(version, lower) for lower in ORDER[:at]), version
    assert compare("0:1.0", "1.0") == 0
    assert compare("1.00", "1.0") == 0


@pytest.mark.parametrize(
    ("wanted", "there", "near"),
    [("1", ["3", "2"], "2"), ("4", ["3", "2"], "3"), ("2.5", ["2", "10", "3"], "3"), ("1", [], None)],
)
def test_the_nearest_version_is_the_next_one(wanted: str, there: list[str], near: str | None) -> None:
    assert nearest(wanted, there) == near


def frozen(folder: Path) -> tuple[Machine, ...]:
    wanted = environment(folder)
    place = {"architecture": "amd64", "form": "docker"}
    return lockfile.freeze(wanted, lock_of(), file="dev.lock.yaml", exact=True, **place).machines


UNMET = "The following packages have unmet dependencies:"
LOG = ["#9 0.1 {}", "#9 ERROR: process did not complete successfully: exit code: 100"]


def test_a_version_that_is_gone_is_named_with_the_nearest(tmp_path: Path) -> None:
    said = ["provision: locked jq 1.6: 1.5 1.8 1.7", "provision: locked bash 5.2:"]
    lines = [LOG[0].format(line) for line in said] + LOG[1:]
    with pytest.raises(LockFailed, match=r"2 versions of dev\.lock\.yaml can no longer be had") as caught:
        refuse_found(lines, frozen(tmp_path))
    assert caught.value.evidence == (
        "jq 1.6: the nearest that can be had is 1.7",
        "bash 5.2: no version of it can be had",
    )
    assert "`provision lock --upgrade jq bash`" in caught.value.hint
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    "said",
    [
        [
            "The following packages have unmet dependencies:",
            " jq : Depends: libonig5 but it is not installable",
        ],
        ["E: Package 'libonig5' has no installation candidate"],
    ],
)
def test_a_package_that_the_lock_lacks_is_named(said: list[str], tmp_path: Path) -> None:
    with pytest.raises(LockFailed, match="lacks packages that are needed") as caught:
        refuse_found([LOG[0].format(line) for line in said] + LOG[1:], frozen(tmp_path))
    assert "needs libonig5, which is not in it" in caught.value.evidence[0]


def test_without_a_lock_the_same_output_is_the_specs_problem(tmp_path: Path) -> None:
    said = [UNMET, " jq : Depends: a but it is not installable"]
    with pytest.raises(SpecError):
        refuse_found([LOG[0].format(line) for line in said] + LOG[1:], environment(tmp_path).machines)


def test_what_is_installed_otherwise_is_told(tmp_path: Path) -> None:
    (held,) = frozen(tmp_path)
    assert held.lock is not None
    found = Installed(architecture="amd64", packages=PACKAGES)
    exact = replace(held, lock=replace(held.lock, installed=lockfile.fingerprint(PACKAGES), kernel="6.1"))
    assert differences(exact, found) == ()
    other = replace(found, packages={"bash": "5.3", "vim": "9"}, kernel=Kernel(release="6.2", build=""))
    assert differences(exact, other) == (
        "the kernel is 6.2, the lock has 6.1",
        "bash is 5.3, the lock has 5.2",
        "vim 9 is not in the lock",
    )
    assert differences(exact, replace(found, packages={"bash": "5.2"})) == (
        "a package of the lock is not installed",
    )
    assert differences(replace(held, lock=None), other) == ()


def test_the_newest_of_several_indexes() -> None:
    indexes = (
        "Package: jq\nVersion: 1.6-2\n\nPackage: tree\nVersion: 2\n",
        "Package: jq\nVersion: 1.6-2+deb12u10\n\nPackage: jq\nVersion: 1.6-2+deb12u9\n",
    )
    assert newest(indexes, {"jq", "none"}) == {"jq": "1.6-2+deb12u10"}


def request(folder: Path, lock: engine.LockUse) -> engine.Request:
    return engine.Request(spec=folder / "dev.yaml", backend="docker", settings={}, lock=lock)


def test_a_lock_is_used_exactly_where_it_fits_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    environment(tmp_path)
    assert engine.load(request(tmp_path, "where it fits")).machines[0].lock is None
    with pytest.raises(UsageError, match="there is no lock") as none:
        engine.load(request(tmp_path, "exactly"))
    assert none.value.hint == "`provision lock` writes it"
    lockfile.save(tmp_path / "dev.lock.yaml", lock_of())
    for use in ("exactly", "where it fits"):
        held = engine.load(request(tmp_path, use))
        assert held.machines[0].lock is not None
        assert held.machines[0].lock.exact
        assert held.lock_notes == ()
    assert engine.load(request(tmp_path, "not at all")).machines[0].lock is None
    environment(tmp_path, {"packages": ["jq", "tree"]})
    stale = engine.load(request(tmp_path, "where it fits"))
    assert stale.machines[0].lock is not None
    assert not stale.machines[0].lock.exact
    assert stale.lock_notes[0] == "dev.lock.yaml does not fit: machine dev asks for tree"
    with pytest.raises(EnvironmentFailed, match="does not fit the spec") as caught:
        engine.load(request(tmp_path, "exactly"))
    assert caught.value.evidence == ("machine dev asks for tree",)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("frozen", "no_lock", "ci", "there", "use"),
    [
        (None, False, False, True, "where it fits"),
        (None, False, True, True, "exactly"),
        (None, False, True, False, "where it fits"),
        (False, False, True, True, "where it fits"),
        (True, False, False, False, "exactly"),
        (None, True, True, True, "not at all"),
        (False, True, False, True, "not at all"),
    ],
)
def test_what_the_command_line_makes_of_a_lock(
    *, frozen: bool | None, no_lock: bool, ci: bool, there: bool, use: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CI", "true" if ci else "false")
    if there:
        (tmp_path / "dev.lock.yaml").touch()
    assert _lock_use(frozen, no_lock, tmp_path / "dev.yaml") == use


def test_frozen_without_a_lock_contradicts_itself(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        _lock_use(True, True, tmp_path / "dev.yaml")


def test_a_lock_is_not_taken_for_a_spec(tmp_path: Path) -> None:
    (tmp_path / "envs").mkdir()
    for name in ("dev.yaml", "dev.lock.yaml", "dev.local.yaml"):
        (tmp_path / "envs" / name).touch()
    assert spec.find_spec(tmp_path).name == "dev.yaml"


def test_a_build_with_a_lock_leaves_nothing_of_it_in_the_machine(tmp_path: Path) -> None:
    """Two machines of one spec differ in nothing but versions, whether one was locked or not."""
    from provision import backends

    path = tmp_path / "rendering"
    wanted = environment(tmp_path)
    place = {"architecture": "amd64", "form": "docker"}
    held = lockfile.freeze(wanted, lock_of(), file="dev.lock.yaml", exact=True, **place)
    plain, locked = (backends.find("docker").render(each, path).files for each in (wanted, held))
    assert {name for name in locked if name.startswith("lock/")} == {
        "lock/missing.sh", "lock/preferences", "lock/versions",
    }  # fmt: skip
    assert {name: file for name, file in locked.items() if name.startswith(("machine/", "files/"))} == {
        name: file for name, file in plain.items() if name.startswith(("machine/", "files/"))
    }


@pytest.mark.parametrize(
    ("spec", "lock"),
    [("envs/dev.yaml", "envs/dev.lock.yaml"), ("a.b.yml", "a.b.lock.yaml"), (".", ".lock.yaml")],
)
def test_where_a_lock_is(spec: str, lock: str) -> None:
    assert lockfile.path_of(Path(spec)) == Path(lock)

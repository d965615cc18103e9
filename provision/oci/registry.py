"""The registry that an environment's images and disks are shared through, as this host is to use it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from provision.oci import signing
from provision.oci.certificates import authority
from provision.oci.errors import Damaged
from provision.oci.model import INDEXES, Unreadable, descriptor
from provision.quick_dataclasses import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from provision.oci.client import Client
    from provision.oci.model import Manifest
    from provision.oci.reference import Repository, Source


@dataclass(frozen=True, kw_only=True)
class Registry:
    """A repository, how its certificate is checked, and whose signatures count.

    Args:
        repository: where it is.
        source: who named it.
        ca: the file with the CA's certificate, by the person's configuration.
        verify: the public key that all must be signed with; empty: unsigned will do.
        sign: the private key that `push` signs with; empty: it does not.
        memory: whether `up` takes saved states of machines from it.
        writes: whether it is to be pushed to.
    """

    repository: Repository
    source: Source
    ca: Path | None = None
    verify: str = ""
    sign: str = ""
    memory: bool = False
    writes: bool = False

    @cached_property
    def client(self) -> Client:
        """Asks it, with the login that Docker has for it.

        Raises:
            HostLacks: the login or the CA's certificate cannot be read.
        """
        from provision.docker_client.credentials import login_for
        from provision.oci.client import Client  # TLS is slow to import, and most runs ask no registry

        host = self.repository.host
        return Client(
            repository=self.repository, login=login_for(host), authority=self._authority, writes=self.writes
        )

    @cached_property
    def _authority(self) -> Path | None:
        return authority(self.repository.host, self.ca)

    def find(self, tag: str, architecture: str = "") -> Manifest | None:
        """What is under a tag, if anything; of an index, what it has for an architecture, as Docker calls it.

        Raises:
            RegistryFailed: no answer, no access, or nothing that can be used.
        """
        found = self.client.manifest(tag)
        if found is None or found.media_type not in INDEXES:
            return found
        try:
            digests = [
                descriptor(each).digest
                for each in found.data.get("manifests", ())
                if (each.get("platform") or {}).get("architecture") == architecture
            ]
        except (Unreadable, AttributeError) as error:
            raise Damaged(f"{self.repository.tagged(tag)} is no index of images", str(error)) from error
        return self.client.manifest(digests[0]) if digests else None

    def require_signed(self, digest: str) -> None:
        """Require the signature that the person's configuration wants, if it wants one.

        Raises:
            HostLacks: there is no cosign.
            RegistryFailed: it is not signed so.
        """
        if self.verify:
            signing.verify(self.repository, digest, self.verify, self._authority)

    def add_signature(self, digest: str) -> None:
        """Sign what was pushed, where the person's configuration has a key for that.

        Raises:
            HostLacks: there is no cosign.
            RegistryFailed: it could not sign.
        """
        if self.sign:
            signing.sign(self.repository, digest, self.sign, self._authority)

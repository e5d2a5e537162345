"""A real directory whose people come, go and change their names, and how a site says where it is.

Changes are made with OpenLDAP's own tools, as its administrator; nothing here knows what our daemon makes of them.
ldapadd(1), ldapmodrdn(1), ldapdelete(1); RFC 4530 (entryUUID: a new entry of an old name has another one).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Final

from tests.directory.slapd import BASE, PEOPLE, SEARCHER, SEARCHERS_PASSWORD, Slapd, person

from .wire import PATIENCE

FILTER: Final = "(&(objectClass=inetOrgPerson)(uid={name}))"


@dataclass(frozen=True, slots=True)
class Company:
    """A running directory, from the side of whoever administers it."""

    slapd: Slapd

    def add(self, *names: str) -> None:
        """Let people begin to work here, all with the usual password."""
        self._tool("ldapadd", stdin="\n".join(map(person, names)))

    def remove(self, *names: str) -> None:
        """Let people leave."""
        self._tool("ldapdelete", *(f"uid={name},{PEOPLE}" for name in names))

    def rename(self, old: str, new: str) -> None:
        """Give somebody another name; their entryUUID stays."""
        self._tool("ldapmodrdn", "-r", f"uid={old},{PEOPLE}", f"uid={new}")

    def lock(self, name: str) -> None:
        """Lock an account for good (draft-behera-ldap-password-policy 5.3.3)."""
        change = f"dn: uid={name},{PEOPLE}\nchangetype: modify\nadd: pwdAccountLockedTime\n"
        self._tool("ldapmodify", "-e", "relax", stdin=f"{change}pwdAccountLockedTime: 000001010000Z\n")

    def backend(self, *others: Company, **changed: str) -> str:
        """Write the section of a site that asks this directory, over TLS, and the others after it."""
        usual = {"ca_file": str(self.slapd.authority)}
        return backend(*(one.slapd.tls for one in (self, *others)), **(usual | changed))

    def _tool(self, name: str, *arguments: str, stdin: str | None = None) -> None:
        program = shutil.which(name)
        assert program is not None
        administrator = ("-x", "-H", self.slapd.local, "-D", f"cn=root,{BASE}", "-w", "root")
        done = subprocess.run(
            [program, *administrator, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr


def backend(*servers: str, **changed: str) -> str:
    """Write the section of a site that asks these servers; ``changed`` is YAML."""
    usual = {
        "kind": "ldap",
        "servers": json.dumps(servers),
        "base": f'"{BASE}"',
        "filter": f'"{FILTER}"',
        "search_user": f'"{SEARCHER}"',
        "search_password": f'"{SEARCHERS_PASSWORD.decode()}"',
    }
    return f"{{{', '.join(f'{key}: {value}' for key, value in (usual | changed).items())}}}"

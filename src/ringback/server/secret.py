# SPDX-License-Identifier: Apache-2.0
"""The one secret of an installation: 32 random bytes in a file only its owner may read.

Everything else that must be secret (the key of nonces, the key that seals stored digests) is derived from
it, each for one purpose. It lies beside the database, not in it: a copy of the database alone opens no
account.
"""

import hmac
import os
import secrets
from pathlib import Path

from ringback.server.storage.store import StorageError

FILE_NAME = "secret.key"
LENGTH = 32


def load_or_make_secret(directory: Path) -> bytes:
    """Read the secret of a data directory; make it if there is none."""
    file = directory / FILE_NAME
    try:
        text = file.read_text("ascii")
    except FileNotFoundError:
        return _make(file)
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{file} cannot be read: {error}") from error
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != LENGTH:
        raise StorageError(
            f"{file} is damaged: it must hold {2 * LENGTH} hexadecimal digits. Restore it from a backup"
        )
    return secret


def derive(secret: bytes, purpose: str) -> bytes:
    """A key for one purpose; knowing it tells nothing about the others."""
    return hmac.digest(secret, b"ringback " + purpose.encode("ascii"), "sha256")


def write_private(file: Path, data: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise StorageError(f"{file} cannot be written: {error.strerror or error}") from error


def _make(file: Path) -> bytes:
    """Two processes may come here at once: `link` lets only one of them win, and both read the winner's."""
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    write_private(fresh, secrets.token_hex(LENGTH).encode("ascii") + b"\n")
    try:
        os.link(fresh, file)
    except FileExistsError:
        pass
    except OSError as error:
        raise StorageError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return load_or_make_secret(file.parent)

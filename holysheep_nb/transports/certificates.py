"""Which certificates are trusted, the same over both transports: always checked, by the usual variables.

SSL_CERT_FILE, a file of certificates, or SSL_CERT_DIR, a folder of them, take the place of the list that comes with
certifi, as in httpx.
"""

from __future__ import annotations

import os
import ssl

import certifi

from ..errors import CertificateError, ConfigurationError


def open_context() -> ssl.SSLContext:
    """What TLS is spoken with. Raises `ConfigurationError` if a variable names what cannot be read."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not file and folder:
        if not os.path.isdir(folder):
            raise ConfigurationError(f"SSL_CERT_DIR names {folder!r}, which is no folder of certificates.")
        return ssl.create_default_context(capath=folder)
    try:
        return ssl.create_default_context(cafile=file or certifi.where())
    except OSError as error:
        raise ConfigurationError(
            f"SSL_CERT_FILE names {file!r}, which is no file of certificates ({error.strerror or error}).",
            details=repr(error),
        ) from error


def distrust(error: BaseException, host: str) -> CertificateError | None:
    """What is said if a certificate that is not trusted is below `error`; None if there is none."""
    below: BaseException | None = error
    while below is not None and not isinstance(below, ssl.SSLCertVerificationError):
        below = below.__cause__ or below.__context__
    if below is None:
        return None
    reason = str(below.verify_message or below.reason).rstrip(".")
    return CertificateError(
        f"The certificate of {host} is not trusted ({reason}): check the address, or set SSL_CERT_FILE to the file "
        "of the authority that has signed it.",
        details=repr(error),
    )

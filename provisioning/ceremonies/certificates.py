# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Certificate paths to pinned anchors.

Not by `cryptography.x509.verification`: it judges by the rules of TLS, which no attestation
certificate meets. Not by python-fido2's chain check alone: it follows signatures and asks neither
for CA flags nor for names.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm


def path(
    chain: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
) -> list[x509.Certificate] | None:
    """The certificates from `chain[0]` up to a pinned anchor, both included (RFC 5280 §6.1).

    Each entry of `chain` must be issued by the next. An anchor may stand in the chain, even as
    its first: makers publish leaves as anchors too. None where no path exists. Dates are the
    caller's to judge. Raises ValueError and its like for certificates that do not parse.
    """
    for depth, certificate in enumerate(chain):
        if certificate in anchors:
            return list(chain[: depth + 1])
        for anchor in anchors:
            if _issued(certificate, anchor, depth):
                return [*chain[: depth + 1], anchor]
        if depth + 1 == len(chain) or not _issued(certificate, chain[depth + 1], depth):
            break
    return None


def _issued(subject: x509.Certificate, issuer: x509.Certificate, depth: int) -> bool:
    """Whether `issuer` is a CA that signed `subject`; `depth` CAs stand between it and the leaf."""
    constraints = basic_constraints(issuer)
    if constraints is None or not constraints.ca:
        return False
    if constraints.path_length is not None and constraints.path_length < depth:
        return False
    usage = _key_usage(issuer)
    if usage is not None and not usage.key_cert_sign:
        return False
    try:
        subject.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True


def basic_constraints(certificate: x509.Certificate) -> x509.BasicConstraints | None:
    """The Basic Constraints extension, if there is one."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return None


def _key_usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None

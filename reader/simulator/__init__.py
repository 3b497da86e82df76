# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
"""A software contactless FIDO2 card.

It runs in process (``SoftwareDevice``, ``SoftwareConnection``) and behind a real pcscd through
the vpcd virtual reader (``vpcd.VpcdCard``). It protects nothing: its keys lie in memory and in
plain files, and its attestation root is public.
"""

from reader.simulator.attestation import attestation_root, root_pem
from reader.simulator.card import CardRemoved, SoftwareCard
from reader.simulator.device import SoftwareConnection, SoftwareDevice, SoftwareReader
from reader.simulator.profile import (
    BADGE,
    CTAP_2_0,
    CTAP_2_1,
    JAVACARD,
    MODEL_NAME,
    SIMULATOR_AAGUID,
    U2F_ONLY,
    Faults,
    Profile,
)

__all__ = [
    "BADGE",
    "CTAP_2_0",
    "CTAP_2_1",
    "JAVACARD",
    "MODEL_NAME",
    "SIMULATOR_AAGUID",
    "U2F_ONLY",
    "CardRemoved",
    "Faults",
    "Profile",
    "SoftwareCard",
    "SoftwareConnection",
    "SoftwareDevice",
    "SoftwareReader",
    "attestation_root",
    "root_pem",
]

# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0
import pytest

from reader.simulator import (
    CTAP_2_0,
    JAVACARD,
    Profile,
    SoftwareCard,
    SoftwareConnection,
    SoftwareDevice,
)
from tests.reader.simulator import full_loop


def retap(device: SoftwareDevice) -> SoftwareDevice:
    device.close()
    device.connect()
    return device


@pytest.mark.parametrize("extended", [False, True], ids=["short", "extended"])
@pytest.mark.parametrize("protocol", [1, 2])
def test_a_cards_whole_life(protocol: int, extended: bool) -> None:
    device = SoftwareDevice(SoftwareCard())
    device.use_ext_apdu = extended
    full_loop.run(device, retap, protocol)


@pytest.mark.parametrize("profile", [CTAP_2_0, JAVACARD], ids=["CTAP 2.0", "JavaCard"])
def test_the_whole_life_of_other_models(profile: Profile) -> None:
    full_loop.run(SoftwareDevice(SoftwareCard(profile)), retap)


@pytest.mark.usefixtures("fast_polling")
def test_the_whole_life_with_keep_alives() -> None:
    full_loop.run(SoftwareDevice(SoftwareCard(Profile(keep_alives=1))), retap)


def test_the_whole_life_under_fido2_pcsc_without_pcscd() -> None:
    from fido2.pcsc import CtapPcscDevice

    device = CtapPcscDevice(SoftwareConnection(SoftwareCard()), "Software card")
    full_loop.run(device, retap)

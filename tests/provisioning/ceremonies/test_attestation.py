# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from fido2.client import DefaultClientDataCollector, Fido2Client, UserInteraction
from fido2.webauthn import AttestationObject, PublicKeyCredentialCreationOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioning.ceremonies.attestation import (
    SIMULATOR_AAGUID,
    Model,
    Policy,
    check,
    load_policy,
    model_name,
)
from provisioning.ceremonies.ceremony import (
    RelyingParty,
    VerifiedRegistration,
    registration_options,
    take_challenge,
    verify_registration,
)
from provisioning.ceremonies.refusals import SENTENCES, Refusal
from provisioning.errors import CeremonyRefused, ConfigurationError
from provisioning.models import ALL, Credential
from provisioning.settings import load
from provisioning.storage.db import database, open_database
from reader.simulator import SIMULATOR_AAGUID as REAL_SIMULATOR_AAGUID
from reader.simulator import Faults, Profile, SoftwareCard, SoftwareDevice, root_pem
from tests.fakes.authenticator import (
    AAGUID,
    NOW,
    YEAR,
    Authenticator,
    Batch,
    Maker,
    certify,
    raw_aaguid,
    sign,
    subject,
    unb64url,
)

OTHER_AAGUID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
PARTY = RelyingParty("keys.example.com", "https://keys.example.com", "Example Hospital")
MAKER = Maker()
FOREIGN = Maker()  # of the same name: only the key tells them apart
STRICT = Policy(roots={AAGUID: (MAKER.root,)}, names={AAGUID: "Test key"})
LAX = Policy(required=False, roots=STRICT.roots, names=STRICT.names)
UNPINNED = Policy(required=False)


@pytest.fixture(scope="module", autouse=True)
def _tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    opened = open_database(f"sqlite:///{tmp_path_factory.mktemp('attestation') / 'db.sqlite3'}")
    opened.create_tables(ALL)
    yield
    database.close()


def register(batch: Batch | None, policy: Policy = STRICT, **forged: Any) -> VerifiedRegistration:
    """Make and verify a credential by the whole ceremony, both libraries included."""
    aaguid = forged.pop("aaguid", AAGUID)
    authenticator = Authenticator(PARTY.origin, PARTY.id, batch=batch, aaguid=aaguid)
    options = registration_options(
        PARTY, purpose="enrol", binding="job", user_handle=b"h" * 64, user_name="ada",
        display_name="Ada", exclude=[],
    )  # fmt: skip
    statement = forged.get("statement")
    if callable(statement):
        forged["statement"] = statement(authenticator)
    response = authenticator.create(options, **forged)
    return verify_registration(response, take_challenge("enrol", "job"), policy=policy, party=PARTY)


def refusal_of(call: Callable[[], object]) -> str:
    with pytest.raises(CeremonyRefused) as refused:
        call()
    assert str(refused.value) == SENTENCES[Refusal(refused.value.reason)]
    assert Credential.select().count() == 0
    return refused.value.reason


def by_itself(
    batch: Batch, policy: Policy = STRICT, now: dt.datetime | None = None, aaguid: str = AAGUID
) -> Model:
    """Ask our layer alone, without py_webauthn behind it."""
    authenticator = Authenticator(PARTY.origin, PARTY.id, batch=batch, aaguid=aaguid)
    options = json.dumps({"user": {"id": "AA"}, "challenge": "AA"})
    response = authenticator.create(options)["response"]
    parsed = AttestationObject(unb64url(response["attestationObject"]))
    digest = hashlib.sha256(unb64url(response["clientDataJSON"])).digest()
    return check(parsed, digest, policy, now)


# What is accepted


@pytest.mark.req("R14")
@pytest.mark.parametrize(
    "batch",
    [
        MAKER.batch(),
        MAKER.batch(None),
        MAKER.batch(key=ed25519.Ed25519PrivateKey.generate()),
        MAKER.batch(issuer=MAKER.intermediate()),
        MAKER.batch(issuer=MAKER.intermediate(MAKER.intermediate(), key_cert_sign=True)),
    ],
    ids=["direct", "without-aaguid-extension", "eddsa", "intermediate", "two-intermediates"],
)
def test_a_key_of_a_pinned_model_is_named(batch: Batch) -> None:
    made = register(batch)
    assert (made.aaguid, made.model, made.fmt) == (AAGUID, "Test key", "packed")
    assert by_itself(batch) == Model(AAGUID, "Test key", MAKER.root)


@pytest.mark.req("R14")
def test_a_chain_may_bring_its_root_along() -> None:
    batch = MAKER.batch()
    assert register(Batch(batch.key, (*batch.chain, MAKER.root))).model == "Test key"


@pytest.mark.req("R14")
def test_an_intermediate_or_a_leaf_may_be_the_anchor() -> None:
    line = MAKER.intermediate()
    batch = MAKER.batch(issuer=line)
    for anchor in (line.certificate, batch.chain[0]):
        policy = Policy(roots={AAGUID: (anchor,)}, names={AAGUID: "Test key"})
        assert register(batch, policy).model == "Test key"
    assert refusal_of(
        lambda: register(MAKER.batch(), Policy(roots={AAGUID: (batch.chain[0],)}))
    ) == ("attestation_chain")


@pytest.mark.req("R14")
def test_a_model_may_have_several_roots() -> None:
    policy = Policy(roots={AAGUID: (FOREIGN.root, MAKER.root)})
    assert register(MAKER.batch(), policy).aaguid == AAGUID
    assert register(FOREIGN.batch(), policy).aaguid == AAGUID


def test_the_raw_attestation_is_kept() -> None:
    made = register(MAKER.batch())
    assert AttestationObject(made.attestation_object).fmt == "packed"


# What is refused where attestation is required: each case of the findings on the libraries


@pytest.mark.req("R14")
def test_no_attestation_is_refused_even_under_a_pinned_aaguid() -> None:
    assert refusal_of(lambda: register(None)) == "attestation_missing"
    assert refusal_of(lambda: register(None, Policy())) == "attestation_missing"


@pytest.mark.req("R14")
def test_self_attestation_is_refused_even_under_a_pinned_aaguid() -> None:
    assert refusal_of(lambda: register(None, fmt="packed")) == "attestation_self"


@pytest.mark.req("R14")
def test_a_certificate_for_another_model_is_refused() -> None:
    batch = MAKER.batch(OTHER_AAGUID)
    assert refusal_of(lambda: register(batch)) == "attestation_aaguid"
    assert refusal_of(lambda: register(batch, LAX)) == "attestation_aaguid"
    assert refusal_of(lambda: register(batch, UNPINNED)) == "attestation_aaguid"


@pytest.mark.req("R14")
@pytest.mark.parametrize(
    "extension",
    [
        raw_aaguid(AAGUID),
        b"\x04\x11" + raw_aaguid(AAGUID) + b"\x00",
        b"\x0c\x10" + raw_aaguid(AAGUID),
        b"\x04\x10" + raw_aaguid(AAGUID) + b"\x00",
        b"",
    ],
    ids=["bare", "longer", "another-type", "tail", "empty"],
)
def test_an_aaguid_extension_is_read_to_the_byte(extension: bytes) -> None:
    assert refusal_of(lambda: register(MAKER.batch(extension=extension))) == "attestation_aaguid"


@pytest.mark.req("R14")
def test_a_critical_aaguid_extension_is_refused() -> None:
    batch = MAKER.batch(critical_extension=True)
    assert refusal_of(lambda: register(batch)) == "attestation_aaguid"


@pytest.mark.req("R14")
def test_a_root_of_two_models_needs_leaves_that_name_theirs() -> None:
    shared = Policy(roots={AAGUID: (MAKER.root,), OTHER_AAGUID: (MAKER.root,)})
    assert refusal_of(lambda: register(MAKER.batch(None), shared)) == "attestation_aaguid"
    assert register(MAKER.batch(), shared).aaguid == AAGUID
    assert refusal_of(lambda: register(MAKER.batch(), shared, aaguid=OTHER_AAGUID)) == (
        "attestation_aaguid"
    )


@pytest.mark.req("R14")
def test_a_chain_of_another_maker_is_refused() -> None:
    assert refusal_of(lambda: register(FOREIGN.batch())) == "attestation_chain"
    assert refusal_of(lambda: register(FOREIGN.batch(issuer=FOREIGN.intermediate()))) == (
        "attestation_chain"
    )
    foreign_with_our_root = FOREIGN.batch()
    mixed = Batch(foreign_with_our_root.key, (*foreign_with_our_root.chain, MAKER.root))
    assert refusal_of(lambda: register(mixed)) == "attestation_chain"


@pytest.mark.req("R14")
def test_a_self_signed_leaf_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = certify(subject("Test Maker batch"), key, issuer=None, aaguid=AAGUID)
    assert refusal_of(lambda: register(Batch(key, (leaf,)))) == "attestation_chain"


@pytest.mark.req("R14")
def test_a_root_pinned_for_another_model_does_not_count() -> None:
    policy = Policy(roots={OTHER_AAGUID: (MAKER.root,)})
    assert refusal_of(lambda: register(MAKER.batch(), policy)) == "model_unknown"


@pytest.mark.req("R14")
def test_without_any_root_no_model_is_known() -> None:
    assert refusal_of(lambda: register(MAKER.batch(), Policy())) == "model_unknown"
    assert refusal_of(lambda: register(MAKER.batch(), Policy(roots={AAGUID: ()}))) == (
        "model_unknown"
    )


@pytest.mark.req("R14")
def test_a_ca_is_no_attestation_certificate() -> None:
    assert refusal_of(lambda: register(MAKER.batch(ca=True))) == "attestation_ca"
    assert refusal_of(lambda: register(MAKER.batch(ca=None))) == "attestation_ca"
    assert refusal_of(lambda: register(Batch(MAKER.issuer.key, (MAKER.root,)))) == (
        "attestation_ca"
    )


@pytest.mark.req("R14")
@pytest.mark.parametrize("unit", ["Sales", "authenticator attestation", None])
def test_a_leaf_of_another_unit_is_refused(unit: str | None) -> None:
    batch = MAKER.batch(name=subject("Test Maker batch", unit=unit))
    assert refusal_of(lambda: register(batch)) == "attestation_subject"


@pytest.mark.req("R14")
@pytest.mark.parametrize("missing", ["C", "O", "CN"])
def test_a_leaf_names_country_maker_and_itself(missing: str) -> None:
    parts = [a for a in subject("Test Maker batch") if a.rfc4514_attribute_name != missing]
    batch = MAKER.batch(name=x509.Name(parts))
    assert refusal_of(lambda: register(batch)) == "attestation_subject"


@pytest.mark.req("R14")
@pytest.mark.parametrize(
    "dates",
    [
        {"valid_from": NOW - 2 * YEAR, "valid_to": NOW - YEAR},
        {"valid_from": NOW + YEAR, "valid_to": NOW + 2 * YEAR},
    ],
    ids=["expired", "not-yet"],
)
def test_every_certificate_of_the_path_must_be_valid_today(dates: dict[str, Any]) -> None:
    assert refusal_of(lambda: register(MAKER.batch(**dates))) == "attestation_expired"
    line = MAKER.intermediate(**dates)
    assert refusal_of(lambda: register(MAKER.batch(issuer=line))) == "attestation_expired"
    old = Maker(**dates)
    policy = Policy(roots={AAGUID: (old.root,)})
    assert refusal_of(lambda: register(old.batch(), policy)) == "attestation_expired"
    assert refusal_of(lambda: register(MAKER.batch(**dates), UNPINNED)) == "attestation_expired"


@pytest.mark.req("R14")
def test_dates_are_judged_at_the_time_given() -> None:
    batch = MAKER.batch(valid_to=NOW + dt.timedelta(days=1))
    assert by_itself(batch, now=NOW).anchor == MAKER.root
    assert refusal_of(lambda: by_itself(batch, now=NOW + dt.timedelta(days=2))) == (
        "attestation_expired"
    )


@pytest.mark.req("R14")
def test_only_a_ca_issues() -> None:
    a_leaf = MAKER.intermediate(ca=False)
    assert refusal_of(lambda: register(MAKER.batch(issuer=a_leaf))) == "attestation_chain"
    no_signer = MAKER.intermediate(key_cert_sign=False)
    assert refusal_of(lambda: register(MAKER.batch(issuer=no_signer))) == "attestation_chain"


@pytest.mark.req("R14")
def test_path_lengths_hold() -> None:
    short = Maker(path_length=0)
    policy = Policy(roots={AAGUID: (short.root,)})
    assert register(short.batch(), policy).aaguid == AAGUID
    too_long = short.batch(issuer=short.intermediate())
    assert refusal_of(lambda: register(too_long, policy)) == "attestation_chain"


@pytest.mark.req("R14")
def test_a_link_missing_from_the_chain_is_refused() -> None:
    batch = MAKER.batch(issuer=MAKER.intermediate())
    assert refusal_of(lambda: register(Batch(batch.key, batch.chain[:1]))) == "attestation_chain"


@pytest.mark.req("R14")
def test_a_genuine_chain_without_its_key_is_refused() -> None:
    stolen = Batch(ec.generate_private_key(ec.SECP256R1()), MAKER.batch().chain)
    for policy in (STRICT, LAX, UNPINNED):
        assert refusal_of(lambda policy=policy: register(stolen, policy)) == (
            "attestation_signature"
        )


@pytest.mark.req("R14")
def test_an_attestation_of_other_data_is_refused() -> None:
    assert refusal_of(lambda: register(MAKER.batch(), signed=b"something else")) == (
        "attestation_signature"
    )


@pytest.mark.req("R14")
@pytest.mark.parametrize("fmt", ["tpm", "apple", "android-key", "fido-u2f", "android-safetynet"])
def test_other_formats_are_refused(fmt: str) -> None:
    assert refusal_of(lambda: register(None, fmt=fmt)) == "attestation_format"


@pytest.mark.req("R14")
def test_ecdaa_is_refused() -> None:
    ecdaa = {"alg": -7, "sig": b"s", "ecdaaKeyId": b"k"}
    assert refusal_of(lambda: register(None, statement=ecdaa, fmt="packed")) == (
        "attestation_format"
    )


@pytest.mark.req("R14")
@pytest.mark.parametrize(
    "x5c", [[], [b""], [b"not a certificate"], "text", {}, 7, [7], [["nested"]]], ids=str
)
@pytest.mark.parametrize("policy", [STRICT, LAX, UNPINNED], ids=["strict", "lax", "unpinned"])
def test_a_chain_that_is_none_is_refused(x5c: Any, policy: Policy) -> None:
    statement = {"alg": -7, "sig": b"s", "x5c": x5c}
    assert refusal_of(lambda: register(None, policy, statement=statement, fmt="packed")) == (
        "attestation_certificate"
    )


@pytest.mark.req("R14")
def test_a_very_long_chain_is_refused_unread() -> None:
    batch = MAKER.batch()
    long = Batch(batch.key, (*batch.chain, *[MAKER.root] * 5))
    assert refusal_of(lambda: register(long)) == "attestation_certificate"


@pytest.mark.req("R14")
def test_only_allowed_models_register() -> None:
    allowed = Policy(roots=STRICT.roots, allowed_models=frozenset({AAGUID}))
    assert register(MAKER.batch(), allowed).aaguid == AAGUID
    others = Policy(roots=STRICT.roots, allowed_models=frozenset({OTHER_AAGUID}))
    assert refusal_of(lambda: register(MAKER.batch(), others)) == "model_not_allowed"


@pytest.mark.req("R14")
def test_a_withdrawn_model_is_refused_whatever_it_proves() -> None:
    withdrawn = {AAGUID: Refusal.MODEL_WITHDRAWN}
    policy = Policy(roots=STRICT.roots, withdrawn=withdrawn)
    assert refusal_of(lambda: register(MAKER.batch(), policy)) == "model_withdrawn"
    lax = Policy(required=False, withdrawn=withdrawn)
    assert refusal_of(lambda: register(None, lax)) == "model_withdrawn"


@pytest.mark.req("R14")
def test_a_leaked_attestation_key_is_refused_and_its_sisters_are_not() -> None:
    leaked, fine = MAKER.batch(), MAKER.batch()
    policy = Policy(roots=STRICT.roots, compromised=frozenset({leaked.x5c[0]}))
    assert refusal_of(lambda: register(leaked, policy)) == "model_withdrawn"
    assert register(fine, policy).aaguid == AAGUID


# Where attestation is not required


@pytest.mark.req("R14")
@pytest.mark.parametrize("policy", [LAX, UNPINNED], ids=["pinned", "unpinned"])
def test_no_attestation_passes_without_a_model_name(policy: Policy) -> None:
    made = register(None, policy)
    assert (made.fmt, made.aaguid, made.model) == ("none", AAGUID, None)


@pytest.mark.req("R14")
def test_a_well_known_aaguid_alone_names_no_model() -> None:
    known = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
    assert model_name(known) == "YubiKey 5 NFC"
    assert register(None, UNPINNED, aaguid=known).model is None
    assert register(None, UNPINNED, fmt="packed", aaguid=known).model is None
    assert register(FOREIGN.batch(known), UNPINNED, aaguid=known).model is None
    pinned = Policy(required=False, roots={known: (MAKER.root,)})
    assert register(MAKER.batch(known), pinned, aaguid=known).model == "YubiKey 5 NFC"


@pytest.mark.req("R14")
def test_none_with_a_statement_is_refused() -> None:
    assert refusal_of(lambda: register(None, UNPINNED, fmt="none", statement={"alg": -7})) == (
        "attestation_invalid"
    )


@pytest.mark.req("R14")
def test_self_attestation_is_verified_where_it_is_there() -> None:
    made = register(None, UNPINNED, fmt="packed")
    assert (made.fmt, made.model) == ("packed", None)

    def forged(authenticator: Authenticator) -> Mapping[str, Any]:
        return {"alg": -7, "sig": sign(authenticator.key, b"something else")}

    assert refusal_of(lambda: register(None, UNPINNED, fmt="packed", statement=forged)) == (
        "attestation_signature"
    )
    wrong_algorithm = {"alg": -8, "sig": b"s"}
    assert refusal_of(
        lambda: register(None, UNPINNED, fmt="packed", statement=wrong_algorithm)
    ) == ("attestation_signature")


@pytest.mark.req("R14")
def test_a_pinned_model_must_live_up_to_its_root_although_none_is_required() -> None:
    assert register(MAKER.batch(), LAX).model == "Test key"
    assert refusal_of(lambda: register(FOREIGN.batch(), LAX)) == "attestation_chain"
    assert refusal_of(lambda: register(None, LAX, fmt="packed")) == "attestation_self"


@pytest.mark.req("R14")
@pytest.mark.parametrize("fmt", ["tpm", "apple", "android-key"])
def test_platform_attestations_are_left_to_the_library_which_refuses_empty_ones(fmt: str) -> None:
    assert refusal_of(lambda: register(None, UNPINNED, fmt=fmt)) == "attestation_invalid"


@pytest.mark.req("R14")
@pytest.mark.parametrize("fmt", ["fido-u2f", "android-safetynet", "compound", "", "NONE"])
def test_formats_that_nobody_verifies_are_refused(fmt: str) -> None:
    assert refusal_of(lambda: register(None, UNPINNED, fmt=fmt)) == "attestation_format"


# Whatever comes in

cbor_values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63) | st.binary(max_size=9) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
statements = st.dictionaries(
    st.sampled_from(["alg", "sig", "x5c", "ecdaaKeyId", "ver", "certInfo", "pubArea", "response"]),
    st.sampled_from([-7, b"s", MAKER.batch().x5c, FOREIGN.batch().x5c]) | cbor_values,
)


@pytest.mark.req("R30")
@settings(max_examples=150, deadline=None)
@given(
    fmt=st.sampled_from(["packed", "none", "tpm", "apple", "android-key", "fido-u2f"])
    | st.text(max_size=9),
    statement=statements | cbor_values,
    policy=st.sampled_from([STRICT, LAX, UNPINNED]),
)
def test_a_made_up_statement_never_passes_nor_crashes(
    fmt: str, statement: Any, policy: Policy
) -> None:
    try:
        made = register(None, policy, fmt=fmt, statement=statement or {"x": 1})
    except CeremonyRefused:
        return
    pytest.fail(f"passed as {made.fmt}")


# The policy from the settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "roots"
    made.mkdir()
    return made


def policy_of(folder: Path | None, **changes: Any) -> Policy:
    given_: dict[str, Any] = {"base_url": "http://localhost:5005", "attestation_roots": folder}
    return load_policy(load(Path("unused"), **{**given_, **changes}))


def pem(maker: Maker) -> bytes:
    return maker.root.public_bytes(Encoding.PEM)


def test_attestation_is_required_of_every_model_with_a_folder_and_of_none_without(
    folder: Path,
) -> None:
    assert policy_of(folder).required
    assert not policy_of(folder, attestation="none").required
    bare = policy_of(None)
    assert not bare.required
    assert bare.device_bound
    assert not bare.roots


def test_a_root_is_pinned_by_its_file_name(folder: Path) -> None:
    (folder / f"{AAGUID.upper()}.pem").write_bytes(pem(MAKER) + pem(FOREIGN))
    policy = policy_of(folder, allowed_models=AAGUID.upper())
    assert policy.roots == {AAGUID: (MAKER.root, FOREIGN.root)}
    assert policy.allowed_models == {AAGUID}
    assert register(MAKER.batch(), policy).aaguid == AAGUID


def test_models_json_gives_names_and_shares_roots(folder: Path) -> None:
    (folder / "maker.pem").write_bytes(pem(MAKER))
    models = {
        AAGUID: {"name": "Staff card", "roots": ["maker.pem"]},
        OTHER_AAGUID.upper(): {"name": "Visitor card", "roots": ["maker.pem"]},
    }
    (folder / "models.json").write_text(json.dumps(models))
    policy = policy_of(folder)
    assert set(policy.roots) == {AAGUID, OTHER_AAGUID}
    assert register(MAKER.batch(), policy).model == "Staff card"


def test_a_changed_folder_is_read_again(folder: Path) -> None:
    assert not policy_of(folder).roots
    (folder / f"{AAGUID}.pem").write_bytes(pem(MAKER))
    assert policy_of(folder).roots == {AAGUID: (MAKER.root,)}
    assert policy_of(folder).roots is policy_of(folder).roots


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("maker.pem", pem(MAKER), "maker.pem"),
        (f"{AAGUID}.pem", b"not PEM", f"{AAGUID}.pem"),
        ("models.json", b"{", "models.json"),
        ("models.json", b"[]", "models.json"),
        ("models.json", b'{"x": {"name": "n", "roots": ["a.pem"]}}', "AAGUID"),
        ("models.json", f'{{"{AAGUID}": {{"roots": ["a.pem"]}}}}'.encode(), "models.json"),
        ("models.json", f'{{"{AAGUID}": {{"name": "n"}}}}'.encode(), "models.json"),
        ("models.json", f'{{"{AAGUID}": {{"name": 1, "roots": ["a"]}}}}'.encode(), "models.json"),
        ("models.json", f'{{"{AAGUID}": {{"name": "n", "roots": ["a"]}}}}'.encode(), "a:"),
        (
            "models.json",
            f'{{"{AAGUID}": {{"name": "n", "roots": ["../a.pem"]}}}}'.encode(),
            "models.json",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.req("R3")
def test_a_fault_in_the_folder_names_the_file(
    folder: Path, name: str, content: bytes, fault: str
) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ConfigurationError, match=fault):
        policy_of(folder)


@pytest.mark.req("R3")
def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        policy_of(tmp_path / "nowhere")


@pytest.mark.req("R14")
def test_the_software_card_is_refused_outside_demo_mode(folder: Path) -> None:
    for attestation_rule in ("required", "none"):
        policy = policy_of(folder, attestation=attestation_rule)
        for batch in (None, MAKER.batch(SIMULATOR_AAGUID)):
            assert refusal_of(
                lambda batch=batch, policy=policy: register(batch, policy, aaguid=SIMULATOR_AAGUID)
            ) == ("model_simulated")
    (folder / f"{SIMULATOR_AAGUID}.pem").write_bytes(pem(MAKER))
    with pytest.raises(ConfigurationError, match="software card"):
        policy_of(folder)
    demo = policy_of(folder, demo=True)
    made = register(MAKER.batch(SIMULATOR_AAGUID), demo, aaguid=SIMULATOR_AAGUID)
    assert made.model == "Software card (demonstration)"


# The product's software card, which shares nothing with the authenticator above

SOFTWARE_ROOT = x509.load_pem_x509_certificate(root_pem())
DEMO = Policy(roots={SIMULATOR_AAGUID: (SOFTWARE_ROOT,)})


class _TypedPin(UserInteraction):
    def request_pin(self, permissions: object, rp_id: str | None) -> str:
        return "482915"


def tap(policy: Policy, profile: Profile | None = None, **faults: bool) -> VerifiedRegistration:
    card = SoftwareCard(profile or Profile(pin="482915"), Faults(**faults))
    collector = DefaultClientDataCollector(PARTY.origin)
    client = Fido2Client(SoftwareDevice(card), collector, _TypedPin())
    options = registration_options(
        PARTY, purpose="enrol", binding="job", user_handle=b"h" * 64, user_name="ada",
        display_name="Ada", exclude=[], attachment="cross-platform",
    )  # fmt: skip
    made = client.make_credential(PublicKeyCredentialCreationOptions.from_dict(json.loads(options)))
    taken = take_challenge("enrol", "job")
    return verify_registration(json.dumps(dict(made)), taken, policy=policy, party=PARTY)


def test_the_software_cards_model_is_the_one_that_is_refused() -> None:
    assert str(REAL_SIMULATOR_AAGUID) == SIMULATOR_AAGUID


def test_the_software_card_registers_under_its_root() -> None:
    assert tap(DEMO).model == "Software card (demonstration)"


@pytest.mark.req("R14")
@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        ({"foreign_root": True}, "attestation_chain"),
        ({"bad_signature": True}, "attestation_signature"),
        ({"wrong_aaguid": True}, "attestation_aaguid"),
        ({"no_uv": True}, "user_not_verified"),
    ],
    ids=str,
)
def test_a_faulty_software_card_is_refused(faults: dict[str, bool], reason: str) -> None:
    assert refusal_of(lambda: tap(DEMO, **faults)) == reason


@pytest.mark.req("R14")
@pytest.mark.parametrize(
    ("kind", "reason"), [("self", "attestation_self"), ("none", "attestation_missing")]
)
def test_a_software_card_without_a_certificate_is_refused(kind: Any, reason: str) -> None:
    profile = Profile(pin="482915", attestation=kind)
    assert refusal_of(lambda: tap(DEMO, profile)) == reason

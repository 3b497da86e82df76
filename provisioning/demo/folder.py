# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The demo's data folder: made at the first start, gone on with at the next ones."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from reader.card import Card
from reader.ceremony import Creation
from reader.simulator import SIMULATOR_AAGUID
from reader.simulator.attestation import root_pem
from reader.software_reader import SoftwareReader

from .. import live_settings
from ..audit import Actor
from ..ceremonies import attestation, ceremony, challenges
from ..clock import DAY, now_ms
from ..errors import ConfigurationError
from ..installation import KEYS, open_services
from ..models import Connection, OwnerLink, PanelAccount, PanelCredential, Token
from ..panel import access, sign_in
from ..panel.access import Role
from ..services import Services
from ..settings import ENV_FILE, PREFIX, read_env_file
from ..storage.db import database, transaction
from ..storage.migrate import migrate
from ..upstream import tokens
from ..vault import Vault
from .desk import OWNER_CARD, CardBox

DIRECTORY = "Demo directory"
OWNER = "Demo owner"
DEMO = Actor("system", None, "demo")
_PURPOSE = "owner.register"


@dataclass(frozen=True)
class Entry:
    """What a newcomer needs to get in: each start prints new ones."""

    sign_in_url: str
    scim_token: str
    owner_pin: str


def environment(data: Path, base_url: str, *, smtp_port: int, site_url: str) -> dict[str, str]:
    """Return the settings of the demo's processes as environment variables."""
    port = base_url.rpartition(":")[2]
    values = {
        "DATA": str(data),
        "BASE_URL": base_url,
        "DEMO": "true",
        "PORT": port,
        "WEB_PROCESSES": "1",
        "WEB_THREADS": "24",
        "MAIL_SERVER": "127.0.0.1",
        "MAIL_PORT": str(smtp_port),
        "MAIL_TLS": "none",
        "MAIL_SENDER": "keywright@localhost",
        "DEMO_MAILBOX_URL": site_url,
        "ATTESTATION_ROOTS": str(data / "roots"),
    }
    return {PREFIX + name: value for name, value in values.items()}


def refuse_real(data: Path) -> None:
    """Raise ConfigurationError for a folder that is not a demo's.

    Real people's keys must not end in demo mode.
    """
    marker = data / ENV_FILE
    if marker.exists() and read_env_file(marker).get(PREFIX + "DEMO") != "true":
        raise ConfigurationError(f"{data} is not a demo's folder: it holds a real installation.")


def prepare(data: Path) -> Services:
    """Make the folder if it is not there, bring the database up to date, open both."""
    if not (data / KEYS).exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        Vault.create(data / KEYS)
        marker = data / ENV_FILE
        marker.write_text(f"{PREFIX}DEMO=true\n", encoding="utf-8")
        marker.chmod(0o600)
    roots = data / "roots"
    roots.mkdir(exist_ok=True)
    (roots / "simulator.pem").write_bytes(root_pem())
    (roots / "models.json").write_text(
        json.dumps(
            {str(SIMULATOR_AAGUID): {"name": "Keywright software card", "roots": ["simulator.pem"]}}
        ),
        encoding="utf-8",
    )
    services = open_services(data)
    migrate(database)
    if not live_settings.layered(services).version:
        live_settings.choose_organisation("Keywright Demo", DEMO, services)
    return live_settings.layered(services)


def enter(data: Path, services: Services, cards: CardBox) -> Entry:
    """Make this start's sign-in link and token, and at the first start the owner with a card."""
    pin_file = data / "owner.pin"
    if not pin_file.exists():
        pin_file.touch(mode=0o600)
        pin_file.write_text(str(secrets.randbelow(900_000) + 100_000))
    pin = pin_file.read_text()
    account = PanelAccount.get_or_none(PanelAccount.name == OWNER)
    if account is None:
        with transaction():
            account = access.create_account(OWNER, Role.OWNER, DEMO)
        _give_card(account, pin, services, cards)
    return Entry(_sign_in_url(account, services), _token(), pin)


def _sign_in_url(account: PanelAccount, services: Services) -> str:
    text = secrets.token_urlsafe(32)
    with transaction():
        mine = OwnerLink.account == account, OwnerLink.used_at.is_null()
        OwnerLink.update(used_at=now_ms()).where(*mine).execute()
        OwnerLink.create(
            token_hash=access.hash_secret(text),
            role=Role.OWNER,
            account=account,
            expires_at=now_ms() + DAY,
        )
    return f"{services.settings.base_url}/owner#{text}"


def _token() -> str:
    with transaction():
        connection = Connection.get_or_none(Connection.name == DIRECTORY)
        if connection is None:
            connection = tokens.create_connection(DIRECTORY, DEMO)
        for old in Token.select().where(Token.connection == connection, Token.revoked_at.is_null()):
            tokens.revoke(old.public_id, DEMO)
        _row, text = tokens.create(connection, 30, DEMO)
    return text


def _give_card(account: PanelAccount, pin: str, services: Services, cards: CardBox) -> None:
    """Register a software card for the owner by the ceremony that a browser would go through."""
    party = sign_in.party(services)
    binding = f"account:{account.id}"
    with transaction():
        options = ceremony.registration_options(
            party,
            purpose=_PURPOSE,
            binding=binding,
            user_handle=bytes(account.user_handle),
            user_name=account.name,
            display_name=account.name,
            exclude=[],
        )
    reader = SoftwareReader("Owner's pocket")
    card = cards.get(cards.fresh(OWNER_CARD))
    assert card is not None  # noqa: S101 - made one line above
    reader.insert(card)
    session = reader.wait_for_card(5, lambda: False)
    try:
        fido = Card(session.device)
        fido.set_pin(pin)
        response = fido.make_credential(Creation(json.loads(options), party.origin), pin)
    finally:
        session.close()
        cards.save()
    with transaction():
        taken = challenges.take_challenge(_PURPOSE, binding)
        verified = ceremony.verify_registration(
            response, taken, policy=attestation.load_policy(services.settings), party=party
        )
        PanelCredential.create(
            account=account,
            label=OWNER_CARD,
            rp_id=party.id,
            credential_id=verified.credential_id,
            public_key=verified.public_key,
            sign_count=verified.sign_count,
            aaguid=verified.aaguid,
            transports=" ".join(verified.transports),
            attestation_format=verified.fmt,
            attestation_object=verified.attestation_object,
        )

# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Settings: environment variables `KEYWRIGHT_*`, all faults told at once.

Secrets may come from files: `KEYWRIGHT_MAIL_PASSWORD_FILE=/run/secrets/smtp`.
"""

from __future__ import annotations

import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from .errors import ConfigurationError
from .pages import colours

LANGUAGES = ("en", "de")
"""In which pages and mails exist; `translations/` holds all but the first."""

CONTACT = "your IT service desk"  # unless set; pages and mails say it in their own language
PREFIX = "KEYWRIGHT_"
ENV_FILE = "keywright.env"
_PORTS = {"http": 80, "https": 443}


class SecondCode(StrEnum):
    """Whose activation link asks for a second code."""

    NONE = "none"
    PANEL = "panel"
    ALL = "all"


class PinDelivery(StrEnum):
    """How a server-made PIN reaches its person; `user_sets` makes none at all."""

    MAIL = "mail"
    REVEAL_ONCE = "reveal_once"
    USER_SETS = "user_sets"


class MailTls(StrEnum):
    """How the connection to the mail server is protected."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


class AttestationRule(StrEnum):
    """Whether a key must prove its model."""

    REQUIRED = "required"
    NONE = "none"


class Settings(BaseSettings):
    """Everything that an operator decides. Field descriptions are the documentation."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    data: Path = Field(description="Data folder: database, key files, settings file.")
    base_url: str = Field(description="Address that people and directories use, with https://.")
    database_url: str = Field(
        "", description="sqlite:///… (default: in the data folder) or postgresql://…"
    )
    rp_id: str = Field(
        "",
        description="WebAuthn RP ID; the base URL's host unless set. Frozen at "
        "the first credential.",
    )
    organisation: str = Field(
        "Keywright",
        min_length=1,
        max_length=64,
        description="Name that people see on pages, mails and cards.",
    )
    contact: str = Field(
        CONTACT,
        min_length=1,
        max_length=200,
        description="Whom a mail tells people to ask.",
    )
    accent_colour: str = Field(
        "",
        description="Colour of buttons and links, as #rrggbb; white words must be readable on it.",
    )
    language: str = Field(
        "en", description="Language of mails to people whose directory names none: en or de."
    )
    demo: bool = Field(False, description="Demo mode; only `keywright demo` sets it.")
    demo_mailbox_url: str = Field("", description="Where the demo shows its mail and its desk.")
    mail_server: str = Field("localhost", description="SMTP server.")
    mail_port: int = Field(25, ge=1, le=65535, description="SMTP port.")
    mail_username: str = Field("", description="SMTP user name; empty for none.")
    mail_password: str = Field("", repr=False, description="SMTP password.")
    mail_tls: MailTls = Field(MailTls.STARTTLS, description="none, starttls or tls.")
    mail_sender: str = Field("keywright@localhost", description="From address.")
    pin_delivery: PinDelivery = Field(
        PinDelivery.MAIL,
        description="mail, reveal_once or user_sets (the only one that NIST SP 800-63B-4 allows).",
    )
    pin_length: int = Field(6, ge=6, le=16, description="Digits of a PIN that the server makes.")
    require_forced_pin_change: bool = Field(
        False, description="Refuse cards that cannot force a PIN change."
    )
    link_lifetime_minutes: int = Field(
        24 * 60,
        ge=5,
        le=7 * 24 * 60,
        description="How long an activation link lives; longer "
        "than 24 hours is shown as a deviation.",
    )
    second_code: SecondCode = Field(
        SecondCode.PANEL,
        description="Whose activation link asks for a code besides, which no mail holds and an "
        "admin tells them: none, panel (who has an account in the panel) or all.",
    )
    spare_keys: bool = Field(
        False, description="Let people add a spare key on their own page, where groups allow it."
    )
    leaver_grace_hours: int = Field(
        24, ge=0, le=90 * 24, description="From the cascade to the revocation of a leaver's keys."
    )
    attestation: AttestationRule = Field(
        AttestationRule.NONE,
        description="Whether a user's key must prove its model: `required`, the default as soon as "
        "attestation_roots is set, or `none`.",
    )
    attestation_roots: Path | None = Field(
        None, description="Folder of PEM roots with a models.json that names each model."
    )
    allowed_models: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(),
        description="AAGUIDs allowed, separated by commas; empty: every model with a root.",
    )
    web_processes: int = Field(2, ge=1, le=64, description="Web processes of `serve`.")
    web_threads: int = Field(
        16,
        ge=4,
        le=256,
        description="Threads of each web process; half of them may hold waiting stations.",
    )
    scim_rate: int = Field(
        0,
        ge=0,
        le=100_000,
        description="Requests a second that one directory may make to each web process; more are "
        "answered with 429. 0: no limit. Entra ID wants at least 25.",
    )
    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(
        8080,
        ge=1,
        le=65535,
        description="Port to listen on; a plain http base URL brings its own.",
    )
    proxies: int = Field(
        0,
        ge=0,
        le=9,
        description="Reverse proxies in front of this server. The last so many addresses of "
        "X-Forwarded-For are theirs to tell: rate limits count each client, not the proxy.",
    )
    local_receivers: bool = Field(
        False, description="Let event streams push to http://localhost; for trials only."
    )
    tls_certificate: Path | None = Field(None, description="PEM certificate, if no proxy ends TLS.")
    tls_key: Path | None = Field(None, description="PEM key of the certificate.")

    @field_validator("allowed_models", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return frozenset(part.strip().lower() for part in value.split(",") if part.strip())
        return value

    @field_validator("base_url")
    @classmethod
    def _base_url(cls, value: str) -> str:
        try:
            parts, port = urlsplit(value), urlsplit(value).port
        except ValueError as error:
            raise ValueError("must be an absolute http(s) address") from error
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("must be an absolute http(s) address")
        if parts.scheme == "http" and not _is_local(parts.hostname):
            raise ValueError("must be https (http is allowed for localhost only)")
        if parts.query or parts.fragment or parts.username or parts.path not in ("", "/"):
            raise ValueError("must be scheme, host and port only")
        # As browsers write an origin: it is compared to the letter (WebAuthn L3 §7.1).
        shown = "" if port in (None, _PORTS[parts.scheme]) else f":{port}"
        return f"{parts.scheme}://{parts.hostname}{shown}"

    @field_validator("mail_sender", "contact", "organisation")
    @classmethod
    def _one_line(cls, value: str) -> str:
        if any(ord(character) < 32 for character in value):
            raise ValueError("must be one line")
        return value

    @field_validator("accent_colour")
    @classmethod
    def _readable(cls, value: str) -> str:
        if not value:
            return ""
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", value):
            raise ValueError("must be # and six digits from 0 to f, or empty")
        reached = colours.contrast(colours.WHITE, value)
        if reached < colours.READABLE:
            raise ValueError(
                f"must be darker: white words on {value} have a contrast of {reached:.1f}, and "
                f"{colours.READABLE} is needed; {colours.darkened(value)} is the nearest that works"
            )
        return value.lower()

    @field_validator("language")
    @classmethod
    def _is_translated(cls, value: str) -> str:
        if value not in LANGUAGES:
            raise ValueError(f"must be one of {', '.join(LANGUAGES)}")
        return value

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: dict[str, object]) -> dict[str, object]:
        if not values.get("rp_id") and isinstance(values.get("base_url"), str):
            values["rp_id"] = urlsplit(str(values["base_url"])).hostname or ""
        plain = re.fullmatch(r"http://[^/]+:(\d+)/?", str(values.get("base_url")))
        if plain:
            values.setdefault("port", plain[1])  # no proxy in between: listen where people go
        if not values.get("database_url") and values.get("data"):
            folder = Path(str(values["data"])).absolute()
            values["database_url"] = f"sqlite:///{folder / 'keywright.sqlite3'}"
        if values.get("attestation_roots"):
            values.setdefault("attestation", AttestationRule.REQUIRED)
        return values

    @model_validator(mode="after")
    def _attestation_has_roots(self) -> Settings:
        if self.attestation is AttestationRule.REQUIRED and self.attestation_roots is None:
            raise ValueError("attestation=required needs attestation_roots, or no key could pass")
        return self

    @model_validator(mode="after")
    def _rp_id_fits(self) -> Settings:
        host = urlsplit(self.base_url).hostname or ""
        if host != self.rp_id and not host.endswith("." + self.rp_id):
            raise ValueError(f"rp_id {self.rp_id!r} is not the host of base_url or above it")
        return self

    @property
    def origin(self) -> str:
        """The one origin that WebAuthn answers may name (WebAuthn L3 §7.1)."""
        return self.base_url

    @property
    def is_local(self) -> bool:
        """Whether the base URL is plain http on this machine (demo and development)."""
        return self.base_url.startswith("http://")


def _is_local(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")


def read_env_file(path: Path) -> dict[str, str]:
    """Read `NAME=value` lines as `keywright init` writes them; `#` starts a comment line."""
    values: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            name, _, value = line.partition("=")
            values[name.strip()] = value.strip()
    return values


def load(data: Path | None = None, **overrides: object) -> Settings:
    """Read the settings: the data folder's `keywright.env`, the environment, then overrides.

    Raises ConfigurationError with one line for every fault.
    """
    values, faults = _given(data, overrides)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults += faults_of(error)
    if faults or settings is None:
        raise ConfigurationError("\n".join(faults))
    return settings


def given_names(data: Path | None = None, **overrides: object) -> frozenset[str]:
    """Return which settings `load` is told from outside, and does not take by default."""
    return frozenset(_given(data, overrides)[0])


def faults_of(error: ValidationError) -> list[str]:
    """Return a line for every fault: the setting's name, and what is wrong with its value."""
    faults = []
    for fault in error.errors(include_url=False, include_input=False):
        name = PREFIX + "_".join(str(part) for part in fault["loc"]).upper()
        faults.append(f"{name.rstrip('_')}: {fault['msg'].removeprefix('Value error, ')}")
    return faults


def _given(data: Path | None, overrides: dict[str, object]) -> tuple[dict[str, object], list[str]]:
    faults: list[str] = []
    values: dict[str, object] = {}
    folder = data or (Path(os.environ[PREFIX + "DATA"]) if PREFIX + "DATA" in os.environ else None)
    if folder is None:
        raise ConfigurationError("KEYWRIGHT_DATA: say where the data folder is (or pass --data).")
    values["data"] = folder
    lines = read_env_file(folder / ENV_FILE) if (folder / ENV_FILE).is_file() else {}
    lines.update({name: value for name, value in os.environ.items() if name.startswith(PREFIX)})
    lines.pop(PREFIX + "DATA", None)
    for name, value in sorted(lines.items()):
        field = name.removeprefix(PREFIX).lower()
        if field.endswith("_file") and field.removesuffix("_file") in Settings.model_fields:
            field = field.removesuffix("_file")
            try:
                value = Path(value).read_text(encoding="utf-8").strip()
            except OSError as error:
                faults.append(f"{name}: {error.strerror}")
                continue
        if field in Settings.model_fields:
            values[field] = value
        else:
            faults.append(f"{name}: there is no such setting")
    values.update(overrides)
    return values, faults

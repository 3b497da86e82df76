# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Mails: what they say and how one goes out. The only importer of `flask_mail`.

Flask-Mail 0.10 sends without a time-out, starts TLS without verifying the certificate, prints the
conversation in debug mode and writes 8-bit bodies without asking for 8BITMIME; `_Connection` and
`_Message` override just that.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import ssl
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime as format_rfc5322
from email.utils import getaddresses
from enum import StrEnum, unique
from types import TracebackType
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import flask_mail
from babel import Locale, UnknownLocaleError, dates
from flask import current_app
from flask_babel import force_locale, get_babel, gettext

from ..errors import InvalidValue, KeywrightError
from ..settings import CONTACT, MailTls, Settings
from .addresses import check_address

TIMEOUT = 15  # seconds, for each step of the conversation
WIDTH = 72  # characters of a line of text

Context = Mapping[str, str | int | None]


@unique
class Template(StrEnum):
    """Each is a pair `templates/mail/<value>.txt` and `.html`; the first line is the subject."""

    ACTIVATION_LINK = "activation_link"
    PIN = "pin"
    KEY_ADDED = "key_added"
    KEY_REVOKED = "key_revoked"
    LINK_REQUESTED = "link_requested"
    ADDRESS_CHANGED = "address_changed"
    ALERT = "alert"
    TEST = "test"


WITH_SECRET = frozenset({Template.ACTIVATION_LINK, Template.PIN})
# What has happened is told even to who has left since: a warning that goes with them warns nobody.
NOTICES = frozenset({Template.KEY_ADDED, Template.KEY_REVOKED, Template.ADDRESS_CHANGED})

OUR_ACCENT = "#3d50d0"  # of the stylesheet, where an organisation has chosen no colour

_ALWAYS = frozenset({"organisation", "name", "base_url", "contact"})
_SOMETIMES = frozenset({"admin_name", "expires", "timezone", "kind", "code", "reason", "user_id"})
_NEEDED = {
    Template.ACTIVATION_LINK: frozenset({"key_name", "expires"}),
    Template.ALERT: frozenset({"alert", "subject", "path"}),
    Template.ADDRESS_CHANGED: frozenset[str](),
    Template.TEST: frozenset[str](),
}
_OF_A_KEY = frozenset({"key_name"})  # which most mails are about


class MailTemporary(KeywrightError):
    """The mail server would not take this mail now; another try may do."""


class MailUnreachable(MailTemporary):
    """No mail server to talk to, or our settings are wrong: this mail is not the reason."""


class MailPermanent(KeywrightError):
    """The mail server said 5xx to this mail, or no server should see it: it stays unsent."""


@dataclass(frozen=True)
class Rendered:
    """A mail in the words of one language. Holds the secret: never logged."""

    subject: str
    text: str
    html: str

    def __repr__(self) -> str:
        return "Rendered(…)"


def check_context(template: Template, context: Context, secret: str | None) -> None:
    """Refuse what the template cannot say. Raises ValueError: the caller has to be mended.

    Always: `organisation`, `name` (of the key's holder, or of the admin who is told), `base_url`,
    `contact`; `key_name` but for ADDRESS_CHANGED, ALERT and TEST. If known: `admin_name` (who
    caused it; in LINK_REQUESTED who is asked). ACTIVATION_LINK: `expires` (ms), and if known `kind`
    (lifecycle.KeyKind), `timezone` (IANA name, for `expires`) and `code` (true where the link asks
    for one besides). KEY_REVOKED: if known `reason` (lifecycle.Reason). LINK_REQUESTED: if known
    `user_id` (resource id). ALERT: `alert` (alerts.Kind), `subject` (what it is about) and `path`
    (the page that helps). Other names are refused, so that no card serial or link slips into a PIN
    mail (R19).
    """
    needed = _ALWAYS | _NEEDED.get(template, _OF_A_KEY)
    missing = needed - context.keys()
    unknown = context.keys() - needed - _OF_A_KEY - _SOMETIMES
    if missing or unknown:
        raise ValueError(f"{template} mail: missing {sorted(missing)}, unknown {sorted(unknown)}")
    if (secret is None) == (template in WITH_SECRET):
        raise ValueError(f"{template} mail: secret {'missing' if secret is None else 'unwanted'}")


def render(
    template: Template, context: Context, secret: str | None, locale: str, accent: str = ""
) -> Rendered:
    """Return the mail in `locale`, or in English where no such locale exists.

    Needs an app context with Flask-Babel; `secret` is the link or the PIN, `accent` the colour of
    the button (#rrggbb) if it is not ours.
    """
    check_context(template, context, secret)
    chosen = _locale(locale)
    with force_locale(str(chosen)):
        values: dict[str, object] = {
            name: _one_line(value) if isinstance(value, str) else value
            for name, value in context.items()
        }
        values["expires"] = _moment(context.get("expires"), context.get("timezone"), chosen)
        values["contact"] = contact_words(str(values["contact"]))
        values["lang"], values["dir"] = str(chosen).replace("_", "-"), chosen.text_direction
        values["secret"], values["accent"] = secret, accent or OUR_ACCENT
        # Past Flask's render_template: an app's context processors expect a request.
        environment = current_app.jinja_env
        text = environment.get_template(f"mail/{template}.txt").render(values)
        html = environment.get_template(f"mail/{template}.html").render(values)
    subject, _, body = text.partition("\n")
    return Rendered(_one_line(subject), _wrap(body), html)


def contact_words(contact: str) -> str:
    """Return whom people can ask; where nobody has said it, in the language that is spoken."""
    return str(gettext("your IT service desk")) if contact == CONTACT else contact


def _locale(name: str) -> Locale:
    """Return the locale if its language is translated: no German date in an English sentence."""
    try:
        locale = Locale.parse(name, sep="-" if "-" in name else "_")
    except (ValueError, UnknownLocaleError):
        return Locale("en")
    translated = {one.language for one in get_babel().instance.list_translations()}
    return locale if locale.language in translated | {"en"} else Locale("en")


def _one_line(words: str) -> str:
    """Take line breaks and control characters out of what a directory or a server wrote."""
    return " ".join("".join(c if c.isprintable() else " " for c in words).split())


def _moment(at: str | int | None, zone: str | int | None, locale: Locale) -> str | None:
    if not isinstance(at, int):
        return None
    try:
        tzinfo = ZoneInfo(str(zone or "UTC"))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        tzinfo = ZoneInfo("UTC")
    when = datetime.fromtimestamp(at / 1000, tzinfo)
    return str(
        gettext(
            "%(date)s, %(time)s (%(zone)s)",
            date=dates.format_date(when, "full", locale),
            time=dates.format_time(when, "short", tzinfo, locale),
            zone="UTC" if not when.utcoffset() else dates.get_timezone_gmt(when, locale=locale),
        )
    )


def _wrap(text: str) -> str:
    lines: list[str] = []
    for line in text.strip("\n").splitlines():
        if len(line) <= WIDTH:
            lines.append(line)
            continue
        indent = " " * (len(line) - len(line.lstrip(" 0123456789.")))  # below a step's first word
        lines += textwrap.wrap(
            line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
    return "\n".join(lines) + "\n"


def send(settings: Settings, recipient: str, rendered: Rendered, message_id: str) -> str:
    """Hand one mail to the mail server; return its 250, which may quote what it was given.

    Needs an app context (Flask-Mail) and must not be called in a database transaction. Raises
    MailUnreachable, MailTemporary or MailPermanent, whose texts hold nothing of the mail. A server
    that took the mail and lost the connection before its 250 came through gets it again, with the
    same Message-ID.
    """
    _check_recipient(recipient)
    message = _Message(rendered, message_id, recipient, _sender(settings))
    with contextlib.ExitStack() as stack:
        try:
            connection = stack.enter_context(_Connection(settings))
        except (OSError, UnicodeError) as error:  # UnicodeError: a host or password beyond ASCII
            raise MailUnreachable(_why_unreachable(error)) from None
        try:
            connection.send(message)
            return connection.last_reply
        except smtplib.SMTPRecipientsRefused as error:
            raise _refused("address", *error.recipients[recipient], quote=True) from None
        except smtplib.SMTPSenderRefused as error:
            reply = _reply(error.smtp_code, error.smtp_error, quote=True)
            raise MailUnreachable(f"The mail server refused our sender address: {reply}") from None
        except smtplib.SMTPDataError as error:
            # The server has seen the secret by now, and its words may repeat it.
            raise _refused("mail", error.smtp_code, error.smtp_error, quote=False) from None
        except (smtplib.SMTPException, OSError):
            raise MailTemporary("The connection to the mail server broke off.") from None
    raise AssertionError("a suppressed exception")  # unreachable: nothing here suppresses one


def _check_recipient(recipient: str) -> None:
    try:
        if check_address(recipient) != recipient:
            raise MailPermanent("The address is not in its envelope form.")
    except InvalidValue as error:
        raise MailPermanent(str(error)) from None


def _sender(settings: Settings) -> Address:
    try:
        [(name, address)] = getaddresses([settings.mail_sender])
        return Address(name or settings.organisation, addr_spec=check_address(address))
    except (ValueError, InvalidValue):  # ValueError: more than one, or none
        raise MailUnreachable("KEYWRIGHT_MAIL_SENDER is not one mail address.") from None


def _refused(what: str, code: int, reply: bytes | str, *, quote: bool) -> KeywrightError:
    said = _reply(code, reply, quote=quote)
    if code >= 500:
        return MailPermanent(f"The mail server refused the {what}: {said}")
    return MailTemporary(f"The mail server refused the {what}: {said}")


def _reply(code: int, reply: bytes | str, *, quote: bool) -> str:
    text = reply.decode("utf-8", "replace") if isinstance(reply, bytes) else reply
    if not quote:  # the enhanced status code alone (RFC 3463)
        status = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", text)
        text = status.group() if status else ""
    return f"{code} {_one_line(text)[:160]}".strip()


def _why_unreachable(error: OSError | UnicodeError) -> str:
    """Say in our own words what stands between us and the mail server."""
    match error:
        case smtplib.SMTPAuthenticationError():
            return f"The mail server refused our user name or password ({error.smtp_code})."
        case smtplib.SMTPNotSupportedError():
            return "The mail server does not offer what the settings ask for (STARTTLS or AUTH)."
        case smtplib.SMTPResponseException():
            return f"The mail server turned us away ({error.smtp_code})."
        case smtplib.SMTPException():
            return "The mail server closed the connection or fell silent before it took a mail."
        case ssl.SSLCertVerificationError():
            return f"The mail server's certificate is not trusted: {error.verify_message}."
        case ssl.SSLError():
            return "The mail server and we found no way to speak TLS (see KEYWRIGHT_MAIL_TLS)."
        case TimeoutError():
            return f"The mail server did not answer within {TIMEOUT} seconds."
        case OSError():
            return f"The mail server cannot be reached: {error.strerror or 'unknown error'}."
        case _:
            return "The mail server's name, or our user name or password, is beyond ASCII."


class _Message(flask_mail.Message):
    def __init__(
        self, rendered: Rendered, message_id: str, recipient: str, sender: Address
    ) -> None:
        super().__init__(
            rendered.subject, [recipient], rendered.text, rendered.html, sender=sender.addr_spec
        )
        self.msgId = message_id
        self._from = sender
        self._rendered = rendered

    def as_bytes(self) -> bytes:
        # cte_type 7bit: quoted-printable or base64, as not every server offers 8BITMIME.
        message = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
        message["From"] = self._from
        message["To"] = [Address(addr_spec=str(one)) for one in self.recipients]
        message["Subject"] = self._rendered.subject
        message["Date"] = format_rfc5322(datetime.now(UTC))
        message["Message-ID"] = self.msgId
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies
        message["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
        message.set_content(self._rendered.text)
        message.add_alternative(self._rendered.html, subtype="html")
        # Flask-Mail's parser picks the envelope, the header is ours: both must name one person.
        envelope = flask_mail.sanitize_addresses(self.send_to)
        if [one.addr_spec for one in message["To"].addresses] != envelope:
            raise MailPermanent("The envelope and the header name different recipients.")
        return message.as_bytes()


class _Hearing(smtplib.SMTP):
    """Keeps what the server says to a mail; smtplib checks it and throws it away."""

    heard = ""

    def data(self, msg: bytes | str) -> tuple[int, bytes]:  # type: ignore[override]
        code, said = super().data(msg)
        self.heard = _reply(code, said, quote=True)
        return code, said


class _HearingTls(_Hearing, smtplib.SMTP_SSL):
    pass


class _Connection(flask_mail.Connection):
    def __init__(self, settings: Settings) -> None:
        mail = flask_mail.Mail()
        mail.state = mail.init_mail(
            {
                "MAIL_SERVER": settings.mail_server,
                "MAIL_PORT": settings.mail_port,
                "MAIL_USERNAME": settings.mail_username,
                "MAIL_PASSWORD": settings.mail_password,
                "MAIL_USE_TLS": settings.mail_tls is MailTls.STARTTLS,
                "MAIL_USE_SSL": settings.mail_tls is MailTls.TLS,
            }
        )
        super().__init__(mail)
        # Given, because smtplib would ask DNS for our name and wait as long as DNS likes.
        self._our_name = urlsplit(settings.base_url).hostname or "localhost"

    @property
    def last_reply(self) -> str:
        """What the server said to the last mail: code and words, on one line."""
        return self.host.heard if isinstance(self.host, _Hearing) else ""

    def configure_host(self) -> smtplib.SMTP | smtplib.SMTP_SSL:
        mail, context = self.mail, ssl.create_default_context()
        port = mail.port or 25
        host: _Hearing
        if mail.use_ssl:
            host = _HearingTls(mail.server, port, self._our_name, timeout=TIMEOUT, context=context)
        else:
            host = _Hearing(mail.server, port, self._our_name, timeout=TIMEOUT)
        with contextlib.ExitStack() as undo:
            undo.callback(host.close)
            if mail.use_tls:
                host.starttls(context=context)
            if mail.username and mail.password:
                host.login(mail.username, mail.password)
            undo.pop_all()
        return host

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self.host is None:
            return
        if exc_type is None:
            # The server has the mail: that it hangs up without a goodbye changes nothing.
            with contextlib.suppress(smtplib.SMTPException, OSError):
                self.host.quit()
        self.host.close()

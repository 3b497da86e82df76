# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import datetime
import ipaddress
import re
import ssl
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask import Flask
from flask_babel import Babel
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from provisioning.app import TEMPLATES
from provisioning.mails import mail
from provisioning.mails.mail import (
    Context,
    MailPermanent,
    MailTemporary,
    MailUnreachable,
    Rendered,
    Template,
)
from provisioning.settings import CONTACT, Settings, load
from tests.fakes.smtp import Fault, Sink

ANYWHERE = pytest.mark.allow_hosts(["127.0.0.1", "localhost"])
LINK = "http://localhost:5005/activate#Jx0u3q9bX1lH4mYt5N2vZ8pQ7rS6wE0aKcDfGhIjLkM"
PIN = "491730"
SECRETS = {Template.ACTIVATION_LINK: LINK, Template.PIN: PIN}
EXPIRES = 1_795_000_000_000  # 2026-11-18 11:06:40 UTC
CONTEXT: Context = {
    "organisation": "Example Hospital",
    "name": "Ada Lovelace",
    "key_name": "Card of Ada Lovelace",
    "admin_name": "Grace Hopper",
    "base_url": "http://localhost:5005",
    "contact": "the service desk",
    "expires": EXPIRES,
}
LETTER = Rendered("Grüße “Ada”", "Your PIN is 491730, Zoë.\n", "<p>Your PIN is 491730, Zoë.</p>")


@pytest.fixture(scope="module")
def mail_app() -> Flask:
    """As much of an app as mails need: no database."""
    made = Flask(__name__, template_folder=str(TEMPLATES))
    Babel(made)
    return made


@pytest.fixture(autouse=True)
def context(mail_app: Flask) -> Iterator[None]:
    with mail_app.app_context():
        yield


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return load(
        tmp_path_factory.mktemp("data"),
        base_url="http://localhost:5005",
        organisation="Example Hospital",
        mail_sender="keys@example.com",
        mail_tls="none",
    )


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


OF_NO_KEY = (Template.ADDRESS_CHANGED, Template.ALERT, Template.TEST)
OF_A_KEY = [one for one in Template if one not in OF_NO_KEY]
ALERT: Context = {"alert": "key_locked", "subject": "Card of Ada Lovelace", "path": "/users"}


def render(template: Template, locale: str = "en", **changes: str | int | None) -> Rendered:
    if template is Template.ALERT:
        changes = {**ALERT, **changes}
    return mail.render(template, {**CONTEXT, **changes}, SECRETS.get(template), locale)


def at(sink: Sink, basic: Settings, **changes: object) -> Settings:
    here = {"mail_server": sink.host, "mail_port": sink.port}
    return Settings.model_validate({**basic.model_dump(), **here, **changes})


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("style", "head")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "head")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.words.append(data)


def visible(html: str) -> str:
    parser = _Words()
    parser.feed(html)
    return " ".join(" ".join(parser.words).split())


# --- what the mails say -------------------------------------------------------------------------


@pytest.mark.parametrize("template", Template)
def test_both_halves_of_a_mail_say_the_same(template: Template) -> None:
    letter = render(template, reason="lost", user_id="17")
    shown = visible(letter.html)
    body, _, footer = letter.text.partition("\n-- \n")
    assert footer, "the footer is set off by a signature delimiter"
    for paragraph in re.split(r"\n\n|\n(?=\d\. )", body):
        words = " ".join(paragraph.split())
        words = re.sub(r"^\d\. ", "", words).removesuffix(":")
        assert words in shown
    for line in " ".join(footer.split()).split(". "):
        assert line in shown


@pytest.mark.parametrize("template", OF_A_KEY)
def test_every_mail_says_who_sent_it_for_which_key_and_whom_to_ask(template: Template) -> None:
    letter = render(template)
    for half in (" ".join(letter.text.split()), visible(letter.html)):
        assert "Example Hospital sent this mail" in half
        assert "Grace Hopper" in half
        assert "“Card of Ada Lovelace”" in half
        if template is not Template.LINK_REQUESTED:
            assert "Questions? Ask the service desk." in half


def test_whom_to_ask_is_said_in_the_mails_language_unless_somebody_has_set_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "gettext", lambda words, **_given: f"[{words}]")
    assert "Ask [your IT service desk]." in render(Template.KEY_ADDED, contact=CONTACT).text
    assert "Ask the porter." in render(Template.KEY_ADDED, contact="the porter").text


def test_the_link_mail_has_one_button_the_raw_link_the_expiry_and_three_things() -> None:
    letter = render(Template.ACTIVATION_LINK)
    assert re.findall(r'href="([^"]*)"', letter.html) == [LINK, LINK]
    assert LINK in visible(letter.html)
    assert f"\n{LINK}\n" in letter.text
    assert "Wednesday, November 18, 2026" in letter.text
    assert "(UTC)" in letter.text
    assert len(re.findall(r"^[123]\. ", letter.text, re.MULTILINE)) == 3


def test_the_expiry_is_told_in_the_holders_own_time() -> None:
    letter = render(Template.ACTIVATION_LINK, timezone="Asia/Tokyo")
    assert "8:06" in letter.text
    assert "(GMT+09:00)" in letter.text


@pytest.mark.parametrize("zone", ["Nowhere/Atlantis", "../../etc/passwd", "", None, 7, "/etc"])
def test_a_time_zone_that_no_one_knows_becomes_utc(zone: str | int | None) -> None:
    assert "(UTC)" in render(Template.ACTIVATION_LINK, timezone=zone).text


@pytest.mark.parametrize("kind", ["contactless_card", "usb_key", "passkey"])
def test_each_kind_of_key_needs_three_things_of_its_own(kind: str) -> None:
    letter = render(Template.ACTIVATION_LINK, kind=kind)
    needed = {"contactless_card": "reader", "usb_key": "plug", "passkey": "screen lock"}
    assert {kind for kind, word in needed.items() if word in letter.text} == {kind}
    assert len(re.findall(r"^[123]\. ", letter.text, re.MULTILINE)) == 3


@pytest.mark.req("R19")
def test_the_pin_mail_shows_the_pin_once_in_a_box_and_carries_no_link() -> None:
    letter = render(Template.PIN)
    assert letter.text.count(PIN) == 1
    assert letter.html.count(PIN) == 1
    assert f'letter-spacing:0.3em; padding-left:0.3em;">{PIN}<' in letter.html
    for half in (letter.text, letter.html):
        assert "href" not in half
        assert "activate#" not in half
    assert "http://localhost:5005/me" in letter.text
    assert "Change PIN" in letter.text


@pytest.mark.req("R19")
def test_neither_the_subject_nor_the_preview_of_a_pin_mail_shows_it() -> None:
    letter = render(Template.PIN)
    preview = letter.html.partition('<div style="display:none')[2].partition("</div>")[0]
    assert preview
    assert PIN not in letter.subject + preview


@pytest.mark.req("R19")
@pytest.mark.parametrize("name", ["serial", "uid", "link", "activation_url"])
def test_a_card_serial_or_a_link_cannot_be_put_into_a_mail(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        render(Template.PIN, **{name: "04A2B3C4"})


def test_a_mail_without_its_secret_or_with_one_too_many_is_refused() -> None:
    with pytest.raises(ValueError, match="missing"):
        mail.render(Template.PIN, CONTEXT, None, "en")
    with pytest.raises(ValueError, match="unwanted") as refusal:
        mail.render(Template.KEY_ADDED, CONTEXT, PIN, "en")
    assert PIN not in str(refusal.value)
    with pytest.raises(ValueError, match="expires"):
        mail.render(
            Template.ACTIVATION_LINK,
            {k: v for k, v in CONTEXT.items() if k != "expires"},
            LINK,
            "en",
        )


def test_a_rendered_mail_never_shows_its_words_by_accident() -> None:
    assert PIN not in repr(render(Template.PIN))


@pytest.mark.parametrize("template", Template)
def test_a_mail_without_an_admin_reads_well(template: Template) -> None:
    letter = render(template, admin_name=None)
    assert "None" not in letter.text
    assert "None" not in visible(letter.html)
    assert "\n\n\n" not in letter.text


@pytest.mark.req("T17")
def test_a_directorys_words_cannot_break_the_subject_or_the_markup() -> None:
    letter = render(
        Template.LINK_REQUESTED,
        name="Ada\r\nBcc: thief@example.net\x00\u202e",
        key_name="<img src=x onerror=alert(1)>",
    )
    assert letter.subject == "A new activation link for Ada Bcc: thief@example.net?"
    assert "<img" not in letter.html
    assert "&lt;img" in letter.html


def test_no_mail_loads_anything_from_anywhere() -> None:
    for template in Template:
        html = render(template).html
        assert not re.search(r"<(img|script|link|iframe)|url\(|@import|src=", html)
        assert "prefers-color-scheme: dark" in html
        assert 'width="600"' in html


@pytest.mark.parametrize("template", Template)
def test_lines_of_text_are_short_and_steps_hang_below_their_number(template: Template) -> None:
    letter = render(template, contact="the service desk in the basement, extension 4711, any day")
    for line in letter.text.splitlines():
        assert len(line) <= 72 or "://" in line
    assert not re.search(r"^[1-3]\. .*\n\S(?!\. )", letter.text, re.MULTILINE)


@pytest.mark.parametrize("locale", ["de-DE", "fr_CA", "tlh", "", "en-", "../../etc", "x" * 500])
def test_a_locale_without_a_translation_is_written_in_english_throughout(locale: str) -> None:
    letter = render(Template.ACTIVATION_LINK, locale)
    assert "Wednesday" in letter.text
    assert 'lang="en"' in letter.html


def test_british_english_gets_british_dates() -> None:
    assert "18 November 2026" in render(Template.ACTIVATION_LINK, "en-GB").text


# --- how a mail goes out ------------------------------------------------------------------------


@ANYWHERE
def test_the_server_gets_a_text_and_an_html_half_in_plain_ascii(
    basic: Settings, sink: Sink
) -> None:
    mail.send(at(sink, basic), "ada@example.com", LETTER, "<one@localhost>")
    [got] = sink.received
    assert got.raw.isascii()
    assert max(len(line) for line in got.raw.splitlines()) <= 998
    assert got.message.get_content_type() == "multipart/alternative"
    assert got.text == LETTER.text
    assert got.html.strip() == LETTER.html
    assert got.message["Subject"] == LETTER.subject
    assert got.message["Message-ID"] == "<one@localhost>"
    assert got.message["Auto-Submitted"] == "auto-generated"
    assert str(got.message["From"]) == "Example Hospital <keys@example.com>"
    assert got.envelope_from == "keys@example.com"
    assert [a.addr_spec for a in got.message["To"].addresses] == ["ada@example.com"]
    assert got.envelope_to == ("ada@example.com",)


@ANYWHERE
def test_a_sender_with_a_name_of_its_own_keeps_it(basic: Settings, sink: Sink) -> None:
    settings = at(sink, basic, mail_sender='"Schlüsseldienst, Haus 2" <keys@example.com>')
    mail.send(settings, "ada@example.com", LETTER, "<one@localhost>")
    [got] = sink.received
    assert got.message["From"].addresses[0].display_name == "Schlüsseldienst, Haus 2"
    assert got.envelope_from == "keys@example.com"


@ANYWHERE
@pytest.mark.parametrize("sender", ["Keys, House 2 <keys@example.com>", "nobody", "a@b.c, d@e.f"])
def test_a_sender_that_is_no_address_is_a_fault_of_the_settings(
    basic: Settings, sink: Sink, sender: str
) -> None:
    with pytest.raises(MailUnreachable, match="KEYWRIGHT_MAIL_SENDER"):
        mail.send(at(sink, basic, mail_sender=sender), "ada@example.com", LETTER, "<a@b.c>")
    assert sink.received == []


@ANYWHERE
@pytest.mark.req("R28")
@pytest.mark.parametrize(
    "recipient",
    [
        "<evil@example.net> ada@example.com",
        "ada@example.com, evil@example.net",
        "ada@example.com\r\nRCPT TO:<evil@example.net>",
        "Ada <ada@example.com>",
        "ADA@EXAMPLE.COM",
    ],
)
def test_a_recipient_that_is_not_in_its_envelope_form_reaches_no_server(
    basic: Settings, sink: Sink, recipient: str
) -> None:
    with pytest.raises(MailPermanent):
        mail.send(at(sink, basic), recipient, LETTER, "<one@localhost>")
    assert sink.received == []


@ANYWHERE
@pytest.mark.req("T17")
def test_a_header_that_names_another_recipient_than_the_envelope_is_not_sent(
    basic: Settings, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The very trap: Flask-Mail's parser delivers this one to evil@example.net.
    monkeypatch.setattr(mail, "check_address", lambda value: value)
    monkeypatch.setattr(
        mail.flask_mail, "sanitize_addresses", lambda _addresses: ["evil@example.net"]
    )
    with pytest.raises(MailPermanent, match="different recipients"):
        mail.send(at(sink, basic), "ada@example.com", LETTER, "<one@localhost>")
    assert sink.received == []


@ANYWHERE
@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (Fault.REFUSE, MailUnreachable, "closed the connection or fell silent"),
        (Fault.SENDER_5XX, MailUnreachable, "our sender address: 550 5.7.1 We do not relay"),
        (Fault.ADDRESS_4XX, MailTemporary, "address: 451 4.7.1 Greylisted"),
        (Fault.ADDRESS_5XX, MailPermanent, "address: 550 5.1.1 No such mailbox"),
        (Fault.MAIL_4XX, MailTemporary, "mail: 451 4.3.0"),
        (Fault.MAIL_5XX, MailPermanent, "mail: 554 5.6.0"),
        (Fault.DROP_AFTER_DATA, MailTemporary, "broke off"),
        (Fault.HANG, MailTemporary, "broke off"),
    ],
)
def test_each_fault_of_the_server_has_its_kind_and_its_sentence(
    basic: Settings,
    sink: Sink,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    kind: type[Exception],
    said: str,
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT", 0.3)
    sink.fail(fault)
    with pytest.raises((MailTemporary, MailPermanent), match=re.escape(said)) as raised:
        mail.send(at(sink, basic), "ada@example.com", LETTER, "<one@localhost>")
    assert type(raised.value) is kind
    assert sink.accepted == []
    # The server quoted the body; nothing of it may come back, nor ride along as a cause.
    assert PIN not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@ANYWHERE
def test_a_server_that_hangs_up_after_its_250_has_the_mail(basic: Settings, sink: Sink) -> None:
    sink.fail(Fault.DROP_AFTER_250)
    mail.send(at(sink, basic), "ada@example.com", LETTER, "<one@localhost>")
    assert len(sink.accepted) == 1


@ANYWHERE
def test_no_server_at_all_is_told_from_a_server_that_refuses(basic: Settings) -> None:
    sink = Sink()
    with sink:
        settings = at(sink, basic)
    with pytest.raises(MailUnreachable, match="cannot be reached: Connection refused"):
        mail.send(settings, "ada@example.com", LETTER, "<one@localhost>")


@ANYWHERE
@pytest.mark.parametrize("server", ["mäil" * 30 + ".example", "a" * 64 + ".example"])
def test_a_server_name_that_cannot_be_is_a_fault_of_the_settings(
    basic: Settings, sink: Sink, server: str
) -> None:
    settings = at(sink, basic, mail_server=server)
    with pytest.raises(MailUnreachable):
        mail.send(settings, "ada@example.com", LETTER, "<one@localhost>")


# --- TLS and login ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink")])
    today = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(hours=1))
        .not_valid_after(today + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "sink.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    return tls


@ANYWHERE
@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_trusted_certificate_is_taken_and_the_mail_goes_out_encrypted(
    basic: Settings,
    server_tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Sink(tls=server_tls, starttls=mode == "starttls") as sink:
        mail.send(at(sink, basic, mail_tls=mode), "ada@example.com", LETTER, "<a@localhost>")
        assert [got.tls for got in sink.received] == [True]


@ANYWHERE
@pytest.mark.parametrize("mode", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_gets_no_mail(
    basic: Settings, server_tls: ssl.SSLContext, mode: str
) -> None:
    with Sink(tls=server_tls, starttls=mode == "starttls") as sink:
        with pytest.raises(MailUnreachable, match="certificate is not trusted"):
            mail.send(at(sink, basic, mail_tls=mode), "ada@example.com", LETTER, "<a@b.c>")
        assert sink.received == []


@ANYWHERE
def test_a_server_that_no_longer_offers_starttls_gets_no_mail(basic: Settings, sink: Sink) -> None:
    with pytest.raises(MailUnreachable, match="does not offer"):
        mail.send(at(sink, basic, mail_tls="starttls"), "ada@example.com", LETTER, "<a@b.c>")
    assert sink.received == []


@ANYWHERE
def test_a_server_without_tls_is_not_spoken_to_in_the_clear(basic: Settings, sink: Sink) -> None:
    with pytest.raises(MailUnreachable, match="no way to speak TLS"):
        mail.send(at(sink, basic, mail_tls="tls"), "ada@example.com", LETTER, "<a@b.c>")
    assert sink.received == []


@ANYWHERE
@pytest.mark.parametrize("password", ["right", "wrong", "pässwort"])
def test_a_login_is_used_and_a_wrong_one_does_not_kill_the_mail(
    basic: Settings,
    server_tls: ssl.SSLContext,
    certificate: Path,
    monkeypatch: pytest.MonkeyPatch,
    password: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with Sink(tls=server_tls, starttls=True, login=("keywright", "right")) as sink:
        settings = at(
            sink, basic, mail_tls="starttls", mail_username="keywright", mail_password=password
        )
        if password == "right":
            mail.send(settings, "ada@example.com", LETTER, "<a@b.c>")
            assert [got.login for got in sink.received] == ["keywright"]
        else:
            with pytest.raises(MailUnreachable, match="password") as raised:
                mail.send(settings, "ada@example.com", LETTER, "<a@b.c>")
            assert password not in str(raised.value)
            assert sink.received == []


@hypothesis_settings(max_examples=50, deadline=None)  # a machine may be busy
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_name_makes_a_mail_with_one_line_of_subject(name: str, key_name: str) -> None:
    letter = render(Template.LINK_REQUESTED, name=name, key_name=key_name)
    assert letter.subject.isprintable()
    message = mail._Message(letter, "<a@b.c>", "ada@example.com", mail.Address("N", "a", "b.c"))
    assert message.as_bytes().isascii()

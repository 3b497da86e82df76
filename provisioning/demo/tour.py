# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The main job, once, in the terminal: what each party sends, and what it gets.

Every request goes to the real product through its real doors; only the card is software.
"""

from __future__ import annotations

import json
import re
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import click

from reader.desk import Step

from .. import audit
from .desk import Slot
from .pcsc import virtual_reader
from .run import Running, free_port, running
from .visitor import Page, Visitor

STEPS = 8
_NEW_PIN = "826419"
_CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class TourFailed(Exception):
    """A step did not show what it should; the text says which."""


def run() -> int:
    """Walk through the main job; returns 0 when every step held."""
    stop = threading.Event()
    began = time.monotonic()
    click.echo("Keywright's main job, step by step. A temporary folder, gone afterwards.")
    with (
        tempfile.TemporaryDirectory(prefix="keywright-tour-") as folder,
        virtual_reader() as reader,
        running(Path(folder) / "data", free_port(), stop, reader) as product,
    ):
        try:
            _Tour(product, reader).walk()
        except (TourFailed, LookupError, TimeoutError) as error:
            click.secho(f"\nThe tour stopped: {error}", fg="red", err=True)
            return 1
    click.echo(f"\nDone in {time.monotonic() - began:.1f} s. Try it yourself: make run")
    return 0


class _Tour:
    """The walk: a directory, an admin and a person, each through the own door."""

    def __init__(self, product: Running, reader: Slot | None) -> None:
        self._product = product
        self._reader = reader
        self._admin = Visitor(product.panel_url)
        self._person = Visitor(product.panel_url)
        self._desk = Visitor(product.desk_url)
        self._number = 0
        self._user_id = ""
        self._pin = ""

    def walk(self) -> None:
        """Run every step in order."""
        self._push()
        self._open_panel()
        self._assign_and_tap()
        self._read_pin_mail()
        self._change_pin()
        self._sign_in()
        self._leave()
        self._dead_key()

    def _push(self) -> None:
        self._step("Push", "The directory creates a person over SCIM 2.0.")
        body = {
            "schemas": [_CORE],
            "userName": "ada@example.org",
            "name": {"givenName": "Ada", "familyName": "Lovelace"},
            "emails": [{"value": "ada@example.org", "type": "work", "primary": True}],
            "active": True,
        }
        answer = self._scim("POST", "/Users", body)
        self._expect(answer.status == 201, "SCIM create answers 201")
        self._expect("location" in answer.headers, "the answer has a Location")
        self._user_id = str(answer.json()["id"])

    def _open_panel(self) -> None:
        self._step("Panel", "The owner opens the panel by the one-time link.")
        parts = urlsplit(self._product.sign_in_url)
        page = self._admin.send(self._admin.get(parts.path), "/owner/demo", token=parts.fragment)
        self._show("GET", "/users", page)
        page = self._admin.get("/users")
        self._expect("Ada Lovelace" in page.text, "the Users list shows Ada Lovelace")
        self._expect("Demo directory" in page.text, "with the directory that sent her")
        self._expect("New" in page.text, "and the status New")

    def _assign_and_tap(self) -> None:
        where = "behind pcscd and the virtual reader vpcd" if self._reader else "in this process"
        self._step(
            "Assign and tap",
            f"The admin assigns a Contactless Card and taps it (a software card, {where}).",
        )
        page = self._admin.get(f"/users/{self._user_id}/assign")
        wizard = page.url
        page = self._admin.send(
            page,
            "wizard-form",
            assign_key="y",
            kind="contactless_card",
            key_name="Card of Ada Lovelace",
            method="admin",
            go="assign",
        )
        if "/step-up" in page.url:
            self._say("Activating for somebody else asks for the admin's own key first.")
            page = self._step_up(page)
        self._show("POST", wizard, page)
        page = self._admin.until(
            wizard, lambda seen: "at-done" in seen.body or "at-fault" in seen.body, 60
        )
        self._expect("at-done" in page.body, "the card is assigned")
        self._say(
            "The station took a signed job: PIN set, credential made, attestation checked, "
            "PIN change forced."
        )
        page = self._admin.send(page, "wizard-form", go="next")
        page = self._admin.send(page, "wizard-form", go="confirm")
        self._show("POST", wizard.replace("security-key", "review"), page)
        page = self._admin.get(f"/users/{self._user_id}")
        self._expect("Active" in page.text, "the user page shows the key as Active")

    def _step_up(self, page: Page) -> Page:
        page = self._admin.send(page, "/step-up/reader")
        self._show("POST", "/step-up/reader", page)
        return self._admin.until(page.url, lambda seen: "/step-up/" not in seen.url, 60)

    def _read_pin_mail(self) -> None:
        self._step("PIN mail", "The worker delivers the PIN by SMTP, apart from everything else.")
        end = time.monotonic() + 30
        while not self._product.mailbox.all() and time.monotonic() < end:
            time.sleep(0.2)
        mails = self._product.mailbox.all()
        self._expect(bool(mails), "a mail arrived")
        mail = mails[0]
        click.echo(f"    To: {mail.recipient}\n    Subject: {mail.subject}")
        found = re.search(r"(?:\d[ \u00a0\u2009]?){6,}", mail.text)
        if found is None:
            raise TourFailed("no PIN in the mail")
        self._pin = re.sub(r"\D", "", found.group())
        click.echo(
            f"    PIN: {self._pin[0]}{'•' * (len(self._pin) - 1)} "
            "(shown here in part; the card demands another one at first use)"
        )

    def _change_pin(self) -> None:
        self._step("Change PIN", "Ada changes it at the reader; neither PIN leaves the desk.")
        page = self._person.get("/me/change-pin")
        page = self._person.send(page, "/me/change-pin", station=page.choices("station")[0])
        self._show("POST", "/me/change-pin", page)
        self._tap_when_asked()
        self._answer("confirm", True, "agrees at the desk")
        self._answer("pin", self._pin, "types the PIN from the mail")
        self._answer("new_pin", _NEW_PIN, "chooses a PIN of her own")
        self._wait_for(lambda: self._product.desk.state.step is Step.DONE, "the card")
        self._say(self._product.desk.state.text)

    def _sign_in(self) -> None:
        self._step("Sign in", "With the card and the new PIN, at the reader.")
        page = self._person.get("/me/sign-in?choose=1")
        page = self._person.send(page, "/me/sign-in/reader")
        self._show("POST", "/me/sign-in/reader", page)
        self._tap_when_asked()
        self._say(f"Code on both screens: {self._product.desk.state.code}")
        self._answer("confirm", True, "compares the codes", needed=False)
        self._answer("pin", _NEW_PIN, "types the new PIN")
        page = self._person.until(
            "/me/sign-in", lambda seen: "/me/sign-in/collect" in seen.body, 30
        )
        page = self._person.send(page, "/me/sign-in/collect")
        self._show("POST", "/me/sign-in/collect", page)
        self._expect("Card of Ada Lovelace" in page.text, "her own page lists her card")

    def _tap_when_asked(self) -> None:
        desk = self._product.desk
        self._wait_for(lambda: desk.state.step is Step.TAP, "the station to ask for the tap")
        desk.tap(desk.cards.names()[0])
        self._say(f"The desk says: {desk.state.text} Ada taps her card.")

    def _answer(self, kind: str, value: str | bool, what: str, *, needed: bool = True) -> None:
        desk = self._product.desk
        if not needed:
            self._wait_for(lambda: desk.pending is not None, "a question at the desk")
            if desk.pending is None or desk.pending.kind != kind:
                return
        self._wait_for(
            lambda: desk.pending is not None and desk.pending.kind == kind,
            f"the desk to ask ({kind}); it shows: {desk.state.text}",
        )
        if desk.pending is not None:
            self._say(f"The desk asks: {desk.pending.question.text} Ada {what}.")
        desk.answer(value)
        self._wait_for(lambda: desk.pending is None or desk.pending.kind != kind, "the desk")

    def _leave(self) -> None:
        self._step("Leave", "The directory says that Ada has left, in Entra's dialect.")
        body = {
            "schemas": [_PATCH],
            "Operations": [{"op": "Replace", "path": "active", "value": "False"}],
        }
        answer = self._scim("PATCH", f"/Users/{self._user_id}", body)
        self._expect(answer.status == 200, "SCIM PATCH answers 200")
        self._expect(answer.json()["active"] is False, "active is false")

    def _dead_key(self) -> None:
        self._step("Dead key", "The same transaction ended the session and suspended the key.")
        page = self._person.get("/me")
        self._show("GET", "/me", page)
        self._expect("/me/sign-in" in page.url, "Ada's session is dead at its next request")
        page = self._admin.get(f"/users/{self._user_id}")
        self._expect("Suspended" in page.text, "the panel shows her as Suspended")
        verdict = audit.verify()
        self._expect(verdict.whole, "the audit chain is whole")
        self._say(f"Audit log: {verdict.rows} rows, each in the transaction of what it tells.")

    def _scim(self, method: str, path: str, body: object) -> Page:
        url = urlsplit(self._product.scim_base_url).path + path
        click.secho(f"    {method} {url}", bold=True)
        click.echo(f"    {json.dumps(body)}")
        answer = Visitor(self._product.panel_url).call(
            method,
            url,
            body,
            **{
                "Authorization": f"Bearer {self._product.scim_token}",
                "Content-Type": "application/scim+json",
            },
        )
        click.echo(f"    → {answer.status} {answer.headers.get('location', '')}")
        if answer.body:
            click.echo(f"      {answer.body[:240]}{'…' if len(answer.body) > 240 else ''}")
        return answer

    def _step(self, name: str, text: str) -> None:
        self._number += 1
        click.secho(f"\n{self._number}/{STEPS} {name}. {text}", fg="cyan")

    def _say(self, text: str) -> None:
        click.echo(f"    {text}")

    def _show(self, method: str, path: str, page: Page) -> None:
        click.secho(f"    {method} {path}", bold=True)
        click.echo(f"    → {page.status} {page.url}")

    def _expect(self, held: bool, what: str) -> None:
        if not held:
            raise TourFailed(f"expected that {what}")
        click.secho(f"    ✓ {what}", fg="green")

    def _wait_for(self, held: Callable[[], bool], what: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if held():
                return
            time.sleep(0.2)
        raise TourFailed(f"waited {seconds:.0f} s for {what}")

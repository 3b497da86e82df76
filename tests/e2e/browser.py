# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Somebody at a browser: Chromium, a security key of its own, and eyes for what goes wrong."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Playwright, Response, expect

CHROMIUM = Path("/usr/bin/chromium")
MISSING = "The e2e tests need Chromium at /usr/bin/chromium: apt-get install -y chromium"

# What a page may be answered when somebody is refused on purpose.
_REFUSALS = (401, 403, 409, 410)


def launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium without a window."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


class Person:
    """One person with a browser of their own: cookies, security key, and nobody else's.

    `troubles` collects what a page must never do: break its Content Security Policy, throw, log an
    error, ask for something that is not there, or get an answer that no reader should see.
    """

    def __init__(self, browser: Browser) -> None:
        self._context = browser.new_context()
        self._context.set_default_timeout(20_000)
        self.page: Page = self._context.new_page()
        self.troubles: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.troubles.append(f"{self.page.url}: {error}"))
        self.page.on("response", self._answered)
        self._cdp = self._context.new_cdp_session(self.page)
        self._cdp.send("WebAuthn.enable")

    def close(self) -> None:
        """Leave; everything that was seen must have been in order."""
        self._context.close()
        assert not self.troubles, "\n".join(self.troubles)

    # Security keys

    def holds_key(self, transport: str = "usb") -> str:
        """Get a security key that is touched and unlocked whenever a page asks; returns its id."""
        made = self._cdp.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "ctap2Version": "ctap2_1",
                    "transport": transport,
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        return str(made["authenticatorId"])

    def lays_down(self, authenticator: str) -> None:
        """Take a key out of the computer; what it holds is known by `credentials` before."""
        self._cdp.send("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": authenticator})

    def credentials(self, authenticator: str) -> list[dict[str, Any]]:
        """What a virtual key holds."""
        told = self._cdp.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})
        return list(told["credentials"])

    def takes_over(self, authenticator: str, credential: dict[str, Any]) -> None:
        """Put a credential, as `SoftwareCard.export_credential` tells it, into a virtual key."""
        self._cdp.send(
            "WebAuthn.addCredential", {"authenticatorId": authenticator, "credential": credential}
        )

    # Pages

    def opens(self, url: str) -> None:
        """Go to an address."""
        self.page.goto(url)

    def follows(self, name: str) -> None:
        """Follow a link by its words."""
        self.page.get_by_role("link", name=name, exact=True).first.click()

    def presses(self, name: str) -> None:
        """Press a button by its words."""
        self.page.get_by_role("button", name=name, exact=True).first.click()

    def fills(self, label: str, text: str) -> None:
        """Type into a field."""
        self._field(label).fill(text)

    def chooses(self, label: str, option: str) -> None:
        """Choose from a drop-down."""
        self._field(label).select_option(label=option)

    def picks(self, choice: str) -> None:
        """Choose one of several radio buttons, tick a box, or turn a switch on."""
        wanted = re.compile(f"^{re.escape(choice)}")
        radio, box, switch = (
            self.page.get_by_role(role, name=wanted) for role in ("radio", "checkbox", "switch")
        )
        radio.or_(box).or_(switch).check()

    def has(self, label: str, value: str) -> None:
        """See what stands in a field."""
        expect(self._field(label)).to_have_value(value)

    def sees(self, text: str, seconds: float = 20) -> Locator:
        """Wait until the page shows these words."""
        found = self.page.get_by_text(text).filter(visible=True).first
        expect(found).to_be_visible(timeout=seconds * 1000)
        return found

    def is_at(self, path: str) -> None:
        """Wait until the page's address ends so (a pattern)."""
        self.page.wait_for_url(re.compile(path + r"(\?.*)?$"), timeout=20_000)

    def log(self) -> list[str]:
        """The audit log on this page from the oldest to the newest: "what · of whom · by whom"."""
        table = self.page.get_by_role("table", name="Activity")
        lines = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
        said = [
            [" ".join(cell.split()).removesuffix(" Details") for cell in line] for line in lines
        ]
        return [" · ".join(line[:3]) for line in reversed(said)]

    def _field(self, label: str) -> Locator:
        return self.page.get_by_label(re.compile(rf"^{re.escape(label)}( optional)?$"))

    def _heard(self, message: ConsoleMessage) -> None:
        # Answers that failed are judged by their status, in `_answered`.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.troubles.append(f"{self.page.url}: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in _REFUSALS:
            self.troubles.append(f"{response.status} {response.request.method} {response.url}")

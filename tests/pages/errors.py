# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Ways to fill a form wrongly, for the gallery and the accessibility tests."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

Make = Callable[[Page], None]


def _submits(path: str, button: str, **fields: str) -> Make:
    """Open a page, type this, and press a button that the browser itself would hold back."""

    def make(page: Page) -> None:
        page.goto(path)
        for form in page.locator("form").all():
            form.evaluate("form => { form.noValidate = true; }")
        for name, value in fields.items():
            field = page.locator(f"main [name='{name}']").first
            field.evaluate("field => { field.removeAttribute('maxlength'); }")
            field.fill(value)
        page.get_by_role("main").get_by_role("button", name=button, exact=True).first.click()

    return make


def _opens(path: str) -> Make:
    def make(page: Page) -> None:
        page.goto(path)

    return make


def _uploads(page: Page) -> None:
    page.goto("/import")
    page.get_by_label("CSV file").set_input_files(
        {"name": "staff.xlsx", "mimeType": "application/zip", "buffer": b"PK\x03\x04 a workbook"}
    )
    page.get_by_role("button", name="Upload and look").click()


def _columns(page: Page) -> None:
    page.goto("/import")
    page.get_by_label("CSV file").set_input_files(
        {"name": "staff.csv", "mimeType": "text/csv", "buffer": b"login,shape\nAda,round\n"}
    )
    page.get_by_role("button", name="Upload and look").click()
    page.locator("[name=column-1]").select_option("userName")
    page.get_by_role("button", name="Check the file").click()


def _starts(page: Page) -> None:
    page.goto("/activate#not-a-link-at-all")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_load_state()


ERRORS: tuple[tuple[str, Make], ...] = (
    ("new-user", _submits("/users/new", "Next", email="Ada <ada@example.org>", phone="1" * 70)),
    ("new-group", _submits("/groups/new", "Make group")),
    ("directory", _submits("/directories", "Make connection and token", name="Entra ID")),
    ("import-file", _uploads),
    ("import-columns", _columns),
    ("not-found", _opens("/users/no-such-person")),
    ("no-match", _opens("/users?q=nobody+of+that+name")),
    ("dead-link", _starts),
)
"""By name; each leaves the browser on the page with its error."""

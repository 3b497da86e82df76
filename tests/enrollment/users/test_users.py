# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Users: the list with its counters, search, order and pages; one person's page; the cascade."""

from __future__ import annotations

import csv
import io
import random
import re

import pytest
from flask import Flask

from provisioning import audit, directory, groups, keys
from provisioning.audit import CLI
from provisioning.clock import HOUR, now_ms
from provisioning.issuing import activations
from provisioning.lifecycle import KeyState, LinkState, UserStatus
from provisioning.models import Activation, Connection, OutboxMail, PanelAccount, SecurityKey, User
from provisioning.naming import fold
from provisioning.pages import people, times
from provisioning.pages.people import Sort, Wanted
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.panel import Panel, text_of
from tests.fakes.people import active_key, pending_key, person

CROWD = 130


def crowd(count: int = CROWD) -> None:
    """Many people, some without an address or never active, some with the same name."""
    rng = random.Random(7)
    with transaction():
        for number in range(count):
            name = f"{rng.choice(['Ada', 'Émile', 'Zoë'])} {rng.choice(['Hopper', 'Ng'])}"
            user_name = f"u{number:04}"
            email = f"{user_name}@example.org" if number % 3 else None
            User.create(
                resource_id=f"id-{number:04}",
                user_name=user_name,
                user_name_key=user_name,
                display_name=name,
                display_name_key=fold(name),
                email=email,
                email_key=email,
                status=list(UserStatus)[number % 4],
                last_activity_at=number if number % 5 == 0 else None,
                document="{}",
            )


def names(answer: str) -> list[str]:
    return re.findall(r'<a href="/users/(id-\d+)"', answer)


def test_an_empty_installation_says_what_to_do_next(panel: Panel) -> None:
    page = panel.see("/users")
    assert "No users yet" in page
    assert "Connect a directory" in page


def test_counters_count_by_status(panel: Panel) -> None:
    pending_key(person("ada"))
    active_key(person("bob"))
    person("cleo")
    with transaction():
        directory.delete_user(person("gone"), CLI)
    page = panel.see("/users")
    assert "All 3 New 1 Pending 1 Active 1 Suspended 0" in page
    assert "cleo" in panel.see("/users?status=new")
    assert "ada" not in panel.see("/users?status=new").split("Last activity")[1]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("ada", True),
        ("LOVEL", True),
        ("ada l", True),
        ("ada@ex", True),
        ("ＡＤＡ", True),
        ("velace", False),
        ("%", False),
        ("_da", False),
        ("zed", False),
    ],
)
def test_search_finds_the_beginnings_of_words(panel: Panel, typed: str, found: bool) -> None:
    person("ada")
    answer = panel.get("/users", query_string={"q": typed})
    assert ("Ada Lovelace" in answer.text) is found
    assert ("Nobody matches" in answer.text) is not found


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("descending", [False, True])
def test_pages_forwards_and_back_show_everybody_once(
    services: Services, sort: Sort, descending: bool
) -> None:
    crowd()
    there: list[str] = []
    wanted = Wanted(sort=sort, descending=descending)
    page = people.page(wanted, 20)
    assert not page.more_before
    while True:
        there += [line.resource_id for line in page.lines]
        if not page.more_after:
            break
        edge = page.lines[-1].resource_id
        page = people.page(Wanted(sort=sort, descending=descending, after=edge), 20)
    assert len(there) == len(set(there)) == CROWD

    back = [line.resource_id for line in page.lines]
    while page.more_before:
        edge = page.lines[0].resource_id
        page = people.page(Wanted(sort=sort, descending=descending, before=edge), 20)
        back = [line.resource_id for line in page.lines] + back
    assert back == there

    column = {"name": "name", "email": "email", "activity": "last_activity_at"}[sort]
    lines = [getattr(line, column) for line in people.export(wanted)]
    kept = [
        fold(value) if isinstance(value, str) else value for value in lines if value is not None
    ]
    assert kept == sorted(kept, reverse=descending)


def test_filters_live_in_the_url(panel: Panel) -> None:
    crowd()
    page = panel.get("/users?status=new&q=u0&sort=email&dir=desc").text
    following = re.search(r'href="([^"]*after=[^"]*)"', page)
    assert following is None  # 33 of 130 fit on one page
    page = panel.get("/users?q=u0&sort=email&dir=desc").text
    following = re.search(r'href="([^"]*after=[^"]*)"', page)
    assert following
    link = following[1].replace("&amp;", "&")
    for part in ("q=u0", "sort=email", "dir=desc"):
        assert part in link
    assert not set(names(page)) & set(names(panel.get(link).text))


@pytest.mark.parametrize(
    "query", ["status=nonsense", "sort=password", "dir=up", "after=nobody", "before=nobody", "q="]
)
def test_a_broken_filter_shows_the_list(panel: Panel, query: str) -> None:
    person("ada")
    assert "Ada Lovelace" in panel.see(f"/users?{query}")


def test_the_list_is_one_page_however_many_there_are(panel: Panel) -> None:
    crowd()
    assert len(names(panel.get("/users").text)) == people.PAGE


def test_csv_holds_the_filtered_list_and_runs_no_formula(panel: Panel) -> None:
    person("ada")
    person("bob", displayName="=HYPERLINK(1)", emails=[])
    answer = panel.get("/users/export.csv")
    assert answer.content_length is None, "a long list is never in memory as a whole"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["userName"] for row in rows] == ["bob", "ada"]
    assert rows[0]["name"] == "'=HYPERLINK(1)"
    only = list(csv.DictReader(io.StringIO(panel.get("/users/export.csv?q=ada").text)))
    assert [row["email"] for row in only] == ["ada@example.org"]


def test_a_persons_page_shows_details_groups_and_source(panel: Panel) -> None:
    with transaction():
        entra = Connection.create(name="Entra ID")
        user = directory.create_user(
            {
                "userName": "ada",
                "name": {"givenName": "Ada", "familyName": "Lovelace"},
                "title": "Countess",
                "phoneNumbers": [{"value": "+44 20 1"}],
                "active": True,
            },
            connection=entra,
            actor=CLI,
        )
        team = groups.create_group({"displayName": "Engines"}, connection=entra, actor=CLI)
        above = groups.create_group({"displayName": "Everybody"}, connection=entra, actor=CLI)
        groups.add_members(team, [user.resource_id], actor=CLI)
        groups.add_members(above, [team.resource_id], actor=CLI)
    page = panel.see(f"/users/{user.resource_id}")
    assert "From Entra ID: change it there." in page
    assert "Title Countess" in page
    assert "+44 20 1" in page
    assert "Engines" in page
    assert "Everybody through another group" in page
    assert "Added" in page
    assert "No security key yet" in page


def test_a_deleted_person_has_no_page(panel: Panel) -> None:
    user = person()
    with transaction():
        directory.delete_user(user, CLI)
    assert panel.get(f"/users/{user.resource_id}").status_code == 404


@pytest.mark.req("R11")
def test_a_link_is_shown_as_it_stands_and_can_be_sent_again(
    panel: Panel, services: Services
) -> None:
    user = person()
    key = pending_key(user)
    here = f"/users/{user.resource_id}"
    assert "Send a registration link" in panel.see(here)
    panel.post(f"/keys/{key.resource_id}/resend")
    page = panel.see(here)
    assert "Registration link sent" in page
    assert "to ada@example.org" in page
    assert "Not opened yet" in page
    first = Activation.get()
    with transaction():
        activations.opened(first)
    assert "Opened" in panel.see(here)

    panel.post(f"/keys/{key.resource_id}/resend")
    assert Activation.get_by_id(first.id).state == LinkState.SUPERSEDED
    Activation.update(expires_at=now_ms() - 1).execute()
    page = panel.see(here)
    assert "has run out" in page
    assert "Send a new link" in page


def test_a_cancelled_link_is_dead_and_its_mail_unsent(panel: Panel) -> None:
    key = pending_key(person())
    panel.post(f"/keys/{key.resource_id}/resend")
    page = text_of(panel.post(f"/keys/{key.resource_id}/cancel-link", follow_redirects=True))
    assert "The link no longer works" in page
    assert Activation.get().state == LinkState.CANCELLED
    assert OutboxMail.get().state == "cancelled"


@pytest.mark.req("R16")
def test_suspending_a_person_runs_the_whole_cascade(panel: Panel) -> None:
    user = person()
    key = active_key(user)
    waiting = pending_key(user, "Second")
    panel.post(f"/keys/{waiting.resource_id}/resend")
    page = text_of(panel.post(f"/users/{user.resource_id}/suspend", follow_redirects=True))
    assert "is suspended, with every key" in page
    assert not User.get_by_id(user.id).active
    assert SecurityKey.get_by_id(key.id).state == KeyState.SUSPENDED
    assert Activation.get().state == LinkState.CANCELLED
    assert OutboxMail.get().state == "cancelled"
    assert directory.document_of(User.get_by_id(user.id))["active"] is False
    # Again is harmless.
    assert panel.post(f"/users/{user.resource_id}/suspend").status_code == 302


@pytest.mark.req("R16")
def test_a_suspension_names_its_hours_before_and_its_end_afterwards(
    app: Flask, panel: Panel
) -> None:
    user = person()
    active_key(user)
    page = f"/users/{user.resource_id}"
    assert "After 24 hours the keys are revoked for ever, unless" in panel.see(page)
    panel.post(f"{page}/suspend")
    told = panel.see(page)
    with app.test_request_context():
        ends = times.exact(User.get_by_id(user.id).left_at + 24 * HOUR)
    assert f"They are revoked for ever on {ends}, unless this person is reactivated" in told
    assert "the person was suspended" in told
    assert "the person left" not in told
    panel.post(f"{page}/reactivate")
    assert "revoked for ever on" not in panel.see(page)


@pytest.mark.req("R16")
def test_reactivation_resumes_no_key_by_itself(panel: Panel) -> None:
    user = person()
    key = active_key(user)
    panel.post(f"/users/{user.resource_id}/suspend")
    page = text_of(panel.post(f"/users/{user.resource_id}/reactivate", follow_redirects=True))
    assert "is active again" in page
    assert "One key is still suspended" in page
    assert "is active again." in page
    assert "Key suspended ada@example.org" in page  # of the person it would not be true
    assert User.get_by_id(user.id).active
    assert SecurityKey.get_by_id(key.id).state == KeyState.SUSPENDED
    panel.post(f"/keys/{key.resource_id}/resume")
    assert SecurityKey.get_by_id(key.id).state == KeyState.ACTIVE


@pytest.mark.parametrize(
    ("role", "verb", "status"),
    [
        (Role.AUDITOR, "suspend", 403),
        (Role.AUDITOR, "reactivate", 403),
        (Role.OPERATOR, "suspend", 302),
        (Role.OPERATOR, "reactivate", 302),
    ],
)
def test_who_may_suspend(app: Flask, role: Role, verb: str, status: int) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    user = person()
    assert Panel(app, role).post(f"/users/{user.resource_id}/{verb}").status_code == status


def test_nobody_shuts_a_superior_out(app: Flask, panel: Panel) -> None:
    user = person()
    panel.account.user = user
    panel.account.save()
    operator = Panel(app, Role.OPERATOR, name="Operator")
    assert operator.post(f"/users/{user.resource_id}/suspend").status_code == 403
    assert User.get_by_id(user.id).active
    other = Panel(app, Role.OWNER, name="Other owner")
    assert other.post(f"/users/{user.resource_id}/suspend").status_code == 302
    assert PanelAccount.get_by_id(panel.account.id).state == "suspended"


def test_an_auditor_sees_and_changes_nothing(app: Flask) -> None:
    user = person()
    active_key(user)
    page = Panel(app, Role.AUDITOR).see(f"/users/{user.resource_id}")
    assert "Card of Ada" in page
    for button in ("Suspend user", "Revoke", "Assign security key", "Rename"):
        assert button not in page


def test_an_unfinished_wizard_is_offered_again(panel: Panel) -> None:
    draft = panel.to_key_step()
    page = panel.get("/users").text
    assert "One wizard is unfinished." in page
    assert f"{draft}/user-information" in page
    assert "New User: Ada Lovelace" in panel.see("/users")
    panel.post(f"{draft}/cancel")
    assert "unfinished" not in panel.get("/users").text


def test_an_unfinished_wizard_says_what_it_does(panel: Panel) -> None:
    ada, alan = person("ada"), person("alan", displayName="Alan Turing")
    key = active_key(alan, "My card")
    draft = panel.get(f"/users/{ada.resource_id}/assign").location.rsplit("/", 1)[0]
    panel.post(f"{draft}/save?step=security-key", {"key_name": "Blue card"})
    panel.get(f"/users/{alan.resource_id}/assign?replaces={key.resource_id}")
    told = panel.see("/users")
    assert "Assign security key to Ada Lovelace saved" in told
    assert "Replace “My card”: Alan Turing saved" in told


def test_names_from_a_directory_stay_text(panel: Panel) -> None:
    user = person("eve", displayName="<script>alert(1)</script>")
    for url in ("/users", f"/users/{user.resource_id}", "/activity"):
        assert "<script>alert" not in panel.get(url).text


def test_every_event_has_its_words(panel: Panel) -> None:
    user = person()
    key = active_key(user)
    with transaction():
        for event in audit.Event:
            audit.record(
                CLI, event, user=user, key=key, op="enrol", template="pin", fault="no_card"
            )
    for url in (f"/users/{user.resource_id}", "/activity", "/activity?after=60"):
        page = panel.see(url)
        # Its name alone stands in the details, never as the sentence.
        assert not [event for event in audit.Event if f"{event} Details" in page]
    assert "No card was tapped in time." in panel.see("/activity?kind=job")
    assert keys.of_user(user)

# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import io
import itertools

import orjson
import pytest
from flask import Flask

from provisioning import directory, groups, keys, nesting, tasks
from provisioning.audit import CLI, Actor
from provisioning.clock import now_ms
from provisioning.csv_import import columns as import_columns
from provisioning.csv_import import imports
from provisioning.csv_import import words as import_words
from provisioning.csv_import.columns import Content
from provisioning.csv_import.plan import Verb
from provisioning.errors import InvalidValue, NotFound, Taken, WrongState
from provisioning.lifecycle import KeyKind, KeyState
from provisioning.models import (
    AuditEvent,
    Connection,
    Group,
    ImportFile,
    ImportLine,
    MassDeparture,
    Member,
    OutboxMail,
    PanelAccount,
    SecurityKey,
    Task,
    User,
)
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.storage.db import transaction
from provisioning.upstream import connections, tokens
from tests.fakes.people import account, document, pending_key, person

GRACE = Actor("account", "1", "Grace Hopper")
HEADINGS = "Login;E-Mail;Vorname;Nachname;Titel;Abteilung;Gruppen;Aktiv"


@pytest.fixture(autouse=True)
def grace(services: Services) -> PanelAccount:
    """Who imports."""
    return account(GRACE, Role.OFFICER)


def upload(text: str, name: str = "people.csv") -> ImportFile:
    return imports.spool(io.BytesIO(text.encode()), name, GRACE)


def check(services: Services, text: str, source: str = "HR", **columns: int) -> ImportFile:
    """Upload a file, take the guesses, and look at each line."""
    file = upload(text)
    content = Content(file.content)
    chosen = {**imports.columns_of(file), **columns}
    with transaction():
        task = imports.check(file, content, chosen, source, GRACE)
    tasks.finish(task, services)
    return imports.get(file.resource_id)


def begin(file: ImportFile, actor: Actor = GRACE, *, suspend_gone: bool = False) -> Task:
    """Begin to do what the file's last check showed, as this row of it knows."""
    checked = file.check_task.resource_id
    with transaction():
        return imports.run(file, actor, checked=checked, suspend_gone=suspend_gone)


def run(services: Services, file: ImportFile, **choice: bool) -> list[tuple[str, str, str]]:
    task = begin(file, **choice)
    return list(tasks.results(tasks.finish(task, services)))


def shown(file: ImportFile) -> list[tuple[int, str, str, str]]:
    return [
        (line.number, line.verb, line.label, import_words.one_line(orjson.loads(line.detail)))
        for line in imports.all_lines(file)
    ]


def test_what_is_wrong_with_an_address_is_said_in_the_readers_language(app: Flask) -> None:
    said = "This e-mail address cannot be used. ada@localhost"
    with app.test_request_context(headers={"Accept-Language": "de"}):
        reason = import_words.reason({"why": "email", "said": said})
    assert reason == "Diese E-Mail-Adresse ist nicht verwendbar. ada@localhost"


def user(name: str) -> User:
    return User.get(User.user_name == name, User.deleted_at.is_null())


def test_a_file_of_an_hr_system_is_read_guessed_checked_and_done(services: Services) -> None:
    file = check(
        services,
        f"{HEADINGS}\n"
        "ada;ada@example.org;Ada;Lovelace;Engineer;Analysis;Nurses | Ward 3;ja\n"
        "alan;alan@example.org;Alan;Turing;;;;nein\n",
    )
    assert (file.encoding, file.separator, file.lines) == ("UTF-8", "semicolon", 2)
    assert imports.columns_of(file) == {
        "userName": 0, "email": 1, "givenName": 2, "familyName": 3, "title": 4, "department": 5,
        "groups": 6, "active": 7,
    }  # fmt: skip
    assert imports.counts(file)[Verb.CREATE] == 2
    assert not User.select().exists()
    assert [(outcome, detail) for _, outcome, detail in run(services, file)] == [
        ("done", "created"),
        ("done", "created"),
    ]
    ada, alan = user("ada"), user("alan")
    assert ada.connection.name == "HR"
    assert directory.document_of(ada) == {
        "active": True,
        "userName": "ada",
        "title": "Engineer",
        "displayName": "Ada Lovelace",
        "name": {"givenName": "Ada", "familyName": "Lovelace"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Analysis"},
        "emails": [{"value": "ada@example.org", "type": "work", "primary": True}],
    }
    assert [ref.display for ref in nesting.groups_of(ada)] == ["Nurses", "Ward 3"]
    assert (alan.active, alan.status) == (False, "suspended")


def test_the_same_file_once_more_changes_nothing(services: Services) -> None:
    text = "userName,email,title\nada,ada@example.org,Engineer\n"
    run(services, check(services, text))
    events = AuditEvent.select().where(AuditEvent.event.startswith("user.")).count()
    again = check(services, text)
    assert imports.counts(again) == {**dict.fromkeys(Verb, 0), Verb.UNCHANGED: 1}
    assert run(services, again) == []
    assert AuditEvent.select().where(AuditEvent.event.startswith("user.")).count() == events
    assert user("ada").version == 1


def test_a_change_shows_what_was_and_what_will_be_and_an_empty_cell_leaves_what_is(
    services: Services,
) -> None:
    run(services, check(services, "userName,Vorname,Nachname,title\nada,Ada,Byron,Engineer\n"))
    file = check(services, "userName,Vorname,Nachname,title\nADA,Ada,Lovelace,\n")
    assert shown(file) == [
        (
            2,
            Verb.CHANGE,
            "ADA",
            "User name: ada → ADA; Last name: Byron → Lovelace; "
            "Display name: Ada Byron → Ada Lovelace",
        )
    ]
    run(services, file)
    assert directory.document_of(user("ADA"))["title"] == "Engineer"


def test_an_address_that_changes_keeps_the_other_ones(services: Services) -> None:
    person(emails=[
        {"value": "old@example.org", "type": "work", "primary": True},
        {"value": "home@example.org", "type": "home"},
    ])  # fmt: skip
    run(services, check(services, "userName,email\nada,new@example.org\n"))
    assert directory.document_of(user("ada"))["emails"] == [
        {"value": "new@example.org", "type": "work", "primary": True},
        {"value": "home@example.org", "type": "home"},
    ]


@pytest.mark.req("T12")
def test_the_old_address_of_a_key_holder_is_told_of_the_new_one(services: Services) -> None:
    pending_key(person())
    run(services, check(services, "userName,email\nada,new@example.org\n"))
    told = OutboxMail.get(OutboxMail.template == "address_changed")
    assert told.recipient == "ada@example.org"


def test_people_of_a_directory_are_a_conflict_and_people_made_by_hand_are_not(
    services: Services,
) -> None:
    with transaction():
        entra = tokens.create_connection("Entra ID", CLI)
        directory.create_user(document("ada"), connection=entra, actor=CLI)
    person("alan")
    file = check(services, "userName,title\nada,Boss\nalan,Boss\n")
    assert shown(file) == [
        (2, Verb.CONFLICT, "ada", "This person comes from Entra ID and is changed there alone."),
        (3, Verb.CHANGE, "alan", "Title: Boss"),
    ]
    assert [label for label, _, _ in run(services, file)] == ["3: alan"]
    assert "title" not in directory.document_of(user("ada"))
    assert user("alan").connection is None


@pytest.mark.parametrize(("column", "cell"), [("email", "mallory@example.org"), ("active", "no")])
@pytest.mark.req("R25")
def test_nobody_readdresses_or_suspends_a_higher_role_by_a_file(
    services: Services, column: str, cell: str
) -> None:
    boss = account(Actor("account", "2", "Boss"), Role.OWNER, user=person("boss"))
    file = check(services, f"userName,{column},title\nboss,{cell},Boss\n")
    sentence = "This person has the role owner, which is above yours."
    assert shown(file) == [(2, Verb.CONFLICT, "boss", sentence)]
    assert run(services, file) == []
    file = check(services, f"userName,{column},title\nboss,,Boss\n")
    assert [label for label, _, _ in run(services, file)] == ["2: boss"]  # the rest they may
    assert PanelAccount.get_by_id(boss.id).state == "active"


@pytest.mark.req("R25")
def test_whoever_got_a_higher_role_since_the_check_is_left_alone(services: Services) -> None:
    run(services, check(services, "userName\nboss\ngone\n"))
    file = check(services, "userName,email\nboss,mallory@example.org\n")
    for number, name in ((2, "boss"), (3, "gone")):
        account(Actor("account", str(number), name), Role.OWNER, user=user(name))
    sentence = "This person has the role owner, which is above yours."
    assert run(services, file, suspend_gone=True) == [
        ("2: boss", "failed", sentence),
        ("gone", "failed", sentence),
    ]
    assert user("boss").email is None
    assert user("gone").active


def test_the_shell_changes_anybody_by_a_file(services: Services) -> None:
    account(Actor("account", "2", "Boss"), Role.OWNER, user=person("boss"))
    file = upload("userName,email\nboss,new@example.org\n")
    with transaction():
        task = imports.check(file, Content.PEOPLE, {"userName": 0, "email": 1}, "HR", CLI)
    tasks.finish(task, services)
    tasks.finish(begin(imports.get(file.resource_id), CLI), services)
    assert user("boss").email == "new@example.org"


def test_an_id_of_the_source_finds_somebody_who_got_another_name(services: Services) -> None:
    run(services, check(services, "userName,externalId\nada.byron,7\n"))
    file = check(services, "userName,externalId\nada.lovelace,7\n")
    assert shown(file) == [(2, Verb.CHANGE, "ada.lovelace", "User name: ada.byron → ada.lovelace")]
    run(services, file)
    assert [row.user_name for row in User.select()] == ["ada.lovelace"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (",x@example.org,", "User name is empty."),
        ("ada,not an address,", "address"),
        ("ada,Ada <evil@example.org>,", "without a name and angle brackets"),
        ('ada,"a@example.org\nBcc: b@example.org",', "Email holds a line break"),
        ("ada,a@example.org,perhaps", "“perhaps” is neither yes nor no."),
        ("ad\u200ba,a@example.org,", "User name holds a line break or a character that cannot"),
        (f"{'a' * 257},,", "User name has more than 256 characters."),
        ("ada,,yes,more", "more cells than there are headings"),
    ],
)
@pytest.mark.req("R28")
@pytest.mark.req("R7")
@pytest.mark.req("T17")
def test_a_line_that_cannot_be_done_says_why_and_stops_no_other(
    services: Services, line: str, sentence: str
) -> None:
    file = check(services, f"userName,email,active\n{line}\ngrace,g@example.org,yes\n")
    bad, good = shown(file)
    assert bad[1] == Verb.CONFLICT
    assert sentence in bad[3]
    assert good[1] == Verb.CREATE
    run(services, file)
    assert [row.user_name for row in User.select()] == ["grace"]


@pytest.mark.req("R7")
def test_a_second_line_about_the_same_person_is_a_conflict_whatever_its_spelling(
    services: Services,
) -> None:
    person("known")
    text = "userName,externalId\nStraße,\nSTRASSE,\n known ,1\nKNOWN,2\n"
    assert [(number, verb, words) for number, verb, _, words in shown(check(services, text))] == [
        (2, Verb.CREATE, "User name: Straße"),
        (3, Verb.CONFLICT, "Line 2 is about the same."),
        (4, Verb.CHANGE, "Id in the source: 1"),
        (5, Verb.CONFLICT, "Line 4 is about the same."),
    ]


def test_what_our_own_export_guarded_is_read_as_it_was(services: Services) -> None:
    run(services, check(services, "userName,displayName\nada,'=SUM(1)\n"))
    assert user("ada").display_name == "=SUM(1)"


def test_only_what_was_shown_is_done(services: Services) -> None:
    file = check(services, "userName,title\nada,Boss\nalan,Boss\ngrace,Boss\n")
    person("ada")  # meanwhile somebody makes one of them by hand, and another just so
    person("alan", displayName=None, title="Boss")
    results = run(services, file)
    assert [(label, outcome) for label, outcome, _ in results] == [
        ("2: ada", "failed"),
        ("3: alan", "skipped"),
        ("4: grace", "done"),
    ]
    assert "Something changed since the check" in results[0][2]
    assert "title" not in directory.document_of(user("ada"))


def test_a_check_is_applied_once_and_only_when_it_is_over(services: Services) -> None:
    file = upload("userName\nada\n")
    with transaction():
        task = imports.check(file, Content.PEOPLE, {"userName": 0}, "HR", GRACE)
    with pytest.raises(WrongState, match="Check the file first"):
        begin(imports.get(file.resource_id))
    tasks.finish(task, services)
    run(services, imports.get(file.resource_id))
    with pytest.raises(WrongState, match="applied once"):
        begin(imports.get(file.resource_id))


def test_of_two_who_apply_one_check_at_once_one_does(services: Services) -> None:
    file = check(services, "userName\nada\n")
    mine, theirs = imports.get(file.resource_id), imports.get(file.resource_id)
    begin(mine)
    with pytest.raises(WrongState, match="applied once"):
        begin(theirs)
    assert Task.select().where(Task.kind == "import_run").count() == 1


def test_what_somebody_else_checked_anew_is_not_applied_unseen(services: Services) -> None:
    file = check(services, "userName,email,other\nada,ada@example.org,x@example.org\n")
    with transaction():
        again = imports.check(
            imports.get(file.resource_id), Content.PEOPLE, {"userName": 0, "email": 2}, "B", GRACE
        )
    tasks.finish(again, services)
    with pytest.raises(WrongState, match="checked this file anew since"):
        begin(file)
    assert not Task.select().where(Task.kind == "import_run").exists()


def test_a_check_stops_the_one_before_it(services: Services) -> None:
    file = upload("userName,email,other\nada,ada@example.org,x@example.org\n")
    first, second = (_begin_check(file, {"userName": 0, "email": place}) for place in (1, 2))
    assert tasks.get(first.resource_id).state == tasks.TaskState.CANCELLED
    tasks.finish(second, services)
    assert "x@example.org" in shown(imports.get(file.resource_id))[0][3]


def test_no_check_begins_while_another_process_applies_the_file(services: Services) -> None:
    file = check(services, "userName\nada\n")
    late = imports.get(file.resource_id)
    begin(file)
    with pytest.raises(WrongState, match="begun already"):
        _begin_check(late, {"userName": 0})


def _begin_check(file: ImportFile, columns: dict[str, int]) -> Task:
    with transaction():
        return imports.check(file, Content.PEOPLE, columns, "HR", GRACE)


# --- groups ---------------------------------------------------------------------------------------


def test_a_file_of_memberships_makes_groups_and_members(services: Services) -> None:
    person("ada")
    person("alan")
    text = "Gruppe,Mitglied\nNurses,ada\nNURSES,alan\nNurses,nobody\nWard 3,\nNurses,ada\n"
    file = check(services, text)
    assert file.content == Content.GROUPS
    assert [(verb, label, words) for _, verb, label, words in shown(file)] == [
        (Verb.CREATE, "Nurses · ada", "Groups: Nurses"),
        (Verb.CHANGE, "NURSES · alan", "Groups: NURSES"),
        (Verb.CONFLICT, "Nurses · nobody", "There is no user nobody."),
        (Verb.CREATE, "Ward 3", "Group: Ward 3"),
        (Verb.CONFLICT, "Nurses · ada", "Line 2 is about the same."),
    ]
    assert {outcome for _, outcome, _ in run(services, file)} == {"done"}
    found = {group.display_name: group.members.count() for group in Group.select()}
    assert found == {"Nurses": 2, "Ward 3": 0}
    assert imports.counts(check(services, text))[Verb.UNCHANGED] == 3


def test_a_group_of_a_directory_is_not_joined_by_a_file(services: Services) -> None:
    with transaction():
        okta = tokens.create_connection("Okta", CLI)
        groups.create_group({"displayName": "Doctors"}, connection=okta, actor=CLI)
    file = check(services, "userName,email,groups\nada,ada@example.org,doctors\n")
    assert shown(file)[0][3] == ("The group doctors comes from Okta and is changed there alone.")
    assert not Member.select().exists()


# --- those who are gone ---------------------------------------------------------------------------


@pytest.mark.req("R16")
def test_those_who_are_gone_are_suspended_with_their_keys_by_explicit_choice_only(
    services: Services,
) -> None:
    run(services, check(services, "userName\nada\nalan\n"))
    person("made-by-hand")
    with transaction():
        card = keys.draft(KeyKind.CONTACTLESS_CARD, "Card", "user", user=user("alan"), actor=CLI)
        keys.assign(card, user("alan"), CLI)
    file = check(services, "userName\nada\n")
    gone = imports.gone(file)
    assert (gone.people, gone.keys, gone.held) == (1, 1, False)
    run(services, file)
    assert user("alan").active
    file = check(services, "userName\nada\n")
    assert run(services, file, suspend_gone=True) == [
        ("alan", "done", "suspended: not in the file")
    ]
    assert not user("alan").active
    assert SecurityKey.get_by_id(card.id).state == KeyState.SUSPENDED
    assert user("made-by-hand").active
    left = AuditEvent.get(AuditEvent.event == "user.deactivated")
    assert (left.actor_kind, left.actor_name) == ("connection", "HR (Grace Hopper)")
    assert imports.gone(check(services, "userName\nada\n")).people == 0


@pytest.mark.req("R17")
def test_too_many_who_are_gone_are_held_by_the_guard(services: Services) -> None:
    run(services, check(services, "userName\n" + "".join(f"n{i}\n" for i in range(20))))
    file = check(services, "userName\nn0\n")
    gone = imports.gone(file)
    assert (gone.people, gone.held) == (19, True)
    run(services, file, suspend_gone=True)
    held = MassDeparture.get()
    assert held.connection.name == "HR"
    assert User.select().where(User.departure == held).count() == 19


def test_a_person_whose_line_is_a_conflict_is_not_gone(services: Services) -> None:
    run(services, check(services, "userName,externalId\nada,1\nalan,2\n"))
    file = check(services, "userName,externalId,email\nada,1,broken\nturing,2,broken\n")
    assert imports.counts(file)[Verb.CONFLICT] == 2
    assert imports.gone(file).people == 0


def test_while_lines_have_no_user_name_nobody_is_gone(services: Services) -> None:
    run(services, check(services, "userName,title\nada,x\n"))
    file = check(services, "userName,title\n,Boss\n")
    assert imports.gone(file).nameless == 1
    with pytest.raises(WrongState, match="nobody can say who is gone"):
        begin(file, suspend_gone=True)


def test_each_source_lets_go_of_its_own_people_only(services: Services) -> None:
    run(services, check(services, "userName\nada\n", source="HR"))
    file = check(services, "userName\nalan\n", source="Contractors")
    assert imports.gone(file).people == 0


@pytest.mark.req("R16")
def test_who_came_from_another_file_since_the_check_is_not_let_go(services: Services) -> None:
    file = check(services, "userName\nada\n")
    run(services, check(services, "userName\nada\nalan\n"))
    with pytest.raises(WrongState, match="than the check has shown"):
        begin(file, suspend_gone=True)


@pytest.mark.req("R16")
def test_a_file_of_groups_says_nothing_of_who_is_gone(services: Services) -> None:
    run(services, check(services, "userName\nada\nalan\n"))
    file = check(services, "group,member\nNurses,ada\n")
    assert file.content == Content.GROUPS
    with pytest.raises(WrongState):
        begin(file, suspend_gone=True)
    assert user("alan").active


# --- columns and sources --------------------------------------------------------------------------


def test_a_missing_or_foreign_column_is_told(services: Services) -> None:
    file = upload("colour,shape\nred,round\n")
    assert imports.columns_of(file) == {}
    with pytest.raises(InvalidValue, match="Choose the column that holds userName"), transaction():
        imports.check(file, Content.PEOPLE, {}, "HR", GRACE)
    with pytest.raises(InvalidValue, match="no such column"), transaction():
        imports.check(file, Content.PEOPLE, {"userName": 2}, "HR", GRACE)


def test_a_directory_is_no_source_of_files(services: Services) -> None:
    with transaction():
        tokens.create_connection("Entra ID", CLI)
    file = upload("userName\nada\n")
    with pytest.raises(Taken, match="Entra ID is a directory"), transaction():
        imports.check(file, Content.PEOPLE, {"userName": 0}, "Entra ID", GRACE)
    assert not Connection.select().where(Connection.profile == "csv").exists()


def test_a_source_of_files_has_no_door_and_is_no_directory(services: Services) -> None:
    check(services, "userName\nada\n")
    made = Connection.get(Connection.name == "HR")
    with pytest.raises(WrongState, match="HR takes CSV files"), transaction():
        tokens.create(made, 30, CLI)
    with pytest.raises(NotFound):
        connections.get(made.id)


@pytest.mark.parametrize(
    ("header", "content", "columns"),
    [
        ("User Name,E-Mail address,First_Name", Content.PEOPLE, ["userName", "email", "givenName"]),
        ("name,userName,email,status", Content.PEOPLE, ["displayName", "userName", "email"]),
        ("Benutzername;Mitarbeiternummer".replace(";", ","), Content.PEOPLE,
         ["userName", "employeeNumber"]),
        ("group,member", Content.GROUPS, ["group", "member"]),
        ("displayName,userName,group", Content.GROUPS, []),
        ("userName,groups", Content.PEOPLE, ["userName", "groups"]),
    ],
)  # fmt: skip
def test_headings_are_guessed(header: str, content: Content, columns: list[str]) -> None:
    found, guessed = import_columns.guess(header.split(","))
    assert found is content
    if columns:
        assert sorted(guessed, key=guessed.__getitem__) == columns


def test_no_two_attributes_are_guessed_into_one_column() -> None:
    for names in itertools.permutations(["name", "userName", "group", "member", "email"], 3):
        _, guessed = import_columns.guess(names)
        assert len(set(guessed.values())) == len(guessed)


# --- afterwards -----------------------------------------------------------------------------------


def test_what_people_wrote_is_erased_when_the_import_is_over(services: Services) -> None:
    file = check(services, "userName,title\nada,Boss\n,Nobody\n")
    assert imports.sweep() == 0
    assert imports.sample(file)
    run(services, file)
    assert imports.sweep() == 2
    assert not ImportLine.select().where(ImportLine.cells.is_null(False)).exists()
    file = imports.get(file.resource_id)
    assert file.erased_at is not None
    assert imports.sample(file) == []
    with pytest.raises(WrongState), transaction():
        imports.check(file, Content.PEOPLE, {"userName": 0}, "HR", GRACE)


def test_a_file_that_nobody_applied_is_erased_after_a_day_and_forgotten_after_thirty(
    services: Services,
) -> None:
    file = check(services, "userName\nada\n")
    ImportFile.update(created_at=now_ms() - imports.ABANDONED - 1).execute()
    assert imports.sweep() == 1
    assert imports.get(file.resource_id).erased_at is not None
    ImportFile.update(created_at=now_ms() - imports.KEPT - 1).execute()
    imports.sweep()
    assert not ImportLine.select().exists()
    with pytest.raises(NotFound):
        imports.get(file.resource_id)


@pytest.mark.req("R16")
@pytest.mark.parametrize("swept", [False, True])
def test_nobody_is_let_go_by_a_file_that_was_left_for_a_day(
    services: Services, swept: bool
) -> None:
    run(services, check(services, "userName\nada\nalan\n"))
    file = check(services, "userName\nada\n")
    left = ImportFile.update(created_at=now_ms() - imports.ABANDONED - 1)
    left.where(ImportFile.id == file.id).execute()
    while swept and imports.sweep():
        pass
    with pytest.raises(WrongState, match="It is erased: upload it again"):
        begin(file, suspend_gone=True)
    with pytest.raises(WrongState, match="It is erased: upload it again"):
        _begin_check(file, {"userName": 0})
    assert user("alan").active


def test_a_file_with_a_fault_at_its_end_leaves_nothing(services: Services) -> None:
    with pytest.raises(InvalidValue, match="never closed"):
        upload("userName\n" + "ada\n" * 1_000 + '"grace\n')
    assert not ImportFile.select().exists()
    assert not ImportLine.select().exists()

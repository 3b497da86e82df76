# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Policies of groups: what follows for a person, and that no path to a key goes around it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from provisioning import directory, groups, keys
from provisioning.audit import CLI, Actor, Event
from provisioning.desks import jobs, orders
from provisioning.desks.jobs import Op
from provisioning.errors import Forbidden, InvalidValue, PolicyForbids, Stale, WrongState
from provisioning.issuing import activations, approvals, assignment, group_policies, pins
from provisioning.issuing.approvals import ApprovalState
from provisioning.issuing.policy import ANY, Method, Policy
from provisioning.lifecycle import JobState, KeyKind, KeyState
from provisioning.models import (
    Activation,
    Approval,
    AuditEvent,
    Group,
    Job,
    OutboxMail,
    PanelAccount,
    SecurityKey,
    User,
)
from provisioning.panel import access
from provisioning.panel.access import Role
from provisioning.services import Services
from provisioning.settings import PinDelivery
from provisioning.storage.db import transaction
from tests.fakes import people

CARDS = Policy(kinds=frozenset({KeyKind.CONTACTLESS_CARD}))
BY_USER = Policy(methods=frozenset({Method.USER}))
BY_ADMIN = Policy(methods=frozenset({Method.ADMIN}))
TWO = Policy(second_approver=True)


def group(name: str, policy: Policy | None = None, *members: str) -> Group:
    with transaction():
        made = groups.create_group({"displayName": name}, connection=None, actor=CLI)
        if policy is not None:
            group_policies.save(made, policy, version=0, actor=CLI)
        if members:
            groups.add_members(made, members, actor=CLI)
    return made


def account(role: Role, name: str = "", user: User | None = None) -> tuple[PanelAccount, Actor]:
    with transaction():
        made = access.create_account(name or role.title(), role, CLI)
        if user is not None:
            made.user = user
            made.save()
    return made, Actor("account", str(made.id), made.name)


def draft(user: User | None = None, kind: KeyKind = KeyKind.CONTACTLESS_CARD) -> SecurityKey:
    with transaction():
        return keys.draft(kind, "Card of Ada", "user", user=user, actor=CLI)


def test_the_strictest_of_all_groups_holds_nested_ones_too(services: Services) -> None:
    ada = people.person()
    inner = group("Nurses", CARDS, ada.resource_id)
    group("Clinic", Policy(pin_length=8, role=Role.OFFICER), inner.resource_id)
    group("Night shift", Policy(pin_length=10), ada.resource_id)
    group("Elsewhere", BY_USER)
    ruling = group_policies.of_user(ada, services.settings)
    assert ruling.policy.kinds == CARDS.kinds
    assert ruling.policy.pin_length == 10
    assert ruling.policy.role == Role.OFFICER
    assert ruling.policy.methods == ANY.methods
    assert ruling.because("kinds") == ["Nurses"]
    assert ruling.because("pin_length") == ["Night shift"]
    assert ruling.because("role") == ["Clinic"]
    assert ruling.because("methods") == []


def test_who_would_be_in_a_group_is_ruled_like_who_is(services: Services) -> None:
    inner = group("Nurses")
    group("Clinic", CARDS, inner.resource_id)
    ruling = group_policies.of_groups([inner.resource_id], services.settings)
    assert ruling.policy.kinds == CARDS.kinds
    assert group_policies.of_groups([], services.settings).policy.kinds == ANY.kinds


def test_the_installations_settings_are_a_floor(services: Services) -> None:
    ada = people.person()
    group("Short", Policy(pin_length=4), ada.resource_id)
    settings = services.settings.model_copy(
        update={"pin_length": 8, "pin_delivery": PinDelivery.REVEAL_ONCE}
    )
    policy = group_policies.of_user(ada, settings).policy
    assert policy.pin_length == 8
    assert policy.pin_delivery is PinDelivery.REVEAL_ONCE


def test_a_deleted_groups_policy_holds_for_nobody(services: Services) -> None:
    ada = people.person()
    nurses = group("Nurses", CARDS, ada.resource_id)
    with transaction():
        groups.delete_group(nurses, CLI)
    assert group_policies.of_user(ada, services.settings).policy.kinds == ANY.kinds


def test_a_change_is_on_record_with_what_it_says(services: Services) -> None:
    nurses = group("Nurses", Policy(pin_length=8, second_approver=True))
    row = AuditEvent.get(AuditEvent.event == Event.POLICY_CHANGED)
    assert '"pin_length":8' in row.detail
    assert '"display_name":"Nurses"' in row.detail
    with transaction():
        group_policies.save(
            nurses, Policy(pin_length=8, second_approver=True), version=1, actor=CLI
        )
    assert AuditEvent.select().where(AuditEvent.event == Event.POLICY_CHANGED).count() == 1


def test_of_two_who_save_the_second_is_told(services: Services) -> None:
    nurses = group("Nurses", CARDS)
    with pytest.raises(Stale), transaction():
        group_policies.save(nurses, BY_USER, version=0, actor=CLI)
    assert group_policies.of_group(nurses)[0] == CARDS


@pytest.mark.parametrize(
    "policy",
    [
        Policy(kinds=frozenset()),
        Policy(methods=frozenset()),
        Policy(pin_length=3),
        Policy(pin_length=17),
    ],
)
def test_a_policy_that_helps_nobody_is_refused(services: Services, policy: Policy) -> None:
    nurses = group("Nurses")
    with pytest.raises(InvalidValue), transaction():
        group_policies.save(nurses, policy, version=0, actor=CLI)


def test_it_says_for_how_many_people_it_holds(services: Services) -> None:
    ada, grace = people.person("ada"), people.person("grace")
    inner = group("Nurses", None, ada.resource_id)
    outer = group("Clinic", None, inner.resource_id, grace.resource_id, ada.resource_id)
    assert group_policies.people_under(outer) == 2
    people.pending_key(ada)
    assert group_policies.waiting_against(outer, Policy(kinds=frozenset({KeyKind.USB_KEY}))) == 1
    assert group_policies.waiting_against(outer, CARDS) == 0


class TestEveryPath:
    """A key that the policy forbids cannot be had, whichever way is tried."""

    def test_a_tapped_card_at_confirm(self, services: Services) -> None:
        key, ada = draft(), people.person()
        people.tapped(services, key, people.station(services))
        group("Nurses", BY_USER, ada.resource_id)
        with pytest.raises(PolicyForbids, match="by their users"), transaction():
            assignment.confirm_tapped(people.again(key), ada, services, CLI)  # type: ignore[arg-type]

    def test_a_link_at_confirm(self, services: Services) -> None:
        ada = people.person()
        group("Nurses", BY_ADMIN, ada.resource_id)
        key = draft(ada)
        with pytest.raises(PolicyForbids, match="by an admin"), transaction():
            assignment.confirm_by_user(key, ada, services, CLI)

    def test_a_kind_of_key_that_is_not_allowed(self, services: Services) -> None:
        ada = people.person()
        group("Nurses", CARDS, ada.resource_id)
        key = draft(ada, KeyKind.PASSKEY)
        with pytest.raises(PolicyForbids, match="this kind"), transaction():
            assignment.confirm_by_user(key, ada, services, CLI)

    def test_a_link_sent_anew(self, services: Services) -> None:
        ada = people.person()
        key = people.pending_key(ada)
        group("Nurses", BY_ADMIN, ada.resource_id)
        with pytest.raises(PolicyForbids), transaction():
            activations.issue(key, services, CLI)
        assert not Activation.select().exists()

    def test_a_reader_at_an_admins_desk(self, services: Services) -> None:
        ada = people.person()
        key = people.pending_key(ada)
        group("Nurses", BY_USER, ada.resource_id)
        with pytest.raises(PolicyForbids), transaction():
            orders.queue_enrolment(people.station(services), key, services, CLI)
        assert not Job.select().exists()

    def test_a_link_that_was_sent_before_the_policy(self, services: Services) -> None:
        ada = people.person()
        key = people.pending_key(ada)
        with transaction():
            link, _url = activations.issue(key, services, CLI)
            session, _secret = access.open_session(
                access.SessionKind.ACTIVATION, user=ada, activation=link
            )
        group("Nurses", BY_ADMIN, ada.resource_id)
        with pytest.raises(PolicyForbids), transaction():
            orders.queue_enrolment(
                people.station(services), key, services, access.actor_of(session), session=session
            )
        with transaction():
            keys.register(key, people.registration(), "localhost", CLI)
        with pytest.raises(PolicyForbids), transaction():
            assignment.complete_in_browser(key, link, services, CLI)
        assert people.again(key).state == KeyState.PENDING  # type: ignore[attr-defined]

    def test_a_policy_that_comes_while_the_card_is_written(self, services: Services) -> None:
        ada = people.person()
        key = people.pending_key(ada)
        with transaction():
            job = orders.queue_enrolment(people.station(services), key, services, CLI)
        group("Nurses", Policy(pin_length=12), ada.resource_id)
        with pytest.raises(PolicyForbids, match="a PIN of 12"), transaction():
            assignment.complete(job, services, CLI)

    @pytest.mark.parametrize("role", [Role.OPERATOR, Role.OFFICER])
    def test_who_may_assign_is_asked_of_every_account(self, services: Services, role: Role) -> None:
        ada = people.person()
        _account, actor = account(role)
        group("Directors", Policy(role=Role.OWNER), ada.resource_id)
        key = draft(ada)
        for act in (
            lambda: assignment.confirm_by_user(key, ada, services, actor),
            lambda: orders.queue_enrolment(people.station(services), key, services, actor),
        ):
            with pytest.raises(PolicyForbids, match="owner"), transaction():
                act()

    def test_nothing_but_assignment_makes_a_key_work(self) -> None:
        root = Path(__file__).parents[3]
        callers = {
            path.stem
            for package in ("provisioning", "scim", "enrollment")
            for path in (root / package).rglob("*.py")
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute)
            and node.attr == "activate"
            and isinstance(node.value, ast.Name)
            and node.value.id == "keys"
        }
        assert callers == {"assignment"}


class TestThePin:
    """Length, delivery and forced change come from the policy of who will hold the card."""

    def test_a_pin_is_made_as_long_as_the_policy_asks(self, services: Services) -> None:
        ada = people.person()
        group("Nurses", Policy(pin_length=9), ada.resource_id)
        with transaction():
            job = orders.queue_enrolment(
                people.station(services), people.pending_key(ada), services, CLI
            )
        assert len(pins.unseal(services.vault, job)) == 9

    def test_a_pin_that_the_person_chooses_is_never_made(self, services: Services) -> None:
        ada = people.person()
        group("Nurses", Policy(pin_delivery=PinDelivery.USER_SETS), ada.resource_id)
        with transaction():
            job = orders.queue_enrolment(
                people.station(services), people.pending_key(ada), services, CLI
            )
        assert job.pin_mode == jobs.PinMode.OWN
        assert job.sealed_pin is None

    def test_a_card_whose_pin_was_made_for_looser_groups_is_not_handed_over(
        self, services: Services
    ) -> None:
        key, ada = draft(), people.person()
        people.tapped(services, key, people.station(services))
        group("Nurses", Policy(pin_delivery=PinDelivery.USER_SETS), ada.resource_id)
        with pytest.raises(PolicyForbids, match="nobody else ever knew"), transaction():
            assignment.confirm_tapped(people.again(key), ada, services, CLI)  # type: ignore[arg-type]
        assert not OutboxMail.select().exists()

    def test_a_card_that_cannot_force_a_change_is_refused(self, services: Services) -> None:
        key, ada = draft(), people.person()
        people.tapped(services, key, people.station(services))
        group("Nurses", Policy(force_pin_change=True), ada.resource_id)
        with pytest.raises(PolicyForbids, match="forces a PIN change"), transaction():
            assignment.confirm_tapped(people.again(key), ada, services, CLI)  # type: ignore[arg-type]

    def test_a_pin_that_is_shown_once_is_not_mailed(self, services: Services) -> None:
        key, ada = draft(), people.person()
        people.tapped(services, key, people.station(services))
        group("Nurses", Policy(pin_delivery=PinDelivery.REVEAL_ONCE), ada.resource_id)
        with transaction():
            assert assignment.confirm_tapped(people.again(key), ada, services, CLI)  # type: ignore[arg-type]
        assert not OutboxMail.select().where(OutboxMail.template == "pin").exists()
        assert Job.get().sealed_pin is not None


@pytest.mark.req("R25")
class TestTheSecondPerson:
    """Nobody lets somebody in alone where the policy asks for two."""

    def ask(self, services: Services, *, tapped: bool) -> tuple[Approval, PanelAccount]:
        ada = people.person()
        asked_by, actor = account(Role.OFFICER, "Grace Hopper")
        group("Directors", TWO, ada.resource_id)
        if tapped:
            key = draft()
            people.tapped(services, key, people.station(services))
            with transaction():
                assert not assignment.confirm_tapped(people.again(key), ada, services, actor)  # type: ignore[arg-type]
        else:
            with transaction():
                assert assignment.confirm_by_user(draft(ada), ada, services, actor) is None
        return Approval.get(), asked_by

    def test_a_tapped_card_waits_with_its_pin_sealed(self, services: Services) -> None:
        approval, _asked = self.ask(services, tapped=True)
        assert approval.key.state == KeyState.PENDING
        assert Job.get().sealed_pin is not None
        assert not OutboxMail.select().exists()
        other, _actor = account(Role.OFFICER, "Katherine Johnson")
        with transaction():
            assignment.approve(approval, other, services)
        assert people.again(approval.key).state == KeyState.ACTIVE  # type: ignore[attr-defined]
        assert OutboxMail.get().template == "pin"
        assert Job.get().sealed_pin is None

    def test_a_link_is_sent_when_they_agree(self, services: Services) -> None:
        approval, _asked = self.ask(services, tapped=False)
        assert not Activation.select().exists()
        other, _actor = account(Role.OFFICER, "Katherine Johnson")
        with transaction():
            assignment.approve(approval, other, services)
        assert Activation.get().state == "live"
        told = AuditEvent.select().where(AuditEvent.event.startswith("approval."))
        assert [row.event for row in told.order_by(AuditEvent.id)] == [
            Event.APPROVAL_ASKED,
            Event.APPROVAL_GIVEN,
        ]

    @pytest.mark.req("T12")
    def test_another_address_needs_their_word_anew(self, services: Services) -> None:
        approval, _asked = self.ask(services, tapped=False)
        other, _actor = account(Role.OFFICER, "Katherine Johnson")
        with transaction():
            assignment.approve(approval, other, services)
        user = User.get_by_id(approval.user_id)
        entra = Actor("connection", "1", "Entra ID")
        moved = {**directory.document_of(user), "emails": [{"value": "ada@evil.example"}]}
        with transaction():
            directory.replace_user(user, moved, actor=entra)
        key = people.again(approval.key)
        with pytest.raises(PolicyForbids, match="second person"), transaction():
            activations.issue(key, services, CLI)  # type: ignore[arg-type]
        assert Activation.select().where(Activation.state == "live").count() == 0
        (waiting,), _more = approvals.waiting()
        assert (waiting.decided_by, waiting.decider, waiting.decided_at) == (None, "", None)
        asked = AuditEvent.select().order_by(AuditEvent.id.desc()).first()
        assert (asked.event, asked.actor_name) == (Event.APPROVAL_ASKED, "Entra ID")
        with transaction():
            assignment.approve(waiting, other, services)
        assert Activation.get(Activation.state == "live").address == "ada@evil.example"

    def test_whose_name_changes_keeps_their_word(self, services: Services) -> None:
        approval, _asked = self.ask(services, tapped=False)
        other, _actor = account(Role.OFFICER, "Katherine Johnson")
        with transaction():
            assignment.approve(approval, other, services)
            user = User.get_by_id(approval.user_id)
            named = {**directory.document_of(user), "displayName": "Ada King"}
            directory.replace_user(user, named, actor=CLI)
        assert approvals.is_approved(approval.key)

    def test_a_key_made_in_person_works_when_they_agree(self, services: Services) -> None:
        ada = people.person()
        _asked, actor = account(Role.OFFICER, "Grace Hopper")
        group("Directors", TWO, ada.resource_id)
        key = draft(kind=KeyKind.USB_KEY)
        with transaction():
            keys.register(key, people.registration(), "localhost", CLI)
            assert not assignment.confirm_in_person(key, ada, services, actor)
        assert keys.made_in_person([key]) == {key.id}
        other, _actor = account(Role.OFFICER, "Katherine Johnson")
        with transaction():
            assignment.approve(Approval.get(), other, services)
        assert people.again(key).state == KeyState.ACTIVE  # type: ignore[attr-defined]
        assert not Activation.select().exists()

    def test_who_left_meanwhile_gets_nothing_in_person(self, services: Services) -> None:
        ada = people.person(active=False)
        key = draft(kind=KeyKind.USB_KEY)
        with transaction():
            keys.register(key, people.registration(), "localhost", CLI)
        with pytest.raises(WrongState, match="suspended or gone"), transaction():
            assignment.confirm_in_person(key, ada, services, CLI)

    def test_who_asked_never_approves(self, services: Services) -> None:
        approval, asked_by = self.ask(services, tapped=True)
        with pytest.raises(Forbidden, match="their own request"), transaction():
            assignment.approve(approval, asked_by, services)
        assert people.again(approval.key).state == KeyState.PENDING  # type: ignore[attr-defined]

    def test_whose_key_it_is_never_approves(self, services: Services) -> None:
        approval, _asked = self.ask(services, tapped=True)
        ada, _actor = account(Role.OWNER, "Ada Lovelace", approval.user)
        with pytest.raises(Forbidden, match="for themselves"), transaction():
            assignment.approve(approval, ada, services)

    def test_an_operator_cannot_approve(self, services: Services) -> None:
        approval, _asked = self.ask(services, tapped=True)
        operator, _actor = account(Role.OPERATOR)
        with pytest.raises(Forbidden, match="officer"), transaction():
            assignment.approve(approval, operator, services)

    def test_one_word_is_enough_and_cannot_be_taken_back(self, services: Services) -> None:
        approval, _asked = self.ask(services, tapped=False)
        other, _actor = account(Role.OFFICER, "Katherine Johnson")
        with transaction():
            assignment.decline(approval, other)
        assert people.again(approval.key).state == KeyState.REVOKED  # type: ignore[attr-defined]
        with pytest.raises(WrongState), transaction():
            assignment.approve(Approval.get(), other, services)
        assert not Activation.select().exists()

    def test_a_declined_card_keeps_no_pin(self, services: Services) -> None:
        approval, _asked = self.ask(services, tapped=True)
        other, _actor = account(Role.OFFICER, "Katherine Johnson")
        with transaction():
            assert assignment.decline(approval, other)
        assert Job.get().sealed_pin is None

    def test_no_reader_and_no_link_goes_around_the_word(self, services: Services) -> None:
        approval, _asked = self.ask(services, tapped=False)
        key = approval.key
        with pytest.raises(PolicyForbids, match="second person"), transaction():
            activations.issue(key, services, CLI)
        with pytest.raises(PolicyForbids, match="second person"), transaction():
            orders.queue_enrolment(people.station(services), key, services, CLI)

    def test_a_leavers_request_waits_no_more(self, services: Services) -> None:
        from provisioning import directory
        from provisioning.lifecycle import Reason

        approval, _asked = self.ask(services, tapped=False)
        assert approvals.waiting()[0] == [approval]
        with transaction():
            directory.deactivate(approval.user, Reason.LEFT, CLI)
        assert approvals.waiting()[0] == []
        other, _actor = account(Role.OFFICER, "Katherine Johnson")
        with pytest.raises(WrongState), transaction():
            assignment.approve(Approval.get(), other, services)

    def test_a_pin_that_was_forgotten_cannot_be_approved(self, services: Services) -> None:
        approval, _asked = self.ask(services, tapped=True)
        Job.update(sealed_pin=None).execute()
        other, _actor = account(Role.OFFICER, "Katherine Johnson")
        with pytest.raises(WrongState, match="72 hours"), transaction():
            assignment.approve(approval, other, services)
        assert Approval.get().state == ApprovalState.WAITING

    def test_who_works_in_the_panel_is_let_in_by_two(self, services: Services) -> None:
        ada = people.person()
        account(Role.OPERATOR, "Ada Lovelace", ada)
        assert group_policies.of_user(ada, services.settings).policy.second_approver
        _asked, actor = account(Role.OFFICER, "Grace Hopper")
        with transaction():
            assert assignment.confirm_by_user(draft(ada), ada, services, actor) is None
        assert jobs.of_key(SecurityKey.get(), Op.ENROL) is None
        assert JobState.DONE not in {job.state for job in Job.select()}

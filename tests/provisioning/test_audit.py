# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning import audit
from provisioning.audit import CLI, Event
from provisioning.errors import InvalidValue
from provisioning.models import AuditEvent, AuditHead
from provisioning.services import Services
from provisioning.storage.db import transaction
from tests.fakes.queries import interrupted

pytestmark = pytest.mark.req("R26")


def fill(count: int) -> None:
    with transaction():
        for number in range(count):
            audit.record(CLI, Event.USER_CREATED, number=number)


def test_an_untouched_log_is_whole(services: Services) -> None:
    assert audit.verify().whole
    fill(5)
    verdict = audit.verify()
    assert verdict.whole
    assert verdict.rows == 5


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    harm=st.sampled_from(["edit", "delete", "reorder", "cut"]),
    row=st.integers(0, 5),
    column=st.sampled_from(["detail", "actor_name", "event", "at", "actor_kind"]),
)
def test_whatever_is_done_to_a_row_is_found(
    services: Services, harm: str, row: int, column: str
) -> None:
    AuditEvent.delete().execute()
    AuditHead.delete().execute()
    fill(6)
    rows = list(AuditEvent.select().order_by(AuditEvent.id))
    if harm == "edit":
        changed = 7 if column == "at" else "something else"
        AuditEvent.update({column: changed}).where(AuditEvent.id == rows[row].id).execute()
    elif harm == "delete":
        AuditEvent.delete().where(AuditEvent.id == rows[row].id).execute()
    elif harm == "cut":
        AuditEvent.delete().where(AuditEvent.id > rows[row].id - 1).execute()
    else:
        one, other = rows[row], rows[(row + 1) % 6]
        AuditEvent.update(detail=other.detail, mac=other.mac).where(
            AuditEvent.id == one.id
        ).execute()
        AuditEvent.update(detail=one.detail, mac=one.mac).where(AuditEvent.id == other.id).execute()
    assert not audit.verify().whole


def test_another_key_does_not_verify_the_log(services: Services) -> None:
    fill(2)
    audit.use_key(b"k" * 32)
    assert not audit.verify().whole


def test_a_rolled_back_transaction_leaves_no_line(services: Services) -> None:
    with pytest.raises(ZeroDivisionError), transaction():
        raise ZeroDivisionError(audit.record(CLI, Event.USER_CREATED))
    assert AuditEvent.select().count() == 0
    assert audit.verify().whole


def test_a_cut_tail_with_its_head_set_back_is_found_by_an_anchor(services: Services) -> None:
    fill(3)
    early = audit.head()
    fill(3)
    anchor = audit.Anchor.parse(str(audit.head()))
    assert audit.verify(anchor).whole
    AuditEvent.delete().where(AuditEvent.id > 3).execute()
    AuditHead.update(rows=early.rows, mac=early.mac).execute()
    assert audit.verify().whole
    assert audit.verify(anchor).message == "the log ends after 3 of 6 rows"
    fill(3)
    assert "not the one that was anchored" in audit.verify(anchor).message


def test_whoever_writes_while_it_is_walked_breaks_nothing(services: Services) -> None:
    fill(5)
    for moment in range(5):
        with interrupted(moment, lambda: fill(2)):
            assert audit.verify().whole


def test_a_line_behind_the_head_is_found(services: Services) -> None:
    fill(6)
    line = AuditEvent.select().order_by(AuditEvent.id.desc()).get()
    AuditHead.update(rows=AuditHead.rows - 1).execute()
    assert audit.verify().message == "the log ends after 6 of 5 rows"
    AuditHead.update(rows=6).execute()
    forged = {**line.__data__, "id": line.id + 1, "actor_name": "Mallory"}
    AuditEvent.insert(forged).execute()
    assert not audit.verify().whole


def test_a_text_that_is_no_anchor_is_refused() -> None:
    for text in ("", "12", "x:ff", "3:zz"):
        with pytest.raises(InvalidValue):
            audit.Anchor.parse(text)

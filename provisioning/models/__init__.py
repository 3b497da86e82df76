# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The tables. Times are integer milliseconds since the epoch, UTC; see `clock`.

A CharField holds a word of ours: PostgreSQL refuses what is longer than 255 characters.

Look-up keys (`*_key`) hold `naming.fold` of the value beside them: NFKC + casefold is computed
here and indexed, because no database folds case the same way (security requirement R7).
A migration never imports this module.
"""

from __future__ import annotations

from .batches import Batch, BatchItem, BatchStation
from .choices import LiveSetting, Logo, Preference
from .desks import Job, PairingCode, RequestId, Station
from .directories import (
    Conflict,
    Connection,
    MassDeparture,
    QuirkUse,
    RequestHour,
    RequestTrace,
    Token,
    UnknownAttribute,
)
from .imports import ImportFile, ImportLine
from .keys import LIVE, Activation, Badge, Credential, SecurityKey, WebAuthnCredential
from .panel import (
    Challenge,
    KeptForm,
    OwnerLink,
    PanelAccount,
    PanelCredential,
    Session,
    WizardDraft,
)
from .people import Group, Member, Tally, User, UserValue
from .policies import Approval, GroupPolicy
from .records import RARE, UNSENT, Alert, AuditEvent, AuditHead, OutboxMail
from .rows import Row, Setting
from .schemas import CustomSchema
from .streams import DeferredRequest, EventStream, StreamEvent
from .work import Task, TaskRow

ALL: list[type[Row]] = [
    Setting,
    LiveSetting,
    Logo,
    Connection,
    Token,
    UnknownAttribute,
    QuirkUse,
    RequestTrace,
    RequestHour,
    Conflict,
    MassDeparture,
    User,
    Preference,
    Tally,
    UserValue,
    Group,
    Member,
    CustomSchema,
    EventStream,
    StreamEvent,
    DeferredRequest,
    PanelAccount,
    SecurityKey,
    Credential,
    PanelCredential,
    Activation,
    OwnerLink,
    Session,
    Challenge,
    Station,
    PairingCode,
    RequestId,
    Job,
    WizardDraft,
    KeptForm,
    OutboxMail,
    Alert,
    AuditEvent,
    AuditHead,
    Task,
    TaskRow,
    GroupPolicy,
    Approval,
    ImportFile,
    ImportLine,
    Batch,
    BatchItem,
    BatchStation,
    Badge,
]

__all__ = [
    "ALL",
    "LIVE",
    "RARE",
    "UNSENT",
    "Activation",
    "Alert",
    "Approval",
    "AuditEvent",
    "AuditHead",
    "Badge",
    "Batch",
    "BatchItem",
    "BatchStation",
    "Challenge",
    "Conflict",
    "Connection",
    "Credential",
    "CustomSchema",
    "DeferredRequest",
    "EventStream",
    "Group",
    "GroupPolicy",
    "ImportFile",
    "ImportLine",
    "Job",
    "KeptForm",
    "LiveSetting",
    "Logo",
    "MassDeparture",
    "Member",
    "OutboxMail",
    "OwnerLink",
    "PairingCode",
    "PanelAccount",
    "PanelCredential",
    "Preference",
    "QuirkUse",
    "RequestHour",
    "RequestId",
    "RequestTrace",
    "Row",
    "SecurityKey",
    "Session",
    "Setting",
    "Station",
    "StreamEvent",
    "Tally",
    "Task",
    "TaskRow",
    "Token",
    "UnknownAttribute",
    "User",
    "UserValue",
    "WebAuthnCredential",
    "WizardDraft",
]

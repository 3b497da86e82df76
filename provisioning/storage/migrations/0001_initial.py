# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The first schema: a frozen copy of the tables, deliberately independent of the live models."""

from peewee import (
    SQL,
    AutoField,
    BigIntegerField,
    BlobField,
    BooleanField,
    CharField,
    CompositeKey,
    Database,
    ForeignKeyField,
    IntegerField,
    Model,
    SchemaManager,
    SqliteDatabase,
    TextField,
)
from playhouse.migrate import SchemaMigrator


class Row(Model):
    id = AutoField()

    class Meta:
        legacy_table_names = False


class Setting(Row):
    name = TextField(unique=True)
    value = TextField()


class LiveSetting(Row):
    name = CharField(unique=True)
    value = TextField(null=True)
    sealed = BlobField(null=True)
    version = IntegerField(index=True)
    changed_at = BigIntegerField()


class Logo(Row):
    digest = CharField(unique=True)
    media_type = CharField()
    content = BlobField()


class Connection(Row):
    name = TextField(unique=True)
    profile = CharField(default="tolerant")
    scope = CharField(default="write")
    patch_reply = CharField(default="usual")
    unique_group_names = BooleanField(default=True)
    merges_bulk = BooleanField(default=False)
    created_at = BigIntegerField()
    last_seen_at = BigIntegerField(null=True)
    retired_at = BigIntegerField(null=True)


class Token(Row):
    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    public_id = CharField(unique=True)
    secret_hash = BlobField()
    created_at = BigIntegerField()
    expires_at = BigIntegerField()
    revoked_at = BigIntegerField(null=True)
    last_used_at = BigIntegerField(null=True)


class UnknownAttribute(Row):
    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    name = TextField()
    seen = BigIntegerField(default=0)

    class Meta:
        indexes = ((("connection", "name"), True),)


class QuirkUse(Row):
    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    name = CharField()
    seen = BigIntegerField(default=0)
    last_seen_at = BigIntegerField()

    class Meta:
        indexes = ((("connection", "name"), True),)


class RequestTrace(Row):
    connection = ForeignKeyField(Connection, on_delete="CASCADE", index=False)
    at = BigIntegerField()
    token = CharField(null=True)
    method = CharField()
    path = TextField()
    status = IntegerField()
    scim_type = CharField(null=True)
    quirks = TextField(default="")
    micros = IntegerField()


RequestTrace.add_index(RequestTrace.connection, RequestTrace.id, name="request_trace_newest")


class RequestHour(Row):
    connection = ForeignKeyField(Connection, on_delete="CASCADE", index=False)
    hour = BigIntegerField()
    requests = IntegerField(default=0)
    errors = IntegerField(default=0)

    class Meta:
        indexes = ((("connection", "hour"), True),)


class Conflict(Row):
    connection = ForeignKeyField(Connection, on_delete="CASCADE", index=False)
    kind = CharField()
    attribute = CharField()
    value = TextField()
    value_key = TextField()
    seen = IntegerField(default=1)
    first_seen_at = BigIntegerField()
    last_seen_at = BigIntegerField()
    dismissed_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("connection", "kind", "attribute", "value_key"), True),)


class MassDeparture(Row):
    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    started_at = BigIntegerField()
    decided_at = BigIntegerField(null=True)
    decision = CharField(null=True)


class User(Row):
    resource_id = CharField(unique=True)
    connection = ForeignKeyField(Connection, null=True, index=False)
    user_name = TextField()
    user_name_key = TextField()
    external_id = TextField(null=True)
    display_name = TextField(default="")
    display_name_key = TextField(default="")
    email = TextField(null=True)
    email_key = TextField(null=True)
    active = BooleanField(default=True)
    status = CharField(default="new")
    document = TextField()
    version = IntegerField(default=1)
    created_at = BigIntegerField()
    updated_at = BigIntegerField()
    last_activity_at = BigIntegerField(null=True)
    departure = ForeignKeyField(MassDeparture, null=True, on_delete="SET NULL", index=False)
    left_at = BigIntegerField(null=True)
    deleted_at = BigIntegerField(null=True)
    groups_left = TextField(null=True)


User.add_index(
    User.user_name_key,
    unique=True,
    where=User.deleted_at.is_null(),
    name="user_living_user_name_key",
)

User.add_index(
    User.connection,
    User.external_id,
    unique=True,
    where=User.deleted_at.is_null() & User.external_id.is_null(False),
    name="user_living_external_id",
)

User.add_index(User.connection, User.deleted_at, User.id, name="user_connection_living_id")

User.add_index(User.display_name_key, User.id, User.deleted_at, User.status, name="user_name_id")

User.add_index(User.email_key, name="user_email_key_index")

User.add_index(User.last_activity_at, User.id, User.deleted_at, name="user_last_activity_id")

User.add_index(User.updated_at, where=User.deleted_at.is_null(), name="user_updated_at_index")

User.add_index(User.departure, where=User.departure.is_null(False), name="user_departure_held")

User.add_index(
    User.connection,
    User.left_at,
    User.deleted_at,
    User.departure,
    where=User.left_at.is_null(False),
    name="user_connection_left_at",
)


class Tally(Row):
    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    kind = CharField()
    living = IntegerField()

    class Meta:
        indexes = ((("connection", "kind"), True),)


class Preference(Row):
    user = ForeignKeyField(User, unique=True, on_delete="CASCADE")
    language = CharField()


class Clustered(SchemaManager):
    def _create_table(self, safe: bool = True, **options: object) -> object:
        self.model._meta.without_rowid = isinstance(self.database, SqliteDatabase)
        return super()._create_table(safe, **options)  # type: ignore[misc]


class UserValue(Row):
    id = None  # type: ignore[assignment]
    user = ForeignKeyField(User, index=False, on_delete="CASCADE")
    attribute = CharField()
    value_key = TextField()
    place = IntegerField()
    value = TextField()

    class Meta:
        primary_key = CompositeKey("attribute", "value_key", "user", "place")
        schema_manager_class = Clustered


class Group(Row):
    resource_id = CharField(unique=True)
    connection = ForeignKeyField(Connection, null=True, index=False)
    display_name = TextField()
    display_name_key = TextField()
    twin = CharField(default="")
    external_id = TextField(null=True)
    document = TextField()
    version = IntegerField(default=1)
    created_at = BigIntegerField()
    updated_at = BigIntegerField()
    deleted_at = BigIntegerField(null=True)

    class Meta:
        table_name = "user_group"


Group.add_index(
    Group.connection,
    Group.display_name_key,
    Group.twin,
    unique=True,
    where=Group.deleted_at.is_null(),
    name="group_living_display_name",
)

Group.add_index(
    Group.connection,
    Group.external_id,
    unique=True,
    where=(Group.deleted_at.is_null() & Group.external_id.is_null(False)),
    name="group_living_external_id",
)

Group.add_index(Group.connection, Group.deleted_at, Group.id, name="group_connection_living_id")

Group.add_index(Group.display_name_key, name="group_display_name_key_index")


class Member(Row):
    group = ForeignKeyField(Group, index=False, on_delete="CASCADE")
    user = ForeignKeyField(User, null=True, on_delete="CASCADE")
    subgroup = ForeignKeyField(Group, index=False, null=True, on_delete="CASCADE")
    created_at = BigIntegerField()

    class Meta:
        indexes = ((("group", "user"), True),)


Member.add_index(
    Member.group,
    Member.subgroup,
    unique=True,
    where=Member.subgroup.is_null(False),
    name="member_group_subgroup",
)
Member.add_index(Member.subgroup, where=Member.subgroup.is_null(False), name="member_subgroup")


class CustomSchema(Row):
    urn = TextField()
    urn_key = TextField(unique=True)
    resource_type = CharField()
    required = BooleanField()
    document = TextField()
    created_at = BigIntegerField()


class EventStream(Row):
    resource_id = CharField(unique=True)
    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    method = CharField()
    detail = CharField()
    audience = TextField()
    endpoint = TextField()
    sealed_authorization = BlobField(null=True)
    state = CharField()
    created_at = BigIntegerField()
    delivered = BigIntegerField()
    delivered_at = BigIntegerField(null=True)
    failures = IntegerField()
    last_error = TextField()
    due_at = BigIntegerField()
    leased_until = BigIntegerField(null=True)


class StreamEvent(Row):
    stream = ForeignKeyField(EventStream, on_delete="CASCADE", index=False)
    jti = CharField(unique=True)
    txn = CharField()
    kinds = CharField()
    type = CharField()
    subject = CharField()
    external_id = TextField(null=True)
    version = IntegerField(null=True)
    content = TextField()
    state = CharField()
    attempts = IntegerField()
    last_error = TextField()
    at = BigIntegerField()

    class Meta:
        indexes = ((("stream", "state", "id"), False),)


class DeferredRequest(Row):
    txn = CharField(unique=True)
    connection = ForeignKeyField(Connection, on_delete="CASCADE")
    token = CharField()
    sealed_body = BlobField(null=True)
    outcomes = TextField(null=True)
    created_at = BigIntegerField()
    finished_at = BigIntegerField(null=True)


class PanelAccount(Row):
    name = TextField()
    email = TextField(null=True)
    role = CharField()
    state = CharField(default="active")
    user = ForeignKeyField(User, null=True)
    user_handle = BlobField(unique=True)
    language = CharField(null=True)
    gone_at = BigIntegerField(null=True)
    created_at = BigIntegerField()


class SecurityKey(Row):
    resource_id = CharField(unique=True)
    user = ForeignKeyField(User, null=True)
    kind = CharField()
    name = TextField()
    state = CharField()
    reason = CharField(null=True)
    method = CharField()
    user_handle = BlobField()
    model = CharField(null=True)
    aaguid = CharField(null=True)
    pin_change_forced = BooleanField(null=True)
    replaces = ForeignKeyField("self", null=True, index=False)
    ends_at = BigIntegerField(null=True)
    uid_hash = CharField(null=True)
    created_at = BigIntegerField()
    activated_at = BigIntegerField(null=True)
    confirmed_at = BigIntegerField(null=True)
    suspended_at = BigIntegerField(null=True)
    revoked_at = BigIntegerField(null=True)
    last_used_at = BigIntegerField(null=True)

    class Meta:
        indexes = (
            (("id", "state"), False),
            (("model", "id"), False),
            (("kind", "id"), False),
        )


SecurityKey.add_index(
    SecurityKey.ends_at, where=SecurityKey.ends_at.is_null(False), name="security_key_ends_at"
)


class WebAuthnCredential(Row):
    rp_id = CharField()
    credential_id = BlobField(unique=True)
    public_key = BlobField()
    sign_count = BigIntegerField(default=0)
    aaguid = CharField()
    transports = CharField(default="")
    attestation_format = CharField()
    attestation_object = BlobField()
    backup_eligible = BooleanField(default=False)
    backed_up = BooleanField(default=False)
    created_at = BigIntegerField()
    last_used_at = BigIntegerField(null=True)


SecurityKey.add_index(
    SecurityKey.activated_at,
    where=SecurityKey.activated_at.is_null(False),
    name="security_key_activated_at",
)


class Credential(WebAuthnCredential):
    key = ForeignKeyField(SecurityKey, on_delete="CASCADE")


class PanelCredential(WebAuthnCredential):
    account = ForeignKeyField(PanelAccount, on_delete="CASCADE")
    label = CharField(default="")
    locked_at = BigIntegerField(null=True)


class Activation(Row):
    resource_id = CharField(unique=True)
    key = ForeignKeyField(SecurityKey, on_delete="CASCADE")
    user = ForeignKeyField(User)
    token_hash = BlobField(unique=True)
    state = CharField(default="live")
    address = TextField()
    created_at = BigIntegerField()
    expires_at = BigIntegerField()
    opened_at = BigIntegerField(null=True)
    ended_at = BigIntegerField(null=True)
    requested_again_at = BigIntegerField(null=True)
    sealed_code = BlobField(null=True)
    code_tries = IntegerField(default=0)


Activation.add_index(
    Activation.expires_at,
    where=Activation.state == SQL("'live'"),
    name="activation_live_expires_at",
)


class OwnerLink(Row):
    token_hash = BlobField(unique=True)
    role = CharField()
    account = ForeignKeyField(PanelAccount, null=True)
    expires_at = BigIntegerField()
    used_at = BigIntegerField(null=True)


class Session(Row):
    secret_hash = BlobField(unique=True)
    kind = CharField()
    account = ForeignKeyField(PanelAccount, null=True, on_delete="CASCADE")
    user = ForeignKeyField(User, null=True, on_delete="CASCADE")
    key = ForeignKeyField(SecurityKey, null=True)
    activation = ForeignKeyField(Activation, null=True)
    created_at = BigIntegerField()
    last_seen_at = BigIntegerField()
    expires_at = BigIntegerField()
    stepped_up_at = BigIntegerField(null=True)
    ended_at = BigIntegerField(null=True)


class Challenge(Row):
    binding = CharField(index=True)
    purpose = CharField()
    user = ForeignKeyField(User, null=True, on_delete="CASCADE")
    key = ForeignKeyField(SecurityKey, null=True, on_delete="CASCADE")
    challenge = BlobField()
    expires_at = BigIntegerField()


class Station(Row):
    resource_id = CharField(unique=True)
    name = TextField()
    signing_key = BlobField()
    sealing_key = BlobField()
    version = CharField(default="")
    reader_name = TextField(default="")
    state = CharField(default="no_reader")
    readers = TextField(default="[]")
    clock_offset = BigIntegerField(default=0)
    waits = CharField(default="")
    created_at = BigIntegerField()
    last_seen_at = BigIntegerField(null=True)
    revoked_at = BigIntegerField(null=True)
    user = ForeignKeyField(User, null=True)


class PairingCode(Row):
    code_hash = BlobField(unique=True)
    created_by = TextField()
    expires_at = BigIntegerField()
    tries = IntegerField(default=0)
    used_at = BigIntegerField(null=True)
    station = ForeignKeyField(Station, null=True)
    user = ForeignKeyField(User, null=True)


class RequestId(Row):
    station = ForeignKeyField(Station, on_delete="CASCADE")
    jti = CharField()
    expires_at = BigIntegerField(index=True)

    class Meta:
        indexes = ((("station", "jti"), True),)


class Job(Row):
    resource_id = CharField(unique=True)
    op = CharField()
    station = ForeignKeyField(Station)
    user = ForeignKeyField(User, null=True)
    key = ForeignKeyField(SecurityKey, null=True)
    state = CharField(default="queued")
    step = CharField(default="prepared")
    ticket_id = CharField(null=True)
    ticket_expires_at = BigIntegerField(null=True)
    fault = CharField(null=True)
    card = TextField(default="{}")
    result = TextField(default="{}")
    sealed_pin = BlobField(null=True)
    purpose = CharField(default="")
    binding = CharField(default="")
    account = ForeignKeyField(PanelAccount, null=True)
    session = ForeignKeyField(Session, null=True)
    pin_mode = CharField(default="")
    pin_length = IntegerField(default=0)
    force_change = BooleanField(default=False)
    code = CharField(default="")
    created_by = TextField(default="")
    created_at = BigIntegerField()
    updated_at = BigIntegerField()
    finished_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("station", "state"), False), (("key", "state"), False))


Job.add_index(Job.state, where=Job.finished_at.is_null(), name="job_open_state")


class WizardDraft(Row):
    resource_id = CharField(unique=True)
    account = ForeignKeyField(PanelAccount, on_delete="CASCADE")
    user = ForeignKeyField(User, null=True)
    key = ForeignKeyField(SecurityKey, null=True)
    state = CharField(default="open")
    data = TextField(default="{}")
    version = IntegerField(default=1)
    created_at = BigIntegerField()
    updated_at = BigIntegerField()

    class Meta:
        indexes = ((("state", "updated_at"), False),)


class KeptForm(Row):
    account = ForeignKeyField(PanelAccount, index=False, on_delete="CASCADE")
    path = CharField()
    sealed = BlobField()
    created_at = BigIntegerField(index=True)

    class Meta:
        indexes = ((("account", "path"), True),)


class OutboxMail(Row):
    message_id = CharField(unique=True)
    template = CharField()
    recipient = TextField()
    locale = CharField(default="en")
    context = TextField(default="{}")
    sealed_secret = BlobField(null=True)
    user = ForeignKeyField(User, null=True)
    key = ForeignKeyField(SecurityKey, null=True)
    state = CharField(default="queued")
    attempts = IntegerField(default=0)
    last_error = TextField(default="")
    created_at = BigIntegerField()
    due_at = BigIntegerField()
    leased_until = BigIntegerField(null=True)
    sent_at = BigIntegerField(null=True)


OutboxMail.add_index(
    OutboxMail.state,
    OutboxMail.due_at,
    where=SQL("state NOT IN ('sent', 'cancelled')"),
    name="outbox_mail_unsent_due_at",
)


class Alert(Row):
    kind = CharField()
    about = CharField()
    subject = TextField()
    path = TextField()
    created_at = BigIntegerField(index=True)
    told_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("kind", "about"), True),)


class AuditEvent(Row):
    at = BigIntegerField()
    actor_kind = CharField()
    actor_id = CharField(null=True)
    actor_name = TextField()
    event = CharField()
    user = ForeignKeyField(User, null=True, index=False)
    key = ForeignKeyField(SecurityKey, null=True, index=False)
    detail = TextField()
    mac = BlobField(constraints=[SQL("CHECK (length(mac) = 32)")])


AuditEvent.add_index(
    AuditEvent.user, where=AuditEvent.user.is_null(False), name="audit_event_of_user"
)
AuditEvent.add_index(
    AuditEvent.key,
    where=AuditEvent.user.is_null() & AuditEvent.key.is_null(False),
    name="audit_event_of_key_alone",
)
AuditEvent.add_index(
    AuditEvent.event,
    where=SQL("substr(event, 1, 4) NOT IN ('user', 'grou', 'key.')"),
    name="audit_event_of_rare_kind",
)


class AuditHead(Row):
    rows = BigIntegerField(default=0)
    mac = BlobField()


class Task(Row):
    resource_id = CharField(unique=True)
    kind = CharField()
    title = TextField(default="")
    options = TextField(default="{}")
    actor_kind = CharField()
    actor_id = CharField(null=True)
    actor_name = TextField()
    state = CharField(default="queued")
    total = IntegerField(default=0)
    done = IntegerField(default=0)
    failed = IntegerField(default=0)
    cursor = IntegerField(default=0)
    created_at = BigIntegerField()
    started_at = BigIntegerField(null=True)
    worked_at = BigIntegerField()
    finished_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("state", "worked_at"), False),)


class TaskRow(Row):
    task = ForeignKeyField(Task, on_delete="CASCADE", index=False)
    subject = TextField()
    label = TextField(default="")
    outcome = CharField(null=True)
    detail = TextField(default="")

    class Meta:
        indexes = ((("task", "id"), False),)


TaskRow.add_index(
    TaskRow.task, TaskRow.id, where=TaskRow.outcome == "failed", name="task_row_failed"
)


class GroupPolicy(Row):
    group = ForeignKeyField(Group, unique=True, on_delete="CASCADE")
    kinds = CharField()
    methods = CharField()
    pin_length = IntegerField(default=0)
    pin_delivery = CharField()
    force_pin_change = BooleanField(default=False)
    role = CharField()
    second_approver = BooleanField(default=False)
    version = IntegerField(default=1)
    changed_by = TextField(default="")
    updated_at = BigIntegerField()


class Approval(Row):
    resource_id = CharField(unique=True)
    key = ForeignKeyField(SecurityKey, on_delete="CASCADE")
    user = ForeignKeyField(User)
    state = CharField(default="waiting")
    requested_by = ForeignKeyField(PanelAccount, null=True)
    requester = TextField()
    decided_by = ForeignKeyField(PanelAccount, null=True)
    decider = TextField(default="")
    created_at = BigIntegerField()
    decided_at = BigIntegerField(null=True)


Approval.add_index(Approval.id, where=(Approval.state == "waiting"), name="approval_waiting")


class ImportFile(Row):
    resource_id = CharField(unique=True)
    name = TextField()
    actor_name = TextField()
    encoding = CharField()
    separator = CharField()
    header = TextField()
    lines = IntegerField(default=0)
    content = CharField(default="people")
    columns = TextField(default="{}")
    source = ForeignKeyField(Connection, null=True, index=False)
    check_task = ForeignKeyField(Task, null=True, on_delete="SET NULL")
    run_task = ForeignKeyField(Task, null=True, on_delete="SET NULL")
    counts = TextField(default="{}")
    created_at = BigIntegerField()
    erased_at = BigIntegerField(null=True)


class ImportLine(Row):
    file = ForeignKeyField(ImportFile, on_delete="CASCADE", index=False)
    number = IntegerField()
    cells = TextField(null=True)
    key = TextField(null=True)
    matched = IntegerField(null=True)
    verb = CharField(null=True)
    label = TextField(default="")
    detail = TextField(default="{}")

    class Meta:
        indexes = (
            (("file", "number"), True),
            (("file", "verb", "number"), False),
            (("file", "key", "number"), False),
            (("file", "matched"), False),
        )


class Badge(Row):
    resource_id = CharField(unique=True)
    user = ForeignKeyField(User, on_delete="CASCADE")
    technology = CharField()
    uid_hash = CharField(unique=True)
    created_by = TextField(default="")
    created_at = BigIntegerField()


class Batch(Row):
    resource_id = CharField(unique=True)
    name = TextField()
    account = ForeignKeyField(PanelAccount)
    state = CharField(default="draft")
    open_until = BigIntegerField(default=0)
    created_at = BigIntegerField()
    updated_at = BigIntegerField(index=True)
    finished_at = BigIntegerField(null=True)


class BatchItem(Row):
    batch = ForeignKeyField(Batch, on_delete="CASCADE")
    position = IntegerField()
    user = ForeignKeyField(User)
    state = CharField(default="waiting")
    station = ForeignKeyField(Station, null=True)
    key = ForeignKeyField(SecurityKey, null=True)
    made_key = BooleanField(default=False)
    job = ForeignKeyField(Job, null=True)
    note = TextField(default="")
    updated_at = BigIntegerField()

    class Meta:
        indexes = (
            (("batch", "position"), False),
            (("batch", "state", "position"), False),
            (("batch", "user"), True),
        )


class BatchStation(Row):
    batch = ForeignKeyField(Batch, on_delete="CASCADE")
    station = ForeignKeyField(Station, unique=True, on_delete="CASCADE")


ALL = [
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


def up(migrator: SchemaMigrator, db: Database) -> None:
    with db.bind_ctx(ALL):
        db.create_tables(ALL, safe=False)


def down(migrator: SchemaMigrator, db: Database) -> None:
    with db.bind_ctx(ALL):
        db.drop_tables(ALL)

# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A company's directory, played by scim2-client over the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient

from tests.e2e.product import Product

_PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


class Directory:
    """What a directory does, in its own words; ids are SCIM ids."""

    def __init__(self, client: Client) -> None:
        self._scim = SyncSCIMClient(client)
        self._scim.discover()
        self._user = self._scim.get_resource_model("User")
        self._group = self._scim.get_resource_model("Group")

    def pushes_user(self, given_name: str, family_name: str) -> str:
        """A person joins."""
        email = f"{given_name.lower()}@hospital.example"
        made = self._scim.create(
            self._user.model_validate(
                {
                    "userName": email,
                    "externalId": f"hr-{given_name.lower()}",
                    "name": {"givenName": given_name, "familyName": family_name},
                    "displayName": f"{given_name} {family_name}",
                    "emails": [{"value": email, "type": "work", "primary": True}],
                    "active": True,
                }
            )
        )
        return str(made.id)

    def pushes_group(self, name: str, members: Sequence[str]) -> str:
        """A group and who is in it."""
        made = self._scim.create(
            self._group.model_validate(
                {"displayName": name, "members": [{"value": member} for member in members]}
            )
        )
        return str(made.id)

    def deactivates(self, user_id: str) -> None:
        """A person leaves. Entra ID sends the boolean as a capitalised string."""
        operation = {"op": "Replace", "path": "active", "value": "False"}
        self._scim.modify(
            self._user,
            user_id,
            {"schemas": [_PATCH], "Operations": [operation]},
            check_request_payload=False,
        )

    def finds(self, user_id: str) -> dict[str, object]:
        """The person as the server knows them."""
        return dict(self._scim.query(self._user, user_id).model_dump())


@contextmanager
def connected(product: Product, name: str) -> Iterator[Directory]:
    """Connect a directory with a token of its own."""
    with Client(
        base_url=f"{product.url}/scim/v2",
        headers={"Authorization": f"Bearer {product.token(name)}"},
    ) as client:
        yield Directory(client)

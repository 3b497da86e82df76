# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""scim2-server for comparison, run by the interpreter of its own environment, not by ours.

Its command line serves by wsgiref, a new thread and connection for each request; here it has our
web server, so that only the SCIM work differs. Its store is one process's memory.
"""

from __future__ import annotations

import os
from typing import Any


def make_app() -> Any:
    """Make the app that its command would serve, with one bearer token."""
    from scim2_models import ScimProvider
    from scim2_server.memory import InMemoryStorage
    from scim2_server.testserver.application import BearerTokenApplication
    from scim2_server.utils import (
        load_default_resource_types,
        load_default_schemas,
        load_default_service_provider_config,
    )

    provider = ScimProvider.from_discovery(
        load_default_schemas().values(),
        load_default_resource_types().values(),
        config=load_default_service_provider_config(),
    )
    serve = BearerTokenApplication(
        InMemoryStorage(), provider, bearer_tokens=[os.environ["PEER_TOKEN"]]
    )

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        # Without a length it reads "to the end", which this web server's input does not know.
        environ.setdefault("CONTENT_LENGTH", "0")
        return serve(environ, start_response)

    return app

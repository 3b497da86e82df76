# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The panel, the activation pages and the stations' door: HTML and jobs around the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask
    from flask_limiter import Limiter
    from flask_wtf.csrf import CSRFProtect


def register(app: Flask, csrf: CSRFProtect, limiter: Limiter) -> None:
    """Hang this door's pages on the app."""
    from . import (
        activation,
        groups,
        keys,
        me,
        menu,
        sign_in,
        station_api,
        stations,
        users,
        wizard,
    )

    menu.register(app)
    csrf.exempt(station_api.blueprint)
    for module in (
        sign_in,
        users,
        wizard,
        keys,
        groups,
        stations,
        activation,
        me,
        station_api,
    ):
        app.register_blueprint(module.blueprint)
    limiter.limit("30 per minute")(sign_in.blueprint)
    limiter.limit("60 per minute")(activation.blueprint)
    # Beside the count of wrong codes: nobody may close the open code of an admin at leisure.
    slowed = limiter.limit("10 per minute")(station_api.pair)
    app.view_functions["station_api.pair"] = slowed

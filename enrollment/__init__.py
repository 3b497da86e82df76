# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The panel, the activation pages and the stations' door: HTML and jobs around the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from flask import Flask
    from flask.typing import RouteCallable
    from flask_limiter import Limiter
    from flask_wtf.csrf import CSRFProtect


# What a stranger can ask for, by address. Live panels ask often by themselves and are not here.
_RATES = {
    "station_api.pair": "10 per minute",  # or anyone could close an admin's open code at leisure
    "activation.start": "30 per minute",
    "activation.ask": "10 per minute",
    "activation_driver.new_code": "10 per minute",
    "me_sign_in.options": "60 per minute",
    "me_sign_in.finish": "60 per minute",
    "me_sign_in.at_reader": "10 per minute",
    "me_sign_in.collect": "30 per minute",
    "me_pin.start": "10 per minute",
    "settings_mail.test": "10 per minute",
}


def register(app: Flask, csrf: CSRFProtect, limiter: Limiter) -> None:
    """Hang this door's pages on the app."""
    from . import (
        account,
        activation,
        activation_browser,
        activation_driver,
        activation_reader,
        activity,
        approvals,
        at_reader,
        badges,
        batches,
        departures,
        desk_job,
        directories,
        directory_conflicts,
        directory_guide,
        directory_page,
        directory_settings,
        directory_trial,
        driver,
        group_members,
        group_policy,
        groups,
        imports,
        key_browser,
        key_reader,
        keys,
        mails,
        me,
        me_pin,
        me_sign_in,
        me_spare,
        menu,
        overview,
        pairing,
        settings,
        settings_accounts,
        settings_branding,
        settings_mail,
        settings_models,
        sign_in,
        station_api,
        stations,
        streams,
        tasks,
        user_edit,
        user_timeline,
        users,
        users_bulk,
        whose,
        wizard,
        wizard_card,
        wizard_live,
    )

    menu.register(app)
    settings_branding.register(app)
    csrf.exempt(station_api.blueprint)
    for module in (
        sign_in,
        account,
        at_reader,
        badges,
        batches,
        desk_job,
        overview,
        departures,
        mails,
        users,
        users_bulk,
        user_edit,
        user_timeline,
        wizard,
        wizard_live,
        wizard_card,
        keys,
        key_browser,
        key_reader,
        whose,
        groups,
        group_members,
        pairing,
        group_policy,
        approvals,
        stations,
        directories,
        directory_conflicts,
        directory_guide,
        directory_page,
        directory_settings,
        directory_trial,
        streams,
        imports,
        activity,
        tasks,
        settings,
        settings_models,
        settings_mail,
        settings_branding,
        settings_accounts,
        activation,
        activation_browser,
        activation_driver,
        activation_reader,
        driver,
        me,
        me_pin,
        me_sign_in,
        me_spare,
        station_api,
    ):
        app.register_blueprint(module.blueprint)
    limiter.limit("30 per minute")(sign_in.blueprint)
    for endpoint, rate in _RATES.items():
        view = app.view_functions[endpoint]
        app.view_functions[endpoint] = cast("RouteCallable", limiter.limit(rate)(view))

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
    from . import account, activity, at_reader, imports, mails, menu, overview, sign_in, tasks
    from .activation import browser as activation_browser
    from .activation import driver as activation_driver
    from .activation import link as activation
    from .activation import reader as activation_reader
    from .desks import batches, desk_job, driver, pairing, station_api, stations
    from .directories import conflicts as directory_conflicts
    from .directories import departures, streams
    from .directories import guide as directory_guide
    from .directories import listing as directories
    from .directories import page as directory_page
    from .directories import settings as directory_settings
    from .directories import trial as directory_trial
    from .groups import listing as groups
    from .groups import members as group_members
    from .groups import policy as group_policy
    from .keys import approvals, whose
    from .keys import browser as key_browser
    from .keys import listing as keys
    from .keys import reader as key_reader
    from .me import home as me
    from .me import pin as me_pin
    from .me import sign_in as me_sign_in
    from .me import spare as me_spare
    from .settings import accounts as settings_accounts
    from .settings import branding as settings_branding
    from .settings import listing as settings
    from .settings import mail as settings_mail
    from .settings import models as settings_models
    from .users import badges
    from .users import bulk as users_bulk
    from .users import edit as user_edit
    from .users import listing as users
    from .users import timeline as user_timeline
    from .wizard import card as wizard_card
    from .wizard import live as wizard_live
    from .wizard import steps as wizard

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

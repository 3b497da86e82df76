# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Response headers of every HTML page: a nonce CSP without `unsafe-*`, and the rest of ASVS 3.4."""

from __future__ import annotations

import secrets

from flask import Flask, Response, g, request
from secure import (
    CacheControl,
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    CrossOriginResourcePolicy,
    PermissionsPolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
)


def register(app: Flask) -> None:
    """Give templates `csp_nonce()` and every answer its headers."""
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    app.after_request(_add)


def csp_nonce() -> str:
    """Return this request's nonce for script elements."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return str(g.csp_nonce)


def may_frame() -> None:
    """Let this page show a frame of our own: the preview of a mail."""
    g.csp_frames = True


def may_be_framed() -> None:
    """Let this answer be shown in a frame of ours; in it nothing runs and nothing can be sent."""
    g.csp_framed = True


def _add(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if response.mimetype == "text/html":
        for name, value in _page_headers(csp_nonce()).headers.items():
            response.headers[name] = value
    elif request.endpoint != "static":
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def _page_headers(nonce: str) -> Secure:
    policy = (
        ContentSecurityPolicy()
        .default_src("'none'")
        .script_src(f"'nonce-{nonce}'")
        .style_src("'self'")
        .img_src("'self'")
        .connect_src("'self'")
        .form_action("'self'")
        .frame_ancestors("'none'")
        .base_uri("'none'")
        .object_src("'none'")
    )
    if g.get("csp_frames"):
        policy = policy.frame_src("'self'")
    if g.get("csp_framed"):
        policy = (
            ContentSecurityPolicy()
            .default_src("'none'")
            .style_src(f"'nonce-{nonce}'")
            .frame_ancestors("'self'")
            .base_uri("'none'")
            .form_action("'none'")
            .sandbox()
        )
    permissions = PermissionsPolicy()
    for feature in ("camera", "geolocation", "microphone", "usb"):
        permissions.add_directive(feature)
    permissions.add_directive("publickey-credentials-create", "self")
    permissions.add_directive("publickey-credentials-get", "self")
    return Secure(
        csp=policy,
        permissions=permissions,
        cache=CacheControl().no_store(),
        coop=CrossOriginOpenerPolicy().same_origin(),
        corp=CrossOriginResourcePolicy().same_origin(),
        hsts=StrictTransportSecurity().max_age(31_536_000).include_subdomains(),
        referrer=ReferrerPolicy().no_referrer(),
        xcto=XContentTypeOptions().nosniff(),
    )

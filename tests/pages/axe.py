# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""axe-core on the page that a browser shows: WCAG 2.2 A and AA, and best practice beyond them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page

_SOURCE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
_RUN = """async () => {
  const frame = () => new Promise(done => requestAnimationFrame(done));
  await frame();  // colours that change by a transition have changed when they are looked at
  for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish();
  await frame();
  const found = await axe.run(document, {resultTypes: ["violations"]});
  return found.violations.map(one => ({id: one.id, help: one.help, nodes: one.nodes.map(
    node => ({target: node.target.join(" "), summary: node.failureSummary}))}));
}"""


def violations(page: Page) -> list[str]:
    """What axe-core has against the page, a line each; by the browser's own door, past the CSP."""
    page.evaluate(_SOURCE)
    found: list[dict[str, Any]] = page.evaluate(_RUN)
    return [
        f"{one['id']}: {one['help']}: {node['target']}: {' '.join(node['summary'].split())}"
        for one in found
        for node in one["nodes"]
    ]

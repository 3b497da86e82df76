// SPDX-FileCopyrightText: 2026 The Keywright authors
// SPDX-License-Identifier: Apache-2.0

// While a question is open, the page behind it is out of reach for keyboard and screen reader. A
// popover, which needs no script to open and close, does not do that by itself.

const resting = new Set();
let asked = null;

const watcher = new MutationObserver(() => {
  if (!asked.isConnected) wake(); // a live part of the page took it along, and no event says so
});

document.addEventListener("toggle", (event) => {
  if (event.newState !== "open" || !isQuestion(event.target)) return;
  wake();
  asked = event.target;
  asked.ariaModal = "true";
  for (let part = asked; part !== document.body; part = part.parentElement)
    for (const other of part.parentElement.children)
      if (other !== part && !other.inert) {
        other.inert = true;
        resting.add(other);
      }
  watcher.observe(document.body, { childList: true, subtree: true });
}, true);

// Before it closes, since the focus goes back to its button then.
document.addEventListener("beforetoggle", (event) => {
  if (event.newState === "closed" && event.target === asked) wake();
}, true);

function isQuestion(element) {
  return element.matches("[popover][role=dialog]:popover-open");
}

function wake() {
  watcher.disconnect();
  for (const part of resting) part.inert = false;
  resting.clear();
  asked = null;
}

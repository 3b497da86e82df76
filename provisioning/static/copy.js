// SPDX-FileCopyrightText: 2026 The Keywright authors
// SPDX-License-Identifier: Apache-2.0

// Copy buttons: <button data-copy="id of the text" data-copied="…" data-failed="…">.

document.documentElement.classList.add("js"); // copy buttons show only where they work

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  const label = button.querySelector("span");
  const before = (button.dataset.label ??= label.textContent);
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    label.textContent = button.dataset.copied;
  } catch {
    getSelection().selectAllChildren(source);
    label.textContent = button.dataset.failed;
  }
  label.setAttribute("role", "status");
  setTimeout(() => (label.textContent = before), 2500);
});

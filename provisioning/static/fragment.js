// SPDX-FileCopyrightText: 2026 The Keywright authors
// SPDX-License-Identifier: Apache-2.0

// A mailed link carries its token behind the #, which no server log, proxy or referrer sees.
// Nothing happens until the person presses Start: a mail scanner that opens the page changes
// nothing. Without this script the page's field takes the code by hand.

const form = document.querySelector("form[data-fragment]");
const token = decodeURIComponent(location.hash.slice(1));

if (form && token) {
  const field = form.elements[form.dataset.fragment];
  field.value = token;
  for (const part of document.querySelectorAll("[data-by-hand]")) part.hidden = true;
  for (const part of document.querySelectorAll("[data-by-link]")) part.hidden = false;
  form.addEventListener("submit", () => {
    history.replaceState(null, "", location.pathname + location.search);
  });
}

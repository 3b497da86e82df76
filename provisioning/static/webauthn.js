// SPDX-FileCopyrightText: 2026 The Keywright authors
// SPDX-License-Identifier: Apache-2.0

// Security keys in the browser. A button with data-webauthn ("create" or "get") fetches options
// from data-options-url by POST, asks the browser, and posts the answer to data-finish-url. Then
// it follows {"location": …} or shows {"error": sentence} in the live region data-status names.
// Whatever a person may read comes with the button (data-say-…), so that it can be translated.

const sentences = {
  NotAllowedError: "sayCancelled",
  AbortError: "sayCancelled",
  InvalidStateError: "sayKnown",
  NotSupportedError: "sayUnable",
  ConstraintError: "sayUnable",
  SecurityError: "sayAddress",
  TypeError: "sayOffline", // what fetch throws when nobody answers
};

function show(button, words, tone) {
  const region = document.getElementById(button.dataset.status);
  const line = document.createElement("p");
  line.className = `notice plain ${tone}`;
  line.textContent = words;
  region.replaceChildren(line);
}

async function post(button, url, body) {
  const answer = await fetch(url, {
    method: "POST",
    credentials: "same-origin",
    headers: { "Content-Type": "application/json", "X-CSRFToken": button.dataset.csrf },
    body: JSON.stringify(body),
  });
  const type = answer.headers.get("Content-Type") ?? "";
  const json = type.includes("json") ? await answer.json() : {};
  if (!answer.ok || json.error) throw Object.assign(new Error(json.error ?? ""), { told: json.error });
  return json;
}

async function ceremony(button) {
  const { webauthn, optionsUrl, finishUrl, fields } = button.dataset;
  const form = fields && document.getElementById(fields);
  if (form && !form.reportValidity()) return;
  const extra = form ? Object.fromEntries(new FormData(form)) : {};
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) {
    throw new DOMException("", window.isSecureContext ? "NotSupportedError" : "SecurityError");
  }
  show(button, button.dataset.sayWorking, "info");
  const options = await post(button, optionsUrl, extra);
  const credential =
    webauthn === "create"
      ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })
      : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });
  show(button, button.dataset.saySaving, "info");
  const { location: next } = await post(button, finishUrl, { ...extra, credential: credential.toJSON() });
  window.location.assign(next);
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-webauthn]");
  if (!button || button.disabled) return;
  button.disabled = true;
  try {
    await ceremony(button);
  } catch (fault) {
    show(button, fault.told ?? button.dataset[sentences[fault.name]] ?? button.dataset.sayOffline, "bad");
  } finally {
    button.disabled = false;
  }
});

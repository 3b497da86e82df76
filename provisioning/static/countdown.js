// SPDX-FileCopyrightText: 2026 The Keywright authors
// SPDX-License-Identifier: Apache-2.0

// Moves every <div data-countdown="seconds left"> on. The server's seconds count, not this
// device's clock; a part that htmx swaps in brings its own, newer seconds.

const ends = new WeakMap();

setInterval(() => {
  for (const box of document.querySelectorAll("[data-countdown]")) {
    if (!ends.has(box)) ends.set(box, performance.now() + 1000 * Number(box.dataset.countdown));
    const left = Math.max(0, Math.ceil((ends.get(box) - performance.now()) / 1000));
    const clock = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    const words = left >= 100 ? box.dataset.long.replace("{n}", clock)
      : left ? box.dataset.text.replace("{n}", left) : box.dataset.over;
    const text = box.querySelector("span");
    if (text.textContent !== words) text.textContent = words;
    box.querySelector("progress").value = left;
  }
}, 250);

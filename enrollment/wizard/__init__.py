# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The New User wizard: its steps, the draft that keeps what was typed, and Confirm."""

# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The groups of commands that `cli` joins, and what every command shares (`shell`)."""

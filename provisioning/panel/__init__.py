# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Who gets in: panel accounts, their keys and sessions, and signing in with a key."""

# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A person's own page: keys, PIN, a spare key, and the sign-in to it."""

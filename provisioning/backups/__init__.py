# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""A copy of an SQLite database in one file, made while it is used, and put back."""

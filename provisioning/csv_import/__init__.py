# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Importing people and groups from a CSV file: read, check line by line, do what was shown."""

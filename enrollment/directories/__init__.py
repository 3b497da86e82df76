# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Directories: the list, each one's page, its test, its guide, its conflicts and streams."""

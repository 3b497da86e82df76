# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Desks with a reader: stations, their jobs and tickets, batches, and what happened at a card."""

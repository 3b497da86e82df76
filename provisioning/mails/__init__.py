# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Mails: what they say, the outbox that they wait in, whom they go to, what officers hear of."""

# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The pages of groups: the list, members, and what a group asks of keys (its policy)."""

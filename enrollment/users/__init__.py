# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The pages of users: the list, one person's page, changes, and many people at once."""

# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The pages of security keys: the list, and what is done to a key with and without a reader."""

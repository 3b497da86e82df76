# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What lies sealed in the database: where it is, which keys it needs, how they are changed."""

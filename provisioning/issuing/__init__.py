# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""How a person comes to a key: policies, approvals, PINs, links, and the key assigned at a desk."""

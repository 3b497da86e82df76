# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What pages need of the core: lists by key, figures, error pages, headers, pictures."""

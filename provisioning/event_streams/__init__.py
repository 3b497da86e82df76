# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Changes told to whoever asked to hear of them: noted, kept in streams, pushed to receivers."""

# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The processes of `keywright serve`: web, worker, who starts them, what wakes them, their logs."""

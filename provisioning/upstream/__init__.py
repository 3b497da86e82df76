# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What upstream directories may do here: connections, tokens, conflicts, the guard, traces."""

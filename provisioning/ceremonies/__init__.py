# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""WebAuthn: challenges out, answers checked, and which models of key are trusted."""

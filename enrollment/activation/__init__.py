# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The mailed link, from the inert page to a working key: in the browser or at a reader."""

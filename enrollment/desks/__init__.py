# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Stations at desks: their door and pages, the live panel of a job, batches, the driver."""

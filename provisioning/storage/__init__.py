# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The database: SQLite or PostgreSQL, statements kept, migrations, what is written later."""

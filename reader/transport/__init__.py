# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Card readers of this computer, by PC/SC: the path that a reader on USB takes."""

from __future__ import annotations

from reader.transport.readers import PcscReader
from reader.transport.session import PcscSession

__all__ = ["PcscReader", "PcscSession"]

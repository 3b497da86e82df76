# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The commands of keywright-reader, one noun a module; `reader.__main__` names them."""

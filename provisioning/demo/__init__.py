# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The whole product on one machine, for somebody who wants to see it: `keywright demo`, `tour`.

Panel, SCIM, worker, mail and station are the real ones, as separate processes where they are
separate in production; only the mailbox and the card are stand-ins. This package alone may import
`reader`, because it plays the desk as well.
"""

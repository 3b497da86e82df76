# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""The whole product, installed and running. What is missing fails these tests; nothing skips."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e import browser as chromium
from tests.e2e.browser import Person
from tests.e2e.desk import Desk
from tests.e2e.installed import Installed, install
from tests.e2e.product import Product
from tests.fakes.pcscd import PcscdUnavailable, VirtualReaders
from tests.fakes.smtp import Sink


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel, built from this checkout and installed elsewhere."""
    return install(tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="session")
def virtual_readers() -> Iterator[VirtualReaders]:
    """A real pcscd with two empty slots, for child processes only."""
    try:
        with VirtualReaders() as readers:
            yield readers
    except PcscdUnavailable as missing:
        pytest.fail(str(missing), pytrace=False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium."""
    if not chromium.CHROMIUM.exists():
        pytest.fail(chromium.MISSING, pytrace=False)
    with sync_playwright() as playwright:
        started = chromium.launch(playwright)
        yield started
        started.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder on disk, with a short name, gone after the test."""
    made = Path(tempfile.mkdtemp(prefix="keywright-"))
    yield made
    shutil.rmtree(made)


@pytest.fixture
def mail() -> Iterator[Sink]:
    """The mail server."""
    with Sink() as sink:
        yield sink


@pytest.fixture
def start(installed: Installed, folder: Path, mail: Sink) -> Iterator[Callable[..., Product]]:
    """`start(PIN_DELIVERY="user_sets")` starts the product with these settings."""
    with ExitStack() as running:

        def start(**settings: str) -> Product:
            return running.enter_context(Product(installed, folder / "data", mail, settings))

        yield start


@pytest.fixture
def product(start: Callable[..., Product]) -> Product:
    """The product with its default settings."""
    return start()


@pytest.fixture
def desk(
    product: Product, installed: Installed, virtual_readers: VirtualReaders, folder: Path
) -> Iterator[Desk]:
    """A paired desk, called Desk NFC, that waits for work."""
    with paired(product, installed, virtual_readers, folder) as desk:
        yield desk


@pytest.fixture
def person(browser: Browser) -> Iterator[Callable[[], Person]]:
    """`person()` is somebody with a browser of their own."""
    people: list[Person] = []

    def arrive() -> Person:
        people.append(Person(browser))
        return people[-1]

    yield arrive
    for one in people:
        one.close()


@contextmanager
def paired(
    product: Product, installed: Installed, readers: VirtualReaders, folder: Path
) -> Iterator[Desk]:
    made = Desk(installed, readers, folder / "desk")
    made.pair(product.url, product.pairing_code(), "Desk NFC")
    with made:
        yield made

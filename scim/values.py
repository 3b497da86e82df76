# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""What a client sends, checked against the attribute tables and brought to canonical names.

The strict core: it takes JSON types as RFC 7643 §2.3 has them. What dialects allow beside that
happens in `quirks`, value by value, before the check. null, [] and {} are "no value" (§2.5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from provisioning.errors import InvalidValue

from .errors import Immutable, InvalidSyntax
from .expressions import instant
from .matching import key
from .quirks import Dialect, Quirk
from .schema import Attribute, AttributePath, ResourceType, Schema, Type

Json = dict[str, object]

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}", re.ASCII)


def clean_document(type_: ResourceType, body: Mapping[str, object], dialect: Dialect) -> Json:
    """Return the document that a POST or PUT body asks for.

    Attributes that the client may not write are left out (RFC 7644 §3.3, §3.5.1), unknown ones
    are left out and counted (R9). Raises InvalidValue and InvalidSyntax.
    """
    document: Json = {}
    moved = dialect.body(type_, body)
    check_schemas(type_, moved, dialect)
    for name, value in moved.items():
        plain = type_.writable.get(name)
        if plain is not None:  # spelled as in the schema: most of what comes
            cleaned = clean(plain, value, dialect)
            if cleaned is not None:
                document[name] = cleaned
            continue
        path = type_.resolve(name) if ":" not in name else None
        if path is not None and path.sub is None:
            attribute = path.attribute
            cleaned = clean(attribute, value, dialect) if attribute.writable else None
            name = attribute.name
        elif (extension := type_.extension(dialect.urn(name))) is not None:
            cleaned = _clean_extension(extension, value, dialect)
            name = extension.urn
        else:
            dialect.note_unknown(name)
            continue
        if cleaned is not None:
            document[name] = cleaned
    for attribute in type_.schema.needed:
        if attribute.name not in document:
            raise InvalidValue(f"{attribute.name} is required.", attribute.name)
    for urn in type_.required:
        if urn not in document:
            raise InvalidValue(f"The extension {urn} is required.", urn)
    return document


def tidy(document: Json, unique: str) -> Json:
    """Return a document as it is stored: the unique name without outer blanks (R7).

    An identifier that is empty identifies nothing, so it is none.
    """
    name = document.get(unique)
    tidied = {**document, unique: name.strip()} if isinstance(name, str) else document
    if tidied.get("externalId") == "":
        return {name: value for name, value in tidied.items() if name != "externalId"}
    return tidied


def keep_immutable(type_: ResourceType, old: Json, new: Json) -> None:
    """Put immutable values that a PUT leaves out back into the new document.

    Raises Immutable for one that would be another (RFC 7644 §3.5.1).
    """
    for path in type_.immutable:
        kept, given = _at(old, path), _at(new, path)
        if kept is None:
            continue
        if given is None:
            _put(new, [*_names(path)], kept)
        elif given != kept:
            raise Immutable(f"{path} is immutable.")


def check_patched(type_: ResourceType, old: Json, new: Json) -> None:
    """Check what a PATCH has made of a document beside what its operations name (§3.5.2).

    Raises Immutable when an immutable value has changed or gone, or an extension that every
    resource must carry, and InvalidValue when an extension has come to lack what it must have. A
    resource from before an extension was asked for may lack it.
    """
    for path in type_.immutable:
        kept = _at(old, path)
        if kept is not None and _at(new, path) != kept:
            raise Immutable(f"{path} is immutable.")
    for schema in type_.custom:
        before, after = old.get(schema.urn), new.get(schema.urn)
        if after is None and before is not None and schema.urn in type_.required:
            raise Immutable(f"The extension {schema.urn} is required.")
        if isinstance(after, dict) and after != before:
            _check_required(schema, after)


def _names(path: AttributePath) -> Iterator[str]:
    if path.extension is not None:
        yield path.extension
    yield path.attribute.name
    if path.sub is not None:
        yield path.sub.name


def _at(document: Json, path: AttributePath) -> object:
    found: object = document
    for name in _names(path):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _put(document: Json, names: list[str], value: object) -> None:
    *holders, last = names
    for name in holders:
        document = document.setdefault(name, {})  # type: ignore[assignment]
    document[last] = value


def clean(attribute: Attribute, value: object, dialect: Dialect) -> object:
    """Return an attribute's value, checked and with canonical names; None for no value."""
    if attribute.takes_text and value and type(value) is str:
        return value  # most of what comes: no dialect changes it, and no check refuses it
    value = dialect.value(attribute, value)
    if value is None or value == [] or value == {}:
        return None
    if not attribute.multi_valued:
        return _clean_one(attribute, value, dialect)
    if not isinstance(value, list):
        raise InvalidValue(f"{attribute.name} is a list.", attribute.name)
    elements = [clean_element(attribute, element, dialect) for element in value]
    return merge_twins(attribute, [e for e in elements if e is not None], dialect) or None


def clean_element(attribute: Attribute, value: object, dialect: Dialect) -> object:
    """Return one element of a multi-valued attribute, checked; None for no value."""
    value = dialect.value(attribute, value, element=True)
    return None if value is None or value == {} else _clean_one(attribute, value, dialect)


def merge_twins(attribute: Attribute, elements: list[object], dialect: Dialect) -> list[object]:
    """Join elements with the same (type, value) (S11) and let one at most be primary (S10)."""
    if len(elements) == 1:
        return elements
    found: dict[object, object] = {}
    for element in elements:
        name = twin_key(attribute, element)
        twin = found.get(name)
        if isinstance(twin, dict) and isinstance(element, dict):
            marked = {"primary": True} if twin.get("primary") is True else {}
            found[name] = {**twin, **element, **marked}
        else:
            found[name] = element
    merged = list(found.values())
    primaries = [e for e in merged if isinstance(e, dict) and e.get("primary") is True]
    if len(primaries) > 1:
        if not dialect.allows(Quirk.MANY_PRIMARIES):
            raise InvalidValue(f"{attribute.name} has more than one primary.", attribute.name)
        for element in primaries[1:]:
            element["primary"] = False
    return merged


def twin_key(attribute: Attribute, element: object) -> object:
    """Return what two elements share that are the same: type and value, else all they hold."""
    if not isinstance(element, dict):
        return element
    value = element.get("value")
    of_value, of_type = attribute.sub("value"), attribute.sub("type")
    if value is None or of_value is None:
        return tuple(sorted((name, repr(part)) for name, part in element.items()))
    type_ = element.get("type")
    return _told(of_value, value), _told(of_type, type_) if of_type is not None else None


def _told(attribute: Attribute, part: object) -> object:
    """Return what a part is told apart by, whatever type an installation gives it."""
    if isinstance(part, str):
        return key(attribute, part)
    return repr(part) if isinstance(part, list) else part


def check_schemas(type_: ResourceType, body: Json, dialect: Dialect) -> None:
    """Take the list of schemas out of a body. Raises InvalidSyntax and InvalidValue."""
    name = next((name for name in body if name.lower() == "schemas"), None)
    urns = body.pop(name) if name is not None else None
    if urns is None or urns == []:
        if not dialect.allows(Quirk.MISSING_SCHEMAS):
            raise InvalidSyntax("schemas is missing.")
        return
    if not isinstance(urns, list) or not all(isinstance(urn, str) for urn in urns):
        raise InvalidSyntax("schemas is a list of URNs.")
    if type_.schema.urn in urns and type_.urns.issuperset(urns):
        return
    spelled = [dialect.urn(urn).lower() for urn in urns]
    if any(not type_.knows(urn) for urn in spelled) and not dialect.allows(Quirk.UNKNOWN_SCHEMAS):
        raise InvalidValue("schemas names a schema that this resource type has not.", "schemas")
    if type_.schema.urn.lower() not in spelled and not dialect.allows(Quirk.MISSING_SCHEMAS):
        raise InvalidValue(f"schemas does not name {type_.schema.urn}.", "schemas")


def _clean_extension(schema: Schema, value: object, dialect: Dialect) -> object:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidValue(f"{schema.urn} is an object.", schema.urn)
    cleaned: Json = {}
    for name, part in value.items():
        attribute = schema.find(name)
        if attribute is None:
            dialect.note_unknown(f"{schema.urn}:{name}")
        elif attribute.writable:
            found = clean(attribute, part, dialect)
            if found is not None:
                cleaned[attribute.name] = found
    if cleaned:
        _check_required(schema, cleaned)
    return cleaned or None


def _check_required(schema: Schema, cleaned: Json) -> None:
    for attribute in schema.needed:
        if attribute.name not in cleaned:
            raise InvalidValue(f"{schema.urn}:{attribute.name} is required.", attribute.name)


def _clean_one(attribute: Attribute, value: object, dialect: Dialect) -> object:
    if not attribute.is_complex:
        return _checked(attribute, value)
    parts = clean_parts(attribute, value, dialect)
    cleaned = {name: part for name, part in parts.items() if part is not None}
    for sub in attribute.required_parts if cleaned else ():
        if sub.name not in cleaned:
            raise InvalidValue(f"{attribute.name}.{sub.name} is required.", attribute.name)
    return cleaned or None


def clean_parts(attribute: Attribute, value: object, dialect: Dialect) -> Json:
    """Return the parts of a complex value, checked; None for one that is given as no value."""
    if not isinstance(value, dict):
        raise InvalidValue(f"{attribute.name} is an object.", attribute.name)
    parts: Json = {}
    for name, part in value.items():
        sub = attribute.sub(name)
        if sub is None:
            dialect.note_unknown(f"{attribute.name}.{name}")
        elif not sub.read_only:
            is_plain = sub.takes_text and part and type(part) is str  # as in `clean`
            parts[sub.name] = part if is_plain else clean(sub, part, dialect)
    return parts


def _checked(attribute: Attribute, value: object) -> object:
    """Return a simple value that has the type its attribute asks for (R8)."""
    match attribute.type, value:
        case Type.BOOLEAN, bool():
            return value
        case Type.INTEGER, int() if not isinstance(value, bool):
            return value
        case Type.DECIMAL, (int() | float()) if not isinstance(value, bool):
            return value
        case ((Type.STRING | Type.REFERENCE), str()):
            return value
        case Type.BINARY, str() if _BASE64.fullmatch(value):
            return value
        case Type.DATE_TIME, str() if _is_instant(value):
            return value
    raise InvalidValue(f"{attribute.name} is {attribute.type}.", attribute.name)


def _is_instant(text: str) -> bool:
    try:
        instant(text)
    except (ValueError, OverflowError):
        return False
    return True

# SPDX-FileCopyrightText: 2026 The Keywright authors
# SPDX-License-Identifier: Apache-2.0

"""Filter text to expression: our tokens, the library's grammar, our repairs (RFC 7644 §3.4.2.2).

The only importer of `scim2_filter_parser`, and of its parser alone: it gives `and` and `or` the
same precedence, which is repaired here, and its SQL layer drops what it does not know.
"""

from __future__ import annotations

from typing import Any

from scim2_filter_parser import ast
from scim2_filter_parser.parser import SCIMParser, SCIMParserError

from .errors import InvalidFilter, SecretFilter
from .expressions import And, Comparison, Element, Expression, Never, Not, Operator, Or, Present
from .expressions import typed as typed_value
from .lexer import Token, tokenise
from .resource_types import PASSWORD
from .schema import AttributePath, ResourceType, Type


def parse(text: str, type_: ResourceType, *, lenient: bool = False) -> Expression:
    """Parse a filter for a resource type. Raises InvalidFilter.

    `lenient` is for queries over several types: an attribute that this one has not is false
    there (§3.4.2.1) instead of an error.
    """
    return _Reader(type_, lenient).read(tokenise(text))


def parse_element(text: str, path: AttributePath) -> Expression:
    """Parse what stands between the brackets after a multi-valued attribute (valFilter)."""
    return _ElementReader(path).read(tokenise(text))


_LOOK_UP = ["ATTRNAME", "EQ", "COMP_VALUE"]


def _tree(tokens: list[Token]) -> Any:
    try:
        tree = SCIMParser().parse(iter(tokens))
    except SCIMParserError as error:
        raise InvalidFilter("The filter does not follow the grammar of RFC 7644.") from error
    if tree is None:
        raise InvalidFilter("The filter does not follow the grammar of RFC 7644.")
    return tree


def _is_chain(node: Any) -> bool:
    """A logical operand without parentheses; parentheses add one more Filter around it."""
    return isinstance(node.expr, ast.LogExpr) and not node.negated and node.namespace is None


def _chain(node: Any) -> tuple[list[Any], list[str]]:
    """Flatten `a or b and c`, which the library reads from left to right, into its links."""
    operands: list[Any] = []
    operators: list[str] = []
    for side in (node.expr1, node.expr2):
        if side is node.expr2:
            operators.append(node.op.lower())
        if _is_chain(side):
            inner, between = _chain(side.expr)
            operands += inner
            operators += between
        else:
            operands.append(side)
    return operands, operators


class _Reader:
    """Reads the library's tree with the names of one resource type."""

    def __init__(self, type_: ResourceType, lenient: bool) -> None:
        self._type = type_
        self._lenient = lenient

    def read(self, tokens: list[Token]) -> Expression:
        """Read a whole filter."""
        if [token.type for token in tokens] == _LOOK_UP:
            # What directories ask before each write, and how they name the member that goes: no
            # tree is needed to read it (0.1 ms).
            name, _, literal = tokens
            return self.look_up(str(name.value), literal.value)
        return self.expression(_tree(tokens))

    def expression(self, node: Any) -> Expression:
        match node:
            case ast.Filter():
                if node.namespace is not None:
                    return self._element(node)
                inner = self.expression(node.expr)
                return Not(inner) if node.negated else inner
            case ast.LogExpr():
                return self._logical(node)
            case ast.AttrExpr():
                return self._term(node)
        raise InvalidFilter("The filter does not follow the grammar of RFC 7644.")

    def look_up(self, name: str, value: object) -> Expression:
        """Read `name eq value`."""
        path = self._named(name)
        return Never(name) if path is None else _comparison(path, Operator.EQ, value)

    def _logical(self, node: Any) -> Expression:
        operands, operators = _chain(node)
        groups: list[list[Expression]] = [[self.expression(operands[0])]]
        for operator, operand in zip(operators, operands[1:], strict=True):
            if operator == "or":
                groups.append([])
            groups[-1].append(self.expression(operand))
        terms = [group[0] if len(group) == 1 else And(tuple(group)) for group in groups]
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _term(self, node: Any) -> Expression:
        attr = node.attr_path
        if isinstance(attr.attr_name, ast.Filter):
            return self._element_term(node, attr.attr_name)
        path = self._resolve(attr)
        if path is None:
            return Never(_name(attr))
        return _relation(path, node)

    def _element_term(self, node: Any, selection: Any) -> Expression:
        """`emails[type eq "work"].value eq "x"`: outside the grammar, and Entra's way."""
        namespace = selection.namespace
        if namespace is None or namespace.sub_attr is None:
            raise InvalidFilter("A value path is a term of its own.")
        sub = namespace.sub_attr.value
        whole = ast.AttrPath(namespace.attr_name, None, namespace.uri)
        path = self._resolve(whole)
        if path is None:
            return Never(_name(whole))
        inner = _ElementReader(path)
        last = inner.relation(sub, node)
        return Element(path, And((inner.expression(selection.expr), last)))

    def _element(self, node: Any) -> Expression:
        namespace = node.namespace
        if namespace.sub_attr is not None or node.negated:
            raise InvalidFilter("A value path selects from an attribute, not from its parts.")
        path = self._resolve(namespace)
        if path is None:
            return Never(_name(namespace))
        return Element(path, _ElementReader(path).expression(node.expr))

    def _resolve(self, attr: Any) -> AttributePath | None:
        return self._named(_name(attr))

    def _named(self, name: str) -> AttributePath | None:
        path = self._type.resolve(name)
        if path is None and not self._lenient:
            raise InvalidFilter(f"{self._type.name} has no attribute {name}.")
        if path is not None and path.attribute is PASSWORD:
            raise SecretFilter("The service has no passwords.")
        return path


class _ElementReader(_Reader):
    """Reads what stands between brackets: names are sub-attributes of one attribute."""

    def __init__(self, path: AttributePath) -> None:
        if not path.attribute.multi_valued or path.sub:
            raise InvalidFilter(f"{path} is not a list of values.")
        self._path = path

    def look_up(self, name: str, value: object) -> Expression:
        """Read `part eq value`."""
        return _comparison(self._part(name), Operator.EQ, value)

    def relation(self, sub: str, node: Any) -> Expression:
        """Read a comparison whose left side is the given sub-attribute."""
        return _relation(self._part(sub), node)

    def _part(self, name: str) -> AttributePath:
        path = self._path.to(name)
        if path is None and name.lower() == "value" and not self._path.attribute.is_complex:
            path = self._path  # a list of plain values (RFC 7643 §2.4): the value itself
        if path is None:
            raise InvalidFilter(f"{self._path} has no part {name}.")
        return path

    def _term(self, node: Any) -> Expression:
        attr = node.attr_path
        if isinstance(attr.attr_name, ast.Filter) or attr.uri or attr.sub_attr is not None:
            raise InvalidFilter("Between brackets stand names of parts.")
        return self.relation(attr.attr_name, node)

    def _element(self, node: Any) -> Expression:
        raise InvalidFilter("A value path cannot stand in another one.")


def _name(attr: Any) -> str:
    sub = f".{attr.sub_attr.value}" if attr.sub_attr is not None else ""
    prefix = f"{attr.uri}:" if attr.uri else ""
    return f"{prefix}{attr.attr_name}{sub}"


def _relation(path: AttributePath, node: Any) -> Expression:
    word = node.value.lower()
    if word == "pr":
        return Present(path)
    op = Operator.EQ if word == "ne" else Operator(word)
    value = node.comp_value.value
    if value is None:  # RFC 7643 §2.5: null is "no value"
        if op is not Operator.EQ:
            raise InvalidFilter(f"{word} null has no meaning.")
        return Present(path) if word == "ne" else Not(Present(path))
    comparison = _comparison(path, op, value)
    return Not(comparison) if word == "ne" else comparison


def _comparison(path: AttributePath, op: Operator, value: object) -> Comparison:
    if path.sub is None and path.attribute.type is Type.COMPLEX:
        path = path.to("value") or path  # `members eq "x"`: the value is meant
    return Comparison(path, op, typed_value(path, op, value), value)

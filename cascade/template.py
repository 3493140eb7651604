"""Renders a structure file that is a Jinja template: loops over structural integers, such as the classes of a chain.

Folders may come from strangers: a template may only count, compare and repeat; it sees nothing of Python, and what
it may repeat and write is bounded. Names that it reads from outside are its options; each has a default of its own:

    {% set n_classes = n_classes | default(8) %}
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cascade.errors import ModuleError, unknown_name

if TYPE_CHECKING:
    from jinja2 import nodes

MOST = 200
"""The largest value of an option."""

LARGEST = 1_000_000
"""The largest integer that a template may compute."""

MOST_ROUNDS = 20_000
"""Rounds of all loops of a template together."""

MOST_CHARACTERS = 2_000_000
"""Size of the text that a template may write."""

_TEXT = ("Template", "Output", "TemplateData", "Name", "Const", "List", "Tuple", "Getitem", "Getattr", "Filter", "Call")
_FLOW = ("For", "If", "CondExpr", "Assign", "Compare", "Operand", "And", "Or", "Not")
_ARITHMETIC = ("Add", "Sub", "Mul", "FloorDiv", "Mod", "Neg", "Pos")
_FUNCTIONS = ("range", "require", "min", "max")


def is_template(text: str) -> bool:
    """Tell whether a structure file is a template."""
    return any(mark in text for mark in ("{{", "{%", "{#"))


def template_options(text: str, name: str) -> dict[str, int]:
    """Return the options of a template with their defaults.

    Raises
    ------
    ModuleError
        If the template cannot be read, does what a template may not do, or reads a name that has no default.
    """
    if not is_template(text):
        return {}
    tree = _parse(text, name)
    options = _defaults(tree, name)
    from jinja2 import meta

    lost = sorted(meta.find_undeclared_variables(tree) - set(options) - set(_FUNCTIONS))
    if lost:
        raise ModuleError(
            f"{name}: {lost[0]!r} has no value; give the option a default, for example in the first line: "
            f"{{% set {lost[0]} = {lost[0]} | default(1) %}}"
        )
    return options


def render(text: str, options: Mapping[str, object], name: str) -> str:
    """Return the structure that a template gives with these options; a text without marks stays as it is.

    Parameters
    ----------
    text : str
        The structure file.
    options : mapping of str to int
        Options that differ from the defaults of the template.
    name : str
        File name, for messages.

    Raises
    ------
    UnknownNameError
        If the template has no such option.
    ModuleError
        If an option is no integer between 0 and `MOST`, or the template is wrong or writes too much.
    """
    known = template_options(text, name)
    for option, value in options.items():
        if option not in known:
            raise unknown_name("option", option, known, name)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ModuleError(f"{name}: option {option!r} is {value!r}; give an integer")
        if not 0 <= value <= MOST:
            raise ModuleError(f"{name}: option {option!r} is {value}; give an integer between 0 and {MOST}")
    return _write(text, {**known, **options}, name) if is_template(text) else text


def _write(text: str, options: Mapping[str, object], name: str) -> str:
    import jinja2

    tree = _parse(text, name)
    _bound_loops(tree)
    environment = _environment()
    environment.globals.update(_functions(name))
    parts: list[str] = []
    size = 0
    try:
        for part in environment.from_string(tree).generate(options):
            size += len(part)
            if size > MOST_CHARACTERS:
                raise ModuleError(f"{name}: the template writes more than {MOST_CHARACTERS} characters")
            parts.append(part)
    except (
        jinja2.TemplateError,
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        NameError,
        RecursionError,
    ) as error:
        raise ModuleError(f"{name}: the template cannot be rendered: {error}") from error
    return "".join(parts)


def _environment() -> Any:
    import jinja2
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Integers(ImmutableSandboxedEnvironment):
        """Arithmetic of integers only: what grows text or lists without bound stays out."""

        intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if not (isinstance(left, int) and isinstance(right, int)):
                raise TypeError(f"{left!r} {operator} {right!r}: only integers can be combined")
            result = super().call_binop(context, operator, left, right)
            if abs(result) > LARGEST:
                raise ValueError(f"{left} {operator} {right} is larger than {LARGEST}")
            return result

    environment = Integers(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_printable,
    )
    environment.globals.clear()
    return environment


def _printable(value: object) -> object:
    from jinja2 import Undefined

    if not isinstance(value, int | str | Undefined):
        raise TypeError(f"{value!r} is neither an integer nor text")
    return value


def _functions(name: str) -> dict[str, Callable[..., object]]:
    """Return what a template may call; all loops together share one budget."""
    left = MOST_ROUNDS

    def bounded(items: Iterable[object]) -> Iterator[object]:
        nonlocal left
        for item in items:
            left -= 1
            if left < 0:
                raise ModuleError(f"{name}: the loops of the template take more than {MOST_ROUNDS} rounds")
            yield item

    def require(condition: object, message: str) -> str:
        if not condition:
            raise ModuleError(f"{name}: {message}")
        return ""

    return {"range": _short_range, "require": require, "min": _least, "max": _most, "bounded": bounded}


def _short_range(*limits: int) -> range:
    if len(range(*limits)) > MOST_ROUNDS:
        raise ValueError(f"a range of {len(range(*limits))} integers; the limit is {MOST_ROUNDS}")
    return range(*limits)


def _least(first: int, second: int) -> int:
    return min(first, second)


def _most(first: int, second: int) -> int:
    return max(first, second)


def _parse(text: str, name: str) -> nodes.Template:
    import jinja2
    from jinja2 import nodes

    try:
        tree: nodes.Template = _environment().parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise ModuleError(f"{name}, line {error.lineno}: the template cannot be read: {error.message}") from error
    except RecursionError:
        raise ModuleError(f"{name}: the template cannot be read: it is nested too deeply") from None
    except ValueError as error:  # an integer of thousands of digits
        raise ModuleError(f"{name}: the template cannot be read: {error}") from None
    for node in [tree, *tree.find_all(nodes.Node)]:
        if type(node).__name__ not in (*_TEXT, *_FLOW, *_ARITHMETIC) or _is_foreign(node):
            raise ModuleError(
                f"{name}, line {node.lineno}: a template may count, compare and loop; it may not use "
                f"{_word(node)}; see README, The module format"
            )
    return tree


def _is_foreign(node: nodes.Node) -> bool:
    from jinja2 import nodes

    if isinstance(node, nodes.Call):
        return not (isinstance(node.node, nodes.Name) and node.node.name in _FUNCTIONS)
    if isinstance(node, nodes.Filter):
        return node.name != "default"
    if isinstance(node, nodes.Getattr):
        return not (isinstance(node.node, nodes.Name) and node.node.name == "loop")
    if isinstance(node, nodes.For):
        return node.recursive
    return isinstance(node, nodes.Name) and node.ctx == "store" and node.name in (*_FUNCTIONS, "bounded")


def _word(node: nodes.Node) -> str:
    names = (getattr(node, "name", ""), getattr(node, "attr", ""), getattr(getattr(node, "node", None), "name", ""))
    name = next((name for name in names if name and isinstance(name, str)), "")
    return type(node).__name__.lower() + (f" {name!r}" if name else "")


def _bound_loops(tree: nodes.Template) -> None:
    from jinja2 import nodes

    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Call(nodes.Name("bounded", "load"), [loop.iter], [], None, None)
        loop.set_lineno(loop.lineno)
    tree.set_environment(_environment())


def _defaults(tree: nodes.Template, name: str) -> dict[str, int]:
    """Return what `{% set n = n | default(8) %}` says, for every such line outside of loops and conditions."""
    from jinja2 import nodes

    found: dict[str, int] = {}
    for node in tree.body:
        if not (isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name)):
            continue
        value = node.node
        if not (isinstance(value, nodes.Filter) and isinstance(value.node, nodes.Name)):
            continue
        option = value.node.name
        default = value.args[0] if len(value.args) == 1 else None
        integer = default.value if isinstance(default, nodes.Const) else None
        if option != node.target.name or isinstance(integer, bool) or not isinstance(integer, int):
            raise ModuleError(
                f"{name}, line {node.lineno}: write an option as {{% set {option} = {option} | default(8) %}}, "
                "with an integer as its default"
            )
        found[option] = integer
    return found

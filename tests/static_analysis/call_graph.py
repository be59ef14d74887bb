"""Static call graph of `lambdas/rollback`: functions and AWS operations that an entry point may call.

Further packages, such as the command line's, are read too if they are asked for.

Types come from annotations, assignments and constructors. A port stands for the adapter that `bootstrap.make_ports`
makes. A protocol made of holders (`rollback.ports.holders`) stands for `AllPorts`, whose fields are all ports. A
receiver whose type is not known means every class with a method of that name, so that nothing is missed.
Functions that are only named count as called. A `match` over `Step` is followed for the steps of the entry point alone.
"""

import ast
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

LAMBDAS = Path(__file__).resolve().parents[2] / "lambdas"
_PACKAGE, _BOOTSTRAP, _ALL_PORTS = "rollback", "rollback.bootstrap", "rollback.ports.all_ports.AllPorts"
_HOLDERS, _SELF = "rollback.ports.holders", "typing.Self"
_STEP, _STUBS = "rollback.workflow.route.Step", "mypy_boto3_"
_MAKE_PORTS = f"{_BOOTSTRAP}.make_ports"
_DRIVERS = "rollback.drivers"  # `make_ports` calls `drivers.http`, which is `rollback.drivers.http.make_http`
_MAKE_CLIENT = frozenset({"boto3.client", "rollback_cli.shell.aws_session.make_client"})
_CHANNEL, _CHANNELS = "rollback.delivery.channel.DeliveryChannel", "rollback.delivery.channels"
_IN_TRANSACTIONS = frozenset({"Put", "Update", "Delete", "ConditionCheck"})
_ITEM_GETTERS = frozenset({"get", "pop", "setdefault"})  # methods of a container
_NO_CALL = frozenset({"exceptions", "meta", "close", "generate_presigned_url"})  # signing sends nothing
_BY_NAME = frozenset({"get_paginator", "get_waiter"})

Function = ast.FunctionDef | ast.AsyncFunctionDef
# `of rollback.….Class`, `aws ecs`, `each <type>`, `returns <type>`, `self`, or `rollback.…` itself
Types = frozenset[str]
UNKNOWN: Types = frozenset()


@dataclass(frozen=True)
class AwsCall:
    """Call of a boto3 client: `ecs`, `describe_services`, and its place in the source."""

    service: str
    method: str
    site: str


@dataclass
class ClassInfo:
    """Class: its methods, and the annotations of its fields with the module whose names the annotations use."""

    module: str
    bases: list[ast.expr]
    methods: dict[str, Function] = field(default_factory=dict)
    fields: dict[str, ast.expr] = field(default_factory=dict)


@dataclass
class FunctionBody:
    """Effects of one function: the functions that it names, and its calls of AWS."""

    callees: set[str] = field(default_factory=set)
    aws: set[AwsCall] = field(default_factory=set)
    transaction_parts: set[str] = field(default_factory=set)


class CallGraph:
    """Graph of a package; a body is read when it is first reached."""

    def __init__(self, root: Path = LAMBDAS, *further: Path) -> None:
        """Read the package `rollback` below `root`, and further packages by their folders."""
        self.symbols: dict[str, dict[str, str]] = {}  # module → name → the symbol that it stands for
        self.functions: dict[str, tuple[str, str | None, Function]] = {}  # name → module, class, node
        self.classes: dict[str, ClassInfo] = {}
        self.constants: dict[str, tuple[str, ast.expr]] = {}
        self._files: dict[str, str] = {}
        self._members: dict[str, tuple[str, ...]] = {}
        for package in (root / _PACKAGE, *further):
            for path in sorted(package.rglob("*.py")):
                parts = path.relative_to(package.parent).with_suffix("").parts
                module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                self._files[module] = path.relative_to(package.parents[1]).as_posix()
                self._index(module, ast.parse(path.read_text()))
        self._bodies: dict[tuple[str, frozenset[str]], FunctionBody] = {}

    def reach(self, entry: str, steps: Iterable[str] = (), without: Iterable[str] = ()) -> dict[str, tuple[str, ...]]:
        """Map every function that an entry point may call to one chain of calls that leads to it.

        Args:
            entry: the entry point's name.
            steps: names of the members of `Step` that the entry point may be called for.
            without: functions that are not called, such as those of an option that is not given.
        """
        left_out = {_MAKE_PORTS, *without}  # `make_ports` makes the adapters and calls none of them
        entry_steps = frozenset(steps)
        ways: dict[str, tuple[str, ...]] = {entry: (entry,)}
        waiting = deque([entry])
        while waiting:
            name = waiting.popleft()
            callees = {called for called in self.body(name, entry_steps).callees if not self._is_driver(called)}
            for callee in sorted(callees | self._constructors(name)):
                if callee not in ways and callee in self.functions and callee not in left_out:
                    ways[callee] = (*ways[name], callee)
                    waiting.append(callee)
        return ways

    def body(self, name: str, steps: frozenset[str]) -> FunctionBody:
        """Read what a function does when its entry point is called for these steps."""
        if (name, steps) not in self._bodies:
            self._bodies[name, steps] = _Reader(self, name, steps).read()
        return self._bodies[name, steps]

    @cached_property
    def steps(self) -> tuple[str, ...]:
        """Names of the members of `Step`."""
        return tuple(self.constants_of(_STEP))

    @cached_property
    def adapters(self) -> dict[str, frozenset[str]]:
        """Classes that `make_ports` makes for each port."""
        construction = next(
            node
            for node in ast.walk(self.functions[_MAKE_PORTS][2])
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "AllPorts"
        )
        adapters: dict[str, frozenset[str]] = {}
        for keyword in construction.keywords:
            annotation = self.classes[_ALL_PORTS].fields[str(keyword.arg)]
            for port in self.annotated(annotation, "rollback.ports.all_ports"):
                methods = self._methods_of(port.removeprefix("of "))
                classes = frozenset(
                    c for c in self._made_in(keyword.value) if methods and methods <= set(self.methods(c))
                )
                if classes:
                    adapters[port.removeprefix("of ")] = classes
        return adapters

    @property
    def channels(self) -> frozenset[str]:
        """Classes of the delivery channels, which implement their protocol without naming it."""
        imported = self.symbols[_CHANNELS].values()
        return frozenset(name for name in imported if name != _CHANNEL and "send" in self.methods(name))

    def methods(self, name: str) -> dict[str, str]:
        """Map the methods of a class and its bases to their functions."""
        info = self.classes.get(name)
        if info is None:
            return {}
        methods: dict[str, str] = {}
        for base in reversed(info.bases):
            for atom in self.annotated(base, info.module):
                methods |= self.methods(atom.removeprefix("of "))
        return methods | {method: f"{name}.{method}" for method in info.methods}

    @cached_property
    def by_method(self) -> dict[str, frozenset[str]]:
        """Functions of each method's name in any class: candidates for a receiver of unknown type."""
        classes_by_method: dict[str, set[str]] = {}
        for name, info in self.classes.items():
            for method in info.methods:
                classes_by_method.setdefault(method, set()).add(f"{name}.{method}")
        return {method: frozenset(classes) for method, classes in classes_by_method.items()}

    def attributes(self, name: str) -> frozenset[str]:
        """Collect the attributes that a function names."""
        return frozenset(part.attr for part in ast.walk(self.functions[name][2]) if isinstance(part, ast.Attribute))

    def site(self, module: str, node: ast.AST) -> str:
        """Return a place as `lambdas/rollback/….py:12`."""
        return f"{self._files[module]}:{getattr(node, 'lineno', 0)}"

    def annotated(self, node: ast.expr | None, module: str) -> Types:
        """Return the types that an annotation means."""
        match node:
            case ast.Constant(value=str() as text):
                return self.annotated(ast.parse(text, mode="eval").body, module)
            case ast.BinOp(left=left, op=ast.BitOr(), right=right):
                return self.annotated(left, module) | self.annotated(right, module)
            case ast.Subscript(value=ast.Name(id="Callable"), slice=ast.Tuple(elts=[_, result])):
                return frozenset(f"returns {atom}" for atom in self.annotated(result, module))
            case ast.Subscript(value=ast.Name(id=outer), slice=inner):
                return self._subscripted(outer, inner, module)
            case ast.Name(id=name):
                target = self.symbols[module].get(name, "")
                return frozenset({"plain"}) if not target and name in _PLAIN else self._instance(target)
            case ast.Attribute(value=ast.Name(id=name), attr=attr):
                return self._instance(f"{self.symbols[module].get(name, name)}.{attr}")
            case ast.Constant(value=None):
                return UNKNOWN
            case _:
                return UNKNOWN

    def _subscripted(self, outer: str, inner: ast.expr, module: str) -> Types:
        parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
        if outer in {"tuple", "list", "set", "frozenset", "Iterator", "Iterable", "Sequence", "Found"}:
            element_types = frozenset(f"each {atom}" for part in parts for atom in self.annotated(part, module))
            return element_types | {"plain"}
        if outer in {"dict", "Mapping"}:
            return frozenset(f"each {atom}" for atom in self.annotated(parts[-1], module)) | {"plain"}
        if outer == "Annotated":
            return self.annotated(parts[0], module)
        target = self.symbols[module].get(outer, "")
        has_only_fields = target in self.classes and not self.classes[target].methods
        return self._instance(target) if has_only_fields else UNKNOWN  # a generic record, such as `DatabaseChange`

    def _instance(self, target: str) -> Types:
        if target.startswith(_STUBS):
            module, _, name = target.partition(".")
            is_client = name.endswith("Client")
            return frozenset({f"aws {module.removeprefix(_STUBS).replace('_', '-')}" if is_client else "plain"})
        if target == _SELF:
            return frozenset({"self"})
        if target in self.classes:
            return frozenset({f"of {_ALL_PORTS if self._holds_ports(target) else target}"})
        if target in self.constants:  # an alias of a type
            module, value = self.constants[target]
            return self.annotated(value, module)
        return frozenset({"plain"}) if target else UNKNOWN

    def _holds_ports(self, name: str) -> bool:
        """Whether a class is a holder of a port, or a protocol that is made of holders."""
        info = self.classes.get(name)
        if info is None:
            return False
        base_names = (self.symbols[info.module].get(base.id, "") for base in info.bases if isinstance(base, ast.Name))
        return info.module == _HOLDERS or any(self._holds_ports(base) for base in base_names)

    def _index(self, module: str, tree: ast.Module) -> None:
        names = self.symbols.setdefault(module, {})
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=some):
                    names |= {(alias.asname or alias.name.partition(".")[0]): alias.name for alias in some}
                case ast.ImportFrom(module=str() as origin, names=some):
                    names |= {(alias.asname or alias.name): f"{origin}.{alias.name}" for alias in some}
        for node in tree.body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    names[name] = f"{module}.{name}"
                    self.functions[f"{module}.{name}"] = (module, None, node)
                case ast.ClassDef(name=name):
                    names[name] = f"{module}.{name}"
                    self._index_class(module, f"{module}.{name}", node)
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    names[name] = f"{module}.{name}"
                    self.constants[f"{module}.{name}"] = (module, value)

    def _index_class(self, module: str, name: str, node: ast.ClassDef) -> None:
        info = self.classes[name] = ClassInfo(module, node.bases)
        self._members[name] = tuple(
            target.id
            for part in node.body
            if isinstance(part, ast.Assign)
            for target in part.targets
            if isinstance(target, ast.Name)
        )
        for part in node.body:
            match part:
                case ast.FunctionDef(name=method) | ast.AsyncFunctionDef(name=method):
                    info.methods[method] = part
                    self.functions[f"{name}.{method}"] = (module, name, part)
                case ast.AnnAssign(target=ast.Name(id=attribute), annotation=annotation):
                    info.fields[attribute] = annotation

    def constants_of(self, name: str) -> tuple[str, ...]:
        """Return the names that a class assigns in its body."""
        return self._members[name]

    def _methods_of(self, name: str) -> set[str]:
        return {method for method in self.methods(name) if not method.startswith("_")}

    def _made_in(self, node: ast.AST, visited: frozenset[str] = frozenset()) -> set[str]:
        """Collect the classes of `rollback.adapters` that an expression of `make_ports` makes, also through names."""
        classes: set[str] = set()
        local = dict(_assignments(self.functions[_MAKE_PORTS][2]))
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "drivers":
                classes |= self._made_by_driver(part.attr)
            if not isinstance(part, ast.Name) or part.id in visited:
                continue
            target = self.symbols[_BOOTSTRAP].get(part.id, "")
            if target.startswith(f"{_PACKAGE}.adapters.") and target in self.classes:
                classes.add(target)
            elif target in self.functions and target != _MAKE_PORTS:
                classes |= self._made_in(self.functions[target][2], visited | {part.id})
            elif part.id in local:
                classes |= self._made_in(local[part.id], visited | {part.id})
        return classes

    def _made_by_driver(self, port: str) -> set[str]:
        """Collect the classes of `rollback.adapters` that the driver of a port makes."""
        module, _, node = self.functions[f"{_DRIVERS}.{port}.make_{port}"]
        made = (self.symbols[module].get(part.id, "") for part in ast.walk(node) if isinstance(part, ast.Name))
        return {name for name in made if name.startswith(f"{_PACKAGE}.adapters.") and name in self.classes}

    def _is_driver(self, name: str) -> bool:
        """Whether a function makes a port for `make_ports`, which calls it at the first use of the port."""
        return name in self.functions and name.startswith(f"{_DRIVERS}.")

    def _constructors(self, name: str) -> set[str]:
        """Name the functions of `bootstrap` and the drivers that make a method's class.

        The class may get functions to call.
        """
        owner = self.functions[name][1] if name in self.functions else None
        return set(self._factory_functions.get(owner or "", ()))

    @cached_property
    def _factory_functions(self) -> dict[str, set[str]]:
        factories: dict[str, set[str]] = {}
        for name, (module, _, node) in self.functions.items():
            if (module == _BOOTSTRAP and name != _MAKE_PORTS) or self._is_driver(name):
                for part in ast.walk(node):
                    construction = (
                        self.symbols[module].get(part.func.id, "")
                        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)
                        else ""
                    )
                    if construction.startswith(f"{_PACKAGE}.adapters."):
                        factories.setdefault(construction, set()).add(name)
        return factories


_PLAIN = frozenset(
    {"str", "int", "float", "bool", "bytes", "object", "dict", "list", "tuple", "set", "frozenset", "None"}
)


def _assignments(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield local names of a function and their values; a nested function is a value too."""
    for part in ast.walk(node):
        match part:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield target.id, value
                    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                        for element, element_value in zip(target.elts, value.elts, strict=False):
                            if isinstance(element, ast.Name):
                                yield element.id, element_value
            case ast.NamedExpr(target=ast.Name(id=name), value=value):
                yield name, value
            case ast.FunctionDef(name=name) if part is not node:
                yield name, part


class _Reader:
    """Reader of one function."""

    def __init__(self, graph: CallGraph, name: str, steps: frozenset[str]) -> None:
        self._graph, self._steps, self._name = graph, steps, name
        self._module, self._class, self._node = graph.functions[name]
        self._locals: dict[str, Types] = {}
        self._inferred_attributes: set[str] = set()  # attributes of self that are being inferred: ends a recursion
        self._body = FunctionBody()

    def read(self) -> FunctionBody:
        self._scope()
        for part in self._followed(self._node):
            self._visit(part)
        self._body.callees.discard(self._name)
        return self._body

    def _scope(self) -> None:
        for node in ast.walk(self._node):
            if isinstance(node, Function | ast.Lambda):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                for argument in arguments:
                    self._locals[argument.arg] = self._graph.annotated(argument.annotation, self._module)
        if self._class is not None and self._node.args.args:
            self._locals[self._node.args.args[0].arg] = frozenset({f"of {self._class}"})
        for _ in range(2):  # in a loop, an assignment may use a later one
            for node in ast.walk(self._node):
                self._bind(node)

    def _bind(self, node: ast.AST) -> None:
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation):
                self._locals[name] = self._graph.annotated(annotation, self._module)
            case ast.For(target=ast.Name(id=name), iter=over) | ast.comprehension(target=ast.Name(id=name), iter=over):
                self._locals[name] = _each(self.infer(over))
            case ast.For(target=ast.Tuple(elts=some)) | ast.comprehension(target=ast.Tuple(elts=some)):
                for element in some:
                    if isinstance(element, ast.Name):
                        self._locals.setdefault(element.id, UNKNOWN)
            case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)):
                self._locals[name] = self.infer(value)
            case _:
                for name, its in _assignments(node) if isinstance(node, ast.Assign | ast.NamedExpr) else ():
                    if isinstance(its, ast.expr):
                        self._locals[name] = self._locals.get(name, UNKNOWN) | self.infer(its)

    def _followed(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield all nodes but annotations and the cases of other steps."""
        yield node
        if isinstance(node, ast.match_case) and (steps := _steps_named(node.pattern)) and not steps & self._steps:
            return
        for name, value in ast.iter_fields(node):
            if name in {"annotation", "returns"}:
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from self._followed(child)

    def _visit(self, node: ast.AST) -> None:
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name not in self._locals:
                self._names(self._graph.symbols[self._module].get(name, ""))
            case ast.Attribute():
                self._attribute(node)
            case ast.Dict(keys=keys):
                keys_found = {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
                self._body.transaction_parts |= keys_found & _IN_TRANSACTIONS

    def _names(self, target: str) -> None:
        if target in self._graph.functions:
            self._body.callees.add(target)
        for method in ("__init__", "__enter__", "__exit__", "__post_init__"):
            if (qualified_name := self._graph.methods(target).get(method)) is not None:
                self._body.callees.add(qualified_name)
        if target in self._graph.constants:
            module, value = self._graph.constants[target]
            for part in ast.walk(value):
                if isinstance(part, ast.Name):
                    self._names(self._graph.symbols[module].get(part.id, ""))

    def _attribute(self, node: ast.Attribute) -> None:
        receiver = self.infer(node.value)
        if not receiver:
            self._body.callees |= self._graph.by_method.get(node.attr, frozenset())
        for atom in receiver:
            if atom.startswith("aws "):
                self._aws(atom.removeprefix("aws "), node)
            elif atom.startswith("of "):
                self._body.callees |= self._methods(atom.removeprefix("of "), node.attr)
            else:
                self._names(f"{atom}.{node.attr}")

    def _aws(self, service: str, node: ast.Attribute) -> None:
        if node.attr in _NO_CALL:
            return
        method = node.attr
        if method in _BY_NAME:
            call = next(
                candidate
                for candidate in ast.walk(self._node)
                if isinstance(candidate, ast.Call) and candidate.func is node
            )
            # An argument that is no constant would leave the operation unknown.
            (operation,) = (argument.value for argument in call.args if isinstance(argument, ast.Constant))
            method = str(operation)
        self._body.aws.add(AwsCall(service, method, self._graph.site(self._module, node)))

    def _methods(self, owner: str, method: str) -> set[str]:
        owners = self._graph.channels if owner == _CHANNEL else self._graph.adapters.get(owner, frozenset({owner}))
        return {
            qualified_name
            for owner_type in owners
            if (qualified_name := self._graph.methods(owner_type).get(method)) is not None
        }

    def infer(self, node: ast.AST | None) -> Types:
        """Return the types of an expression; an empty set means unknown."""
        match node:
            case ast.Name(id=name):
                if name in self._locals:
                    return self._locals[name]
                target = self._graph.symbols[self._module].get(name, "")
                return frozenset({target or "plain"})
            case ast.Attribute(value=value, attr=attr):
                return frozenset(t for atom in self.infer(value) for t in self._member(atom, attr))
            case ast.Call(func=func, args=args):
                return self._called(func, args)
            case ast.IfExp(body=body, orelse=orelse):
                return self.infer(body) | self.infer(orelse)
            case ast.BoolOp(values=values):
                return frozenset(t for value in values for t in self.infer(value))
            case ast.Subscript(value=value):
                return _each(self.infer(value))
            case ast.NamedExpr(value=value) | ast.Await(value=value):
                return self.infer(value)
            case ast.Dict(values=some) | ast.Tuple(elts=some) | ast.List(elts=some) | ast.Set(elts=some):
                return frozenset(f"each {t}" for element in some for t in self.infer(element)) | {"plain"}
            case (
                ast.ListComp(elt=element)
                | ast.SetComp(elt=element)
                | ast.GeneratorExp(elt=element)
                | ast.DictComp(value=element)
            ):
                return frozenset(f"each {t}" for t in self.infer(element)) | {"plain"}
            case ast.Constant() | ast.JoinedStr() | ast.Compare() | ast.BinOp() | ast.UnaryOp() | ast.Lambda():
                return frozenset({"plain"})
            case _:
                return UNKNOWN

    def _member(self, atom: str, attr: str) -> Types:
        if atom.startswith("of "):
            return self._member_of(atom.removeprefix("of "), attr)
        if atom.startswith("each "):
            element_type = atom.removeprefix("each ")
            return frozenset({f"returns {element_type}" if attr in _ITEM_GETTERS else f"returns {atom}", "plain"})
        if atom.startswith("returns ") or atom == "plain":
            return frozenset({"plain"})
        if atom.startswith("aws "):
            return frozenset({"plain"})  # an answer of AWS
        return frozenset({f"{atom}.{attr}"})

    def _member_of(self, owner: str, attr: str) -> Types:
        for adapter in self._graph.adapters.get(owner, frozenset({owner})):
            info = self._graph.classes[adapter]
            if attr in info.fields:
                return self._graph.annotated(info.fields[attr], info.module)
            if (method := self._graph.methods(adapter).get(attr)) is not None:
                module, _, node = self._graph.functions[method]
                result = _resolve_self(self._graph.annotated(node.returns, module), owner)
                is_property = any("property" in ast.unparse(d) for d in node.decorator_list)
                return result if is_property else frozenset(f"returns {t}" for t in result) | {"plain"}
            if assigned_types := self._assigned(adapter, attr):
                return assigned_types
            for base in info.bases:
                for atom in self._graph.annotated(base, info.module):
                    if atom.startswith("of ") and (assigned_types := self._member_of(atom.removeprefix("of "), attr)):
                        return assigned_types
        return UNKNOWN

    def _assigned(self, owner: str, attr: str) -> Types:
        """Types of the value that `__init__` assigns to `self.attr`."""
        init = self._graph.classes[owner].methods.get("__init__")
        if init is None:
            return UNKNOWN
        reader = self
        if self._name != f"{owner}.__init__":
            reader = _Reader(self._graph, f"{owner}.__init__", frozenset())
            reader._scope()
        if attr in reader._inferred_attributes:
            return UNKNOWN
        reader._inferred_attributes.add(attr)
        try:
            return reader._assigned_in(init, attr)
        finally:
            reader._inferred_attributes.remove(attr)

    def _assigned_in(self, init: Function, attr: str) -> Types:
        for node in ast.walk(init):
            match node:
                case ast.AnnAssign(target=ast.Attribute(value=ast.Name(id="self"), attr=name), annotation=annotation):
                    if name == attr:
                        return self._graph.annotated(annotation, self._module)
                case ast.Assign(targets=targets, value=value):
                    for target, assigned_value in _pairs(targets, value):
                        if isinstance(target, ast.Attribute) and target.attr == attr:
                            return self.infer(assigned_value) or frozenset({"plain"})
        return UNKNOWN

    def _called(self, func: ast.expr, args: list[ast.expr]) -> Types:
        if isinstance(func, ast.Name) and func.id == "cast" and args:
            return self._graph.annotated(args[0], self._module)
        if isinstance(func, ast.Name) and func.id == "getattr":
            return UNKNOWN
        if isinstance(func, ast.Name) and func.id in {"next", "iter", "max", "min", "sorted", "reversed"} and args:
            element_types = self.infer(args[0])
            return element_types if func.id in {"sorted", "reversed", "iter"} else _each(element_types)
        types: set[str] = set()
        for atom in self.infer(func):
            if atom in _MAKE_CLIENT and args and isinstance(args[0], ast.Constant):
                types.add(f"aws {args[0].value!s}")
            elif atom in self._graph.classes:
                types.add(f"of {atom}")
            elif atom in self._graph.functions:
                module, owner, node = self._graph.functions[atom]
                result = self._graph.annotated(node.returns, module)
                types |= _resolve_self(result, owner) if owner is not None else result
            elif atom.startswith("returns "):
                types.add(atom.removeprefix("returns "))
            else:
                types.add("plain")
        return frozenset(types)


def _pairs(targets: list[ast.expr], value: ast.expr) -> Iterator[tuple[ast.expr, ast.expr]]:
    for target in targets:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            yield from zip(target.elts, value.elts, strict=False)
        else:
            yield target, value


def _resolve_self(types: Types, owner: str) -> Types:
    """The types, with a class in place of `Self`."""
    return frozenset(f"of {owner}" if atom == "self" else atom for atom in types)


def _each(types: Types) -> Types:
    element_types = frozenset(t.removeprefix("each ") for t in types if t.startswith("each "))
    return element_types or types & {"plain"}


def _steps_named(pattern: ast.pattern) -> frozenset[str]:
    """Return the members of `Step` in a pattern; an empty set means that the pattern is about another type."""
    return frozenset(
        part.attr
        for part in ast.walk(pattern)
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name) and part.value.id == "Step"
    )

"""Elastic's own server-side parsers of one version, as a program; see ``java_process``.

An answer is ``{"refused": null}``, or the parser's own words. What Elasticsearch checks against the state of
a cluster (whether an index is there), and whether a script compiles, is not asked here.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import jpype

from tests.contract.elastic.java_process import reasons, serve, start_jvm

Body = dict[str, Any]

_TRANSFORMS = "xpack.core.transform.transforms"
# Named by `IndexLifecycle.getNamedXContents()`, which is in a module that no Maven repository has.
_LIFECYCLE_ACTIONS = (
    *("Allocate", "Delete", "Downsample", "ForceMerge", "Migrate", "ReadOnly", "Rollover"),
    *("SearchableSnapshot", "SetPriority", "Shrink", "Unfollow", "WaitForSnapshot"),
)
# Field types of such modules, by the type in the server that takes all of their parameters but the named.
_TYPES_OF_MODULES = {
    "constant_keyword": ("keyword", ("value",)),
    "match_only_text": ("text", ()),
    "wildcard": ("keyword", ()),
    "version": ("keyword", ()),
    "scaled_float": ("float", ("scaling_factor",)),
    "unsigned_long": ("long", ()),
}
# Pipeline aggregations of such a module, with their options (Elasticsearch reference).
_AGGREGATIONS_OF_MODULES = {
    "bucket_selector": {"buckets_path", "script", "gap_policy"},
    "bucket_sort": {"sort", "from", "size", "gap_policy"},
    "derivative": {"buckets_path", "gap_policy", "format", "unit"},
    "moving_fn": {"buckets_path", "window", "script", "shift", "gap_policy", "format"},
}


class ServerParsers:
    """The parsers, each with the registry that a node would give it."""

    def __init__(self, version: tuple[int, int]) -> None:
        self._version = version
        self._settings = _java("common.settings.Settings").EMPTY
        self._json = _java("xcontent.XContentType").JSON
        self._registered = _java("xcontent.XContentParserConfiguration").EMPTY.withRegistry(
            self._named_contents()
        )
        self._scoped_settings = self._index_settings()
        self._mapping_parser = self._new_mapping_parser()
        self._kinds: dict[str, Callable[[str, Body], None]] = {
            "component_template": self._component_template,
            "index_template": self._index_template,
            "index": self._index,
            "lifecycle": self._lifecycle,
            "role": self._role,
            "search": self._search,
            "script": self._script,
            "transform": self._transform,
            "transform_update": self._transform_update,
        }

    def refusal(self, kind: str, name: str, body: Body) -> str | None:
        """What the parser has against a body; None where it takes it."""
        parse = self._kinds[kind]
        try:
            parse(name, body)
        except (jpype.JException, ValueError) as error:
            return reasons(error)
        return None

    # -- one method for each kind of object -----------------------------------------------------------

    def _transform(self, name: str, body: Body) -> None:
        transforms = _java(f"{_TRANSFORMS}.TransformConfig")
        config = transforms.fromXContent(self._parser(body), name, False, *self._single_project())
        _raise_problems(config.validate(None))

    def _transform_update(self, _name: str, body: Body) -> None:
        updates = _java(f"{_TRANSFORMS}.TransformConfigUpdate")
        updates.fromXContent(self._parser(body), *self._single_project())

    def _single_project(self) -> list[Any]:
        """What parsers of transforms ask since 9.5: whether projects may be searched across."""
        return [_java(f"{_TRANSFORMS}.TransformParsingContext")(False)] if self._version >= (9, 0) else []

    def _component_template(self, _name: str, body: Body) -> None:
        template = _java("cluster.metadata.ComponentTemplate").parse(self._parser(body))
        self._template(template.template())

    def _index_template(self, _name: str, body: Body) -> None:
        template = _java("cluster.metadata.ComposableIndexTemplate").parse(self._parser(body))
        self._template(template.template())

    def _template(self, template: Any) -> None:
        if template is None:
            return
        if template.settings() is not None:
            self._check_settings(template.settings())
        if template.mappings() is not None:
            self._mappings(json.loads(str(template.mappings().string())))

    def _index(self, name: str, body: Body) -> None:
        request = _java("action.admin.indices.create.CreateIndexRequest")(name)
        # As the REST layer wraps it.
        if "mappings" in body:
            body = {**body, "mappings": {"_doc": body["mappings"]}}
        request.source(json.dumps(body), self._json)
        _raise_problems(request.validate())
        self._check_settings(request.settings())
        self._mappings(json.loads(str(request.mappings()) or "{}"))

    def _check_settings(self, settings: Any) -> None:
        prefixed = _java("common.settings.Settings").builder().put(settings).normalizePrefix("index.").build()
        self._scoped_settings.validate(prefixed, True)

    def _mappings(self, mappings: Body) -> None:
        self._mapping_parser(mappings.get("_doc", mappings))

    def _lifecycle(self, name: str, body: Body) -> None:
        actions = "xpack.core.ilm.action"
        if self._version > (8, 10):
            requests = _java(f"{actions}.PutLifecycleRequest")
            minute = _java("core.TimeValue").timeValueMinutes(1)
            factory = jpype.JProxy(
                f"org.elasticsearch.{actions}.PutLifecycleRequest$Factory",
                {"getPolicyName": lambda: name, "create": lambda policy: requests(minute, minute, policy)},
            )
            request = requests.parseRequest(factory, self._parser(body))
        else:
            request = _java(f"{actions}.PutLifecycleAction$Request").parseRequest(name, self._parser(body))
        request.getPolicy().validate()

    def _role(self, name: str, body: Body) -> None:
        roles = _java("xpack.core.security.authz.RoleDescriptor")
        if self._version > (8, 10):
            role = roles.parserBuilder().build().parse(name, self._parser(body))
        else:
            role = roles.parse(name, self._parser(body), False)
        _raise_problems(
            _java("xpack.core.security.action.role.RoleDescriptorRequestValidator").validate(role)
        )

    def _search(self, _name: str, body: Body) -> None:
        # Later versions ask whether every node of the cluster knows a feature.
        known = [jpype.JProxy("java.util.function.Predicate", {"test": lambda _: True})]
        known = known if self._version > (8, 10) else []
        _java("search.builder.SearchSourceBuilder")().parseXContent(self._parser(body), True, *known)

    def _script(self, _name: str, body: Body) -> None:
        content = _java("common.bytes.BytesArray")(json.dumps(body))
        _java("script.StoredScriptSource").parse(content, self._json)

    def _aggregation_of_module(self, options: Collection[str], parser: Any, name: Any) -> Any:
        """Parse an aggregation that has these options, and no others."""
        given = {str(key): value for key, value in parser.map().items()}
        unknown = given.keys() - options
        if unknown:
            illegal = jpype.JClass("java.lang.IllegalArgumentException")
            raise illegal(f"unknown field {unknown} of the aggregation {name}")
        if "script" in given:
            _java("script.Script").parse(self._parser_of(given["script"]))
        if "sort" in given:
            sort = self._parser_of(given["sort"])
            sort.nextToken()
            _java("search.sort.SortBuilder").fromXContent(sort)
        # What is returned is not looked at, only that it may stand there.
        return _java("search.aggregations.pipeline.MaxBucketPipelineAggregationBuilder")(name, "any")

    # -- what a node would have ------------------------------------------------------------------------

    def _parser(self, body: Body) -> Any:
        return self._json.xContent().createParser(self._registered, json.dumps(body))

    def _parser_of(self, value: Any) -> Any:
        """A parser of a value that was parsed already."""
        text = _java("common.Strings").toString(_java("xcontent.XContentFactory").jsonBuilder().value(value))
        return self._json.xContent().createParser(self._registered, text)

    def _as_map(self, body: Body) -> Any:
        return self._parser(body).map()

    def _named_contents(self) -> Any:
        entries = jpype.JClass("java.util.ArrayList")()
        no_plugins = jpype.JClass("java.util.ArrayList")()
        entries.addAll(_java("search.SearchModule")(self._settings, no_plugins).getNamedXContents())
        provider = _java("xpack.core.transform.TransformNamedXContentProvider")()
        entries.addAll(provider.getNamedXContentParsers())
        registry = _java("xcontent.NamedXContentRegistry")
        entry = jpype.JClass("org.elasticsearch.xcontent.NamedXContentRegistry$Entry")
        field = _java("xcontent.ParseField")
        types = _java("xpack.core.ilm.LifecycleType")
        timeseries = _java("xpack.core.ilm.TimeseriesLifecycleType")

        def add(category: Any, name: Any, parse: Callable[[Any], Any]) -> None:
            parsing = jpype.JProxy("org.elasticsearch.core.CheckedFunction", {"apply": parse})
            entries.add(entry(category.class_, field(name), parsing))

        aggregations = _java("search.aggregations.BaseAggregationBuilder")
        for name, options in _AGGREGATIONS_OF_MODULES.items():
            parse = functools.partial(self._aggregation_of_module, options)
            parsing = jpype.JProxy("org.elasticsearch.xcontent.ContextParser", {"parse": parse})
            entries.add(entry(aggregations.class_, field(name), parsing))

        add(types, timeseries.TYPE, lambda _parser: timeseries.INSTANCE)
        action_type = _java("xpack.core.ilm.LifecycleAction")
        for action in _LIFECYCLE_ACTIONS:
            actions = _java(f"xpack.core.ilm.{action}Action")
            add(action_type, actions.NAME, actions.parse)
        return registry(entries)

    def _index_settings(self) -> Any:
        scoped = _java("common.settings.IndexScopedSettings")
        known = jpype.JClass("java.util.HashSet")(scoped.BUILT_IN_INDEX_SETTINGS)
        lifecycle = _java("xpack.core.ilm.LifecycleSettings")
        setting = _java("common.settings.Setting")
        for field in lifecycle.class_.getDeclaredFields():
            value = field.get(None)
            if isinstance(value, setting) and value.hasIndexScope():
                known.add(value)
        return scoped(self._settings, known)

    def _new_mapping_parser(self) -> Callable[[Body], None]:
        version = _java("index.IndexVersion").current()
        settings = (
            _java("common.settings.Settings")
            .builder()
            .put("index.version.created", str(version.id()))
            .put("index.number_of_shards", "1")
            .put("index.number_of_replicas", "0")
            .build()
        )
        metadata = _java("cluster.metadata.IndexMetadata").builder("contract").settings(settings).build()
        index_settings = _java("index.IndexSettings")(metadata, self._settings, self._scoped_settings)
        analyzers = jpype.JClass("java.util.HashMap")()
        standard = jpype.JClass("org.apache.lucene.analysis.standard.StandardAnalyzer")()
        scope = _java("index.analysis.AnalyzerScope").INDEX
        analyzers.put("default", _java("index.analysis.NamedAnalyzer")("default", scope, standard))
        registry = _java("indices.IndicesModule")(jpype.JClass("java.util.ArrayList")()).getMapperRegistry()

        def type_parser(name: str) -> Any:
            like, own = _TYPES_OF_MODULES.get(str(name), (str(name), ()))
            parser = registry.getMapperParser(like, version)
            return _without(parser, own) if own else parser

        function, supplier = "java.util.function.Function", "java.util.function.Supplier"
        nothing = jpype.JProxy(supplier, {"get": lambda: None})
        never = jpype.JProxy(function, {"apply": lambda _: None})
        runtime = jpype.JProxy(function, {"apply": lambda name: registry.getRuntimeFieldParsers().get(name)})
        compiler = _java("script.ScriptCompiler").NONE
        last = [never, jpype.JClass("java.util.ArrayList")()] if self._version >= (9, 0) else [None, never]
        contexts = _java("index.mapper.MappingParserContext")
        # 8.10 has no bit sets yet.
        taken = min(one.getParameterCount() for one in contexts.class_.getConstructors())
        arguments = (
            never,
            jpype.JProxy(function, {"apply": type_parser}),
            runtime,
            version,
            jpype.JProxy(supplier, {"get": _java("TransportVersion").current}),
            nothing,
            compiler,
            _java("index.analysis.IndexAnalyzers").of(analyzers),
            index_settings,
            *last,
        )
        metadata_parsers = registry.getMetadataMapperParsers(version)
        mappers = _java("index.mapper.RootObjectMapper")

        def parse(mappings: Body) -> None:
            node = self._as_map(mappings)
            context = contexts(*arguments[:taken])  # a new one each time: it counts how deep the parser is
            mappers.parse("_doc", node, context)
            # What MappingParser does behind it; that class is not public.
            for metadata_field in list(node.keySet()):
                if metadata_field in metadata_parsers:
                    metadata_parsers.get(metadata_field).parse(
                        metadata_field, node.remove(metadata_field), context
                    )
            node.remove("_meta")
            if node:
                raise ValueError(f"mapping has unsupported parameters: {node}")

        return parse


def _java(name: str) -> Any:
    return jpype.JClass(f"org.elasticsearch.{name}")


def _without(parser: Any, options: tuple[str, ...]) -> Any:
    def parse(name: Any, node: Any, context: Any) -> Any:
        for option in options:
            node.remove(option)
        return parser.parse(name, node, context)

    return jpype.JProxy("org.elasticsearch.index.mapper.Mapper$TypeParser", {"parse": parse})


def _raise_problems(problems: Any) -> None:
    if problems is not None:
        raise ValueError(str(problems.getMessage()))


def main() -> None:
    """Answer requests until there are no more."""
    start_jvm(Path(sys.argv[1]), sys.argv[2])
    _java("common.logging.LogConfigurator").configureESLogging()
    version = _java("Version").CURRENT
    parsers = ServerParsers((int(version.major), int(version.minor)))
    serve(lambda kind, name, body: {"refused": parsers.refusal(kind, name, body)})


if __name__ == "__main__":
    main()

"""Guards that what users copy from the guide of Elastic's transforms runs and gives what it shows there.

Each body has the shape of one of its examples; data and expectations are the test's own.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from engine.client import Engine
from provisioning.settings import Settings
from scheduler.transforms.parsing import parse_body
from scheduler.transforms.preview import preview

pytestmark = pytest.mark.node

KEYWORD = {"type": "keyword"}
TEXT = {"type": "text", "fields": {"keyword": KEYWORD}}


class Source:
    """An index with documents, over which transforms are previewed."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self.name = settings.names.of("guide")

    def fill(self, properties: dict[str, Any], documents: list[dict[str, Any]]) -> None:
        self._engine.request("PUT", f"/{self.name}", body={"mappings": {"properties": properties}})
        body = "".join(f'{{"index":{{}}}}\n{json.dumps(document)}\n' for document in documents)
        answer = self._engine.bulk(body.encode(), target=self.name, params={"refresh": "true"})
        assert not answer["errors"], answer

    def preview(self, **content: Any) -> list[dict[str, Any]]:
        body = {"source": {"index": self.name}, "dest": {"index": "nowhere"}, **content}
        return [dict(one) for one in preview(self._engine, parse_body("guide", body)).documents]


@pytest.fixture
def source(engine: Engine, settings: Settings) -> Source:
    return Source(engine, settings)


@pytest.fixture
def orders(source: Source) -> Source:
    properties = {
        "customer_id": KEYWORD,
        "customer_full_name": TEXT,
        "email": KEYWORD,
        "order_id": KEYWORD,
        "order_date": {"type": "date"},
        "products": {"properties": {"product_id": {"type": "long"}}},
        "taxful_total_price": {"type": "half_float"},
        "total_quantity": {"type": "integer"},
        "user": KEYWORD,
    }

    def order(number: int, customer: int, price: float, products: list[int]) -> dict[str, Any]:
        return {
            "customer_id": str(customer),
            "customer_full_name": f"Customer {customer}",
            "email": f"customer{customer}@example.org",
            "order_id": str(number),
            "order_date": f"2024-05-0{number}T10:00:00Z",
            "products": [{"product_id": product} for product in products],
            "taxful_total_price": price,
            "total_quantity": len(products),
            "user": f"user{customer}",
        }

    source.fill(
        properties,
        [
            order(1, 10, 20.5, [1, 2]),
            order(2, 10, 39.5, [2, 3]),
            order(3, 11, 8.0, [9]),
            order(4, 10, 3.0, [1]),
        ],
    )
    return source


def test_best_customers(orders: Source) -> None:
    rows = orders.preview(
        pivot={
            "group_by": {
                "user": {"terms": {"field": "user"}},
                "customer_id": {"terms": {"field": "customer_id"}},
            },
            "aggregations": {
                "order_count": {"value_count": {"field": "order_id"}},
                "total_order_amt": {"sum": {"field": "taxful_total_price"}},
                "avg_amt_per_order": {"avg": {"field": "taxful_total_price"}},
                "avg_unique_products_per_order": {"avg": {"field": "total_quantity"}},
                "total_unique_products": {"cardinality": {"field": "products.product_id"}},
            },
        }
    )
    assert rows == [
        {
            "user": "user10",
            "customer_id": "10",
            "order_count": 3,
            "total_order_amt": 63.0,
            "avg_amt_per_order": 21.0,
            "avg_unique_products_per_order": 5 / 3,
            "total_unique_products": 3,
        },
        {
            "user": "user11",
            "customer_id": "11",
            "order_count": 1,
            "total_order_amt": 8.0,
            "avg_amt_per_order": 8.0,
            "avg_unique_products_per_order": 1.0,
            "total_unique_products": 1,
        },
    ]


def test_names_and_addresses_of_customers(orders: Source) -> None:
    rows = orders.preview(
        pivot={
            "group_by": {"customer_id": {"terms": {"field": "customer_id"}}},
            "aggregations": {
                "last": {
                    "top_metrics": {
                        "metrics": [{"field": "email"}, {"field": "customer_full_name.keyword"}],
                        "sort": {"order_date": "desc"},
                    }
                }
            },
        }
    )
    assert rows == [
        {
            "customer_id": customer,
            "last": {
                "email": f"customer{customer}@example.org",
                "customer_full_name.keyword": f"Customer {customer}",
            },
        }
        for customer in ("10", "11")
    ]


def test_orders_by_customer_of_the_tutorial(orders: Source) -> None:
    rows = orders.preview(
        description="E-commerce sales by customer",
        source={
            "index": [orders.name],
            "query": {"bool": {"filter": {"range": {"total_quantity": {"gte": 1}}}}},
        },
        frequency="5m",
        sync={"time": {"field": "order_date", "delay": "60s"}},
        retention_policy={"time": {"field": "order_date", "max_age": "60d"}},
        pivot={
            "group_by": {"customer_id": {"terms": {"field": "customer_id"}}},
            "aggregations": {
                "total_quantity.sum": {"sum": {"field": "total_quantity"}},
                "total_quantity.max": {"max": {"field": "total_quantity"}},
                "taxful_total_price.sum": {"sum": {"field": "taxful_total_price"}},
                "taxful_total_price.max": {"max": {"field": "taxful_total_price"}},
                "order_id.cardinality": {"cardinality": {"field": "order_id"}},
            },
        },
    )
    assert rows[0] == {
        "customer_id": "10",
        "total_quantity": {"sum": 5.0, "max": 2},
        "taxful_total_price": {"sum": 63.0, "max": 39.5},
        "order_id": {"cardinality": 3},
    }


def test_carriers_with_the_most_delays(source: Source) -> None:
    source.fill(
        {
            "Carrier": KEYWORD,
            "FlightNum": KEYWORD,
            "FlightDelay": {"type": "boolean"},
            "FlightDelayMin": {"type": "integer"},
            "FlightTimeMin": {"type": "float"},
        },
        [
            {
                "Carrier": carrier,
                "FlightNum": number,
                "FlightDelay": late > 0,
                "FlightDelayMin": late,
                "FlightTimeMin": time,
            }
            for carrier, number, late, time in [
                ("Air A", "1", 30, 90.0), ("Air A", "2", 0, 60.0),
                ("Air A", "2", 15, 60.0), ("Air B", "9", 0, 100.0),
            ]
        ],
    )  # fmt: skip
    rows = source.preview(
        source={"index": source.name, "query": {"bool": {"filter": [{"term": {"FlightDelay": True}}]}}},
        pivot={
            "group_by": {"carrier": {"terms": {"field": "Carrier"}}},
            "aggregations": {
                "flights_count": {"value_count": {"field": "FlightNum"}},
                "delay_mins_total": {"sum": {"field": "FlightDelayMin"}},
                "flight_mins_total": {"sum": {"field": "FlightTimeMin"}},
                "delay_time_percentage": {
                    "bucket_script": {
                        "buckets_path": {
                            "delay_time": "delay_mins_total.value",
                            "flight_time": "flight_mins_total.value",
                        },
                        "script": "(params.delay_time / params.flight_time) * 100",
                    }
                },
            },
        },
    )
    assert rows == [
        {
            "carrier": "Air A",
            "flights_count": 2,
            "delay_mins_total": 45.0,
            "flight_mins_total": 150.0,
            "delay_time_percentage": 30.0,
        }
    ]


@pytest.fixture
def weblog(source: Source) -> Source:
    properties = {
        "@timestamp": {"type": "date"},
        "clientip": {"type": "ip"},
        "response": TEXT,
        "bytes": {"type": "long"},
        "agent": TEXT,
        "url": KEYWORD,
    }
    hits = [
        ("192.0.2.1", "2024-01-31T23:00:00Z", "200", 10, "ann"),
        ("192.0.2.1", "2024-02-01T01:00:00Z", "404", 30, "ann"),
        ("192.0.2.2", "2024-02-01T05:00:00Z", "503", 50, "bob"),
        ("192.0.2.1", "2024-02-01T03:00:00Z", "200", 20, "cy"),
    ]
    source.fill(
        properties,
        [
            {
                "@timestamp": at,
                "clientip": client,
                "response": code,
                "bytes": size,
                "agent": agent,
                "url": f"/{size}",
            }
            for client, at, code, size, agent in hits
        ],
    )
    return source


def test_last_event_of_each_client(weblog: Source) -> None:
    rows = weblog.preview(latest={"unique_key": ["clientip"], "sort": "@timestamp"})
    assert [(row["clientip"], row["@timestamp"], row["agent"]) for row in rows] == [
        ("192.0.2.1", "2024-02-01T03:00:00Z", "cy"),
        ("192.0.2.2", "2024-02-01T05:00:00Z", "bob"),
    ]


def test_clients_that_were_sent_the_most_in_each_hour(weblog: Source) -> None:
    rows = weblog.preview(
        pivot={
            "group_by": {"timestamp": {"date_histogram": {"field": "@timestamp", "fixed_interval": "1h"}}},
            "aggregations": {
                "bytes.max": {"max": {"field": "bytes"}},
                "top": {
                    "top_metrics": {
                        "metrics": [{"field": "clientip"}, {"field": "url"}],
                        "sort": {"bytes": "desc"},
                    }
                },
            },
        }
    )
    assert rows[1] == {
        "timestamp": "2024-02-01T01:00:00.000Z",
        "bytes": {"max": 30},
        "top": {"clientip": "192.0.2.1", "url": "/30"},
    }


def test_top_hits_by_scripted_metric(weblog: Source) -> None:
    rows = weblog.preview(
        pivot={
            "group_by": {"clientip": {"terms": {"field": "clientip"}}},
            "aggregations": {
                "latest_doc": {
                    "scripted_metric": {
                        "init_script": "state.newest = 0L; state.last_doc = ''",
                        "map_script": (
                            "def now = doc['@timestamp'].value.toInstant().toEpochMilli();"
                            "if (now > state.newest)"
                            " {state.newest = now; state.last_doc = new HashMap(params['_source']);}"
                        ),
                        "combine_script": "return state",
                        "reduce_script": (
                            "def last_doc = ''; def newest = 0L;"
                            "for (s in states)"
                            " {if (s.newest > newest) {newest = s.newest; last_doc = s.last_doc;}}"
                            "return last_doc"
                        ),
                    }
                }
            },
        }
    )
    assert [(row["clientip"], row["latest_doc"]["agent"]) for row in rows] == [
        ("192.0.2.1", "cy"),
        ("192.0.2.2", "bob"),
    ]


def test_time_features_by_scripts_in_aggregations(weblog: Source) -> None:
    hour = "ZonedDateTime date = doc['@timestamp'].value; return date.getHour();"
    month = "ZonedDateTime date = doc['@timestamp'].value; return date.getMonthValue();"
    rows = weblog.preview(
        pivot={
            "group_by": {"clientip": {"terms": {"field": "clientip"}}},
            "aggregations": {
                "avg_hour_of_day": {"avg": {"script": {"source": hour}}},
                "avg_month_of_year": {"max": {"script": {"source": month}}},
            },
        }
    )
    assert rows[0] == {"clientip": "192.0.2.1", "avg_hour_of_day": 9.0, "avg_month_of_year": 2.0}


def test_a_script_in_group_by(weblog: Source) -> None:
    rows = weblog.preview(
        pivot={
            "group_by": {
                "agent": {
                    "terms": {
                        "script": {"source": "doc['agent.keyword'].value.toUpperCase()", "lang": "painless"}
                    }
                }
            },
            "aggregations": {"bytes": {"sum": {"field": "bytes"}}},
        }
    )
    assert rows == [
        {"agent": "ANN", "bytes": 40.0}, {"agent": "BOB", "bytes": 50.0}, {"agent": "CY", "bytes": 20.0},
    ]  # fmt: skip


def test_duration_by_bucket_script(weblog: Source) -> None:
    rows = weblog.preview(
        pivot={
            "group_by": {"client_ip": {"terms": {"field": "clientip"}}},
            "aggregations": {
                "time_frame.lte": {"max": {"field": "@timestamp"}},
                "time_frame.gte": {"min": {"field": "@timestamp"}},
                "time_length": {
                    "bucket_script": {
                        "buckets_path": {"min": "time_frame.gte.value", "max": "time_frame.lte.value"},
                        "script": "params.max - params.min",
                    }
                },
            },
        }
    )
    assert rows[0] == {
        "client_ip": "192.0.2.1",
        "time_frame": {"gte": "2024-01-31T23:00:00.000Z", "lte": "2024-02-01T03:00:00.000Z"},
        "time_length": 4 * 3_600_000.0,
    }


def test_http_responses_counted_by_scripted_metric(weblog: Source) -> None:
    rows = weblog.preview(
        pivot={
            "group_by": {"agent": {"terms": {"field": "agent.keyword"}}},
            "aggregations": {
                "responses.counts": {
                    "scripted_metric": {
                        "init_script": "state.responses = ['error':0L,'success':0L,'other':0L]",
                        "map_script": (
                            "def code = doc['response.keyword'].value;"
                            "if (code.startsWith('5') || code.startsWith('4')) { state.responses.error += 1 }"
                            " else if (code.startsWith('2')) { state.responses.success += 1 }"
                            " else { state.responses.other += 1 }"
                        ),
                        "combine_script": "state.responses",
                        "reduce_script": (
                            "def counts = ['error': 0L, 'success': 0L, 'other': 0L];"
                            "for (one in states) {"
                            " counts.error += one['error']; counts.success += one['success'];"
                            " counts.other += one['other']; } return counts;"
                        ),
                    }
                }
            },
        }
    )
    assert [(row["agent"], row["responses"]["counts"]) for row in rows] == [
        ("ann", {"error": 1, "success": 1, "other": 0}),
        ("bob", {"error": 1, "success": 0, "other": 0}),
        ("cy", {"error": 0, "success": 1, "other": 0}),
    ]


def test_web_sessions_by_scripted_metric(weblog: Source) -> None:
    rows = weblog.preview(
        pivot={
            "group_by": {"session_id": {"terms": {"field": "clientip"}}},
            "aggregations": {
                "distinct_paths": {"cardinality": {"field": "url"}},
                "num_pages_viewed": {"value_count": {"field": "url"}},
                "session_details": {
                    "scripted_metric": {
                        "init_script": "state.docs = []",
                        "map_script": (
                            "Map span = ['time': doc['@timestamp'].value.toString(),"
                            " 'url': doc['url'].value];"
                            "state.docs.add(span)"
                        ),
                        "combine_script": "return state.docs;",
                        "reduce_script": (
                            "def all_docs = []; for (s in states) { for (span in s) { all_docs.add(span); } }"
                            "all_docs.sort((one, two) -> one['time'].compareTo(two['time']));"
                            "def size = all_docs.size();"
                            "def first = all_docs[0]['time']; def last = all_docs[size - 1]['time'];"
                            "def ret = new HashMap(); ret['first_time'] = first; ret['last_time'] = last;"
                            "ret['views'] = size; return ret;"
                        ),
                    }
                },
            },
        }
    )
    assert rows[0] == {
        "session_id": "192.0.2.1",
        "distinct_paths": 3,
        "num_pages_viewed": 3,
        "session_details": {
            "first_time": "2024-01-31T23:00Z",
            "last_time": "2024-02-01T03:00Z",
            "views": 3,
        },
    }


def test_indices_compared_by_scripted_metric(engine: Engine, settings: Settings) -> None:
    first, second = Source(engine, settings), Source(engine, settings)
    first.name, second.name = settings.names.of("guide-one"), settings.names.of("guide-two")
    properties = {"id": KEYWORD, "value": {"type": "long"}}
    first.fill(
        properties, [{"id": "same", "value": 1}, {"id": "changed", "value": 1}, {"id": "missing", "value": 1}]
    )
    second.fill(properties, [{"id": "same", "value": 1}, {"id": "changed", "value": 2}])
    rows = first.preview(
        source={"index": [first.name, second.name]},
        pivot={
            "group_by": {"unique-id": {"terms": {"field": "id"}}},
            "aggregations": {
                "compare": {
                    "scripted_metric": {
                        "map_script": "state.doc = new HashMap(params['_source'])",
                        "combine_script": "return state",
                        "reduce_script": (
                            "if (states.size() != 2) { return 'count_mismatch' }"
                            "if (states.get(0).doc == null || states.get(1).doc == null)"
                            " { return 'count_mismatch' }"
                            "return states.get(0).equals(states.get(1)) ? 'match' : 'mismatch';"
                        ),
                    }
                }
            },
        },
    )
    assert {row["unique-id"]: row["compare"] for row in rows} == {
        "same": "match", "changed": "mismatch", "missing": "count_mismatch",
    }  # fmt: skip

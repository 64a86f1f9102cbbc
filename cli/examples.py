"""The examples at the end of each command's help, by the command's words."""

from __future__ import annotations

EXAMPLES = {
    "demo": ("demo", "demo --log /var/log/nginx/access.log"),
    "ship": (
        "ship /var/log/nginx/access.log",
        "ship '/var/log/nginx/*.log' --stats",
        "zcat old.gz | httpmon ship - --once",
    ),
    "replay": ("replay access.log --speed 60",),
    "generate": (
        "generate access.log --rate 20",
        "generate --lines 1000000 --no-wait --start 2026-03-01T00:00:00Z > access.log",
    ),
    "tail": ("tail", "tail --plain --interval 60s", "tail --once --format json", "tail --at 2h"),
    "alerts list": ("alerts list --since 24h", "alerts list --rule high-traffic --follow"),
    "alerts open": ("alerts open", "alerts open --exit-code"),
    "alerts show": ("alerts show high-traffic-00000001",),
    "alerts ack": ("alerts ack --reason 'the sale has begun'",),
    "alerts silence": (
        "alerts silence high-traffic --for 2h --reason 'load test'",
        "alerts silence --end 3f2a",
    ),
    "metrics": ("metrics", "metrics --listen 127.0.0.1:9640"),
    "query list": ("query list",),
    "query show": ("query show client-trail",),
    "query run": (
        "query run top-sections --from 24h",
        "query run client-trail --param client=192.0.2.7 --from 2h --format csv",
    ),
    "report": ("report --from 24h --open", "report --from 2h --serve"),
    "kibana export": ("kibana export", "kibana export --output - > httpmon.ndjson"),
    "render": ("render high_traffic", "render --parameters"),
    "provision": (
        "provision",
        "provision --plan --diff",
        "provision --check",
        "provision --set high_traffic.threshold=20",
    ),
    "status": ("status", "status --all", "status --format json"),
    "doctor": ("doctor", "doctor --format json"),
    "deprovision": ("deprovision --plan", "deprovision --data --yes"),
    "keys create": ("keys create writer --name web-1 --expires 90d",),
    "keys list": ("keys list",),
    "keys revoke": ("keys revoke web-1",),
    "scheduler": ("scheduler",),
    "node start": ("node start", "node start --port 9250 --heap 1g"),
    "node stop": ("node stop",),
    "node status": ("node status",),
    "node logs": ("node logs --follow",),
    "transform preview": ("transform preview sections --rows 5",),
    "transform list": ("transform list",),
    "transform start": ("transform start sections",),
    "transform stop": ("transform stop sections",),
    "transform reset": ("transform reset sections",),
    "watch list": ("watch list", "watch list --format json"),
    "watch show": ("watch show high_traffic",),
    "watch activate": ("watch activate no_data",),
    "watch deactivate": ("watch deactivate no_data",),
    "watch ack": ("watch ack high_traffic",),
    "watch execute": (
        "watch execute high_traffic --simulate",
        "watch execute high_traffic --at 2026-03-01T12:00:07Z",
    ),
    "watch backtest": (
        "watch backtest high_traffic --from 24h",
        "watch backtest high_traffic --from 2026-03-01 --to 2026-03-02 --set threshold=20",
    ),
    "watch validate": ("watch validate my-watch.json",),
    "reconcile": (
        "reconcile --from 24h",
        "reconcile --from 60d --format json",
        "reconcile --from 2026-03-01 --to 2026-03-02 --repair",
    ),
    "config show": ("config show", "config show --format json"),
}


def examples_text(words: str) -> str | None:
    """The examples of a command as the help page shows them; None where there are none."""
    if words not in EXAMPLES:
        return None
    lines = (line if "httpmon " in line else f"httpmon {line}" for line in EXAMPLES[words])
    # \b keeps the lines of the paragraph as they are.
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)

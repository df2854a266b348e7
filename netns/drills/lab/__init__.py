# SPDX-License-Identifier: Apache-2.0
#
# What the drills of this folder share: a lab in network namespaces, backends that misbehave on
# command, open-loop clients, and reports.

from .balancers import Tandem, haproxy, nginx, tandem_file, tandem_pool
from .drill import Drill
from .laboratory import Laboratory
from .load import percentile
from .process import wait_until

__all__ = [
    "Drill", "Laboratory", "Tandem", "haproxy", "nginx", "percentile", "tandem_file",
    "tandem_pool", "wait_until"]

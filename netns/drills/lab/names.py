# SPDX-License-Identifier: Apache-2.0
#
# Names and places that the files of this folder share.

import os
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
RESULTS = ROOT / "results"
# Prefix of the namespaces; another one makes a lab beside the first.
PREFIX = os.environ.get("TANDEM_LAB", "tandem-pool-")
DIRECTORY = Path(f"/run/{PREFIX}drill")
BINARY = Path(os.environ.get("TANDEM_BINARY", ROOT / ".build/release/tandem")).resolve()

SUBNET = "10.77.0.0/16"
ADDRESSES = {"client": "10.77.0.200", "lb": "10.77.0.10", "redis": "10.77.0.30"}
ADDRESSES.update({f"lb{letter}": f"10.77.0.{11 + index}" for index, letter in enumerate("abc")})
ADDRESSES.update({f"be{number}": f"10.77.0.{20 + number}" for number in range(1, 10)})
# Clients of their own addresses come from here on.
SOURCES = "10.77.4.0"
BACKEND_PORT = 8080

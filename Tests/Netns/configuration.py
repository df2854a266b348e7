# SPDX-License-Identifier: Apache-2.0
#
# The configuration files of the tests: the lab's pair with the few keys that a topic changes.

TEMPLATE = """\
workers: 2

pair:
  interface: eth0
  nodes:
    lb1: {{ address: 10.77.0.11, priority: 200 }}
    lb2: {{ address: 10.77.0.12, priority: 100 }}
  link:
    port: {link_port}
{secret}  virtual_routers:
    - id: 51
      addresses: [{addresses}]
      advertise_interval: {advertise_interval}
      preempt: {preempt}
{router}{more_routers}{track}
listeners:
  web:
    bind: {bind}
{carry_over}    routes:
{routes}      - pool: web
{listeners}
pools:
  web:
    balance: round_robin
    backends:
{backends}    health_check: {{ path: /healthz, interval: 300ms, timeout: 300ms, fall: 2, rise: 2 }}
{pools}
admin:
  http: 127.0.0.1:9900
  socket: /run/tandem/admin.sock
"""

BACKENDS = ("be1", "be2", "be3")
BACKEND_ADDRESS = {"be1": "10.77.0.21", "be2": "10.77.0.22", "be3": "10.77.0.23"}


def configuration(
    advertise_interval="100ms", preempt=False, preempt_delay=None, bind="0.0.0.0:80",
    link_port=7946, secret_file="/etc/tandem/pair.key", backends=BACKENDS, pools=None,
    transport=None, listeners="", more_pools="", more_routers="", more_addresses=(),
    track="", carry_over=None,
):
    """The text of a file; `pools` maps a name to its backends' addresses, routed by /NAME/.

    `listeners`, `more_pools` and `more_routers` are further entries as they stand in the file, and
    `track` is that whole part; `carry_over` is that key of the listener `web`.
    """
    pools = pools or {}
    routes = "".join(
        f"      - match: {{ path_prefix: /{name}/ }}\n        pool: {name}\n" for name in pools)
    extra = "".join(
        f"  {name}:\n    balance: round_robin\n    backends:\n" + "".join(
            f"      b{index}: {{ address: {address} }}\n"
            for index, address in enumerate(addresses))
        for name, addresses in pools.items())
    return TEMPLATE.format(
        advertise_interval=advertise_interval, preempt="true" if preempt else "false",
        router="".join(
            f"      {key}: {value}\n"
            for key, value in (("preempt_delay", preempt_delay), ("transport", transport))
            if value),
        secret=f"    secret_file: {secret_file}\n" if secret_file else "",
        addresses=", ".join(("10.77.0.100", *more_addresses)),
        more_routers=more_routers, track=track, link_port=link_port, bind=bind, routes=routes,
        carry_over=f"    carry_over: {carry_over}\n" if carry_over else "",
        listeners=listeners, pools=extra + more_pools,
        backends="".join(
            f"      {name}: {{ address: {BACKEND_ADDRESS[name]}:8080 }}\n" for name in backends))

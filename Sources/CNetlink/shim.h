/* SPDX-License-Identifier: Apache-2.0 */
/* libnl-3 and libnl-route-3: netlink sockets, links, addresses. */
#pragma once
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/rtnl.h>

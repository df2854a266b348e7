/* SPDX-License-Identifier: Apache-2.0 */
/* libnl-3 and libnl-route-3: netlink sockets, links, addresses. */
#pragma once
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <netlink/msg.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/link/inet.h>
#include <netlink/route/link/inet6.h>
#include <netlink/route/link/macvlan.h>
#include <netlink/route/rtnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

/* <linux/if.h> gives way to <net/if.h>, which the importer skips and which lacks the second. */
static const unsigned int TANDEM_LINK_UP = IFF_UP;
static const unsigned int TANDEM_LINK_LOWER_UP = 1u << 16; /* IFF_LOWER_UP */

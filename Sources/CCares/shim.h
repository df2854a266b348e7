/* SPDX-License-Identifier: Apache-2.0 */
/* c-ares: questions to the domain name system without waiting. */
#pragma once
#include <sys/time.h>
#include <ares.h>

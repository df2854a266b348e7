/* SPDX-License-Identifier: Apache-2.0 */
/* libyaml: the YAML 1.1 event parser. */
#pragma once
#include <yaml.h>

/* SPDX-License-Identifier: Apache-2.0 */
/* libcrypto of OpenSSL 3: HMAC and random bytes. */
#pragma once
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/random.h>

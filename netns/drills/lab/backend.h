// SPDX-License-Identifier: Apache-2.0
//
// What the two files of the backend share: the sessions it keeps for its clients.

#include <stddef.h>

/// Prints what went wrong and ends the process.
void fail(const char *what);

/// Chooses the store: "off", "memory" or "redis"; -1 when it cannot be had.
int keep_sessions(const char *store, const char *address, int port);

/// True when requests belong to sessions.
int sessions_are_on(void);

/// Reads the cookie `sid` of a request; "-" when it has none.
void read_session(const char *head, char *session, size_t size);

/// Looks a session up and makes one when there is none; writes the response fields that say so:
/// X-Session is new, known, or lost for a cookie that nobody here knows.
void visit_session(const char *session, char *fields, size_t size);
